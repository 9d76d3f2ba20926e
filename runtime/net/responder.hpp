#pragma once

#include <functional>
#include <memory>
#include <string>

#include "runtime/net/http_message.hpp"

namespace holdfast::net {

/// What stands behind a `stream_handle`. The server implements it over a connection; a test
/// implements it over a vector. Every function may be called from any thread.
class stream_sink {
public:
  virtual ~stream_sink() = default;
  virtual bool write(std::shared_ptr<const std::string> bytes) = 0;
  virtual void close() = 0;
  virtual bool closed() const = 0;
  virtual void on_close(std::function<void()> callback) = 0;
  virtual void on_room(size_t, std::function<void()> callback) { callback(); }
};

/// A response whose body is still being written (SSE). Copyable; copies are the same stream.
/// Every function may be called from any thread, also after the connection or the server is gone.
/// The stream outlives its handles: it ends by `close()`, by the client, or by the server.
class stream_handle {
public:
  stream_handle() = default;  ///< a closed stream
  explicit stream_handle(std::shared_ptr<stream_sink> sink) : sink_(std::move(sink)) {}

  /// Queues bytes; everything queued while a write is under way goes out in the next one. False
  /// when the stream is closed, or when these bytes exceed the bound on unsent bytes
  /// (`stream_bytes_max`): then nothing more is sent and the connection is closed, so that a client
  /// sees a broken stream and resumes by cursor, never a stream with a gap.
  bool write(std::shared_ptr<const std::string> bytes) const {
    return sink_ && sink_->write(std::move(bytes));
  }
  bool write(std::string bytes) const {
    return write(std::make_shared<const std::string>(std::move(bytes)));
  }

  /// Ends the body properly once everything queued is written. Idempotent.
  void close() const {
    if (sink_)
      sink_->close();
  }

  /// True once no write can succeed any more.
  bool closed() const { return !sink_ || sink_->closed(); }

  /// Calls back once, when the client is gone, the bound was exceeded, the server stopped, or
  /// `close()` has flushed everything: on the io thread, or at once on this thread when that has
  /// already happened. A second callback replaces the first. It must not block or throw.
  void on_close(std::function<void()> callback) const {
    if (sink_)
      sink_->on_close(std::move(callback));
    else
      callback();
  }

  /// Calls back once, when at most that many bytes are unsent or the stream is over: on the io thread, or at once on this
  /// thread when that is so already. For who writes more than the bound on unsent bytes. A second callback replaces the
  /// first. It must not block or throw. A stream that another node carries calls back at once.
  void on_room(size_t unsent_max, std::function<void()> callback) const {
    if (sink_)
      sink_->on_room(unsent_max, std::move(callback));
    else
      callback();
  }

private:
  std::shared_ptr<stream_sink> sink_;
};

/// What stands behind a `responder`; see `stream_sink`.
class exchange {
public:
  virtual ~exchange() = default;
  virtual void send(http_response&& response) = 0;
  virtual stream_handle start_stream(http_response&& head) = 0;
  virtual void on_abort(std::function<void()> callback) = 0;
};

/// The right to answer one request, once. Copyable; copies share that right. Every function may be
/// called from any thread, also after the connection or the server is gone. When the last copy goes
/// without an answer, the client gets a 500.
class responder {
public:
  responder() = default;  ///< answers nobody
  explicit responder(std::shared_ptr<net::exchange> ex) : exchange_(std::move(ex)) {}

  /// Answers. The first of `send` and `start_stream` counts, later calls do nothing.
  void send(http_response response) const {
    if (exchange_)
      exchange_->send(std::move(response));
  }

  /// Sends the head (its body, if any, is the first piece) and leaves the body open: chunked for
  /// HTTP/1.1, ended by close for HTTP/1.0. Returns a closed stream when already answered.
  stream_handle start_stream(http_response head) const {
    return exchange_ ? exchange_->start_stream(std::move(head)) : stream_handle{};
  }

  /// Calls back once if the client closes its side before the answer, on the io thread (at once on
  /// this thread if it already has). A notification only: the request is not cancelled, and an
  /// answer is still tried (the client may have closed only its sending half). A second callback
  /// replaces the first. Never called after an answer. It must not block or throw.
  void on_abort(std::function<void()> callback) const {
    if (exchange_)
      exchange_->on_abort(std::move(callback));
  }

  const std::shared_ptr<net::exchange>& exchange() const noexcept { return exchange_; }

private:
  std::shared_ptr<net::exchange> exchange_;
};

}  // namespace holdfast::net
