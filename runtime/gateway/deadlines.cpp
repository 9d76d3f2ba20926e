#include "runtime/gateway/deadlines.hpp"

namespace holdfast {

deadlines::id deadlines::add(std::int64_t due_ms, std::function<void()> action) {
  std::lock_guard lock{mutex_};
  const id which{due_ms, next_++};
  pending_.emplace(which, std::move(action));
  return which;
}

bool deadlines::call_off(const id& which) {
  std::function<void()> dropped;  // destroyed outside the lock: it may own anything
  std::lock_guard lock{mutex_};
  const auto found = pending_.find(which);
  if (found == pending_.end())
    return false;
  dropped.swap(found->second);
  pending_.erase(found);
  return true;
}

void deadlines::run_due(std::int64_t now_ms) {
  while (true) {
    std::function<void()> action;
    {
      std::lock_guard lock{mutex_};
      if (pending_.empty() || pending_.begin()->first.first > now_ms)
        return;
      action = std::move(pending_.begin()->second);
      pending_.erase(pending_.begin());
    }
    action();
  }
}

void deadlines::clear() {
  std::map<id, std::function<void()>> dropped;  // destroyed outside the lock
  std::lock_guard lock{mutex_};
  dropped.swap(pending_);
}

std::size_t deadlines::size() const {
  std::lock_guard lock{mutex_};
  return pending_.size();
}

}  // namespace holdfast
