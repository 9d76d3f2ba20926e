#include "cluster/forwarded_command.hpp"

#include <doctest/doctest.h>

using namespace holdfast;
using namespace holdfast::forwarded;

namespace {

const run_id some_run{make_id(1'000, 3, 7, 1)};
const event_id some_event{make_id(2'000, 3, 7, 2)};

forwarded::command sent(const forwarded::command& what) {
  auto out = decode_command(encode(what));
  REQUIRE(out);
  return std::move(*out);
}

template <class Answer>
Answer told(const answer& what) {
  const auto response = response_of(what);
  link::http_head head;
  head.status = static_cast<std::uint16_t>(response.status);
  for (const auto& [name, value] : response.headers)
    head.headers.emplace_back(name, value);
  auto out = answer_of(head, response.body);
  REQUIRE(std::holds_alternative<Answer>(out));
  return std::get<Answer>(std::move(out));
}

}  // namespace

TEST_CASE("forwarded command: a verb arrives with all that was said of it") {
  control_command what;
  what.to = {"echo", "a/b ü"};
  what.what = {control_verb::retry, "ann", "so\nthat", some_run, true};
  what.once = idempotency{digest128{{1}}, digest128{{2}}, 77};
  audit_recorded noted;
  noted.method = "POST";
  noted.by = "ann";
  what.audit = std::make_shared<const audit_recorded>(noted);
  const auto got = std::get<control_command>(sent(what));
  CHECK(got.to == what.to);
  CHECK(got.what.verb == control_verb::retry);
  CHECK(got.what.by == "ann");
  CHECK(got.what.reason == "so\nthat");
  CHECK(got.what.run == some_run);
  CHECK(got.what.from_start);
  REQUIRE(got.once);
  CHECK(got.once->scope == what.once->scope);
  CHECK(got.once->expires == 77);
  REQUIRE(got.audit);
  CHECK(got.audit->by == "ann");

  what.what = {};
  what.audit = nullptr;
  const auto plain = std::get<control_command>(sent(what));
  CHECK(plain.what.run == run_id{});
  CHECK_FALSE(plain.what.from_start);
  CHECK_FALSE(plain.audit);
}

TEST_CASE("forwarded command: every answer that a command can have arrives") {
  const auto done = told<command_done>(command_done{{"echo", "a"}, some_run, true});
  CHECK(done.agent == agent_name{"echo", "a"});
  CHECK(done.run == some_run);
  CHECK(done.changed);
  const auto again =
    told<accepted_event>(accepted_event{{"echo", "a"}, some_event, some_run, true, true});
  CHECK(again.agent == agent_name{"echo", "a"});
  CHECK(again.event == some_event);
  CHECK(again.run == some_run);
  CHECK(again.merged);
  CHECK(again.replayed);
  const auto routed = told<routed_event>(routed_event{some_event, {}, true});
  CHECK(routed.event == some_event);
  CHECK(routed.replayed);
  const auto refused = told<error>(error{errc::conflict, "no"});
  CHECK(refused.code == errc::conflict);
  CHECK(refused.context == "no");
}
