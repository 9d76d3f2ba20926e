// pause, resume, cancel, kill, quarantine, retry, delete, and patches of memory.

#include "runtime/core/turn_limits.hpp"
#include "tests/unit/runtime_core/agent_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

void call_tools(agent_bench& bench, const std::vector<std::string>& names) {
  bench.deliver();
  std::vector<tool_call> asked;
  for (const auto& name : names)
    asked.push_back({"c" + std::to_string(asked.size()), name, R"({"amount":1})"});
  bench.model_says(calls(std::move(asked)));
}

}  // namespace

TEST_CASE("pause: nothing new starts, what runs may finish, and its consequences are declared") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.control_by(control_verb::pause);
  CHECK(bench.causes().front() == wake_kind::paused);
  bench.model_says(calls({{"c1", "look", "{}"}}));
  CHECK(bench.only_effect().phase == effect_phase::declared);
  CHECK(bench.last.starts.empty());
  CHECK(bench.causes() == std::vector{wake_kind::paused});
  bench.deliver();
  CHECK(bench.state().mailbox_next - bench.state().mailbox_head == 1);
  bench.control_by(control_verb::resume);
  REQUIRE(bench.last.starts.size() == 1);
  CHECK(bench.last.starts.front().attempt == 1);
  CHECK(bench.only_effect().phase == effect_phase::started);
}

TEST_CASE("pause: an idle agent that is paused starts waiting events when it is resumed") {
  agent_bench bench{llm_agent("t")};
  bench.control_by(control_verb::pause);
  bench.deliver();
  CHECK_FALSE(bench.state().run);
  CHECK(bench.causes() == std::vector{wake_kind::paused});
  CHECK_FALSE(is_ready(bench.state()));
  bench.control_by(control_verb::resume);
  CHECK(bench.state().run);
}

TEST_CASE("pause: an attempt whose backoff ends meanwhile starts when the agent is resumed") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"look"});
  bench.outcome(bench.only_effect(), failed(failure_kind::transient));
  bench.control_by(control_verb::pause);
  bench.fire_only(timer_kind::retry);
  CHECK(bench.last_names() == std::vector<std::string>{"timer_fired"});
  CHECK(bench.only_effect().phase == effect_phase::retrying);
  bench.control_by(control_verb::resume);
  CHECK(bench.only_effect().phase == effect_phase::started);
  CHECK(bench.only_effect().attempt == 2);
  CHECK(bench.last.starts.size() == 1);
}

TEST_CASE("pause: a model attempt that starts late reserves then, and only then") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.outcome(bench.only_effect(), failed(failure_kind::transient));
  bench.control_by(control_verb::pause);
  bench.fire_only(timer_kind::retry);
  CHECK(bench.state().run->reserved_tokens == 0);
  bench.control_by(control_verb::resume);
  CHECK(bench.state().run->reserved_tokens == bench.last_of<budget_reserved>().tokens);
}

TEST_CASE("pause: a question that is asked meanwhile is on its way, and its answer is taken") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.control_by(control_verb::pause);
  bench.model_says(calls({{"c1", "research", "{}"}}));
  CHECK(bench.count<message_sent>() == 1);
  const auto asked = bench.only_effect();
  bench.turn(complete_effect{asked.run, asked.no, 0, succeeded(R"("42")")});
  CHECK(bench.count<tool_completed>() == 1);
  bench.control_by(control_verb::resume);
  CHECK(bench.only_effect().kind == effect_kind::model);
  CHECK(bench.only_effect().phase == effect_phase::started);
}

TEST_CASE("pause, resume and quarantine are done once") {
  agent_bench bench{llm_agent("t")};
  for (const auto verb : {control_verb::pause, control_verb::quarantine, control_verb::resume}) {
    bench.control_by(verb);
    CHECK(bench.last.results.front().decided.changed);
    bench.control_by(verb);
    CHECK_FALSE(bench.last.results.front().decided.changed);
    CHECK(bench.last.record == nullptr);
  }
  CHECK(bench.count<resumed>() == 1);  // it lifts both
  CHECK(is_idle(bench.state()));
}

