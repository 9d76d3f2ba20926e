#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const net::header_list yaml{{"Content-Type", "application/yaml"}};
const net::header_list files{{"Content-Type", "application/vnd.holdfast.definitions+json"}};

const std::string good =
  "kind: agent\ntype: helper\nbehaviour: llm\nmodel: { use: [primary] }\ninstructions: Help.\n";

definitions_done done() {
  definitions_done out;
  out.changes.push_back(
    {"agent", "helper", 2, definition_change::what::updated, R"({"a":1})", R"({"a":2})"});
  return out;
}

}  // namespace

TEST_CASE("definitions: YAML is parsed, applied and answered with what changed") {
  asking at;
  const auto got = at.ask("PUT", "/v1/definitions", good, yaml);
  REQUIRE(at.node.applies.size() == 1);
  REQUIRE(at.node.applies[0].wanted.size() == 1);
  CHECK(at.node.applies[0].wanted[0].kind == "agent");
  CHECK(at.node.applies[0].wanted[0].name == "helper");
  CHECK(json::parse(at.node.applies[0].wanted[0].canonical_json)["instructions"] == "Help.");
  CHECK(!at.node.applies[0].dry_run);
  at.node.applies[0].tell(done());
  CHECK(got->status() == 200);
  CHECK(
    got->body()["items"] ==
    json::array({{{"kind", "agent"}, {"name", "helper"}, {"version", 2}, {"change", "updated"}}}));
}

TEST_CASE("definitions: a dry run says what would change, with before and after") {
  asking at;
  const auto got = at.ask("PUT", "/v1/definitions?dry_run=true", good, yaml);
  REQUIRE(at.node.applies.size() == 1);
  CHECK(at.node.applies[0].dry_run);
  at.node.applies[0].tell(done());
  CHECK(got->body()["dry_run"] == true);
  CHECK(got->body()["items"][0]["before"] == json{{"a", 1}});
  CHECK(got->body()["items"][0]["after"] == json{{"a", 2}});
}

TEST_CASE("definitions: several documents in several files are one request") {
  asking at;
  const json sent{{"files", json::array({{{"name", "a.yaml"}, {"text", good}},
                                         {{"name", "b.yaml"},
                                          {"text",
                                           "kind: hook\nsource: shop\npreset: none\n---\nkind: "
                                           "agent\ntype: echo\nbehaviour: native\n"}}})}};
  at.ask("PUT", "/v1/definitions", sent.dump(), files);
  REQUIRE(at.node.applies.size() == 1);
  CHECK(at.node.applies[0].wanted.size() == 3);
}

TEST_CASE("definitions: JSON is taken, also without a content type") {
  asking at;
  const std::string text =
    R"({"kind":"agent","type":"helper","model":{"use":["primary"]},"instructions":"x"})";
  at.ask("PUT", "/v1/definitions", text, {{"Content-Type", "application/json"}});
  at.ask("PUT", "/v1/definitions", text, {{"X-Nothing", "1"}});
  CHECK(at.node.applies.size() == 2);
}

TEST_CASE(
  "definitions: a misspelt key is refused with file, line and pointer, and nothing is applied") {
  asking at;
  const json sent{
    {"files",
     json::array({{{"name", "a.yaml"}, {"text", good}},
                  {{"name", "b.yaml"}, {"text", "kind: agent\ntype: other\ninstrutions: x\n"}}})}};
  const auto got = at.ask("PUT", "/v1/definitions", sent.dump(), files);
  check_refused(at, got, 422, "schema");
  const auto problems = got->body()["errors"];
  bool named = false;
  for (const auto& problem : problems)
    named =
      named || (problem["pointer"].get<std::string>().find("instrutions") != std::string::npos &&
                problem["detail"].get<std::string>().starts_with("b.yaml:3:"));
  CHECK_MESSAGE(named, problems.dump());
}

TEST_CASE("definitions: what a later release delivers is refused by its own code") {
  asking at;
  check_refused(at,
                at.ask("PUT", "/v1/definitions", good + "tools:\n  - mcp: { server: crm }\n", yaml),
                422, "not_available");
}

