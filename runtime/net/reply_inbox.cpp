#include "runtime/net/reply_inbox.hpp"

#include <iterator>

namespace holdfast::net {

bool reply_inbox::push(inbox_command&& command) { return push_all({&command, 1}); }

bool reply_inbox::push_all(std::span<inbox_command> commands) {
  std::lock_guard lock{mutex_};
  if (closed_)
    return false;
  queue_.insert(queue_.end(), std::make_move_iterator(commands.begin()),
                std::make_move_iterator(commands.end()));
  if (!woken_) {
    woken_ = true;
    wake_();
  }
  return true;
}

void reply_inbox::take(std::vector<inbox_command>& out) {
  std::lock_guard lock{mutex_};
  std::swap(queue_, out);
  woken_ = false;
}

void reply_inbox::close() {
  std::lock_guard lock{mutex_};
  closed_ = true;
  wake_ = nullptr;
}

}  // namespace holdfast::net
