#include "cluster/worker_thread.hpp"

namespace holdfast {

worker_thread::worker_thread() : thread_([this] { run(); }) {}

worker_thread::~worker_thread() { stop(); }

void worker_thread::post(std::function<void()> work) {
  {
    const std::lock_guard lock{mutex_};
    if (ended_)
      return;
    queue_.push_back(std::move(work));
  }
  wake_.notify_one();
}

void worker_thread::stop() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable())
    thread_.join();
}

void worker_thread::run() {
  std::unique_lock lock{mutex_};
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) {
      ended_ = true;
      return;
    }
    auto work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    lock.lock();
  }
}

ticker::ticker(std::chrono::milliseconds period, std::function<void()> on_tick)
  : thread_([this, period, on_tick = std::move(on_tick)] {
      std::unique_lock lock{mutex_};
      while (!wake_.wait_for(lock, period, [this] { return stopping_; })) {
        lock.unlock();
        on_tick();
        lock.lock();
      }
    }) {}

ticker::~ticker() {
  {
    const std::lock_guard lock{mutex_};
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

}  // namespace holdfast
