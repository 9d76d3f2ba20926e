#include "runtime/model/scripted.hpp"

#include <doctest/doctest.h>

#include <vector>

#include "runtime/expression/jq.hpp"
#include "tests/unit/runtime_model/fake_jq.hpp"

using namespace holdfast;
using namespace holdfast::model;

namespace {

std::shared_ptr<const script> load(std::string_view script_text) {
  auto loaded = script::parse(script_text, testing::fake_compilers());
  if (!loaded)
    FAIL(loaded.error().context);
  return *loaded;
}

request ending_with(message last) {
  request asked;
  asked.messages.push_back({message_role::user, "first", {}, {}, {}});
  asked.messages.push_back(std::move(last));
  return asked;
}

request user(std::string content) {
  return ending_with({message_role::user, std::move(content), {}, {}, {}});
}

request result_of(std::string tool, std::string content) {
  return ending_with({message_role::tool, std::move(content), {}, "call_1_0", std::move(tool)});
}

std::string refusal(std::string_view script_text) {
  auto loaded = script::parse(script_text, testing::fake_compilers());
  REQUIRE_FALSE(loaded);
  CHECK(loaded.error().code == errc::schema);
  return loaded.error().context;
}

}  // namespace

TEST_CASE("script: the first turn that fits the last message answers") {
  const auto played = load(R"({"turns":[
    {"when":{"contains":"invoice","after_tool":"get_invoice"},"text":"both"},
    {"when":{"after_tool":"get_invoice"},"text":"tool"},
    {"when":{"contains":"invoice"},"text":"word"},
    {"text":"any"}]})");
  const auto text = [&](const request& asked) {
    return played->answer_to(asked, {}).end.outcome.reply.text;
  };
  CHECK(text(result_of("get_invoice", "an invoice")) == "both");
  CHECK(text(result_of("get_invoice", "x")) == "tool");
  CHECK(text(result_of("other", "an invoice")) == "word");
  CHECK(text(user("my invoice")) == "word");
  CHECK(text(user("Invoice")) == "any");  // as written
  CHECK(text(user("get_invoice")) == "word");
  CHECK(text({}) == "any");  // no message at all
}

TEST_CASE("script: text is streamed word by word with its delay") {
  const auto played = load(R"({"turns":[{"text":"Hello,  wörld\nof 😀 ","chunk_delay":"20ms"}]})");
  const auto got = played->answer_to(user("x"), {});
  CHECK(got.chunks == std::vector<std::string>{"Hello,  ", "wörld\n", "of ", "😀 "});
  CHECK(got.chunk_delay_ms == 20);
  CHECK(got.end.outcome.status == outcome_status::succeeded);
  CHECK(got.end.outcome.reply.text == "Hello,  wörld\nof 😀 ");
  CHECK(got.end.outcome.reply.finish_reason == "stop");
  CHECK(got.end.outcome.reply.model == "scripted");
}

TEST_CASE("script: calls get ids, and templates keep types only when they are the whole string") {
  const auto played = load(R"({"turns":[{"text":"Looking {{ .id }} up","call":[
    {"tool":"get_invoice","input":{"id":"{{.id}}","n":"{{.n}}","list":["{{.o}}",1],"text":"no {{.n}}: {{.o}}","a/b":{"~":"{{.none}}"}}},
    {"tool":"ping"}, {"tool":"whole","input":"{{.o}}"}]}]})");
  const auto got = played->answer_to(user(R"({"id":"in_1","n":7,"o":{"x":[true]}})"), {});
  const auto& reply = got.end.outcome.reply;
  CHECK(reply.text == "Looking in_1 up");
  CHECK(reply.finish_reason == "tool_calls");
  REQUIRE(reply.tool_calls.size() == 3);
  CHECK(
    reply.tool_calls[0] ==
    tool_call{
      "call_2_0", "get_invoice",
      R"({"id":"in_1","n":7,"list":[{"x":[true]},1],"text":"no 7: {\"x\":[true]}","a/b":{"~":null}})"});
  CHECK(reply.tool_calls[1] == tool_call{"call_2_1", "ping", "{}"});
  CHECK(reply.tool_calls[2] == tool_call{"call_2_2", "whole", R"({"x":[true]})"});
}

TEST_CASE("script: a last message that is no JSON is seen as its content") {
  const auto played = load(R"({"turns":[{"text":"You said: {{.content}}"}]})");
  CHECK(played->answer_to(user("hi \"you\""), {}).end.outcome.reply.text == "You said: hi \"you\"");
  CHECK(played->answer_to(user(std::string(200, '[')), {}).end.outcome.reply.text ==
        "You said: " + std::string(200, '['));
}

