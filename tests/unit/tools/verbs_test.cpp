#include <doctest/doctest.h>

#include <atomic>
#include <filesystem>
#include <fstream>

#include "runtime/net/sse_writer.hpp"
#include "tests/unit/tools/fake_server.hpp"

using namespace holdfast;
using test::fake_process;
using test::fake_server;
using test::json;
using test::json_answer;
namespace fs = std::filesystem;

namespace {

json list_of(json items, json next = nullptr) {
  return {{"items", std::move(items)}, {"next", std::move(next)}};
}

json agent(const std::string& name, const std::string& status = "idle") {
  return {{"kind", "agent"}, {"agent", name}, {"status", status}, {"cause", nullptr}};
}

/// The one request that `arguments` make, with the answer given.
test::recorded_request request_of(const std::vector<std::string>& arguments, const json& answer) {
  fake_server server{test::always(json_answer(200, answer))};
  const auto done = fake_process{}.run(server, arguments);
  CAPTURE(done.err);
  CHECK(done.code == 0);
  REQUIRE(server.requests().size() == 1);
  return server.requests()[0];
}

struct spec_folder {
  fs::path path;
  spec_folder() {
    auto name = (fs::temp_directory_path() / "holdfast-cli-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~spec_folder() { fs::remove_all(path); }
  void write(const std::string& name, const std::string& text) const {
    std::ofstream{path / name} << text;
  }
};

}  // namespace

TEST_CASE("verbs: each makes the request that the contract names") {
  const auto items = list_of(json::array());
  const auto line = [&](const std::vector<std::string>& arguments, const json& answer) {
    return request_of(arguments, answer).line();
  };
  CHECK(
    line({"agent", "list", "--type", "t", "--status", "idle", "--where", ".a > 1", "--limit", "3"},
         items) == "GET /v1/agents?type=t&status=idle&where=.a%20%3E%201&limit=3");
  CHECK(line({"agent", "describe", "t/k"}, agent("t/k")) == "GET /v1/agents/t/k");
  CHECK(line({"agent", "why", "t/k"},
             {{"kind", "why"}, {"agent", "t/k"}, {"status", "idle"}, {"causes", json::array()}}) ==
        "GET /v1/agents/t/k/why");
  CHECK(line({"agent", "mailbox", "t/k"}, items) == "GET /v1/agents/t/k/mailbox?limit=500");
  CHECK(line({"agent", "timers", "t/k"}, items) == "GET /v1/agents/t/k/timers?limit=500");
  CHECK(line({"agent", "history", "t/k", "--run", "run_1"}, items) ==
        "GET /v1/agents/t/k/history?run=run_1&limit=500");
  CHECK(line({"agent", "delete", "t/k"}, agent("t/k")) == "DELETE /v1/agents/t/k");
  CHECK(line({"run", "list", "--agent", "t/k", "--status", "failed"}, items) ==
        "GET /v1/runs?agent=t%2Fk&status=failed&limit=500");
  CHECK(line({"run", "describe", "run_1"},
             {{"kind", "run"}, {"run_id", "run_1"}, {"status", "completed"}}) ==
        "GET /v1/runs/run_1");
  CHECK(line({"run", "history", "run_1"}, items) == "GET /v1/runs/run_1/history?limit=500");
  CHECK(line({"run", "cancel", "run_1"}, {{"kind", "run"}}) == "POST /v1/runs/run_1/cancel");
  CHECK(line({"event", "list", "--limit", "2"}, items) == "GET /v1/events?limit=2");
  CHECK(line({"event", "describe", "evt_1"}, {{"kind", "event"}}) == "GET /v1/events/evt_1");
  CHECK(line({"event", "dlq", "list"}, items) == "GET /v1/dlq?limit=500");
  CHECK(line({"event", "dlq", "show", "evt_1"}, {{"id", "evt_1"}}) == "GET /v1/dlq/evt_1");
  CHECK(line({"event", "dlq", "redrive", "evt_1"}, json::object()) == "POST /v1/dlq/evt_1/redrive");
  CHECK(line({"event", "dlq", "drop", "evt_1"}, json::object()) == "POST /v1/dlq/evt_1/drop");
  CHECK(line({"type", "list"}, items) == "GET /v1/types?limit=500");
  CHECK(line({"type", "describe", "t"}, {{"kind", "type"}}) == "GET /v1/types/t");
  CHECK(line({"type", "versions", "t"}, items) == "GET /v1/types/t/versions?limit=500");
  CHECK(line({"reconcile", "list"}, items) == "GET /v1/reconcile?limit=500");
}

TEST_CASE("verbs: those that act send their reason and print the document") {
  for (const auto* verb : {"pause", "resume", "cancel", "kill", "quarantine", "retry"}) {
    const auto request = request_of({"agent", verb, "t/k", "--reason", "why not"}, agent("t/k"));
    CHECK(request.line() == std::string{"POST /v1/agents/t/k/"} + verb);
    CHECK(request.document() == json{{"reason", "why not"}});
  }
  CHECK(request_of({"agent", "retry", "t/k", "--from-start"}, agent("t/k")).document() ==
        json{{"from_start", true}});
  CHECK(request_of({"run", "retry", "run_1", "--from-start"}, {{"kind", "run"}}).document() ==
        json{{"from_start", true}});
  const auto fork =
    request_of({"agent", "fork", "t/k", "--at", "7", "--to", "k/2"}, agent("t/k/2"));
  CHECK(fork.line() == "POST /v1/agents/t/k/fork");
  CHECK(fork.document() == json{{"at", 7}, {"key", "k/2"}});
}

TEST_CASE("reconcile resolve: each way out has its body") {
  const json done{{"kind", "reconcile"}};
  CHECK(
    request_of({"reconcile", "resolve", "eff_1", "--succeeded", "{\"a\":1}", "--note", "n"}, done)
      .document() == json{{"resolve", "succeeded"}, {"result", {{"a", 1}}}, {"note", "n"}});
  CHECK(request_of({"reconcile", "resolve", "eff_1", "--retry"}, done).document() ==
        json{{"resolve", "retry"}});
  const auto failed = request_of({"reconcile", "resolve", "eff_1", "--failed"}, done);
  CHECK(failed.line() == "POST /v1/reconcile/eff_1");
  CHECK(failed.document() == json{{"resolve", "failed"}});
}

TEST_CASE("event send: is a structured CloudEvent and prints where it went") {
  fake_server server{test::always(json_answer(
    202,
    {{"kind", "accepted"},
     {"events", {{{"event_id", "evt_1"}, {"id", "x"}, {"source", "s"}, {"agents", {"t/k"}}}}}}))};
  const auto done = fake_process{}.run(server, {"event", "send", "--source", "s", "--type", "a.b",
                                                "--data", "{\"n\":1}", "--id", "x", "--key", "k"});
  CHECK(done.code == 0);
  CHECK(done.out == "evt_1  to t/k\n");
  const auto request = server.requests().at(0);
  CHECK(request.line() == "POST /v1/events");
  CHECK(request.headers.at("content-type") == "application/cloudevents+json");
  CHECK(request.headers.at("idempotency-key") == "k");
  const auto event = request.document();
  CHECK(event["specversion"] == "1.0");
  CHECK(event["id"] == "x");
  CHECK(event["source"] == "s");
  CHECK(event["type"] == "a.b");
  CHECK(event["data"] == json{{"n", 1}});
}

TEST_CASE("list: pages are put together until everything or the limit is there") {
  const fake_server::answer_function pages = [](const test::recorded_request& request,
                                                const net::responder& to) {
    if (request.target.find("cursor=next%2F1") == std::string::npos)
      to.send(json_answer(200, list_of({agent("t/1"), agent("t/2")}, "next/1")));
    else
      to.send(json_answer(200, list_of({agent("t/3")})));
  };
  fake_server server{pages};
  CHECK(fake_process{}.run(server, {"agent", "list", "-o", "ids"}).out == "t/1\nt/2\nt/3\n");
  const auto whole = fake_process{}.run(server, {"agent", "list", "-o", "json"});
  CHECK(json::parse(whole.out)["items"].size() == 3);
  CHECK(json::parse(whole.out)["next"].is_null());
  fake_server limited{pages};
  const auto some = fake_process{}.run(limited, {"agent", "list", "--limit", "2"});
  CHECK(limited.requests().size() == 1);
  CHECK(some.err.find("there are more") != std::string::npos);
}

TEST_CASE("describe: an agent that waits is asked why, and the answer ends with the way out") {
  fake_server server{[](const test::recorded_request& request, const net::responder& to) {
    if (request.target.ends_with("/why"))
      to.send(
        json_answer(200, {{"kind", "why"},
                          {"agent", "t/k"},
                          {"status", "waiting"},
                          {"causes",
                           {{{"kind", "approval"},
                             {"detail", "refund"},
                             {"unblock", {{"command", "holdfast approval approve apr_1"}}}}}}}));
    else
      to.send(json_answer(200, agent("t/k", "waiting")));
  }};
  const auto done = fake_process{}.run(server, {"agent", "describe", "t/k"});
  CHECK(done.out.ends_with("Unblock:  holdfast approval approve apr_1\n"));
  const auto document = fake_process{}.run(server, {"agent", "describe", "t/k", "-o", "json"});
  CHECK(json::parse(document.out) == agent("t/k", "waiting"));
}

TEST_CASE("watch: prints a JSON line when something is new or has changed, and nothing else") {
  std::atomic<int> calls{0};
  fake_server server{[&calls](const test::recorded_request&, const net::responder& to) {
    switch (++calls) {
      case 1:
      case 2:
        to.send(json_answer(200, agent("t/k", "running")));
        break;
      case 3:
        to.send(test::problem(503, "draining", "wait"));
        break;
      case 4:
        to.send(json_answer(200, agent("t/k", "idle")));
        break;
      default:
        to.send(test::problem(404, "not_found", "deleted"));
    }
  }};
  const auto done = fake_process{}.run(server, {"agent", "watch", "t/k"});
  CHECK(done.code == 4);
  CHECK(done.out == agent("t/k", "running").dump() + "\n" + agent("t/k", "idle").dump() + "\n");
}

TEST_CASE(
  "state: --set patches what is there, with the number it was at, and again when it has moved") {
  std::atomic<int> patches{0};
  fake_server server{[&patches](const test::recorded_request& request, const net::responder& to) {
    if (request.method == "GET") {
      auto answer =
        json_answer(200, {{"kind", "state"}, {"agent", "t/k"}, {"seq", 41}, {"state", {{"a", 1}}}});
      answer.headers.emplace_back("ETag", "\"41\"");
      to.send(std::move(answer));
    } else if (++patches == 1) {
      to.send(test::problem(412, "precondition_failed", "moved"));
    } else {
      to.send(json_answer(
        200, {{"kind", "state"}, {"agent", "t/k"}, {"seq", 42}, {"state", {{"a", 2}}}}));
    }
  }};
  const auto done = fake_process{}.run(
    server, {"agent", "state", "t/k", "--set", "{\"a\":2}", "--set", "b.c=x", "-o", "json"});
  CHECK(done.code == 0);
  CHECK(json::parse(done.out)["seq"] == 42);
  const auto patch = server.requests().back();
  CHECK(patch.line() == "PATCH /v1/agents/t/k/state");
  CHECK(patch.headers.at("if-match") == "\"41\"");
  CHECK(patch.headers.at("content-type") == "application/merge-patch+json");
  CHECK(patch.document() == json{{"a", 2}, {"b", {{"c", "x"}}}});
}

TEST_CASE("state: --if-match is the user's own condition and is not tried again") {
  fake_server server{test::always(test::problem(412, "precondition_failed", "moved"))};
  const auto done =
    fake_process{}.run(server, {"agent", "state", "t/k", "--set", "{}", "--if-match", "7"});
  CHECK(done.code == 5);
  REQUIRE(server.requests().size() == 1);
  CHECK(server.requests()[0].headers.at("if-match") == "\"7\"");
}

TEST_CASE("state: --edit sends only what was changed, removals as null") {
  fake_server server{[](const test::recorded_request& request, const net::responder& to) {
    if (request.method == "GET")
      to.send(
        json_answer(200, {{"kind", "state"},
                          {"seq", 5},
                          {"state", {{"keep", 1}, {"drop", 2}, {"in", {{"x", 1}, {"y", 2}}}}}}));
    else
      to.send(json_answer(200, {{"kind", "state"}, {"seq", 6}}));
  }};
  fake_process process;
  process.edit = [](const std::string& file) {
    std::ofstream{file} << R"({"keep":1,"in":{"x":1,"y":3},"new":true})";
    return true;
  };
  CHECK(process.run(server, {"agent", "state", "t/k", "--edit"}).code == 0);
  CHECK(server.requests().back().document() ==
        json::parse(R"({"drop":null,"in":{"y":3},"new":true})"));
  CHECK(server.requests().back().headers.at("if-match") == "\"5\"");
  process.edit = [](const std::string&) { return true; };
  const auto unchanged = process.run(server, {"agent", "state", "t/k", "--edit"});
  CHECK(unchanged.err == "nothing changed\n");
}

TEST_CASE("batch: --dry-run only counts; without a terminal nobody is asked") {
  fake_server server{
    test::always(json_answer(200, {{"matched", 3}, {"done", 0}, {"failed", json::array()}}))};
  auto done = fake_process{}.run(
    server, {"agent", "pause", "--where", ".status == \"waiting\"", "--dry-run"});
  CHECK(done.code == 0);
  CHECK(done.out == "matched 3, done 0, failed 0\n");
  REQUIRE(server.requests().size() == 1);
  CHECK(server.requests()[0].line() == "POST /v1/agents:batch");
  CHECK(server.requests()[0].document() ==
        json{{"verb", "pause"}, {"where", ".status == \"waiting\""}, {"dry_run", true}});
  done = fake_process{}.run(server, {"agent", "pause", "--where", ".x", "--reason", "r"});
  REQUIRE(server.requests().size() == 2);
  CHECK(server.requests()[1].document()["dry_run"] == false);
  CHECK(server.requests()[1].document()["reason"] == "r");
}

TEST_CASE("batch: on a terminal the count is asked about first, and no means nothing done") {
  fake_server server{
    test::always(json_answer(200, {{"matched", 3}, {"done", 3}, {"failed", json::array()}}))};
  fake_process process;
  process.terminal = true;
  process.input = "n\n";
  auto done = process.run(server, {"agent", "kill", "--where", ".x"});
  CHECK(done.err.find("kill 3 agents? [y/N]") != std::string::npos);
  CHECK(server.requests().size() == 1);
  process.input = "y\n";
  done = process.run(server, {"agent", "kill", "--where", ".x"});
  CHECK(server.requests().size() == 3);
  CHECK(done.out == "matched 3, done 3, failed 0\n");
  process.input.clear();
  CHECK(process.run(server, {"agent", "kill", "--where", ".x", "--yes"}).code == 0);
  CHECK(server.requests().size() == 4);
}

TEST_CASE("batch: agents that could not be done make it exit code 1") {
  fake_server server{test::always(json_answer(
    200, {{"matched", 2}, {"done", 1}, {"failed", {{{"agent", "t/k"}, {"code", "conflict"}}}}}))};
  const auto done = fake_process{}.run(server, {"agent", "resume", "--where", ".x"});
  CHECK(done.code == 1);
  CHECK(done.err.find("t/k") != std::string::npos);
}

TEST_CASE("delete: asks on a terminal") {
  fake_server server{test::always({204, "", {}, ""})};
  fake_process process;
  process.terminal = true;
  process.input = "\n";
  CHECK(process.run(server, {"agent", "delete", "t/k"}).code == 0);
  CHECK(server.requests().empty());
  CHECK(process.run(server, {"agent", "delete", "t/k", "--yes"}).code == 0);
  CHECK(server.requests().size() == 1);
}

TEST_CASE("apply: a spec_folder goes out as one request with every definition and nothing else") {
  spec_folder dir;
  dir.write("b.yaml", "kind: agent\ntype: b\n");
  dir.write("a.yml", "kind: agent\ntype: a\n");
  for (const auto* other : {"node.yaml", "script.yaml", "keys.yaml", "README.md", ".env"})
    dir.write(other, "not: a definition\n");
  fake_server server{test::always(json_answer(
    200, {{"items",
           {{{"kind", "agent"}, {"name", "a"}, {"version", 1}, {"change", "created"}},
            {{"kind", "agent"}, {"name", "b"}, {"version", 3}, {"change", "unchanged"}}}}}))};
  const auto done = fake_process{}.run(server, {"apply", "-f", dir.path.string()});
  CHECK(done.code == 0);
  CHECK(done.out == "agent/a@1 created\nagent/b@3 unchanged\n");
  REQUIRE(server.requests().size() == 1);
  const auto request = server.requests()[0];
  CHECK(request.line() == "PUT /v1/definitions");
  CHECK(request.headers.at("content-type") == "application/vnd.holdfast.definitions+json");
  const auto body = request.document();
  REQUIRE(body["files"].size() == 2);
  CHECK(body["files"][0]["name"] == (dir.path / "a.yml").string());
  CHECK(body["files"][1]["text"] == "kind: agent\ntype: b\n");
}

TEST_CASE("apply: an invalid definition is exit code 2, each error with file and line") {
  spec_folder dir;
  dir.write("a.yaml", "kind: agent\ntyp: a\n");
  auto refusal = json{{"status", 422},
                      {"code", "schema"},
                      {"detail", "nothing was applied"},
                      {"errors",
                       {{{"file", "a.yaml"},
                         {"line", 2},
                         {"pointer", "/typ"},
                         {"detail", "unknown key `typ`, did you mean `type`?"}}}}};
  fake_server server{test::always({422, "application/problem+json", {}, refusal.dump()})};
  const auto done = fake_process{}.run(server, {"apply", "-f", (dir.path / "a.yaml").string()});
  CHECK(done.code == 2);
  CHECK(done.out.empty());
  CHECK(done.err.find("a.yaml:2: unknown key `typ`") != std::string::npos);
}

TEST_CASE("apply --dry-run: shows what would change") {
  fake_process process;
  process.input = "kind: agent\ntype: a\n";
  fake_server server{test::always(
    json_answer(200, {{"items",
                       {{{"kind", "agent"},
                         {"name", "a"},
                         {"version", 2},
                         {"change", "updated"},
                         {"before", {{"type", "a"}, {"limits", {{"steps", 50}}}}},
                         {"after", {{"type", "a"}, {"limits", {{"steps", 20}}}}}}}}}))};
  const auto done = process.run(server, {"apply", "-f", "-", "--dry-run"});
  CHECK(server.requests().at(0).target == "/v1/definitions?dry_run=true");
  CHECK(done.out == "agent/a@2 updated\n type: a\n limits:\n-  steps: 50\n+  steps: 20\n");
}

TEST_CASE("doctor: findings are exit code 1, none is 0") {
  fake_server healthy{test::always(json_answer(
    200, {{"kind", "doctor"}, {"checked", {{"agents", 3}}}, {"findings", json::array()}}))};
  auto done = fake_process{}.run(healthy, {"doctor"});
  CHECK(done.code == 0);
  CHECK(done.err == "no findings (checked 3 agents)\n");
  fake_server ill{
    test::always(json_answer(200, {{"kind", "doctor"},
                                   {"findings",
                                    {{{"code", "no_wake_cause"},
                                      {"subject", "t/k"},
                                      {"detail", "nothing will wake it"},
                                      {"unblock", {{"command", "holdfast agent retry t/k"}}}}}}}))};
  done = fake_process{}.run(ill, {"doctor"});
  CHECK(done.code == 1);
  CHECK(done.out == "no_wake_cause t/k: nothing will wake it\n  holdfast agent retry t/k\n");
  CHECK(fake_process{}.run(ill, {"doctor", "-o", "json"}).code == 1);
}

TEST_CASE("run stream: JSON lines to the end of the run") {
  fake_server server{[](const test::recorded_request&, const net::responder& to) {
    to.start_stream(
        {200,
         "text/event-stream",
         {},
         net::sse_event_text("1", "run.started", R"({"run_id":"run_1","seq":1})") +
           net::sse_event_text("2", "run.failed", R"({"run_id":"run_1","error":{"code":"x"}})")})
      .close();
  }};
  const auto done = fake_process{}.run(server, {"run", "stream", "run_1", "--from", "c0"});
  CHECK(done.code == 1);  // as the run ended
  CHECK(done.out ==
        "{\"event\":\"run.started\",\"cursor\":\"1\",\"run_id\":\"run_1\",\"seq\":1}\n"
        "{\"event\":\"run.failed\",\"cursor\":\"2\",\"run_id\":\"run_1\",\"error\":{\"code\":\"x\"}"
        "}\n");
  CHECK(server.requests().at(0).headers.at("last-event-id") == "c0");
}

TEST_CASE("failures: problems go to stderr with their exit code and the token is never printed") {
  fake_server server{test::always(test::problem(401, "unauthorised", "send a key"))};
  const auto done = fake_process{}.run(server, {"agent", "list", "--token", "very-secret"});
  CHECK(done.code == 3);
  CHECK(done.out.empty());
  CHECK(done.err == "holdfast: send a key [401 unauthorised]\n");
  CHECK((done.out + done.err).find("very-secret") == std::string::npos);
}
