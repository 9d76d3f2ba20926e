#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const std::string control_path = "/v1/agents/support/cus_42";

const control& told(const asking& at) {
  REQUIRE(!at.node.submits.empty());
  return std::get<control>(at.node.submits.back().cmd);
}

}  // namespace

TEST_CASE("control: each verb reaches the agent with its reason, and is answered with the agent") {
  const std::vector<std::pair<std::string, control_verb>> verbs{
    {"pause", control_verb::pause},   {"resume", control_verb::resume},
    {"cancel", control_verb::cancel}, {"kill", control_verb::kill},
    {"retry", control_verb::retry},   {"quarantine", control_verb::quarantine}};
  for (const auto& [word, verb] : verbs) {
    CAPTURE(word);
    asking at;
    const auto got = at.ask("POST", control_path + "/" + word, R"({"reason":"because"})");
    CHECK(at.node.submits[0].to == one);
    CHECK(told(at).verb == verb);
    CHECK(told(at).reason == "because");
    CHECK(told(at).by == "local");
    CHECK(told(at).run.empty());
    at.node.commit(one, {paused{"local", "because"}});
    at.node.submits[0].tell(command_done{one, {}, true});
    CHECK(got->status() == 200);
    CHECK(got->body()["kind"] == "agent");
    CHECK(got->body()["status"] == "paused");
  }
}

TEST_CASE("control: no body is no reason") {
  asking at;
  at.ask("POST", control_path + "/pause");
  CHECK(told(at).reason.empty());
}

TEST_CASE("control: a retry may begin from the start") {
  asking at;
  at.ask("POST", control_path + "/retry", R"({"from_start":true})");
  CHECK(told(at).from_start);
  asking other;
  check_refused(other, other.ask("POST", control_path + "/pause", R"({"from_start":true})"), 422,
                "schema");
}

TEST_CASE("control: what is refused reaches nobody") {
  asking at;
  check_refused(at, at.ask("POST", "/v1/agents/nosuch/k/pause"), 404, "unknown_type");
  check_refused(at, at.ask("POST", "/v1/agents/support/%01/pause"), 400, "invalid_key");
  check_refused(at, at.ask("POST", control_path + "/pause", "{"), 400, "malformed");
  check_refused(at, at.ask("POST", control_path + "/pause", "[]"), 422, "schema");
  check_refused(at, at.ask("POST", control_path + "/pause", R"({"why":"x"})"), 422, "schema");
  check_refused(at, at.ask("POST", control_path + "/pause", R"({"reason":1})"), 422, "schema");
  check_refused(
    at, at.ask("POST", control_path + "/pause", R"({"reason":")" + std::string(2'000, 'x') + "\"}"),
    422, "schema");
  check_refused(at, at.ask("POST", control_path + "/pause", "x", {{"Content-Type", "text/plain"}}),
                415, "unsupported_media");
  check_refused(at, at.ask("POST", control_path + "/explode"), 404, "not_found");
}

TEST_CASE("control: the agent's refusal is passed on") {
  asking at;
  const auto got = at.ask("POST", control_path + "/cancel");
  at.node.submits[0].tell(error{errc::conflict, "there is no open run"});
  CHECK(got->status() == 409);
  CHECK(got->body()["detail"] == "there is no open run");
}

TEST_CASE("control: a verb with an idempotency key carries its scope") {
  asking at;
  const auto got = at.ask("POST", control_path + "/pause", {}, {{"Idempotency-Key", "k"}});
  CHECK(at.node.submits[0].once);
  at.node.commit(one, {paused{"local", "because"}});
  at.node.submits[0].tell(accepted_event{one, {}, {}, false, true});
  CHECK(got->status() == 200);
  CHECK(got->header("Idempotent-Replayed") == "true");
}

TEST_CASE("control: a run is cancelled or retried by its id and answered with the run") {
  asking at;
  const auto seq = at.node.commit(one, {received(at.node, one, 1)});
  at.node.commit(
    one, {started(at.node, one, 1, seq), run_failed{run_no(at.node, one, 1), {"x", "y", 0, true}}});
  const auto got = at.ask("POST", "/v1/runs/" + to_string(run_no(at.node, one, 1)) + "/retry",
                          R"({"from_start":true})");
  CHECK(told(at).run == run_no(at.node, one, 1));
  CHECK(told(at).from_start);
  auto again = started(at.node, one, 2, seq);
  again.mailbox_no = 0;
  again.retry_of = run_no(at.node, one, 1);
  at.node.commit(one, {again});
  at.node.submits[0].tell(command_done{one, run_no(at.node, one, 2), true});
  CHECK(got->status() == 200);
  CHECK(got->body()["run_id"] == to_string(run_no(at.node, one, 2)));
  CHECK(got->body()["retry_of"] == to_string(run_no(at.node, one, 1)));

  const auto cancelled =
    at.ask("POST", "/v1/runs/" + to_string(run_no(at.node, one, 2)) + "/cancel");
  CHECK(told(at).verb == control_verb::cancel);
  at.node.submits[1].tell(command_done{one, run_no(at.node, one, 2), true});
  CHECK(cancelled->body()["run_id"] == to_string(run_no(at.node, one, 2)));
}

