// Programs and inputs made to take all memory or all time: each ends, with a refusal or with what jq says.

#include <doctest/doctest.h>

#include <random>
#include <string>

#include "runtime/expression/jq.hpp"

using namespace holdfast;

namespace {

errc code_of(const std::string& program, const std::string& input) {
  CAPTURE(program.substr(0, 80));
  auto compiled = compile_jq(program);
  REQUIRE_MESSAGE(compiled, compiled.error().context);
  auto out = (*compiled)->evaluate(input);
  return out ? errc::ok : out.error().code;
}

std::string times(const std::string& text, int n) {
  std::string out;
  for (int i = 0; i < n; ++i)
    out += text;
  return out;
}

std::string list_of_size(int n, const std::string& item) {
  return "[" + item + times("," + item, n - 1) + "]";
}

}  // namespace

TEST_CASE("jq: what doubles with every stage is stopped") {
  CHECK(code_of("[.,.]" + times("|[.,.]", 60) + "|tojson", "1") == errc::limit_exceeded);
  CHECK(code_of("{a:.,b:.}" + times("|{a:.,b:.}", 60) + "|tojson", "1") == errc::limit_exceeded);
  CHECK(code_of("{a:.,b:.}" + times("|{a:.,b:.}", 60), "1") == errc::limit_exceeded);
  CHECK(code_of(".+." + times("|.+.", 60), "\"x\"") == errc::limit_exceeded);
  CHECK(code_of(".+." + times("|.+.", 60), "[1]") == errc::limit_exceeded);
  CHECK(code_of("\"\\(.)\\(.)\"" + times("|\"\\(.)\\(.)\"", 60), "\"x\"") == errc::limit_exceeded);
  CHECK(code_of("tojson" + times("|tojson", 60), "\"\\\"\"") == errc::limit_exceeded);
  CHECK(code_of("(.,.)" + times("|(.,.)", 60) + "|empty", "1") == errc::limit_exceeded);
  CHECK(code_of("[(.,.)" + times("|(.,.)", 60) + "]", "1") == errc::limit_exceeded);
  CHECK(code_of("{a:(1,2)" + times(",b:(1,2)", 60) + "}|empty", "1") == errc::limit_exceeded);
  CHECK(code_of("any((.,.)" + times("|(.,.)", 60) + "; false)", "1") == errc::limit_exceeded);
  CHECK(code_of("((1,2)+(1,2))" + times("+(1,2)", 60) + "|empty", "1") == errc::limit_exceeded);
}

