#include "runtime/model/bounded_json.hpp"

#include <doctest/doctest.h>

using namespace holdfast::model;

namespace {
std::string nested(std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); }
}  // namespace

TEST_CASE("bounded_json: depth is bounded, brackets in strings do not count") {
  CHECK(parse_json(nested(json_depth_max)));
  CHECK_FALSE(parse_json(nested(json_depth_max + 1)));
  CHECK_FALSE(is_json(nested(1'000'000)));
  CHECK(is_json("\"" + std::string(1'000, '[') + "\\\"{\""));
}

TEST_CASE("bounded_json: what is not JSON or not UTF-8 is refused") {
  for (const char* text : {"", "{", "nul", "{\"a\":1,}", "1 2", "\"\xFF\"", "\"\\ud83d\"", "NaN"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_json(text));
    CHECK_FALSE(is_json(text));
  }
}

TEST_CASE("bounded_json: members keep their values as written and the last of a name counts") {
  const std::string text =
    R"( { "a" : 12345678901234567890123, "b":"x\"}","c":{"d":[1,"]"]} , "a":1.50,"é\n":null,"":true } )";
  const auto members = members_of(text);
  REQUIRE(members);
  REQUIRE(members->size() == 5);
  CHECK((*members)[0].name == "b");
  CHECK((*members)[0].value == R"("x\"}")");
  CHECK((*members)[1].value == R"({"d":[1,"]"]})");
  CHECK((*members)[2].name == "a");
  CHECK((*members)[2].value == "1.50");
  CHECK((*members)[3].name == "é\n");
  CHECK((*members)[3].value == "null");
  CHECK((*members)[4].name.empty());
  const std::string big = R"({"n":12345678901234567890123})";
  CHECK(members_of(big)->at(0).value == "12345678901234567890123");
  CHECK(members_of("{}")->empty());
  CHECK(members_of("\xEF\xBB\xBF{\"a\":1}")->size() == 1);
}

TEST_CASE("bounded_json: only a valid object has members") {
  for (const char* text : {"", "[]", "1", "null", "{\"a\":}", "{\"a\":1", "{a:1}"})
    CHECK_FALSE(members_of(text));
}

TEST_CASE("bounded_json: many members do not take quadratic time") {
  std::string text = "{";
  for (int i = 0; i < 100'000; ++i)
    text += "\"k" + std::to_string(i % 50'000) + "\":" + std::to_string(i) + ",";
  text.back() = '}';
  const auto members = members_of(text);
  REQUIRE(members);
  CHECK(members->size() == 50'000);
  CHECK(members->front().value == "50000");
}
