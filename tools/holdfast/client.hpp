#pragma once
// The server, as verbs see it: one blocking call at a time, and streams that survive a reconnect.

#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/net/http_client.hpp"
#include "runtime/net/sse_parser.hpp"
#include "tools/holdfast/api_path.hpp"
#include "tools/holdfast/connection.hpp"
#include "tools/holdfast/failure.hpp"

namespace holdfast::cli {

struct api_request {
  std::string method = "GET";
  api_path path;
  net::header_list headers = {};
  std::string content_type = {};  ///< of `body`
  std::string body = {};
  /// How long the server may take to begin its answer.
  std::chrono::milliseconds answer_timeout{30'000};
};

struct api_response {
  unsigned status = 0;
  net::header_list headers;
  std::string body;

  /// The first header of that name (any case); empty when there is none.
  std::string_view header(std::string_view name) const noexcept;
  /// The body as JSON. Throws `command_failure` when it is none.
  nlohmann::ordered_json document() const;
};

/// What to do after an event of a stream.
enum class follow_step : unsigned char { go_on, stop };
enum class follow_end : unsigned char { stopped, deadline };

struct follow_options {
  std::string cursor;  ///< resume behind this one; empty: as the server decides
  std::optional<std::chrono::steady_clock::time_point> deadline;
  /// After a stream broke: how long to try to get it back.
  std::chrono::milliseconds give_up_after{60'000};
  std::chrono::milliseconds retry_delay{
    250};  ///< first; doubles, up to 5 s; `retry:` of the server counts
  std::size_t queue_bytes_max = 16 << 20;  ///< not yet handled; beyond: reconnects by cursor later
  std::function<void(std::string_view)>
    say;  ///< told of a lost and of a regained connection; optional
};

/// Not thread-safe. Every failure is a thrown `command_failure`: an answer with status >= 400 as
/// `failure_of_answer` has it, no answer as `unavailable` with `http_status` 0.
class api_client {
public:
  explicit api_client(connection to);

  /// Where it talks to, for messages.
  const std::string& server() const noexcept { return to_.server; }

  api_response call(const api_request& request);
  nlohmann::ordered_json get(const api_path& path);
  /// POST with a JSON body. A non-empty `idempotency_key` is sent as that header.
  nlohmann::ordered_json post(const api_path& path, const nlohmann::ordered_json& body,
                              std::string_view idempotency_key = {});

  /// Reads a text/event-stream, each event on the calling thread, until the handler stops it or the
  /// deadline comes. When the connection ends before, it connects again behind the last event
  /// handled (`Last-Event-ID`), so that the handler sees every event once and in order.
  follow_end follow(const api_path& path, const follow_options& options,
                    const std::function<follow_step(const net::sse_event&)>& on_event);

  /// A call whose answer is a file: `take` gets its bytes as they come, one piece at a time, on another thread; what it
  /// has not taken is not sent. False: it wants no more. Returns when the answer is over.
  void download(const api_request& request, const std::function<bool(std::string_view)>& take);

private:
  struct feed;
  net::client_request request_for(const api_request& request) const;
  void start_stream(const api_path& path, const std::string& cursor,
                    const std::shared_ptr<feed>& into);
  std::optional<command_failure> why_ended(feed& ended) const;
  command_failure failure_without_answer(const net::client_result& done) const;

  connection to_;
  std::shared_ptr<const net::egress_policy> egress_;
  net::http_client http_;
};

/// A random key for `Idempotency-Key`: 128 bits as hexadecimal digits behind `cli-`.
std::string new_idempotency_key();

}  // namespace holdfast::cli
