#include <doctest/doctest.h>

#include <string>

#include "runtime/expression/jq.hpp"
#include "runtime/expression/jq_translator.hpp"

using namespace holdfast;

namespace {

struct refusal {
  const char* program;
  const char* says;  // part of the message
};

void check_refused(const refusal& wanted) {
  const std::string program = wanted.program;
  CAPTURE(program);
  auto compiled = compile_jq(wanted.program);
  REQUIRE(!compiled);
  CHECK(compiled.error().code == errc::schema);
  CHECK_MESSAGE(compiled.error().context.find(wanted.says) != std::string::npos,
                compiled.error().context);
}

}  // namespace

TEST_CASE(
  "jq: what could run for ever, read what it does not own or crash libjq is refused by name") {
  for (const char* name : {"recurse",
                           "recurse(.a)",
                           "recurse_down",
                           "walk(.)",
                           "paths",
                           "leaf_paths",
                           "tostream",
                           "fromstream(.)",
                           "path(.a)",
                           "getpath([])",
                           "setpath([]; 1)",
                           "delpaths([])",
                           "repeat(.)",
                           "while(true; .)",
                           "until(true; .)",
                           "range(3)",
                           "limit(3; .[])",
                           "nth(3)",
                           "combinations",
                           "transpose",
                           "implode",
                           "index(\"a\")",
                           "rindex(\"a\")",
                           "indices(1)",
                           "map_values(.)",
                           "test(\"a\")",
                           "match(\"a\")",
                           "capture(\"a\")",
                           "scan(\"a\")",
                           "splits(\"a\")",
                           "sub(\"a\"; \"b\")",
                           "gsub(\"a\"; \"b\")",
                           "ascii",
                           "env",
                           "input",
                           "inputs",
                           "input_line_number",
                           "input_filename",
                           "debug",
                           "stderr",
                           "now",
                           "localtime",
                           "mktime",
                           "gmtime",
                           "strptime(\"%Y\")",
                           "strftime(\"%Y\")",
                           "date",
                           "halt",
                           "halt_error",
                           "builtins",
                           "get_search_list",
                           "modulemeta"}) {
    const std::string program{name};
    const auto called = "`" + program.substr(0, program.find('(')) + "` is not allowed: ";
    check_refused({name, called.c_str()});
    check_refused({("[.a | " + program + "]").c_str(), called.c_str()});
  }
}

TEST_CASE("jq: definitions, modules, labels and recursion are refused") {
  check_refused({"def f: 1; f", "`def` is not allowed"});
  check_refused({".a | (def f: f; f)", "`def` is not allowed"});
  check_refused({"import \"a\" as a; 1", "`import` is not allowed"});
  check_refused({"include \"a\"; 1", "`include` is not allowed"});
  check_refused({"module {}; 1", "`module` is not allowed"});
  check_refused({"label $x | break $x", "`label` is not allowed; use first(f)"});
  check_refused({"break $x", "`break` is not allowed"});
  check_refused({"..", "`..` is not allowed"});
  check_refused({".a | ..", "`..` is not allowed"});
  check_refused({"[..|.x?]", "`..` is not allowed"});
  check_refused({"$ENV", "`$ENV` is not allowed"});
  check_refused({"$ENV.HOME", "`$ENV` is not allowed"});
  check_refused({". as $ENV | $ENV", "cannot be a variable's name"});
  check_refused({"$__loc__", "`$__loc__` is not allowed"});
  check_refused({"{$__loc__}", "`$__loc__` is not allowed"});
  check_refused({"$__prog_args", "is not defined"});
  check_refused({". as [$a] ?// $a | $a", "`?//` is not allowed"});
  check_refused({"a::b", "is not one of the functions"});
}

TEST_CASE("jq: a name that is not allowed is refused with the nearest that is, and its column") {
  check_refused({".a | lenght",
                 "jq, column 6: `lenght` is not one of the functions that are allowed; did you "
                 "mean `length`?"});
  check_refused({"ascii_lowercase", "did you mean `ascii_downcase`?"});
  check_refused({"__mul(1; 2)", "is not one of the functions"});
  check_refused({"@jsn", "`@jsn` is not a format; there are `@base64`"});
  check_refused({". as $amount | $amuont", "`$amuont` is not defined; did you mean `$amount`?"});
  check_refused({". as $__v | 1", "cannot be a variable's name"});
  check_refused({"length(1)", "`length` does not take 1 arguments"});
  check_refused({"select", "`select` does not take 0 arguments"});
  check_refused({".a && .b", "write `and`"});
  check_refused({"||", "write `or`"});
}

