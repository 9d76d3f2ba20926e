#include "tools/holdfast/client.hpp"

#include <doctest/doctest.h>

#include <atomic>

#include "runtime/net/sse_writer.hpp"
#include "tests/unit/tools/fake_server.hpp"

using namespace holdfast;
using namespace holdfast::cli;
using namespace std::chrono_literals;
using test::fake_server;

namespace {

net::http_response stream_head(std::string first = {}) {
  return {200, "text/event-stream", {}, std::move(first)};
}

std::string sse(int number) {
  const auto text = std::to_string(number);
  return net::sse_event_text("c" + text, "text.delta", R"({"n":)" + text + "}");
}

/// A port on which nobody listens.
std::string closed_url() {
  fake_server gone{test::always({})};
  return gone.url();
}

follow_options quick() {
  follow_options options;
  options.retry_delay = 1ms;
  options.give_up_after = 200ms;
  return options;
}

exit_code code_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const command_failure& failure) {
    return failure.code;
  }
  return exit_code::done;
}

}  // namespace

TEST_CASE("client: sends the token and gives the answer") {
  fake_server server{test::always(test::json_answer(200, {{"kind", "agent"}}))};
  api_client client{{server.url(), "secret-token", ""}};
  CHECK(client.get(api_path{"/v1/agents"})["kind"] == "agent");
  CHECK(server.requests().at(0).headers.at("authorization") == "Bearer secret-token");
}

TEST_CASE("client: agent keys are percent-encoded, dots included") {
  CHECK(agent_path(parse_agent("a/b c/ü?")).text() == "/v1/agents/a/b%20c%2F%C3%BC%3F");
  CHECK(agent_path(parse_agent("a/..")).text() == "/v1/agents/a/%2E%2E");
}

TEST_CASE("client: problems become failures with the exit code of the contract") {
  struct {
    unsigned status;
    const char* code;
    exit_code expected;
  } const cases[] = {
    {400, "malformed", exit_code::usage},       {401, "unauthorised", exit_code::unauthorised},
    {404, "not_found", exit_code::not_found},   {409, "conflict", exit_code::refused},
    {422, "not_available", exit_code::refused}, {429, "mailbox_full", exit_code::unavailable},
    {503, "draining", exit_code::unavailable},
  };
  for (const auto& each : cases) {
    fake_server server{test::always(test::problem(each.status, each.code, "say what to do"))};
    api_client client{{server.url(), "", ""}};
    CAPTURE(each.status);
    try {
      client.get(api_path{"/v1/agents"});
      FAIL("no failure");
    } catch (const command_failure& failure) {
      CHECK(failure.code == each.expected);
      CHECK(failure.http_status == each.status);
      CHECK(failure.problem_code == each.code);
      CHECK(failure.message.starts_with("say what to do"));
    }
  }
}

TEST_CASE("client: nobody listening is unavailable, and the message says how to start a node") {
  api_client client{{closed_url(), "", ""}};
  try {
    client.get(api_path{"/v1/agents"});
    FAIL("no failure");
  } catch (const command_failure& failure) {
    CHECK(failure.code == exit_code::unavailable);
    CHECK(failure.http_status == 0);
    CHECK(!failure.may_have_arrived);
    CHECK(failure.message.find("holdfast dev") != std::string::npos);
  }
}

TEST_CASE("client: an answer that is not JSON is a failure, not a crash") {
  fake_server server{test::always({200, "text/html", {}, "<html>"})};
  api_client client{{server.url(), "", ""}};
  CHECK(code_of([&] { client.get(api_path{"/"}); }) == exit_code::failed);
}

TEST_CASE("follow: a stream cut again and again gives every event once, in order") {
  // Each connection brings two more events, then breaks.
  fake_server server{[](const test::recorded_request& request, const net::responder& to) {
    const auto cursor = request.headers.find("last-event-id");
    const int seen = cursor == request.headers.end() ? 0 : std::stoi(cursor->second.substr(1));
    const auto stream = to.start_stream(stream_head(sse(seen + 1) + sse(seen + 2)));
    stream.close();
  }};
  api_client client{{server.url(), "", ""}};
  std::string numbers;
  const auto end = client.follow(api_path{"/s"}, quick(), [&](const net::sse_event& event) {
    numbers += event.data;
    return event.id == "c5" ? follow_step::stop : follow_step::go_on;
  });
  CHECK(end == follow_end::stopped);
  CHECK(numbers == R"({"n":1}{"n":2}{"n":3}{"n":4}{"n":5})");
  CHECK(server.requests().at(1).headers.at("last-event-id") == "c2");
}

