// Keys, roles and scopes at every route, and what is left in the audit log.

#include "tests/unit/runtime_gateway/asking.hpp"

#include "persistence/keys.hpp"
#include "runtime/core/audit_chain.hpp"
#include "runtime/gateway/api_table.hpp"
#include "runtime/gateway/doctor.hpp"
#include "schemas/codec.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const agent_name hidden{"secret", "x"};

std::shared_ptr<const principal> made(const std::string& name, key_role role,
                                      std::vector<std::string> types = {}) {
  auto out = std::make_shared<principal>();
  out->name = name;
  out->roles.add(role);
  out->scope.types = std::move(types);
  return out;
}

/// A gateway that asks for keys: their tokens are their names.
struct guarded : asking {
  std::map<std::string, std::shared_ptr<const principal>, std::less<>> keys{
    {"viewer", made("viewer", key_role::viewer)},
    {"operator", made("operator", key_role::controller)},
    {"developer", made("developer", key_role::developer)},
    {"admin", made("admin", key_role::admin)},
    {"scoped", made("scoped", key_role::admin, {"support"})},
  };
  std::size_t asked_for = 0;

  guarded() : asking(guarding()) {
    node.define("secret");
    node.at_once = [](const fake_node::submitted& one) -> answer {
      return command_done{one.to, {}, true};
    };
  }

  gateway_options guarding() {
    gateway_options opts;
    opts.digest = sha256;
    opts.authenticate = [this](std::string_view token) -> result<std::shared_ptr<const principal>> {
      ++asked_for;
      const auto found = keys.find(token);
      if (found == keys.end())
        return error{errc::unauthorised, "this is not an API key of this node"};
      return found->second;
    };
    return opts;
  }

  std::shared_ptr<asked> as(const std::string& key, std::string_view method,
                            std::string_view target, std::string body = {}) {
    net::header_list headers{{"Authorization", "Bearer " + key}, {"X-Request-Id", "req-of-test"}};
    if (!body.empty())
      headers.emplace_back("Content-Type", "application/json");
    return ask(method, target, std::move(body), headers);
  }

  const std::vector<audit_recorded>& audited() const { return node.audits; }
};

std::string filled_path(std::string_view path, const std::string& type) {
  std::string out;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '{') {
      out += path[i];
      continue;
    }
    const auto end = path.find('}', i);
    out += path.substr(i, end - i) == "{type" ? type : "x";
    i = end;
  }
  return out;
}

std::string method_of(const api_call& row) {
  return row.method == "*" ? "DELETE" : std::string{row.method};
}

bool refused_by_access(const asked& got) {
  return got.answer && (got.answer->status == 401 || got.answer->status == 403);
}

/// One agent of each type with a run, an event and a dead letter.
void fill(guarded& at) {
  for (const auto& name : {one, hidden}) {
    const auto seq = at.node.commit(name, {received(at.node, name, 1)});
    at.node.commit(name,
                   {started(at.node, name, 1, seq), run_completed{run_no(at.node, name, 1), "1"}});
    dead_lettered letter;
    letter.id = event_no(at.node, name, 9);
    letter.run = run_no(at.node, name, 9);
    letter.agent = name;
    letter.reason = "because";
    at.node.commit(name, {letter});
    event_routed routed;
    routed.id = event_no(at.node, name, 8);
    routed.verified = "none";
    routed.routes = {{"support", "a", name == one, {}, run_no(at.node, one, 8)},
                     {"secret", "b", true, {}, run_no(at.node, hidden, 8)}};
    at.node.commit_to(at.node.group(name), {routed});
  }
}

std::set<std::string> values_of(const json& list, const char* field) {
  std::set<std::string> out;
  for (const auto& item : list["items"])
    out.insert(item[field].get<std::string>());
  return out;
}

}  // namespace

