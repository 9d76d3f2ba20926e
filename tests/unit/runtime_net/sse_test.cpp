#include <doctest/doctest.h>

#include <vector>

#include "runtime/net/sse_parser.hpp"
#include "runtime/net/sse_writer.hpp"

using namespace holdfast::net;

namespace {

struct collected {
  std::vector<sse_event> events;
  std::string last_id;
  sse_failure failure = sse_failure::none;
};

/// Parses the stream in pieces of `size` bytes; 0: in one.
collected parse(std::string_view stream, size_t size = 0, size_t event_bytes_max = 1'000) {
  sse_parser parser{event_bytes_max};
  collected out;
  const auto keep = [&](sse_event&& e) { out.events.push_back(std::move(e)); };
  if (size == 0)
    size = std::max<size_t>(stream.size(), 1);
  for (size_t at = 0; at < stream.size(); at += size)
    out.failure = parser.feed(stream.substr(at, size), keep);
  out.last_id = parser.last_event_id();
  return out;
}

}  // namespace

TEST_CASE("sse_parser: however a stream is cut, it gives the same events") {
  const std::string_view stream =
    "\xEF\xBB\xBF: comment\r\n"
    "event: one\rdata: a\r\ndata:b\ndata\r\n\r\n"
    "id: 7\ndata: {\"x\":1}\n\n"
    "data:  two spaces\r\r"
    "id\ndata: no id now\n\n"
    "data: unfinished";
  for (size_t size : {0u, 1u, 2u, 3u, 5u, 7u, 11u}) {
    CAPTURE(size);
    const auto got = parse(stream, size);
    REQUIRE(got.events.size() == 4);
    CHECK(got.events[0].type == "one");
    CHECK(got.events[0].data == "a\nb\n");
    CHECK(got.events[0].id.empty());
    CHECK(got.events[1].type.empty());
    CHECK(got.events[1].data == "{\"x\":1}");
    CHECK(got.events[1].id == "7");
    CHECK(got.events[2].data == " two spaces");
    CHECK(got.events[2].id == "7");
    CHECK(got.events[3].id.empty());
    CHECK(got.failure == sse_failure::none);
  }
}

TEST_CASE("sse_parser: the examples of the standard") {
  // WHATWG HTML §9.2.6
  CHECK(parse("data: YHOO\ndata: +2\ndata: 10\n\n").events.at(0).data == "YHOO\n+2\n10");
  const auto two = parse("data\n\ndata\ndata\n\ndata:");
  REQUIRE(two.events.size() == 2);
  CHECK(two.events[0].data.empty());
  CHECK(two.events[1].data == "\n");
  const auto same = parse("data:test\n\ndata: test\n\n");
  CHECK(same.events.at(0).data == same.events.at(1).data);
}

TEST_CASE("sse_parser: a block with only an id gives no event but moves the id") {
  const auto got = parse("id: 9\n\n");
  CHECK(got.events.empty());
  CHECK(got.last_id == "9");
}

TEST_CASE("sse_parser: an empty data line gives an event with empty data") {
  const auto got = parse("id: 1\ndata:\n\n");
  REQUIRE(got.events.size() == 1);
  CHECK(got.events[0].data.empty());
  CHECK(got.events[0].id == "1");
}

TEST_CASE("sse_parser: an id counts only when its block is complete") {
  CHECK(parse("id: 1\ndata: a\n\nid: 2\ndata: b\n").last_id == "1");
}

TEST_CASE("sse_parser: an id with NUL, a bad retry and unknown fields are ignored") {
  sse_parser parser;
  std::vector<sse_event> events;
  using namespace std::string_literals;
  parser.feed("id: a\0b\nretry: 1x\nretry:\nfoo: bar\n data: no\ndata: yes\n\n"s,
              [&](sse_event&& e) { events.push_back(std::move(e)); });
  REQUIRE(events.size() == 1);
  CHECK(events[0].data == "yes");
  CHECK(events[0].id.empty());
  CHECK_FALSE(parser.retry_ms());
  parser.feed("retry: 2500\n", [](sse_event&&) {});
  CHECK(parser.retry_ms() == 2'500);
}

TEST_CASE("sse_parser: the byte order mark is dropped only at the beginning and only whole") {
  CHECK(parse("\xEF\xBB\xBF"
              "data: a\n\n")
          .events.size() == 1);
  CHECK(parse("\xEF\xBB"
              "data: a\n\n")
          .events.empty());
  CHECK(parse("data: a\n\n\xEF\xBB\xBF"
              "data: b\n\n")
          .events.size() == 1);
}

TEST_CASE("sse_parser: an event over the bound is an error that stays") {
  for (size_t size : {0u, 1u, 100u}) {
    CAPTURE(size);
    const auto line = parse("data: " + std::string(1'000, 'x') + "\n\ndata: y\n\n", size);
    CHECK(line.failure == sse_failure::event_too_large);
    CHECK(line.events.empty());
    std::string many;
    for (int i = 0; i < 300; ++i)
      many += "data: abc\n";
    CHECK(parse(many + "\n", size).failure == sse_failure::event_too_large);
  }
  CHECK(parse("data: " + std::string(900, 'x') + "\n\n").events.size() == 1);
}

TEST_CASE("sse_writer: what is written is what is parsed") {
  for (std::string_view data :
       {"", "one", "a\nb", "a\r\nb\rc\n", "\n", ": not a comment", " space"}) {
    CAPTURE(data);
    const auto got = parse(sse_event_text("5", "text.delta", data));
    REQUIRE(got.events.size() == 1);
    CHECK(got.events[0].id == "5");
    CHECK(got.events[0].type == "text.delta");
    std::string expected;  // line ends arrive as LF
    for (size_t i = 0; i < data.size(); ++i)
      if (data[i] != '\r' || i + 1 == data.size() || data[i + 1] != '\n')
        expected += data[i] == '\r' ? '\n' : data[i];
    CHECK(got.events[0].data == expected);
  }
}

TEST_CASE("sse_writer: no field can be smuggled in through an id or a type") {
  const auto got = parse(sse_event_text("1\ndata: evil", "t\r\nid: 9", "good"));
  REQUIRE(got.events.size() == 1);
  CHECK(got.events[0].id == "1data: evil");
  CHECK(got.events[0].type == "tid: 9");
  CHECK(got.events[0].data == "good");
}

TEST_CASE("sse_writer: comments and retry are no events") {
  std::string out;
  append_sse_comment(out, "keep\nalive");
  append_sse_retry(out, 1'500);
  CHECK(out == ": keepalive\n\nretry: 1500\n\n");
  CHECK(parse(out).events.empty());
}
