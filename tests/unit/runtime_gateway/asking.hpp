#pragma once
// Asks a gateway over a fake node, without a socket.

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <atomic>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "runtime/definition/compilers.hpp"
#include "runtime/gateway/gateway.hpp"
#include "runtime/net/sse_parser.hpp"
#include "tests/unit/runtime_gateway/fake_node.hpp"

namespace holdfast::testing {

using json = nlohmann::json;

/// A stream's far end.
class kept_stream final : public net::stream_sink {
public:
  bool write(std::shared_ptr<const std::string> bytes) override {
    const std::lock_guard lock{mutex_};
    if (ended || pieces.size() == room)
      return false;
    pieces.push_back(std::move(bytes));
    return true;
  }
  void close() override { hang_up(); }
  bool closed() const override { return ended; }
  void on_close(std::function<void()> callback) override {
    {
      const std::lock_guard lock{mutex_};
      if (!ended) {
        callback_ = std::move(callback);
        return;
      }
    }
    callback();
  }
  /// The client goes away.
  void hang_up() {
    std::function<void()> callback;
    {
      const std::lock_guard lock{mutex_};
      ended = true;
      callback.swap(callback_);
    }
    if (callback)
      callback();
  }
  std::string sent() const {
    const std::lock_guard lock{mutex_};
    std::string out;
    for (const auto& piece : pieces)
      out += *piece;
    return out;
  }

  std::vector<std::shared_ptr<const std::string>> pieces;
  std::size_t room = SIZE_MAX;  ///< writes that are taken
  std::atomic<bool> ended{false};

private:
  mutable std::mutex mutex_;
  std::function<void()> callback_;
};

/// What came back for one request.
class asked final : public net::exchange {
public:
  void send(net::http_response&& response) override {
    if (!answer)
      answer = std::move(response);
    tell();
  }
  net::stream_handle start_stream(net::http_response&& head) override {
    if (answer)
      return {};
    answer = std::move(head);
    stream = std::make_shared<kept_stream>();
    tell();
    return net::stream_handle{stream};
  }
  void on_abort(std::function<void()> callback) override { abort = std::move(callback); }
  /// Until there is an answer from another thread.
  void wait() const { answered_.wait(false); }

  unsigned status() const {
    REQUIRE(answer);
    return answer->status;
  }
  std::string header(std::string_view name) const {
    REQUIRE(answer);
    for (const auto& [key, value] : answer->headers)
      if (net::equals_ignoring_case(key, name))
        return value;
    return {};
  }
  json body() const {
    REQUIRE(answer);
    auto parsed = json::parse(answer->body, nullptr, false);
    REQUIRE_MESSAGE(!parsed.is_discarded(), answer->body);
    return parsed;
  }
  std::string code() const { return body().value("code", ""); }
  /// All that the stream sent.
  std::string sent() const {
    REQUIRE(answer);
    return answer->body + (stream ? stream->sent() : std::string{});
  }

  std::optional<net::http_response> answer;
  std::shared_ptr<kept_stream> stream;
  std::function<void()> abort;  ///< null: nobody wants to hear of it

private:
  void tell() {
    answered_ = true;
    answered_.notify_all();
  }
  std::atomic<bool> answered_{false};
};

/// The thread for slow things, cranked by hand.
class slow_by_hand {
public:
  gateway_options options() {
    gateway_options out;
    out.offload = [this](std::function<void()> work) { queue_.push_back(std::move(work)); };
    return out;
  }
  /// Runs what is queued, and what that queues. False: nothing was.
  bool run() {
    const bool some = !queue_.empty();
    for (; !queue_.empty(); queue_.pop_front())
      queue_.front()();
    return some;
  }

private:
  std::deque<std::function<void()>> queue_;
};

struct asking {
  explicit asking(gateway_options opts = {}) : front(node, completed(std::move(opts))) {}

  gateway_options completed(gateway_options opts) {
    if (!opts.with.jq)
      opts.with = standard_compilers();
    opts.steady_ms = [this] { return now_ms; };
    return opts;
  }

  std::shared_ptr<asked> ask(std::string_view method, std::string_view target,
                             std::string body = {}, net::header_list headers = {}) {
    if (!body.empty() && headers.empty())
      headers.emplace_back("Content-Type", "application/json");
    auto out = std::make_shared<asked>();
    front.handle(net::http_request::make(method, target, headers, std::move(body)),
                 net::responder{out});
    return out;
  }

  std::int64_t now_ms = 1'000;
  fake_node node;
  gateway front;
};

/// The answer is a problem document of that status and code, and the node heard nothing of it.
inline void check_refused(const asking& at, const std::shared_ptr<asked>& got, unsigned number,
                          const std::string& code) {
  REQUIRE(got->answer);
  CHECK_MESSAGE(got->status() == number, got->answer->body);
  CHECK_MESSAGE(got->code() == code, got->answer->body);
  CHECK(got->answer->content_type == "application/problem+json");
  CHECK(got->body()["status"] == number);
  CHECK(!got->body()["detail"].get<std::string>().empty());
  CHECK(at.node.untouched());
}

inline const agent_name one{"support", "cus_42"};

}  // namespace holdfast::testing
