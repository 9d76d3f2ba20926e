#pragma once
// One thread that keeps so many operations of something asynchronous outstanding, and measures each from its start to
// the moment this thread learns of its end.

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <span>
#include <utility>
#include <vector>

#include "tools/bench/latency.hpp"

namespace holdfast::bench {

/// Numbers of operations that are done; thread-safe.
class completions {
public:
  void add(std::span<const std::uint32_t> numbers) {
    bool wake = false;
    {
      const std::lock_guard lock{mutex_};
      done_.insert(done_.end(), numbers.begin(), numbers.end());
      wake = std::exchange(sleeping_, false);
    }
    if (wake)
      wake_.notify_one();
  }
  /// Waits until there are some.
  void take(std::vector<std::uint32_t>& into) {
    into.clear();
    std::unique_lock lock{mutex_};
    while (done_.empty()) {
      sleeping_ = true;
      wake_.wait(lock);
    }
    into.swap(done_);
  }

private:
  std::mutex mutex_;
  std::condition_variable wake_;
  std::vector<std::uint32_t> done_;
  bool sleeping_ = false;
};

struct loop_result {
  std::uint64_t operations = 0;
  double seconds = 0;
  latency_histogram latency;
};

/// Runs `start(slot)` for `slots` slots in turn, `outstanding` at a time; each comes back through `done`. The window opens
/// after `warmup`; `on_open` is called then.
loop_result run_closed_loop(std::uint32_t slots, std::size_t outstanding,
                            std::chrono::nanoseconds warmup, std::chrono::nanoseconds length,
                            const std::function<void(std::uint32_t)>& start, completions& done,
                            const std::function<void()>& on_open);

}  // namespace holdfast::bench
