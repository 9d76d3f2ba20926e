#pragma once
// One request on its way through the gateway, and the right to answer it.

#include <memory>
#include <optional>
#include <string>

#include "runtime/gateway/problem.hpp"
#include "runtime/gateway/request_body.hpp"
#include "runtime/gateway/router.hpp"
#include "runtime/gateway/services.hpp"
#include "runtime/net/responder.hpp"

namespace holdfast {

/// Answers one request: adds what every answer carries. Copyable, any thread; keeps the services
/// alive.
class answering {
public:
  answering(std::shared_ptr<services> at, net::responder to, std::string request_id,
            std::string traceparent)
    : at_(std::move(at)),
      to_(std::move(to)),
      request_id_(std::move(request_id)),
      traceparent_(std::move(traceparent)) {}

  services& at() const noexcept { return *at_; }

  void send(net::http_response response) const;
  void refuse(const error& why) const { send(problem(why)); }
  void refuse(const refusal& why) const { send(problem(why)); }
  /// A JSON document.
  void document(std::string body, unsigned status_code = 200, net::header_list headers = {}) const;
  void no_content() const;
  /// Opens a stream; see `net::responder::start_stream`.
  net::stream_handle stream(net::http_response head) const;

private:
  void add_headers(net::http_response& response) const;

  std::shared_ptr<services> at_;
  net::responder to_;
  std::string request_id_;
  std::string traceparent_;
};

/// A request with its place in the API. Moves along; whoever answers keeps `reply`.
struct call {
  net::http_request request;
  path_parameters parameters;  ///< views into `request`
  answering reply;
  std::string principal;  ///< who asks: `local` until keys are asked for

  services& at() const noexcept { return reply.at(); }
  backend& node() const noexcept { return reply.at().node; }

  std::string_view path() const noexcept;
  /// Of the first two parameters. Errors: `unknown_type`, `invalid_key`.
  result<agent_name> agent() const;
  /// A decoded parameter; nothing when it does not decode to UTF-8.
  std::optional<std::string> parameter(std::size_t at) const;
  result<query_reader> query() const;
};

}  // namespace holdfast
