#include <doctest/doctest.h>

#include "runtime/net/http_message.hpp"
#include "runtime/net/response_head.hpp"

using namespace holdfast::net;

TEST_CASE("http_request: its views survive being moved") {
  std::vector<http_request> requests;
  for (int i = 0; i < 100; ++i)
    requests.push_back(http_request::make("PUT", "/" + std::to_string(i),
                                          {{"A", std::to_string(i)}, {"a", "second"}, {"B", ""}},
                                          "body"));
  for (int i = 0; i < 100; ++i) {
    const auto& r = requests[static_cast<size_t>(i)];
    CHECK(r.method() == "PUT");
    CHECK(r.target() == "/" + std::to_string(i));
    CHECK(r.header("a") == std::to_string(i));
    CHECK(r.headers().size() == 3);
    CHECK(r.header("b").empty());
    CHECK(r.header("missing").empty());
    CHECK(r.body == "body");
  }
}

TEST_CASE("http_message: tokens and header values are what RFC 9110 says") {
  CHECK(is_token("X-Request-Id"));
  CHECK_FALSE(is_token(""));
  CHECK_FALSE(is_token("a b"));
  CHECK_FALSE(is_token("a:b"));
  CHECK_FALSE(is_token("a\r\n"));
  CHECK_FALSE(is_token("\xc3\xa4"));
  CHECK(is_header_value("text/plain; charset=utf-8\tx \xc3\xa4"));
  CHECK(is_header_value(""));
  CHECK_FALSE(is_header_value("a\r\nX: y"));
  CHECK_FALSE(is_header_value("a\nb"));
  CHECK_FALSE(is_header_value(std::string_view{"a\0b", 3}));
  CHECK_FALSE(is_header_value("a\x7f"));
}

TEST_CASE("response_head: the date is the one of the standard") {
  CHECK(date_line(784'111'777) == "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n");
}

TEST_CASE("response_head: a response goes on the wire with its length and the server's headers") {
  std::string out;
  append_response(out, {202, "application/json", {{"Location", "/x"}}, "{}"}, {}, "Date: now\r\n");
  CHECK(out ==
        "HTTP/1.1 202 Accepted\r\nServer: holdfast\r\nDate: now\r\n"
        "Content-Type: application/json\r\nLocation: /x\r\nContent-Length: 2\r\n\r\n{}");
}

TEST_CASE("response_head: the frame decides on body and connection") {
  const http_response response{200, "", {}, "abc"};
  std::string out;
  append_response(out, response, {.is_head = true}, "");
  CHECK(out == "HTTP/1.1 200 OK\r\nServer: holdfast\r\nContent-Length: 3\r\n\r\n");
  out.clear();
  append_response(out, response, {.keep_alive = false}, "");
  CHECK(out.find("Connection: close\r\n") != std::string::npos);
  out.clear();
  append_response(out, response, {.http_1_1 = false}, "");
  CHECK(out.find("Connection: keep-alive\r\n") != std::string::npos);
  out.clear();
  append_response(out, {204, "", {}, "ignored"}, {}, "");
  CHECK(out == "HTTP/1.1 204 No Content\r\nServer: holdfast\r\n\r\n");
  out.clear();
  append_stream_head(out, {200, "text/event-stream", {}, ""}, {}, "");
  CHECK(out.find("Transfer-Encoding: chunked\r\n\r\n") != std::string::npos);
  out.clear();
  append_stream_head(out, {200, "", {}, ""}, {.http_1_1 = false, .keep_alive = false}, "");
  CHECK(out.find("chunked") == std::string::npos);
}

TEST_CASE("response_head: what would break the framing cannot be sent") {
  CHECK(is_sendable({200, "a/b", {{"X", "y"}}, ""}));
  CHECK_FALSE(is_sendable({100, "", {}, ""}));
  CHECK_FALSE(is_sendable({600, "", {}, ""}));
  CHECK_FALSE(is_sendable({200, "a\r\nX: y", {}, ""}));
  CHECK_FALSE(is_sendable({200, "", {{"X", "a\r\nb"}}, ""}));
  CHECK_FALSE(is_sendable({200, "", {{"X y", "a"}}, ""}));
  CHECK_FALSE(is_sendable({200, "", {{"content-length", "5"}}, ""}));
  CHECK_FALSE(is_sendable({200, "", {{"Transfer-Encoding", "chunked"}}, ""}));
  CHECK_FALSE(is_sendable({200, "", {{"Connection", "close"}}, ""}));
}
