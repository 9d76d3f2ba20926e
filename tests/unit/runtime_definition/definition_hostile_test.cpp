// Text made to take all memory, all stack or all time, and text with bytes changed at random.

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "runtime/definition/compilers.hpp"
#include "runtime/definition/definition_parser.hpp"

using namespace holdfast;

namespace {

const definition_problem& only_problem(const std::string& text) {
  static parsed_definitions in;
  in = parse_definitions(text, "a.yaml", standard_compilers());
  REQUIRE(!in.problems.empty());
  return in.problems.front();
}

}  // namespace

TEST_CASE("definitions: aliases that multiply are refused") {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const auto before = "*a" + std::to_string(i - 1);
    text += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
    for (int k = 0; k < 9; ++k)
      text += "," + before;
    text += "]\n";
  }
  CHECK(only_problem(text).code == errc::too_large);
  CHECK(only_problem("a: &a [*a]\n").code == errc::malformed);
  CHECK(only_problem("a: &a { b: *a }\n").code == errc::malformed);
  CHECK(only_problem("a: *b\n").code == errc::malformed);
}

TEST_CASE("definitions: an alias within bounds is what it stands for") {
  const auto in = parse_definitions(
    "kind: agent\ntype: a\nbehaviour: native\ntools:\n- name: t\n  http: &h { url: 'http://h/', "
    "timeout: 1s }\n- name: u\n  http: *h\n",
    "a", standard_compilers());
  REQUIRE_MESSAGE(in, to_error(in.problems).context);
  const auto& tools = std::get<agent_definition>(in.items.front().definition).tools;
  CHECK(std::get<http_call>(tools[1].target).timeout_ms == 1000);
}

TEST_CASE("definitions: text nested too deep is refused, in YAML's blocks and flows and in JSON") {
  const std::string many(100'000, '[');
  CHECK(only_problem(many).code == errc::too_deep);
  CHECK(only_problem("{\"a\":" + many + std::string(100'000, ']') + "}").code == errc::too_deep);
  CHECK(only_problem(std::string(100'000, '{')).code == errc::too_deep);
  std::string dashes;
  for (int i = 0; i < 1'000; ++i)
    dashes += "- ";
  CHECK(only_problem(dashes + "x").code == errc::too_deep);
  std::string maps;
  for (int i = 0; i < 200; ++i)
    maps += std::string(static_cast<std::size_t>(i), ' ') + "a:\n";
  CHECK(only_problem(maps).code == errc::too_deep);
  CHECK(only_problem("? ? ? ? ? x").code == errc::malformed);
}

TEST_CASE("definitions: text too large is refused") {
  CHECK(only_problem(std::string(2'000'000, 'a')).code == errc::too_large);
  std::string list = "[";
  for (int i = 0; i < 60'000; ++i)
    list += "a,";
  CHECK(only_problem(list + "a]").code == errc::too_large);
  std::string documents;
  for (int i = 0; i < 2'000; ++i)
    documents += "---\na\n";
  CHECK(only_problem(documents).code == errc::too_large);
}

TEST_CASE("definitions: text that means something else than it seems to is refused") {
  CHECK(only_problem("kind: agent\ntype: a\ntype: b\nmodel: {use: m}\n").message ==
        "key `type` is here for the second time; first in line 2");
  CHECK(only_problem(
          "{\"type\": \"a\", \"behaviour\": \"native\", \"kind\": \"agent\",\n\"kind\": \"hook\"}")
          .line == 2);
  CHECK(only_problem("kind: !!str agent\n").code == errc::malformed);
  CHECK(only_problem("kind: !custom agent\n").code == errc::malformed);
  CHECK(only_problem("!!map {kind: agent}\n").code == errc::malformed);
  CHECK(only_problem("base: &b {a: 1}\nkind: agent\n<<: *b\n").code == errc::malformed);
  CHECK(only_problem("[a]: b\n").code == errc::malformed);
  CHECK(only_problem("kind: agent\x04\ntype: a\n").code == errc::malformed);
  CHECK(only_problem(std::string{"kind: agent\0type: a\n", 20}).code == errc::malformed);
  CHECK(only_problem("kind: \xff\xfe\n").code == errc::malformed);
  CHECK(only_problem(std::string{"k\0i\0n\0d\0", 8}).code == errc::malformed);
  CHECK(only_problem("kind: agent\n\ttype: a\n").code == errc::malformed);
  CHECK(only_problem("a: \"unclosed\n").code == errc::malformed);
  CHECK(only_problem("{\"a\": 1,}}").code == errc::malformed);
}

TEST_CASE(
  "definitions: text with bytes changed at random is read or refused, and what is read reads "
  "back") {
  const std::string original = R"(kind: agent
type: payment-recovery
model: { use: [primary], temperature: 0.2 }
tools:
  - name: get
    input: { type: object, properties: { id: { type: string, pattern: "^[a-z]+$" } }, required: [id] }
    http: { method: GET, url: "http://127.0.0.1:9100/i/{id}", headers: { A: "B ${secret:c}" }, timeout: 10s }
  - agent: { type: researcher, name: research }
on:
  - event: stripe.*
    where: .data.amount
limits: { steps: 50, usd: "1.50", wall: 2h }
---
kind: hook
source: s
preset: hmac
secret: "${secret:x}"
)";
  std::mt19937 random{4'711};
  const std::string bytes = "\n :-[]{}\"'&*!|>#%@,?.0a\t\\$\x80\xc3";
  int good = 0;
  for (int i = 0; i < 3'000; ++i) {
    auto text = original;
    for (auto changes = 1 + random() % 4; changes > 0; --changes) {
      const auto at = random() % text.size();
      const char with = bytes[random() % bytes.size()];
      switch (random() % 3) {
        case 0:
          text[at] = with;
          break;
        case 1:
          text.insert(at, 1, with);
          break;
        default:
          text.erase(at, 1 + random() % 8);
      }
    }
    const auto in = parse_definitions(text, "a.yaml", standard_compilers());
    CHECK(in.items.empty() == !in.problems.empty());
    for (const auto& item : in.items) {
      ++good;
      CAPTURE(text);
      auto again = definition_from_json(item.kind, item.canonical_json);
      REQUIRE_MESSAGE(again, again.error().context);
      CHECK(*again == item.definition);
    }
  }
  CHECK(good > 100);
}
