#pragma once
// The answer to another node's request, on its way back over the link.

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>

#include "runtime/net/responder.hpp"
#include "schemas/link.hpp"

namespace holdfast {

/// The way back to who asked. Any thread.
struct answer_way {
  std::uint64_t number = 0;  ///< of the request
  /// False: the link did not take it; nothing was sent.
  std::function<bool(const link_frame&)> send;
  /// The rest of the answer will not come. Said as soon as the link takes it.
  std::function<void()> cancel;
};

/// The body of an answer that goes on, at the node that gives it. Any thread.
class forwarded_stream final : public net::stream_sink {
public:
  explicit forwarded_stream(answer_way way) : way_(std::move(way)) {}

  bool write(std::shared_ptr<const std::string> bytes) override;
  void close() override;
  bool closed() const override { return closed_; }
  void on_close(std::function<void()> callback) override;
  /// Nothing more is sent; who reads resumes by its cursor.
  void end();

private:
  const answer_way way_;
  std::mutex mutex_;
  std::atomic<bool> closed_{false};
  std::function<void()> on_close_;
};

/// One request of another node. Who lets it go without an answer cancels it. Any thread.
class forwarded_exchange final : public net::exchange {
public:
  /// `streaming` is told of an answer that goes on, before its head is sent.
  forwarded_exchange(answer_way way,
                     std::function<void(const std::shared_ptr<forwarded_stream>&)> streaming)
    : way_(std::move(way)), streaming_(std::move(streaming)) {}
  ~forwarded_exchange() override;
  forwarded_exchange(const forwarded_exchange&) = delete;
  forwarded_exchange& operator=(const forwarded_exchange&) = delete;

  void send(net::http_response&& response) override;
  net::stream_handle start_stream(net::http_response&& head) override;
  /// Calls back once when `recall` is called before the answer.
  void on_abort(std::function<void()> callback) override;
  /// The node that asked waits no longer; it still passes on what is answered now.
  void recall();

private:
  link::http_head head_of(net::http_response& response) const;

  const answer_way way_;
  const std::function<void(const std::shared_ptr<forwarded_stream>&)> streaming_;
  std::atomic<bool> answered_{false};
  std::mutex mutex_;
  bool recalled_ = false;
  std::function<void()> on_abort_;
};

}  // namespace holdfast