TEST_CASE("holds: their names and reasons are in `why`") {
  agent_bench bench{llm_agent("t")};
  bench.control_by(control_verb::pause, "lunch");
  bench.control_by(control_verb::quarantine, "spends too much");
  const auto causes = wake_causes(bench.state());
  REQUIRE(causes.size() == 2);
  CHECK(causes[0].kind == wake_kind::quarantined);
  CHECK(causes[0].detail == "quarantined by ann: spends too much");
  CHECK(causes[1].detail == "paused by ann: lunch");
  CHECK(causes[1].command == "holdfast agent resume t/k1");
  CHECK(causes[1].path == "/v1/agents/t/k1/resume");
}

TEST_CASE("cancel: a run without open effects ends at once") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent&, const trigger& t) {
    if (t.what == trigger::kind::start)
      turn.set_timer(timer_kind::sleep, turn.now() + 1'000, "");
  };
  const auto run = bench.deliver();
  bench.control_by(control_verb::cancel, "enough");
  CHECK(bench.last_of<run_cancelled>().run == run);
  CHECK(bench.last_of<run_cancelled>().reason == "enough");
  CHECK(bench.last.results.front().decided.run == run);
  CHECK(bench.state().timers.empty());
}

TEST_CASE("cancel: waits for open effects, and their outcomes start nothing") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"look", "pay"});
  bench.control_by(control_verb::cancel);
  CHECK(bench.count<run_cancelled>() == 0);
  bench.control_by(control_verb::cancel);
  CHECK_FALSE(bench.last.results.front().decided.changed);
  bench.outcome(bench.effect_named("look"), failed(failure_kind::transient));
  CHECK(bench.count<effect_retry_scheduled>() == 0);  // it is not tried again
  CHECK(bench.state().run);
  bench.outcome(bench.effect_named("pay"), succeeded());
  CHECK(bench.count<run_cancelled>() == 1);
  CHECK(bench.count<model_requested>() == 1);
  CHECK(is_idle(bench.state()));
}

TEST_CASE("cancel: a backoff that ends meanwhile starts nothing") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"look", "pay"});
  bench.outcome(bench.effect_named("look"), failed(failure_kind::transient));
  bench.control_by(control_verb::cancel);
  bench.fire_only(timer_kind::retry);
  CHECK(bench.last.starts.empty());
  bench.control_by(control_verb::retry);
  CHECK(bench.last.starts.empty());
  bench.outcome(bench.effect_named("pay"), succeeded());
  CHECK(bench.count<run_cancelled>() == 1);
  CHECK(is_idle(bench.state()));
}

TEST_CASE("cancel: a write whose outcome is unknown outlives the run") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"pay"});
  bench.control_by(control_verb::cancel);
  bench.outcome(bench.only_effect(), failed(failure_kind::transient));
  CHECK(bench.count<run_cancelled>() == 1);
  CHECK(bench.causes() == std::vector{wake_kind::reconcile});
}

TEST_CASE("cancel: survives a restart") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"pay"});
  bench.control_by(control_verb::cancel);
  bench.restart(2);
  CHECK(bench.count<run_cancelled>() == 1);
  CHECK(bench.only_effect().phase == effect_phase::unknown);
}

TEST_CASE("cancel: a native agent may compensate, and its run ends after that") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger& t) {
    const std::string name = t.what == trigger::kind::cancel ? "put" : "look";
    if (t.what == trigger::kind::start || t.what == trigger::kind::cancel)
      request_tool(turn, spec, {name, effect_kind::tool, effect_class::idempotent, "{}", {}});
  };
  bench.deliver();
  bench.control_by(control_verb::cancel);
  CHECK(bench.native.seen.back().what == trigger::kind::cancel);
  CHECK(bench.last.starts.size() == 1);
  bench.outcome(bench.effect_named("look"), succeeded());
  CHECK(bench.count<run_cancelled>() == 0);
  bench.outcome(bench.effect_named("put"), succeeded());
  CHECK(bench.count<run_cancelled>() == 1);
}

TEST_CASE("cancel: a run that waits in the mailbox never starts, and its asker is told") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  deliver_event ask;
  ask.event = event_of("holdfast.ask");
  ask.committed_before = true;
  ask.run = run_id{make_id(9, 3, 1, 1)};
  ask.id = event_id{make_id(9, 3, 1, 2)};
  ask.reply_to = reply_address{{"asker", "a"}, run_id{make_id(1, 2, 3, 4)}, 5};
  bench.turn(ask);
  bench.turn(control{control_verb::cancel, "ann", "no", ask.run, false});
  CHECK(bench.last_of<run_cancelled>().run == ask.run);
  REQUIRE(bench.last.ended.size() == 1);
  CHECK(bench.last.ended.front().summary.id == ask.run);
  CHECK(bench.last_of<message_sent>().message.outcome.error.code == "cancelled");
  bench.turn(control{control_verb::cancel, "ann", "no", ask.run, false});
  CHECK_FALSE(bench.last.results.front().decided.changed);
  bench.model_says(says("done"));
  CHECK(bench.last_of<event_skipped>().run == ask.run);
  CHECK(bench.count<run_started>() == 1);
  CHECK(is_idle(bench.state()));
}

