#include "runtime/net/server_stream.hpp"

#include <utility>

namespace holdfast::net {

server_stream::server_stream(std::shared_ptr<reply_inbox> inbox, connection_id connection,
                             size_t bytes_max)
  : inbox_(std::move(inbox)), connection_(connection), bytes_max_(bytes_max) {}

bool server_stream::write(std::shared_ptr<const std::string> bytes) {
  if (closed_.load(std::memory_order_acquire))
    return false;
  if (!bytes || bytes->empty())
    return true;
  bool ask = false;
  bool fits = true;
  {
    std::lock_guard lock{mutex_};
    if (ending_ || overflow_ || finished_)
      return false;
    fits = bytes->size() <= bytes_max_ - unsent_;
    if (fits) {
      unsent_ += bytes->size();
      queued_ += bytes->size();
      queue_.push_back(std::move(bytes));
    } else {
      overflow_ = true;
      closed_.store(true, std::memory_order_release);
    }
    ask = !std::exchange(flush_asked_, true) || overflow_;  // a stuck write must not hide it
  }
  if (ask)
    ask_for_flush();
  return fits;
}

void server_stream::close() {
  bool ask = false;
  {
    std::lock_guard lock{mutex_};
    if (ending_ || overflow_ || finished_)
      return;
    ending_ = true;
    closed_.store(true, std::memory_order_release);
    ask = !std::exchange(flush_asked_, true);
  }
  if (ask)
    ask_for_flush();
}

bool server_stream::closed() const { return closed_.load(std::memory_order_acquire); }

void server_stream::on_close(std::function<void()> callback) {
  {
    std::lock_guard lock{mutex_};
    if (!finished_) {
      std::swap(on_close_, callback);
      return;
    }
  }
  if (callback)
    callback();
}

void server_stream::on_room(size_t unsent_max, std::function<void()> callback) {
  {
    std::lock_guard lock{mutex_};
    if (!finished_ && !overflow_ && unsent_ > unsent_max) {
      room_at_ = unsent_max;
      std::swap(on_room_, callback);
      return;
    }
  }
  callback();
}

bool server_stream::overflowed() const {
  std::lock_guard lock{mutex_};
  return overflow_;
}

server_stream::taken server_stream::take() {
  std::lock_guard lock{mutex_};
  taken out;
  if (queued_ > 0) {
    out.wants = demand::send;
    out.bytes = std::exchange(queued_, 0);
    out.pieces.swap(queue_);
  } else if (ending_) {
    out.wants = demand::end;
  } else {
    flush_asked_ = false;
  }
  return out;
}

void server_stream::sent(size_t bytes) {
  std::function<void()> room;
  {
    std::lock_guard lock{mutex_};
    unsent_ -= bytes;
    if (on_room_ && unsent_ <= room_at_)
      room = std::exchange(on_room_, nullptr);
  }
  if (room)
    room();
}

void server_stream::finish() {
  std::function<void()> callback;
  std::function<void()> room;
  {
    std::lock_guard lock{mutex_};
    if (finished_)
      return;
    finished_ = true;
    closed_.store(true, std::memory_order_release);
    queue_.clear();
    queued_ = 0;
    callback = std::move(on_close_);
    room = std::exchange(on_room_, nullptr);
  }
  if (callback)
    callback();
  if (room)
    room();
}

/// A closed inbox means that the server has stopped: nobody else would end the stream.
void server_stream::ask_for_flush() {
  if (!inbox_->push(flush_stream{shared_from_this()}))
    finish();
}

}  // namespace holdfast::net
