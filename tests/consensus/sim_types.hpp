#pragma once
// Words of the consensus simulation: chance, faults that are planted, what is counted, and what is
// a violation.

#include <algorithm>
#include <array>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>

#include "cluster/raft_host.hpp"

namespace holdfast::sim {

using consensus::node_id;

/// A promise was broken; the text says which, where and when.
struct violation : std::runtime_error {
  using std::runtime_error::runtime_error;
};

inline std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
  std::uint64_t z = a * 0x9e3779b97f4a7c15U + b + 0x7f4a7c159e3779b9U;  // splitmix64's finaliser
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
  return z ^ (z >> 31);
}

class chance {
public:
  explicit chance(std::uint64_t seed) : state_(mix(seed, 1)) {}
  std::uint64_t next() { return state_ = mix(state_, 2); }
  std::uint64_t below(std::uint64_t bound) { return next() % bound; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) {
    return low + below(high - low + 1);
  }
  bool per_mille(std::uint64_t odds) { return below(1000) < odds; }

private:
  std::uint64_t state_;
};

/// Planted one at a time, to see that the simulation finds it.
enum class defect : std::uint8_t {
  none,
  persisted_before_sync,  ///< shell: a batch is reported when it is written
  messages_before_sync,   ///< shell: messages do not wait for term and vote
  vote_not_stored,        ///< disk: term and vote are not written
  tail_not_truncated,     ///< disk: replaced entries beyond the new ones stay
  install_keeps_log,      ///< disk: a snapshot does not take the place of the log
  applied_not_in_order,   ///< disk: the applied index is durable at once, its log is not
  contact_at_answer,      ///< a contact is as old as its answer's arrival
  changes_not_split,      ///< libraft's defects, unhandled: see raft_workarounds
  previous_change_open,
  sole_voter_same_term,
  pre_candidate_not_told,
  stale_index_kept,
  disrupt_for_ever,
  learner_does_not_vote,
  trimmed_appended_again,
  late_rejection_believed,
};
inline constexpr std::array defect_names{"none",
                                         "persisted_before_sync",
                                         "messages_before_sync",
                                         "vote_not_stored",
                                         "tail_not_truncated",
                                         "install_keeps_log",
                                         "applied_not_in_order",
                                         "contact_at_answer",
                                         "changes_not_split",
                                         "previous_change_open",
                                         "sole_voter_same_term",
                                         "pre_candidate_not_told",
                                         "stale_index_kept",
                                         "disrupt_for_ever",
                                         "learner_does_not_vote",
                                         "trimmed_appended_again",
                                         "late_rejection_believed"};

enum class count : std::uint8_t {
  message_dropped,
  message_delayed,
  message_duplicated,
  message_blocked,
  partition_full,
  partition_one_way,
  node_isolated,
  leader_faded,
  crash,
  unsynced_write_lost,
  stop,
  all_crash,
  disk_slow,
  leader_elected,
  term_lost,
  entry_acked,
  outcome_unknown,
  log_truncated,
  log_trimmed,
  transfer_asked,
  transfer_failed,
  member_added,
  member_removed,
  standby_made,
  standby_asked_of_voter,
  change_not_done,
  node_replaced,
  snapshot_offered,
  snapshot_installed,
  snapshot_failed,
  crash_while_installing,
  cut_leader_lost_lease,
  node_kept_down,
  one_voter_led,
  message_refused,
  proposal_refused,
  end_
};
inline constexpr std::array count_names{"message_dropped",
                                        "message_delayed",
                                        "message_duplicated",
                                        "message_blocked",
                                        "partition_full",
                                        "partition_one_way",
                                        "node_isolated",
                                        "leader_faded",
                                        "crash",
                                        "unsynced_write_lost",
                                        "stop",
                                        "all_crash",
                                        "disk_slow",
                                        "leader_elected",
                                        "term_lost",
                                        "entry_acked",
                                        "outcome_unknown",
                                        "log_truncated",
                                        "log_trimmed",
                                        "transfer_asked",
                                        "transfer_failed",
                                        "member_added",
                                        "member_removed",
                                        "standby_made",
                                        "standby_asked_of_voter",
                                        "change_not_done",
                                        "node_replaced",
                                        "snapshot_offered",
                                        "snapshot_installed",
                                        "snapshot_failed",
                                        "crash_while_installing",
                                        "cut_leader_lost_lease",
                                        "node_kept_down",
                                        "one_voter_led",
                                        "message_refused",
                                        "proposal_refused"};
inline constexpr auto count_end = static_cast<std::size_t>(count::end_);
static_assert(count_names.size() == count_end);

struct counters {
  std::array<std::uint64_t, count_end> of{};
  std::uint64_t events = 0;
  std::uint64_t recovery_ms_max = 0;
  std::uint64_t& operator[](count what) { return of[static_cast<std::size_t>(what)]; }
  void add(const counters& other) {
    for (std::size_t i = 0; i < of.size(); ++i)
      of[i] += other.of[i];
    events += other.events;
    recovery_ms_max = std::max(recovery_ms_max, other.recovery_ms_max);
  }
};

struct run_result {
  std::uint64_t digest = 0;  ///< of everything that happened
  std::string violated;      ///< empty: all promises were kept
  counters count;
};

/// One whole life of a cluster: faults, healing, recovery. The same seed gives the same result.
run_result run_seed(std::uint64_t seed, defect planted = defect::none, bool trace = false);

}  // namespace holdfast::sim