TEST_CASE("control: deleting answers without content") {
  asking at;
  at.node.commit(one, {paused{"me", "r"}});
  const auto got = at.ask("DELETE", control_path);
  CHECK(told(at).verb == control_verb::remove);
  at.node.submits[0].tell(command_done{one, {}, true});
  CHECK(got->status() == 204);
  CHECK(got->answer->body.empty());
}

TEST_CASE("control: a state patch goes with the seq that it is for") {
  asking at;
  at.node.commit(one, {state_changed{R"({"a":1})"}});
  const auto got =
    at.ask("PATCH", control_path + "/state", R"({"a":null,"b":2})",
           {{"Content-Type", "application/merge-patch+json"}, {"If-Match", "\"1\""}});
  const auto& patch = std::get<patch_state>(at.node.submits[0].cmd);
  CHECK(patch.if_seq == seq_no{1});
  CHECK(patch.patch == R"({"a":null,"b":2})");
  at.node.commit(one, {state_changed{R"({"b":2})"}});
  at.node.submits[0].tell(command_done{one, {}, true});
  CHECK(got->status() == 200);
  CHECK(got->header("ETag") == "\"2\"");
  CHECK(got->body()["state"] == json{{"b", 2}});
}

TEST_CASE("control: a state patch needs no If-Match, and takes a star") {
  asking at;
  at.ask("PATCH", control_path + "/state", "{}",
         {{"Content-Type", "application/json"}, {"If-Match", "*"}});
  CHECK(!std::get<patch_state>(at.node.submits[0].cmd).if_seq);
  at.ask("PATCH", control_path + "/state", "{}");
  CHECK(!std::get<patch_state>(at.node.submits[1].cmd).if_seq);
}

TEST_CASE("control: a state patch that cannot be is refused") {
  asking at;
  const auto patch = [&](const std::string& body, const std::string& tag,
                         const std::string& type = "application/json") {
    return at.ask("PATCH", control_path + "/state", body,
                  {{"Content-Type", type}, {"If-Match", tag}});
  };
  check_refused(at, patch("{}", "\"x\""), 412, "precondition_failed");
  check_refused(at, patch("{}", "W/\"1\""), 412, "precondition_failed");
  check_refused(at, patch("{}", "1"), 412, "precondition_failed");
  check_refused(at, patch("[1]", "\"1\""), 422, "schema");
  check_refused(at, patch("{", "\"1\""), 400, "malformed");
  check_refused(at, patch("{}", "\"1\"", "application/json-patch+json"), 415, "unsupported_media");
  const auto got = patch("{}", "\"1\"");
  at.node.submits[0].tell(error{errc::precondition_failed, "the agent is at 2"});
  CHECK(got->status() == 412);
}

TEST_CASE("control: a fork names a point of the history and a new key") {
  asking at;
  at.node.commit(one, {paused{"me", "r"}, resumed{"me", "r"}});
  const auto got = at.ask("POST", control_path + "/fork", R"({"at":2,"key":"cus/43"})");
  REQUIRE(at.node.forks.size() == 1);
  CHECK(at.node.forks[0].from == one);
  CHECK(at.node.forks[0].at == 2);
  CHECK(at.node.forks[0].to_key == "cus/43");
  at.node.commit({"support", "cus/43"}, {forked{one, 2}});
  at.node.forks[0].tell(command_done{{"support", "cus/43"}, {}, true});
  CHECK(got->status() == 200);
  CHECK(got->body()["agent"] == "support/cus/43");
}

TEST_CASE("control: a fork that cannot be is refused") {
  asking at;
  at.node.commit(one, {paused{"me", "r"}});
  const auto refused = [&](const std::string& body, unsigned number, const std::string& code) {
    CAPTURE(body);
    check_refused(at, at.ask("POST", control_path + "/fork", body), number, code);
  };
  refused("{}", 422, "schema");
  refused(R"({"at":1})", 422, "schema");
  refused(R"({"at":0,"key":"b"})", 422, "schema");
  refused(R"({"at":2,"key":"b"})", 422, "schema");
  refused(R"({"at":-1,"key":"b"})", 422, "schema");
  refused(R"({"at":1.5,"key":"b"})", 422, "schema");
  refused(R"({"at":null,"key":"b"})", 422, "schema");
  refused(R"({"at":1,"key":"\u0001"})", 400, "invalid_key");
  refused(R"({"at":1,"key":""})", 400, "invalid_key");
}
