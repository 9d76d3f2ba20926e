#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>

namespace holdfast::net {

/// One peer's counters over all its connections. Written by the io thread (`refused_sends` by any),
/// read by any.
struct link_peer_counters {
  std::atomic<uint64_t> bytes_in = 0;
  std::atomic<uint64_t> bytes_out = 0;
  std::atomic<uint64_t> frames_in = 0;
  std::atomic<uint64_t> frames_out = 0;
  std::atomic<uint64_t> writes = 0;
  std::atomic<uint64_t> connects = 0;
  std::atomic<uint64_t> refused_sends = 0;

  void set_last_failure(const std::string& why) {
    std::lock_guard lock{mutex_};
    last_failure_ = why;
  }
  std::string last_failure() const {
    std::lock_guard lock{mutex_};
    return last_failure_;
  }

private:
  mutable std::mutex mutex_;
  std::string last_failure_;
};

/// Adds without a locked instruction: for counters that one thread writes.
inline void add_alone(std::atomic<uint64_t>& to, uint64_t value) {
  to.store(to.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

}  // namespace holdfast::net