TEST_CASE("access: every route asks for a key but health and webhooks") {
  guarded at;
  for (const auto& row : api_calls()) {
    CAPTURE(row.path);
    CAPTURE(row.method);
    const bool in_the_open =
      row.path == "/healthz" || row.path == "/readyz" || row.path == "/v1/hooks/{source}";
    const bool hook_or_health = in_the_open && row.operation != "getHook";
    const auto got = at.ask(method_of(row), filled_path(row.path, "support"));
    REQUIRE(got->answer);
    CHECK((got->status() == 401) == !hook_or_health);
    if (hook_or_health) {
      CHECK(row.access.needs == permission::none);
      continue;
    }
    CHECK(row.access.needs != permission::none);
    CHECK(got->code() == "unauthorised");
    CHECK(got->header("WWW-Authenticate") == "Bearer realm=\"holdfast\"");
    CHECK(got->body()["detail"].get<std::string>().find("Authorization: Bearer") !=
          std::string::npos);
  }
  CHECK(at.asked_for == 0);
  CHECK(at.node.untouched());
  CHECK(at.audited().empty());
  CHECK(at.front.counters().unauthorised > 50);
}

TEST_CASE("access: every route is open to the roles of its permission and closed to all others") {
  for (const auto& row : api_calls()) {
    if (row.access.needs == permission::none)
      continue;
    const auto needs = needed(row.access, method_of(row), row.method == "*");
    for (const auto* key : {"viewer", "operator", "developer", "admin"}) {
      CAPTURE(row.path);
      CAPTURE(row.method);
      CAPTURE(key);
      guarded at;
      const auto got = at.as(key, method_of(row), filled_path(row.path, "support"));
      const bool open = allows(at.keys.find(key)->second->roles, needs);
      CHECK((got->answer && got->status() == 403) == !open);
      if (open)
        continue;
      CHECK(got->code() == "forbidden");
      CHECK(got->body()["detail"].get<std::string>().find("needs the role") != std::string::npos);
      CHECK(at.node.untouched());
      const auto effect = effect_of(row.access, method_of(row), row.method == "*");
      CHECK(at.audited().size() == (effect == call_effect::reads ? 0 : 1));
      if (!at.audited().empty()) {
        const auto& entry = at.audited().front();
        CHECK(entry.by == key);
        CHECK(entry.method == method_of(row));
        CHECK(entry.route == row.path);
        CHECK(entry.outcome == "forbidden");
        CHECK(entry.request_id == "req-of-test");
      }
    }
  }
}

TEST_CASE("access: a method that reads needs no more than reading, one that changes is audited") {
  for (const auto& row : api_calls()) {
    CAPTURE(row.path);
    CAPTURE(row.method);
    const bool reads = is_reading(row.method) && row.operation != "openSocket";
    if (reads)
      CHECK(row.access.effect == call_effect::reads);
    if (reads && row.access.needs != permission::none && row.operation != "listAudit")
      CHECK(row.access.needs == permission::view);
    if (!reads && row.operation != "testHook" && !row.path.starts_with("/console"))
      CHECK(row.access.effect != call_effect::reads);
    if (row.path.find("{type}") != std::string_view::npos)
      CHECK(row.access.types == type_rule::path);
    if (row.path.find("/{id}") != std::string_view::npos)  // a node serves every type
      CHECK(row.access.types ==
            (row.path.starts_with("/v1/nodes/") ? type_rule::every : type_rule::found));
  }
}

TEST_CASE("access: a route that names an agent type is closed to a key of another") {
  for (const auto& row : api_calls()) {
    if (row.access.types != type_rule::path && row.access.types != type_rule::every)
      continue;
    CAPTURE(row.path);
    CAPTURE(row.method);
    guarded at;
    fill(at);
    const auto other = at.as("scoped", method_of(row), filled_path(row.path, "secret"), "{}");
    CHECK(other->status() == 403);
    CHECK(at.node.untouched());
    if (row.access.types == type_rule::every)
      continue;
    CHECK(other->body()["detail"].get<std::string>().find("support") != std::string::npos);
    const auto escaped = at.as("scoped", method_of(row), filled_path(row.path, "%73ecret"), "{}");
    CHECK(escaped->status() == 403);
    const auto own = at.as("scoped", method_of(row), filled_path(row.path, "support"), "{}");
    CHECK((!own->answer || !refused_by_access(*own)));
  }
}

