#pragma once
// Things to be done at a time, unless they are called off before. Thread-safe; the owner of a clock
// drives it.

#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <utility>

namespace holdfast {

class deadlines {
public:
  using id = std::pair<std::int64_t, std::uint64_t>;

  id add(std::int64_t due_ms, std::function<void()> action);
  /// True when the action was still to come, and now never will.
  bool call_off(const id& which);
  /// Runs what is due, on this thread, without holding a lock.
  void run_due(std::int64_t now_ms);
  /// Drops what is pending, and what it owns.
  void clear();
  std::size_t size() const;

private:
  mutable std::mutex mutex_;
  std::map<id, std::function<void()>> pending_;
  std::uint64_t next_ = 0;
};

}  // namespace holdfast
