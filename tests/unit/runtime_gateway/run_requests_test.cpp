#include "runtime/core/routing.hpp"
#include "schemas/units.hpp"
#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

std::string path_of(const fake_node& node, const agent_name& name, std::uint64_t number) {
  return "/v1/runs/" + to_string(run_no(node, name, number));
}

void run_to_end(fake_node& node, const agent_name& name, std::uint64_t number, fact end) {
  const auto seq = node.commit(name, {received(node, name, number)});
  node.commit(name, {started(node, name, number, seq), std::move(end)});
}

}  // namespace

TEST_CASE("runs: one that completed has its output as it was written") {
  asking at;
  run_to_end(at.node, one, 1, run_completed{run_no(at.node, one, 1), R"({"z":1,"a":[1.10]})"});
  const auto got = at.ask("GET", path_of(at.node, one, 1));
  CHECK(got->answer->body.find(R"("output":{"z":1,"a":[1.10]})") != std::string::npos);
  const auto run = got->body();
  CHECK(run["kind"] == "run");
  CHECK(run["run_id"] == to_string(run_no(at.node, one, 1)));
  CHECK(run["agent"] == "support/cus_42");
  CHECK(run["version"] == 1);
  CHECK(run["status"] == "completed");
  CHECK(run["event_ids"] == json::array({to_string(event_no(at.node, one, 1))}));
  CHECK(run["error"].is_null());
  CHECK(run["steps"] == 0);
  CHECK(run["started_at"].is_string());
  CHECK(run["ended_at"].is_string());
  CHECK(!run.contains("retry_of"));
}

TEST_CASE("runs: one that failed says why") {
  asking at;
  run_to_end(at.node, one, 1,
             run_failed{run_no(at.node, one, 1), {"limit_exceeded", "too many steps", 4, true}});
  const auto run = at.ask("GET", path_of(at.node, one, 1))->body();
  CHECK(run["status"] == "failed");
  CHECK(run["output"].is_null());
  CHECK(run["error"] == json{{"code", "limit_exceeded"},
                             {"message", "too many steps"},
                             {"effect", to_string(effect_id{run_no(at.node, one, 1), 4})},
                             {"retryable", true}});
}

TEST_CASE(
  "runs: one that is open shows its present state, one that waits in the mailbox is queued") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  tool_requested asked;
  asked.effect_no = 1;
  asked.step = 1;
  asked.tool = "t";
  asked.input = "{}";
  asked.term = 1;
  at.node.commit(one, {started(at.node, one, 1, seq), asked});
  at.node.commit(one, {received(at.node, one, 2)});
  CHECK(at.ask("GET", path_of(at.node, one, 1))->body()["status"] == "running");
  CHECK(at.ask("GET", path_of(at.node, one, 1))->body()["steps"] == 1);
  CHECK(at.ask("GET", path_of(at.node, one, 1))->body()["ended_at"].is_null());
  at.node.commit(one, {effect_unknown{1, 1, {"x", "lost", 1, false}}});
  CHECK(at.ask("GET", path_of(at.node, one, 1))->body()["status"] == "waiting");
  const auto queued = at.ask("GET", path_of(at.node, one, 2))->body();
  CHECK(queued["status"] == "queued");
  CHECK(queued["started_at"].is_null());
  CHECK(queued["version"].is_null());
}

TEST_CASE("runs: one of a routed event is queued until it arrives, or says that it never will") {
  asking at;
  const event_id id{make_id(test_time + 5, 3, 1, 1)};
  const group_id group = at.node.group(one);
  message_sent sent;
  sent.target_group = group;
  sent.sequence = 1;
  sent.message.kind = outbox_kind::event;
  sent.message.target = one;
  sent.message.event_ref = id;
  sent.message.run = routed_run(id, one, at.node.partitions());
  const auto path = "/v1/runs/" + to_string(sent.message.run);
  check_refused(at, at.ask("GET", path), 404, "not_found");
  at.node.commit_to(3, {sent});
  const auto queued = at.ask("GET", path)->body();
  CHECK(queued["status"] == "queued");
  CHECK(queued["agent"] == to_string(one));
  CHECK(queued["event_ids"][0] == to_string(id));
  CHECK(queued["received_at"] == format_time(test_time + 5));
  const auto other = routed_run(id, {"support", "other"}, at.node.partitions());
  check_refused(at, at.ask("GET", "/v1/runs/" + to_string(other)), 404, "not_found");

  at.node.commit_to(3, {outbox_acked{group, 1}});
  dead_lettered letter;
  letter.id = event_id{sent.message.run.id};
  at.node.commit_to(group, {letter});
  const auto never = at.ask("GET", path);
  check_refused(at, never, 404, "not_found");
  CHECK(never->body()["detail"].get<std::string>().find(to_string(letter.id)) != std::string::npos);
}

