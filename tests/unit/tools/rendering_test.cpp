#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "schemas/units.hpp"
#include "tools/holdfast/console.hpp"
#include "tools/holdfast/display_text.hpp"
#include "tools/holdfast/document_view.hpp"
#include "tools/holdfast/line_diff.hpp"
#include "tools/holdfast/table.hpp"
#include "tools/holdfast/time_text.hpp"
#include "tools/holdfast/yaml_writer.hpp"

using namespace holdfast;
using namespace holdfast::cli;
using json = nlohmann::ordered_json;

namespace {

const time_us now = *parse_time("2026-11-21T08:00:00.000Z");

json waiting_agent() {
  return json::parse(
    R"({"kind":"agent","agent":"support/ada","type":"support","key":"ada","version":3,
    "status":"waiting","run_id":"run_1","mailbox":2,"seq":41,"usage":{"input_tokens":10,"output_tokens":5,
    "usd":"0.12","model_calls":1,"tool_calls":1},"created_at":"2026-11-20T08:00:00.000Z",
    "updated_at":"2026-11-21T07:59:48.000Z","cause":{"kind":"reconcile","since":"2026-11-21T07:57:00.000Z",
    "detail":"refund may have been performed","unblock":{"command":"holdfast reconcile resolve eff_1 --failed",
    "http":{"method":"POST","path":"/v1/reconcile/eff_1"}}}})");
}

struct printed {
  std::ostringstream out;
  std::ostringstream err;
  console to;
  explicit printed(output_format format, bool colour = false)
    : to(out, err, {format, true, colour, false, 0}) {}
};

}  // namespace

TEST_CASE("display_text: wide characters take two columns and combining marks none") {
  CHECK(display_width("abc") == 3);
  CHECK(display_width("é") == 1);
  CHECK(display_width("e\xcc\x81") == 1);
  CHECK(display_width("日本") == 4);
  CHECK(display_width("🦀") == 2);
  CHECK(display_width("\xff\xfe") == 2);
}

TEST_CASE("display_text: clipping never cuts a character and keeps to the width") {
  CHECK(clipped("日本語", 6) == "日本語");
  CHECK(clipped("日本語", 5) == "日本…");
  CHECK(clipped("日本語", 4) == "日…");
  CHECK(clipped("abc", 0) == "");
}

TEST_CASE("display_text: nothing printable steers the terminal") {
  CHECK(printable("a\x1b[31mb\r\n") == "a [31mb  ");
  CHECK(printable("a\tb\nc", line_breaks::kept) == "a\tb\nc");
  CHECK(printable("x\xc2\x9by") == "x y");
  CHECK(printable("x\xe2\x80\xaey") == "x y");
  CHECK(printable("a\xffz") == "a\xef\xbf\xbdz");
}

TEST_CASE("table: columns line up by what a terminal shows and lines have no trailing spaces") {
  const table rows{{{"NAME"}, {"N", true}, {"NOTE"}},
                   {{{"日本"}, {"7"}, {"x"}}, {{"ab"}, {"12"}, {""}}}};
  CHECK(render(rows, {}) ==
        "NAME   N  NOTE\n"
        "日本   7  x\n"
        "ab    12\n");
}

TEST_CASE("table: colours are added only when asked for, and do not move columns") {
  const table rows{{{"S"}, {"T"}}, {{{"failed", tint::bad}, {"x"}}}};
  CHECK(render(rows, {.colour = false}) == "S       T\nfailed  x\n");
  CHECK(render(rows, {.colour = true}).find("\x1b[31mfailed\x1b[0m  x") != std::string::npos);
}

TEST_CASE("table: a line is cut at the terminal's width") {
  const table rows{{{"A"}, {"B"}}, {{{"aaaa"}, {"bbbbbbbb"}}}};
  CHECK(render(rows, {.colour = false, .columns_max = 10}) == "A     B\naaaa  bbb…\n");
}

TEST_CASE("time_text: times are relative, exact ones stand in front in wide output") {
  CHECK(relative_time("2026-11-21T07:59:48.000Z", now, false) == "12s ago");
  CHECK(relative_time("2026-11-21T08:05:00.000Z", now, false) == "in 5m");
  CHECK(relative_time("2026-11-18T08:00:00.000Z", now, false) == "3d ago");
  CHECK(relative_time("2026-11-21T08:00:00.500Z", now, false) == "now");
  CHECK(relative_time("2026-11-21T07:59:48.000Z", now, true) ==
        "2026-11-21T07:59:48.000Z (12s ago)");
  CHECK(relative_time("soon", now, false) == "soon");
}

TEST_CASE("yaml_writer: what could be read as something else is quoted") {
  CHECK(
    to_yaml(json::parse(
      R"({"a":"x","b":"true","c":"12","d":"- x","e":"a: b","f":"","g":null,"h":[],"i":"No"})")) ==
    "a: x\nb: \"true\"\nc: \"12\"\nd: \"- x\"\ne: \"a: b\"\nf: \"\"\ng: null\nh: []\ni: \"No\"\n");
}

