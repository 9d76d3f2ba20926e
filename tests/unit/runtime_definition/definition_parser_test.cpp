#include "runtime/definition/definition_parser.hpp"

#include <doctest/doctest.h>

#include <string>

#include "runtime/core/catalog.hpp"
#include "runtime/definition/compilers.hpp"

using namespace holdfast;

namespace {

parsed_definitions parsed(std::string_view text) {
  return parse_definitions(text, "agent.yaml", standard_compilers());
}

const agent_definition& agent_of(const parsed_definitions& in) {
  REQUIRE_MESSAGE(in, to_error(in.problems).context);
  REQUIRE(in.items.size() == 1);
  return std::get<agent_definition>(in.items.front().definition);
}

constexpr std::string_view whole = R"(kind: agent
type: payment-recovery
description: Wins back failed payments.
behaviour: llm
model: { use: [primary, backup], temperature: 0.2, max_output_tokens: 2048 }
instructions: |
  You recover failed payments.
input: .data.object
output: { schema: { type: object, properties: { ok: { type: boolean } } } }
tools:
  - name: get_invoice
    description: Look an invoice up.
    input: { type: object, properties: { id: { type: string } }, required: [id] }
    http: { method: GET, url: "http://127.0.0.1:9100/invoices/{id}", headers: { Authorization: "Bearer ${secret:billing}", Accept: a/b }, timeout: 10s }
    retry: { attempts: 3, backoff: 250ms, max_backoff: 1m }
  - name: refund
    input: { type: object, properties: { id: {type: string}, amount: {type: integer} }, required: [id, amount] }
    http: { method: POST, url: "http://127.0.0.1:9100/invoices/{id}/refund", body: "{cents: .amount}" }
    effect: idempotent
    approve: never
  - agent: { type: researcher, name: research, description: Finds things out. }
on:
  - event: stripe.invoice.payment_failed
    where: .data.object.amount_due > 0
    key: .data.object.customer
  - event: stripe.*
busy: reject
limits: { steps: 20, tokens: 200000, usd: 1.50, wall: 120m, mailbox: 10, handler_attempts: 2, at_limit: fail }
memory: { scope: run, window_tokens: 12000, compact: truncate }
egress: { allow: ["127.0.0.1:9100", 10.0.0.0/8] }
)";

}  // namespace

