#include "persistence/keys.hpp"
#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const std::string agent_path = "/v1/agents/support/cus_42";

/// An agent whose run waits for a tool's retry, with a second event in its mailbox.
void make_waiting(fake_node& node) {
  const auto first = node.commit(one, {received(node, one, 1)});
  tool_requested asked;
  asked.effect_no = 1;
  asked.step = 1;
  asked.tool = "refund";
  asked.cls = effect_class::idempotent;
  asked.input = R"({"id":"in_1"})";
  asked.term = 1;
  node.commit(one, {started(node, one, 1, first), asked});
  node.commit(one, {received(node, one, 2, R"({"second":1})")});
  node.commit(one,
              {effect_failed{1, 1, {"http_503", "busy", 1, true}, false, "refund"},
               timer_set{1, timer_kind::retry, test_time + 1'000'000, {}, run_no(node, one, 1), 1},
               effect_retry_scheduled{1, 2, 1, test_time + 1'000'000}});
}

}  // namespace

TEST_CASE("agents: one is described with what it waits for and what unblocks it") {
  asking at;
  make_waiting(at.node);
  const auto agent = at.ask("GET", agent_path)->body();
  CHECK(agent["kind"] == "agent");
  CHECK(agent["agent"] == "support/cus_42");
  CHECK(agent["type"] == "support");
  CHECK(agent["key"] == "cus_42");
  CHECK(agent["version"] == 1);
  CHECK(agent["status"] == "waiting");
  CHECK(agent["run_id"] == to_string(run_no(at.node, one, 1)));
  CHECK(agent["mailbox"] == 1);
  CHECK(agent["seq"] == 7);
  CHECK(agent["usage"] == json{{"input_tokens", 0},
                               {"output_tokens", 0},
                               {"usd", "0.00"},
                               {"model_calls", 0},
                               {"tool_calls", 0}});
  CHECK(agent["created_at"] == "2026-09-21T14:13:20.000Z");
  CHECK(agent["cause"]["kind"] == "retry");
  CHECK(agent["cause"]["until"] == "2026-09-21T14:13:21.000Z");
  CHECK(agent["cause"]["unblock"]["command"] == "holdfast agent retry support/cus_42");
  CHECK(agent["cause"]["unblock"]["http"] ==
        json{{"method", "POST"}, {"path", agent_path + "/retry"}});

  const auto why = at.ask("GET", agent_path + "/why")->body();
  CHECK(why["kind"] == "why");
  CHECK(why["status"] == "waiting");
  CHECK(why["causes"].size() == 1);
  CHECK(why["causes"][0] == agent["cause"]);
}

TEST_CASE("agents: one that was never addressed is not found, under any of its paths") {
  asking at;
  for (const auto* rest : {"", "/why", "/state", "/mailbox", "/timers", "/history", "/stream"})
    check_refused(at, at.ask("GET", agent_path + rest), 404, "not_found");
  check_refused(at, at.ask("DELETE", agent_path), 404, "not_found");
  check_refused(at, at.ask("POST", agent_path + "/fork", R"({"at":1,"key":"b"})"), 404,
                "not_found");
}

TEST_CASE("agents: an idle one has no cause") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  at.node.commit(one, {started(at.node, one, 1, seq), run_completed{run_no(at.node, one, 1), "1"}});
  const auto agent = at.ask("GET", agent_path)->body();
  CHECK(agent["status"] == "idle");
  CHECK(agent["run_id"].is_null());
  CHECK(agent["cause"].is_null());
  CHECK(at.ask("GET", agent_path + "/why")->body()["causes"].empty());
}

