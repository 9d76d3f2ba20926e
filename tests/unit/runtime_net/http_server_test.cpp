#include <doctest/doctest.h>

#include <atomic>
#include <set>

#include "tests/unit/runtime_net/server_fixture.hpp"

using namespace holdfast::net;
using namespace holdfast::net::testing;
using namespace std::chrono_literals;

TEST_CASE("http_server: a request is answered, and the next on the same connection too") {
  running_server s{echo};
  auto client = s.connect();
  for (int i = 0; i < 3; ++i) {
    client.send(post("body" + std::to_string(i)));
    const auto response = client.read_response();
    CHECK(response.starts_with("HTTP/1.1 200 OK\r\nServer: holdfast\r\nDate: "));
    CHECK(body_of(response) == "POST / body" + std::to_string(i));
  }
  CHECK(s.server.counters().accepted == 1);
  CHECK(s.server.counters().requests == 3);
  CHECK(s.server.counters().open == 1);
}

TEST_CASE("http_server: the request names its peer") {
  channel<std::string> peers;
  running_server s{[&](http_request&& request, responder to) {
    CHECK(request.peer_port != 0);
    CHECK_FALSE(request.tls);
    peers.push(request.peer);
    to.send({});
  }};
  auto client = s.connect();
  client.send(get());
  CHECK(peers.pop() == "127.0.0.1");
}

TEST_CASE("http_server: pipelined requests are handled one at a time and answered in order") {
  std::atomic<int> at_once{0};
  channel<std::pair<std::string, responder>> waiting;
  running_server s{[&](http_request&& request, responder to) {
    CHECK(++at_once == 1);
    waiting.push({std::string{request.target()}, to});
  }};
  auto client = s.connect();
  std::string all;
  for (int i = 0; i < 50; ++i)
    all += get("/" + std::to_string(i));
  client.send(all);
  for (int i = 0; i < 50; ++i) {
    auto [target, to] = waiting.pop();
    CHECK(target == "/" + std::to_string(i));
    --at_once;
    to.send({200, "", {}, target});
  }
  for (int i = 0; i < 50; ++i)
    CHECK(body_of(client.read_response()) == "/" + std::to_string(i));
}

TEST_CASE("http_server: a flood of pipelined requests is held back, not buffered") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); }};
  auto client = s.connect();
  std::thread flood{[&] {
    std::string requests;
    for (int i = 0; i < 1'000; ++i)
      requests += get();
    for (int i = 0; i < 20; ++i)
      client.send(requests);
  }};
  std::thread reader{[&] {
    for (int i = 0; i < 20'000; ++i)
      if (client.read_response().empty())
        return;
  }};
  for (int i = 0; i < 20'000; ++i)
    waiting.pop().send({});
  flood.join();
  reader.join();
  CHECK(s.server.counters().requests == 20'000);
}

TEST_CASE("http_server: answers come from any thread") {
  running_server s{[](http_request&& request, responder to) {
    std::thread{[to, target = std::string{request.target()}] {
      to.send({200, "", {}, target});
    }}.detach();
  }};
  auto a = s.connect();
  auto b = s.connect();
  for (int i = 0; i < 100; ++i) {
    a.send(get("/a"));
    b.send(get("/b"));
    CHECK(body_of(a.read_response()) == "/a");
    CHECK(body_of(b.read_response()) == "/b");
  }
}

TEST_CASE("http_server: a batch answers many connections") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); }};
  std::vector<raw_socket> clients;
  for (int i = 0; i < 50; ++i) {
    clients.push_back(s.connect());
    clients.back().send(get());
  }
  REQUIRE(waiting.wait_for_size(50));
  std::vector<std::pair<responder, http_response>> batch;
  for (int i = 0; i < 50; ++i)
    batch.emplace_back(waiting.pop(), http_response{202, "", {}, "durable"});
  const auto first = batch.front().first;
  http_server::post_batch(std::move(batch));
  for (auto& client : clients)
    CHECK(body_of(client.read_response()) == "durable");
  first.send({500, "", {}, "too late"});
  http_server::post_batch({{first, {}}, {responder{}, {}}});
  clients.front().send(get());
  waiting.pop().send({200, "", {}, "next"});
  CHECK(body_of(clients.front().read_response()) == "next");
}

