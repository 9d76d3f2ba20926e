#include "runtime/core/routing.hpp"

#include "tests/unit/runtime_core/agent_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

struct trigger_spec {
  std::string event;
  std::shared_ptr<const expression> where;
  std::shared_ptr<const expression> key;
};

class routes_bench {
public:
  void add(const std::string& type, const std::vector<trigger_spec>& triggers) {
    auto spec = llm_agent(type);
    for (const auto& one : triggers) {
      compiled_trigger compiled;
      compiled.def.event = one.event;
      compiled.where = one.where;
      compiled.key = one.key;
      spec.triggers.push_back(std::move(compiled));
    }
    auto& history = known.agents[type];
    history.versions[1] = {"agent", type, 1, "{}", ""};
    history.current = 1;
    known.compiled_agents[type][1] = std::make_shared<compiled_agent>(std::move(spec));
  }

  routing find(const std::string& type, const std::string& data = R"({"id":"cus_1"})") const {
    return find_routes(known, event_of(type, data), id, "hmac", partitions_default);
  }

  catalog known;
  event_id id{make_id(1'700'000'000'000'000, 7, 11, 13)};
};

}  // namespace

TEST_CASE("routing: a pattern is the type itself, or a prefix that the type continues") {
  CHECK(matches_type("a.b", "a.b"));
  CHECK_FALSE(matches_type("a.b", "a.bc"));
  CHECK_FALSE(matches_type("a.b", "a.b.c"));
  CHECK(matches_type("a.*", "a.b"));
  CHECK(matches_type("a.*", "a.b.c"));
  CHECK_FALSE(matches_type("a.*", "a"));
  CHECK_FALSE(matches_type("a.*", "a."));
  CHECK_FALSE(matches_type("a.*", "ab"));
  CHECK_FALSE(matches_type("*", "a"));
}

TEST_CASE("routing: every type whose trigger matches gets the event under its key") {
  routes_bench bench;
  bench.add("billing", {{"stripe.*", nullptr, data_member("id")}});
  bench.add("mail", {{"stripe.paid", giving("true"), giving("7")}});
  bench.add("other", {{"github.push", nullptr, nullptr}});
  const auto found = bench.find("stripe.paid");
  REQUIRE(found.routes.size() == 2);
  CHECK(found.routes[0].type == "billing");
  CHECK(found.routes[0].key == "cus_1");
  CHECK(found.routes[0].matched);
  CHECK(found.routes[1].type == "mail");
  CHECK(found.routes[1].key == "7");
  CHECK(found.unroutable.empty());
  for (const auto& one : found.routes) {
    CHECK(one.run.id.group() == group_of({one.type, one.key}, partitions_default));
    CHECK(one.run.id.time() == bench.id.id.time());
  }
}

TEST_CASE("routing: without a key every event has an agent of its own") {
  routes_bench bench;
  bench.add("one", {{"go", nullptr, nullptr}});
  const auto found = bench.find("go");
  REQUIRE(found.routes.size() == 1);
  CHECK(found.routes[0].key == to_text(bench.id.id));
}

TEST_CASE("routing: a `where` that is false or fails is no match, with the reason kept") {
  routes_bench bench;
  bench.add("a", {{"go", giving("false"), nullptr}});
  bench.add("b", {{"go", giving("null"), nullptr}});
  bench.add("c", {{"go", failing("cannot index"), nullptr}});
  bench.add("d", {{"go", giving("0"), nullptr}});  // true, as jq sees it
  const auto found = bench.find("go");
  REQUIRE(found.routes.size() == 4);
  CHECK_FALSE(found.routes[0].matched);
  CHECK_FALSE(found.routes[1].matched);
  CHECK_FALSE(found.routes[2].matched);
  CHECK(found.routes[2].reason.find("cannot index") != std::string::npos);
  CHECK(found.routes[3].matched);
  CHECK(found.unroutable.empty());
}

TEST_CASE("routing: a key that is null, not scalar, fails or is no key makes a dead letter") {
  for (const std::string key : {"null", "[1]", "{}", R"("")", R"("a\u0000b")", "fails"}) {
    CAPTURE(key);
    routes_bench bench;
    bench.add("a", {{"go", nullptr, key == "fails" ? failing("no") : giving(key)}});
    const auto found = bench.find("go");
    REQUIRE(found.unroutable.size() == 1);
    const auto& letter = found.unroutable.front();
    CHECK(letter.agent == agent_name{"a", ""});
    CHECK(letter.id.id.group() == bench.id.id.group());  // the home partition keeps it
    CHECK(letter.id != bench.id);
    CHECK(letter.verified == "hmac");
    CHECK(letter.event.type == "go");
    REQUIRE(found.routes.size() == 1);
    CHECK_FALSE(found.routes[0].matched);
    CHECK_FALSE(found.routes[0].reason.empty());
  }
}

TEST_CASE("routing: two triggers that give one agent are one delivery") {
  routes_bench bench;
  bench.add("a", {{"go", nullptr, giving("1")},
                  {"go", giving("true"), giving(R"("1")")},
                  {"go", nullptr, giving("2")}});
  const auto found = bench.find("go");
  std::vector<std::string> keys;
  for (const auto& one : found.routes)
    if (one.matched)
      keys.push_back(one.key);
  CHECK(keys == std::vector<std::string>{"1", "2"});
}

TEST_CASE(
  "routing: events of two homes to one agent in one microsecond set off runs of their own") {
  routes_bench bench;
  bench.add("a", {{"go", nullptr, giving("1")}});
  const auto first = bench.find("go").routes.front().run;
  bench.id = event_id{make_id(bench.id.id.time(), 8, 11, 13)};
  CHECK(bench.find("go").routes.front().run != first);
}

TEST_CASE("routing: the document that expressions see is the event as CloudEvents writes it") {
  event e = event_of("go", R"({"a":[1]})");
  e.id = "1";
  e.source = "s";
  e.subject = "sub";
  e.content_type = "application/json";
  CHECK(event_document(e) == R"({"data":{"a":[1]},"datacontenttype":"application/json","id":"1",)"
                             R"("source":"s","specversion":"1.0","subject":"sub","type":"go"})");
  e = event_of("go", "plain text");
  CHECK(event_document(e) == R"({"data":"plain text","specversion":"1.0","type":"go"})");
  e = event_of("go", "");
  CHECK(event_document(e) == R"({"data":null,"specversion":"1.0","type":"go"})");
}
