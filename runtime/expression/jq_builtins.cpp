#include "runtime/expression/jq_builtins.hpp"

#include <algorithm>
#include <array>
#include <vector>

namespace holdfast {

namespace {

using enum jq_arguments;

// `any`, `map` … walk their input, so it is charged. What sorts or makes much of little is charged more than once.
constexpr auto builtins = std::to_array<jq_builtin>({
  {"add", 0, none, 2, 0, jq_input::items},
  {"all", 0, none, 1, 0, jq_input::items},
  {"all", 1, closures, 1, 0, jq_input::items},
  {"all", 2, closures, 0, 0},
  {"any", 0, none, 1, 0, jq_input::items},
  {"any", 1, closures, 1, 0, jq_input::items},
  {"any", 2, closures, 0, 0},
  {"arrays", 0},
  {"ascii_downcase", 0, none, 12, 0},
  {"ascii_upcase", 0, none, 12, 0},
  {"booleans", 0},
  {"ceil", 0, none, 1, 0},
  {"contains", 1, values, 0, 0},
  {"del", 1, closures, 1, 0},
  {"empty", 0},
  {"endswith", 1, values, 1, 0},
  {"error", 0},
  {"error", 1, values, 0, 0},
  {"exp", 0, none, 1, 0},
  {"explode", 0, none, 1, 1},
  {"fabs", 0, none, 1, 0},
  {"first", 0},
  {"first", 1, closures, 0, 0},
  {"flatten", 0, none, 2, 1, jq_input::items},
  {"flatten", 1, values, 2, 1, jq_input::items},
  {"floor", 0, none, 1, 0},
  {"from_entries", 0, none, 2, 1, jq_input::items},
  {"fromdate", 0, none, 1, 0},
  {"fromdateiso8601", 0, none, 1, 0},
  {"fromjson", 0, none, 2, 1},
  {"group_by", 1, closures, 2, 1, jq_input::list},
  {"has", 1, values, 0, 0},
  {"in", 1, closures, 0, 0},
  {"inside", 1, values, 1, 0},
  {"iterables", 0},
  {"join", 1, values, 0, 1},
  {"keys", 0, none, 1, 1},
  {"keys_unsorted", 0, none, 1, 1},
  {"last", 0},
  {"last", 1, closures, 0, 0},
  {"length", 0},
  {"log", 0, none, 1, 0},
  {"log10", 0, none, 1, 0},
  {"log2", 0, none, 1, 0},
  {"ltrimstr", 1, values, 1, 0},
  {"map", 1, closures, 1, 0, jq_input::items},
  {"max", 0, none, 1, 0},
  {"max_by", 1, closures, 2, 0, jq_input::list},
  {"min", 0, none, 1, 0},
  {"min_by", 1, closures, 2, 0, jq_input::list},
  {"not", 0},
  {"nulls", 0},
  {"numbers", 0},
  {"objects", 0},
  {"pow", 2, values, 0, 0},
  {"reverse", 0, none, 1, 0},
  {"round", 0, none, 1, 0},
  {"rtrimstr", 1, values, 1, 0},
  {"scalars", 0},
  {"select", 1, closures, 0, 0},
  {"sort", 0, none, 3, 0},
  {"sort_by", 1, closures, 3, 0, jq_input::list},
  {"split", 1, values, 1, 1},
  {"sqrt", 0, none, 1, 0},
  {"startswith", 1, values, 1, 0},
  {"strings", 0},
  {"to_entries", 0, none, 1, 1},
  {"todate", 0, none, 1, 0},
  {"todateiso8601", 0, none, 1, 0},
  {"tojson", 0, none, 2, 0},
  {"tonumber", 0, none, 2, 0},
  {"tostring", 0, none, 2, 0},
  {"trunc", 0, none, 1, 0},
  {"type", 0},
  {"unique", 0, none, 3, 0},
  {"unique_by", 1, closures, 3, 0, jq_input::list},
  {"utf8bytelength", 0, none, 1, 0},
  {"values", 0},
  {"with_entries", 1, closures, 2, 1},
  {"IN", 1, values, 1, 0},
  {"IN", 2, values, 0, 0},
});

struct reason {
  std::string_view name;
  std::string_view text;
};

constexpr std::string_view endless = "it can go on for ever";
constexpr std::string_view regex =
  "a regular expression can take exponential time; use startswith, endswith, contains or split";
constexpr std::string_view outside = "an expression sees its input and nothing else";
constexpr std::string_view all_paths =
  "it visits a whole tree; name the fields, or iterate with .[]";
constexpr auto reasons = std::to_array<reason>({
  {"recurse", all_paths},
  {"recurse_down", all_paths},
  {"walk", all_paths},
  {"paths", all_paths},
  {"leaf_paths", all_paths},
  {"tostream", all_paths},
  {"fromstream", all_paths},
  {"truncate_stream", all_paths},
  {"path", "paths are not available; name the fields"},
  {"getpath", "paths are not available; name the fields"},
  {"setpath", "paths are not available; use .a.b = value"},
  {"delpaths", "paths are not available; use del(.a, .b)"},
  {"repeat", endless},
  {"while", endless},
  {"until", endless},
  {"range", "it makes what its input does not contain; iterate with .[] or to_entries"},
  {"limit", "use first(f), or a slice: [f][:3]"},
  {"nth", "use .[n], or [f][n]"},
  {"combinations", "it can make exponentially much"},
  {"transpose", "it can make quadratically much"},
  {"implode", "it crashes on what is no text"},
  {"index", "use contains, startswith or split"},
  {"rindex", "use contains, endswith or split"},
  {"indices", "use contains or split"},
  {"map_values", "use map(f) on an array, with_entries(.value |= f) on an object"},
  {"test", regex},
  {"match", regex},
  {"capture", regex},
  {"scan", regex},
  {"splits", regex},
  {"sub", regex},
  {"gsub", regex},
  {"ascii", regex},
  {"env", outside},
  {"input", outside},
  {"inputs", outside},
  {"input_line_number", outside},
  {"input_filename", outside},
  {"debug", outside},
  {"stderr", outside},
  {"now", outside},
  {"localtime", outside},
  {"mktime", "use fromdate and todate"},
  {"gmtime", "use fromdate and todate"},
  {"strptime", "use fromdate and todate"},
  {"strftime", "use fromdate and todate"},
  {"date", "use fromdate and todate"},
  {"halt", outside},
  {"halt_error", outside},
  {"builtins", outside},
  {"get_search_list", outside},
  {"modulemeta", outside},
});

constexpr auto formats = std::to_array<std::string_view>(
  {"@base64", "@base64d", "@csv", "@html", "@json", "@sh", "@text", "@tsv", "@uri"});

struct replacement {
  std::string_view name;
  std::string_view text;
};

// In order: a later one may use an earlier one. Inside `def x`, the call of `__x` reaches libjq's own x.
constexpr auto replacements = std::to_array<replacement>({
  // libjq's own .[] loses the memory of a name when an error, or the end of `first`, passes an object.
  {"__each",
   R"(def __each: debug | if type == "object" then . as $o | keys_unsorted[] as $k | $o[$k] else .[] end; )"},
  {"__each_opt",
   R"(def __each_opt: debug | if type == "object" then . as $o | keys_unsorted[] as $k | $o[$k] else .[]? end; )"},
  {"__items",
   R"(def __items: if type == "object" then . as $o | [keys_unsorted[] as $k | $o[$k]] else . end; )"},
  {"__list",
   R"(def __list: if type == "array" then . else error(type + " cannot be sorted, as it is not an array") end; )"},
  {"length",
   R"(def __length: length; def length: if type == "string" then debug | __length else __length end; )"},
  {"contains",
   "def __contains($b): contains($b); "
   "def contains($b): . as $a | (($b | debug | recurse) as $_ | $a | debug | empty), ($a | "
   "__contains($b)); "},
  {"inside", "def inside($b): . as $a | $b | contains($a); "},
  {"join",  // libjq's own copies what it has for every element.
   R"(def __join_items: if type == "object" then . as $o | keys_unsorted[] as $k | $o[$k] else .[] end; )"
   R"(def join($x): [(debug | __join_items) | if type == "number" or type == "boolean" then tostring else . // "" end | "" + .] as $p | )"
   R"(if ($p | length) == 0 then "" else [$p[0], ($p[1:][] | ($x | debug), .)] | add end; )"},
  // libjq's own lose memory on what is not a string, and on text that is JSON but no number.
  {"ltrimstr",
   "def __ltrimstr($x): ltrimstr($x); "
   "def ltrimstr($x): if type == \"string\" and ($x | type) == \"string\" then __ltrimstr($x) else "
   ". end; "},
  {"rtrimstr",
   "def __rtrimstr($x): rtrimstr($x); "
   "def rtrimstr($x): if type == \"string\" and ($x | type) == \"string\" then __rtrimstr($x) else "
   ". end; "},
  {"tonumber",
   R"(def tonumber: if type == "number" then . elif type == "string" then )"
   R"((. as $s | try fromjson catch null | if type == "number" then . else error($s[:20] + " is not a number") end) )"
   R"(else error(type + " cannot be parsed as a number") end; )"},
  // A time that no calendar has ends the process in libjq.
  {"todate",
   R"(def __todate: todate; def todate: if type == "number" and . >= -62135596800 and . <= 253402300799 then __todate )"
   R"(else error("todate takes seconds since 1970, up to the year 9999") end; def todateiso8601: todate; )"},
  // A string times a number repeats it: no memory is enough for that.
  {"_multiply",
   R"(def __multiply($a; $b): $a * $b; def _multiply(a; b): b as $b | a as $a | ($a | type) as $s | ($b | type) as $t | )"
   R"(if $s == "number" and $t == "number" then __multiply($a; $b) )"
   R"(elif $s == "object" and $t == "object" then __multiply($a | debug; $b | debug) )"
   R"(else error($s + " and " + $t + " cannot be multiplied") end; )"},
  {"_divide",
   R"(def __divide($a; $b): $a / $b; def _divide(a; b): b as $b | a as $a | ($a | type) as $s | ($b | type) as $t | )"
   R"(if $s == "number" and $t == "number" then __divide($a; $b) )"
   R"(else error($s + " and " + $t + " cannot be divided; strings: use split") end; )"},
  // Smallest integer % -1 is a trap of the processor.
  {"_mod",
   R"(def __mod($a; $b): $a % $b; def __exact: if type == "number" then fabs | . >= 0 and . <= 9007199254740991 else false end; )"
   R"(def _mod(a; b): b as $b | a as $a | if ($a | __exact) and ($b | __exact) then __mod($a; $b) )"
   R"(else error(($a | type) + " and " + ($b | type) + " cannot be divided: % takes two numbers up to 2^53") end; )"},
  // Of arrays: each element of the one is compared with each of the other.
  {"_minus",
   R"(def __minus($a; $b): $a - $b; def _minus(a; b): b as $b | a as $a | ($a | type) as $s | ($b | type) as $t | )"
   R"(if $s == "number" and $t == "number" then __minus($a; $b) )"
   R"(elif $s == "array" and $t == "array" then (($b | debug)[] as $_ | $a | debug | empty), __minus($a; $b) )"
   R"(else error($s + " and " + $t + " cannot be subtracted") end; )"},
  // An array as index searches for it, an object slices: both in more time than a field takes.
  {"__index",
   R"(def __index: if type == "array" or type == "object" then error("cannot index with " + type) else debug end; )"},
});

}  // namespace

const jq_builtin* find_jq_builtin(std::string_view name, std::size_t arity) noexcept {
  for (const auto& builtin : builtins)
    if (builtin.name == name && builtin.arity == arity)
      return &builtin;
  return nullptr;
}

bool is_jq_builtin(std::string_view name) noexcept {
  return std::any_of(builtins.begin(), builtins.end(),
                     [&](const auto& b) { return b.name == name; });
}

std::span<const std::string_view> jq_builtin_names() {
  static const auto names = [] {
    std::vector<std::string_view> out;
    for (const auto& builtin : builtins)
      out.push_back(builtin.name);
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }();
  return names;
}

std::string_view jq_refusal_reason(std::string_view name) noexcept {
  for (const auto& known : reasons)
    if (known.name == name)
      return known.text;
  return {};
}

bool is_jq_format(std::string_view name) noexcept {
  return std::find(formats.begin(), formats.end(), name) != formats.end();
}

std::span<const std::string_view> jq_format_names() noexcept { return formats; }

std::string jq_prelude(bool (*used)(std::string_view name, const void* context),
                       const void* context) {
  std::string out;
  for (const auto& [name, text] : replacements)
    if (used(name, context) || (name == "contains" && used("inside", context)) ||
        (name == "todate" && used("todateiso8601", context)))
      out += text;
  return out;
}

}  // namespace holdfast