TEST_CASE("yaml_writer: nested values and text of several lines") {
  CHECK(
    to_yaml(json::parse(
      R"({"tools":[{"name":"a","size":1},{"name":"b"}],"text":"one\ntwo\n","m":{"k":[1,[2]]}})")) ==
    "tools:\n- name: a\n  size: 1\n- name: b\ntext: |\n  one\n  two\nm:\n  k:\n  - 1\n  - - 2\n");
}

TEST_CASE("console: a list is the HTTP list in json, one id per line in ids, a table else") {
  const json list{{"items", json::array({waiting_agent()})}, {"next", nullptr}};
  printed as_json{output_format::json};
  as_json.to.list(list, view::agent, now);
  CHECK(json::parse(as_json.out.str()) == list);
  printed as_ids{output_format::ids};
  as_ids.to.list(list, view::agent, now);
  CHECK(as_ids.out.str() == "support/ada\n");
  printed as_table{output_format::table};
  as_table.to.list(list, view::agent, now);
  CHECK(as_table.out.str() ==
        "AGENT        STATUS   RUN    MAILBOX   USD  UPDATED  CAUSE\n"
        "support/ada  waiting  run_1        2  0.12  12s ago  reconcile: refund may have been "
        "performed\n");
  printed as_wide{output_format::wide};
  as_wide.to.list(list, view::agent, now);
  CHECK(as_wide.out.str().find("2026-11-21T07:59:48.000Z (12s ago)") != std::string::npos);
}

TEST_CASE("console: an empty table is a word on stderr, an empty json list is a list") {
  const json list{{"items", json::array()}, {"next", nullptr}};
  printed as_table{output_format::table};
  as_table.to.list(list, view::agent, now);
  CHECK(as_table.out.str().empty());
  CHECK(as_table.err.str() == "nothing found\n");
  printed as_json{output_format::json};
  as_json.to.list(list, view::agent, now);
  CHECK(json::parse(as_json.out.str()) == list);
}

TEST_CASE("describe: ends with the cause and the command that unblocks") {
  const auto text = description_of(waiting_agent(), {.now = now});
  CHECK(
    text.ends_with("Cause:    reconcile, since 3m ago: refund may have been performed\n"
                   "Unblock:  holdfast reconcile resolve eff_1 --failed\n"));
  CHECK(text.find("Status:") != std::string::npos);
}

TEST_CASE("describe: a failed run ends with its error and how to retry it") {
  const auto run = json::parse(R"({"kind":"run","run_id":"run_1","status":"failed","output":null,
    "error":{"code":"limit_exceeded","message":"50 steps","effect":"eff_9","retryable":false}})");
  CHECK(description_of(run, {.now = now})
          .ends_with("Cause:    limit_exceeded: 50 steps (effect eff_9)\n"
                     "Unblock:  holdfast run retry run_1\n"));
}

TEST_CASE("why: names every cause and what unblocks it") {
  const auto why = json::parse(R"({"kind":"why","agent":"a/b","status":"waiting","causes":[
    {"kind":"retry","since":"2026-11-21T07:59:50.000Z","until":"2026-11-21T08:00:30.000Z","detail":"503",
     "unblock":{"command":"holdfast agent retry a/b"}},
    {"kind":"timer","detail":"sleep","unblock":{"http":{"method":"POST","path":"/v1/x"}}}]})");
  CHECK(explanation_of(why, {.now = now}) ==
        "a/b is waiting\n"
        "Cause:    retry, since 10s ago, until in 30s: 503\n"
        "Unblock:  holdfast agent retry a/b\n"
        "Cause:    timer: sleep\n"
        "Unblock:  POST /v1/x\n");
}

TEST_CASE("why: an idle agent waits for its next event") {
  const auto why = json::parse(R"({"kind":"why","agent":"a/b","status":"idle","causes":[]})");
  CHECK(explanation_of(why, {.now = now}).find("holdfast agent send a/b") != std::string::npos);
}

TEST_CASE("ids: each kind of document gives what its verbs take") {
  CHECK(id_of(json{{"kind", "run"}, {"agent", "a/b"}, {"run_id", "run_1"}}) == "run_1");
  CHECK(id_of(json{{"kind", "agent"}, {"run_id", "run_1"}, {"agent", "a/b"}}) == "a/b");
  CHECK(id_of(json{{"kind", "accepted"}, {"event_id", "evt_1"}, {"run_id", nullptr}}) == "evt_1");
  CHECK(id_of(json{{"kind", "run_started"}, {"seq", 7}, {"at", "t"}, {"run_id", "run_1"}}) == "7");
  CHECK(id_of(json{{"kind", "reconcile"}, {"id", "eff_1"}, {"agent", "a/b"}}) == "eff_1");
}

TEST_CASE("line_diff: shows what differs with some context, nothing for equal texts") {
  CHECK(line_diff("a\nb\n", "a\nb\n").empty());
  CHECK(line_diff("1\n2\n3\n4\n5\n6\n", "1\n2\n3\nx\n5\n6\n", 1) == "…\n 3\n-4\n+x\n 5\n…\n");
  CHECK(line_diff("", "new\n") == "+new\n");
}
