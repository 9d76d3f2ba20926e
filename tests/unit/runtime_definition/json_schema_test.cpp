#include "runtime/definition/json_schema.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <string>
#include <thread>
#include <vector>

using namespace holdfast;

namespace {

constexpr std::string_view invoice =
  R"({"type":"object","properties":{"id":{"type":"string","pattern":"^inv_[a-z0-9]+$"},)"
  R"("amount":{"type":"integer","minimum":1},"kind":{"enum":["a","b"]},)"
  R"("tags":{"type":"array","items":{"type":["string","null"]},"uniqueItems":true,"maxItems":3}},)"
  R"("required":["id"],"additionalProperties":false})";

/// Empty when the document is good; otherwise the code, or what is said.
std::string checked(std::string_view schema, std::string_view document) {
  auto compiled = compile_json_schema(schema);
  REQUIRE_MESSAGE(compiled, compiled.error().context);
  auto done = (*compiled)->validate(document);
  if (done)
    return {};
  return done.error().code == errc::schema ? done.error().context
                                           : std::string{to_string(done.error().code)};
}

std::string refused(std::string_view schema) {
  auto compiled = compile_json_schema(schema);
  REQUIRE_MESSAGE(!compiled, schema);
  CHECK(compiled.error().code == errc::schema);
  return compiled.error().context;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("json_schema: a good document is good") {
  CHECK(checked(invoice, R"({"id":"inv_1"})").empty());
  CHECK(checked(invoice, R"({"id":"inv_1","amount":5,"kind":"b","tags":["x",null,"y"]})").empty());
  CHECK(checked("true", "1").empty());
  CHECK(checked("{}", "[1,{}]").empty());
}

TEST_CASE("json_schema: a bad one is told where and what, for each place") {
  CHECK(checked(invoice, R"({"id":"inv_1","amount":"5"})") ==
        "/amount: expected integer, not string");
  CHECK(checked(invoice, "[]") == "/: expected object, not array");
  const auto all = checked(invoice, R"({"id":"x","amount":0,"kind":"c","tags":["a","a",5]})");
  CHECK(has(all, "/id: does not match its pattern"));
  CHECK(has(all, "/amount: Expected number greater than or equal to 1"));
  CHECK(has(all, "/kind: expected one of [\"a\",\"b\"]"));
  CHECK(has(all, "/tags: two items are equal"));
  CHECK(has(all, "/tags/2: expected string or null, not integer"));
  CHECK(has(checked(invoice, "{}"), "Missing required property 'id'"));
  CHECK(has(checked(invoice, R"({"id":"inv_1","more":1})"), "'more'"));
  CHECK(has(checked(R"({"properties":{"a/b":{"type":"null"}}})", R"({"a/b":1})"),
            "/a~1b: expected null, not integer"));
}

TEST_CASE("json_schema: the keywords of draft 7 are checked") {
  const std::vector<std::vector<std::string>> table{
    // schema, a good document, a bad one
    {R"({"type":["integer","null"]})", "5", "5.5"},
    {R"({"const":{"a":1}})", R"({"a":1})", R"({"a":2})"},
    {R"({"multipleOf":5})", "10", "11"},
    {R"({"exclusiveMinimum":1})", "2", "1"},
    {R"({"exclusiveMaximum":1})", "0", "1"},
    {R"({"maximum":1})", "1", "2"},
    {R"({"minLength":2})", "\"éé\"", "\"é\""},
    {R"({"maxLength":2})", "\"éé\"", "\"ééé\""},
    {R"({"items":[{"type":"string"}],"additionalItems":{"type":"integer"}})", R"(["a",1])",
     R"(["a","b"])"},
    {R"({"contains":{"const":1}})", "[0,1]", "[0]"},
    {R"({"minItems":1})", "[1]", "[]"},
    {R"({"minProperties":1})", R"({"a":1})", "{}"},
    {R"({"maxProperties":1})", R"({"a":1})", R"({"a":1,"b":2})"},
    {R"({"propertyNames":{"pattern":"^[a-z]+$"}})", R"({"a":1})", R"({"A":1})"},
    {R"({"dependencies":{"a":["b"]}})", R"({"a":1,"b":1})", R"({"a":1})"},
    {R"({"dependencies":{"a":{"required":["b"]}}})", "{}", R"({"a":1})"},
    {R"({"allOf":[{"minimum":1},{"maximum":3}]})", "2", "4"},
    {R"({"anyOf":[{"type":"string"},{"minimum":3}]})", "3", "2"},
    {R"({"oneOf":[{"minimum":1},{"minimum":3}]})", "2", "4"},
    {R"({"not":{"type":"string"}})", "1", "\"a\""},
    {R"({"if":{"const":1},"then":false})", "2", "1"},
    {R"({"if":{"minimum":5},"then":true,"else":{"maximum":1}})", "1", "2"},
    {R"({"uniqueItems":true})", R"([{"a":1,"b":2},{"a":1}])", R"([{"a":1,"b":2},{"b":2.0,"a":1}])"},
    {R"({"additionalProperties":{"type":"integer"}})", R"({"a":1})", R"({"a":"x"})"},
    {R"({"$ref":"#/definitions/n","definitions":{"n":{"type":"integer"}}})", "1", "\"a\""},
    {R"({"items":{"$ref":"#/$defs/n"},"$defs":{"n":{"$ref":"#/$defs/m"},"m":{"maximum":3}}})",
     "[1]", "[4]"},
    {"false", "", "1"}};
  for (const auto& row : table) {
    CAPTURE(row[0]);
    if (!row[1].empty())
      CHECK(checked(row[0], row[1]).empty());
    CHECK(!checked(row[0], row[2]).empty());
  }
}

TEST_CASE("json_schema: what is not a schema, or not checked by us, is refused with its place") {
  CHECK(has(refused("{"), "not JSON"));
  CHECK(has(refused("5"), "expected a schema"));
  CHECK(has(refused(R"({"properties":{"a":5}})"), "/properties/a: expected a schema"));
  CHECK(has(refused(R"({"type":"strin"})"), "/type: `strin` is not a type"));
  CHECK(
    has(refused(R"({"requird":["a"]})"), "unknown keyword `requird`; did you mean `required`?"));
  CHECK(has(refused(R"({"required":"a"})"), "/required: expected a list of names"));
  CHECK(has(refused(R"({"minLength":-1})"), "/minLength"));
  CHECK(has(refused(R"({"minimum":"1"})"), "/minimum: expected a number"));
  CHECK(has(refused(R"({"exclusiveMinimum":true})"), "draft 4"));
  CHECK(has(refused(R"({"multipleOf":0})"), "above zero"));
  CHECK(has(refused(R"({"enum":[]})"), "/enum"));
  CHECK(has(refused(R"({"anyOf":[]})"), "/anyOf"));
  CHECK(has(refused(R"({"pattern":"("})"), "/pattern"));
  CHECK(has(refused(R"({"pattern":"(a)\\1"})"), "back references"));
  for (const auto* name : {"patternProperties", "prefixItems", "dependentRequired",
                           "unevaluatedProperties", "nullable"})
    CHECK(has(refused(std::string{"{\""} + name + "\":{}}"), "is not available"));
  CHECK(has(refused(R"({"properties":{"a":{"$id":"x"}}})"), "at the top only"));
  CHECK(has(refused(R"({"$ref":"#/definitions/a","minimum":1,"definitions":{"a":{}}})"),
            "beside `$ref`"));
}

TEST_CASE("json_schema: nothing is fetched, and nothing contains itself") {
  CHECK(
    has(refused(R"({"$ref":"http://127.0.0.1/x.json"})"), "only references inside this schema"));
  CHECK(has(refused(R"({"$ref":"other.json#/a"})"), "only references inside this schema"));
  CHECK(has(refused(R"({"$ref":"file:///etc/passwd"})"), "only references inside this schema"));
  CHECK(has(refused(R"({"$ref":"#/definitions/gone"})"), "leads nowhere"));
  CHECK(has(refused(R"({"$ref":"#name"})"), "only references inside this schema"));
  CHECK(has(refused(R"({"$ref":5})"), "/$ref"));
  CHECK(has(refused(R"({"properties":{"a":{"$ref":"#"}}})"), "contains itself"));
  CHECK(has(
    refused(
      R"({"$ref":"#/definitions/a","definitions":{"a":{"$ref":"#/definitions/b"},"b":{"$ref":"#/definitions/a"}}})"),
    "contains itself"));
  CHECK(has(
    refused(
      R"({"properties":{"a":{"$ref":"#/definitions/a"}},"definitions":{"a":{"items":{"$ref":"#/definitions/a"}}}})"),
    "contains itself"));
}

TEST_CASE("json_schema: schemas and documents beyond the limits are refused") {
  CHECK(has(refused("{\"description\":\"" + std::string(70'000, 'x') + "\"}"), "larger"));
  std::string deep;
  for (int i = 0; i < 200; ++i)
    deep += "{\"items\":";
  CHECK(has(refused(deep + "true" + std::string(200, '}')), "nested too deep"));
  // Each definition refers to the next one twice: 2^20 when followed.
  std::string doubling = R"({"$ref":"#/definitions/d0","definitions":{)";
  for (int i = 0; i < 20; ++i) {
    const auto next = "{\"$ref\":\"#/definitions/d" + std::to_string(i + 1) + "\"}";
    doubling += "\"d" + std::to_string(i) + "\":{\"allOf\":[" + next + "," + next + "]},";
  }
  CHECK(has(refused(doubling + "\"d20\":{}}}"), "parts"));
  CHECK(checked("{}", std::string(300, '[') + std::string(300, ']')) == "too_deep");
  CHECK(checked("{}", "\"" + std::string(2'000'000, 'x') + "\"") == "too_large");
  CHECK(checked("{}", "{\"a\":") == "malformed");
  std::string many = "[0";
  for (int i = 0; i < 100'000; ++i)
    many += ",0";
  std::string wide = R"({"items":{"anyOf":[{"const":1})";
  for (int i = 0; i < 200; ++i)
    wide += R"(,{"const":2})";
  CHECK(checked(wide + "]}}", many + "]") == "too_large");
  CHECK(checked(R"({"uniqueItems":true})", many + "]") == "/: two items are equal");
}

TEST_CASE("json_schema: at most sixteen problems are listed") {
  std::string items = "[1";
  for (int i = 0; i < 100; ++i)
    items += ",1";
  const auto text = checked(R"({"items":{"type":"string"}})", items + "]");
  CHECK(std::count(text.begin(), text.end(), '\n') == 15);
}

TEST_CASE("json_schema: eight threads may share a validator") {
  auto compiled = compile_json_schema(invoice);
  REQUIRE(compiled);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        wrong += !(*compiled)->validate(R"({"id":"inv_1"})");
        wrong += static_cast<bool>((*compiled)->validate(R"({"id":"x"})"));
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(wrong == 0);
}
