#include <doctest/doctest.h>

#include <atomic>

#include "runtime/net/sse_writer.hpp"
#include "tests/unit/tools/fake_server.hpp"

using namespace holdfast;
using test::fake_process;
using test::fake_server;
using test::json;
using test::json_answer;

namespace {

json run_document(const char* status, const json& output, const json& failure = nullptr) {
  return {{"kind", "run"},    {"run_id", "run_1"}, {"agent", "a/b"},
          {"status", status}, {"output", output},  {"error", failure}};
}

json accepted(const json& run = "run_1") {
  return {{"kind", "accepted"}, {"event_id", "evt_1"}, {"run_id", run}, {"agent", "a/b"}};
}

std::string sse(const std::string& id, const std::string& type, json data) {
  data["run_id"] = "run_1";
  return net::sse_event_text(id, type, data.dump());
}

/// Accepts the event, then streams.
fake_server::answer_function streaming(std::string events) {
  return
    [events = std::move(events)](const test::recorded_request& request, const net::responder& to) {
      if (request.method == "POST")
        to.send(json_answer(202, accepted()));
      else
        to.start_stream({200, "text/event-stream", {}, events}).close();
    };
}

}  // namespace

TEST_CASE("send: the body carries type and data as they were written, the key is a header") {
  fake_server server{test::always(json_answer(202, accepted()))};
  const auto done = fake_process{}.run(
    server, {"agent", "send", "a/b c", "--data", R"({"n":12345678901234567890123})", "--type",
             "t.x", "--key", "k1"});
  CHECK(done.code == 0);
  const auto request = server.requests().at(0);
  CHECK(request.line() == "POST /v1/agents/a/b%20c/events");
  CHECK(request.body == R"({"type":"t.x","data":{"n":12345678901234567890123}})");
  CHECK(request.headers.at("idempotency-key") == "k1");
  CHECK(request.headers.at("content-type") == "application/json");
  CHECK(done.out.find("run_1") != std::string::npos);
}

TEST_CASE("send: data may come from stdin") {
  fake_server server{test::always(json_answer(202, accepted()))};
  fake_process process;
  process.input = "[1,2]";
  CHECK(process.run(server, {"agent", "send", "a/b", "--data", "-", "-o", "ids"}).out == "run_1\n");
  CHECK(server.requests().at(0).body == R"({"data":[1,2]})");
}

TEST_CASE("send --wait: prints the output of the run, text as it is and anything else as JSON") {
  fake_server objects{test::always(json_answer(200, run_document("completed", {{"ok", true}})))};
  auto done =
    fake_process{}.run(objects, {"agent", "send", "a/b", "--data", "{}", "--wait", "30s"});
  CHECK(done.code == 0);
  CHECK(done.out == "{\"ok\":true}\n");
  CHECK(objects.requests().at(0).target == "/v1/agents/a/b/events?wait=30s");
  fake_server text{test::always(json_answer(200, run_document("completed", "line one\nline two")))};
  done = fake_process{}.run(text, {"agent", "send", "a/b", "--data", "{}", "--wait", "30s"});
  CHECK(done.out == "line one\nline two\n");
  done = fake_process{}.run(
    text, {"agent", "send", "a/b", "--data", "{}", "--wait", "30s", "-o", "json"});
  CHECK(json::parse(done.out)["run_id"] == "run_1");
}

TEST_CASE(
  "send --wait: a run that failed or was cancelled is exit code 1 with the reason on stderr") {
  fake_server failed{test::always(json_answer(
    200, run_document("failed", nullptr, {{"code", "limit_exceeded"}, {"message", "50 steps"}})))};
  auto done = fake_process{}.run(failed, {"agent", "send", "a/b", "--data", "{}", "--wait", "1s"});
  CHECK(done.code == 1);
  CHECK(done.out.empty());
  CHECK(done.err.find("limit_exceeded: 50 steps") != std::string::npos);
  CHECK(done.err.find("holdfast run retry run_1") != std::string::npos);
  fake_server cancelled{test::always(json_answer(200, run_document("cancelled", nullptr)))};
  CHECK(
    fake_process{}.run(cancelled, {"agent", "send", "a/b", "--data", "{}", "--wait", "1s"}).code ==
    1);
}

TEST_CASE("send --wait: a run still open when the wait ends is exit code 6 with its id on stderr") {
  fake_server server{test::always(json_answer(202, accepted()))};
  const auto done =
    fake_process{}.run(server, {"agent", "send", "a/b", "--data", "{}", "--wait", "100ms"});
  CHECK(done.code == 6);
  CHECK(done.out.empty());
  CHECK(done.err.find("run_1") != std::string::npos);
}

TEST_CASE(
  "send --wait: a wait beyond five minutes is asked for in parts, under one idempotency key") {
  std::atomic<int> calls{0};
  fake_server server{[&calls](const test::recorded_request&, const net::responder& to) {
    if (++calls == 1)
      to.send(json_answer(202, accepted()));
    else
      to.send(json_answer(200, run_document("completed", "done")));
  }};
  const auto done =
    fake_process{}.run(server, {"agent", "send", "a/b", "--data", "{}", "--wait", "1h"});
  CHECK(done.code == 0);
  CHECK(done.out == "done\n");
  const auto requests = server.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].target == "/v1/agents/a/b/events?wait=5m");
  CHECK(requests[0].body == requests[1].body);
  CHECK(requests[0].headers.at("idempotency-key") == requests[1].headers.at("idempotency-key"));
}

