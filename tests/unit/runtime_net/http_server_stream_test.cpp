#include <doctest/doctest.h>

#include "tests/unit/runtime_net/server_fixture.hpp"

using namespace holdfast::net;
using namespace holdfast::net::testing;
using namespace std::chrono_literals;

namespace {

/// Undoes chunked framing; the rest of a cut chunk is dropped.
std::string unchunk(std::string_view text) {
  std::string out;
  while (true) {
    const auto end = text.find("\r\n");
    if (end == std::string_view::npos)
      return out;
    const auto size = std::stoul(std::string{text.substr(0, end)}, nullptr, 16);
    if (size == 0 || text.size() < end + 2 + size)
      return out;
    out += text.substr(end + 2, size);
    text.remove_prefix(std::min(end + 4 + size, text.size()));
  }
}

struct streaming_server {
  channel<stream_handle> streams;
  running_server running;

  explicit streaming_server(http_server::options opts = test_options())
    : running(
        [this](http_request&& request, responder to) {
          if (request.target() == "/plain")
            to.send({200, "", {}, "plain"});
          else
            streams.push(to.start_stream({200, "text/event-stream", {}, ""}));
        },
        opts) {}
};

}  // namespace

TEST_CASE(
  "http_server stream: what is written arrives in order, chunked, and the connection goes on") {
  streaming_server s;
  auto client = s.running.connect();
  client.send(get());
  auto stream = s.streams.pop();
  CHECK(client.read_until("\r\n\r\n").find("Transfer-Encoding: chunked\r\n") != std::string::npos);
  std::string expected;
  for (int i = 0; i < 1'000; ++i) {
    const auto piece = "data: " + std::to_string(i) + "\n\n";
    expected += piece;
    CHECK(stream.write(piece));
  }
  CHECK(stream.write(""));
  channel<int> closed;
  stream.on_close([&] { closed.push(1); });
  stream.close();
  CHECK(stream.closed());
  CHECK_FALSE(stream.write("late"));
  CHECK(unchunk(client.read_until("0\r\n\r\n")) == expected);
  CHECK(closed.pop() == 1);
  client.send(get("/plain"));
  CHECK(body_of(client.read_response()) == "plain");
  CHECK(s.running.server.counters().streams == 0);
}

