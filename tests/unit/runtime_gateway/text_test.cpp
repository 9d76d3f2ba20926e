// json_text, json_writer, base64, query and cursors.

#include "tests/unit/runtime_gateway/asking.hpp"

#include <random>

#include "runtime/gateway/base64.hpp"
#include "runtime/gateway/json_text.hpp"
#include "runtime/gateway/json_writer.hpp"
#include "runtime/gateway/paging.hpp"
#include "runtime/gateway/trace_context.hpp"

using namespace holdfast;
using namespace holdfast::testing;

TEST_CASE(
  "json_text: what nlohmann takes is taken, what it refuses is refused, for mutated documents") {
  std::mt19937 chance{7};
  const std::string seed =
    R"({"a":[1,-2.5e3,true,false,null,"x\"\u00e9\\"],"b":{"c":{},"d":[]},"é":"\n"})";
  constexpr std::string_view bytes = "{}[]\",:\\x0-.eE tfnu\x01\xc3\xa9\xff/";
  int taken = 0;
  for (int i = 0; i < 20'000; ++i) {
    std::string text = seed;
    for (std::size_t k = chance() % 3; k-- > 0;) {
      const auto at = chance() % text.size();
      if (chance() % 2 == 0)
        text[at] = bytes[chance() % bytes.size()];
      else
        text.erase(at, 1);
    }
    const bool good = static_cast<bool>(check_json(text, 64));
    CHECK_MESSAGE(good == json::accept(text), text);
    if (!good)
      continue;
    ++taken;
    const auto parsed = json::parse(text);
    std::size_t members = 0;
    for (object_walk walk{text}; walk.next(); ++members)
      CHECK(json::accept(walk.value()));
    if (parsed.is_object())
      CHECK(members >= parsed.size());
  }
  CHECK(taken > 1'000);
}

TEST_CASE("json_text: depth is counted exactly, empty containers too") {
  for (std::size_t depth : {1UL, 2UL, 63UL, 64UL}) {
    CHECK(check_json(std::string(depth, '[') + std::string(depth, ']'), 64));
    CHECK(check_json(std::string(depth, '[') + "1" + std::string(depth, ']'), 64));
  }
  for (const std::string& middle : {std::string{}, std::string{"1"}, std::string{"{}"}}) {
    const auto deep = check_json(std::string(65, '[') + middle + std::string(65, ']'), 64);
    REQUIRE(!deep);
    CHECK(deep.error().code == errc::too_deep);
  }
  CHECK(check_json("\"" + std::string(100, '[') + "\"", 64));
  CHECK(!check_json(std::string(1'000'000, '['), 64));
  CHECK(check_json("1", 0));
}

TEST_CASE("json_text: numbers of any length are JSON, numbers beyond every double are not") {
  CHECK(check_json("[123456789012345678901234567890,-99999999999999999999,0.1e-400]", 64));
  CHECK(!check_json("[1e400]", 64));
  CHECK(!check_json("[12345678901234567890123x]", 64));
  CHECK(!check_json(
    "[123456789012345678901234567890," + std::string(64, '[') + std::string(64, ']') + "]", 64));
}

TEST_CASE("json_text: members come with their bytes, whatever they are") {
  object_walk walk{R"( { "a" : "x,}\"" , "b\u0031":[1,{"c":2}] ,"d":-1.0e5,"e":{} } )"};
  REQUIRE(walk.next());
  CHECK(walk.is("a"));
  CHECK(walk.value() == R"("x,}\"")");
  REQUIRE(walk.next());
  CHECK(walk.is("b1"));
  CHECK(walk.value() == R"([1,{"c":2}])");
  REQUIRE(walk.next());
  CHECK(walk.value() == "-1.0e5");
  REQUIRE(walk.next());
  CHECK(walk.value() == "{}");
  CHECK(!walk.next());
  CHECK(!object_walk{"[1]"}.is_object());
}

