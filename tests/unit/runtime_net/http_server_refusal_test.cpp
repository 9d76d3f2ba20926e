#include <doctest/doctest.h>

#include "tests/unit/runtime_net/server_fixture.hpp"

using namespace holdfast::net;
using namespace holdfast::net::testing;
using namespace std::chrono_literals;

namespace {

/// Sends the bytes on a new connection and expects this status, and the connection to end.
void expect_refused(running_server& s, std::string_view bytes, refusal_reason reason) {
  CAPTURE(bytes.substr(0, 60));
  const auto before = s.refused(reason);
  auto client = s.connect();
  client.send(bytes);
  const auto response = client.read_response();
  CHECK(status_of_response(response) == static_cast<int>(status_of(reason)));
  CHECK(response.find("Connection: close\r\n") != std::string::npos);
  CHECK(body_of(response).find(name(reason)) != std::string::npos);
  CHECK(s.refused(reason) == before + 1);
  client.half_close();
  CHECK(client.closed_by_peer());
}

}  // namespace

TEST_CASE("http_server: every request that must not pass is refused with its status") {
  auto opts = test_options();
  opts.body_bytes_max = 1'000;
  opts.header_bytes_max = 1'000;
  opts.target_bytes_max = 100;
  running_server s{answering("x"), opts};
  expect_refused(s, "garbage\r\n\r\n", refusal_reason::malformed);
  expect_refused(s, "GET / HTTP/1.1\r\n\r\n", refusal_reason::malformed);
  expect_refused(s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n",
                 refusal_reason::body_too_large);
  expect_refused(s, post(std::string(100'000, 'x')), refusal_reason::body_too_large);
  expect_refused(s, "GET /" + std::string(101, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n",
                 refusal_reason::target_too_long);
  expect_refused(s, "GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(2'000, 'a'),
                 refusal_reason::header_too_large);
  expect_refused(s, "GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\n\r\n",
                 refusal_reason::expectation_failed);
  expect_refused(s, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n",
                 refusal_reason::transfer_coding);
  expect_refused(s, "GET / HTTP/2.0\r\nHost: x\r\n\r\n", refusal_reason::unsupported_version);
  CHECK(s.server.counters().requests == 0);
}

TEST_CASE("http_server: an oversized body with Expect is refused before it is sent") {
  auto opts = test_options();
  opts.body_bytes_max = 10;
  running_server s{answering("x"), opts};
  auto client = s.connect();
  client.send("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n");
  CHECK(status_of_response(client.read_response()) == 413);
}

TEST_CASE("http_server: a refused client that keeps sending still gets to read why") {
  auto opts = test_options();
  opts.body_bytes_max = 10;
  running_server s{answering("x"), opts};
  auto client = s.connect();
  client.send("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
  std::thread writer{[&] { client.send(std::string(2'000'000, 'x')); }};
  CHECK(status_of_response(client.read_response()) == 413);
  writer.join();
}

TEST_CASE("http_server: an error behind good pipelined requests does not take their answers away") {
  running_server s{answering("good")};
  auto client = s.connect();
  client.send(get() + get() + "garbage\r\n\r\n");
  CHECK(body_of(client.read_response()) == "good");
  CHECK(body_of(client.read_response()) == "good");
  CHECK(status_of_response(client.read_response()) == 400);
  client.half_close();
  CHECK(client.closed_by_peer());
}

TEST_CASE("http_server: a head that is not complete in time is refused") {
  auto opts = test_options();
  opts.header_timeout = 50ms;
  running_server s{answering("x"), opts};
  expect_refused(s, "GET / HTTP/1.1\r\nHost: x\r\n", refusal_reason::header_timeout);
}

TEST_CASE("http_server: a head in drops does not buy more time") {
  auto opts = test_options();
  opts.header_timeout = 100ms;
  running_server s{answering("x"), opts};
  auto client = s.connect();
  std::string received;
  CHECK(eventually([&] {
    client.send("A");
    received = client.read_some(5ms);
    return !received.empty();
  }));
  CHECK(status_of_response(received) == 408);
}

TEST_CASE("http_server: a body that does not come in time is refused") {
  auto opts = test_options();
  opts.body_timeout = 50ms;
  running_server s{answering("x"), opts};
  expect_refused(s, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
                 refusal_reason::body_timeout);
}

TEST_CASE("http_server: an idle connection is closed without a word") {
  auto opts = test_options();
  opts.idle_timeout = 50ms;
  running_server s{answering("x"), opts};
  auto fresh = s.connect();
  auto used = s.connect();
  used.send(get());
  used.read_response();
  CHECK(used.read_all().empty());
  CHECK(fresh.read_all().empty());
  CHECK(s.server.counters().timed_out == 2);
}

TEST_CASE("http_server: a client that does not read its answer is cut off") {
  auto opts = test_options();
  opts.write_timeout = 50ms;
  running_server s{answering(std::string(32 << 20, 'x')), opts};
  auto client = s.connect();
  client.send(get());
  CHECK(eventually([&] { return s.server.counters().timed_out == 1; }));
  CHECK(client.read_all().size() < (32 << 20));
}

TEST_CASE("http_server: one connection too many is told so and to come back") {
  auto opts = test_options();
  opts.connections_max = 2;
  opts.retry_after = 7s;
  running_server s{answering("x"), opts};
  auto a = s.connect();
  auto b = s.connect();
  CHECK(eventually([&] { return s.server.counters().open == 2; }));
  auto c = s.connect();
  c.send(get());
  const auto response = c.read_response();
  CHECK(status_of_response(response) == 503);
  CHECK(response.find("Retry-After: 7\r\n") != std::string::npos);
  c.close();
  CHECK(s.refused(refusal_reason::too_many_connections) == 1);
  a.close();
  CHECK(eventually([&] { return s.server.counters().open == 1; }));
  auto d = s.connect();
  d.send(get());
  CHECK(status_of_response(d.read_response()) == 200);
}

TEST_CASE("http_server: unfinished bodies of all connections together are bounded") {
  auto opts = test_options();
  opts.buffered_bytes_max = 150'000;
  running_server s{answering("x"), opts};
  const std::string part =
    "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n" + std::string(100'000, 'x');
  auto first = s.connect();
  auto second = s.connect();
  first.send(part);
  second.send(part);
  // One of them is refused, whichever came second; the other goes on.
  CHECK(eventually([&] { return s.refused(refusal_reason::buffers_full) == 1; }));
  first.send("x");
  second.send("x");
  const auto a = first.read_response();
  const auto b = second.read_response();
  CHECK(status_of_response(a) + status_of_response(b) == 200 + 503);
  CHECK((a + b).find("Retry-After: 1\r\n") != std::string::npos);
  auto third = s.connect();
  third.send(post(std::string(100'000, 'x')));
  CHECK(status_of_response(third.read_response()) == 200);
}

TEST_CASE("http_server: a request that nobody answers gets a 500, and the connection goes on") {
  std::atomic<int> requests{0};
  running_server s{[&](http_request&&, responder to) {
    switch (++requests) {
      case 1:
        return;  // dropped
      case 2:
        throw std::runtime_error("handler");
      case 3:
        to.send({200, "", {{"X", "a\r\nb"}}, ""});
        return;
      case 4:
        to.send({99, "", {}, ""});
        return;
      case 5:
        to.start_stream({200, "", {{"Content-Length", "3"}}, ""});
        return;
      default:
        to.send({200, "", {}, "fine"});
    }
  }};
  auto client = s.connect();
  for (int i = 0; i < 5; ++i) {
    client.send(get());
    CHECK(status_of_response(client.read_response()) == 500);
  }
  client.send(get());
  CHECK(body_of(client.read_response()) == "fine");
  CHECK(s.refused(refusal_reason::abandoned) == 2);
  CHECK(s.refused(refusal_reason::bad_response) == 3);
}

TEST_CASE("http_server: the owner renders refusals, within what can be sent") {
  auto opts = test_options();
  std::atomic<int> calls{0};
  opts.refusal = [&](unsigned status, std::string_view reason) {
    switch (++calls) {
      case 1:
        return http_response{
          1,
          "application/problem+json",
          {},
          "{\"status\":" + std::to_string(status) + ",\"code\":\"" + std::string{reason} + "\"}"};
      case 2:
        return http_response{200, "", {{"Content-Length", "1"}}, ""};
      default:
        throw std::runtime_error("renderer");
    }
  };
  running_server s{answering("x"), opts};
  auto client = s.connect();
  client.send("garbage\r\n\r\n");
  const auto response = client.read_response();
  CHECK(status_of_response(response) == 400);
  CHECK(response.find("application/problem+json") != std::string::npos);
  CHECK(body_of(response) == "{\"status\":400,\"code\":\"malformed\"}");
  for (int i = 0; i < 2; ++i) {
    auto other = s.connect();
    other.send("garbage\r\n\r\n");
    CHECK(body_of(other.read_response()) == "Bad Request: malformed\n");
  }
}