TEST_CASE("script: a program that fails fails the call") {
  const auto played = load(R"({"turns":[{"text":"never {{.a}}"}]})");
  const auto got = played->answer_to(user("[1]"), {});
  CHECK(got.end.outcome.failure_reason == failure_kind::rejected);
  CHECK(got.end.outcome.error.code == "script_error");
  CHECK(got.end.outcome.error.message.find("turns[0]") != std::string::npos);
  CHECK(got.chunks.empty());
}

TEST_CASE("script: no turn that fits is a rejected call that shows the message") {
  const auto played = load(R"({"turns":[{"when":{"contains":"x"},"text":"y"}]})");
  auto got = played->answer_to(user("hello\n" + std::string(200, 'o')), {});
  CHECK(got.end.outcome.status == outcome_status::failed);
  CHECK(got.end.outcome.failure_reason == failure_kind::rejected);
  CHECK(got.end.outcome.error.code == "script_no_match");
  CHECK(got.end.outcome.error.message ==
        "no turn of the script fits the last message; it is from user and begins: hello " +
          std::string(74, 'o') + "…");
  got = played->answer_to(result_of("get_invoice", "abc"), {});
  CHECK(got.end.outcome.error.message.find("from tool get_invoice and begins: abc") !=
        std::string::npos);
}

TEST_CASE("script: usage is what the turn says, else from the lengths") {
  const auto played = load(
    R"({"turns":[{"when":{"contains":"told"},"text":"abcd","usage":{"input_tokens":100,"output_tokens":10}},
                                        {"text":"eight by"}]})");
  const price at{1'000'000, 2'000'000, 0};
  auto got = played->answer_to(user("told"), at).end;
  CHECK(got.outcome.used.input_tokens == 100);
  CHECK(got.outcome.used.output_tokens == 10);
  CHECK(got.outcome.used.cost == 120);
  CHECK(got.outcome.used.model_calls == 1);
  CHECK_FALSE(got.usage_estimated);
  got = played->answer_to(user("x"), at).end;
  CHECK(got.outcome.used.input_tokens == estimate_input_tokens(user("x")));
  CHECK(got.outcome.used.output_tokens == 2);
  CHECK(got.usage_estimated);
}

TEST_CASE("script: fail is mapped as a provider's status, after the text if there is some") {
  struct row {
    int status;
    failure_kind kind;
  };
  for (const auto& [status, kind] :
       {row{429, failure_kind::throttled}, row{500, failure_kind::transient},
        row{503, failure_kind::transient}, row{408, failure_kind::transient},
        row{400, failure_kind::rejected}, row{401, failure_kind::rejected}}) {
    const auto got =
      load("{\"turns\":[{\"fail\":" + std::to_string(status) + "}]}")->answer_to(user("x"), {});
    CHECK(got.end.outcome.status == outcome_status::failed);
    CHECK(got.end.outcome.failure_reason == kind);
    CHECK(got.chunks.empty());
  }
  const auto broke = load(R"({"turns":[{"fail":500,"text":"half an"}]})")->answer_to(user("x"), {});
  CHECK(broke.chunks.size() == 2);
  CHECK(broke.end.outcome.reply.text.empty());
}

TEST_CASE("script: the same conversation gets the same answer") {
  const auto played =
    load(R"({"turns":[{"text":"a {{.content}}","call":[{"tool":"t","input":{"b":1,"a":2}}]}]})");
  const auto one = played->answer_to(user("x"), {});
  const auto two = played->answer_to(user("x"), {});
  CHECK(one.chunks == two.chunks);
  CHECK(one.end.outcome.reply == two.end.outcome.reply);
  CHECK(one.end.outcome.reply.tool_calls[0].arguments == R"({"b":1,"a":2})");
}

TEST_CASE("script: programs may hold braces and strings") {
  // The fake knows no such programs: what it is handed is what matters.
  CHECK(refusal(R"J({"turns":[{"text":"a {{ {a:{b:1}} }} z"}]})J").find("` {a:{b:1}} `") !=
        std::string::npos);
  CHECK(refusal(R"J({"turns":[{"text":"{{ \"}}\\\"}}\" }}"}]})J").find(R"J(` "}}\"}}" `)J") !=
        std::string::npos);
}

