#pragma once
// What must hold of all nodes together, kept outside all of them.

#include <functional>
#include <map>
#include <unordered_map>

#include "tests/consensus/sim_disk.hpp"

namespace holdfast::sim {

/// Throws `violation`.
class oracle {
public:
  /// At most one leader per group and term.
  void led(group_id group, std::uint64_t term, node_id by);
  /// Log matching: an entry's index and term tell the entry, and the term of the one before
  /// (UINT64_MAX: not known).
  void appended(group_id group, std::uint64_t index, std::uint64_t term_before,
                const consensus::entry& e);
  /// What is committed never changes; whoever applied the same holds the same.
  void applied(group_id group, std::uint64_t index, const consensus::entry& e,
               std::uint64_t state_hash, node_id by);
  void installed(group_id group, std::uint64_t index, std::uint64_t state_hash);
  void acked(group_id group, std::uint64_t index, std::uint64_t id);
  /// Whoever is this far holds every acknowledged command up to there.
  void complete(group_id group, const machine& state, node_id by) const;

  std::uint64_t applied_max(group_id group) { return groups_[group].hashes.size(); }

private:
  struct group_truth {
    std::unordered_map<std::uint64_t, node_id> leaders;  // by term
    std::unordered_map<std::uint64_t, std::pair<std::uint64_t, std::uint64_t>>
      entries;                                     // by index and term
    std::vector<std::uint64_t> committed;          // by index - 1
    std::vector<std::uint64_t> hashes;             // of states, the same
    std::map<std::uint64_t, std::uint64_t> acked;  // id by index
  };
  std::map<group_id, group_truth> groups_;
};

}  // namespace holdfast::sim
