#pragma once

#include <doctest/doctest.h>

#include <memory>
#include <string>
#include <string_view>

#include "runtime/net/http_client.hpp"
#include "tests/unit/runtime_net/waiting.hpp"

namespace holdfast::net::testing {

inline std::shared_ptr<const egress_policy> loopback_allowed() {
  auto policy = std::make_shared<egress_policy>();
  policy->allow_loopback = true;
  return policy;
}

/// A GET whose timeouts are too long to matter, to a server on this machine.
inline client_request request_to(std::string url) {
  client_request request;
  request.url = std::move(url);
  request.egress = loopback_allowed();
  request.connect_timeout = request.first_byte_timeout = request.idle_timeout =
    request.total_timeout = wait_limit * 2;
  return request;
}

/// Starts the call and waits for its result.
inline client_result call(http_client& client, client_request request) {
  const auto results = std::make_shared<channel<client_result>>();  // a late call must not crash
  client_callbacks callbacks;
  callbacks.on_done = [results](client_result&& result) { results->push(std::move(result)); };
  client.start(std::move(request), std::move(callbacks));
  REQUIRE(results->wait_for_size(1));
  return results->pop();
}

}  // namespace holdfast::net::testing
