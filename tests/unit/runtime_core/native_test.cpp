// Native agents: timers, awaited events, and handlers that throw or take the process down.

#include <stdexcept>

#include "tests/unit/runtime_core/agent_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

std::uint32_t call(turn_builder& turn, const compiled_agent& spec, const std::string& name) {
  const auto* found = spec.tool(name);
  REQUIRE(found != nullptr);
  return request_tool(turn, spec, {name, effect_kind::tool, found->def.cls, "{}", {}});
}

void sleep_for(turn_builder& turn, std::int64_t ms, const std::string& tag) {
  turn.set_timer(timer_kind::sleep, turn.now() + ms * 1'000, tag);
}

void wait_for(turn_builder& turn, const std::string& type, const std::string& where,
              std::int64_t timeout_ms) {
  std::uint64_t timer = 0;
  if (timeout_ms > 0)
    timer = turn.set_timer(timer_kind::wait, turn.now() + timeout_ms * 1'000, "wait_for");
  turn.add(awaiting_event{type, where, timer});
}

/// Throws while `failing` says so.
struct brittle {
  explicit brittle(agent_bench& bench) {
    bench.native.call = [this](turn_builder& turn, const compiled_agent& spec, const trigger& t) {
      ++calls;
      turn.add(state_changed{R"({"calls":)" + std::to_string(calls) + "}"});
      if (failing > 0) {
        --failing;
        throw std::runtime_error("boom");
      }
      if (then)
        then(turn, spec, t);
    };
  }
  int calls = 0;
  int failing = 0;
  fake_behaviour::function then;
};

}  // namespace

TEST_CASE("timers: a sleep wakes its handler with its tag, once, and not before it is due") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent&, const trigger& t) {
    if (t.what == trigger::kind::start)
      sleep_for(turn, 500, "nap");
    else
      complete_run(turn, "1");
  };
  bench.deliver();
  const auto timer = bench.only_timer(timer_kind::sleep);
  CHECK(bench.causes() == std::vector{wake_kind::timer});
  CHECK(wake_causes(bench.state()).front().until == timer.due);
  bench.context.now = timer.due - 10;
  bench.turn(fire_timer{timer.id});
  CHECK(bench.last.record == nullptr);
  bench.fire(timer);
  CHECK(bench.native.seen.back().what == trigger::kind::timer);
  CHECK(bench.native.seen.back().tag == "nap");
  CHECK(bench.count<run_completed>() == 1);
  bench.turn(fire_timer{timer.id});
  CHECK(bench.last.record == nullptr);
}

TEST_CASE("timers: those of a run end with it") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger& t) {
    if (t.what == trigger::kind::start) {
      sleep_for(turn, 500, "a");
      sleep_for(turn, 900, "b");
      call(turn, spec, "look");
    } else {
      complete_run(turn, "1");
    }
  };
  bench.deliver();
  bench.outcome(bench.only_effect(), succeeded());
  CHECK(bench.count<timer_cancelled>() == 2);
  CHECK(bench.state().timers.empty());
}

TEST_CASE("awaited events: the right one joins the open run, others wait in the mailbox") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent&, const trigger& t) {
    if (t.what == trigger::kind::start && t.arrived.type == "go")
      wait_for(turn, "paid", "yes", 60'000);
    else if (t.what == trigger::kind::awaited)
      complete_run(turn, t.arrived.data);
    else
      complete_run(turn, "null");
  };
  const auto run = bench.deliver();
  CHECK(bench.causes() == std::vector{wake_kind::awaited_event});
  const auto cause = wake_causes(bench.state()).front();
  CHECK(cause.command == "holdfast agent send t/k1 --type paid --data JSON");
  CHECK(cause.path == "/v1/agents/t/k1/events");
  CHECK(cause.until == bench.only_timer(timer_kind::wait).due);
  bench.deliver(event_of("refused"));
  CHECK_FALSE(bench.last.results.front().decided.merged);
  CHECK(bench.state().mailbox_next - bench.state().mailbox_head == 1);
  bench.deliver(event_of("paid", R"({"eur":5})"));
  CHECK(bench.last.results.front().decided.merged);
  CHECK(bench.last.results.front().decided.run == run);
  CHECK(bench.all<run_completed>().front().output == R"({"eur":5})");
  CHECK(bench.count<timer_cancelled>() == 1);
  CHECK(bench.count<event_received>() == 2);
}

