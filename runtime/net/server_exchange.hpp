#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "runtime/net/reply_inbox.hpp"
#include "runtime/net/responder.hpp"

namespace holdfast::net {

/// The server's side of a responder: turns the first answer into a command for the worker.
class server_exchange final : public exchange {
public:
  server_exchange(std::shared_ptr<reply_inbox> inbox, exchange_id id, size_t stream_bytes_max);
  ~server_exchange() override;

  void send(http_response&& response) override;
  stream_handle start_stream(http_response&& head) override;
  void on_abort(std::function<void()> callback) override;

  /// For a batch: claims the right to answer. False when it is used up.
  bool claim();
  const std::shared_ptr<reply_inbox>& inbox() const noexcept { return inbox_; }
  exchange_id id() const noexcept { return id_; }

  /// The io thread: the client has closed its side.
  void abort();

private:
  void drop_callback();

  const std::shared_ptr<reply_inbox> inbox_;
  const exchange_id id_;
  const size_t stream_bytes_max_;
  std::atomic<bool> answered_{false};
  std::atomic<bool> has_callback_{false};  // spares the lock when nobody listens

  std::mutex mutex_;
  bool aborted_ = false;
  std::function<void()> on_abort_;
};

}  // namespace holdfast::net
