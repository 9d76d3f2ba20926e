#include "runtime/model/text.hpp"

#include <doctest/doctest.h>

#include <vector>

using namespace holdfast::model;

TEST_CASE("text: only well-formed UTF-8 is called so") {
  struct row {
    std::string text;
    bool good;
  };
  const std::vector<row> rows = {
    {"", true},
    {"plain", true},
    {"grün € 😀", true},
    {std::string("nul\0", 4), true},
    {"\xF4\x8F\xBF\xBF", true},  // U+10FFFF
    {"\x80", false},
    {"\xC3", false},
    {"\xC0\xAF", false},
    {"\xE0\x80\x80", false},
    {"\xED\xA0\x80", false},  // a surrogate
    {"\xF4\x90\x80\x80", false},
    {"\xF8\x88\x80\x80\x80", false},
    {"\xFF", false},
    {"\xE2\x82", false},
    {"\xF0\x9F\x98", false},
  };
  for (const auto& [text, good] : rows) {
    CAPTURE(text);
    CHECK(is_utf8(text) == good);
    CHECK(is_utf8(to_utf8(text)));
    if (good)
      CHECK(to_utf8(text) == text);
  }
}

TEST_CASE("text: every maximal subpart of an ill-formed sequence becomes one replacement") {
  CHECK(to_utf8("a\xF0\x9F\x98z") == "a\xEF\xBF\xBDz");
  CHECK(to_utf8("\xC0\xAF") == "\xEF\xBF\xBD\xEF\xBF\xBD");
  CHECK(to_utf8("\xED\xA0\x80") == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
  // The example of the Unicode standard, table 3-8.
  CHECK(to_utf8("\x61\xF1\x80\x80\xE1\x80\xC2\x62\x80\x63\x80\xBF\x64") ==
        "a\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"
        "b\xEF\xBF\xBD"
        "c\xEF\xBF\xBD\xEF\xBF\xBD"
        "d");
}

TEST_CASE("text: a cut never lies inside a character") {
  const std::string text = "aé€😀z";  // 1 + 2 + 3 + 4 + 1 bytes
  const std::vector<std::size_t> expected = {0, 1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11, 11};
  for (std::size_t max = 0; max < expected.size(); ++max)
    CHECK(cut_at(text, max).size() == expected[max]);
  CHECK(cut_at("\x80\x80\x80\x80\x80\x80", 4).size() == 4);  // no UTF-8 anyway
}

TEST_CASE("text: one_line has no control characters and says when it was cut") {
  CHECK(one_line("a\r\nb\tc\x7F", 100) == "a  b c ");
  CHECK(one_line("abcdef", 3) == "abc…");
  CHECK(one_line("ab€", 4) == "ab…");
  CHECK(one_line("\xFF", 10) == "\xEF\xBF\xBD");
}

TEST_CASE("text: secrets are masked wherever they occur, short ones are not secrets") {
  const std::vector<std::string> secrets = {"hunter22", "abc"};
  CHECK(without_secrets("hunter22 and hunter22hunter22, abc", secrets) == "*** and ******, abc");
  CHECK(without_secrets("nothing", secrets) == "nothing");
}

TEST_CASE("text: what looks like a key is masked too") {
  CHECK(without_credentials("Incorrect API key provided: sk-proj-12ab_34. See", {}) ==
        "Incorrect API key provided: *** See");
  CHECK(without_credentials("task-list Bearer abc.def== end", {}) == "task-list Bearer *** end");
  CHECK(without_credentials("(sk-abc)", {}) == "(***)");
}
