#include <doctest/doctest.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/runtime_net/client_fixture.hpp"
#include "tests/unit/runtime_net/server_fixture.hpp"
#include "tests/unit/runtime_net/test_certificates.hpp"

using namespace holdfast::net;
using namespace holdfast::net::testing;
using namespace std::chrono_literals;

namespace {

struct tls_fixture {
  test_authority authority;

  http_server::options server_options(const std::string& names, int days = 1) {
    const auto files = authority.issue(names, days);
    auto opts = test_options();
    opts.tls = {files.certificate, files.key};
    return opts;
  }

  http_client::options client_options() {
    http_client::options opts;
    opts.ca_file = authority.ca_file();
    opts.ca_system = false;
    return opts;
  }

  static client_request request(running_server& s, const std::string& host = "localhost") {
    return request_to("https://" + host + ":" + std::to_string(s.server.port()) + "/tls");
  }
};

}  // namespace

TEST_CASE_FIXTURE(tls_fixture, "tls: client and server speak, and keep the connection") {
  running_server s{[](http_request&& request, responder to) {
                     CHECK(request.tls);
                     to.send({200, "", {}, std::string{request.target()} + request.body});
                   },
                   server_options("DNS:localhost,IP:127.0.0.1")};
  http_client client{client_options()};
  for (int i = 0; i < 3; ++i) {
    auto r = request(s);
    r.method = "POST";
    r.body = std::string(100'000, 'b');
    const auto result = call(client, r);
    REQUIRE_MESSAGE(result, result.detail);
    CHECK(result.body == "/tls" + r.body);
  }
  CHECK(client.stats().connections_opened == 1);
  CHECK(call(client, request(s, "127.0.0.1")));
}

TEST_CASE_FIXTURE(tls_fixture, "tls: several megabytes go both ways") {
  auto opts = server_options("DNS:localhost");
  opts.body_bytes_max = 16 << 20;
  running_server s{[](http_request&& request, responder to) {
                     to.send({200, "", {}, std::move(request.body)});
                   },
                   opts};
  http_client client{client_options()};
  auto r = request(s);
  r.method = "PUT";
  for (int i = 0; i < 5'000'000; ++i)
    r.body += static_cast<char>('a' + i % 19);
  CHECK(call(client, r).body == r.body);
}

TEST_CASE_FIXTURE(tls_fixture, "tls: a stream arrives as it is written, and ends") {
  channel<stream_handle> streams;
  running_server s{[&](http_request&&, responder to) { streams.push(to.start_stream({})); },
                   server_options("DNS:localhost")};
  http_client client{client_options()};
  channel<std::string> pieces;
  channel<client_result> results;
  auto r = request(s);
  r.stream = true;
  client.start(r, {{},
                   [&](std::string_view p) { pieces.push(std::string{p}); },
                   [&](client_result&& x) { results.push(std::move(x)); }});
  auto stream = streams.pop();
  stream.write("one");
  CHECK(pieces.pop() == "one");
  stream.write("two");
  CHECK(pieces.pop() == "two");
  stream.close();
  CHECK(results.pop());
}

TEST_CASE_FIXTURE(tls_fixture, "tls: a connection that is closed after the answer ends properly") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); },
                   server_options("DNS:localhost")};
  http_client client{client_options()};
  channel<client_result> results;
  client.start(request(s), {{}, {}, [&](client_result&& x) { results.push(std::move(x)); }});
  auto to = waiting.pop();
  s.server.drain();
  to.send({200, "", {}, "bye"});
  const auto result = results.pop();
  CHECK(result.body == "bye");
  CHECK(result.head.header("Connection") == "close");
  CHECK(s.server.wait_drained(wait_limit));
}

TEST_CASE_FIXTURE(tls_fixture,
                  "tls: a certificate for another host is refused, and nothing is sent") {
  running_server s{answering("x"), server_options("DNS:other.example,IP:10.0.0.1")};
  http_client client{client_options()};
  for (const std::string host : {"localhost", "127.0.0.1"}) {
    const auto result = call(client, request(s, host));
    CHECK(result.failure == client_failure::tls);
    CHECK_FALSE(result.request_bytes_sent);
    CHECK(result.detail.find("verify") != std::string::npos);
  }
  CHECK(s.server.counters().requests == 0);
}

TEST_CASE_FIXTURE(
  tls_fixture, "tls: an authority that is not trusted, and an expired certificate, are refused") {
  running_server good{answering("x"), server_options("DNS:localhost")};
  running_server expired{answering("x"), server_options("DNS:localhost", -1)};
  http_client stranger{{}};
  CHECK(call(stranger, request(good)).failure == client_failure::tls);
  http_client client{client_options()};
  const auto result = call(client, request(expired));
  CHECK(result.failure == client_failure::tls);
  CHECK(result.detail.find("expired") != std::string::npos);
}

