#pragma once
// Definitions are acknowledged when every node that is up has them.

#include <atomic>
#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "cluster/peers_heard.hpp"

namespace holdfast {

/// Thread-safe. Times in milliseconds, of one steady clock. Indexes are of group 0.
class definition_barrier {
public:
  static constexpr std::int64_t wait_ms_max = 2'000;  ///< then it is acknowledged nevertheless

  // ---- what this node has read
  /// Definitions have changed, and will be read: what this node says of them waits.
  void change() noexcept { ++pending_; }
  /// They are read, as of that index at least. Once for each `change`; by one thread at a time.
  void read(std::uint64_t index) noexcept;
  /// What it has of them when it has applied that much, which was found out before this is asked.
  std::uint64_t read_up_to(std::uint64_t applied) const noexcept;

  // ---- who waits for the other nodes
  void wait(std::uint64_t index, std::int64_t now_ms, std::function<void()> then);
  /// Calls back who has waited long enough.
  void tick(std::int64_t now_ms, const peers_heard& heard);
  std::uint64_t late() const noexcept { return late_; }  ///< so many were called back too early

private:
  struct waiting {
    std::uint64_t index = 0;
    std::int64_t deadline_ms = 0;
    std::function<void()> then;
  };

  std::atomic<std::uint64_t> read_{0};
  std::atomic<std::uint64_t> pending_{0};
  std::atomic<std::uint64_t> late_{0};
  std::mutex mutex_;
  std::vector<waiting> waiting_;
};

}  // namespace holdfast
