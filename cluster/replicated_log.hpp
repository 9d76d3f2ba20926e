#pragma once
// The log of a cluster: what a majority of a group's members has on disk is committed (DESIGN §6). A shell around the
// consensus host; the rules that it keeps to are in cluster/README.md.

#include <atomic>
#include <deque>
#include <map>
#include <thread>
#include <vector>

#include "cluster/group_proposals.hpp"
#include "cluster/group_standing.hpp"
#include "cluster/log_inbox.hpp"
#include "cluster/published_groups.hpp"
#include "cluster/raft_host.hpp"
#include "cluster/raft_store.hpp"
#include "cluster/snapshot_exchange.hpp"
#include "cluster/transfer_pauses.hpp"
#include "persistence/commit_log.hpp"
#include "schemas/codec_consensus.hpp"

namespace holdfast {

struct replicated_log_options {
  consensus::host_options host;
  std::size_t queue_records_max = 16'384;    ///< neither committed nor lost (queue_room.hpp)
  std::size_t queue_bytes_max = 64U << 20;   ///< of these, in memory (record_size.hpp)
  std::size_t entry_bytes_max = 1U << 20;    ///< of records, in memory, in one entry
  std::size_t inbox_messages_max = 100'000;  ///< from peers; more are dropped, as a network does
  std::uint32_t tick_ms = 10;                ///< a few per heartbeat
};

/// How the log reaches other nodes. Called on the log's thread; must not block. What cannot be sent may be dropped.
class consensus_peers {
public:
  virtual ~consensus_peers() = default;
  virtual void send(consensus::node_id to, std::vector<codec::group_message> messages) = 0;
};

class replicated_log final : public commit_log {
public:
  /// What it is given must outlive it.
  replicated_log(store& into, state_machine& machine, commit_listener& listener,
                 consensus_peers& peers, snapshot_exchange& snapshots,
                 replicated_log_options options, fail_stop on_failure = {});
  ~replicated_log() override;  ///< stops

  /// Reads what is stored of every group, gives those without anything their first members (none: it waits to be
  /// added by a leader), and starts the thread. Once. Errors: of the store, `corrupt`; nothing was started.
  status start(const std::map<group_id, consensus::configuration>& groups);
  /// Joins the thread. What is queued is not committed by this node, and the listener does not hear `lost`: who stops
  /// the log knows. Proposals from now on are `not_leader`.
  void stop();

  status propose(group_id group, std::uint64_t term,
                 std::shared_ptr<const turn_record> record) override;
  /// A majority has heard this node within the lease. Reads a clock; no lock.
  bool leads(group_id group, std::uint64_t term) const noexcept override;
  bool leads(group_id group) const noexcept;  ///< in whatever term
  counters count() const noexcept override;

  /// A snapshot that was to be fetched is here, or cannot be had; any thread.
  void fetched(group_id group, std::uint64_t snapshot_id, bool is_here);
  /// From the link; any thread. `held` is let go when the messages are dealt with.
  void receive(consensus::node_id from, std::vector<codec::group_message> messages,
               std::shared_ptr<void> held = {});
  /// Any thread. Dropped when the log is stopped.
  void post(log_inbox::task what);
  /// Any thread; as of the last tick.
  std::vector<group_standing> standings() const;
  consensus::node_id leader_of(group_id group) const noexcept;  ///< 0: not known
  std::uint64_t applied(group_id group) const noexcept;
  std::uint64_t snapshots_installed() const noexcept { return installed_; }
  /// For how long no leader has been known here; 0: there is one.
  std::int64_t leaderless_ms(group_id group) const noexcept;

private:
  /// Of the log's thread.
  struct group_log {
    std::uint64_t led_term =
      0;  // raft's leadership; records are taken when its first entry is applied
    std::uint64_t first_own = 0;  // index of that entry; 0: not appended yet
    bool listening = false;       // the listener was told that it leads
    std::uint64_t applied = 0;
    consensus::stored_range stored;
    group_proposals proposals;
    transfer_pauses pauses;
  };

  // ---- replicated_log: its life, what comes in and what goes out
  void run();
  std::chrono::milliseconds until_tick() const;
  void take(log_inbox::batch& taken);
  void propose_waiting(group_id group, group_log& g);
  void propose_first(group_id group, group_log& g);
  void release(const group_proposals::dropped& what);
  bool drain();
  void send(std::vector<consensus::outgoing>& messages);
  void flush();
  bool write(const consensus::write_batch& batch);
  void erase_leftovers();
  void publish();
  std::vector<consensus::node_id> successors(const consensus::raft_group& of,
                                             const transfer_pauses& pauses) const;
  void fail(const error& why);

  // ---- replicated_log_apply: what is agreed
  bool handle(const std::vector<consensus::event>& events);
  void gained(const consensus::leadership_gained& what);
  void lost(const consensus::leadership_lost& what);
  bool apply(const consensus::entries_committed& what, std::size_t& done);
  bool write_applied();
  void tell_applied();

  // ---- replicated_log_snapshots: the state of a group to and from other nodes
  bool install(const consensus::log_write& what);
  void wanted(const consensus::snapshot_wanted& what);
  bool offer(const consensus::snapshot_wanted& what);
  void offer_again();

  store& store_;
  state_machine& machine_;
  commit_listener& listener_;
  consensus_peers& peers_;
  snapshot_exchange& snapshots_;
  const replicated_log_options options_;
  const fail_stop on_failure_;

  // of the log's thread
  std::unique_ptr<consensus::raft_host> host_;
  std::map<group_id, group_log> groups_;
  std::uint64_t now_ms_ = 0;
  std::uint64_t tick_at_ms_ = 0;
  std::uint64_t durable_ = 0;
  std::vector<consensus::snapshot_wanted> offers_late_;  // could not be made yet
  std::deque<consensus::outgoing> held_;                 // until a batch is durable
  std::map<consensus::node_id, std::vector<codec::group_message>> outgoing_;
  write_set writes_;  // reused
  struct applied_entries {
    group_id group = 0;
    std::uint64_t last = 0;
    std::uint64_t cut = 0;                                     // epoch, when it ends with one
    std::vector<std::shared_ptr<const turn_record>> own;       // of the term that is led
    std::vector<std::shared_ptr<const turn_record>> followed;  // of others
    group_proposals::dropped settled;                          // of `own`
  };
  std::vector<applied_entries> applied_;  // in `writes_`

  log_inbox inbox_;
  published_groups published_;
  std::thread thread_;

  std::atomic<std::uint64_t> records_{0};
  std::atomic<std::uint64_t> writes_made_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> installed_{0};
};

}  // namespace holdfast