TEST_CASE("access: what is found by an id is closed to a key of another type") {
  guarded at;
  fill(at);
  const auto run = to_string(run_no(at.node, hidden, 1));
  const auto own_run = to_string(run_no(at.node, one, 1));
  const auto letter = to_string(event_no(at.node, hidden, 9));
  const auto own_letter = to_string(event_no(at.node, one, 9));
  for (const auto& [method, path] : std::vector<std::pair<std::string, std::string>>{
         {"GET", "/v1/runs/" + run},
         {"GET", "/v1/runs/" + run + "/history"},
         {"GET", "/v1/runs/" + run + "/stream"},
         {"POST", "/v1/runs/" + run + "/cancel"},
         {"POST", "/v1/runs/" + run + "/retry"},
         {"POST", "/v1/reconcile/eff_" + run.substr(4) + "_1"},
         {"GET", "/v1/events/" + to_string(event_no(at.node, hidden, 1))},
         {"GET", "/v1/events/" + to_string(event_no(at.node, hidden, 8))},
         {"GET", "/v1/dlq/" + letter},
         {"POST", "/v1/dlq/" + letter + "/redrive"},
         {"POST", "/v1/dlq/" + letter + "/drop"},
         {"DELETE", "/v1/dlq/" + letter}}) {
    CAPTURE(path);
    const auto body = method == "POST" && path.find("reconcile") != std::string::npos
                        ? R"({"resolve":"failed"})"
                        : "";
    const auto got = at.as("scoped", method, path, body);
    CHECK(got->status() == 403);
    CHECK(got->code() == "forbidden");
    CHECK(at.as("admin", method, path, body)->answer->status != 403);
  }
  guarded own;
  fill(own);
  for (const auto& path :
       {"/v1/runs/" + own_run, "/v1/runs/" + own_run + "/history",
        "/v1/events/" + to_string(event_no(own.node, one, 1)), "/v1/dlq/" + own_letter})
    CHECK(own.as("scoped", "GET", path)->status() == 200);
  const auto shared =
    own.as("scoped", "GET", "/v1/events/" + to_string(event_no(own.node, one, 8)))->body();
  REQUIRE(shared["routes"].size() == 1);
  CHECK(shared["routes"][0]["type"] == "support");
}

TEST_CASE("access: lists show what the key is for") {
  guarded at;
  fill(at);
  struct row {
    const char* path;
    const char* field;
    std::set<std::string> all, own;
  };
  for (const auto& [path, field, all, own] :
       {row{"/v1/agents", "agent", {"secret/x", "support/cus_42"}, {"support/cus_42"}},
        row{"/v1/agents?type=secret", "agent", {"secret/x"}, {}},
        row{"/v1/runs", "agent", {"secret/x", "support/cus_42"}, {"support/cus_42"}},
        row{"/v1/runs?agent=secret%2Fx", "agent", {"secret/x"}, {}},
        row{"/v1/dlq", "agent", {"secret/x", "support/cus_42"}, {"support/cus_42"}}}) {
    CAPTURE(path);
    CHECK(values_of(at.as("admin", "GET", path)->body(), field) == all);
    CHECK(values_of(at.as("scoped", "GET", path)->body(), field) == own);
  }
  CHECK(at.as("admin", "GET", "/v1/events")->body()["items"].size() == 2);
  CHECK(at.as("scoped", "GET", "/v1/events")->body()["items"].size() == 1);
  CHECK(values_of(at.as("scoped", "GET", "/v1/types")->body(), "type") ==
        std::set<std::string>{"support"});
  CHECK(at.as("scoped", "GET", "/metrics")->status() == 200);
  CHECK(at.as("scoped", "GET", "/openapi.json")->status() == 200);
}

