#pragma once
// A commit log without threads, for tests and simulation: nothing happens until it is cranked by hand, and the same
// calls have the same outcome every time. Faults are decided by the caller.

#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "persistence/commit_log.hpp"

namespace holdfast {

/// `propose`, `leads`, `count` and `queued` may be called from any thread and from the listener; the others from one
/// thread, which is the one that calls the listener. What it is given must outlive it.
///
/// An error of the store is final, as in production: the log leads nothing any more and answers every call with
/// `not_leader` or that error, without a word to the listener, until `crash`.
class memory_log final : public commit_log {
public:
  static constexpr auto unlimited = std::numeric_limits<std::size_t>::max();

  memory_log(store& target, state_machine& machine, commit_listener& listener);

  status propose(group_id group, std::uint64_t term,
                 std::shared_ptr<const turn_record> record) override;
  bool leads(group_id group, std::uint64_t term) const noexcept override;
  counters count() const noexcept override;

  /// Starts the group's next term here, durably, and tells the listener. Aborts when the group is led already.
  /// Gives the term. Errors: those of the store; `corrupt`.
  result<std::uint64_t> lead(group_id group);
  /// Commits one entry of one group, the next one in turn that has records queued, and tells the listener.
  /// Gives the number of records; 0: nothing was queued anywhere. Errors: those of the store.
  result<std::size_t> step(std::size_t max_records_per_group = unlimited);
  /// The same for this group.
  result<std::size_t> step_group(group_id group, std::size_t max_records = unlimited);
  /// Steps until nothing is queued, what the listener proposes meanwhile included. Gives the number of records.
  result<std::size_t> drain(std::size_t max_records_per_group = unlimited);

  std::size_t queued() const noexcept;                ///< records, of all groups
  std::size_t queued(group_id group) const noexcept;  ///< records

  /// Asked for every record of the present term: `ok`, or why it is not appended. Called by the thread that proposes.
  std::function<errc(group_id, const turn_record&)> on_propose;
  /// Ends the group's term here: what is queued is committed without telling, or dropped. Then the listener hears
  /// `lost` with `unknown_outcome`. Nothing when the group is not led. Errors: those of the store.
  status depose(group_id group, bool apply_queued);
  /// A power cut: no group is led, nothing is queued, and a `memory_store` loses what was not synced. The listener
  /// hears nothing. With `apply_queued` it came just after the write: what was queued is durable, and nobody was told.
  /// Counters go on.
  void crash(bool apply_queued = false);

private:
  using queue = std::deque<std::shared_ptr<const turn_record>>;
  using batch = std::vector<std::shared_ptr<const turn_record>>;
  struct group_state {
    std::uint64_t term = 0;
    std::uint64_t index = 0;  ///< of the last entry
    bool leading = false;
    queue waiting;
  };

  /// Applies and writes the records as this entry of the group.
  status commit(group_id group, std::uint64_t term, std::uint64_t index, const batch& records);
  status commit_all(group_id group, std::uint64_t term, std::uint64_t index,
                    std::deque<std::shared_ptr<const turn_record>> waiting);
  void apply_unheard();
  error fail(error why);

  store& store_;
  state_machine& machine_;
  commit_listener& listener_;

  mutable std::mutex mutex_;  // over what follows; never held while somebody else's code runs
  std::map<group_id, group_state> groups_;
  counters count_;
  error failed_;
  group_id last_stepped_ = std::numeric_limits<group_id>::max();
};

}  // namespace holdfast
