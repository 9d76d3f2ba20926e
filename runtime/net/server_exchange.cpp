#include "runtime/net/server_exchange.hpp"

#include <utility>

#include "runtime/net/server_stream.hpp"

namespace holdfast::net {

server_exchange::server_exchange(std::shared_ptr<reply_inbox> inbox, exchange_id id,
                                 size_t stream_bytes_max)
  : inbox_(std::move(inbox)), id_(id), stream_bytes_max_(stream_bytes_max) {}

server_exchange::~server_exchange() {
  if (!answered_)
    inbox_->push(abandon_reply{id_});
}

bool server_exchange::claim() {
  if (answered_.exchange(true))
    return false;
  if (has_callback_)
    drop_callback();
  return true;
}

void server_exchange::send(http_response&& response) {
  if (claim())
    inbox_->push(send_reply{id_, std::move(response)});
}

stream_handle server_exchange::start_stream(http_response&& head) {
  if (!claim())
    return {};
  auto stream = std::make_shared<server_stream>(inbox_, id_.connection, stream_bytes_max_);
  if (!inbox_->push(begin_stream{id_, std::move(head), stream}))
    stream->finish();
  return stream_handle{std::move(stream)};
}

void server_exchange::on_abort(std::function<void()> callback) {
  bool registered = false;
  {
    std::lock_guard lock{mutex_};
    if (answered_)
      return;
    registered = !aborted_;
    if (registered)
      std::swap(on_abort_, callback);
  }
  if (!registered) {
    if (callback)
      callback();
    return;
  }
  has_callback_ = true;
  if (answered_)  // meanwhile: `claim` may have looked too early
    drop_callback();
}

/// The callback may own a responder, and so this exchange: it must not stay.
void server_exchange::drop_callback() {
  std::function<void()> dropped;  // destroyed after the lock: it may own anything
  std::lock_guard lock{mutex_};
  dropped.swap(on_abort_);
}

void server_exchange::abort() {
  std::function<void()> callback;
  {
    std::lock_guard lock{mutex_};
    if (std::exchange(aborted_, true) || answered_)
      return;
    callback = std::move(on_abort_);
  }
  if (callback)
    callback();
}

}  // namespace holdfast::net
