#include <doctest/doctest.h>

#include "tests/unit/runtime_net/client_fixture.hpp"
#include "tests/unit/runtime_net/raw_socket.hpp"

using namespace holdfast::net;
using namespace holdfast::net::testing;
using namespace std::chrono_literals;
using namespace std::string_view_literals;

namespace {

constexpr std::string_view ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// The result of one GET to a server that does this to every connection.
client_result call_to(
  raw_server::script script,
  const std::function<void(client_request&)>& adapt = [](client_request&) {}) {
  raw_server server{std::move(script)};
  http_client client{{}};
  auto request = request_to(server.url("/path?secret=1"));
  adapt(request);
  auto result = call(client, std::move(request));
  CHECK(result.detail.find("secret") == std::string::npos);
  return result;
}

/// Reads the request and says nothing until the client has gone.
void hang(raw_socket& socket, unsigned) {
  socket.read_until("\r\n\r\n");
  socket.closed_by_peer();
}

}  // namespace

TEST_CASE("http_client: a server that never answers is given up on by the first-byte timeout") {
  const auto result = call_to(hang, [](auto& r) { r.first_byte_timeout = 50ms; });
  CHECK(result.failure == client_failure::timeout_first_byte);
  CHECK(result.request_bytes_sent);
}

TEST_CASE(
  "http_client: a server that falls silent within the body is given up on by the idle timeout") {
  const auto result = call_to(
    [](raw_socket& socket, unsigned no) {
      socket.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc");
      hang(socket, no);
    },
    [](auto& r) { r.idle_timeout = 50ms; });
  CHECK(result.failure == client_failure::timeout_idle);
  CHECK(result.head.status == 200);
}