TEST_CASE("script: what is wrong is refused with its place") {
  struct row {
    const char* script_text;
    const char* said;
  };
  const std::vector<row> rows = {
    {"", "not JSON"},
    {"[]", "script: must be an object"},
    {R"({})", "turns: must be a list"},
    {R"({"turns":[]})", "turns: must be a list"},
    {R"({"turns":{}})", "turns: must be a list"},
    {R"({"trns":[]})", "trns: unknown key; did you mean `turns`?"},
    {R"({"turns":[1]})", "turns[0]: must be an object"},
    {R"({"turns":[{}]})", "turns[0]: needs one of `text`, `call`, `fail`"},
    {R"({"turns":[{"text":"a"},{"txt":"a"}]})", "turns[1].txt: unknown key; did you mean `text`?"},
    {R"({"turns":[{"text":"a","zzzzzz":1}]})",
     "turns[0].zzzzzz: unknown key; valid are `when`, `text`, `call`, `chunk_delay`, `usage` and "
     "`fail`"},
    {R"({"turns":[{"text":7}]})", "turns[0].text: must be a string"},
    {R"({"turns":[{"text":"a","when":"x"}]})", "turns[0].when: must be an object"},
    {R"({"turns":[{"text":"a","when":{"contain":"x"}}]})",
     "turns[0].when.contain: unknown key; did you mean `contains`?"},
    {R"({"turns":[{"text":"a","when":{"contains":3}}]})",
     "turns[0].when.contains: must be a string"},
    {R"({"turns":[{"text":"a","when":{"contains":""}}]})", "must not be empty"},
    {R"({"turns":[{"call":{"tool":"a"}}]})", "turns[0].call: must be a list"},
    {R"({"turns":[{"call":[]}]})", "turns[0].call: must be a list"},
    {R"({"turns":[{"call":[{"input":{}}]}]})", "turns[0].call[0]: `tool` is missing"},
    {R"({"turns":[{"call":[{"tool":"a","inputs":{}}]}]})", "did you mean `input`?"},
    {R"({"turns":[{"call":[{"tool":"a","input":[1]}]}]})",
     "turns[0].call[0].input: must be an object"},
    {R"({"turns":[{"call":[{"tool":"a","input":"{{.a}} {{.b}}"}]}]})",
     "turns[0].call[0].input: must be an object"},
    {R"({"turns":[{"call":[{"tool":"a","input":{"x":["{{"]}}]}]})",
     "turns[0].call[0].input.x[0]: `{{` without `}}`"},
    {R"({"turns":[{"text":"{{ nonsense }}"}]})", "turns[0].text: jq: cannot compile"},
    {R"({"turns":[{"text":"a","chunk_delay":20}]})", "turns[0].chunk_delay: must be a string"},
    {R"({"turns":[{"text":"a","chunk_delay":"20 ms"}]})", "turns[0].chunk_delay: "},
    {R"({"turns":[{"text":"a","usage":{"input_token":1}}]})", "did you mean `input_tokens`?"},
    {R"({"turns":[{"text":"a","usage":{"input_tokens":-1}}]})",
     "turns[0].usage.input_tokens: must be a whole number"},
    {R"({"turns":[{"fail":200}]})", "turns[0].fail: must be an HTTP status"},
    {R"({"turns":[{"fail":"429"}]})", "turns[0].fail: must be an HTTP status"},
  };
  for (const auto& [script, said] : rows) {
    CAPTURE(script);
    const auto text = refusal(script);
    CAPTURE(text);
    CHECK(text.find(said) != std::string::npos);
  }
}

TEST_CASE("script: with the real jq") {
  compilers real;
  real.jq = compile_jq;
  auto played = script::parse(R"J({"turns":[{"when":{"contains":"amount"},
    "text":"Refund {{ {a: {b: .id}} | .a.b }}{{ \"}}!\" }}",
    "call":[{"tool":"refund","input":{"amount":"{{ .amount - 1 }}","late":"{{.days > 3}}","note":"{{.days}} days"}}]}]})J",
                              real);
  if (!played)
    FAIL(played.error().context);
  const auto got = (*played)->answer_to(user(R"({"id":"in_1","amount":4201,"days":5})"), {});
  const auto& reply = got.end.outcome.reply;
  CHECK(reply.text == "Refund in_1}}!");
  REQUIRE(reply.tool_calls.size() == 1);
  CHECK(reply.tool_calls[0].arguments == R"({"amount":4200,"late":true,"note":"5 days"})");
  const auto broken = script::parse(R"({"turns":[{"text":"{{ .a | }}"}]})", real);
  REQUIRE_FALSE(broken);
  CHECK(broken.error().context.starts_with("turns[0].text: "));
}
