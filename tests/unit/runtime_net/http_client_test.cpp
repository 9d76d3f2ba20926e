#include <doctest/doctest.h>

#include <atomic>

#include "tests/unit/runtime_net/client_fixture.hpp"
#include "tests/unit/runtime_net/server_fixture.hpp"

using namespace holdfast::net;
using namespace holdfast::net::testing;
using namespace std::chrono_literals;

namespace {

std::string url_of(running_server& s, std::string_view path = "/") {
  return "http://127.0.0.1:" + std::to_string(s.server.port()) + std::string{path};
}

}  // namespace

TEST_CASE("http_client: a call goes out and its response comes back") {
  running_server s{[](http_request&& request, responder to) {
    CHECK(request.header("Host").starts_with("127.0.0.1:"));
    CHECK(request.header("User-Agent") == "holdfast");
    CHECK(request.header("Accept-Encoding") == "identity");
    CHECK(request.header("X-Key") == "k");
    to.send({201, "text/plain", {{"X-Answer", "a"}}, std::string{request.target()} + request.body});
  }};
  http_client client{{}};
  auto request = request_to(url_of(s, "/p?q=1"));
  request.method = "POST";
  request.headers = {{"X-Key", "k"}};
  request.body = "body";
  const auto result = call(client, request);
  REQUIRE_MESSAGE(result, result.detail);
  CHECK(result.head.status == 201);
  CHECK(result.head.header("x-answer") == "a");
  CHECK(result.body == "/p?q=1body");
  CHECK(result.request_bytes_sent);
  CHECK_FALSE(result.truncated);
}

TEST_CASE("http_client: a host name is looked up") {
  running_server s{answering("hello")};
  http_client client{{}};
  const auto result =
    call(client, request_to("http://localhost:" + std::to_string(s.server.port()) + "/"));
  REQUIRE_MESSAGE(result, result.detail);
  CHECK(result.body == "hello");
}

TEST_CASE("http_client: connections are kept and used again") {
  running_server s{echo};
  http_client client{{}};
  for (int i = 0; i < 10; ++i)
    CHECK(call(client, request_to(url_of(s))));
  CHECK(client.stats().connections_opened == 1);
  CHECK(client.stats().connections_reused == 9);
  CHECK(s.server.counters().accepted == 1);
  CHECK(eventually([&] { return client.stats().active == 0; }));
}

TEST_CASE("http_client: no more connections are kept than allowed, none after their time") {
  running_server s{echo};
  http_client::options opts;
  opts.idle_per_origin_max = 2;
  opts.idle_expiry = 200ms;
  http_client client{opts};
  channel<client_result> results;
  for (int i = 0; i < 20; ++i)
    client.start(request_to(url_of(s)),
                 {{}, {}, [&](client_result&& r) { results.push(std::move(r)); }});
  for (int i = 0; i < 20; ++i)
    CHECK(results.pop().head.status == 200);
  CHECK(eventually([&] { return s.server.counters().open <= 2; }));
  CHECK(eventually([&] { return s.server.counters().open == 0; }));
}

TEST_CASE("http_client: many calls at once all end") {
  running_server s{echo};
  http_client client{{}};
  channel<client_result> results;
  for (int i = 0; i < 500; ++i)
    client.start(request_to(url_of(s, "/" + std::to_string(i))),
                 {{}, {}, [&](client_result&& r) { results.push(std::move(r)); }});
  int good = 0;
  for (int i = 0; i < 500; ++i)
    good += results.pop().head.status == 200;
  CHECK(good == 500);
}

TEST_CASE("http_client: a streamed body arrives piece by piece while the server still writes") {
  channel<stream_handle> streams;
  running_server s{[&](http_request&&, responder to) {
    streams.push(to.start_stream({200, "text/event-stream", {}, ""}));
  }};
  http_client client{{}};
  channel<unsigned> heads;
  channel<std::string> pieces;
  channel<client_result> results;
  auto request = request_to(url_of(s));
  request.stream = true;
  client.start(request, {[&](const client_response_head& head) { heads.push(head.status); },
                         [&](std::string_view piece) { pieces.push(std::string{piece}); },
                         [&](client_result&& r) { results.push(std::move(r)); }});
  auto stream = streams.pop();
  CHECK(heads.pop() == 200);
  for (const std::string text : {"one", "two", "three"}) {
    stream.write(text);
    CHECK(pieces.pop() == text);
  }
  stream.close();
  const auto result = results.pop();
  CHECK(result);
  CHECK(result.body.empty());
  CHECK(result.head.header("Content-Type") == "text/event-stream");
}

TEST_CASE("http_client: ten megabytes come whole, or up to the bound and said so, or not at all") {
  running_server s{answering(std::string(10 << 20, 'x'))};
  http_client client{{}};
  auto request = request_to(url_of(s));
  request.response_bytes_max = 10 << 20;
  CHECK(call(client, request).body.size() == (10 << 20));
  request.response_bytes_max = 1'000'000;
  const auto refused = call(client, request);
  CHECK(refused.failure == client_failure::too_large);
  CHECK(refused.request_bytes_sent);
  CHECK(refused.head.status == 200);
  request.truncate = true;
  const auto cut = call(client, request);
  CHECK(cut);
  CHECK(cut.truncated);
  CHECK(cut.body.size() == 1'000'000);
}

