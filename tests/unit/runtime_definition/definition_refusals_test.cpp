// Every refusal of a definition, by what it says and where it points.

#include <doctest/doctest.h>

#include <algorithm>
#include <string>

#include "runtime/definition/compilers.hpp"
#include "runtime/definition/definition_parser.hpp"

using namespace holdfast;

namespace {

struct wanted {
  const char* yaml;     // added to an agent that is good
  const char* says;     // part of one message
  const char* pointer;  // of that message
  errc code = errc::schema;
};

bool fits(const definition_problem& problem, const wanted& w) {
  return problem.message.find(w.says) != std::string::npos && problem.pointer == w.pointer &&
         problem.code == w.code && problem.line > 0 && problem.file == "a.yaml";
}

void check_refused(const std::string& text, const wanted& w) {
  const auto in = parse_definitions(text, "a.yaml", standard_compilers());
  CAPTURE(text);
  CHECK(in.items.empty());
  std::string all;
  for (const auto& problem : in.problems)
    all += to_string(problem) + " [" + problem.pointer + "]\n";
  CHECK_MESSAGE(
    std::any_of(in.problems.begin(), in.problems.end(), [&](const auto& p) { return fits(p, w); }),
    w.says << " in:\n"
           << all);
}

void check_agent(const wanted& w) {
  check_refused(std::string{"kind: agent\ntype: good\nmodel: {use: [m]}\n"} + w.yaml, w);
}
void check_tool(const wanted& w) {
  check_refused(std::string{"kind: agent\ntype: good\nmodel: {use: [m]}\ntools:\n- "} + w.yaml, w);
}
void check_http(const wanted& w) {
  check_refused(std::string{"kind: agent\ntype: good\nmodel: {use: [m]}\ntools:\n- name: t\n  "
                            "input: {properties: {id: {}}}\n  http: "} +
                  w.yaml,
                w);
}
void check_hook(const wanted& w) { check_refused(std::string{"kind: hook\n"} + w.yaml, w); }

}  // namespace

TEST_CASE("definitions: a misspelt key names file, line and the nearest key") {
  const auto in =
    parse_definitions("kind: agent\ntype: a\nmodel: {use: [m]}\n\n\n\ninstrutions: x\n",
                      "dir/agent.yaml", standard_compilers());
  REQUIRE(in.problems.size() == 1);
  CHECK(to_string(in.problems[0]) ==
        "dir/agent.yaml:7:1: unknown key `instrutions`; did you mean `instructions`?");
  CHECK(in.problems[0].pointer == "/instrutions");
}

TEST_CASE("definitions: all problems of a file are told, in order") {
  const auto in =
    parse_definitions("kind: agent\ntype: A\nbusy: x\nlimits: {steps: many}\n---\nkind: what\n",
                      "a.yaml", standard_compilers());
  REQUIRE(in.problems.size() == 5);
  CHECK(in.problems[0].pointer == "/model");
  CHECK(in.problems[1].pointer == "/type");
  CHECK(in.problems[2].pointer == "/busy");
  CHECK(in.problems[3].pointer == "/limits/steps");
  CHECK(in.problems[4].pointer == "/kind");
  const auto error = to_error(in.problems);
  CHECK(error.code == errc::schema);
  CHECK(std::count(error.context.begin(), error.context.end(), '\n') == 4);
}

TEST_CASE("definitions: what a document must have") {
  check_refused("type: a\n", {"", "`kind` is missing: `agent` or `hook`", "/kind"});
  check_refused("kind: agnet\n",
                {"", "expected `agent` or `hook`, not `agnet`; did you mean `agent`?", "/kind"});
  check_refused("kind: tool\n", {"", "expected `agent` or `hook`, not `tool`", "/kind"});
  check_refused("kind: [agent]\n", {"", "`kind`: expected", "/kind"});
  check_refused("- kind: agent\n", {"", "expected a map, not a list", ""});
  check_refused("just text\n", {"", "expected a map, not text", ""});
  check_refused("kind: agent\nmodel: {use: m}\n", {"", "`type` is missing", "/type"});
  check_refused("kind: agent\ntype: a\n",
                {"", "`model` is missing: an LLM agent needs model: { use: [NAME] }", "/model"});
  check_refused("kind: agent\ntype: a\nmodel: {temperature: 1}\n",
                {"", "`model` is missing", "/model"});
  for (const auto* type :
       {"A", "9a", "a_b", "-a", "\"a b\"", "\"\"", "a/b",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}) {
    if (std::string_view{type} != "\"\"")
      check_refused(std::string{"kind: agent\nbehaviour: native\ntype: "} + type + "\n",
                    {"", "`type`: expected a lower-case letter", "/type"});
  }
}