TEST_CASE("cancel and kill: without an open run they are refused") {
  agent_bench bench{llm_agent("t")};
  for (const auto verb : {control_verb::cancel, control_verb::kill}) {
    bench.control_by(verb);
    CHECK(bench.refusal() == errc::conflict);
    CHECK(bench.last.record == nullptr);
  }
  bench.turn(control{control_verb::cancel, "ann", "", run_id{make_id(1, 2, 3, 4)}, false});
  CHECK(bench.refusal() == errc::conflict);
}

TEST_CASE("kill: ends now; reads are given up and writes become unknown") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"look", "put", "pay"});
  bench.control_by(control_verb::kill, "fire");
  CHECK(bench.count<killed>() == 1);
  CHECK(bench.count<effect_abandoned>() == 2);
  CHECK(bench.count<effect_unknown>() == 1);
  CHECK(bench.last_of<run_cancelled>().reason == "killed by ann: fire");
  CHECK(bench.only_effect().name == "pay");
}

TEST_CASE("kill: an open model call counts as spent") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  const auto reserved = bench.last_of<budget_reserved>();
  bench.control_by(control_verb::kill);
  CHECK(bench.last_of<budget_settled>().tokens == reserved.tokens);
  CHECK(bench.last.ended.front().summary.used.input_tokens == reserved.tokens);
  CHECK(bench.state().used.cost == reserved.cost);
}

TEST_CASE("kill: a write that was only declared was never performed") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.control_by(control_verb::pause);
  bench.model_says(calls({{"c1", "pay", R"({"amount":1})"}}));
  bench.control_by(control_verb::kill);
  CHECK(bench.count<effect_unknown>() == 0);
  CHECK(bench.state().effects.empty());
}

TEST_CASE("retry: a waiting backoff fires now") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"look"});
  bench.outcome(bench.only_effect(), failed(failure_kind::transient));
  bench.control_by(control_verb::retry);
  CHECK(bench.last_names() == std::vector<std::string>{"timer_fired", "effect_started"});
  CHECK(bench.last.starts.size() == 1);
}

TEST_CASE("retry: a handler's backoff fires now") {
  agent_bench bench{native_agent("t")};
  int calls_made = 0;
  bench.native.call = [&](turn_builder& turn, const compiled_agent&, const trigger&) {
    if (++calls_made == 1)
      throw 7;  // not even a std::exception
    complete_run(turn, "1");
  };
  bench.deliver();
  CHECK(bench.last_of<handler_failed>().reason.find("not a std::exception") != std::string::npos);
  bench.control_by(control_verb::retry);
  CHECK(bench.count<run_completed>() == 1);
}

TEST_CASE(
  "retry: a run that waits for something else, and an agent that did not fail, are refused") {
  agent_bench bench{llm_agent("t")};
  bench.control_by(control_verb::retry);
  CHECK(bench.refusal() == errc::conflict);
  bench.deliver();
  bench.control_by(control_verb::retry);
  CHECK(bench.refusal() == errc::conflict);
  bench.control_by(control_verb::pause);
  bench.control_by(control_verb::retry);
  CHECK(bench.refusal() == errc::conflict);
  CHECK(bench.last.record == nullptr);
}

TEST_CASE("retry: a failed run goes on in a new one from where it failed") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"look"});
  bench.outcome(bench.only_effect(), succeeded(R"("found")"));
  const auto failed_run = bench.state().run->id;
  bench.outcome(bench.only_effect(), failed(failure_kind::rejected, "no credit"));
  CHECK(bench.count<run_failed>() == 1);
  bench.control_by(control_verb::retry);
  const auto begun = bench.last_of<run_started>();
  CHECK(begun.retry_of == failed_run);
  CHECK(begun.carried);
  CHECK(begun.run != failed_run);
  CHECK(bench.last.results.front().decided.run == begun.run);
  CHECK(bench.count<tool_requested>() == 1);  // the finished call is not made again
  CHECK(bench.count<message_appended>() == 3);
  CHECK(bench.only_effect().kind == effect_kind::model);
  CHECK(bench.state().run->steps == 1);
  bench.model_says(says("done"));
  CHECK(bench.last_of<run_completed>().run == begun.run);
}

