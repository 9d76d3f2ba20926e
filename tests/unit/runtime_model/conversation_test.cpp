#include "runtime/model/conversation.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace holdfast;
using namespace holdfast::model;

namespace {

/// `u10 c5 t3 t3 a4`: user of 10 tokens, assistant with calls, results, answer.
std::vector<message_size> sizes_of(std::string_view text) {
  std::vector<message_size> out;
  while (!text.empty()) {
    const auto end = std::min(text.find(' '), text.size());
    const auto role = text[0] == 'u'   ? message_role::user
                      : text[0] == 't' ? message_role::tool
                                       : message_role::assistant;
    out.push_back({role, std::stoull(std::string{text.substr(1, end - 1)})});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

struct row {
  const char* sizes;
  std::uint64_t max;
  std::optional<std::size_t> pinned;
  std::size_t first;
  std::uint64_t tokens;
};

message said(message_role role, std::string content) {
  message m;
  m.role = role;
  m.content = std::move(content);
  return m;
}

message result_of(std::string id) {
  auto m = said(message_role::tool, "done " + id);
  m.tool_call_id = std::move(id);
  return m;
}

message asking(std::vector<std::string> ids) {
  auto m = said(message_role::assistant, "");
  for (auto& id : ids)
    m.tool_calls.push_back({std::move(id), "t", "{}"});
  return m;
}

}  // namespace

TEST_CASE(
  "conversation: the window is the longest suffix of whole exchanges, with the latest question") {
  const std::vector<row> rows = {
    {"", 10, std::nullopt, 0, 0},
    {"u5", 10, std::nullopt, 0, 5},
    {"u50", 10, std::nullopt, 0, 50},  // the question is sent whatever it costs
    {"u5 a5 u5", 100, std::nullopt, 0, 15},
    {"u5 a5 u5", 0, std::nullopt, 0, 15},  // no limit
    {"u5 a5 u5", 15, std::nullopt, 0, 15},
    {"u5 a5 u5", 14, std::nullopt, 2, 5},  // an old exchange goes as a whole
    {"u5 a5 u5 a5 u5", 17, std::nullopt, 2, 15},
    {"u5 c5 t5 a5 u5", 24, std::nullopt, 4, 5},
    {"u5 c5 t5 t5", 100, std::nullopt, 0, 20},
    {"u5 c5 t5 t5", 3, std::nullopt, 0, 20},  // the last step is sent whatever it costs
    {"u5 c5 t5 c5 t5", 15, 0, 3, 15},  // the oldest step of this run goes, the question stays
    {"u5 c5 t5 c5 t5", 14, 0, 3, 15},
    {"u5 c5 t5 c5 t5", 25, std::nullopt, 0, 25},
    {"u9 a9 u5 c5 t5 c5 t5", 25, std::nullopt, 2, 25},
    {"u9 a9 u5 c5 t5 c5 t5", 24, 2, 5, 15},
    {"t5 t5 u5", 100, std::nullopt, 0, 15},  // results without their call: dropped by matching
    {"a5 a5", 5, std::nullopt, 1, 5},        // nobody asked anything
    {"a5 u5", 10, std::nullopt, 0, 10},
  };
  for (const auto& [text, max, pinned, first, tokens] : rows) {
    CAPTURE(text);
    CAPTURE(max);
    const auto chosen = choose_window(sizes_of(text), max);
    CHECK(chosen.pinned == pinned);
    CHECK(chosen.first == first);
    CHECK(chosen.tokens == tokens);
  }
}

TEST_CASE("conversation: any window keeps its promises") {
  std::mt19937 random{1};
  for (int round = 0; round < 2'000; ++round) {
    std::vector<message_size> sizes;
    const auto length = random() % 20;
    for (std::size_t i = 0; i < length; ++i)
      sizes.push_back({static_cast<message_role>(2 + random() % 3), 1 + random() % 10});
    const std::uint64_t max = random() % 60;
    const auto chosen = choose_window(sizes, max);
    CHECK(chosen.first <= sizes.size());
    if (chosen.first < sizes.size() && chosen.first > 0)
      CHECK(sizes[chosen.first].role != message_role::tool);
    std::uint64_t tokens = chosen.pinned ? sizes[*chosen.pinned].tokens : 0;
    for (std::size_t i = chosen.first; i < sizes.size(); ++i)
      tokens += sizes[i].tokens;
    CHECK(tokens == chosen.tokens);
    for (std::size_t i = sizes.size(); i-- > 0;)
      if (sizes[i].role == message_role::user) {
        CHECK((chosen.pinned == i || chosen.first <= i));
        break;
      }
  }
}

TEST_CASE("conversation: cutting keeps the messages that were chosen, in order") {
  std::vector<message> all = {said(message_role::user, std::string(400, 'a')),
                              said(message_role::assistant, "old"),
                              said(message_role::user, "question"),
                              asking({"1"}),
                              result_of("1"),
                              asking({"2"}),
                              result_of("2")};
  CHECK(cut_to_window(all, 0) == all);
  const auto cut = cut_to_window(all, 25);
  REQUIRE(cut.size() == 3);
  CHECK(cut[0] == all[2]);
  CHECK(cut[1] == all[5]);
  CHECK(cut[2] == all[6]);
  CHECK(cut_to_window({}, 10).empty());
}

TEST_CASE("conversation: calls and results match after repair") {
  const auto ids_of = [](const std::vector<message>& messages) {
    std::string out;
    for (const auto& m : messages)
      out += m.role == message_role::tool   ? "t" + m.tool_call_id
             : m.role == message_role::user ? "u"
                                            : "a";
    return out;
  };
  struct case_row {
    std::vector<message> given;
    const char* expected;
  };
  const auto user = said(message_role::user, "x");
  const std::vector<case_row> rows = {
    {{}, ""},
    {{user, asking({"1", "2"}), result_of("2"), result_of("1"), user}, "uat2t1u"},
    {{user, asking({"1", "2"}), result_of("1"), user}, "uat1t2u"},
    {{user, asking({"1"})}, "uat1"},
    {{user, result_of("9"), asking({"1"}), result_of("1"), result_of("1")}, "uat1"},
    {{result_of("1"), user}, "u"},
    {{user, asking({"1", "1"}), result_of("1")}, "uat1t1"},
  };
  for (const auto& [given, expected] : rows)
    CHECK(ids_of(with_matching_results(given)) == expected);
  const auto repaired = with_matching_results({asking({"1"})});
  CHECK(repaired.back().content.find("no result") != std::string::npos);
}