TEST_CASE("http_server stream: writes queued while one is under way go out together") {
  streaming_server s;
  auto client = s.running.connect();
  client.send(get());
  auto stream = s.streams.pop();
  client.read_until("\r\n\r\n");
  std::thread writer{[&] {
    for (int i = 0; i < 10'000; ++i)
      CHECK(stream.write("0123456789"));
    stream.close();
  }};
  const auto all = client.read_until("\r\n0\r\n\r\n");
  writer.join();
  CHECK(unchunk(all).size() == 100'000);
}

TEST_CASE("http_server stream: HTTP/1.0 gets the bare bytes and the end of the connection") {
  streaming_server s;
  auto client = s.running.connect();
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  auto stream = s.streams.pop();
  stream.write("abc");
  stream.close();
  const auto all = client.read_all();
  CHECK(all.find("chunked") == std::string::npos);
  CHECK(all.find("Connection: close\r\n") != std::string::npos);
  CHECK(body_of(all) == "abc");
}

TEST_CASE("http_server stream: the head's body is the first piece") {
  running_server s{[](http_request&&, responder to) {
    auto stream = to.start_stream({200, "", {}, "first "});
    stream.write("second");
    stream.close();
  }};
  auto client = s.connect();
  client.send(get());
  client.read_until("\r\n\r\n");
  CHECK(unchunk(client.read_until("0\r\n\r\n")) == "first second");
}

TEST_CASE("http_server stream: HEAD ends it at once") {
  streaming_server s;
  auto client = s.running.connect();
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
  auto stream = s.streams.pop();
  CHECK(eventually([&] { return stream.closed(); }));
  CHECK(client.read_until("\r\n\r\n").starts_with("HTTP/1.1 200"));
  client.send(get("/plain"));
  CHECK(body_of(client.read_response()) == "plain");
}

TEST_CASE("http_server stream: a client that leaves ends the stream") {
  streaming_server s;
  for (const bool orderly : {true, false}) {
    auto client = s.running.connect();
    client.send(get());
    auto stream = s.streams.pop();
    client.read_until("\r\n\r\n");
    channel<int> closed;
    stream.on_close([&] { closed.push(1); });
    if (orderly)
      client.close();
    else
      client.reset();
    CHECK(closed.pop() == 1);
    CHECK(stream.closed());
    CHECK_FALSE(stream.write("x"));
    stream.on_close([&] { closed.push(2); });  // at once: it has happened
    CHECK(closed.pop() == 2);
  }
  CHECK(eventually([&] { return s.running.server.counters().open == 0; }));
}

TEST_CASE(
  "http_server stream: a reader that is too slow is cut off at the bound, never fed a gap") {
  auto opts = test_options();
  opts.stream_bytes_max = 64 << 10;
  streaming_server s{opts};
  auto client = s.running.connect();
  client.set_receive_buffer(4 << 10);
  client.send(get());
  auto stream = s.streams.pop();
  channel<int> closed;
  stream.on_close([&] { closed.push(1); });
  std::string sent;
  const auto more = [&] {
    std::string piece = "#" + std::to_string(sent.size()) + std::string(1'000, '.');
    const bool taken = stream.write(piece);
    if (taken)
      sent += piece;
    return taken;
  };
  CHECK(eventually([&] { return !more(); }));
  CHECK(closed.pop() == 1);
  CHECK(s.running.server.counters().streams_overflowed == 1);
  CHECK(sent.size() < (8 << 20));
  const auto got = unchunk(body_of(client.read_all()));
  CHECK(got == sent.substr(0, got.size()));
}

TEST_CASE("http_server stream: a piece over the whole bound is refused") {
  auto opts = test_options();
  opts.stream_bytes_max = 1'000;
  streaming_server s{opts};
  auto client = s.running.connect();
  client.send(get());
  auto stream = s.streams.pop();
  CHECK_FALSE(stream.write(std::string(1'001, 'x')));
  CHECK(stream.closed());
  CHECK(client.closed_by_peer());
}

TEST_CASE("http_server stream: a stuck write is cut off by the write timeout") {
  auto opts = test_options();
  opts.write_timeout = 50ms;
  opts.stream_bytes_max = 16 << 20;
  streaming_server s{opts};
  auto client = s.running.connect();
  client.set_receive_buffer(4 << 10);
  client.send(get());
  auto stream = s.streams.pop();
  CHECK(stream.write(std::string(16 << 20, 'x')));
  CHECK(eventually([&] { return stream.closed(); }));
  CHECK(s.running.server.counters().timed_out == 1);
}

TEST_CASE("http_server stream: a quiet stream has no deadline") {
  auto opts = test_options();
  opts.idle_timeout = opts.write_timeout = opts.header_timeout = opts.body_timeout = 20ms;
  streaming_server s{opts};
  auto idle = s.running.connect();
  auto client = s.running.connect();
  client.send(get());
  auto stream = s.streams.pop();
  client.read_until("\r\n\r\n");
  CHECK(idle.closed_by_peer());  // several sweeps later
  auto second = s.running.connect();
  CHECK(second.closed_by_peer());
  CHECK(stream.write("still here"));
  CHECK(unchunk(client.read_until("\r\nstill here\r\n")) == "still here");
}

TEST_CASE("http_server stream: many writers and many streams keep each stream's order") {
  auto opts = test_options();
  opts.threads = 2;
  opts.stream_bytes_max = 4 << 20;
  streaming_server s{opts};
  constexpr size_t count = 20;
  std::vector<raw_socket> clients;
  std::vector<stream_handle> streams;
  for (size_t i = 0; i < count; ++i) {
    clients.push_back(s.running.connect());
    clients.back().send(get());
    streams.push_back(s.streams.pop());
  }
  std::vector<std::thread> writers;
  for (size_t w = 0; w < 4; ++w)
    writers.emplace_back([&, w] {
      for (int n = 0; n < 500; ++n)
        for (size_t i = w; i < count; i += 4)
          streams[i].write(std::to_string(n) + "\n");
    });
  for (auto& writer : writers)
    writer.join();
  std::string expected;
  for (int n = 0; n < 500; ++n)
    expected += std::to_string(n) + "\n";
  for (size_t i = 0; i < count; ++i) {
    streams[i].close();
    clients[i].read_until("\r\n\r\n");
    CHECK(unchunk(clients[i].read_until("\r\n0\r\n\r\n")) == expected);
  }
}

TEST_CASE("http_server stream: draining leaves streams to whoever writes them") {
  streaming_server s;
  auto client = s.running.connect();
  client.send(get());
  auto stream = s.streams.pop();
  s.running.server.drain();
  CHECK_FALSE(s.running.server.wait_drained(1ms));
  CHECK(stream.write("bye"));
  stream.close();
  CHECK(unchunk(body_of(client.read_all())) == "bye");
  CHECK(s.running.server.wait_drained(wait_limit));
}

TEST_CASE("http_server stream: who waits for room writes any amount through a small bound") {
  auto options = test_options();
  options.stream_bytes_max = 16 << 10;
  streaming_server s{options};
  auto client = s.running.connect();
  client.send(get());
  auto stream = s.streams.pop();
  std::thread writer{[&] {
    for (int i = 0; i < 500; ++i) {
      channel<int> room;
      stream.on_room(8 << 10, [&] { room.push(1); });
      REQUIRE(room.pop() == 1);
      CHECK(stream.write(std::string(8 << 10, 'x')));
    }
    stream.close();
  }};
  client.read_until("\r\n\r\n");
  const auto all = unchunk(client.read_until("\r\n0\r\n\r\n"));
  writer.join();
  CHECK(all.size() == 500U * (8 << 10));
}

TEST_CASE("http_server stream: who waits for room hears of it when the client goes away") {
  auto options = test_options();
  options.stream_bytes_max = 64 << 20;
  streaming_server s{options};
  auto client = s.running.connect();
  client.set_receive_buffer(4 << 10);
  client.send(get());
  auto stream = s.streams.pop();
  channel<int> room;
  CHECK(stream.write(std::string(32 << 20, 'x')));
  stream.on_room(0, [&] { room.push(1); });
  CHECK(room.size() == 0);
  client.reset();
  CHECK(room.pop() == 1);
  CHECK_FALSE(stream.write("late"));
  channel<int> at_once;
  stream.on_room(0, [&] { at_once.push(2); });
  CHECK(at_once.pop() == 2);
}
