#include <doctest/doctest.h>

#include <random>

#include "runtime/net/request_parser.hpp"

using namespace holdfast::net;
using progress = request_parser::progress;

namespace {

const http_server::options small_limits = [] {
  http_server::options o;
  o.body_bytes_max = 100;
  o.header_bytes_max = 512;
  o.target_bytes_max = 64;
  o.headers_max = 8;
  return o;
}();

/// The refusal of a request, given in pieces of `size` bytes; 0: in one. None when it is accepted.
std::optional<refusal_reason> refusal_of(std::string_view text, size_t size = 0) {
  request_parser parser{small_limits};
  if (size == 0)
    size = text.size();
  for (size_t at = 0; at < text.size() && parser.state() != progress::refused; at += size)
    parser.feed(text.substr(at, size));
  if (parser.state() != progress::refused)
    return std::nullopt;
  return parser.refusal();
}

std::string get_with(std::string_view headers) {
  return "GET / HTTP/1.1\r\n" + std::string{headers} + "\r\n";
}

}  // namespace

TEST_CASE("request_parser: a request comes out as it went in") {
  request_parser parser{small_limits};
  const std::string_view text =
    "POST /a?b=c HTTP/1.1\r\nHost: x\r\nX-One:  1 \r\nx-one: 2\r\n"
    "Content-Length: 5\r\n\r\nhelloNEXT";
  CHECK(parser.feed(text) == text.size() - 4);
  REQUIRE(parser.state() == progress::complete);
  CHECK(parser.keep_alive());
  const auto request = parser.take();
  CHECK(request.method() == "POST");
  CHECK(request.target() == "/a?b=c");
  CHECK(request.header("X-ONE") == "1");
  CHECK(request.headers().size() == 4);
  CHECK(request.headers()[2].value == "2");
  CHECK(request.body == "hello");
}

TEST_CASE("request_parser: however a request is cut, the result is the same") {
  const std::string chunked =
    "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    "5;ext=\"1\"\r\nhello\r\n1\r\n!\r\n0\r\nX-Trailer: t\r\nHost: evil\r\n\r\n";
  const std::string empty =
    "POST /e HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
  const std::string fixed = "\r\nPUT /f HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc";
  const std::string stream = chunked + empty + fixed + chunked;
  std::mt19937 random{7};
  for (int round = 0; round < 3'000; ++round) {
    request_parser parser{small_limits};
    std::vector<http_request> got;
    size_t at = 0;
    while (at < stream.size()) {
      const size_t size = std::min<size_t>(1 + random() % (1 + random() % 40), stream.size() - at);
      std::string_view piece = std::string_view{stream}.substr(at, size);
      at += size;
      while (!piece.empty()) {
        piece.remove_prefix(parser.feed(piece));
        REQUIRE(parser.state() != progress::refused);
        if (parser.state() == progress::complete) {
          got.push_back(parser.take());
          parser.reset();
        }
      }
    }
    REQUIRE(got.size() == 4);
    CHECK(got[0].body == "hello!");
    CHECK(got[0].header("X-Trailer").empty());
    CHECK(got[0].header("Host") == "x");
    CHECK(got[1].body.empty());
    CHECK(got[1].target() == "/e");
    CHECK(got[2].body == "abc");
    CHECK(got[3].body == "hello!");
  }
}

TEST_CASE("request_parser: bytes at random are refused or wait, and never break it") {
  std::mt19937 random{11};
  const std::string seed =
    "POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
  for (int round = 0; round < 20'000; ++round) {
    std::string text = seed;
    for (unsigned flips = 1 + random() % 4; flips > 0; --flips)
      text[random() % text.size()] = static_cast<char>(random());
    request_parser parser{small_limits};
    size_t at = 0;
    while (at < text.size() && parser.state() != progress::refused &&
           parser.state() != progress::complete) {
      const size_t size = std::min<size_t>(1 + random() % 30, text.size() - at);
      parser.feed(std::string_view{text}.substr(at, size));
      at += size;
    }
  }
}

TEST_CASE("request_parser: the absolute form is reduced to a path") {
  for (const auto& [target, path] : std::vector<std::pair<std::string, std::string>>{
         {"http://host/a?b", "/a?b"}, {"HTTPS://host:1/", "/"}, {"http://host", "/"}}) {
    request_parser parser{small_limits};
    parser.feed("GET " + target + " HTTP/1.1\r\nHost: x\r\n\r\n");
    REQUIRE(parser.state() == progress::complete);
    CHECK(parser.take().target() == path);
  }
  CHECK_FALSE(refusal_of("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"));
  for (std::string_view bad :
       {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
        "CONNECT a:80 HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a#b HTTP/1.1\r\nHost: x\r\n\r\n"})
    CHECK_MESSAGE(refusal_of(bad) == refusal_reason::malformed, bad);
}

