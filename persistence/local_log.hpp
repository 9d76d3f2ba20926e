#pragma once
// The log of a single node: one bounded queue, one commit thread, one fsync for everything that gathered while the last
// one ran, acks after it (facts/storage.md §7).

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "persistence/commit_log.hpp"
#include "persistence/log_state.hpp"
#include "persistence/queue_room.hpp"

namespace holdfast {

struct local_log_options {
  std::size_t queue_records_max = 16'384;         ///< proposed and not yet durable (queue_room.hpp)
  std::size_t queue_bytes_max = 64U << 20;        ///< of these, in memory (record_size.hpp)
  std::size_t group_bytes_max = 4U << 20;         ///< of records, in memory, in one durable write
  std::chrono::milliseconds settle_after{2'000};  ///< without a record; then the store settles
  std::size_t settle_bytes_min = 4U << 20;        ///< given to the store since it settled last
};

class local_log final : public commit_log {
public:
  /// What it is given must outlive it. `on_failure` is called on the commit thread; when it returns
  /// (in a test), the log leads nothing any more and drops what is queued. Default: `end_process`.
  local_log(store& into, state_machine& machine, commit_listener& listener,
            local_log_options options = {}, fail_stop on_failure = {});
  ~local_log() override;  ///< stops

  /// Raises the term of all groups in one durable write, tells the listener from this thread that it leads them, then
  /// starts the commit thread. Once. Errors: of the store, `corrupt`; nothing was started.
  status start(const std::vector<group_id>& groups);
  /// Commits and reports what is queued, then joins the thread. Proposals from now on are `not_leader`. The listener
  /// does not hear `lost`: who stops the log knows.
  void stop();

  status propose(group_id group, std::uint64_t term,
                 std::shared_ptr<const turn_record> record) override;
  bool leads(group_id group, std::uint64_t term) const noexcept override;
  counters count() const noexcept override;

private:
  struct queued {
    std::shared_ptr<const turn_record> record;
    std::size_t bytes = 0;
    group_id group = 0;
  };
  struct group_log {
    log_state
      state;  // the term is fixed after start, the index belongs to the commit thread; term 0: not ours
    std::vector<std::shared_ptr<const turn_record>> entry;  // of the write that is being made
  };
  using batch = std::vector<queued>;

  void run();
  bool next_batch(batch& out);
  void wait_for_work(std::unique_lock<std::mutex>& lock);
  bool commit(batch::iterator from, batch::iterator to);
  void release(std::size_t records, std::size_t bytes);
  void fail(const error& why);

  store& store_;
  state_machine& machine_;
  commit_listener& listener_;
  const local_log_options options_;
  const fail_stop on_failure_;

  std::vector<group_log> groups_;    // by number
  std::vector<group_id> touched_;    // groups with an entry in the write that is being made
  write_set writes_;                 // reused
  std::size_t unsettled_bytes_ = 0;  // of the commit thread

  std::mutex mutex_;
  std::condition_variable wake_;
  batch queue_;
  queue_room room_;
  bool sleeping_ = false;
  bool stopping_ = false;
  std::atomic<bool> leading_{false};
  std::thread thread_;

  std::atomic<std::uint64_t> records_{0};
  std::atomic<std::uint64_t> writes_made_{0};
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<std::uint64_t> refused_{0};
};

}  // namespace holdfast