TEST_CASE("http_client: a server that drips for ever is given up on by the total timeout") {
  const auto result = call_to(
    [](raw_socket& socket, unsigned) {
      socket.read_until("\r\n\r\n");
      socket.send("HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
      while (socket.send("x") && socket.read_some(5ms).empty()) {
        pollfd gone{socket.fd(), POLLRDHUP, 0};
        if (::poll(&gone, 1, 0) > 0)
          return;
      }
    },
    [](auto& r) { r.total_timeout = 100ms; });
  CHECK(result.failure == client_failure::timeout_total);
}

TEST_CASE("http_client: a server that does not read a large request is given up on") {
  const auto result = call_to(
    [](raw_socket& socket, unsigned) {
      socket.set_receive_buffer(4'096);
      pollfd gone{socket.fd(), POLLRDHUP | POLLHUP, 0};
      ::poll(&gone, 1, 20'000);
    },
    [](auto& r) {
      r.method = "POST";
      r.body = std::string(32 << 20, 'x');
      r.idle_timeout = 200ms;
    });
  CHECK(result.failure == client_failure::timeout_idle);
  CHECK(result.request_bytes_sent);
}

TEST_CASE("http_client: what is not HTTP is malformed") {
  for (std::string_view garbage :
       {"SSH-2.0-OpenSSH_9.2\r\n\r\n"sv, "\x15\x03\x03\x00\x02\x02\x28\r\n\r\n"sv,
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"sv}) {
    const auto result = call_to([&](raw_socket& socket, unsigned) {
      socket.read_until("\r\n\r\n");
      socket.send(garbage);
      socket.closed_by_peer();
    });
    CHECK(result.failure == client_failure::malformed);
  }
}

TEST_CASE("http_client: a response head without end is too large") {
  const auto result = call_to([](raw_socket& socket, unsigned) {
    socket.send("HTTP/1.1 200 OK\r\nA: ");
    while (socket.send(std::string(10'000, 'x')))
      ;
  });
  CHECK(result.failure == client_failure::too_large);
}

TEST_CASE("http_client: a connection that ends within the response is a reset") {
  for (std::string_view part :
       {"HTTP/1.1 200", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"}) {
    const auto result = call_to([&](raw_socket& socket, unsigned) {
      socket.read_until("\r\n\r\n");
      socket.send(part);
    });
    CHECK(result.failure == client_failure::reset);
    CHECK(result.request_bytes_sent);
  }
}

TEST_CASE(
  "http_client: a fresh connection that ends without a response is a reset, never tried again") {
  std::atomic<unsigned> connections{0};
  for (const bool replayable : {true, false}) {
    connections = 0;
    const auto result = call_to(
      [&](raw_socket& socket, unsigned) {
        ++connections;
        socket.read_until("\r\n\r\n");
        socket.reset();
      },
      [&](auto& r) { r.replayable = replayable; });
    CHECK(result.failure == client_failure::reset);
    CHECK(result.request_bytes_sent);
    CHECK(connections == 1);
  }
}

TEST_CASE("http_client: a body ended by the end of the connection is complete") {
  const auto result = call_to([](raw_socket& socket, unsigned) {
    socket.read_until("\r\n\r\n");
    socket.send("HTTP/1.1 200 OK\r\n\r\nall of it");
  });
  CHECK(result);
  CHECK(result.body == "all of it");
}

TEST_CASE("http_client: nobody listening is a failure to connect, and nothing was sent") {
  uint16_t port = 0;
  { port = raw_server{hang}.port(); }
  http_client client{{}};
  const auto result = call(client, request_to("http://127.0.0.1:" + std::to_string(port) + "/"));
  CHECK(result.failure == client_failure::connect);
  CHECK_FALSE(result.request_bytes_sent);
  CHECK(result.detail.find("refused") != std::string::npos);
}

TEST_CASE("http_client: a connection that is not accepted is given up on by the connect timeout") {
  // A full backlog: the kernel drops further SYNs.
  raw_socket listener{::socket(AF_INET, SOCK_STREAM, 0)};
  auto address = raw_socket::loopback(0);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener.fd(), reinterpret_cast<sockaddr*>(&address), size) == 0);
  REQUIRE(::listen(listener.fd(), 0) == 0);
  ::getsockname(listener.fd(), reinterpret_cast<sockaddr*>(&address), &size);
  std::vector<raw_socket> fillers;
  for (int i = 0; i < 4; ++i) {
    fillers.emplace_back(::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0));
    ::connect(fillers.back().fd(), reinterpret_cast<sockaddr*>(&address), size);
  }
  http_client client{{}};
  auto request = request_to("http://127.0.0.1:" + std::to_string(ntohs(address.sin_port)) + "/");
  request.connect_timeout = 100ms;
  const auto result = call(client, request);
  CHECK(result.failure == client_failure::timeout_connect);
  CHECK_FALSE(result.request_bytes_sent);
}

TEST_CASE("http_client: a name that does not exist is a failure to resolve") {
  http_client client{{}};
  const auto result = call(client, request_to("http://no-such-host.invalid/"));
  CHECK(result.failure == client_failure::resolve);
  CHECK_FALSE(result.request_bytes_sent);
}

TEST_CASE("http_client: what cannot be sent is refused before anything happens") {
  http_client client{{}};
  CHECK(call(client, request_to("ftp://a/")).failure == client_failure::bad_url);
  CHECK(call(client, request_to("http://u:p@a/")).failure == client_failure::bad_url);
  CHECK(call(client, request_to("http://a/\r\nX: y")).failure == client_failure::bad_url);
  auto request = request_to("http://127.0.0.1/");
  request.headers = {{"X", "y\r\nZ: z"}};
  CHECK(call(client, request).failure == client_failure::bad_request);
  request.headers = {{"Host", "other"}};
  CHECK(call(client, request).failure == client_failure::bad_request);
  request.headers = {};
  request.method = "GET / HTTP/1.1\r\n\r\nGET";
  CHECK(call(client, request).failure == client_failure::bad_request);
  CHECK(client.stats().connections_opened == 0);
}

TEST_CASE("http_client: addresses against the egress policy are refused before connecting") {
  std::atomic<unsigned> connections{0};
  raw_server server{[&](raw_socket&, unsigned) { ++connections; }};
  const auto port = std::to_string(server.port());
  http_client client{{}};
  for (const std::string host :
       {"127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "0x7f000001",
        "2130706433", "127.1", "169.254.169.254", "10.0.0.1"}) {
    auto request = request_to("http://" + host + ":" + port + "/");
    request.egress = nullptr;
    const auto result = call(client, request);
    CHECK_MESSAGE(result.failure == client_failure::refused_address, host << ": " << result.detail);
    CHECK_FALSE(result.request_bytes_sent);
  }
  CHECK(connections == 0);
}

TEST_CASE("http_client: a rule opens exactly what it names") {
  raw_server server{[](raw_socket& socket, unsigned) {
    socket.read_until("\r\n\r\n");
    socket.send(ok);
  }};
  const auto port = std::to_string(server.port());
  http_client client{{}};
  const auto with_rule = [&](const std::string& host, const std::string& rule) {
    auto policy = std::make_shared<egress_policy>();
    CHECK(policy->allow(rule));
    auto request = request_to("http://" + host + ":" + port + "/");
    request.egress = policy;
    request.replayable = true;  // this server closes without a word
    return call(client, request).failure;
  };
  CHECK(with_rule("127.0.0.1", "127.0.0.1:" + port) == client_failure::none);
  CHECK(with_rule("127.0.0.1", "127.0.0.0/8") == client_failure::none);
  CHECK(with_rule("localhost", "localhost:" + port) == client_failure::none);
  CHECK(with_rule("127.0.0.1", "127.0.0.1:1") == client_failure::refused_address);
  CHECK(with_rule("127.0.0.1", "localhost:" + port) == client_failure::refused_address);
}

TEST_CASE("http_client: a kept connection is no way around another call's policy") {
  raw_server server{[](raw_socket& socket, unsigned) {
    while (!socket.read_until("\r\n\r\n").empty())
      socket.send(ok);
  }};
  http_client client{{}};
  CHECK(call(client, request_to(server.url())));
  auto request = request_to(server.url());
  request.egress = nullptr;
  CHECK(call(client, request).failure == client_failure::refused_address);
}

namespace {

/// Answers the first request of a connection, then resets it when the second has been read.
void serve_once_then_reset(raw_socket& socket, unsigned no) {
  socket.read_until("\r\n\r\n");
  socket.send(ok);
  if (no > 1)
    return;
  socket.read_until("\r\n\r\n");
  socket.reset();
}

}  // namespace

TEST_CASE("http_client: a stale kept connection is replaced once for a replayable call") {
  raw_server server{serve_once_then_reset};
  http_client client{{}};
  auto request = request_to(server.url());
  request.replayable = true;
  CHECK(call(client, request));
  const auto second = call(client, request);
  REQUIRE_MESSAGE(second, second.detail);
  CHECK(client.stats().replays == 1);
  CHECK(client.stats().connections_opened == 2);
}

TEST_CASE("http_client: a stale kept connection is never papered over for other calls") {
  raw_server server{serve_once_then_reset};
  http_client client{{}};
  CHECK(call(client, request_to(server.url())));
  const auto second = call(client, request_to(server.url()));
  CHECK(second.failure == client_failure::reset);
  CHECK(second.request_bytes_sent);
  CHECK(client.stats().replays == 0);
}

TEST_CASE("http_client: a call that is not replayable does not use a connection idle for long") {
  raw_server server{[](raw_socket& socket, unsigned) {
    socket.read_until("\r\n\r\n");
    socket.send(ok);
    socket.read_until("\r\n\r\n");
    socket.send(ok);
  }};
  http_client::options opts;
  opts.idle_unreplayable_max = 0ms;
  http_client client{opts};
  auto request = request_to(server.url());
  request.replayable = true;
  CHECK(call(client, request));
  CHECK(call(client, request));
  CHECK(client.stats().connections_reused == 1);
  request.replayable = false;
  CHECK(call(client, request));
  CHECK(client.stats().connections_opened == 2);
}

TEST_CASE("http_client: a kept connection that the server closes is not used again") {
  channel<int> closing;
  raw_server server{[&](raw_socket& socket, unsigned) {
    socket.read_until("\r\n\r\n");
    socket.send(ok);
    closing.push(1);
  }};
  http_client client{{}};
  for (int i = 0; i < 5; ++i) {
    auto request = request_to(server.url());
    request.replayable = true;
    CHECK(call(client, request));
    closing.pop();
  }
}

TEST_CASE("http_client: a connection with unasked bytes behind the response is not kept") {
  std::atomic<unsigned> connections{0};
  raw_server server{[&](raw_socket& socket, unsigned) {
    ++connections;
    socket.read_until("\r\n\r\n");
    socket.send(std::string{ok} + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    socket.closed_by_peer();
  }};
  http_client client{{}};
  for (unsigned i = 1; i <= 3; ++i) {
    CHECK(call(client, request_to(server.url())).body == "ok");
    CHECK(connections == i);
  }
}

TEST_CASE("http_client: what a dead connection is called says whether anything was sent") {
  for (int i = 0; i < 20; ++i) {
    const auto result = call_to([](raw_socket& socket, unsigned) { socket.reset(); });
    // Which of them is a race with the reset; that they do not contradict is not.
    CHECK((result.failure == client_failure::reset ||
           result.failure == client_failure::sent_nothing ||
           result.failure == client_failure::connect));
    CHECK(result.request_bytes_sent == (result.failure == client_failure::reset));
  }
}