TEST_CASE("http_client: the bound holds for streamed bodies too") {
  running_server s{answering(std::string(2 << 20, 'x'))};
  http_client client{{}};
  std::atomic<size_t> bytes{0};
  auto request = request_to(url_of(s));
  request.stream = true;
  request.truncate = true;
  request.response_bytes_max = 100'000;
  channel<client_result> results;
  client.start(request, {{},
                         [&](std::string_view p) { bytes += p.size(); },
                         [&](client_result&& r) { results.push(std::move(r)); }});
  CHECK(results.pop().truncated);
  CHECK(bytes == 100'000);
}

TEST_CASE("http_client: a large request body goes out whole") {
  auto opts = test_options();
  opts.body_bytes_max = 16 << 20;
  running_server s{[](http_request&& request, responder to) {
                     to.send({200, "", {}, std::to_string(request.body.size())});
                   },
                   opts};
  http_client client{{}};
  auto request = request_to(url_of(s));
  request.method = "PUT";
  request.body = std::string(10 << 20, 'x');
  CHECK(call(client, request).body == std::to_string(10 << 20));
}

TEST_CASE("http_client: an answer that comes before the request is out is taken") {
  auto opts = test_options();
  opts.body_bytes_max = 10;
  running_server s{answering("x"), opts};
  http_client client{{}};
  auto request = request_to(url_of(s));
  request.method = "PUT";
  request.body = std::string(1 << 20, 'x');
  const auto result = call(client, request);
  REQUIRE_MESSAGE(result, result.detail);
  CHECK(result.head.status == 413);
}

TEST_CASE("http_client: redirects are not followed") {
  running_server s{[](http_request&&, responder to) {
    to.send({302, "", {{"Location", "http://169.254.169.254/"}}, ""});
  }};
  http_client client{{}};
  CHECK(call(client, request_to(url_of(s))).head.status == 302);
}

TEST_CASE("http_client: a call can start another from its callback") {
  running_server s{echo};
  http_client client{{}};
  channel<client_result> results;
  client.start(request_to(url_of(s)),
               {{}, {}, [&](client_result&&) {
                  client.start(request_to(url_of(s, "/second")),
                               {{}, {}, [&](client_result&& r) { results.push(std::move(r)); }});
                }});
  CHECK(results.pop().body == "GET /second ");
}

TEST_CASE("http_client: a cancelled call ends as cancelled and its connection is closed") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); }};
  http_client client{{}};
  channel<client_result> results;
  const auto handle = client.start(
    request_to(url_of(s)), {{}, {}, [&](client_result&& r) { results.push(std::move(r)); }});
  auto to = waiting.pop();
  channel<int> aborted;
  to.on_abort([&] { aborted.push(1); });
  handle.cancel();
  const auto result = results.pop();
  CHECK(result.failure == client_failure::cancelled);
  CHECK(result.request_bytes_sent);
  CHECK(aborted.pop() == 1);
  handle.cancel();
  call_handle{}.cancel();
  CHECK(results.size() == 0);
}

TEST_CASE("http_client: destruction cancels what is under way and tells everybody") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); }};
  channel<client_result> results;
  call_handle handle;
  {
    http_client client{{}};
    for (int i = 0; i < 5; ++i)
      handle = client.start(request_to(url_of(s)),
                            {{}, {}, [&](client_result&& r) { results.push(std::move(r)); }});
    CHECK(waiting.wait_for_size(5));
  }
  CHECK(results.size() == 5);
  CHECK(results.pop().failure == client_failure::cancelled);
  handle.cancel();
}

TEST_CASE("http_client: over the bound on calls the next is refused at once") {
  channel<responder> waiting;
  running_server s{[&](http_request&&, responder to) { waiting.push(to); }};
  http_client::options opts;
  opts.calls_max = 2;
  http_client client{opts};
  channel<client_result> results;
  for (int i = 0; i < 2; ++i)
    client.start(request_to(url_of(s)),
                 {{}, {}, [&](client_result&& r) { results.push(std::move(r)); }});
  CHECK(waiting.wait_for_size(2));
  const auto refused = call(client, request_to(url_of(s)));
  CHECK(refused.failure == client_failure::overloaded);
  CHECK_FALSE(refused.request_bytes_sent);
  waiting.pop().send({});
  CHECK(results.pop());
  CHECK(eventually([&] { return client.stats().active == 1; }));
  channel<client_result> third;
  client.start(request_to(url_of(s)),
               {{}, {}, [&](client_result&& r) { third.push(std::move(r)); }});
  waiting.pop().send({});
  waiting.pop().send({});
  CHECK(third.pop());
}
