#pragma once

#include <doctest/doctest.h>

#include <string>

#include "runtime/net/http_server.hpp"
#include "tests/unit/runtime_net/raw_socket.hpp"

namespace holdfast::net::testing {

/// Timeouts that a test can wait for. Those not under test are long.
inline http_server::options test_options() {
  http_server::options o;
  o.header_timeout = o.body_timeout = o.idle_timeout = o.write_timeout = wait_limit * 2;
  return o;
}

inline handler answering(std::string body) {
  return [body](http_request&&, responder to) { to.send({200, "text/plain", {}, body}); };
}

/// Answers with method, target and body of the request.
inline void echo(http_request&& request, responder to) {
  to.send(
    {200,
     "text/plain",
     {},
     std::string{request.method()} + " " + std::string{request.target()} + " " + request.body});
}

struct running_server {
  http_server server;

  explicit running_server(handler on_request, http_server::options opts = test_options())
    : server(std::move(opts)) {
    const auto status = server.start(std::move(on_request));
    REQUIRE_MESSAGE(status, status.detail);
  }

  raw_socket connect() { return raw_socket::connect(server.port()); }

  uint64_t refused(refusal_reason reason) {
    return server.counters().refused[static_cast<size_t>(reason)];
  }
};

inline std::string get(std::string_view target = "/") {
  return "GET " + std::string{target} + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

inline std::string post(std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + std::string{body};
}

inline std::string body_of(const std::string& response) {
  const auto at = response.find("\r\n\r\n");
  return at == std::string::npos ? std::string{} : response.substr(at + 4);
}

/// "HTTP/1.1 200 OK" gives 200; anything else 0.
inline int status_of_response(const std::string& response) {
  return response.starts_with("HTTP/1.1 ") ? std::stoi(response.substr(9, 3)) : 0;
}

}  // namespace holdfast::net::testing