TEST_CASE(
  "definitions: what the contract names and this release does not have is refused by name") {
  constexpr auto later = errc::not_available;
  check_refused("kind: policy\nname: x\n", {"", "`policy` is not available", "/kind", later});
  check_agent({"behaviour: remote\n", "`remote` is not available", "/behaviour", later});
  check_agent({"busy: merge\n", "`merge` is not available", "/busy", later});
  check_agent({"busy: interrupt\n", "`interrupt` is not available", "/busy", later});
  check_agent({"flow: { rate: { limit: 1 } }\n", "`flow` is not available", "/flow", later});
  check_agent(
    {"memory: { compact: summarize }\n", "`summarize` is not available", "/memory/compact", later});
  check_agent(
    {"limits: { at_limit: wait }\n", "`wait` is not available", "/limits/at_limit", later});
  check_agent({"at_limit: wait\n", "`wait` is not available", "/at_limit", later});
  check_agent(
    {"on: [{ schedule: { cron: x } }]\n", "`schedule` is not available", "/on/0/schedule", later});
  check_agent(
    {"on: [{ alert: { where: . } }]\n", "`alert` is not available", "/on/0/alert", later});
  check_tool({"mcp: { server: crm }\n", "`mcp` is not available", "/tools/0/mcp", later});
  check_tool({"{ name: t, http: { url: 'http://h/' }, approve: always }\n",
              "`approve` is not available", "/tools/0/approve", later});
  check_tool({"{ name: t, http: { url: 'http://h/' }, approve: .input.amount > 5 }\n",
              "`approve` is not available", "/tools/0/approve", later});
  check_tool({"{ agent: { type: a, name: t }, approve: always }\n", "`approve` is not available",
              "/tools/0/approve", later});
  for (const std::string preset : {"stripe", "github", "slack", "standard-webhooks", "alertmanager",
                                   "grafana", "pagerduty", "cloudevents"})
    check_hook({("source: s\npreset: " + preset + "\nsecret: '${secret:s}'\n").c_str(),
                "is not available", "/preset", later});
  CHECK(to_error(parse_definitions("kind: policy\n", "a", standard_compilers()).problems).code ==
        later);
}

