#include <doctest/doctest.h>

#include <random>

#include "runtime/net/request_head.hpp"
#include "runtime/net/response_parser.hpp"

using namespace holdfast::net;
using response_progress = response_parser::progress;

namespace {

response_progress state_after(std::string_view text, size_t size = 0) {
  response_parser parser{false};
  if (size == 0)
    size = std::max<size_t>(text.size(), 1);
  for (size_t at = 0; at < text.size(); at += size) {
    parser.feed(text.substr(at, size));
    if (parser.state() == response_progress::malformed ||
        parser.state() == response_progress::head_too_large ||
        parser.state() == response_progress::complete)
      break;
  }
  return parser.state();
}

}  // namespace

TEST_CASE("response_parser: however a response is cut, the result is the same") {
  const std::string text =
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX-A: b\r\n\r\n"
    "5;e\r\nhello\r\n7\r\n, world\r\n0\r\nX-T: t\r\n\r\n";
  std::mt19937 random{3};
  for (int round = 0; round < 3'000; ++round) {
    response_parser parser{false};
    std::string body;
    size_t at = 0;
    while (at < text.size()) {
      const size_t size = std::min<size_t>(1 + random() % (1 + random() % 60), text.size() - at);
      CHECK(parser.feed(std::string_view{text}.substr(at, size)) == size);
      body += parser.take_body();
      at += size;
    }
    REQUIRE(parser.state() == response_progress::complete);
    CHECK(parser.keep_alive());
    CHECK(parser.head().status == 200);
    CHECK(parser.head().headers.size() == 2);
    CHECK(parser.head().header("x-a") == "b");
    CHECK(body == "hello, world");
  }
}

TEST_CASE("response_parser: an empty chunked body fed byte by byte completes") {
  CHECK(state_after("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 1) ==
        response_progress::complete);
}

TEST_CASE("response_parser: a body without length ends with the connection") {
  response_parser parser{false};
  parser.feed("HTTP/1.1 200 OK\r\n\r\nabc");
  CHECK(parser.state() == response_progress::body);
  parser.end_of_input();
  CHECK(parser.state() == response_progress::complete);
  CHECK_FALSE(parser.keep_alive());
  CHECK(parser.take_body() == "abc");
}

TEST_CASE("response_parser: an announced body that ends early stays incomplete") {
  for (std::string_view text :
       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc", "HTTP/1.1 200 OK\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    response_parser parser{false};
    parser.feed(text);
    parser.end_of_input();
    CHECK(parser.state() != response_progress::complete);
  }
}

TEST_CASE("response_parser: statuses and requests without a body complete at the head") {
  CHECK(state_after("HTTP/1.1 204 No Content\r\n\r\n") == response_progress::complete);
  CHECK(state_after("HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n") ==
        response_progress::complete);
  response_parser parser{true};
  parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n");
  CHECK(parser.state() == response_progress::complete);
}

TEST_CASE("response_parser: bytes behind the response are left") {
  response_parser parser{false};
  CHECK(parser.feed("HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\naXYZ") == 39);
  CHECK(parser.state() == response_progress::complete);
}

TEST_CASE("response_parser: what is not HTTP is malformed") {
  for (std::string_view bad :
       {"SSH-2.0-OpenSSH_9.2\r\n\r\n", "HTTP/1.1 abc OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n", "HTTP/2.0 200 OK\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"})
    CHECK_MESSAGE(state_after(bad) == response_progress::malformed, bad);
  std::string interim;
  for (int i = 0; i < 20; ++i)
    interim += "HTTP/1.1 102 Processing\r\n\r\n";
  CHECK(state_after(interim) == response_progress::malformed);
}

TEST_CASE("response_parser: a head without end is too large") {
  const std::string start = "HTTP/1.1 200 OK\r\n";
  std::string many;
  for (int i = 0; i < 600; ++i)
    many += "A: b\r\n";
  for (size_t size : {0u, 4'000u}) {
    CHECK(state_after(start + "A: " + std::string(70'000, 'x'), size) ==
          response_progress::head_too_large);
    CHECK(state_after(start + many, size) == response_progress::head_too_large);
    std::string large;
    for (int i = 0; i < 100; ++i)
      large += "A: " + std::string(1'000, 'x') + "\r\n";
    CHECK(state_after(start + large, size) == response_progress::head_too_large);
  }
}

TEST_CASE("response_parser: bytes at random never break it") {
  std::mt19937 random{5};
  const std::string seed =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seed;
    for (unsigned flips = 1 + random() % 4; flips > 0; --flips)
      text[random() % text.size()] = static_cast<char>(random());
    state_after(text, 1 + random() % 30);
  }
}

TEST_CASE("request_head: a request goes on the wire with what the client adds") {
  client_request request;
  request.method = "POST";
  request.headers = {{"Authorization", "Bearer x"}};
  request.body = "{}";
  CHECK(request_head(request, *parse_url("http://h:81/a?b"), "agent") ==
        "POST /a?b HTTP/1.1\r\nHost: h:81\r\nUser-Agent: agent\r\nAccept: */*\r\n"
        "Accept-Encoding: identity\r\nAuthorization: Bearer x\r\nContent-Length: 2\r\n\r\n");
  client_request get;
  get.headers = {{"accept", "text/event-stream"}, {"user-agent", "mine"}};
  CHECK(request_head(get, *parse_url("https://h/"), "agent") ==
        "GET / HTTP/1.1\r\nHost: h\r\nAccept-Encoding: identity\r\n"
        "accept: text/event-stream\r\nuser-agent: mine\r\n\r\n");
}

TEST_CASE("request_head: nothing can be injected through the method or a header") {
  const auto defect = [](std::string method, header_list headers) {
    client_request request;
    request.method = std::move(method);
    request.headers = std::move(headers);
    return request_defect(request);
  };
  CHECK(defect("GET", {{"X", "y"}}).empty());
  CHECK_FALSE(defect("GET /evil HTTP/1.1\r\n", {}).empty());
  CHECK_FALSE(defect("", {}).empty());
  CHECK_FALSE(defect("CONNECT", {}).empty());
  CHECK_FALSE(defect("GET", {{"X", "y\r\nZ: z"}}).empty());
  CHECK_FALSE(defect("GET", {{"X", "y\n"}}).empty());
  CHECK_FALSE(defect("GET", {{"X", std::string{"\0", 1}}}).empty());
  CHECK_FALSE(defect("GET", {{"X: y\r\nZ", "z"}}).empty());
  CHECK_FALSE(defect("GET", {{"", "z"}}).empty());
  for (const char* name : {"host", "Content-Length", "transfer-encoding", "Connection", "TE",
                           "Expect", "Upgrade", "Trailer"})
    CHECK_FALSE(defect("GET", {{name, "x"}}).empty());
}
