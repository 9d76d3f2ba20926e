#include "runtime/model/surrogates.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include <vector>

using namespace holdfast::model;

namespace {
std::string joined(const std::vector<std::string>& pieces) {
  surrogate_joiner joiner;
  std::string out;
  for (const auto& piece : pieces)
    out += joiner.join(
      nlohmann::json::parse(escape_lone_surrogates("\"" + piece + "\"")).get<std::string>());
  return out + joiner.end();
}
}  // namespace

TEST_CASE("surrogates: text without lone halves stays as it is") {
  for (const std::string text :
       {R"({"a":"b"})", R"("\ud83d\ude00")", R"("\\ud83d")", R"("\u00e9 \n")", R"("\u12")",
        R"("\ud83d\ude00)", "\\", R"("\uD83D\uDE00")"})
    CHECK(escape_lone_surrogates(text) == text);
}

TEST_CASE("surrogates: halves of a character in two pieces make the character") {
  CHECK(joined({R"(a\ud83d)", R"(\ude00b)"}) == "a😀b");
  CHECK(joined({R"(\uD83D)", "", R"(\uDE00\uD83D)", R"(\uDE01)"}) == "😀😁");
}

TEST_CASE("surrogates: half a character alone becomes a replacement") {
  CHECK(joined({R"(a\ud83d)", "b"}) ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK(joined({R"(a\ude00b)"}) ==
        "a\xEF\xBF\xBD"
        "b");
  CHECK(joined({R"(a\ud83d)"}) == "a\xEF\xBF\xBD");
  CHECK(joined({R"(\ud83d\ud83d)", R"(\ude00)"}) == "\xEF\xBF\xBD😀");
}