TEST_CASE("access: a batch reaches only agents that the key is for") {
  guarded at;
  fill(at);
  const std::string everything = R"({"verb":"pause","where":"true"})";
  const auto dry = at.as("scoped", "POST", "/v1/agents:batch",
                         R"({"verb":"pause","where":"true","dry_run":true})");
  CHECK(dry->body()["matched"] == 1);
  CHECK(at.audited().empty());
  const auto done = at.as("scoped", "POST", "/v1/agents:batch", everything);
  CHECK(done->body()["done"] == 1);
  REQUIRE(at.node.submits.size() == 1);
  CHECK(at.node.submits[0].to == one);
  REQUIRE(at.node.submits[0].audit);
  CHECK(at.node.submits[0].audit->subject == "pause support/cus_42");
  REQUIRE(at.audited().size() == 1);
  CHECK(at.audited()[0].subject == "pause where true");
  CHECK(at.audited()[0].outcome == "done");
  CHECK(at.as("admin", "POST", "/v1/agents:batch", everything)->body()["done"] == 2);
}

TEST_CASE("access: an event carries who sent it, and how far the sender reaches") {
  guarded at;
  at.as("developer", "POST", "/v1/agents/support/a/events", R"({"data":1})");
  REQUIRE(at.node.submits.size() == 1);
  CHECK(std::get<deliver_event>(at.node.submits[0].cmd).by == "developer");
  CHECK_FALSE(at.node.submits[0].audit);
  const std::string event = R"({"specversion":"1.0","id":"1","source":"s","type":"t","data":1})";
  at.as("scoped", "POST", "/v1/events", event);
  REQUIRE(at.node.routes.size() == 1);
  CHECK(at.node.routes[0].sender.by == "scoped");
  CHECK(at.node.routes[0].sender.scope.types == std::vector<std::string>{"support"});
  CHECK(at.audited().empty());
  asking open;
  open.ask("POST", "/v1/agents/support/a/events", R"({"data":1})");
  CHECK(std::get<deliver_event>(open.node.submits.at(0).cmd).by.empty());
}

TEST_CASE("access: an event that the shard refuses for its reach is audited") {
  guarded at;
  const auto got = at.as("scoped", "POST", "/v1/events",
                         R"({"specversion":"1.0","id":"1","source":"s","type":"t","data":1})");
  at.node.routes.at(0).tell(error{errc::forbidden, "agents of another type want this event"});
  CHECK(got->status() == 403);
  REQUIRE(at.audited().size() == 1);
  CHECK(at.audited()[0].route == "/v1/events");
  CHECK(at.audited()[0].outcome == "forbidden");
}

TEST_CASE("access: definitions of other types, and hooks, are closed to a key with a scope") {
  guarded at;
  const auto put = [&](const std::string& key, const std::string& text) {
    return at.ask("PUT", "/v1/definitions", text,
                  {{"Authorization", "Bearer " + key}, {"Content-Type", "application/yaml"}});
  };
  const auto agent = [](const std::string& type) {
    return "kind: agent\ntype: " + type + "\nbehaviour: native\n";
  };
  const auto hook = std::string{"kind: hook\nsource: open\npreset: none\n"};
  put("admin", agent("echo"));
  REQUIRE(at.node.applies.size() == 1);
  REQUIRE(at.node.applies[0].audit);
  CHECK(at.node.applies[0].audit->subject == "agent/echo");
  CHECK(at.node.applies[0].audit->by == "admin");
  CHECK(put("scoped", agent("echo"))->status() == 403);
  CHECK(put("scoped", hook)->status() == 403);
  CHECK(at.node.applies.size() == 1);
  CHECK(at.audited().size() == 2);
}

