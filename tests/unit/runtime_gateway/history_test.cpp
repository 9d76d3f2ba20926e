#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const std::string history_path = "/v1/agents/support/cus_42/history";

/// One LLM run: a model call, a tool that fails once, an answer.
void run_once(fake_node& node, std::uint64_t number) {
  const auto seq = node.commit(one, {received(node, one, number)});
  const std::uint32_t base = node.state_of(one).effect_next;
  model_requested model;
  model.effect_no = base;
  model.step = 1;
  model.model = "primary";
  model.term = 1;
  model.request_digest = digest_of({"request"});
  node.commit(
    one, {started(node, one, number, seq), message_appended{node.state_of(one).message_next, {}},
          model, budget_reserved{base, 100, 5}});
  node.commit(one, {text_streamed{base, 1, 0, "hel"}});
  model_completed reply;
  reply.effect_no = base;
  reply.attempt = 1;
  reply.reply.tool_calls = {{"c1", "refund", R"({"id":"x"})"}};
  reply.used.input_tokens = 7;
  reply.used.cost = 1'500'000'000;
  tool_requested tool;
  tool.effect_no = base + 1;
  tool.step = 2;
  tool.tool = "refund";
  tool.cls = effect_class::idempotent;
  tool.input = R"({"id":"x"})";
  tool.term = 1;
  tool.request_digest = digest_of({"tool"});
  node.commit(one, {budget_settled{base, 0, 0}, reply, tool});
  node.commit(
    one, {effect_failed{base + 1, 1, {"http_503", "busy", base + 1, true}, false, "refund"},
          timer_set{
            number, timer_kind::retry, test_time + 1'000, {}, run_no(node, one, number), base + 1},
          effect_retry_scheduled{base + 1, 2, number, test_time + 1'000}});
  node.commit(one, {timer_fired{number, timer_kind::retry, {}}, effect_started{base + 1, 2, 1}});
  node.commit(
    one, {tool_completed{base + 1, 2, "refund", R"({"done":true})"}, state_changed{R"({"seen":1})"},
          run_completed{run_no(node, one, number), "\"ok\""}});
}

std::vector<std::string> kinds(const json& items) {
  std::vector<std::string> out;
  for (const auto& item : items)
    out.push_back(item["kind"]);
  return out;
}

}  // namespace

TEST_CASE("history: facts are shown under the contract's kinds, in order, with their run") {
  asking at;
  run_once(at.node, 1);
  const auto items = at.ask("GET", history_path)->body()["items"];
  CHECK(kinds(items) == std::vector<std::string>{
                          "event_received", "run_started", "model_requested", "budget_reserved",
                          "budget_settled", "model_completed", "tool_requested", "effect_failed",
                          "timer_set", "effect_retry_scheduled", "timer_fired", "effect_started",
                          "tool_completed", "state_changed", "run_completed"});
  seq_no last = 0;
  for (const auto& item : items) {
    CHECK(item["seq"].get<seq_no>() > last);
    last = item["seq"];
    CHECK(item["at"].is_string());
    CHECK(item["run_id"] == to_string(run_no(at.node, one, 1)));
  }
}

TEST_CASE(
  "history: effects carry number, key, class, attempt and digest, whichever fact tells of them") {
  asking at;
  run_once(at.node, 1);
  const auto items = at.ask("GET", history_path)->body()["items"];
  const auto find = [&](const std::string& kind) {
    for (const auto& item : items)
      if (item["kind"] == kind)
        return item["data"];
    return json{};
  };
  const effect_id tool{run_no(at.node, one, 1), 2};
  for (const auto* kind : {"tool_requested", "effect_failed", "effect_retry_scheduled",
                           "effect_started", "tool_completed"}) {
    CAPTURE(kind);
    const auto data = find(kind);
    CHECK(data["effect_no"] == 2);
    CHECK(data["key"] == idempotency_key(one, tool));
    CHECK(data["class"] == "idempotent");
    CHECK(data["request_digest"] == to_hex(digest_of({"tool"})));
  }
  CHECK(find("tool_requested")["attempt"] == 1);
  CHECK(find("tool_completed")["attempt"] == 2);
  CHECK(find("tool_requested")["input"] == json{{"id", "x"}});
  CHECK(find("model_requested")["class"] == "read");
  CHECK(find("model_completed")["usage"]["input_tokens"] == 7);
  CHECK(find("model_completed")["usage"]["usd"] == "1.50");
  CHECK(find("model_completed")["tool_calls"][0]["arguments"] == json{{"id", "x"}});
  CHECK(find("effect_failed")["error"]["code"] == "http_503");
  CHECK(find("state_changed")["state"] == json{{"seen", 1}});
  CHECK(find("run_completed")["output"] == "ok");
}

TEST_CASE(
  "history: pages put together are the whole, and a page that begins in a run knows its effects") {
  asking at;
  run_once(at.node, 1);
  run_once(at.node, 2);
  const auto all = at.ask("GET", history_path + "?limit=500")->body()["items"];
  for (int limit : {1, 2, 3, 7}) {
    json put_together = json::array();
    std::string cursor;
    do {
      const auto page = at.ask("GET", history_path + "?limit=" + std::to_string(limit) +
                                        (cursor.empty() ? "" : "&cursor=" + cursor))
                          ->body();
      for (const auto& item : page["items"])
        put_together.push_back(item);
      cursor = page["next"].is_null() ? "" : page["next"].get<std::string>();
    } while (!cursor.empty());
    CHECK(put_together == all);
  }
  for (const auto& item : all) {
    const auto from = at.ask("GET", history_path + "?limit=1&from=" + item["seq"].dump())->body();
    CHECK(from["items"][0] == item);
  }
  CHECK(at.ask("GET", history_path + "?from=99999")->body()["items"].empty());
}

TEST_CASE("history: of one run there is only that run, by either history_path") {
  asking at;
  run_once(at.node, 1);
  at.node.commit(one, {paused{"me", "r"}, resumed{"me", "r"}});
  run_once(at.node, 2);
  const auto id = to_string(run_no(at.node, one, 2));
  const auto by_run = at.ask("GET", "/v1/runs/" + id + "/history?limit=500")->body()["items"];
  CHECK(by_run.size() == 15);
  for (const auto& item : by_run)
    CHECK(item["run_id"] == id);
  CHECK(at.ask("GET", history_path + "?limit=500&run=" + id)->body()["items"] == by_run);
  CHECK(at.ask("GET", "/v1/runs/" + id + "/history?limit=3")->body()["items"].size() == 3);
}

TEST_CASE("history: what is of no run has none") {
  asking at;
  at.node.commit(one, {paused{"me", "r"}});
  at.node.commit(one, {resumed{"me", "done"}, quarantined{"holdfast", "stuck"}});
  const auto items = at.ask("GET", history_path)->body()["items"];
  REQUIRE(items.size() == 3);
  for (const auto& item : items)
    CHECK(item["run_id"].is_null());
  CHECK(items[0]["data"] == json{{"by", "me"}, {"reason", "r"}});
}

TEST_CASE("history: an awaited event that joined a run is a merged one") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  at.node.commit(one, {started(at.node, one, 1, seq), awaiting_event{"t", {}, 0}});
  at.node.commit(one, {awaited_event_received{event_no(at.node, one, 2), {}}});
  const auto items = at.ask("GET", history_path)->body()["items"];
  CHECK(kinds(items) == std::vector<std::string>{"event_received", "run_started", "event_merged"});
  CHECK(items[2]["run_id"] == to_string(run_no(at.node, one, 1)));
}

TEST_CASE("history: what cannot be asked for is refused") {
  asking at;
  run_once(at.node, 1);
  const agent_name other{"support", "other"};
  at.node.commit(other, {received(at.node, other, 5)});
  check_refused(at, at.ask("GET", history_path + "?from=x"), 400, "malformed");
  check_refused(at, at.ask("GET", history_path + "?run=x"), 400, "malformed");
  check_refused(at, at.ask("GET", history_path + "?limit=0"), 400, "malformed");
  check_refused(at, at.ask("GET", history_path + "?run=" + to_string(run_no(at.node, one, 77))),
                404, "not_found");
  check_refused(at, at.ask("GET", history_path + "?run=" + to_string(run_no(at.node, other, 5))),
                404, "not_found");
}