TEST_CASE("agents: the mailbox lists what waits, oldest first") {
  asking at;
  make_waiting(at.node);
  at.node.commit(one, {received(at.node, one, 3)});
  const auto first = at.ask("GET", agent_path + "/mailbox?limit=1")->body();
  REQUIRE(first["items"].size() == 1);
  CHECK(first["items"][0]["seq"] == 4);
  CHECK(first["items"][0]["event"]["data"] == json{{"second", 1}});
  CHECK(first["items"][0]["event"]["id"] == to_string(event_no(at.node, one, 2)));
  CHECK(first["items"][0]["attempts"] == 0);
  CHECK(first["items"][0]["received_at"].is_string());
  const auto second =
    at.ask("GET", agent_path + "/mailbox?limit=1&cursor=" + first["next"].get<std::string>())
      ->body();
  REQUIRE(second["items"].size() == 1);
  CHECK(second["items"][0]["run_id"] == to_string(run_no(at.node, one, 3)));
  CHECK(second["next"].is_null());
}

TEST_CASE("agents: a waiting run that was cancelled is not in the mailbox any more") {
  asking at;
  make_waiting(at.node);
  at.node.commit(one, {run_cancelled{run_no(at.node, one, 2), "because"}});
  CHECK(at.ask("GET", agent_path + "/mailbox")->body()["items"].empty());
  CHECK(at.ask("GET", agent_path)->body()["mailbox"] == 0);
  CHECK(at.ask("GET", "/v1/runs/" + to_string(run_no(at.node, one, 2)))->body()["status"] ==
        "cancelled");
}

TEST_CASE("agents: timers are listed by when they are due") {
  asking at;
  make_waiting(at.node);
  at.node.commit(
    one, {timer_set{2, timer_kind::sleep, test_time + 5, "soon", run_no(at.node, one, 1), 0}});
  const auto timers = at.ask("GET", agent_path + "/timers")->body()["items"];
  REQUIRE(timers.size() == 2);
  CHECK(timers[0] == json{{"id", 2},
                          {"kind", "sleep"},
                          {"due_at", "2026-09-21T14:13:20.000Z"},
                          {"tag", "soon"},
                          {"run_id", to_string(run_no(at.node, one, 1))}});
  CHECK(timers[1]["kind"] == "retry");
}

TEST_CASE("agents: the state comes with its ETag") {
  asking at;
  at.node.commit(one, {paused{"me", "r"}});
  auto got = at.ask("GET", agent_path + "/state");
  CHECK(got->header("ETag") == "\"1\"");
  CHECK(
    got->body() ==
    json{{"kind", "state"}, {"agent", "support/cus_42"}, {"seq", 1}, {"state", json::object()}});
  at.node.commit(one, {state_changed{R"({"big":12345678901234567890.5})"}});
  got = at.ask("GET", agent_path + "/state");
  CHECK(got->header("ETag") == "\"2\"");
  CHECK(got->answer->body.find("12345678901234567890.5") != std::string::npos);
}

TEST_CASE("agents: a list goes by address over all partitions, page by page") {
  asking at;
  std::vector<std::string> names;
  for (int i = 0; i < 25; ++i) {
    const agent_name name{i % 2 == 0 ? "alpha" : "support", "k" + std::to_string(i)};
    at.node.commit(name, {paused{"me", "r"}});
    names.push_back(to_string(name));
  }
  std::sort(names.begin(), names.end());
  std::vector<std::string> seen;
  std::string cursor;
  int pages = 0;
  do {
    const auto page =
      at.ask("GET", "/v1/agents?limit=7" + (cursor.empty() ? "" : "&cursor=" + cursor))->body();
    CHECK(page["items"].size() <= 7);
    for (const auto& item : page["items"])
      seen.push_back(item["agent"]);
    cursor = page["next"].is_null() ? "" : page["next"].get<std::string>();
    ++pages;
  } while (!cursor.empty());
  CHECK(seen == names);
  CHECK(pages == 4);
  CHECK(at.ask("GET", "/v1/agents?type=alpha&limit=500")->body()["items"].size() == 13);
}

TEST_CASE("agents: a list is narrowed by status and by jq over the document") {
  asking at;
  make_waiting(at.node);
  at.node.commit({"support", "held"}, {paused{"me", "r"}});
  const auto named = [&](const std::string& query) {
    const auto page = at.ask("GET", "/v1/agents?" + query)->body();
    std::vector<std::string> out;
    for (const auto& item : page["items"])
      out.push_back(item["key"]);
    return out;
  };
  CHECK(named("status=paused") == std::vector<std::string>{"held"});
  CHECK(named("status=waiting") == std::vector<std::string>{"cus_42"});
  CHECK(named("where=.mailbox%20%3E%200") == std::vector<std::string>{"cus_42"});
  CHECK(named("where=.cause.kind%20%3D%3D%20%22paused%22") == std::vector<std::string>{"held"});
  CHECK(named("where=.mailbox.nothing").empty());
}