TEST_CASE("send --wait: an event refused for now is not sent again behind the user's back") {
  fake_server server{test::always(test::problem(503, "overloaded", "try again"))};
  CHECK(
    fake_process{}.run(server, {"agent", "send", "a/b", "--data", "{}", "--wait", "10s"}).code ==
    6);
  CHECK(server.requests().size() == 1);
}

TEST_CASE("send --follow: text goes to stdout as it comes, tools and times to stderr") {
  fake_server server{
    streaming(sse("1", "run.started", {{"at", "2026-11-21T08:00:00.000Z"}}) +
              sse("2", "text.delta", {{"step", 1}, {"offset", 0}, {"text", "Let me "}}) +
              sse("3", "text.delta", {{"step", 1}, {"offset", 7}, {"text", "look."}}) +
              sse("4", "tool.called",
                  {{"effect", "eff_1"},
                   {"name", "get_invoice"},
                   {"input", {{"id", "7"}}},
                   {"at", "2026-11-21T08:00:01.000Z"}}) +
              sse("5", "tool.result",
                  {{"effect", "eff_1"},
                   {"status", "succeeded"},
                   {"output", {}},
                   {"at", "2026-11-21T08:00:01.120Z"}}) +
              sse("6", "text.delta", {{"step", 3}, {"offset", 0}, {"text", "Done."}}) +
              sse("7", "run.completed",
                  {{"output", "Done."},
                   {"usage", {{"input_tokens", 5}, {"output_tokens", 6}, {"usd", "0.01"}}},
                   {"at", "2026-11-21T08:00:02.250Z"}}))};
  const auto done =
    fake_process{}.run(server, {"agent", "send", "a/b", "--data", "{}", "--follow"});
  CHECK(done.code == 0);
  CHECK(done.out == "Let me look.\nDone.\n");
  CHECK(done.err.find("tool get_invoice {\"id\":\"7\"}") != std::string::npos);
  CHECK(done.err.find("tool get_invoice succeeded in 120ms") != std::string::npos);
  CHECK(done.err.find("run run_1 completed in 2.25s, 5 tokens in, 6 out, 0.01 usd") !=
        std::string::npos);
}

TEST_CASE(
  "send --follow: text that was rewound is told, and the last line is the text that counts") {
  fake_server server{
    streaming(sse("1", "text.delta", {{"step", 1}, {"offset", 0}, {"text", "Hello wor"}}) +
              sse("2", "step.rewound", {{"step", 1}, {"to", 6}}) +
              sse("3", "text.delta", {{"step", 1}, {"offset", 6}, {"text", "you"}}) +
              sse("4", "run.completed", {{"output", "Hello you"}}))};
  const auto done =
    fake_process{}.run(server, {"agent", "send", "a/b", "--data", "{}", "--follow"});
  CHECK(done.out == "Hello wor\nHello you\n");
  CHECK(done.err.find("restarted") != std::string::npos);
}

TEST_CASE("send --follow: a run without text prints its output, a failed one exits with 1") {
  fake_server silent{streaming(sse("1", "run.completed", {{"output", {{"n", 1}}}}))};
  CHECK(fake_process{}.run(silent, {"agent", "send", "a/b", "--data", "{}", "--follow"}).out ==
        "{\"n\":1}\n");
  fake_server failed{
    streaming(sse("1", "run.failed", {{"error", {{"code", "x"}, {"message", "y"}}}}))};
  const auto done =
    fake_process{}.run(failed, {"agent", "send", "a/b", "--data", "{}", "--follow"});
  CHECK(done.code == 1);
  CHECK(done.err.find("x: y") != std::string::npos);
}

TEST_CASE("send --follow -o json: gives every event as a JSON line with its cursor") {
  fake_server server{streaming(sse("1", "step.started", {{"step", 1}, {"kind", "model"}}) +
                               sse("2", "run.completed", {{"output", 1}}))};
  const auto done =
    fake_process{}.run(server, {"agent", "send", "a/b", "--data", "{}", "--follow", "-o", "json"});
  CHECK(done.out ==
        "{\"event\":\"step.started\",\"cursor\":\"1\",\"step\":1,\"kind\":\"model\",\"run_id\":"
        "\"run_1\"}\n"
        "{\"event\":\"run.completed\",\"cursor\":\"2\",\"output\":1,\"run_id\":\"run_1\"}\n");
}

TEST_CASE("send --follow: an event that is still collected has no run to follow: exit code 6") {
  auto pending = accepted(nullptr);
  pending["pending"] = "batch";
  fake_server server{test::always(json_answer(202, pending))};
  const auto done =
    fake_process{}.run(server, {"agent", "send", "a/b", "--data", "{}", "--follow"});
  CHECK(done.code == 6);
  CHECK(done.err.find("batch") != std::string::npos);
}