TEST_CASE("definition_parser: every field of an agent is read") {
  const auto in = parsed(whole);
  const auto& agent = agent_of(in);
  CHECK(in.items.front().kind == "agent");
  CHECK(in.items.front().name == "payment-recovery");
  CHECK(in.items.front().line == 1);
  CHECK(agent.type == "payment-recovery");
  CHECK(agent.version == 0);
  CHECK(agent.description == "Wins back failed payments.");
  CHECK(agent.behaviour == behaviour_kind::llm);
  CHECK(agent.models == std::vector<std::string>{"primary", "backup"});
  CHECK(agent.temperature == 0.2);
  CHECK(agent.output_tokens_max == 2048);
  CHECK(agent.instructions == "You recover failed payments.\n");
  CHECK(agent.input == ".data.object");
  CHECK(agent.output_schema == R"({"properties":{"ok":{"type":"boolean"}},"type":"object"})");
  CHECK(agent.busy == busy_policy::reject);
  CHECK(agent.limits == limits_definition{20, 200'000, 1'500'000'000, 7'200'000, 10});
  CHECK(agent.handler_attempts == 2);
  CHECK(agent.memory == memory_definition{memory_scope::run, 12'000, compaction::truncate});
  CHECK(agent.egress_allow == std::vector<std::string>{"127.0.0.1:9100", "10.0.0.0/8"});
  REQUIRE(agent.triggers.size() == 2);
  CHECK(agent.triggers[0] == trigger_definition{"stripe.invoice.payment_failed",
                                                ".data.object.amount_due > 0",
                                                ".data.object.customer"});
  CHECK(agent.triggers[1] == trigger_definition{"stripe.*", "", ""});
}

TEST_CASE("definition_parser: every field of a tool is read") {
  const auto in = parsed(whole);
  const auto& tools = agent_of(in).tools;
  REQUIRE(tools.size() == 3);
  CHECK(tools[0].name == "get_invoice");
  CHECK(tools[0].description == "Look an invoice up.");
  CHECK(tools[0].cls == effect_class::read);
  CHECK(tools[0].retry == retry_policy{3, 250, 60'000});
  const auto& get = std::get<http_call>(tools[0].target);
  CHECK(get == http_call{"GET",
                         "http://127.0.0.1:9100/invoices/{id}",
                         {{"Accept", "a/b"}, {"Authorization", "Bearer ${secret:billing}"}},
                         "",
                         10'000});
  CHECK(tools[1].cls == effect_class::idempotent);
  CHECK(std::get<http_call>(tools[1].target).body == "{cents: .amount}");
  CHECK(tools[1].retry == retry_policy{});
  CHECK(tools[2].name == "research");
  CHECK(tools[2].input_schema == "{\"type\":\"object\"}");
  CHECK(std::get<agent_call>(tools[2].target).type == "researcher");
}

TEST_CASE("definition_parser: what is not written has its default") {
  const auto in = parsed("kind: agent\ntype: a\nmodel: { use: primary }\n");
  agent_definition expected;
  expected.type = "a";
  expected.models = {"primary"};
  CHECK(agent_of(in) == expected);
  CHECK(in.items.front().canonical_json ==
        R"({"kind":"agent","model":{"use":["primary"]},"type":"a"})");
}

TEST_CASE(
  "definition_parser: the effect of a tool is read for GET and HEAD and write for the rest") {
  for (const std::string method : {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"}) {
    const auto in = parsed(
      "kind: agent\ntype: a\nbehaviour: native\ntools: [{ name: t, http: { url: 'http://h/', "
      "method: " +
      method + " } }]\n");
    CHECK(agent_of(in).tools.front().cls ==
          (method == "GET" || method == "HEAD" ? effect_class::read : effect_class::write));
  }
}

TEST_CASE("definition_parser: a native agent needs no model") {
  const auto in = parsed("kind: agent\ntype: echo\nbehaviour: native\n");
  CHECK(agent_of(in).behaviour == behaviour_kind::native);
}

TEST_CASE("definition_parser: hooks are read") {
  const auto in = parsed(R"(kind: hook
source: stripe
preset: hmac
secret: ["${secret:stripe}", "${secret:stripe-old}"]
type: .type
id: .id
hmac: { header: X-Sig, algorithm: sha512, encoding: base64, prefix: "v1=", template: "{timestamp}.{body}", timestamp: { header: X-Time }, tolerance: 1m }
)");
  REQUIRE_MESSAGE(in, to_error(in.problems).context);
  const auto& hook = std::get<hook_definition>(in.items.front().definition);
  CHECK(hook.source == "stripe");
  CHECK(hook.preset == hook_preset::hmac);
  CHECK(hook.secrets == std::vector<std::string>{"stripe", "stripe-old"});
  CHECK(hook.hmac == hmac_definition{"X-Sig", "sha512", "base64", "v1=", "{timestamp}.{body}",
                                     "X-Time", 60'000});
  CHECK(secrets_used(in.items.front().definition) ==
        std::vector<std::string>{"stripe", "stripe-old"});
  const auto none = parsed("kind: hook\nsource: test\npreset: none\n");
  REQUIRE(none);
  CHECK(std::get<hook_definition>(none.items.front().definition).preset == hook_preset::none);
  const auto implied = parsed("kind: hook\nsource: test\nsecret: \"${secret:x}\"\nhmac: {}\n");
  REQUIRE_MESSAGE(implied, to_error(implied.problems).context);
  CHECK(std::get<hook_definition>(implied.items.front().definition).preset == hook_preset::hmac);
}

TEST_CASE("definition_parser: JSON is read as JSON, its escapes and lines included") {
  const auto in = parsed(
    "{\n\t\"kind\": \"agent\",\n\t\"type\": \"a\",\n\t\"description\": \"\\ud83d\\ude00 \\u0004 "
    "\\/\",\n\t\"model\": {\"use\": [\"m\"]}\n}\n");
  CHECK(agent_of(in).description == "😀 \x04 /");
  const auto bad = parsed(
    "{\n\"kind\": \"agent\",\n\"type\": \"A\",\n\"limits\": {\"steps\": -1},\n\"model\": {\"use\": "
    "[\"m\"]}\n}");
  REQUIRE(bad.problems.size() == 2);
  CHECK(bad.problems[0].line == 3);
  CHECK(bad.problems[1].line == 4);
}

TEST_CASE("definition_parser: several documents are several definitions, and empty ones none") {
  const auto in = parsed(
    "---\nkind: agent\ntype: a\nbehaviour: native\n---\n---\n# nothing\n---\nkind: hook\nsource: "
    "s\npreset: none\n...\n");
  REQUIRE_MESSAGE(in, to_error(in.problems).context);
  REQUIRE(in.items.size() == 2);
  CHECK(in.items[0].line == 2);
  CHECK(in.items[1].kind == "hook");
  CHECK(in.items[1].line == 9);
  CHECK(parsed("").items.empty());
  CHECK(parsed("# only a comment\n").items.empty());
  const auto twice =
    parsed("kind: hook\nsource: s\npreset: none\n---\nkind: hook\nsource: s\npreset: none\n");
  REQUIRE(twice.problems.size() == 1);
  CHECK(to_string(twice.problems.front()) ==
        "agent.yaml:5:1: hook `s` is here for the second time");
}

TEST_CASE("definition_parser: `on`, `yes` and `no` are what they look like") {
  const auto in =
    parsed("kind: agent\ntype: a\nbehaviour: native\ndescription: no\non:\n  - event: yes\n");
  CHECK(agent_of(in).description == "no");
  CHECK(agent_of(in).triggers.front().event == "yes");
}

TEST_CASE("definition_parser: canonical JSON does not depend on the spelling") {
  const auto yaml = parsed(
    "kind: agent\ntype: a\nmodel: { use: m }\nlimits: { usd: 1.5, wall: 60m }\negress: {allow: "
    "['a:1']}\n");
  const auto json = parsed(
    R"({"limits":{"wall":"1h","usd":"1.50"},"model":{"use":["m"]},"egress":{"allow":["a:1"]},"type":"a","kind":"agent"})");
  REQUIRE(yaml);
  REQUIRE(json);
  CHECK(yaml.items.front().canonical_json == json.items.front().canonical_json);
  CHECK(yaml.items.front().canonical_json !=
        parsed("kind: agent\ntype: a\nmodel: { use: m }\n").items.front().canonical_json);
}

TEST_CASE("definition_parser: canonical JSON reads back as the same definition and the same text") {
  for (const auto text :
       {whole, std::string_view{"kind: hook\nsource: s\nsecret: '${secret:a}'\nhmac: {timestamp: "
                                "{header: T}, template: '{timestamp}{body}'}\n"}}) {
    const auto in = parsed(text);
    REQUIRE_MESSAGE(in, to_error(in.problems).context);
    const auto& item = in.items.front();
    auto again = definition_from_json(item.kind, item.canonical_json);
    REQUIRE_MESSAGE(again, again.error().context);
    CHECK(*again == item.definition);
    CHECK(parsed(item.canonical_json).items.front().canonical_json == item.canonical_json);
  }
}

TEST_CASE("definition_parser: stored text that cannot be read back is corrupt") {
  CHECK(definition_from_json("agent", "{").error().code == errc::corrupt);
  CHECK(definition_from_json("agent", R"({"kind":"agent"})").error().code == errc::corrupt);
  CHECK(
    definition_from_json("agent", R"({"kind":"hook","source":"s","preset":"none"})").error().code ==
    errc::corrupt);
  CHECK(definition_from_json("agent", "").error().code == errc::corrupt);
}

TEST_CASE("definition_parser: a parsed agent compiles in the catalog") {
  const auto in = parsed(whole);
  auto compiled = compile(agent_of(in), standard_compilers());
  REQUIRE_MESSAGE(compiled, compiled.error().context);
  CHECK((*compiled)->tool("refund") != nullptr);
  CHECK(*(*compiled)->triggers[0].where->evaluate(R"({"data":{"object":{"amount_due":5}}})") ==
        "true");
}

TEST_CASE("definition_parser: the secrets of a definition are known") {
  CHECK(secrets_used(parsed(whole).items.front().definition) ==
        std::vector<std::string>{"billing"});
}