TEST_CASE("audit: what was done is in its own record, what was refused is written when answered") {
  guarded at;
  fill(at);
  const auto done = at.as("operator", "POST", "/v1/agents/support/cus_42/pause");
  CHECK(done->status() == 200);
  REQUIRE(at.node.submits.size() == 1);
  REQUIRE(at.node.submits[0].audit);
  CHECK(*at.node.submits[0].audit == audit_recorded{"operator", "POST",
                                                    "/v1/agents/{type}/{key}/pause",
                                                    "support/cus_42", "req-of-test", "", "done"});
  CHECK(at.audited().empty());
  CHECK(at.as("operator", "POST", "/v1/agents/nowhere/x/pause")->status() == 404);
  CHECK(at.as("operator", "POST", "/v1/agents/support/cus_42/pause", "{")->status() == 400);
  CHECK(at.as("operator", "POST", "/v1/budgets")->status() == 422);
  CHECK(at.as("viewer", "GET", "/v1/agents/support/cus_42")->status() == 200);
  std::vector<std::string> outcomes;
  for (const auto& entry : at.audited())
    outcomes.push_back(entry.outcome);
  CHECK(outcomes == std::vector<std::string>{"unknown_type", "malformed", "not_available"});
}

TEST_CASE("audit: who is on the machine is audited too") {
  asking at;
  at.node.commit(one, {received(at.node, one, 1)});
  at.ask("DELETE", "/v1/agents/support/cus_42");
  REQUIRE(at.node.submits.size() == 1);
  REQUIRE(at.node.submits[0].audit);
  CHECK(at.node.submits[0].audit->by == "local");
  CHECK(at.node.submits[0].audit->route == "/v1/agents/{type}/{key}");
}

TEST_CASE("audit: a repeat under the same key is audited by itself") {
  guarded at;
  fill(at);
  at.node.at_once = [](const fake_node::submitted& one_) -> answer {
    return accepted_event{one_.to, {}, {}, false, true};
  };
  const auto got = at.ask("POST", "/v1/agents/support/cus_42/pause", {},
                          {{"Authorization", "Bearer operator"}, {"Idempotency-Key", "k"}});
  CHECK(got->header("Idempotent-Replayed") == "true");
  REQUIRE(at.audited().size() == 1);
  CHECK(at.audited()[0].outcome == "done");
}

TEST_CASE("audit: it is read newest first, page by page, over all partitions") {
  guarded at;
  std::vector<std::string> expected;
  for (int i = 0; i < 20; ++i) {
    at.node.clock += i % 3;  // some have the same time in another group
    audit_recorded entry{"ops", "POST", "/x", std::to_string(i), "r", "", "done"};
    at.node.commit_to(static_cast<group_id>(i % 5), {entry});
  }
  const auto whole = at.as("admin", "GET", "/v1/audit?limit=500")->body();
  REQUIRE(whole["items"].size() == 20);
  CHECK(whole["next"].is_null());
  std::vector<std::string> times;
  std::vector<std::string> ids;
  for (const auto& item : whole["items"]) {
    CHECK(item["kind"] == "audit");
    CHECK(item["hash"].get<std::string>().size() == 64);
    times.push_back(item["at"]);
    ids.push_back(item["id"]);
  }
  CHECK(std::is_sorted(times.rbegin(), times.rend()));
  std::vector<std::string> paged;
  std::string cursor;
  do {
    const auto page = at.as("admin", "GET", "/v1/audit?limit=3" + cursor)->body();
    for (const auto& item : page["items"])
      paged.push_back(item["id"]);
    cursor = page["next"].is_null() ? "" : "&cursor=" + page["next"].get<std::string>();
  } while (!cursor.empty());
  CHECK(paged == ids);
  CHECK(at.as("admin", "GET", "/v1/audit?cursor=xxx")->status() == 400);
  CHECK(at.as("operator", "GET", "/v1/audit")->status() == 403);
  CHECK(at.as("scoped", "GET", "/v1/audit")->status() == 403);
}

TEST_CASE("audit: doctor finds an entry that somebody changed") {
  guarded at;
  for (int i = 0; i < 3; ++i)
    at.node.commit_to(2, {audit_recorded{"ops", "POST", "/x", std::to_string(i), "r", "", "done"}});
  CHECK(examine_records(at.node.disk, 4, sha256).findings.empty());
  CHECK(examine_records(at.node.disk, 4, sha256).audited == 3);
  const auto range = keys::audits(2);
  const auto scan = at.node.disk.scan(family::audit, range.lower, range.upper);
  auto entry = codec::decode_audit_entry(scan->value());
  REQUIRE(entry);
  entry->what.by = "nobody";
  write_set out;
  out.put(family::audit, std::string{scan->key()}, codec::encode(*entry));
  REQUIRE(at.node.disk.write(out, true));
  const auto report = at.as("admin", "GET", "/v1/doctor")->body();
  REQUIRE(report["findings"].size() == 1);
  CHECK(report["findings"][0]["code"] == "audit_changed");
  CHECK(report["findings"][0]["subject"] == "audit log of group 2");
}

