#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const std::string events_path = "/v1/agents/support/cus_42/events";

accepted_event accepted_of(const fake_node& node, bool replayed = false) {
  return {one, event_no(node, one, 7), run_no(node, one, 7), false, replayed};
}

const deliver_event& delivered(const asking& at) {
  REQUIRE(at.node.submits.size() == 1);
  return std::get<deliver_event>(at.node.submits[0].cmd);
}

run_answer ended_of(const fake_node& node) {
  run_answer out;
  out.end.summary.id = run_no(node, one, 7);
  out.end.summary.agent = one;
  out.end.summary.version = 3;
  out.end.summary.status = run_status::completed;
  out.end.summary.event = event_no(node, one, 7);
  out.end.summary.started_at = test_time;
  out.end.summary.ended_at = test_time + 2'000;
  out.end.output = R"({"ok":true,"big":12345678901234567890})";
  out.event = event_no(node, one, 7);
  return out;
}

}  // namespace

TEST_CASE(
  "events: one sent to an agent reaches the node with its bytes, and is accepted when the node "
  "says so") {
  asking at;
  const auto got =
    at.ask("POST", events_path,
           R"( {"type":"order.paid", "data": {"b":1 , "a":1.50,"big":12345678901234567890} } )");
  CHECK(!got->answer);
  const auto& deliver = delivered(at);
  CHECK(at.node.submits[0].to == one);
  CHECK(!at.node.submits[0].until_end);
  CHECK(!at.node.submits[0].once);
  CHECK(deliver.event.type == "order.paid");
  CHECK(deliver.event.data == R"({"b":1 , "a":1.50,"big":12345678901234567890})");
  CHECK(deliver.event.content_type.empty());
  CHECK(deliver.verified == "none");
  CHECK(!deliver.committed_before);
  at.node.submits[0].tell(accepted_of(at.node));
  CHECK(got->status() == 202);
  CHECK(got->header("Location") == "/v1/runs/" + to_string(run_no(at.node, one, 7)));
  CHECK(got->header("X-Request-Id").starts_with("req_"));
  CHECK(got->header("Idempotent-Replayed").empty());
  CHECK(got->body() == json{{"kind", "accepted"},
                            {"event_id", to_string(event_no(at.node, one, 7))},
                            {"run_id", to_string(run_no(at.node, one, 7))},
                            {"agent", "support/cus_42"}});
}

TEST_CASE("events: a key keeps its encoded slash, and a type is not asked for") {
  asking at;
  at.ask("POST", "/v1/agents/support/a%2Fb%20%C3%A9/events", R"({"data":null})");
  CHECK(at.node.submits[0].to == agent_name{"support", "a/b é"});
  CHECK(delivered(at).event.type == "message");
  CHECK(delivered(at).event.data == "null");
}

TEST_CASE("events: an event that joined a run says so") {
  asking at;
  const auto got = at.ask("POST", events_path, R"({"data":1})");
  auto accepted = accepted_of(at.node);
  accepted.merged = true;
  at.node.submits[0].tell(accepted);
  CHECK(got->body()["merged"] == true);
}

TEST_CASE("events: the node's refusals are problems with their status") {
  const std::vector<std::tuple<errc, unsigned, std::string>> refusals{
    {errc::unknown_type, 404, "unknown_type"},
    {errc::mailbox_full, 429, "mailbox_full"},
    {errc::overloaded, 503, "overloaded"},
    {errc::draining, 503, "draining"},
    {errc::no_quorum, 503, "no_quorum"},
    {errc::busy, 409, "busy"},
    {errc::idempotency_conflict, 422, "idempotency_conflict"},
    {errc::io_failure, 500, "internal"},
    {errc::unknown_outcome, 503, "no_quorum"},
    {errc::not_leader, 503, "no_quorum"}};
  for (const auto& [code, number, name] : refusals) {
    CAPTURE(name);
    asking at;
    const auto got = at.ask("POST", events_path, R"({"data":1})");
    at.node.submits[0].tell(error{code, "because"});
    CHECK(got->status() == number);
    CHECK(got->code() == name);
    CHECK(got->header("Retry-After").empty() == (number != 429 && number != 503));
    CHECK(!got->header("X-Request-Id").empty());
  }
}

