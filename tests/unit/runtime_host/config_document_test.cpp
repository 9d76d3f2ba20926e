#include "runtime/host/config_document.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

using namespace holdfast;

namespace {

nlohmann::json json_of(std::string_view text) {
  const auto in = parse_documents(text);
  REQUIRE(in.problems.empty());
  REQUIRE(in.documents.size() == 1);
  return to_json(in.documents.front());
}

}  // namespace

TEST_CASE("config_document: plain text is what YAML 1.2 says, and nothing more") {
  const auto in = json_of(
    "a: true\nb: False\nc: yes\nd: no\ne: on\nf: ~\ng: null\nh:\ni: 12\nj: -3\nk: +4\nl: 1.5\nm: "
    "1e3\nn: 0x1f\no: 012\np: 1_000\nq: .5\nr: 1.\n"
    "s: 18446744073709551615\nt: 99999999999999999999\nu: .inf\nv: .nan\nw: 2001-01-01\nx: "
    "12:30\ny: \"5\"\nz: 'true'\n");
  CHECK(in["a"] == true);
  CHECK(in["b"] == false);
  for (const auto* text : {"c", "d", "e", "n", "p", "u", "v", "w", "x", "y", "z"})
    CHECK_MESSAGE(in[text].is_string(), text);
  for (const auto* nothing : {"f", "g", "h"})
    CHECK(in[nothing].is_null());
  CHECK(in["i"] == 12);
  CHECK(in["j"] == -3);
  CHECK(in["k"] == 4);
  CHECK(in["l"] == 1.5);
  CHECK(in["m"] == 1000.0);
  CHECK(in["s"] == 18446744073709551615ULL);
  CHECK(in["t"] == 1e20);
  CHECK(in["q"] == 0.5);
}

TEST_CASE("config_document: every value knows its line and column") {
  const auto in = parse_documents("# c\na: 1\nb:\n  - x\n  - {c: d}\n");
  REQUIRE(in.documents.size() == 1);
  const auto& root = in.documents.front();
  CHECK(root.line == 2);
  REQUIRE(root.find("b") != nullptr);
  CHECK(root.find("b")->line == 3);
  const auto& items = root.find("b")->value.items;
  REQUIRE(items.size() == 2);
  CHECK(items[0].line == 4);
  CHECK(items[0].column == 5);
  CHECK(items[1].entries[0].column == 6);
  CHECK(root.find("z") == nullptr);
}

TEST_CASE("config_document: blocks, quotes, anchors and several documents") {
  CHECK(json_of("a: |\n  x\n  y\n")["a"] == "x\ny\n");
  CHECK(json_of("a: >\n  x\n  y")["a"] == "x y\n");
  CHECK(json_of("a: &x [1, 2]\nb: *x\n")["b"] == nlohmann::json::parse("[1,2]"));
  CHECK(json_of("'': x")[""] == "x");
  CHECK(parse_documents("a\n---\nb\n---\n---\nc\n").documents.size() == 3);
  CHECK(parse_documents("").documents.empty());
  CHECK(parse_documents("\xef\xbb\xbf"
                        "a: 1")
          .documents.size() == 1);
}

TEST_CASE("config_document: a quote that is not closed is refused, wherever the text ends") {
  for (const auto* text : {"a: \"x", "a: \"x\n", "a: 'x\n", "a: 'x\nb: c\n", "a: [1, 2\n",
                           "a: {b: 1\n", "{\"a\": \"b\n"})
    CHECK_MESSAGE(!parse_documents(text).problems.empty(), text);
}

TEST_CASE("config_document: messages never break a line") {
  CHECK(one_line("a\nb\r\x1b[31m") == "a b  [31m");
  CHECK(pointer_step("a/b~c") == "/a~1b~0c");
}
