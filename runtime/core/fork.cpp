#include "runtime/core/fork.hpp"

#include <map>

#include "persistence/keys.hpp"
#include "runtime/core/evolve.hpp"
#include "runtime/core/stored_records.hpp"

namespace holdfast {

namespace {

/// Facts of one family up to `at`, by their place. Families keep them under other numbers, so all are walked.
status collect(const reader& from, group_id group, const agent_name& name, family in, seq_no at,
               std::map<seq_no, std::pair<time_us, fact>>& out) {
  const auto range = keys::numbered_range(group, name);
  auto walk = from.scan(in, range.lower, range.upper);
  for (; walk->valid(); walk->next()) {
    auto stored = codec::decode_facts(walk->value());
    if (!stored)
      return stored.error();
    for (auto& one : stored->facts)
      if (one.seq <= at)
        out.emplace(one.seq, std::pair{stored->at, std::move(one.fact)});
  }
  return walk->state();
}

}  // namespace

result<codec::forked_agent> copy_at(const reader& from, group_id group, const agent_name& name,
                                    seq_no at) {
  const auto current = load_agent(from, group, name);
  if (!current)
    return current.error();
  if (!*current || at == 0 || at > (*current)->seq)
    return error{errc::not_found, to_string(name) + " has no fact " + std::to_string(at) +
                                    "; its history goes to " +
                                    std::to_string(*current ? (*current)->seq : 0)};
  std::map<seq_no, std::pair<time_us, fact>> facts;
  for (family in : {family::journal, family::message, family::memory})
    if (auto done = collect(from, group, name, in, at, facts); !done)
      return done.error();
  if (facts.empty() || facts.begin()->first != 1)
    return error{errc::gone, "the history of " + to_string(name) + " up to " + std::to_string(at) +
                               " is below retention"};
  codec::forked_agent copy;
  copy.state.name = name;
  for (auto& [seq, one] : facts) {
    copy.state.seq = seq - 1;  // streamed text is not needed and may be trimmed
    evolve(copy.state, one.second, one.first);
    if (auto* appended = std::get_if<message_appended>(&one.second))
      copy.messages.push_back(std::move(appended->message));
    else if (auto* changed = std::get_if<state_changed>(&one.second))
      copy.memory = std::move(changed->memory);
  }
  return copy;
}

}  // namespace holdfast
