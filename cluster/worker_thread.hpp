#pragma once
// Threads of the composition root: one for work that may block a little, one that ticks.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace holdfast {

/// Runs what it is given, in order, on its own thread.
class worker_thread {
public:
  worker_thread();
  ~worker_thread();  ///< stops
  /// After `stop` it is dropped at once: what it holds need not outlive this.
  void post(std::function<void()> work);
  /// Runs what is queued and what that posts, then joins.
  void stop();

private:
  void run();
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  bool ended_ = false;
  std::thread thread_;
};

/// Calls back at a fixed rate until destroyed.
class ticker {
public:
  ticker(std::chrono::milliseconds period, std::function<void()> on_tick);
  ~ticker();

private:
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace holdfast