TEST_CASE("json_text: a large document is checked like a small one") {
  std::string big = "[";
  for (int i = 0; i < 50'000; ++i)
    big += "123456,";
  big += "1]";
  CHECK(check_json(big, 64));
  big.back() = '}';
  CHECK(!check_json(big, 64));
  CHECK(check_json("[1]", 64));
}

TEST_CASE("json_writer: any bytes become a string that parses to them, or to the replacement") {
  std::mt19937 chance{3};
  for (int i = 0; i < 5'000; ++i) {
    std::string text;
    for (std::size_t k = chance() % 12; k-- > 0;)
      text += static_cast<char>(chance());
    std::string out;
    append_json_string(out, text);
    const auto parsed = json::parse(out, nullptr, false);
    REQUIRE(!parsed.is_discarded());
    if (is_utf8(text))
      CHECK(parsed.get<std::string>() == text);
  }
}

TEST_CASE("json_writer: stored JSON goes in as it is, other text as a string") {
  std::string out;
  json_writer json_out{out};
  json_out.begin_array()
    .json_or_text(R"({"n":123456789012345678901234567890.00})")
    .json_or_text("not json")
    .json_or_text("")
    .value(-5)
    .value(true)
    .end_array();
  CHECK(out == R"([{"n":123456789012345678901234567890.00},"not json",null,-5,true])");
}

TEST_CASE("base64: every length comes back, and what is no base64 does not") {
  std::mt19937 chance{5};
  for (std::size_t size = 0; size < 70; ++size) {
    std::string bytes;
    for (std::size_t i = 0; i < size; ++i)
      bytes += static_cast<char>(chance());
    CHECK(from_base64(to_base64(bytes)) == bytes);
    CHECK(from_base64url(to_base64url(bytes)) == bytes);
  }
  CHECK(to_base64("\xff\xfe\xfd") == "//79");
  CHECK(to_base64url("\xff\xfe\xfd") == "__79");
  for (const auto* text : {"A", "AA=A", "A===", "AB", "=", "AAA-", "AA A", "AAAA="})
    CHECK_MESSAGE(!from_base64(text), text);
}

TEST_CASE("paging: a cursor comes back as it was, and only to its own kind of list") {
  const std::string position{
    "\x00\xff"
    "abc",
    5};
  const auto cursor = make_cursor(cursor_kind::id, position);
  const auto query = query_reader::parse("limit=7&cursor=" + cursor);
  REQUIRE(query);
  const auto page = page_of(*query, cursor_kind::id);
  REQUIRE(page);
  CHECK(page->limit == 7);
  CHECK(page->after == position);
  CHECK(!page_of(*query, cursor_kind::agent));
}

TEST_CASE("query: flags and numbers are strict") {
  const auto query = query_reader::parse("a&b=true&c=false&d=1&e=18446744073709551616&f=%C3%A9");
  REQUIRE(query);
  CHECK(*query->flag("a"));
  CHECK(*query->flag("b"));
  CHECK(!*query->flag("c"));
  CHECK(!query->flag("d"));
  CHECK(!*query->flag("nothing"));
  CHECK(**query->number("d") == 1);
  CHECK(!query->number("e"));
  CHECK(!query->number("a"));
  CHECK(query->text("f") == "é");
  std::string many;
  for (int i = 0; i < 70; ++i)
    many += "k" + std::to_string(i) + "=1&";
  CHECK(!query_reader::parse(many));
}

TEST_CASE("trace_context: only what W3C allows is taken") {
  const std::string good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  CHECK(valid_traceparent(good) == good);
  for (std::string bad : {std::string{}, good + "0", "ff" + good.substr(2),
                          "00-" + std::string(32, '0') + good.substr(35),
                          good.substr(0, 36) + std::string(16, '0') + good.substr(52)})
    CHECK_MESSAGE(valid_traceparent(bad).empty(), bad);
  auto upper = good;
  upper[4] = 'A';
  CHECK(valid_traceparent(upper).empty());
}
