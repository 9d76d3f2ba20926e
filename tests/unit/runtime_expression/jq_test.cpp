#include "runtime/expression/jq.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace holdfast;

namespace {

std::shared_ptr<const expression> compiled(std::string_view program) {
  auto out = compile_jq(program);
  REQUIRE_MESSAGE(out, out.error().context);
  return *out;
}

std::string value(std::string_view program, std::string_view input) {
  auto out = compiled(program)->evaluate(input);
  return out ? *out : std::string{to_string(out.error().code)} + ": " + out.error().context;
}

constexpr std::string_view event =
  R"({"id":"e1","type":"stripe.invoice.payment_failed","data":{"object":)"
  R"({"amount_due":1250,"customer":"cus_42","tags":["a","b"]},"n":null}})";

}  // namespace

TEST_CASE("jq: filters, keys and bodies of definitions give what jq gives") {
  CHECK(value(".data.object.amount_due > 0", event) == "true");
  CHECK(value(".data.object.customer", event) == "\"cus_42\"");
  CHECK(value(".data.nothing.at.all", event) == "null");
  CHECK(value(".data.object | {customer, cents: .amount_due, usd: (.amount_due / 100)}", event) ==
        R"({"customer":"cus_42","cents":1250,"usd":12.5})");
  CHECK(value(".labels.severity == \"critical\"", R"({"labels":{"severity":"critical"}})") ==
        "true");
  CHECK(value("\"Invoice of \\(.data.object.customer): \\(.data.object.amount_due)\"", event) ==
        "\"Invoice of cus_42: 1250\"");
  CHECK(value(".data.object.tags | map(ascii_upcase) | join(\"-\")", event) == "\"A-B\"");
  CHECK(value("[.data.object.tags[] | select(. != \"a\")]", event) == "[\"b\"]");
  CHECK(value(".type | startswith(\"stripe.\")", event) == "true");
  CHECK(value(".data.object.amount_due += 1 | .data.object.amount_due", event) == "1251");
  CHECK(value("del(.data, .type)", event) == "{\"id\":\"e1\"}");
  CHECK(value("reduce .data.object.tags[] as $t (\"\"; . + $t)", event) == "\"ab\"");
}

TEST_CASE("jq: the first output counts, and none is null") {
  CHECK(value(".[]", "[3,2,1]") == "3");
  CHECK(value("1, error(\"late\")", "null") == "1");
  CHECK(value("empty", "1") == "null");
  CHECK(value(".[]", "[]") == "null");
  CHECK(value("error(null)", "1") == "null");
}

TEST_CASE("jq: a program that fails says what jq says") {
  CHECK(value(".a + 1", R"({"a":{}})") == "schema: object ({}) and number (1) cannot be added");
  CHECK(value(".a.b", R"({"a":5})") == "schema: Cannot index number with \"b\"");
  CHECK(value(".a.b | .", R"({"a":5})") == "schema: Cannot index number with \"b\"");
  CHECK(value("error(\"no \" + .)", "\"way\"") == "schema: no way");
  CHECK(value("error({a: 1})", "1") == "schema: {\"a\":1}");
  const auto long_message = value("error(.)", "\"" + std::string(5000, 'x') + "\"");
  CHECK(long_message.size() < 400);
}

TEST_CASE("jq: an expression can be asked again after it failed") {
  const auto e = compiled(".a + 1");
  CHECK(!e->evaluate("{\"a\":[]}"));
  CHECK(*e->evaluate("{\"a\":1}") == "2");
  CHECK(!e->evaluate("not json"));
  CHECK(*e->evaluate("{\"a\":2}") == "3");
}

