#pragma once

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "runtime/net/reply_inbox.hpp"
#include "runtime/net/responder.hpp"

namespace holdfast::net {

/// The bytes between whoever writes a stream (any thread) and the connection that sends them (its
/// io thread). Bounded: what is queued plus what the connection holds unsent.
class server_stream final : public stream_sink, public std::enable_shared_from_this<server_stream> {
public:
  server_stream(std::shared_ptr<reply_inbox> inbox, connection_id connection, size_t bytes_max);

  // Any thread.
  bool write(std::shared_ptr<const std::string> bytes) override;
  void close() override;
  bool closed() const override;
  void on_close(std::function<void()> callback) override;
  void on_room(size_t unsent_max, std::function<void()> callback) override;

  // The io thread.
  enum class demand : uint8_t { nothing, send, end };
  struct taken {
    demand wants = demand::nothing;
    size_t bytes = 0;
    std::vector<std::shared_ptr<const std::string>> pieces;
  };
  /// What the connection shall do now. After `nothing` the stream asks anew by `flush_stream`.
  taken take();
  /// True once the bound was exceeded: the connection shall be closed, whatever is under way.
  bool overflowed() const;
  /// That many of the taken bytes are with the kernel.
  void sent(size_t bytes);
  /// The stream is over, whoever ended it. Calls `on_close`. Idempotent.
  void finish();

  connection_id connection() const noexcept { return connection_; }

private:
  void ask_for_flush();

  const std::shared_ptr<reply_inbox> inbox_;
  const connection_id connection_;
  const size_t bytes_max_;
  std::atomic<bool> closed_{false};  // no write succeeds any more

  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<const std::string>> queue_;
  size_t queued_ = 0;  // bytes in `queue_`
  size_t unsent_ = 0;  // `queued_`, and taken but not sent
  bool flush_asked_ = false;
  bool ending_ = false;  // close() was called
  bool overflow_ = false;
  bool finished_ = false;
  std::function<void()> on_close_;
  size_t room_at_ = 0;
  std::function<void()> on_room_;
};

}  // namespace holdfast::net
