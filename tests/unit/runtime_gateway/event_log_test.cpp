#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

event_routed routed(group_id group, std::uint64_t number, const std::string& type = "order.paid") {
  event_routed out;
  out.id = event_id{make_id(test_time + static_cast<time_us>(number), group, 1, number)};
  out.event = {"e" + std::to_string(number), "/shop", type, {}, {}, {}, "1", {}};
  out.verified = "hmac";
  out.routes = {{"support", "a", true, {}, run_id{out.id.id}},
                {"support", "", false, "where is false", {}}};
  return out;
}

}  // namespace

TEST_CASE("event log: routed events are listed newest first with their routes") {
  asking at;
  for (std::uint64_t i = 1; i <= 5; ++i)
    at.node.commit_to(static_cast<group_id>(i % 4 + 1),
                      {routed(static_cast<group_id>(i % 4 + 1), i)});
  const auto first = at.ask("GET", "/v1/events?limit=3")->body();
  REQUIRE(first["items"].size() == 3);
  const auto& newest = first["items"][0];
  CHECK(newest["kind"] == "event");
  CHECK(newest["event"]["id"] == "e5");
  CHECK(newest["verified"] == "hmac");
  CHECK(newest["received_at"].is_string());
  CHECK(newest["routes"][0]["agent"] == "support/a");
  CHECK(newest["routes"][0]["matched"] == true);
  CHECK(newest["routes"][0]["run_id"].get<std::string>().starts_with("run_"));
  CHECK(newest["routes"][1] ==
        json{{"type", "support"}, {"matched", false}, {"reason", "where is false"}});
  const auto second =
    at.ask("GET", "/v1/events?limit=3&cursor=" + first["next"].get<std::string>())->body();
  CHECK(second["items"].size() == 2);
  CHECK(second["items"][1]["event"]["id"] == "e1");
  CHECK(second["next"].is_null());
}

TEST_CASE("event log: it is narrowed by type and source") {
  asking at;
  at.node.commit_to(1, {routed(1, 1, "a"), routed(1, 2, "b")});
  CHECK(at.ask("GET", "/v1/events?type=a")->body()["items"].size() == 1);
  CHECK(at.ask("GET", "/v1/events?source=%2Fshop")->body()["items"].size() == 2);
  CHECK(at.ask("GET", "/v1/events?source=x")->body()["items"].empty());
}

TEST_CASE("event log: one event is found by its id, also when it was sent straight to an agent") {
  asking at;
  at.node.commit_to(2, {routed(2, 1)});
  CHECK(at.ask("GET", "/v1/events/" + to_string(routed(2, 1).id))->body()["event"]["type"] ==
        "order.paid");
  at.node.commit(one, {received(at.node, one, 9, R"({"x":1})")});
  const auto direct = at.ask("GET", "/v1/events/" + to_string(event_no(at.node, one, 9)))->body();
  CHECK(direct["event"]["data"] == json{{"x", 1}});
  CHECK(direct["routes"][0]["agent"] == "support/cus_42");
  CHECK(direct["routes"][0]["run_id"] == to_string(run_no(at.node, one, 9)));
}

TEST_CASE("event log: ids that name nothing are not found") {
  asking at;
  for (const auto& id :
       {std::string{"x"}, to_string(event_no(at.node, one, 1)), to_string(run_no(at.node, one, 1)),
        to_string(event_id{make_id(1, 77, 1, 1)})})
    check_refused(at, at.ask("GET", "/v1/events/" + id), 404, "not_found");
}

TEST_CASE("event log: bytes that are no text are shown as base64") {
  asking at;
  auto arrived = received(at.node, one, 1, "\xff\xfe");
  arrived.event.content_type = "image/png";
  at.node.commit(one, {arrived});
  const auto shown = at.ask("GET", "/v1/events/" + to_string(arrived.id))->body()["event"];
  CHECK(shown["data_base64"] == "//4=");
  CHECK(!shown.contains("data"));
}

TEST_CASE("dead letters: they are listed, shown, redriven and dropped") {
  asking at;
  dead_lettered letter;
  letter.id = event_no(at.node, one, 1);
  letter.run = run_no(at.node, one, 1);
  letter.agent = one;
  letter.reason = "its handler failed 5 times";
  letter.event.type = "t";
  at.node.commit(one, {letter});
  const std::string path = "/v1/dlq/" + to_string(letter.id);
  const auto list = at.ask("GET", "/v1/dlq")->body();
  REQUIRE(list["items"].size() == 1);
  CHECK(list["items"][0]["id"] == to_string(letter.id));
  CHECK(list["items"][0]["agent"] == "support/cus_42");
  CHECK(list["items"][0]["reason"] == letter.reason);
  CHECK(at.ask("GET", path)->body() == list["items"][0]);

  const auto redriven = at.ask("POST", path + "/redrive", R"({"reason":"fixed"})");
  REQUIRE(at.node.settles.size() == 1);
  CHECK(at.node.settles[0].id == letter.id);
  CHECK(at.node.settles[0].redrive);
  at.node.settles[0].tell(command_done{one, {}, true});
  CHECK(redriven->status() == 200);
  CHECK(redriven->body()["redriven"] == true);

  for (const auto& [method, rest] : {std::pair{"DELETE", ""}, std::pair{"POST", "/drop"}}) {
    const auto dropped = at.ask(method, path + rest);
    CHECK(!at.node.settles.back().redrive);
    at.node.settles.back().tell(command_done{one, {}, true});
    CHECK(dropped->status() == 204);
  }
}

