#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace holdfast::net::testing {

inline constexpr std::chrono::seconds wait_limit{20};  // only a failing test waits so long

/// Looks until the condition holds or the limit is over; says which.
template <class Condition>
bool eventually(Condition condition, std::chrono::milliseconds limit = wait_limit) {
  const auto end = std::chrono::steady_clock::now() + limit;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end)
      return false;
    std::this_thread::yield();
  }
  return true;
}

/// Carries values from callbacks to the test.
template <class T>
class channel {
public:
  void push(T value) {
    std::lock_guard lock{mutex_};
    values_.push_back(std::move(value));
    changed_.notify_all();
  }

  /// The next value; a default one after the limit.
  T pop(std::chrono::milliseconds limit = wait_limit) {
    std::unique_lock lock{mutex_};
    if (!changed_.wait_for(lock, limit, [this] { return !values_.empty(); }))
      return T{};
    T value = std::move(values_.front());
    values_.erase(values_.begin());
    return value;
  }

  /// Waits until so many values are there.
  bool wait_for_size(size_t size, std::chrono::milliseconds limit = wait_limit) {
    std::unique_lock lock{mutex_};
    return changed_.wait_for(lock, limit, [&] { return values_.size() >= size; });
  }

  size_t size() {
    std::lock_guard lock{mutex_};
    return values_.size();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<T> values_;
};

}  // namespace holdfast::net::testing
