#pragma once
// One group on one node: the core, what of it is durable, applied and told, and what a leader does
// beside it (changes of members, transfers, snapshots for those behind). Private to raft_*.

#include <deque>
#include <map>

#include "cluster/raft_core.hpp"
#include "cluster/raft_lease.hpp"
#include "cluster/raft_output.hpp"

namespace holdfast::consensus {

struct host_options {
  core_options core;  ///< its seed is mixed with the group's number
  /// How long a quorum contact is good for; at most the election timeout. The difference is what
  /// the clocks of two nodes may drift apart within one.
  std::uint32_t lease_ms = 900;
  std::uint64_t trailing_entries = 50'000;  ///< kept behind the applied index, for members that lag
  std::size_t trailing_bytes = 64U << 20;   ///< the same, of data
  /// So many times as much is kept, at most, for a member that has a snapshot on its way to it and
  /// needs what comes behind: all of it is in memory.
  std::uint64_t trailing_held_times_max = 4;
  std::uint64_t trim_step_entries = 1024;  ///< trimmed when this many are too many
  std::uint64_t takeover_lag_max = 256;    ///< entries that a successor may lack when it is asked
  std::uint64_t uncommitted_entries_max = 4096;  ///< proposals beyond are `overloaded`
  std::size_t uncommitted_bytes_max = 64U << 20;
  /// So long a leader waits for an entry to tell the others what is committed by, before it does
  /// so without.
  std::uint32_t commit_news_ms = 5;
  std::uint32_t change_ms_max = 120'000;  ///< for one change of members, catching up included
};

/// Where a group puts what it asks for: the output of its host, and the number of the batch that is
/// being filled.
struct group_sink {
  output& out;
  std::uint64_t batch = 0;
  std::uint64_t durable = 0;   ///< batches up to this one are
  std::uint64_t& tick_due_ms;  ///< of all groups; a group only brings it nearer
};

class raft_group {
public:
  raft_group(group_id id, const host_options& options) : id_(id), options_(options) {}

  status start(const stored_group& stored, std::uint64_t now_ms, group_sink sink);
  void tick(std::uint64_t now_ms, group_sink sink);
  status receive(std::uint64_t now_ms, node_id from, const message& body, group_sink sink);
  /// All batches up to `sink.durable` are.
  void persisted(std::uint64_t now_ms, group_sink sink);
  void applied(std::uint64_t now_ms, std::uint64_t index, group_sink sink);
  result<std::uint64_t> propose(std::uint64_t now_ms, std::uint64_t term,
                                std::shared_ptr<const std::string> data, group_sink sink);
  status transfer(std::uint64_t now_ms, node_id to, group_sink sink);
  status add_member(std::uint64_t now_ms, member wanted, group_sink sink);
  status remove_member(std::uint64_t now_ms, node_id id, group_sink sink);
  status offer_snapshot(std::uint64_t now_ms, node_id to, std::uint64_t term,
                        std::uint64_t snapshot_id, std::uint64_t index, group_sink sink);
  status snapshot_fetched(std::uint64_t snapshot_id, group_sink sink);
  status snapshot_failed(std::uint64_t now_ms, std::uint64_t snapshot_id, group_sink sink);

  bool leads(std::uint64_t term, std::uint64_t now_ms) const;
  std::uint64_t lease_until(std::uint64_t now_ms) const;
  const raft_core& core() const noexcept { return *core_; }
  std::uint64_t applied_index() const noexcept { return applied_; }
  std::uint64_t leading_term() const noexcept { return leading_term_; }
  /// A change of members that was asked for here is under way.
  bool is_changing() const noexcept { return change_.has_value(); }
  bool is_transferring() const noexcept { return transfer_.has_value(); }
  /// This node leads, and that voter has acknowledged almost everything, within the lease.
  bool can_take_over(std::uint64_t now_ms, node_id who) const;

private:
  struct append_pending {
    std::uint64_t batch = 0;
    std::uint64_t last = 0;
  };
  struct install_state {
    core_update::install what;
    std::uint64_t batch = 0;  // that stores it; 0: not fetched yet
    bool failed = false;
  };
  struct change_state {
    bool adding = true;
    member who;  // and what it shall be
    std::uint64_t deadline_ms = 0;
    bool catching_up = false;  // asked for by this change
  };
  struct transfer_state {
    node_id to = 0;
    std::uint64_t deadline_ms = 0;
    bool sent = false;
  };
  struct offer {
    std::uint64_t snapshot_id = 0;
    snapshot_metadata metadata;
    std::uint64_t made_ms = 0;
  };
  struct fetching {
    std::uint64_t index = 0;  // of the oldest snapshot that it may be fetching
    std::uint64_t offered_ms = 0;
  };

  void take(std::uint64_t now_ms, raft_core::updates&& updates, group_sink sink);
  void take_append(const core_update::append& appended, group_sink sink);
  void send(std::uint64_t now_ms, core_update::addressed&& m, group_sink sink);
  void send_or_want_snapshot(std::uint64_t now_ms, node_id to, const install_snapshot& m,
                             group_sink sink);
  void put_message(node_id to, message body, group_sink sink);
  void watch_leadership(group_sink sink);
  void tell_committed(group_sink sink);
  void note_commit(std::uint64_t now_ms, group_sink sink);
  void tell_members(std::uint64_t now_ms, group_sink sink);
  void settle(std::uint64_t now_ms, group_sink sink);
  void drive_transfer(std::uint64_t now_ms, group_sink sink);
  void drive_change(std::uint64_t now_ms, group_sink sink);
  void end_change(errc outcome, group_sink sink);
  status begin_change(std::uint64_t now_ms, change_state wanted, group_sink sink);
  void trim(std::uint64_t now_ms, group_sink sink);
  std::uint64_t held_from(std::uint64_t now_ms);
  void trim_at(std::uint64_t now_ms, std::uint64_t index, std::uint64_t first_kept,
               group_sink sink);
  void restart_if_failed(std::uint64_t now_ms, group_sink sink);
  log_write& writes(group_sink sink, bool sync);
  status not_leader() const;

  const group_id id_;
  const host_options options_;
  std::unique_ptr<raft_core> core_;
  std::uint64_t started_ms_ = 0;
  std::uint64_t applied_ = 0;                     // by the shell
  std::uint64_t told_ = 0;                        // committed, up to here
  std::uint64_t hard_batch_ = 0;                  // holds the newest hard state
  std::uint64_t written_batch_ = 0;               // holds the newest write
  std::uint64_t synced_batch_ = 0;                // holds the newest write that must become durable
  std::deque<append_pending> pending_;            // appended and not durable, oldest first
  std::uint64_t leading_term_ = 0;                // 0: does not lead
  std::map<node_id, std::uint64_t> commit_sent_;  // as a leader: the newest in a message to them
  std::uint64_t commit_noted_ = 0;
  std::uint64_t news_due_ms_ = 0;
  std::size_t uncommitted_bytes_ = 0;
  quorum_contact contact_;
  node_id heard_from_ = 0;            // as a follower: the leader,
  std::uint64_t heard_term_ = 0;      // its term,
  std::uint64_t heard_clock_ms_ = 0;  // and its clock in the newest of its messages
  std::optional<install_state> install_;
  std::optional<change_state> change_;
  std::optional<transfer_state> transfer_;
  std::map<node_id, offer> offers_;
  std::map<node_id, fetching> fetching_;  // until they have caught up
};

}  // namespace holdfast::consensus