TEST_CASE("http_server: only the first answer counts") {
  running_server s{[](http_request&&, responder to) {
    to.send({200, "", {}, "first"});
    to.send({200, "", {}, "second"});
    CHECK(to.start_stream({}).closed());
  }};
  auto client = s.connect();
  client.send(get() + get());
  CHECK(body_of(client.read_response()) == "first");
  CHECK(body_of(client.read_response()) == "first");
}

TEST_CASE("http_server: HEAD has the headers of GET and no body") {
  running_server s{answering("hello")};
  auto client = s.connect();
  client.send("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n" + get());
  const auto head = client.read_until("\r\n\r\n");
  CHECK(head.find("Content-Length: 5") != std::string::npos);
  CHECK(body_of(client.read_response()) == "hello");
}

TEST_CASE("http_server: the connection ends when the client asks, or speaks HTTP/1.0") {
  running_server s{answering("x")};
  for (std::string_view request :
       {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
    auto client = s.connect();
    client.send(request);
    const auto all = client.read_all();
    CHECK(all.find("Connection: close\r\n") != std::string::npos);
    CHECK(body_of(all) == "x");
  }
  auto client = s.connect();
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  CHECK(client.read_response().find("Connection: keep-alive\r\n") != std::string::npos);
  client.send("GET / HTTP/1.0\r\n\r\n");
  CHECK(body_of(client.read_all()) == "x");
}

TEST_CASE("http_server: a client that waits for 100 Continue gets it") {
  running_server s{echo};
  auto client = s.connect();
  client.send("PUT /p HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  CHECK(client.read_until("\r\n\r\n") == "HTTP/1.1 100 Continue\r\n\r\n");
  client.send("abc");
  CHECK(body_of(client.read_response()) == "PUT /p abc");
}

TEST_CASE("http_server: a chunked body arrives whole") {
  running_server s{echo};
  auto client = s.connect();
  for (std::string_view piece :
       {"POST /c HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nab", "c\r\n0\r",
        "\n\r\n"})
    client.send(piece);
  CHECK(body_of(client.read_response()) == "POST /c abc");
}

TEST_CASE("http_server: a body of several megabytes goes both ways") {
  auto opts = test_options();
  opts.body_bytes_max = 8 << 20;
  running_server s{[](http_request&& request, responder to) {
                     to.send({200, "", {}, std::move(request.body)});
                   },
                   opts};
  auto client = s.connect();
  std::string body(5 << 20, '\0');
  for (size_t i = 0; i < body.size(); ++i)
    body[i] = static_cast<char>('a' + i % 23);
  std::thread writer{[&] { client.send(post(body)); }};
  const auto response = client.read_response();
  writer.join();
  CHECK(body_of(response) == body);
}

TEST_CASE("http_server: a client that half-closes still gets its answer") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); }};
  auto client = s.connect();
  client.send(get());
  client.half_close();
  auto to = waiting.pop();
  channel<int> aborted;
  to.on_abort([&] { aborted.push(1); });
  CHECK(aborted.pop() == 1);
  to.send({200, "", {}, "late"});
  const auto all = client.read_all();
  CHECK(body_of(all) == "late");
  CHECK(all.find("Connection: close") != std::string::npos);
}

TEST_CASE("http_server: a client that goes away is noticed while the answer is pending") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); }};
  auto client = s.connect();
  client.send(get());
  auto to = waiting.pop();
  channel<int> aborted;
  to.on_abort([&] { aborted.push(1); });
  client.reset();
  CHECK(aborted.pop() == 1);
  CHECK(eventually([&] { return s.server.counters().open == 0; }));
  to.on_abort([&] { aborted.push(2); });  // at once: it has happened
  CHECK(aborted.pop() == 2);
  to.send({});
  CHECK(to.start_stream({}).closed());
}