TEST_CASE("jq: assignment and deletion take plain paths only") {
  check_refused({".[] = 1", "only a plain path"});
  check_refused({".a[] |= 1", "only a plain path"});
  check_refused({".a[.n] = 1", "only a plain path"});
  check_refused({".[1:2] = []", "only a plain path"});
  check_refused({"(.a, .b) = 1", "only a plain path"});
  check_refused({"select(.a) |= 1", "only a plain path"});
  check_refused({".a[20000] = 1", "an index that is assigned to is at most 10000"});
  check_refused({"del(.[])", "plain paths"});
  check_refused({"del(.a[.n])", "plain paths"});
  check_refused({"del(.)", "plain paths"});
}

TEST_CASE("jq: a program that is no program is refused where it stops being one") {
  check_refused({"", "the program ends too early"});
  check_refused({".a |", "column 5: the program ends too early"});
  check_refused({".a )", "`)` closes nothing"});
  check_refused({"(.a", "a bracket is not closed"});
  check_refused({"\"abc", "the string is not closed"});
  check_refused({"\"a\\qb\"", "unknown escape"});
  check_refused({"\"a\\(.b\"", "not closed"});
  check_refused({"[1, 2", "a bracket is not closed"});
  check_refused({"{a 1}", "expected `,` between the fields"});
  check_refused({"{1: 2}", "expected the name of a field"});
  check_refused({"{(1) 2}", "expected `:`"});
  check_refused({"if . then 1", "expected `end` to close `if`, not the end"});
  check_refused({"if . else 1 end", "expected `then`"});
  check_refused({"then", "does not belong here"});
  check_refused({".a 1", "does not belong here"});
  check_refused({"1 == 2 == 3", "needs brackets"});
  check_refused({".a = 1 = 2", "needs brackets"});
  check_refused({"1.2.3", "is not a number"});
  check_refused({"reduce .[] (0; 1)", "expected `as`"});
  check_refused({". as | 1", "expected $name"});
  check_refused({". as $x", "expected `|`"});
  check_refused({". as {(.a): $x} | $x", "expected a name in the pattern"});
  check_refused({"$x", "`$x` is not defined"});
  check_refused({"(1 as $x | $x) | $x", "`$x` is not defined"});
  check_refused({"~", "this character is not jq"});
  check_refused({"reduce .[] as $x ($x; .)", "`$x` is not defined"});
}

TEST_CASE("jq: programs beyond the limits are refused") {
  check_refused({std::string(5000, '1').c_str(), "longer than 4096 bytes"});
  check_refused({(std::string(200, '[') + std::string(200, ']')).c_str(), "nested too deep"});
  check_refused({(std::string(200, '(') + "1" + std::string(200, ')')).c_str(), "nested too deep"});
  std::string sum = "1";
  for (int i = 0; i < 600; ++i)
    sum += "+.";
  check_refused({sum.c_str(), "too many parts"});
  check_refused({(std::string(2000, '-') + "1").c_str(), "too many parts"});
  CHECK(!compile_jq(std::string_view{".a\0.b", 5}));
  CHECK(!compile_jq("\"\x01\""));
}

TEST_CASE("jq: only a plain path is a plain path") {
  const auto path_of = [](std::string_view program) {
    auto translated = translate_jq(program);
    REQUIRE_MESSAGE(translated, translated.error().context);
    return translated->path;
  };
  CHECK(path_of(".")->empty());
  CHECK(path_of(".data")->size() == 1);
  CHECK(path_of(".a.b[\"c d\"][0].\"e\"")->size() == 5);
  CHECK(path_of(".a | .b | (.c)")->size() == 3);
  for (const auto* program : {".a?", ".[]", ".a[]", ".[-1]", ".[.a]", ".a, .b", ".a // 1", "1",
                              ".a + 1", ".[1:2]", "first"})
    CHECK_MESSAGE(!path_of(program), program);
}