TEST_CASE("events: an inner failure gives nothing away") {
  asking at;
  const auto got = at.ask("POST", events_path, R"({"data":1})");
  at.node.submits[0].tell(error{errc::corrupt, "secret path /var/lib"});
  CHECK(got->answer->body.find("secret") == std::string::npos);
}

TEST_CASE("events: what cannot be an event is refused and reaches nobody") {
  asking at;
  const auto refused = [&](const std::string& body, unsigned number, const std::string& code) {
    CAPTURE(body);
    check_refused(at, at.ask("POST", events_path, body), number, code);
  };
  refused("{", 400, "malformed");
  refused("nonsense", 400, "malformed");
  refused(R"({"data":1} x)", 400, "malformed");
  refused(R"({"data":01})", 400, "malformed");
  refused("{\"data\":\"\xff\"}", 400, "malformed");
  refused("{\"data\":\"\x01\"}", 400, "malformed");
  refused("\xef\xbb\xbf{\"data\":1}", 400, "malformed");
  refused("[1]", 422, "schema");
  refused("3", 422, "schema");
  refused("{}", 422, "schema");
  refused(R"({"type":"x"})", 422, "schema");
  refused(R"({"type":3,"data":1})", 422, "schema");
  refused(R"({"dta":1})", 422, "schema");
  refused(R"({"data":1,"data":2})", 422, "schema");
  refused(R"({"data":1,"d\u0061ta":2})", 422, "schema");
  refused(R"({"data":1,"time":"yesterday"})", 422, "schema");
  refused(R"({"data":1,"type":"a\u0000b"})", 422, "schema");
  refused(R"({"data":1,"specversion":"1.0"})", 422, "schema");
  refused(R"({"data":1,"type":")" + std::string(300, 'x') + "\"}", 422, "schema");
  refused(R"({"data":)" + std::string(64, '[') + std::string(64, ']') + "}", 400, "too_deep");
  check_refused(at, at.ask("POST", events_path, ""), 400, "malformed");
}

TEST_CASE("events: a problem names the member that is wrong") {
  asking at;
  const auto got = at.ask("POST", events_path, R"({"data":1,"a/b":2})");
  CHECK(got->body()["errors"] ==
        json::array({{{"pointer", "/a~1b"}, {"detail", "is not known here"}}}));
}

TEST_CASE("events: a body may be nested as deeply as the limit and not deeper") {
  asking at;
  at.ask("POST", events_path, R"({"data":)" + std::string(63, '[') + std::string(63, ']') + "}");
  CHECK(at.node.submits.size() == 1);
}

TEST_CASE("events: a body over the limit is refused") {
  gateway_options opts;
  opts.body.bytes_max = 100;
  asking at{std::move(opts)};
  check_refused(at, at.ask("POST", events_path, R"({"data":")" + std::string(200, 'x') + "\"}"),
                413, "too_large");
}

TEST_CASE("events: only JSON and CloudEvents are taken") {
  asking at;
  for (const auto* type :
       {"text/plain", "application/x-www-form-urlencoded", "application/json; charset=latin-1",
        "application/cloudevents-batch+json"})
    check_refused(at, at.ask("POST", events_path, R"({"data":1})", {{"Content-Type", type}}), 415,
                  "unsupported_media");
  at.ask("POST", events_path, R"({"data":1})",
         {{"Content-Type", "Application/JSON; charset=\"UTF-8\""}});
  CHECK(at.node.submits.size() == 1);
}

TEST_CASE("events: keys and types that cannot be are refused") {
  asking at;
  const auto refused = [&](const std::string& target, unsigned number, const std::string& code) {
    CAPTURE(target);
    check_refused(at, at.ask("POST", target, R"({"data":1})"), number, code);
  };
  refused("/v1/agents/support//events", 400, "invalid_key");
  refused("/v1/agents/support/%00/events", 400, "invalid_key");
  refused("/v1/agents/support/%0A/events", 400, "invalid_key");
  refused("/v1/agents/support/%zz/events", 400, "invalid_key");
  refused("/v1/agents/support/%/events", 400, "invalid_key");
  refused("/v1/agents/support/%ff/events", 400, "invalid_key");
  refused("/v1/agents/support/" + std::string(257, 'k') + "/events", 400, "invalid_key");
  refused("/v1/agents/Support/k/events", 404, "unknown_type");
  refused("/v1/agents/%2e%2e/k/events", 404, "unknown_type");
  refused("/v1/agents/a/b/c/events", 404, "not_found");
  refused("/v1/agents/support/k/events/", 404, "not_found");
  refused("/v2/agents/support/k/events", 404, "not_found");
}

