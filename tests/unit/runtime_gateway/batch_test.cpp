#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

std::string body_of(const std::string& verb, const std::string& where, bool dry_run = false) {
  return json{{"verb", verb}, {"where", where}, {"dry_run", dry_run}, {"reason", "r"}}.dump();
}

/// So many agents, every third paused.
void make_agents(fake_node& node, int count) {
  for (int i = 0; i < count; ++i)
    if (i % 3 == 0)
      node.commit({"support", "k" + std::to_string(i)}, {paused{"me", "r"}});
    else
      node.commit({"support", "k" + std::to_string(i)}, {paused{"me", "r"}, resumed{"me", "r"}});
}

}  // namespace

TEST_CASE("batch: a dry run counts and does nothing") {
  asking at;
  make_agents(at.node, 9);
  const auto got =
    at.ask("POST", "/v1/agents:batch", body_of("resume", R"(.status == "paused")", true));
  CHECK(got->status() == 200);
  CHECK(got->body()["matched"] == 3);
  CHECK(got->body()["done"] == 0);
  CHECK(at.node.untouched());
}

TEST_CASE("batch: the verb reaches every agent that matches, and failures are listed") {
  asking at;
  make_agents(at.node, 9);
  at.node.at_once = [](const fake_node::submitted& one_of_them) -> answer {
    if (one_of_them.to.key == "k3")
      return error{errc::conflict, "not now"};
    return command_done{one_of_them.to, {}, true};
  };
  const auto got = at.ask("POST", "/v1/agents:batch", body_of("resume", R"(.status == "paused")"));
  CHECK(got->body()["matched"] == 3);
  CHECK(got->body()["done"] == 2);
  CHECK(got->body()["failed"] ==
        json::array({{{"agent", "support/k3"}, {"code", "conflict"}, {"detail", "not now"}}}));
  REQUIRE(at.node.submits.size() == 3);
  CHECK(std::get<control>(at.node.submits[0].cmd).verb == control_verb::resume);
  CHECK(std::get<control>(at.node.submits[0].cmd).reason == "r");
}

TEST_CASE("batch: only so many commands are under way at once") {
  asking at;
  make_agents(at.node, 300);
  const auto got = at.ask("POST", "/v1/agents:batch", body_of("pause", "true"));
  CHECK(at.node.submits.size() == 64);
  for (std::size_t i = 0; i < at.node.submits.size(); ++i) {
    CHECK(!got->answer);
    const auto tell = at.node.submits[i].tell;
    tell(command_done{at.node.submits[i].to, {}, true});
  }
  CHECK(at.node.submits.size() == 300);
  CHECK(got->body()["done"] == 300);
}

TEST_CASE("batch: quarantined agents stay out of it") {
  asking at;
  at.node.commit(one, {quarantined{"me", "r"}});
  CHECK(at.ask("POST", "/v1/agents:batch", body_of("resume", "true", true))->body()["matched"] ==
        0);
}

TEST_CASE("batch: a key makes a scope for each agent") {
  asking at;
  make_agents(at.node, 2);
  at.ask("POST", "/v1/agents:batch", body_of("pause", "true"),
         {{"Content-Type", "application/json"}, {"Idempotency-Key", "k"}});
  REQUIRE(at.node.submits.size() == 2);
  REQUIRE(at.node.submits[0].once);
  CHECK(at.node.submits[0].once->scope != at.node.submits[1].once->scope);
}

TEST_CASE("batch: what cannot be is refused") {
  asking at;
  make_agents(at.node, 2);
  const auto refused = [&](const std::string& body, unsigned number, const std::string& code) {
    CAPTURE(body);
    check_refused(at, at.ask("POST", "/v1/agents:batch", body), number, code);
  };
  refused("", 400, "malformed");
  refused("{}", 422, "schema");
  refused(R"({"verb":"pause"})", 422, "schema");
  refused(R"({"verb":"pause","where":""})", 422, "schema");
  refused(R"({"verb":"explode","where":"true"})", 422, "schema");
  refused(R"({"verb":"pause","where":"nosuch("})", 422, "schema");
  refused(R"({"verb":"pause","where":"true","dry_run":"yes"})", 422, "schema");
}

TEST_CASE("batch: an agent for which the expression fails does not match") {
  asking at;
  make_agents(at.node, 3);
  CHECK(
    at.ask("POST", "/v1/agents:batch", body_of("pause", ".key.nothing", true))->body()["matched"] ==
    0);
}