TEST_CASE("runs: one without a record is searched for on the thread for slow things only") {
  slow_by_hand slow;
  asking at{slow.options()};
  run_to_end(at.node, one, 1, run_completed{run_no(at.node, one, 1), "1"});
  CHECK(at.ask("GET", path_of(at.node, one, 1))->status() == 200);
  CHECK(!slow.run());
  const auto absent = path_of(at.node, one, 2);
  for (const auto& [method, target] :
       std::vector<std::pair<std::string, std::string>>{{"GET", absent},
                                                        {"GET", absent + "/history"},
                                                        {"GET", absent + "/stream"},
                                                        {"POST", absent + "/cancel"},
                                                        {"POST", absent + "/retry"}}) {
    CAPTURE(target);
    const auto got = at.ask(method, target);
    CHECK(!got->answer);
    CHECK(slow.run());
    check_refused(at, got, 404, "not_found");
  }
  const auto of_agent =
    at.ask("GET", "/v1/agents/support/cus_42/history?run=" + to_string(run_no(at.node, one, 2)));
  CHECK(!of_agent->answer);
  CHECK(slow.run());
  check_refused(at, of_agent, 404, "not_found");
}

TEST_CASE("runs: ids that are none, or name nothing, are not found") {
  asking at;
  for (const auto& id :
       {std::string{"x"}, std::string{"run_"}, std::string{"run_%00"},
        to_string(run_no(at.node, one, 1)), to_string(event_no(at.node, one, 1)),
        to_string(run_id{make_id(1, 999, 1, 1)}), to_string(run_id{make_id(1, 0, 1, 1)})}) {
    CAPTURE(id);
    check_refused(at, at.ask("GET", "/v1/runs/" + id), 404, "not_found");
    check_refused(at, at.ask("GET", "/v1/runs/" + id + "/history"), 404, "not_found");
    check_refused(at, at.ask("GET", "/v1/runs/" + id + "/stream"), 404, "not_found");
    check_refused(at, at.ask("POST", "/v1/runs/" + id + "/cancel"), 404, "not_found");
  }
}

TEST_CASE("runs: a list is newest first over all partitions, page by page") {
  asking at;
  std::vector<std::string> ids;
  for (std::uint64_t i = 1; i <= 9; ++i) {
    const agent_name name{"support", "k" + std::to_string(i % 3)};
    run_to_end(at.node, name, i, run_completed{run_no(at.node, name, i), "1"});
    ids.push_back(to_string(run_no(at.node, name, i)));
  }
  std::reverse(ids.begin(), ids.end());
  const auto first = at.ask("GET", "/v1/runs?limit=4")->body();
  const auto second =
    at.ask("GET", "/v1/runs?limit=5&cursor=" + first["next"].get<std::string>())->body();
  std::vector<std::string> seen;
  for (const auto& page : {first, second})
    for (const auto& item : page["items"])
      seen.push_back(item["run_id"]);
  CHECK(seen == ids);
  CHECK(second["next"].is_null());
  CHECK(at.ask("GET", "/v1/runs?agent=support/k1")->body()["items"].size() == 3);
  CHECK(at.ask("GET", "/v1/runs?agent=support%2Fk1&limit=2")->body()["items"][0]["run_id"] ==
        ids[2]);
}

TEST_CASE("runs: a list is narrowed by status") {
  asking at;
  run_to_end(at.node, one, 1, run_completed{run_no(at.node, one, 1), "1"});
  run_to_end(at.node, one, 2, run_failed{run_no(at.node, one, 2), {"x", "y", 0, false}});
  at.node.commit(one, {received(at.node, one, 3)});
  for (const auto* status : {"completed", "failed", "queued"})
    CHECK(at.ask("GET", std::string{"/v1/runs?status="} + status)->body()["items"].size() == 1);
  CHECK(at.ask("GET", "/v1/runs?status=running")->body()["items"].empty());
  check_refused(at, at.ask("GET", "/v1/runs?status=nope"), 400, "malformed");
  check_refused(at, at.ask("GET", "/v1/runs?agent=nope"), 400, "malformed");
  check_refused(at, at.ask("GET", "/v1/runs?cursor=abc"), 400, "malformed");
}