TEST_CASE("jq: what multiplies its input with itself is stopped") {
  const auto zeros = list_of_size(50'000, "0");
  const auto words = list_of_size(50'000, "\"word\"");
  CHECK(code_of(".[] as $a | .[] as $b | .[] as $c | empty", zeros) == errc::limit_exceeded);
  CHECK(code_of(". as $r | map($r | map($r | map(0)))", zeros) == errc::limit_exceeded);
  CHECK(code_of(". as $r | any($r; any($r; any($r; false)))", zeros) ==
        errc::ok);  // of one value each
  CHECK(code_of(". as $r | any($r[]; any($r[]; any($r[]; false)))", zeros) == errc::limit_exceeded);
  CHECK(code_of(". as $r | [.[] | select($r == $r)] | length", zeros) == errc::limit_exceeded);
  CHECK(code_of(". as $r | [.[] | ($r | length)] | length", words) ==
        errc::ok);  // constant time each
  CHECK(code_of(". as $r | [.[] | $r[1:3]] | length", words) == errc::limit_exceeded);
  CHECK(code_of(". as $r | [.[] | ($r | .[0] = 1)] | length", zeros) == errc::limit_exceeded);
  CHECK(code_of(". as $r | contains($r)", words) == errc::limit_exceeded);
  CHECK(code_of(". as $r | inside($r)", words) == errc::limit_exceeded);
  CHECK(code_of(". - .", words) == errc::limit_exceeded);
  CHECK(code_of("join(\"" + std::string(3000, 'y') + "\") | length", words) ==
        errc::limit_exceeded);
  CHECK(code_of("join(\",\") | length", words) == errc::ok);
  CHECK(code_of("reduce .[] as $x ([]; . + [$x]) | length", zeros) == errc::limit_exceeded);
  CHECK(code_of("[foreach .[] as $x (.; .; [.[]])] | length", zeros) == errc::limit_exceeded);
  CHECK(code_of(". as $w | [.[] | try ($w + 1) catch .] | length", words) == errc::limit_exceeded);
}

TEST_CASE("jq: operators that repeat, search or trap are what their operands allow") {
  CHECK(code_of(".s * .n", R"({"s":"x","n":1e9})") == errc::schema);
  CHECK(code_of(".n * .s", R"({"s":"x","n":1e9})") == errc::schema);
  CHECK(code_of("\"x\" * 1000000000", "1") == errc::schema);
  CHECK(code_of(".a % .b", R"({"a":-1e300,"b":-1})") == errc::schema);
  CHECK(code_of("(1e1000 - 1e1000) % -1", "1") == errc::schema);
  CHECK(code_of(".a % .b", R"({"a":1,"b":0})") == errc::schema);
  CHECK(code_of(".a / .b", R"({"a":"aaaa","b":""})") == errc::schema);
  CHECK(code_of(".a / .b", R"({"a":1,"b":0})") == errc::schema);
  CHECK(code_of(".a[.b]", R"({"a":[1,1,1],"b":[1,1]})") == errc::schema);
  CHECK(code_of(".a[.b]", R"({"a":[1,1,1],"b":{"start":0,"end":1}})") == errc::schema);
  CHECK(code_of(".a - .b", R"({"a":{},"b":1})") == errc::schema);
}

namespace {

/// Programs that look like programs: random pieces, some of them wrong.
std::string random_program(std::mt19937& random) {
  static const std::vector<std::string> pieces{".",
                                               ".a",
                                               ".b.c",
                                               ".[]",
                                               ".[]?",
                                               ".[0]",
                                               ".[1:]",
                                               "|",
                                               "|",
                                               "|",
                                               ",",
                                               "+",
                                               "-",
                                               "*",
                                               "/",
                                               "%",
                                               "//",
                                               "==",
                                               "<",
                                               "and",
                                               "or",
                                               "(",
                                               ")",
                                               "[",
                                               "]",
                                               "{a:",
                                               "}",
                                               "\"x\\(",
                                               ")\"",
                                               "\"s\"",
                                               "1",
                                               "-1",
                                               "null",
                                               "true",
                                               "if . then ",
                                               " else ",
                                               " end",
                                               "try ",
                                               " catch ",
                                               "map(",
                                               "select(",
                                               "length",
                                               "keys",
                                               "add",
                                               "any",
                                               "sort",
                                               "group_by(",
                                               "unique",
                                               "to_entries",
                                               "from_entries",
                                               "tojson",
                                               "fromjson",
                                               "tostring",
                                               "tonumber",
                                               "split(",
                                               "join(",
                                               "explode",
                                               "ascii_downcase",
                                               "@base64",
                                               "@base64d",
                                               "@uri",
                                               "@csv",
                                               "reduce .[] as $x (",
                                               ";",
                                               "foreach .[] as $x (",
                                               " as $y|",
                                               "$y",
                                               "first(",
                                               "flatten",
                                               "min_by(",
                                               "contains(",
                                               "del(.a)",
                                               ".a=",
                                               ".a|=",
                                               ".a+=",
                                               "error",
                                               "not",
                                               "has(",
                                               "fromdate",
                                               "todate",
                                               "IN(",
                                               "with_entries(",
                                               "ltrimstr(",
                                               "floor",
                                               "pow(",
                                               "?"};
  std::string out;
  const auto size = 1 + random() % 12;
  for (std::size_t i = 0; i < size; ++i)
    out += pieces[random() % pieces.size()];
  return out;
}

}  // namespace

TEST_CASE("jq: random programs are refused or end, and never crash") {
  const std::vector<std::string> inputs{
    "null",
    "[]",
    "{}",
    "-1e300",
    "\"a,b\"",
    R"({"a":[1,"x",null,{"b":[]}],"b":{"c":"2015-03-05T23:51:47Z"}})",
    R"([{"key":"a","value":1},{"name":"b","v":2},[[1],[2]],"AQI=","\ud83d\ude00"])",
    "[3,1,2,1e1000,-0.0]",
    "[[\"a\"],[\"b\",1]]"};
  std::mt19937 random{20'240'229};
  int compiled_programs = 0;
  for (int i = 0; i < 200'000 && compiled_programs < 150; ++i) {
    const auto program = random_program(random);
    auto compiled = compile_jq(program);
    if (!compiled)
      continue;
    ++compiled_programs;
    CAPTURE(program);
    for (const auto& input : inputs) {
      const auto out = (*compiled)->evaluate(input);
      if (!out)
        CHECK(out.error().code != errc::internal);
    }
  }
  CHECK(compiled_programs == 150);
}

TEST_CASE("jq: a program that is accepted compiles in libjq too") {
  std::mt19937 random{7};
  int accepted = 0;
  for (int i = 0; i < 200'000 && accepted < 100; ++i) {
    const auto program = random_program(random);
    auto compiled = compile_jq(program);
    if (compiled) {
      ++accepted;
      continue;
    }
    CAPTURE(program);
    CHECK(compiled.error().context.starts_with(
      "jq, column "));  // from the translator, never from libjq
  }
  CHECK(accepted == 100);
}