TEST_CASE("retry: calls that the failed run never finished are told to the model") {
  auto spec = llm_agent("t");
  spec.def.limits.steps = 2;
  agent_bench bench{std::move(spec)};
  call_tools(bench, {"look", "put"});
  CHECK(bench.last_of<run_failed>().error.code == "limit_exceeded");
  bench.control_by(control_verb::retry);
  CHECK(bench.conversation().back().find("not_performed") != std::string::npos);
  CHECK(bench.only_effect().kind == effect_kind::model);
}

TEST_CASE("retry: `from_start` begins again with the run's event") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"look"});
  bench.control_by(control_verb::kill);
  bench.turn(control{control_verb::retry, "ann", "", {}, true});
  const auto begun = bench.last_of<run_started>();
  CHECK_FALSE(begun.carried);
  CHECK(begun.event_seq == 1);
  CHECK(bench.conversation().back() == "user: hello");
}

TEST_CASE("retry: a native agent's failed call is made again with what was asked") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger& t) {
    if (t.what == trigger::kind::start)
      request_tool(turn, spec,
                   {"put", effect_kind::tool, effect_class::idempotent, R"({"x":1})", {}});
    else if (t.effect.status == outcome_status::failed)
      fail_run(turn, {"agent_failed", "no", t.effect.no, true});
    else
      complete_run(turn, t.effect.output);
  };
  bench.deliver();
  bench.outcome(bench.only_effect(), failed(failure_kind::rejected));
  CHECK(bench.count<run_failed>() == 1);
  bench.control_by(control_verb::retry);
  CHECK(bench.native.seen.size() == 2);  // the handler is called with the outcome only
  CHECK(bench.last_of<tool_requested>().input == R"({"x":1})");
  CHECK(bench.last_of<tool_requested>().effect_no == 2);
  bench.outcome(bench.only_effect(), succeeded("5"));
  CHECK(bench.last_of<run_completed>().output == "5");
}

TEST_CASE("retry: what finished while the run was being cancelled is carried over") {
  agent_bench bench{llm_agent("t")};
  SUBCASE("a call") {
    call_tools(bench, {"pay"});
    bench.control_by(control_verb::cancel);
    bench.outcome(bench.only_effect(), succeeded(R"("paid")"));
    CHECK(bench.count<run_cancelled>() == 1);
    CHECK(bench.conversation().back() == "tool: paid");
    bench.control_by(control_verb::retry);
    CHECK(bench.count<tool_refused>() == 0);
  }
  SUBCASE("a model's answer, which is not paid twice") {
    bench.deliver();
    const auto first = bench.last_of<model_requested>().request_digest;
    bench.control_by(control_verb::cancel);
    bench.model_says(calls({{"c1", "pay", R"({"amount":1})"}}));
    CHECK(bench.count<run_cancelled>() == 1);
    CHECK(bench.conversation().back() == "assistant: ");
    bench.control_by(control_verb::retry);
    CHECK(bench.conversation().back().find("not_performed") != std::string::npos);
    CHECK(bench.last_of<model_requested>().request_digest != first);
  }
  CHECK(bench.only_effect().kind == effect_kind::model);
}

TEST_CASE("retry: what a person found of a killed run's write is carried over") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"pay"});
  bench.control_by(control_verb::kill);
  SUBCASE("when it is resolved before") {
    bench.resolve(bench.only_effect(), resolution::succeeded, R"("paid")");
    CHECK(bench.conversation().back() == "tool: paid");
    bench.control_by(control_verb::retry);
    CHECK(bench.count<tool_refused>() == 0);
  }
  SUBCASE("when its answer comes late") {
    bench.outcome(bench.only_effect(), succeeded(R"("paid")"));
    CHECK(bench.conversation().back() == "tool: paid");
    bench.control_by(control_verb::retry);
    CHECK(bench.count<tool_refused>() == 0);
  }
  SUBCASE("while it is not known the model is told that") {
    bench.control_by(control_verb::retry);
    CHECK(bench.conversation().back().find("unknown_outcome") != std::string::npos);
  }
}

