#include "runtime/definition/text_pattern.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <random>
#include <regex>
#include <string>
#include <vector>

using namespace holdfast;

namespace {

bool found(std::string_view pattern, std::string_view text) {
  auto compiled = text_pattern::compile(pattern);
  REQUIRE_MESSAGE(compiled, compiled.error().context);
  return compiled->found_in(text);
}

}  // namespace

TEST_CASE("text_pattern: patterns of schemas find what they say") {
  CHECK(found("^inv_[a-z0-9]+$", "inv_42"));
  CHECK(!found("^inv_[a-z0-9]+$", "inv_"));
  CHECK(found("b", "abc"));
  CHECK(found("", "anything"));
  CHECK(found("^$", ""));
  CHECK(!found("^$", "a"));
  CHECK(found("^([a-z0-9]+-)*[a-z0-9]+$", "abc-d-9"));
  CHECK(!found("^([a-z0-9]+-)*[a-z0-9]+$", "abc-"));
  CHECK(found("^(?:x|y(?:z|w){2})$", "yzw"));
  CHECK(found("^\\d{4}-\\d{2}$", "2024-02"));
  CHECK(!found("^\\d{4}-\\d{2}$", "2024-2"));
  CHECK(found("^a{2,}$", "aaaa"));
  CHECK(!found("^a{2,3}$", "aaaa"));
  CHECK(found("^[^@\\s]+@[^@\\s]+\\.[a-z]+$", "a.b@c.de"));
  CHECK(found("\\bfoo\\b", "a foo!"));
  CHECK(!found("\\bfoo\\b", "afoo"));
  CHECK(found("\\Boo\\b", "foo"));
  CHECK(found("^[\\w.-]+$", "a.b-c_d"));
  CHECK(found("^[a\\-z]$", "-"));
  CHECK(found("^[]a]", "]") == false);  // [] is empty, as in ECMAScript
  CHECK(found("^\\u00e9$", "é"));
  CHECK(found("^.{1,5}$", "ééééé"));
  CHECK(!found("^.{1,5}$", "éééééé"));
  CHECK(!found("a.b", "a\nb"));
  CHECK(found("^a+?$", "aaa"));
  CHECK(found("^(a*)*$", "aaa"));
  CHECK(found("^(|a)+$", "aa"));
  CHECK(found("^\\x41\\t$", "A\t"));
}

TEST_CASE("text_pattern: what would need backtracking is refused, and so is what is no pattern") {
  for (const auto* pattern : {"(a)\\1",
                              "(?=a)b",
                              "(?!a)b",
                              "(?<=a)b",
                              "(?<n>a)",
                              "(a",
                              "a)",
                              "[a",
                              "[z-a]",
                              "a**",
                              "*a",
                              "a{3,1}",
                              "a{",
                              "a{x}",
                              "\\",
                              "\\q",
                              "\\xZZ",
                              "a{1001}",
                              "((a{100}){100}){100}",
                              "[a-\\d]",
                              "^*"})
    CHECK_MESSAGE(!text_pattern::compile(pattern), pattern);
  CHECK(!text_pattern::compile(std::string(600, 'a')));
  CHECK(!text_pattern::compile(std::string(100, '(') + std::string(100, ')')));
}

TEST_CASE("text_pattern: what makes a backtracking engine explode takes time in proportion") {
  const std::string many(20'000, 'a');
  CHECK(!found("^(a+)+$", many + "!"));
  CHECK(!found("^(a|a)+$", many + "!"));
  CHECK(!found("^(a|aa)+$", many + "!"));
  CHECK(!found("^(.*)*b$", many));
  CHECK(!found("a*a*a*a*a*b", many));
}

TEST_CASE("text_pattern: text too long for its pattern is not looked at") {
  auto large = text_pattern::compile("^(abc|def){200}$");
  REQUIRE(large);
  const std::string text(1'000'000, 'a');
  CHECK(large->is_too_long(text));
  CHECK(!large->found_in(text));
  CHECK(found("b$", std::string(900'000, 'a') + "b"));
}

TEST_CASE("text_pattern: finds what std::regex finds") {
  const std::vector<std::string> pieces{
    "a",  "b",    "c",    ".", "[ab]", "[^a]", "(a|b)", "(ab|c)*", "a*",     "b+",
    "c?", "a{2}", "(a|)", "^", "$",    "\\b",  "\\w",   "(b|cc)+", "a{1,3}", "|"};
  std::mt19937 random{99};
  int compared = 0;
  for (int i = 0; i < 4'000; ++i) {
    std::string pattern, text;
    for (auto n = 1 + random() % 5; n > 0; --n)
      pattern += pieces[random() % pieces.size()];
    for (auto n = random() % 7; n > 0; --n)
      text += "abc "[random() % 4];
    auto mine = text_pattern::compile(pattern);
    std::optional<std::regex> theirs;
    try {
      theirs.emplace(pattern, std::regex::ECMAScript);
    } catch (const std::regex_error&) {
    }
    if (!mine || !theirs)
      continue;
    ++compared;
    CAPTURE(pattern);
    CAPTURE(text);
    CHECK(mine->found_in(text) == std::regex_search(text, *theirs));
  }
  CHECK(compared > 2'000);
}
