#include "tests/consensus/sim_oracle.hpp"

namespace holdfast::sim {

namespace {

std::string where(group_id group, std::uint64_t index) {
  return " (group " + std::to_string(group) + ", index " + std::to_string(index) + ")";
}

}  // namespace

void oracle::led(group_id group, std::uint64_t term, node_id by) {
  const auto [known, first] = groups_[group].leaders.emplace(term, by);
  if (!first)
    throw violation("nodes " + std::to_string(known->second) + " and " + std::to_string(by) +
                    " are elected in term " + std::to_string(term) + where(group, 0));
}

void oracle::appended(group_id group, std::uint64_t index, std::uint64_t term_before,
                      const consensus::entry& e) {
  const auto key = index << 24 | e.term;
  const auto [found, first] =
    groups_[group].entries.emplace(key, std::pair{hash_of(e), term_before});
  auto& [hash, before] = found->second;
  if (before == UINT64_MAX)
    before = term_before;
  if (hash != hash_of(e) || (term_before != UINT64_MAX && before != term_before))
    throw violation("two entries of one index and term, or after different ones" +
                    where(group, index));
}

void oracle::applied(group_id group, std::uint64_t index, const consensus::entry& e,
                     std::uint64_t state_hash, node_id by) {
  auto& g = groups_[group];
  if (index == g.committed.size() + 1) {
    g.committed.push_back(hash_of(e));
    g.hashes.push_back(state_hash);
    return;
  }
  if (index > g.committed.size() || g.committed[index - 1] != hash_of(e))
    throw violation("node " + std::to_string(by) + " commits another entry" + where(group, index));
  installed(group, index, state_hash);
}

void oracle::installed(group_id group, std::uint64_t index, std::uint64_t state_hash) {
  const auto& g = groups_[group];
  if (index == 0 || index > g.hashes.size() || g.hashes[index - 1] != state_hash)
    throw violation("states differ" + where(group, index));
}

void oracle::acked(group_id group, std::uint64_t index, std::uint64_t id) {
  const auto [known, first] = groups_[group].acked.emplace(index, id);
  if (!first)
    throw violation("two acknowledgements of one entry" + where(group, index));
}

void oracle::complete(group_id group, const machine& state, node_id by) const {
  const auto g = groups_.find(group);
  if (g == groups_.end())
    return;
  for (const auto& [index, id] : g->second.acked)
    if (index <= state.applied && !state.ids.contains(id))
      throw violation("node " + std::to_string(by) + " lost an acknowledged command" +
                      where(group, index));
}

}  // namespace holdfast::sim
