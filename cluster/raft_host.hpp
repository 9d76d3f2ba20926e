#pragma once
// Consensus of one node: all its groups, without threads, clocks, sockets or disks. A shell feeds
// it and drains it after every input.
//
// The shell's duties, in which safety lies:
//   1. A batch is written whole, in order of number, into the write-ahead log that also holds the
//   applied state, and
//      reported with `persisted` only when it is durable.
//   2. A message with `after_batch` leaves only when that batch is durable.
//   3. Committed entries are applied in order, after the batch they name is written, and then
//   reported with `applied`.
//   4. Times come from a steady clock that goes on while the machine sleeps, and never go back.

#include <deque>
#include <limits>
#include <map>
#include <utility>

#include "cluster/raft_group.hpp"

namespace holdfast::consensus {

/// Not thread-safe. All times in milliseconds. Entry data is shared, not copied. A broken invariant
/// ends the process.
class raft_host {
public:
  explicit raft_host(host_options options);

  /// Once per group, with what is stored of it; an empty one joins when a leader writes to it. A
  /// group with this node as its only voter leads as soon as the first batch is durable. Errors:
  /// `corrupt`.
  status start(std::uint64_t now_ms, group_id group, const stored_group& stored);

  /// At least a few times per heartbeat, and when one is due; first of all after the process was
  /// held up.
  void tick(std::uint64_t now_ms);
  /// When the next one is due for what is committed, in the future or the past; far away: none is.
  std::uint64_t tick_due_ms() const noexcept { return tick_due_ms_; }
  /// Errors: `not_found` for an unknown group, `malformed` for what no correct peer sends; nothing
  /// has changed.
  status receive(std::uint64_t now_ms, group_id group, node_id from, const message& body);
  /// All batches up to this number are durable.
  void persisted(std::uint64_t now_ms, std::uint64_t batch);
  /// The state of the group holds everything up to this index, in the write-ahead log at least.
  void applied(std::uint64_t now_ms, group_id group, std::uint64_t index);

  /// Gives the entry's index; it is committed when it comes back, in this term, in
  /// `entries_committed`. Errors: `not_leader` (not appended; the term is over here), `overloaded`
  /// (not appended).
  result<std::uint64_t> propose(std::uint64_t now_ms, group_id group, std::uint64_t term,
                                std::shared_ptr<const std::string> data);

  /// Lets that voter lead. Proposals are `overloaded` meanwhile. Within about an election timeout
  /// leadership is lost, or `transfer_failed` is told (and lost as well when the request had been
  /// sent). Errors: `not_leader`, `not_found`, `conflict` (not now, or it has not acknowledged
  /// enough lately: see `raft_group::can_take_over`).
  status transfer(std::uint64_t now_ms, group_id group, node_id to);
  /// Makes the node a voter or a standby, whatever it was: a new one is a spare until it has caught up. Ends
  /// with
  /// `change_ended`. One at a time per group; asked for again it goes on where it was. A leader stays a voter. Errors:
  /// `not_leader`, `conflict`, `malformed`.
  status add_member(std::uint64_t now_ms, group_id group, member wanted);
  /// Ends with `change_ended`. A leader does not remove itself: transfer first (`conflict`). Errors
  /// as above.
  status remove_member(std::uint64_t now_ms, group_id group, node_id id);

  /// Answer to `snapshot_wanted`: a pinned state that has applied exactly `index`. Errors:
  /// `not_leader`, `conflict` (let it go; it will be asked for again).
  status offer_snapshot(std::uint64_t now_ms, group_id group, node_id to, std::uint64_t term,
                        std::uint64_t snapshot_id, std::uint64_t index);
  /// Answers to `install_wanted`: it is here, and a batch will ask to install it; or it cannot be
  /// had. Errors: `conflict`, when nobody waits for it any more.
  status snapshot_fetched(group_id group, std::uint64_t snapshot_id);
  status snapshot_failed(std::uint64_t now_ms, group_id group, std::uint64_t snapshot_id);

  /// What the inputs since the last call ask for.
  output take();

  /// True while this node leads in this term and no other node can: a quorum has heard something
  /// that is younger than the lease. Asked again before every effect.
  bool leads(group_id group, std::uint64_t term, std::uint64_t now_ms) const;
  /// Until when it does, if nothing else happens; 0: it does not. To be published to other threads.
  std::uint64_t lease_until(group_id group, std::uint64_t now_ms) const;
  node_id leader_hint(group_id group) const;  ///< 0: not known
  const raft_group* find(group_id group) const;
  const host_options& options() const noexcept { return options_; }

private:
  static constexpr auto never_ms = std::numeric_limits<std::uint64_t>::max();
  raft_group* group_of(group_id group);
  group_sink sink() { return {output_, next_batch_, durable_, tick_due_ms_}; }
  template <class Input>
  auto with(group_id group, Input input) -> decltype(input(std::declval<raft_group&>()));

  const host_options options_;
  std::map<group_id, raft_group> groups_;
  output output_;
  std::uint64_t next_batch_ = 1;
  std::uint64_t durable_ = 0;
  std::uint64_t tick_due_ms_ = never_ms;
  std::deque<std::pair<std::uint64_t, group_id>>
    waiting_;  // groups with writes in batches not yet durable
};

}  // namespace holdfast::consensus