TEST_CASE("agents: a filtered list looks at a bounded number of agents and goes on by cursor") {
  gateway_options opts;
  opts.scanned_max = 3;
  asking at{std::move(opts)};
  for (int i = 0; i < 7; ++i)
    at.node.commit({"support", "k" + std::to_string(i)}, {paused{"me", "r"}});
  auto page = at.ask("GET", "/v1/agents?status=idle")->body();
  CHECK(page["items"].empty());
  REQUIRE(page["next"].is_string());
  page =
    at.ask("GET", "/v1/agents?status=paused&cursor=" + page["next"].get<std::string>())->body();
  CHECK(page["items"][0]["key"] == "k3");
}

TEST_CASE("agents: lists refuse what cannot be") {
  asking at;
  for (const auto* query :
       {"limit=0", "limit=501", "limit=x", "limit=-1", "limit=", "cursor=%21", "cursor=aWFi",
        "status=busy", "type=Nope", "limit=1&limit=2", "where=%ff"})
    check_refused(at, at.ask("GET", std::string{"/v1/agents?"} + query), 400, "malformed");
  check_refused(at, at.ask("GET", "/v1/agents?where=.%20%7C%20env"), 422, "schema");
  CHECK(at.ask("GET", "/v1/agents?limit=500&unknown=1")->status() == 200);
}

TEST_CASE("agents: a mailbox is read on the thread for slow things") {
  slow_by_hand slow;
  asking at{slow.options()};
  make_waiting(at.node);
  const auto got = at.ask("GET", agent_path + "/mailbox");
  CHECK(!got->answer);
  CHECK(slow.run());
  CHECK(got->body()["items"].size() == 1);
}

TEST_CASE("agents: a page of the mailbox, of the history and of runs ends by its bytes") {
  gateway_options opts;
  opts.page_bytes_max = 5'000;
  asking at{std::move(opts)};
  const std::string data = '"' + std::string(2'000, 'x') + '"';
  for (std::uint64_t number = 1; number <= 7; ++number)
    at.node.commit(one, {received(at.node, one, number, data)});
  for (std::uint64_t number = 1; number <= 7; ++number) {
    const agent_name other{"support", "ended"};
    const auto seq = at.node.commit(other, {received(at.node, other, number, data)});
    at.node.commit(other, {started(at.node, other, number, seq),
                           run_completed{run_no(at.node, other, number), data}});
  }
  for (const auto& path : {agent_path + "/mailbox", agent_path + "/history",
                           std::string{"/v1/runs?agent=support/ended"}}) {
    CAPTURE(path);
    std::set<std::string> seen;
    std::size_t items = 0;
    std::string cursor;
    do {
      const auto got = at.ask("GET", path + (path.find('?') == path.npos ? "?" : "&") +
                                       "limit=500" + (cursor.empty() ? "" : "&cursor=" + cursor));
      CHECK(got->answer->body.size() < 8'000);
      const auto page = got->body();
      for (const auto& item : page["items"])
        seen.insert(item["run_id"]);
      items += page["items"].size();
      cursor = page["next"].is_null() ? "" : page["next"].get<std::string>();
    } while (!cursor.empty());
    CHECK(items == 7);
    CHECK(seen.size() == 7);
  }
}

TEST_CASE("agents: a damaged snapshot is an inner failure, not a crash") {
  asking at;
  write_set out;
  out.put(family::snapshot, keys::agent(at.node.group(one), one), "garbage");
  REQUIRE(at.node.disk.write(out, true));
  CHECK(at.ask("GET", agent_path)->status() == 500);
  CHECK(at.ask("GET", "/v1/agents")->status() == 500);
}