TEST_CASE("definitions: values of the wrong kind and outside their range are refused") {
  check_agent({"description: [a]\n", "expected text, not a list", "/description"});
  check_agent({"description:\n", "has no value", "/description"});
  check_agent({"behaviour: llmm\n", "expected `llm` or `native`, not `llmm`; did you mean `llm`?",
               "/behaviour"});
  check_agent({"busy: quue\n", "did you mean `queue`?", "/busy"});
  check_agent({"tools: {}\n", "`tools`: expected a list, not a map", "/tools"});
  check_agent({"on: text\n", "`on`: expected a list, not text", "/on"});
  check_agent({"limits: []\n", "expected a map, not a list", "/limits"});
  check_agent(
    {"limits: { step: 1 }\n", "unknown key `step`; did you mean `steps`?", "/limits/step"});
  check_agent({"limits: { steps: 0 }\n", "from 1 to", "/limits/steps"});
  check_agent({"limits: { steps: 1.5 }\n", "whole number", "/limits/steps"});
  check_agent({"limits: { steps: \"5\" }\n", "not text", "/limits/steps"});
  check_agent({"limits: { tokens: -1 }\n", "whole number", "/limits/tokens"});
  check_agent({"limits: { tokens: 99999999999999999999999 }\n", "whole number", "/limits/tokens"});
  check_agent({"limits: { usd: a lot }\n", "is not an amount of USD", "/limits/usd"});
  check_agent({"limits: { usd: -1 }\n", "is not an amount of USD", "/limits/usd"});
  check_agent({"limits: { usd: 0 }\n", "more than 0", "/limits/usd"});
  check_agent({"limits: { usd: 1e3 }\n", "is not an amount of USD", "/limits/usd"});
  check_agent({"limits: { wall: 5 }\n", "is not a duration", "/limits/wall"});
  check_agent({"limits: { wall: 5 minutes }\n", "is not a duration", "/limits/wall"});
  check_agent({"limits: { wall: 0s }\n", "at least 1ms", "/limits/wall"});
  check_agent({"memory: { scope: all }\n", "expected `agent` or `run`", "/memory/scope"});
  check_agent({"memory: { window_tokens: 10 }\n", "from 256", "/memory/window_tokens"});
  check_agent({"egress: { allow: ['a b'] }\n", "is not an address", "/egress/allow"});
  check_agent({"egress: { allow: [] }\n", "expected 1 to", "/egress/allow"});
  check_agent({"egress: { alow: [a] }\n", "did you mean `allow`?", "/egress/alow"});
  check_agent({"output: { type: object }\n", "`schema` is missing", "/output/schema"});
  check_agent({"output: { schema: { type: objet } }\n", "`objet` is not a type", "/output/schema"});
  check_agent({"output: { schema: text }\n", "expected a JSON Schema", "/output/schema"});
  check_refused("kind: agent\ntype: a\nmodel: {use: []}\n",
                {"", "expected 1 to 8 texts", "/model/use"});
  check_refused("kind: agent\ntype: a\nmodel: {use: [A b]}\n",
                {"", "is not the name of a model", "/model/use"});
  check_refused("kind: agent\ntype: a\nmodel: {use: m, temperature: 3}\n",
                {"", "a number from 0.0 to 2.0", "/model/temperature"});
  check_refused("kind: agent\ntype: a\nmodel: {use: m, max_output_tokens: 0}\n",
                {"", "from 1", "/model/max_output_tokens"});
  check_refused("kind: agent\ntype: a\nmodel: m\n", {"", "expected a map, not text", "/model"});
  check_agent({("instructions: " + std::string(300'000, 'x') + "\n").c_str(), "longer than",
               "/instructions"});
}

TEST_CASE("definitions: expressions are compiled, and a bad one is told with its column") {
  check_agent(
    {"input: \"def f: 1; f\"\n", "`input`: jq, column 1: `def` is not allowed", "/input"});
  check_agent({"on: [{ event: a, where: \".a |\" }]\n", "`where`: jq, column 5", "/on/0/where"});
  check_agent(
    {"on: [{ event: a, key: \".a | lenght\" }]\n", "did you mean `length`?", "/on/0/key"});
  check_http(
    {"{ method: POST, url: 'http://h/', body: '{a' }\n", "`body`: jq", "/tools/0/http/body"});
  check_hook({"source: s\npreset: none\ntype: .a |\n", "`type`: jq", "/type"});
  check_hook({"source: s\npreset: none\nid: range(3)\n", "`range` is not allowed", "/id"});
}

TEST_CASE("definitions: triggers are checked") {
  check_agent({"on: [{ evnt: a }]\n", "did you mean `event`?", "/on/0/evnt"});
  check_agent({"on: [{ where: . }]\n", "`event` is missing", "/on/0/event"});
  for (const auto* event : {"'*'", "a*", "'a.*.b'", "'a b'", "'.*'"})
    check_agent({("on: [{ event: " + std::string{event} + " }]\n").c_str(),
                 "expected an event's type, or `prefix.*`", "/on/0/event"});
  check_agent({"on: [text]\n", "expected a map, not text", "/on/0"});
}

TEST_CASE("definitions: tools are checked") {
  check_tool({"{ http: { url: 'http://h/' } }\n", "`name` is missing", "/tools/0/name"});
  for (const auto* name :
       {"'a b'", "ä", "a.b",
        "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'"})
    check_tool({("{ http: { url: 'http://h/' }, name: " + std::string{name} + " }\n").c_str(),
                "expected 1 to 64 letters, digits, _ and -", "/tools/0/name"});
  check_tool(
    {"{ name: t, http: { url: 'http://h/' } }\n- { name: t, http: { url: 'http://h/' } }\n",
     "another tool is called `t` too", "/tools/1/name"});
  check_tool({"{ agent: { type: a, name: t } }\n- { name: t, http: { url: 'http://h/' } }\n",
              "another tool is called `t` too", "/tools/1/name"});
  check_tool({"{ name: t }\n", "a tool has `http` or `agent`", "/tools/0"});
  check_tool({"{ name: t, htp: {} }\n", "did you mean `http`?", "/tools/0/htp"});
  check_tool({"{ name: t, http: { url: 'http://h/' }, agent: { type: a, name: b } }\n",
              "one of `http` and `agent`", "/tools/0"});
  check_tool({"{ name: t, http: { url: 'http://h/' }, effect: reed }\n", "did you mean `read`?",
              "/tools/0/effect"});
  check_tool({"{ name: t, http: { url: 'http://h/' }, input: { type: string } }\n",
              "the input of a tool is an object", "/tools/0/input"});
  check_tool({"{ name: t, http: { url: 'http://h/' }, input: { type: object, propertis: {} } }\n",
              "did you mean `properties`?", "/tools/0/input"});
  check_tool({"{ name: t, http: { url: 'http://h/' }, input: { $ref: 'http://x' } }\n",
              "only references inside", "/tools/0/input"});
  check_tool({"{ name: t, http: { url: 'http://h/' }, retry: { attempts: 0 } }\n", "from 1 to 100",
              "/tools/0/retry/attempts"});
  check_tool({"{ name: t, http: { url: 'http://h/' }, retry: { backoff: 10s, max_backoff: 1s } }\n",
              "less than `backoff`", "/tools/0/retry/max_backoff"});
  check_tool({"{ agent: { name: t } }\n", "`type` is missing", "/tools/0/agent/type"});
  check_tool({"{ agent: { type: A, name: t } }\n", "`type`: expected", "/tools/0/agent/type"});
  check_tool({"{ agent: { type: a } }\n", "`name` is missing", "/tools/0/agent/name"});
  check_tool(
    {"{ agent: { type: a, name: t }, effect: read }\n", "unknown key `effect`", "/tools/0/effect"});
  check_tool({"text\n", "expected a map, not text", "/tools/0"});
}

TEST_CASE("definitions: HTTP tools are checked") {
  check_http({"{ method: GET }\n", "`url` is missing", "/tools/0/http/url"});
  check_http(
    {"{ url: 'http://h/', method: get }\n", "did you mean `GET`?", "/tools/0/http/method"});
  check_http({"{ url: 'http://h/', method: CONNECT }\n", "expected `GET`", "/tools/0/http/method"});
  check_http({"{ url: 'http://{id}/' }\n", "never in the host or port", "/tools/0/http/url"});
  check_http({"{ url: '{id}://h/' }\n", "begins with http:// or https://", "/tools/0/http/url"});
  check_http({"{ url: 'http://h:{id}/' }\n", "never in the host or port", "/tools/0/http/url"});
  check_http({"{ url: 'http://h/{idd}' }\n", "`{idd}` is not one of the properties of `input`",
              "/tools/0/http/url"});
  check_http(
    {"{ url: 'http://h/${secret:a}' }\n", "secrets belong into headers", "/tools/0/http/url"});
  check_http({"{ url: 'http://h/', body: . }\n", "GET has none", "/tools/0/http/body"});
  check_http({"{ url: 'http://h/', timeout: 2h }\n", "at most 1h", "/tools/0/http/timeout"});
  check_http({"{ url: 'http://h/', timeout: 10 }\n", "is not a duration", "/tools/0/http/timeout"});
  check_http({"{ url: 'http://h/', headers: [a] }\n", "expected a map", "/tools/0/http/headers"});
  check_http({"{ url: 'http://h/', headers: { 'A B': x } }\n", "not the name of a header",
              "/tools/0/http/headers/A B"});
  check_http({"{ url: 'http://h/', headers: { \"A\\r\\nB\": x } }\n", "not the name of a header",
              "/tools/0/http/headers/A\r\nB"});
  check_http({"{ url: 'http://h/', headers: { A: \"x\\r\\nB: y\" } }\n", "a line break",
              "/tools/0/http/headers/A"});
  check_http({"{ url: 'http://h/', headers: { A: \"x\\0\" } }\n",
              "a line break or another control character", "/tools/0/http/headers/A"});
  check_http(
    {"{ url: 'http://h/', headers: { A: [x] } }\n", "expected text", "/tools/0/http/headers/A"});
  check_http({"{ url: 'http://h/', headers: { A: '${sec:x}' } }\n", "${secret:NAME}",
              "/tools/0/http/headers/A"});
  check_http({"{ url: 'http://h/', headers: { A: '${secret:X}' } }\n", "is not a secret's name",
              "/tools/0/http/headers/A"});
  check_http({"{ url: 'http://h/', headers: { A: '${secret:x' } }\n", "${secret:NAME}",
              "/tools/0/http/headers/A"});
  check_http({"{ url: 'http://h/', headers: { a: x, A: y } }\n", "for the second time",
              "/tools/0/http/headers/A"});
  for (const auto* own : {"Host", "content-length", "Idempotency-Key", "Transfer-Encoding"})
    check_http({("{ url: 'http://h/', headers: { " + std::string{own} + ": x } }\n").c_str(),
                "is set by Holdfast", ("/tools/0/http/headers/" + std::string{own}).c_str()});
}

TEST_CASE("definitions: hooks are checked") {
  check_hook({"preset: none\n", "`source` is missing", "/source"});
  check_hook({"source: a/b\npreset: none\n", "`source`: expected", "/source"});
  check_hook({"source: s\n", "`preset` is missing", "/preset"});
  check_hook({"source: s\npreset: hmca\n", "did you mean `hmac`?", "/preset"});
  check_hook({"source: s\npreset: hmac\n", "`secret` is missing", "/secret"});
  check_hook(
    {"source: s\npreset: hmac\nsecret: whsec_123\n", "does not belong into a file", "/secret"});
  check_hook({"source: s\npreset: hmac\nsecret: 'x${secret:a}'\n", "expected \"${secret:NAME}\"",
              "/secret"});
  check_hook(
    {"source: s\npreset: none\nsecret: '${secret:a}'\n", "`none` checks nothing", "/preset"});
  check_hook({"source: s\npreset: hmac\nsecret: '${secret:a}'\nhmac: { algorithm: md5 }\n",
              "expected `sha256`", "/hmac/algorithm"});
  check_hook({"source: s\npreset: hmac\nsecret: '${secret:a}'\nhmac: { encoding: hexx }\n",
              "did you mean `hex`?", "/hmac/encoding"});
  check_hook({"source: s\npreset: hmac\nsecret: '${secret:a}'\nhmac: { header: 'a b' }\n",
              "not the name of a header", "/hmac/header"});
  check_hook({"source: s\npreset: hmac\nsecret: '${secret:a}'\nhmac: { template: abc }\n",
              "without {body}", "/hmac/template"});
  check_hook(
    {"source: s\npreset: hmac\nsecret: '${secret:a}'\nhmac: { template: '{time}{body}' }\n",
     "only {body} and {timestamp}", "/hmac/template"});
  check_hook(
    {"source: s\npreset: hmac\nsecret: '${secret:a}'\nhmac: { template: '{timestamp}{body}' }\n",
     "say where it is", "/hmac/template"});
  check_hook({"source: s\npreset: hmac\nsecret: '${secret:a}'\nhmac: { timestamp: {header: T} }\n",
              "leaves the timestamp unsigned", "/hmac/template"});
  check_hook({"source: s\npreset: hmac\nsecret: '${secret:a}'\nhmac: { tolerance: 5m }\n",
              "`tolerance` takes a timestamp", "/hmac/tolerance"});
}