TEST_CASE("request_parser: what could smuggle a second request is refused") {
  const auto refused = refusal_reason::malformed;
  CHECK(refusal_of(get_with("Host: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n")) ==
        refused);
  CHECK(refusal_of(get_with("Host: x\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n")) ==
        refused);
  CHECK(refusal_of(get_with("Host: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nContent-Length: 5, 6\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nContent-Length: +5\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nContent-Length: -5\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nContent-Length: 0x5\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nContent-Length: 99999999999999999999\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nContent-Length:\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nContent-Length : 5\r\n")) == refused);
  CHECK(refusal_of(get_with(
          "Host: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n")) == refused);
  CHECK(refusal_of("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n") == refused);
  const std::string chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  CHECK(refusal_of(chunked + "5x\r\nhello\r\n0\r\n\r\n") == refused);
  CHECK(refusal_of(chunked + "-1\r\nhello\r\n0\r\n\r\n") == refused);
  CHECK(refusal_of(chunked + "5\r\nhelloXX0\r\n\r\n") == refused);
  CHECK(refusal_of(chunked + "fffffffffffffffff\r\n") == refused);
}

TEST_CASE("request_parser: a coding that is not plain chunked is not implemented") {
  const auto refused = refusal_reason::transfer_coding;
  CHECK(refusal_of(get_with("Host: x\r\nTransfer-Encoding: gzip\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nTransfer-Encoding: gzip, chunked\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nTransfer-Encoding: xchunked\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nTransfer-Encoding: identity\r\n")) == refused);
}

TEST_CASE("request_parser: malformed heads are refused") {
  const auto refused = refusal_reason::malformed;
  CHECK(refusal_of(get_with("")) == refused);  // no Host
  CHECK(refusal_of(get_with("Host: a\r\nHost: b\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nno colon\r\n")) == refused);
  CHECK(refusal_of(get_with("Host: x\r\nA: b\nC: d\r\n")) == refused);
  CHECK(refusal_of(get_with(std::string{"Host: x\r\nA: \0\r\n", 15})) == refused);
  CHECK(refusal_of(get_with("Host: x\r\n: v\r\n")) == refused);
  CHECK(refusal_of("GET  / HTTP/1.1\r\nHost: x\r\n\r\n") == refused);
  CHECK(refusal_of("G@T / HTTP/1.1\r\nHost: x\r\n\r\n") == refused);
  CHECK(refusal_of("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") == refused);
  CHECK(refusal_of("\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n") == refused);
  CHECK_FALSE(refusal_of("\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK_FALSE(refusal_of("GET / HTTP/1.0\r\n\r\n"));
}

TEST_CASE("request_parser: versions other than 1.0 and 1.1 are refused") {
  CHECK(refusal_of("GET / HTTP/2.0\r\nHost: x\r\n\r\n") == refusal_reason::unsupported_version);
  CHECK(refusal_of("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n") == refusal_reason::unsupported_version);
  CHECK(refusal_of("GET / HTTP/0.9\r\nHost: x\r\n\r\n") == refusal_reason::unsupported_version);
}

TEST_CASE("request_parser: every bound has its refusal, in one piece and in drops") {
  for (size_t size : {0u, 1u, 13u}) {
    CAPTURE(size);
    CHECK(refusal_of("GET /" + std::string(100, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n", size) ==
          refusal_reason::target_too_long);
    CHECK(refusal_of(get_with("Host: x\r\nA: " + std::string(600, 'a') + "\r\n"), size) ==
          refusal_reason::header_too_large);
    std::string many = "Host: x\r\n";
    for (int i = 0; i < 20; ++i)
      many += "A: b\r\n";
    CHECK(refusal_of(get_with(many), size) == refusal_reason::header_too_large);
    std::string long_ones = "Host: x\r\n";  // under the count, over the bytes
    for (int i = 0; i < 6; ++i)
      long_ones += "A: " + std::string(120, 'b') + "\r\n";
    CHECK(refusal_of(get_with(long_ones), size) == refusal_reason::header_too_large);
    CHECK(refusal_of("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 101\r\n\r\n", size) ==
          refusal_reason::body_too_large);
    const std::string chunked = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
    std::string chunks;
    for (int i = 0; i < 11; ++i)
      chunks += "a\r\n0123456789\r\n";
    CHECK(refusal_of(chunked + chunks, size) == refusal_reason::body_too_large);
    CHECK(refusal_of(chunked + "ffffffff\r\n", size) == refusal_reason::body_too_large);
    CHECK(refusal_of(chunked + "1;" + std::string(2'000, 'e'), size) == refusal_reason::malformed);
    CHECK(refusal_of(chunked + "0\r\nA: " + std::string(2'000, 'e'), size) ==
          refusal_reason::malformed);
  }
}

TEST_CASE("request_parser: only one expectation is known") {
  CHECK(refusal_of(get_with("Host: x\r\nExpect: magic\r\n")) == refusal_reason::expectation_failed);
  request_parser parser{small_limits};
  parser.feed("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n");
  CHECK(parser.wants_continue());
  parser.feed("x");
  CHECK(parser.state() == progress::complete);
  request_parser eager{small_limits};
  eager.feed("PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nx");
  CHECK_FALSE(eager.wants_continue());
}

TEST_CASE("request_parser: keep-alive follows version and header") {
  const auto keep_alive = [](std::string_view text) {
    request_parser parser{small_limits};
    parser.feed(text);
    REQUIRE(parser.state() == progress::complete);
    return parser.keep_alive();
  };
  CHECK(keep_alive("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK_FALSE(keep_alive("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"));
  CHECK_FALSE(keep_alive("GET / HTTP/1.0\r\n\r\n"));
  CHECK(keep_alive("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"));
}
