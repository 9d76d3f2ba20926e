#pragma once
// What waits for the thread of the replicated log, and which terms it takes records for.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "cluster/raft_host.hpp"
#include "persistence/queue_room.hpp"
#include "schemas/codec_consensus.hpp"
#include "schemas/fact.hpp"

namespace holdfast {

/// A record on its way into the log.
struct proposal {
  std::shared_ptr<const turn_record> record;
  std::size_t bytes = 0;  ///< in memory
  group_id group = 0;
  std::uint64_t term = 0;  ///< in which it was proposed, and in no other counts
};

/// Filled by any thread, emptied by the log's.
class log_inbox {
public:
  /// Runs on the log's thread, between two steps.
  using task = std::function<void(consensus::raft_host& host, std::uint64_t now_ms)>;
  struct received {
    consensus::node_id from = 0;
    std::vector<codec::group_message> messages;
    std::shared_ptr<void> held;  ///< let go when they are dealt with
  };
  struct batch {
    std::vector<proposal> proposals;
    std::vector<received> messages;
    std::vector<task> tasks;
    bool empty() const { return proposals.empty() && messages.empty() && tasks.empty(); }
    void clear();  ///< keeps the memory
  };

  log_inbox(std::size_t records_max, std::size_t bytes_max, std::size_t messages_max)
    : messages_max_(messages_max), room_(records_max, bytes_max) {}

  // ---- any thread
  /// Errors: `not_leader` (the term is not open), `overloaded`; the record was not taken.
  status propose(group_id group, std::uint64_t term, std::shared_ptr<const turn_record> record);
  /// Dropped when too many wait, as a network does, and after `stop`.
  void receive(received what);
  void post(task what);  ///< dropped after `stop`
  /// Nothing is taken from now on, and `next` is false at once.
  void stop();
  std::uint64_t refused() const noexcept { return refused_; }  ///< overloaded, so far

  // ---- the log's thread
  /// Swaps what came since for `out`, which is empty; waits for something at most that long. False: stopped.
  bool next(batch& out, std::chrono::milliseconds wait_max);
  /// Records of that term are taken. One term of a group at a time.
  void open(group_id group, std::uint64_t term);
  /// None is, when this returns.
  void close(group_id group);
  /// The outcome of so many records is known, or was told to be unknown.
  void release(std::size_t records, std::size_t bytes);
  /// Drops what waits.
  void clear();

private:
  void wake(std::unique_lock<std::mutex>& lock);

  const std::size_t messages_max_;
  std::mutex mutex_;
  std::condition_variable wake_;
  batch waiting_;
  std::size_t messages_ = 0;
  std::vector<std::uint64_t> terms_;  // open ones, by group; 0: none
  queue_room room_;
  bool sleeping_ = false;
  bool stopped_ = false;
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace holdfast