TEST_CASE("retry: text of the new run has offsets of its own") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger& t) {
    turn.add(text_emitted{turn.state().run->id, turn.state().run->emitted_bytes, "abc"});
    if (t.what == trigger::kind::start)
      request_tool(turn, spec, {"put", effect_kind::tool, effect_class::idempotent, "{}", {}});
    else
      fail_run(turn, {"agent_failed", "no", t.effect.no, true});
  };
  bench.deliver();
  bench.outcome(bench.only_effect(), failed(failure_kind::rejected));
  bench.control_by(control_verb::retry);
  bench.outcome(bench.only_effect(), failed(failure_kind::rejected));
  std::vector<std::uint64_t> offsets;
  for (const auto& one : bench.all<text_emitted>())
    offsets.push_back(one.offset);
  CHECK(offsets == std::vector<std::uint64_t>{0, 3, 0});
}

TEST_CASE("retry: takes the current version of the definition") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.outcome(bench.only_effect(), failed(failure_kind::rejected));
  auto second = llm_agent("t");
  second.def.version = 2;
  bench.define(std::move(second));
  bench.control_by(control_verb::retry);
  CHECK(bench.state().run->version == 2);
}

TEST_CASE("retry: only the last run of an agent can be retried") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  const auto first = bench.state().run->id;
  bench.control_by(control_verb::kill);
  bench.deliver();
  bench.control_by(control_verb::kill);
  bench.turn(control{control_verb::retry, "ann", "", first, false});
  CHECK(bench.refusal() == errc::conflict);
  bench.deliver();
  bench.model_says(says("done"));
  bench.control_by(control_verb::retry);
  CHECK(bench.refusal() == errc::conflict);  // the last one did not fail
}

TEST_CASE("retry: a run that a person retries has its own wall limit") {
  auto spec = llm_agent("t");
  spec.def.limits.wall_ms = 1'000;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  bench.fire_only(timer_kind::wall);
  bench.control_by(control_verb::retry);
  CHECK(bench.only_timer(timer_kind::wall).run == bench.state().run->id);
}

TEST_CASE("delete: only an agent without open work is deleted, and comes back as new") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.control_by(control_verb::remove);
  CHECK(bench.refusal() == errc::conflict);
  bench.model_says(says("done"));
  bench.control_by(control_verb::remove);
  CHECK(bench.count<agent_deleted>() == 1);
  agent_state fresh;
  fresh.name = bench.state().name;
  CHECK(bench.state() == fresh);
}

TEST_CASE("delete: an unknown write keeps the agent") {
  agent_bench bench{llm_agent("t")};
  call_tools(bench, {"pay"});
  bench.control_by(control_verb::kill);
  bench.control_by(control_verb::remove);
  CHECK(bench.refusal() == errc::conflict);
}

TEST_CASE("patch: merges into the memory, and only into the one that was read") {
  agent_bench bench{native_agent("t")};
  bench.turn(patch_state{R"({"a":1,"b":{"c":2}})", {}, "ann"});
  CHECK(bench.last_of<state_changed>().memory == R"({"a":1,"b":{"c":2}})");
  const auto seq = bench.state().seq;
  bench.turn(patch_state{R"({"a":null,"b":{"d":3}})", seq, "ann"});
  CHECK(bench.last_of<state_changed>().memory == R"({"b":{"c":2,"d":3}})");
  bench.turn(patch_state{R"({"x":1})", seq, "ann"});
  CHECK(bench.refusal() == errc::precondition_failed);
  for (const std::string bad : {"[1]", "nonsense", "7"}) {
    bench.turn(patch_state{bad, {}, "ann"});
    CHECK(bench.refusal() == errc::schema);
    CHECK(bench.last.record == nullptr);
  }
}

TEST_CASE("patch: a memory that would be too large is refused, and stays as it was") {
  agent_bench bench{native_agent("t")};
  const std::string half(memory_bytes_max / 2, 'x');
  bench.turn(patch_state{R"({"a":")" + half + "\"}", {}, "ann"});
  REQUIRE(bench.last.record);
  bench.turn(patch_state{R"({"b":")" + half + "\"}", {}, "ann"});
  CHECK(bench.refusal() == errc::too_large);
  CHECK(bench.last.record == nullptr);
  bench.turn(patch_state{R"({"a":null,"b":1})", {}, "ann"});
  CHECK(bench.last_of<state_changed>().memory == R"({"b":1})");
}