TEST_CASE("events: a wrong method says which are right") {
  asking at;
  const auto got = at.ask("GET", events_path);
  check_refused(at, got, 405, "method_not_allowed");
  CHECK(got->header("Allow") == "POST");
  CHECK(at.ask("PUT", "/v1/agents/support/k")->header("Allow") == "GET, DELETE");
}

TEST_CASE("events: an idempotency key makes a scope of the key, and a digest of the body") {
  asking at;
  const auto send = [&](const std::string& key, const std::string& body,
                        const std::string& target) {
    at.ask("POST", target, body, {{"Content-Type", "application/json"}, {"Idempotency-Key", key}});
    REQUIRE(at.node.submits.back().once);
    return *at.node.submits.back().once;
  };
  const auto first = send("k1", R"({"data":1})", events_path);
  CHECK(first.expires == test_time + 7LL * 24 * 3'600'000'000);
  CHECK(!first.body.empty());
  const auto same = send("k1", R"({"data":1})", events_path + "?wait=1s");
  CHECK(same.scope == first.scope);
  CHECK(same.body == first.body);
  const auto other_body = send("k1", R"({"data":2})", events_path);
  CHECK(other_body.scope == first.scope);
  CHECK(other_body.body != first.body);
  CHECK(send("k2", R"({"data":1})", events_path).scope != first.scope);
  CHECK(send("k1", R"({"data":1})", "/v1/agents/support/other/events").scope != first.scope);
}

TEST_CASE("events: an idempotency key that is empty, too long or given twice is refused") {
  asking at;
  const auto refused = [&](net::header_list headers) {
    headers.emplace_back("Content-Type", "application/json");
    check_refused(at, at.ask("POST", events_path, R"({"data":1})", std::move(headers)), 400,
                  "malformed");
  };
  refused({{"Idempotency-Key", ""}});
  refused({{"Idempotency-Key", std::string(257, 'k')}});
  refused({{"Idempotency-Key", "a"}, {"idempotency-key", "b"}});
}

TEST_CASE("events: the sender's own id and source are a scope that any body joins") {
  asking at;
  at.ask("POST", events_path, R"({"id":"e1","source":"shop","data":1})");
  REQUIRE(at.node.submits[0].once);
  CHECK(at.node.submits[0].once->body.empty());
  at.ask("POST", events_path, R"({"id":"e1","data":1})");
  CHECK(!at.node.submits[1].once);
}

TEST_CASE("events: a repeat says that it is one") {
  asking at;
  const auto got = at.ask("POST", events_path, R"({"data":1})");
  at.node.submits[0].tell(accepted_of(at.node, true));
  CHECK(got->status() == 202);
  CHECK(got->header("Idempotent-Replayed") == "true");
}

TEST_CASE("events: who waits gets the run when it ended, with its output as it was written") {
  asking at;
  const auto got = at.ask("POST", events_path + "?wait=30s", R"({"data":1})");
  CHECK(at.node.submits[0].until_end);
  at.node.submits[0].tell(accepted_of(at.node));
  CHECK(!got->answer);
  at.node.submits[0].tell(ended_of(at.node));
  CHECK(got->status() == 200);
  CHECK(got->answer->body.find(R"("output":{"ok":true,"big":12345678901234567890})") !=
        std::string::npos);
  const auto run = got->body();
  CHECK(run["kind"] == "run");
  CHECK(run["status"] == "completed");
  CHECK(run["error"].is_null());
  CHECK(run["event_ids"] == json::array({to_string(event_no(at.node, one, 7))}));
  CHECK(run["ended_at"] == "2026-09-21T14:13:20.002Z");
  at.now_ms += 60'000;
  at.front.tick();
  CHECK(got->status() == 200);
}

TEST_CASE("events: who waits in vain gets the acceptance, but never before it is durable") {
  asking at;
  const auto got = at.ask("POST", events_path + "?wait=2s", R"({"data":1})");
  at.now_ms += 1'999;
  at.front.tick();
  CHECK(!got->answer);
  at.now_ms += 1;
  at.front.tick();
  CHECK(!got->answer);
  at.node.submits[0].tell(accepted_of(at.node));
  CHECK(got->status() == 202);
  at.node.submits[0].tell(ended_of(at.node));
  CHECK(got->status() == 202);

  const auto other = at.ask("POST", events_path + "?wait=2s", R"({"data":1})");
  at.node.submits[1].tell(accepted_of(at.node));
  CHECK(!other->answer);
  at.now_ms += 2'000;
  at.front.tick();
  CHECK(other->status() == 202);
}

TEST_CASE("events: a node that drains lets nobody wait") {
  asking at;
  const auto got = at.ask("POST", events_path + "?wait=5m", R"({"data":1})");
  at.node.submits[0].tell(accepted_of(at.node));
  at.node.now_status.draining = true;
  at.front.tick();
  CHECK(got->status() == 202);
}

TEST_CASE("events: who waits through a node that ends gets the acceptance when it is durable") {
  asking at;
  const auto wait = [&] {
    auto out = std::make_shared<asked>();
    at.front.handle_forwarded(
      net::http_request::make("POST", events_path + "?wait=5m",
                              {{"Content-Type", "application/json"}}, R"({"data":1})"),
      local_principal(), net::responder{out});
    REQUIRE(out->abort);
    return out;
  };
  const auto accepted = wait();
  at.node.submits[0].tell(accepted_of(at.node));
  CHECK(!accepted->answer);
  accepted->abort();
  CHECK(accepted->status() == 202);
  const auto not_yet = wait();
  not_yet->abort();
  CHECK(!not_yet->answer);
  at.node.submits[1].tell(accepted_of(at.node));
  CHECK(not_yet->status() == 202);
  // A client that closes its side of the connection may still wait.
  CHECK(!at.ask("POST", events_path + "?wait=5m", R"({"data":1})")->abort);
}

TEST_CASE("events: a wait that is no duration, or too long, is refused") {
  asking at;
  for (const auto* wait : {"30", "x", "", "-1s", "5m1s", "1e3s", "1.5s", "99999999999999999999s"})
    check_refused(at, at.ask("POST", events_path + "?wait=" + wait, R"({"data":1})"), 400,
                  "malformed");
  check_refused(at, at.ask("POST", events_path + "?wait=1s&wait=2s", R"({"data":1})"), 400,
                "malformed");
  check_refused(at, at.ask("POST", events_path + "?wait=%zz", R"({"data":1})"), 400, "malformed");
  at.ask("POST", events_path + "?wait=0s&unknown=1", R"({"data":1})");
  REQUIRE(at.node.submits.size() == 1);
  CHECK(!at.node.submits[0].until_end);
}

TEST_CASE("events: the client's request id and trace come back") {
  asking at;
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto got = at.ask(
    "POST", events_path, R"({"data":1})",
    {{"Content-Type", "application/json"}, {"X-Request-Id", "mine-1"}, {"traceparent", trace}});
  CHECK(delivered(at).event.traceparent == trace);
  at.node.submits[0].tell(accepted_of(at.node));
  CHECK(got->header("X-Request-Id") == "mine-1");
  CHECK(got->header("traceparent") == trace);
  const auto other = at.ask("POST", events_path, R"({"data":1})",
                            {{"Content-Type", "application/json"},
                             {"X-Request-Id", "not mine"},
                             {"traceparent", "00-0-0-0"}});
  at.node.submits[1].tell(accepted_of(at.node));
  CHECK(other->header("X-Request-Id").starts_with("req_"));
  CHECK(other->header("traceparent").empty());
}

TEST_CASE("events: request ids differ") {
  asking at;
  std::set<std::string> seen;
  for (int i = 0; i < 1'000; ++i)
    CHECK(seen.insert(at.ask("GET", "/healthz")->header("X-Request-Id")).second);
}