TEST_CASE("awaited events: one whose `where` does not hold or fails goes to the mailbox") {
  for (const std::string where : {"no", "fails", "not jq at all"}) {
    CAPTURE(where);
    agent_bench bench{native_agent("t")};
    bench.native.call = [&](turn_builder& turn, const compiled_agent&, const trigger&) {
      wait_for(turn, "paid", where, 0);
    };
    bench.deliver();
    bench.deliver(event_of("paid"));
    CHECK_FALSE(bench.last.results.front().decided.merged);
    CHECK(bench.state().run->awaited);
  }
}

TEST_CASE("awaited events: a question of another agent never joins a run that answers nobody") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent&, const trigger&) {
    wait_for(turn, "paid", "", 0);
  };
  bench.deliver();
  deliver_event ask;
  ask.event = event_of("paid");
  ask.committed_before = true;
  ask.reply_to = reply_address{{"asker", "a"}, run_id{make_id(1, 2, 3, 4)}, 5};
  bench.turn(ask);
  CHECK_FALSE(bench.last.results.front().decided.merged);
  CHECK(bench.count<event_received>() == 2);
}

TEST_CASE(
  "awaited events: the timeout calls the handler and the event goes to the mailbox afterwards") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger& t) {
    if (t.what == trigger::kind::start)
      wait_for(turn, "paid", "", 1'000);
    else
      call(turn, spec, "look");
  };
  bench.deliver();
  bench.fire_only(timer_kind::wait);
  CHECK(bench.native.seen.back().what == trigger::kind::awaited_timeout);
  CHECK(bench.native.seen.back().tag == "wait_for");
  CHECK_FALSE(bench.state().run->awaited);
  bench.deliver(event_of("paid"));
  CHECK_FALSE(bench.last.results.front().decided.merged);
}

TEST_CASE("awaited events: a run that is being cancelled awaits nothing") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger& t) {
    if (t.what == trigger::kind::start) {
      wait_for(turn, "paid", "", 0);
      call(turn, spec, "pay");
    }
  };
  bench.deliver();
  bench.control_by(control_verb::cancel);
  REQUIRE(bench.state().run);
  bench.deliver(event_of("paid"));
  CHECK_FALSE(bench.last.results.front().decided.merged);
}

TEST_CASE("handlers: a throw discards what the handler did and calls it again after a backoff") {
  agent_bench bench{native_agent("t")};
  brittle handler{bench};
  handler.failing = 2;
  handler.then = [](turn_builder& turn, const compiled_agent&, const trigger&) {
    complete_run(turn, "1");
  };
  bench.deliver();
  CHECK(bench.last_names() ==
        std::vector<std::string>{"event_received", "run_started", "handler_failed", "timer_set"});
  const auto failure = bench.last_of<handler_failed>();
  CHECK(failure.reason == "boom");
  CHECK(failure.trigger == 1);
  CHECK(failure.attempts == 1);
  CHECK(bench.causes() == std::vector{wake_kind::retry});
  CHECK(wake_causes(bench.state()).front().command == "holdfast agent retry t/k1");

  bench.fire_only(timer_kind::handler);
  CHECK(bench.last_of<handler_failed>().attempts == 2);
  bench.fire_only(timer_kind::handler);
  CHECK(bench.count<handler_recovered>() == 1);
  CHECK(bench.count<run_completed>() == 1);
  CHECK(bench.count<state_changed>() == 1);
  CHECK(bench.last_of<state_changed>().memory == R"({"calls":3})");
  CHECK(is_idle(bench.state()));
}