TEST_CASE("follow: starts behind the cursor it was given") {
  fake_server server{[](const test::recorded_request&, const net::responder& to) {
    to.start_stream(stream_head(sse(8)));
  }};
  api_client client{{server.url(), "", ""}};
  auto options = quick();
  options.cursor = "c7";
  client.follow(api_path{"/s"}, options, [](const net::sse_event&) { return follow_step::stop; });
  CHECK(server.requests().at(0).headers.at("last-event-id") == "c7");
}

TEST_CASE("follow: a node that is away for a moment is waited for, and both are said") {
  std::atomic<int> calls{0};
  fake_server server{[&calls](const test::recorded_request&, const net::responder& to) {
    const auto call = ++calls;
    if (call == 1)
      to.start_stream(stream_head(sse(1))).close();
    else if (call < 4)
      to.send(test::problem(503, "draining", "draining"));
    else
      to.start_stream(stream_head(sse(2)));
  }};
  api_client client{{server.url(), "", ""}};
  auto options = quick();
  options.give_up_after = 10s;
  std::vector<std::string> said;
  options.say = [&said](std::string_view line) { said.emplace_back(line); };
  client.follow(api_path{"/s"}, options, [](const net::sse_event& event) {
    return event.id == "c2" ? follow_step::stop : follow_step::go_on;
  });
  REQUIRE(said.size() == 2);
  CHECK(said[0].find("trying again") != std::string::npos);
  CHECK(said[1] == "connected again");
}

TEST_CASE("follow: a first connection that fails is a failure at once") {
  fake_server draining{test::always(test::problem(503, "draining", "draining"))};
  api_client client{{draining.url(), "", ""}};
  const auto none = [](const net::sse_event&) { return follow_step::go_on; };
  CHECK(code_of([&] { client.follow(api_path{"/s"}, quick(), none); }) == exit_code::unavailable);
  CHECK(draining.requests().size() == 1);
  api_client nobody{{closed_url(), "", ""}};
  CHECK(code_of([&] { nobody.follow(api_path{"/s"}, quick(), none); }) == exit_code::unavailable);
}

TEST_CASE("follow: a cursor below retention ends it, also after a reconnect") {
  std::atomic<int> calls{0};
  fake_server server{[&calls](const test::recorded_request&, const net::responder& to) {
    if (++calls == 1)
      to.start_stream(stream_head(sse(1))).close();
    else
      to.send(test::problem(410, "gone", "the cursor is below retention"));
  }};
  api_client client{{server.url(), "", ""}};
  CHECK(code_of([&] {
          client.follow(api_path{"/s"}, quick(),
                        [](const net::sse_event&) { return follow_step::go_on; });
        }) == exit_code::not_found);
}

TEST_CASE("follow: a server that ends the stream again and again is given up on") {
  fake_server server{[](const test::recorded_request&, const net::responder& to) {
    to.start_stream(stream_head()).close();
  }};
  api_client client{{server.url(), "", ""}};
  CHECK(code_of([&] {
          client.follow(api_path{"/s"}, quick(),
                        [](const net::sse_event&) { return follow_step::go_on; });
        }) == exit_code::unavailable);
}

TEST_CASE("follow: a deadline ends a silent stream") {
  fake_server server{[](const test::recorded_request&, const net::responder& to) {
    to.start_stream(stream_head(": nothing yet\n\n"));
  }};
  api_client client{{server.url(), "", ""}};
  auto options = quick();
  options.deadline = std::chrono::steady_clock::now() + 20ms;
  CHECK(client.follow(api_path{"/s"}, options, [](const net::sse_event&) {
    return follow_step::go_on;
  }) == follow_end::deadline);
}

TEST_CASE("follow: a reader slower than the stream reconnects by cursor and loses nothing") {
  constexpr int events = 400;
  fake_server server{[](const test::recorded_request& request, const net::responder& to) {
    const auto cursor = request.headers.find("last-event-id");
    const int seen = cursor == request.headers.end() ? 0 : std::stoi(cursor->second.substr(1));
    std::string all;
    for (int i = seen + 1; i <= events; ++i)
      all += sse(i);
    to.start_stream(stream_head(all));
  }};
  api_client client{{server.url(), "", ""}};
  auto options = quick();
  options.queue_bytes_max = 4'000;
  int last = 0;
  bool in_order = true;
  client.follow(api_path{"/s"}, options, [&](const net::sse_event& event) {
    const int number = std::stoi(event.id.substr(1));
    in_order = in_order && number == last + 1;
    last = number;
    return last == events ? follow_step::stop : follow_step::go_on;
  });
  CHECK(in_order);
  CHECK(last == events);
  CHECK(server.requests().size() > 1);
}