TEST_CASE("definitions: the node is asked about native types, models and secrets") {
  gateway_options opts;
  opts.check_model = [](std::string_view model) -> status {
    if (model == "primary")
      return ok_status();
    return error{errc::schema, "no model " + std::string{model}};
  };
  opts.secret = [](std::string_view name) -> result<std::string> {
    return error{errc::not_found, "set HOLDFAST_SECRET_" + std::string{name}};
  };
  asking at{std::move(opts)};
  const auto refused = [&](const std::string& text, const std::string& word) {
    const auto got = at.ask("PUT", "/v1/definitions", text, yaml);
    check_refused(at, got, 422, "schema");
    CHECK_MESSAGE(got->answer->body.find(word) != std::string::npos, got->answer->body);
  };
  refused("kind: agent\ntype: nosuch\nbehaviour: native\n",
          "no native agent registered as `nosuch`");
  refused("kind: agent\ntype: a\nmodel: { use: [primary, other] }\ninstructions: x\n",
          "no model other");
  refused("kind: hook\nsource: shop\npreset: hmac\nsecret: \"${secret:stripe}\"\n",
          "HOLDFAST_SECRET_stripe");
}

TEST_CASE("definitions: the same name twice is refused") {
  asking at;
  check_refused(at, at.ask("PUT", "/v1/definitions", good + "---\n" + good, yaml), 422, "schema");
}

TEST_CASE("definitions: bodies that are none are refused") {
  asking at;
  check_refused(at, at.ask("PUT", "/v1/definitions", "", yaml), 400, "malformed");
  check_refused(at, at.ask("PUT", "/v1/definitions", "a: [", yaml), 400, "malformed");
  check_refused(at, at.ask("PUT", "/v1/definitions", "\xff", yaml), 400, "malformed");
  check_refused(at, at.ask("PUT", "/v1/definitions", "{", {{"Content-Type", "application/json"}}),
                400, "malformed");
  check_refused(at, at.ask("PUT", "/v1/definitions", good, {{"Content-Type", "text/plain"}}), 415,
                "unsupported_media");
  check_refused(at, at.ask("PUT", "/v1/definitions", R"({"files":{}})", files), 422, "schema");
  check_refused(at, at.ask("PUT", "/v1/definitions", R"({"files":[]})", files), 422, "schema");
  check_refused(at, at.ask("PUT", "/v1/definitions", R"({"files":[{"name":"a"}]})", files), 422,
                "schema");
  check_refused(at, at.ask("PUT", "/v1/definitions", R"({"files":[3]})", files), 422, "schema");
  check_refused(at, at.ask("PUT", "/v1/definitions?dry_run=maybe", good, yaml), 400, "malformed");
  check_refused(at, at.ask("PUT", "/v1/definitions", "# nothing\n", yaml), 422, "schema");
}

TEST_CASE("types: they are listed, described and have versions, newest first") {
  asking at;
  at.node.define("alpha", 3);
  const auto list = at.ask("GET", "/v1/types")->body();
  REQUIRE(list["items"].size() == 2);
  CHECK(list["items"][0]["type"] == "alpha");
  CHECK(list["items"][0]["version"] == 3);
  CHECK(list["items"][0]["behaviour"] == "native");
  CHECK(!list["items"][0].contains("definition"));
  CHECK(at.ask("GET", "/v1/types/alpha")->body()["definition"]["type"] == "alpha");
  const auto first = at.ask("GET", "/v1/types/alpha/versions?limit=2")->body();
  CHECK(first["items"][0]["version"] == 3);
  CHECK(first["items"][0]["current"] == true);
  CHECK(first["items"][1]["version"] == 2);
  const auto second =
    at.ask("GET", "/v1/types/alpha/versions?limit=2&cursor=" + first["next"].get<std::string>())
      ->body();
  CHECK(second["items"].size() == 1);
  CHECK(second["next"].is_null());
  check_refused(at, at.ask("GET", "/v1/types/nosuch"), 404, "unknown_type");
  check_refused(at, at.ask("GET", "/v1/types/%ff/versions"), 404, "unknown_type");
}