TEST_CASE("handlers: the backoff grows and is bounded") {
  auto spec = native_agent("t");
  spec.def.handler_attempts = 30;
  agent_bench bench{std::move(spec)};
  brittle handler{bench};
  handler.failing = 20;
  bench.deliver();
  time_us before = 0;
  for (int i = 0; i < 19; ++i) {
    const auto timer = bench.only_timer(timer_kind::handler);
    const auto wait = timer.due - bench.last.record->at;
    CHECK(wait >= 100'000);
    CHECK(wait <= 30'000'000);
    if (i == 10)
      CHECK(wait > before);
    if (i == 0)
      before = wait;
    bench.fire(timer);
  }
}

TEST_CASE("handlers: an event whose handler always fails becomes a dead letter and fails its run") {
  auto spec = native_agent("t");
  spec.def.handler_attempts = 3;
  agent_bench bench{std::move(spec)};
  brittle handler{bench};
  handler.failing = 100;
  const auto run = bench.deliver(event_of("poison", R"({"x":1})"));
  bench.fire_only(timer_kind::handler);
  CHECK(bench.count<dead_lettered>() == 0);
  bench.fire_only(timer_kind::handler);
  const auto letter = bench.last_of<dead_lettered>();
  CHECK(letter.run == run);
  CHECK(letter.id.id == run.id);
  CHECK(letter.event.type == "poison");
  CHECK(letter.event.data == R"({"x":1})");
  CHECK(letter.reason.find("3 times: boom") != std::string::npos);
  CHECK(bench.last_of<run_failed>().error.code == "poison_event");
  CHECK(handler.calls == 3);
  CHECK(bench.count<state_changed>() == 0);
  CHECK(is_idle(bench.state()));
}

TEST_CASE("handlers: while one trigger is due again, later ones wait behind it in their order") {
  agent_bench bench{native_agent("t")};
  brittle handler{bench};
  std::vector<std::string> order;
  handler.then = [&](turn_builder& turn, const compiled_agent& spec, const trigger& t) {
    if (t.what == trigger::kind::start) {
      call(turn, spec, "look");
      call(turn, spec, "put");
      sleep_for(turn, 10, "nap");
      return;
    }
    order.push_back(t.what == trigger::kind::timer ? t.tag : t.effect.name);
    if (order.size() == 3)
      complete_run(turn, "1");
  };
  bench.deliver();
  const auto nap = bench.only_timer(timer_kind::sleep);
  handler.failing = 2;
  bench.outcome(bench.effect_named("put"), succeeded(R"({"put":1})"));
  const int calls_before = handler.calls;
  bench.outcome(bench.effect_named("look"), failed(failure_kind::rejected, "none"));
  bench.fire(nap);
  CHECK(handler.calls == calls_before);  // they wait
  CHECK(bench.state().run->triggers_due.size() == 3);
  CHECK(order.empty());
  bench.fire_only(timer_kind::handler);  // fails a second time
  CHECK(order.empty());
  CHECK(bench.state().run->triggers_due.size() == 3);
  bench.fire_only(timer_kind::handler);
  CHECK(order == std::vector<std::string>{"put", "look", "nap"});
  CHECK(bench.count<run_completed>() == 1);
}

TEST_CASE("handlers: a trigger that is called again is what it was") {
  agent_bench bench{native_agent("t")};
  brittle handler{bench};
  bool started = false;
  handler.then = [&](turn_builder& turn, const compiled_agent& spec, const trigger&) {
    if (!started) {
      started = true;
      call(turn, spec, "pay");
    } else {
      call(turn, spec, "look");
    }
  };
  bench.deliver();
  const auto again = [&] {
    const auto first = bench.native.seen.back();
    bench.fire_only(timer_kind::handler);
    const auto second = bench.native.seen.back();
    CHECK(second.what == first.what);
    CHECK(second.seq == first.seq);
    CHECK(second.tag == first.tag);
    CHECK(second.arrived == first.arrived);
    CHECK(second.effect.no == first.effect.no);
    CHECK(second.effect.name == first.effect.name);
    CHECK(second.effect.status == first.effect.status);
    CHECK(second.effect.output == first.effect.output);
    CHECK(second.effect.error == first.effect.error);
  };
  handler.failing = 1;
  SUBCASE("an outcome") {
    bench.outcome(bench.only_effect(), succeeded(R"({"x":2})"));
    again();
  }
  SUBCASE("a failure") {
    bench.outcome(bench.only_effect(), failed(failure_kind::rejected, "no"));
    again();
  }
  SUBCASE("a resolution without an output") {
    bench.outcome(bench.only_effect(), failed(failure_kind::transient));
    bench.resolve(bench.only_effect(), resolution::succeeded);
    again();
  }
  SUBCASE("a resolution as failed without a note") {
    bench.outcome(bench.only_effect(), failed(failure_kind::transient));
    bench.resolve(bench.only_effect(), resolution::failed);
    again();
  }
}

TEST_CASE("handlers: after a crash the trigger is durable before its handler sees it") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent&, const trigger&) {
    complete_run(turn, "1");
  };
  bench.context.careful = true;
  bench.deliver();
  CHECK(bench.native.seen.empty());
  const auto kept = bench.last_of<handler_failed>();
  CHECK(kept.reason.empty());
  CHECK(kept.attempts == 0);
  bench.fire_only(timer_kind::handler);
  CHECK(bench.native.seen.size() == 1);
  CHECK(bench.count<run_completed>() == 1);
}