TEST_CASE("dead letters: one whose key could not be computed names its type alone") {
  asking at;
  dead_lettered letter;
  letter.id = event_id{make_id(test_time, 2, 1, 1)};
  letter.agent = {"support", ""};
  letter.reason = "key: null";
  at.node.commit_to(2, {letter});
  const auto shown = at.ask("GET", "/v1/dlq/" + to_string(letter.id))->body();
  CHECK(shown["agent"].is_null());
  CHECK(shown["type"] == "support");
}

TEST_CASE("dead letters: what is not there is not found") {
  asking at;
  const std::string path = "/v1/dlq/" + to_string(event_no(at.node, one, 1));
  check_refused(at, at.ask("GET", path), 404, "not_found");
  check_refused(at, at.ask("POST", path + "/redrive"), 404, "not_found");
  check_refused(at, at.ask("DELETE", path), 404, "not_found");
  check_refused(at, at.ask("GET", "/v1/dlq/x"), 404, "not_found");
}

TEST_CASE("reconcile: writes of unknown outcome are listed with what was sent, and resolved") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  tool_requested asked_for;
  asked_for.effect_no = 1;
  asked_for.step = 1;
  asked_for.tool = "refund";
  asked_for.input = R"({"id":"in_1","amount":5.00})";
  asked_for.term = 1;
  at.node.commit(one, {started(at.node, one, 1, seq), asked_for});
  CHECK(at.ask("GET", "/v1/reconcile")->body()["items"].empty());
  at.node.clock += 5'000'000;
  at.node.commit(one, {effect_unknown{1, 1, {"timeout", "no answer", 1, false}}});
  const effect_id id{run_no(at.node, one, 1), 1};
  const auto got = at.ask("GET", "/v1/reconcile");
  CHECK(got->answer->body.find(R"("input":{"id":"in_1","amount":5.00})") != std::string::npos);
  const auto item = got->body()["items"][0];
  CHECK(item["id"] == to_string(id));
  CHECK(item["agent"] == "support/cus_42");
  CHECK(item["run_id"] == to_string(id.run));
  CHECK(item["tool"] == "refund");
  CHECK(item["sent_at"] == "2026-09-21T14:13:20.000Z");

  const auto resolved = at.ask("POST", "/v1/reconcile/" + to_string(id),
                               R"({"resolve":"succeeded","result":{"ok": 1},"note":"seen"})");
  REQUIRE(at.node.submits.size() == 1);
  CHECK(at.node.submits[0].to == one);
  const auto& cmd = std::get<resolve_effect>(at.node.submits[0].cmd);
  CHECK(cmd.effect == id);
  CHECK(cmd.resolved == resolution::succeeded);
  CHECK(cmd.output == R"({"ok": 1})");
  CHECK(cmd.note == "seen");
  CHECK(cmd.by == "local");
  at.node.submits[0].tell(command_done{one, {}, true});
  CHECK(resolved->status() == 200);
  CHECK(resolved->body()["resolved"] == "succeeded");
}

TEST_CASE("reconcile: what cannot be resolved so is refused") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  at.node.commit(one, {started(at.node, one, 1, seq)});
  const std::string path = "/v1/reconcile/" + to_string(effect_id{run_no(at.node, one, 1), 1});
  check_refused(at, at.ask("POST", path, "{}"), 422, "schema");
  check_refused(at, at.ask("POST", path, R"({"resolve":"maybe"})"), 422, "schema");
  check_refused(at, at.ask("POST", path, R"({"resolve":"failed","result":1})"), 422, "schema");
  check_refused(at, at.ask("POST", path, ""), 400, "malformed");
  check_refused(at, at.ask("POST", "/v1/reconcile/eff_x", R"({"resolve":"failed"})"), 404,
                "not_found");
  check_refused(at,
                at.ask("POST", "/v1/reconcile/" + to_string(effect_id{run_no(at.node, one, 9), 1}),
                       R"({"resolve":"failed"})"),
                404, "not_found");
  const auto got = at.ask("POST", path, R"({"resolve":"retry"})");
  at.node.submits[0].tell(error{errc::conflict, "it does not wait"});
  CHECK(got->status() == 409);
}