TEST_CASE("access: what is not one bearer token is refused, and none of it is repeated") {
  guarded at;
  for (const auto& value :
       {std::string{"Bearer"}, std::string{"Bearer "}, std::string{"Basic YTpi"},
        std::string{"admin"}, std::string{"Bearer nobody"}, "Bearer " + std::string(5'000, 'a')}) {
    const auto got = at.ask("GET", "/v1/agents", {}, {{"Authorization", value}});
    CHECK(got->status() == 401);
    CHECK_FALSE(got->header("WWW-Authenticate").empty());
    CHECK(got->answer->body.find("nobody") == std::string::npos);
    CHECK(got->answer->body.find("YTpi") == std::string::npos);
  }
  const auto twice =
    at.ask("GET", "/v1/agents", {},
           {{"Authorization", "Bearer admin"}, {"authorization", "Bearer viewer"}});
  CHECK(twice->status() == 401);
  CHECK(at.ask("GET", "/v1/agents", {}, {{"authorization", "bearer viewer"}})->status() == 200);
  const auto wrong = at.ask("GET", "/v1/agents", {}, {{"Authorization", "Bearer nobody"}});
  CHECK(wrong->header("WWW-Authenticate").find("invalid_token") != std::string::npos);
  const auto metrics = at.as("viewer", "GET", "/metrics")->answer->body;
  CHECK(metrics.find("holdfast_auth_refused_total{reason=\"unauthorised\"} 8\n") !=
        std::string::npos);
}

TEST_CASE("access: a stream ends with the key that opened it") {
  bool valid = true;
  gateway_options opts;
  opts.still_valid = [&](const principal&) { return valid; };
  asking at{std::move(opts)};
  at.node.commit(one, {received(at.node, one, 1)});
  const auto got = at.ask("GET", "/v1/agents/support/cus_42/stream");
  REQUIRE(got->stream);
  at.front.tick();
  CHECK_FALSE(got->stream->ended);
  valid = false;
  at.front.tick();
  CHECK(got->stream->ended);
}

TEST_CASE(
  "access: a stream that another node answers ends with its key at the node that carries it") {
  bool valid = true;
  gateway_options opts;
  opts.still_valid = [&](const principal&) { return valid; };
  asking at{std::move(opts)};
  at.node.cluster_now.emplace();
  at.node.led_elsewhere = true;
  const auto got = at.ask("GET", "/v1/agents/support/cus_42/stream");
  REQUIRE(at.node.carries.size() == 1);
  const auto written = at.node.carries.front().to.start_stream({});
  REQUIRE(got->stream);
  at.front.tick();
  CHECK_FALSE(got->stream->ended);
  CHECK(written.write(std::string{"event"}));
  valid = false;
  at.front.tick();
  CHECK(got->stream->ended);
  CHECK_FALSE(written.write(std::string{"event"}));
}

TEST_CASE("access: a stream that another node carries does not depend on the keys of this one") {
  gateway_options opts;
  opts.still_valid = [](const principal&) { return false; };  // not known here
  asking at{std::move(opts)};
  at.node.cluster_now.emplace();
  at.node.commit(one, {received(at.node, one, 1)});
  const auto got = std::make_shared<asked>();
  at.front.handle_forwarded(
    net::http_request::make("GET", "/v1/agents/support/cus_42/stream", {}, {}),
    made("viewer", key_role::viewer), net::responder{got});
  REQUIRE(got->stream);
  at.front.tick();
  CHECK_FALSE(got->stream->ended);
}