TEST_CASE(
  "handlers: every process that dies in a handler counts an attempt, until it is a dead letter") {
  auto spec = native_agent("t");
  spec.def.handler_attempts = 3;
  agent_bench bench{std::move(spec)};
  bench.context.careful = true;
  const auto run = bench.deliver();
  for (std::uint32_t attempt = 1; attempt <= 3; ++attempt) {
    // The handler was entered by a fire that never committed; the timer is still there.
    REQUIRE(bench.state().run);
    bench.turn(count_crash{run, "died"});
    CHECK(bench.last_of<handler_failed>().attempts == attempt);
    if (attempt < 3) {
      CHECK(bench.only_timer(timer_kind::handler).due > bench.last.record->at);  // and backs off
    }
  }
  CHECK(bench.count<dead_lettered>() == 1);
  CHECK(bench.last_of<run_failed>().error.code == "poison_event");
  CHECK(bench.native.seen.empty());
}

TEST_CASE("handlers: a crash in a later handler does not call the first one again") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger&) {
    call(turn, spec, "look");
  };
  const auto run = bench.deliver();
  bench.turn(count_crash{run, "died"});
  CHECK(bench.last.record == nullptr);
  CHECK(bench.state().run->triggers_due.empty());
}

TEST_CASE("handlers: a crash of a run that is over counts for nothing") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent&, const trigger&) {
    complete_run(turn, "1");
  };
  const auto run = bench.deliver();
  bench.turn(count_crash{run, "died"});
  CHECK(bench.last.record == nullptr);
}

TEST_CASE("handlers: the host is told when native code is entered and left, also by a throw") {
  agent_bench bench{native_agent("t")};
  brittle handler{bench};
  handler.failing = 1;
  std::vector<std::string> told;
  bench.context.handler_enters = [&](const agent_name& name, const run_id&) {
    told.push_back("in " + to_string(name));
  };
  bench.context.handler_leaves = [&] { told.emplace_back("out"); };
  bench.deliver();
  CHECK(told == std::vector<std::string>{"in t/k1", "out"});
}

TEST_CASE("handlers: one that leaves its run with nothing to wait for is an incident") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder&, const compiled_agent&, const trigger&) {};
  bench.deliver();
  const auto incident = bench.last_of<quarantined>();
  CHECK(incident.by == "holdfast");
  CHECK(incident.reason.find("nothing to wait for") != std::string::npos);
  CHECK(bench.causes() == std::vector{wake_kind::quarantined});
  bench.control_by(control_verb::resume);
  CHECK(bench.count<quarantined>() == 2);  // it still waits for nothing
  bench.control_by(control_verb::cancel);
  CHECK(bench.count<run_cancelled>() == 1);
}

TEST_CASE("handlers: several effects of one turn are declared together") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger&) {
    CHECK(call(turn, spec, "look") == 1);
    CHECK(call(turn, spec, "pay") == 2);
    CHECK(request_model(turn, spec, "{}", 2) == 3);
  };
  bench.deliver();
  CHECK(bench.last.starts.size() == 3);
  CHECK(bench.state().run->steps == 3);
}

TEST_CASE("handlers: emitted text has offsets without gaps") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger&) {
    for (const std::string text : {"ab", "cde"})
      turn.add(text_emitted{turn.state().run->id, turn.state().run->emitted_bytes, text});
    call(turn, spec, "look");
  };
  bench.deliver();
  bench.outcome(bench.only_effect(), succeeded());
  std::vector<std::uint64_t> offsets;
  for (const auto& one : bench.all<text_emitted>())
    offsets.push_back(one.offset);
  CHECK(offsets == std::vector<std::uint64_t>{0, 2, 5, 7});
}