TEST_CASE("http_server: no abort is told after the answer") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); }};
  auto client = s.connect();
  client.send(get());
  auto to = waiting.pop();
  std::atomic<bool> aborted{false};
  to.on_abort([&, to] { aborted = true; });  // a cycle that the answer dissolves
  to.send({});
  client.read_response();
  client.close();
  CHECK(eventually([&] { return s.server.counters().open == 0; }));
  CHECK_FALSE(aborted);
}

TEST_CASE("http_server: two thousand idle connections are served and cost no buffers") {
  auto opts = test_options();
  opts.threads = 2;
  running_server s{answering("x"), opts};
  std::vector<raw_socket> clients;
  for (int i = 0; i < 2'000; ++i)
    clients.push_back(s.connect());
  CHECK(eventually([&] { return s.server.counters().open == 2'000; }));
  for (auto& client : clients)
    client.send(get());
  for (auto& client : clients)
    CHECK(body_of(client.read_response()) == "x");
  clients.clear();
  CHECK(eventually([&] { return s.server.counters().open == 0; }));
}

TEST_CASE("http_server: draining closes idle connections and finishes what is in flight") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); }};
  auto idle = s.connect();
  auto busy = s.connect();
  busy.send(get());
  auto to = waiting.pop();
  CHECK(eventually([&] { return s.server.counters().open == 2; }));
  s.server.drain();
  CHECK(idle.closed_by_peer());
  CHECK_FALSE(s.server.wait_drained(1ms));
  to.send({200, "", {}, "done"});
  const auto all = busy.read_all();
  CHECK(body_of(all) == "done");
  CHECK(all.find("Connection: close") != std::string::npos);
  CHECK(s.server.wait_drained(wait_limit));
  CHECK_THROWS(s.connect());
}

TEST_CASE("http_server: answers, streams and aborts after the server are harmless") {
  channel<responder> waiting;
  channel<stream_handle> streams;
  auto s = std::make_unique<running_server>([&](http_request&& request, responder to) {
    if (request.target() == "/stream")
      streams.push(to.start_stream({}));
    else
      waiting.push(to);
  });
  auto a = s->connect();
  auto b = s->connect();
  auto c = s->connect();
  a.send(get());
  b.send(get());
  c.send(get("/stream"));
  auto first = waiting.pop();
  auto second = waiting.pop();
  auto stream = streams.pop();
  channel<int> told;
  first.on_abort([&] { told.push(1); });
  stream.on_close([&] { told.push(2); });
  s->server.stop();
  CHECK(told.wait_for_size(2));
  s.reset();
  first.send({});
  CHECK(second.start_stream({}).closed());
  CHECK_FALSE(stream.write("x"));
  CHECK(stream.closed());
  stream.close();
  CHECK(a.closed_by_peer());
}

TEST_CASE("http_server: a port that is taken, or an address that is none, is said at start") {
  running_server s{answering("x")};
  auto opts = test_options();
  opts.port = s.server.port();
  http_server second{opts};
  const auto taken = second.start(answering("y"));
  CHECK(taken.failure == listen_failure::in_use);
  CHECK(taken.detail.find(std::to_string(opts.port)) != std::string::npos);
  opts.address = "localhost";
  http_server third{opts};
  CHECK(third.start(answering("y")).failure == listen_failure::bad_address);
}

TEST_CASE("http_server: counters add up over several threads") {
  auto opts = test_options();
  opts.threads = 3;
  running_server s{answering("x"), opts};
  std::vector<raw_socket> clients;
  for (int i = 0; i < 9; ++i) {
    clients.push_back(s.connect());
    clients.back().send(get() + get());
    clients.back().read_response();
    clients.back().read_response();
  }
  CHECK(s.server.counters().requests == 18);
  CHECK(s.server.counters().accepted == 9);
}