TEST_CASE("jq: a plain path keeps every digit and every name's last value") {
  CHECK(value(".data", R"({"data": {"id": 12345678901234567890, "x" : 1.10} })") ==
        R"({"id":12345678901234567890,"x":1.10})");
  CHECK(value(".id", R"({"id":123456789012345678901234567890})") ==
        "123456789012345678901234567890");
  CHECK(value(".a", R"({"a":1,"b":2,"a":3})") == "3");
  CHECK(value(".a.b", R"({"a":{"b":1},"a":{"b":2}})") == "2");
  CHECK(value(".[1]", "[1, [2, 3] ]") == "[2,3]");
  CHECK(value(".[5]", "[1]") == "null");
  CHECK(value(".[0]", "null") == "null");
  CHECK(value(".a[0]", R"({"a":{"x":1}})") == "schema: Cannot index object with number");
  CHECK(value(".a", "[1]") == "schema: Cannot index array with \"a\"");
  CHECK(value(".", " 5 ") == "5");
  CHECK(value(".", "\"a\"") == "\"a\"");
  CHECK(value(".[\"\\u00e4\"]", R"({"ä":1})") == "1");
  CHECK(value(".a", R"({"\u0061":7})") == "7");
  CHECK(value(".a.b.c", R"({"a":null})") == "null");
}

TEST_CASE("jq: input that is no JSON is refused, by programs whole, by paths as far as they look") {
  for (const std::string input :
       {"", " ", "{", "{\"a\":}", "{\"a\":1", "nul", "{a:1}", "{\"a\":[1,]}", "{\"a\":tru}"}) {
    CAPTURE(input);
    const auto by_program = compiled(".a + 1")->evaluate(input);
    REQUIRE(!by_program);
    CHECK((by_program.error().code == errc::malformed || input == " " || input.empty()));
    const auto by_path = compiled(".a")->evaluate(input);
    REQUIRE(!by_path);
    CHECK(by_path.error().code == errc::malformed);
  }
}

TEST_CASE("jq: input and output beyond the limits are refused") {
  const std::string big = "\"" + std::string(jq_limits::input_bytes_max, 'a') + "\"";
  CHECK(value(".", big).starts_with("too_large"));
  CHECK(value("length", big).starts_with("too_large"));
  const std::string large = "\"" + std::string(jq_limits::input_bytes_max - 10, 'a') + "\"";
  CHECK(value("length", large) == std::to_string(jq_limits::input_bytes_max - 10));
  CHECK(value(". + .", large).starts_with("too_large"));
  CHECK(value("[., .]", large).starts_with("too_large"));
  std::string brackets = "[";
  for (std::size_t i = 0; i < jq_limits::input_brackets_max; ++i)
    brackets += "{},";
  CHECK(value("length", brackets + "1]").starts_with("too_large"));
}

TEST_CASE("jq: values nested too deep are refused, in the input and while they are made") {
  const std::string deep = std::string(300, '[') + std::string(300, ']');
  CHECK(value(".", deep).starts_with("too_deep"));
  CHECK(value("length + 0", deep).starts_with("too_deep"));
  std::string zeros = "[0";
  for (int i = 0; i < 600; ++i)
    zeros += ",0";
  CHECK(value("reduce .[] as $x (0; [.])", zeros + "]").starts_with("too_deep"));
  CHECK(value(".a", R"({"b":)" + deep + "}") == "null");
}

TEST_CASE("jq: equal programs are compiled once, whatever their spelling costs") {
  CHECK(compiled(".a | length").get() == compiled(".a|length").get());
  CHECK(compiled(".a | length").get() != compiled(".b | length").get());
}

TEST_CASE("jq: eight threads may share expressions") {
  const std::vector<std::shared_ptr<const expression>> shared{
    compiled(".n + 1"), compiled(".s"), compiled("{a: .n, b: \"constant\", c: [1, 2, 3]}"),
    compiled("error(.s)")};
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&, t] {
      const auto n = std::to_string(t);
      const std::string input = R"({"n":)" + n + R"(,"s":"s)" + n + "\"}";
      for (int i = 0; i < 500; ++i) {
        wrong += *shared[0]->evaluate(input) != std::to_string(t + 1);
        wrong += *shared[1]->evaluate(input) != "\"s" + n + "\"";
        wrong += *shared[2]->evaluate(input) != R"({"a":)" + n + R"(,"b":"constant","c":[1,2,3]})";
        wrong += shared[3]->evaluate(input).error().context != "s" + n;
        if (i % 100 == 0)
          wrong += !compile_jq(".x + " + std::to_string(i + t));
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(wrong == 0);
}