TEST_CASE_FIXTURE(tls_fixture,
                  "tls: plain HTTP to a TLS port, and TLS to a plain port, fail cleanly") {
  running_server secure{answering("x"), server_options("DNS:localhost")};
  running_server plain{answering("x")};
  http_client client{client_options()};
  const auto told =
    call(client, request_to("http://127.0.0.1:" + std::to_string(secure.server.port()) + "/"));
  CHECK(told.head.status == 400);
  CHECK(told.head.header("Content-Type") == "application/problem+json");
  CHECK(told.body.find(R"("detail":"this port speaks TLS: use https://")") != std::string::npos);
  CHECK(secure.server.counters().requests == 0);
  CHECK(call(client, request(plain)).failure == client_failure::tls);
}

TEST_CASE_FIXTURE(tls_fixture, "tls: a handshake that does not come is given up on by both sides") {
  auto opts = server_options("DNS:localhost");
  opts.header_timeout = 50ms;
  running_server s{answering("x"), opts};
  auto silent = s.connect();
  CHECK(silent.closed_by_peer());
  CHECK(s.server.counters().timed_out == 1);
  raw_server mute{[](raw_socket& socket, unsigned) { socket.closed_by_peer(); }};
  http_client client{client_options()};
  auto r = request_to("https://127.0.0.1:" + std::to_string(mute.port()) + "/");
  r.connect_timeout = 100ms;
  const auto result = call(client, r);
  CHECK(result.failure == client_failure::timeout_connect);
  CHECK_FALSE(result.request_bytes_sent);
}

TEST_CASE_FIXTURE(tls_fixture,
                  "tls: a body cut off without close_notify is not taken for complete") {
  // A server that ends a body without length by dropping the TCP connection under TLS.
  channel<stream_handle> streams;
  running_server s{[&](http_request&&, responder to) { streams.push(to.start_stream({})); },
                   server_options("DNS:localhost")};
  http_client client{client_options()};
  channel<client_result> results;
  client.start(request(s), {{}, {}, [&](client_result&& x) { results.push(std::move(x)); }});
  auto stream = streams.pop();
  stream.write("part");
  s.server.stop();
  const auto result = results.pop();
  CHECK(result.failure == client_failure::reset);
}

TEST_CASE_FIXTURE(tls_fixture, "tls: files that are missing or do not fit are said at start") {
  auto opts = test_options();
  const auto one = authority.issue("DNS:a");
  const auto two = authority.issue("DNS:b");
  opts.tls = {one.certificate, two.key};
  http_server mismatched{opts};
  CHECK(mismatched.start(answering("x")).failure == listen_failure::tls);
  opts.tls = {"/nonexistent.pem", one.key};
  http_server missing{opts};
  CHECK(missing.start(answering("x")).failure == listen_failure::tls);
  http_client::options client_opts;
  client_opts.ca_file = "/nonexistent.pem";
  CHECK_THROWS(http_client{client_opts});
}

TEST_CASE_FIXTURE(tls_fixture,
                  "tls: a certificate that is read again is that of the next handshake") {
  const auto first = authority.issue("DNS:localhost");
  const auto second = authority.issue("DNS:other.example,IP:127.0.0.1");
  auto opts = test_options();
  opts.tls = {first.certificate, first.key};
  running_server s{answering("x"), opts};
  const auto expires = s.server.certificate_expires_s();
  REQUIRE(expires);
  CHECK(*expires > std::chrono::duration_cast<std::chrono::seconds>(
                     std::chrono::system_clock::now().time_since_epoch())
                     .count());
  http_client kept{client_options()};
  CHECK(call(kept, request(s)));
  http_client before{client_options()};
  CHECK(call(before, request(s, "127.0.0.1")).failure == client_failure::tls);
  namespace fs = std::filesystem;
  const auto put = [](const std::string& from, const std::string& to) {
    fs::copy_file(from, to, fs::copy_options::overwrite_existing);
  };
  SUBCASE("and open connections go on") {
    put(second.certificate, first.certificate);
    put(second.key, first.key);
    CHECK(s.server.reload_tls());
    http_client after{client_options()};
    CHECK(call(after, request(s, "127.0.0.1")));
    CHECK(call(after, request(s)).failure == client_failure::tls);
    CHECK(call(kept, request(s)));
    CHECK(kept.stats().connections_opened == 1);
  }
  SUBCASE("and one that does not read leaves the old one") {
    put(second.key, first.key);
    const auto wrong_key = s.server.reload_tls();
    CHECK_FALSE(wrong_key);
    CHECK(wrong_key.detail.find(first.key) != std::string::npos);
    std::ofstream{first.certificate} << "not PEM";
    CHECK_FALSE(s.server.reload_tls());
    http_client after{client_options()};
    CHECK(call(after, request(s)));
  }
}

TEST_CASE_FIXTURE(tls_fixture,
                  "tls: a handshake that does not go on keeps nobody else from theirs") {
  auto opts = server_options("DNS:localhost");
  opts.header_timeout = 200ms;
  running_server s{answering("x"), opts};
  std::vector<raw_socket> silent;
  for (int i = 0; i < 50; ++i)
    silent.push_back(raw_socket::connect(s.server.port()));
  silent.front().send(std::string("\x16\x03\x01\x02", 4));  // the beginning of a hello
  http_client client{client_options()};
  CHECK(call(client, request(s)));
  CHECK(eventually([&] { return s.server.counters().open <= 1; }));
}
