// What failures mean for each class of effect (DESIGN §3 "Effects"), reconciling, and a new term.

#include <tuple>

#include "tests/unit/runtime_core/agent_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

/// A run with one open call of this tool, and a reservation-free life.
void call_tool(agent_bench& bench, const std::string& name) {
  bench.deliver();
  bench.model_says(calls({{"c1", name, R"({"amount":1})"}}));
}

std::string tool_of(effect_class cls) {
  return cls == effect_class::read ? "look" : cls == effect_class::idempotent ? "put" : "pay";
}

enum class follows { retries, unknown, fails };

std::string to_string(follows what) {
  return what == follows::retries ? "retries" : what == follows::unknown ? "unknown" : "fails";
}

follows what_followed(const agent_bench& bench) {
  if (bench.count<effect_retry_scheduled>() != 0)
    return follows::retries;
  if (bench.count<effect_unknown>() != 0)
    return follows::unknown;
  REQUIRE(bench.last_of<effect_failed>().final);
  return follows::fails;
}

}  // namespace

TEST_CASE("effects: what follows from a failure is a matter of class and kind alone") {
  using enum effect_class;
  using enum failure_kind;
  const std::vector<std::tuple<effect_class, failure_kind, follows>> table{
    {read, not_sent, follows::retries},        {idempotent, not_sent, follows::retries},
    {write, not_sent, follows::retries},       {read, throttled, follows::retries},
    {idempotent, throttled, follows::retries}, {write, throttled, follows::retries},
    {read, transient, follows::retries},       {idempotent, transient, follows::retries},
    {write, transient, follows::unknown},      {read, cancelled, follows::retries},
    {idempotent, cancelled, follows::retries}, {write, cancelled, follows::unknown},
    {read, rejected, follows::fails},          {idempotent, rejected, follows::fails},
    {write, rejected, follows::fails},
  };
  for (const auto& [cls, kind, expected] : table) {
    CAPTURE(to_string(cls));
    CAPTURE(static_cast<int>(kind));
    agent_bench bench{llm_agent("t")};
    call_tool(bench, tool_of(cls));
    bench.outcome(bench.only_effect(), failed(kind));
    CHECK(to_string(what_followed(bench)) == to_string(expected));
  }
}

TEST_CASE(
  "effects: every retry is a durable timer with backoff, and the last attempt fails for good") {
  auto spec = llm_agent("t");
  spec.tools[0].def.retry = {3, 1'000, 30'000};
  agent_bench bench{std::move(spec)};
  call_tool(bench, "look");
  for (std::uint32_t attempt = 1; attempt < 3; ++attempt) {
    CHECK(bench.only_effect().attempt == attempt);
    bench.outcome(bench.only_effect(), failed(failure_kind::transient));
    CHECK(bench.only_effect().phase == effect_phase::retrying);
    const auto timer = bench.only_timer(timer_kind::retry);
    const auto wait_us = timer.due - bench.last.record->at;
    CHECK(wait_us >= 500'000 * (1 << (attempt - 1)));
    CHECK(wait_us <= 1'000'000 * (1 << (attempt - 1)));
    CHECK(bench.last_of<effect_retry_scheduled>().due == timer.due);
    CHECK(bench.causes() == std::vector{wake_kind::retry});
    bench.fire(timer);
    CHECK(bench.last_names() == std::vector<std::string>{"timer_fired", "effect_started"});
    REQUIRE(bench.last.starts.size() == 1);
    CHECK(bench.last.starts.front().attempt == attempt + 1);
  }
  bench.outcome(bench.only_effect(), failed(failure_kind::transient));
  CHECK(bench.last_of<effect_failed>().final);
  CHECK(bench.count<effect_retry_scheduled>() == 2);
  CHECK(bench.count<model_requested>() == 2);  // the model is told
}

TEST_CASE("effects: a wait that the other side asked for is kept") {
  agent_bench bench{llm_agent("t")};
  call_tool(bench, "look");
  auto throttled = failed(failure_kind::throttled);
  throttled.retry_after_ms = 90'000;
  bench.outcome(bench.only_effect(), std::move(throttled));
  CHECK(bench.only_timer(timer_kind::retry).due == bench.last.record->at + 90'000'000);
}

TEST_CASE("effects: an outcome counts once, and only that of the open attempt") {
  agent_bench bench{llm_agent("t")};
  call_tool(bench, "look");
  const auto first = bench.only_effect();
  bench.outcome(first, failed(failure_kind::transient));
  bench.outcome(first, succeeded());
  CHECK(bench.last.record == nullptr);  // it waits for its next attempt
  bench.fire_only(timer_kind::retry);
  bench.outcome(first, succeeded());
  CHECK(bench.last.record == nullptr);  // an answer of attempt 1
  const auto second = bench.only_effect();
  bench.outcome(second, succeeded());
  CHECK(bench.count<tool_completed>() == 1);
  bench.outcome(second, succeeded());
  CHECK(bench.last.record == nullptr);
  CHECK(bench.count<tool_completed>() == 1);
}

TEST_CASE("effects: an unknown write waits for a person and says so") {
  agent_bench bench{llm_agent("t")};
  call_tool(bench, "pay");
  bench.outcome(bench.only_effect(), failed(failure_kind::transient, "reset"));
  const auto effect = bench.only_effect();
  CHECK(effect.phase == effect_phase::unknown);
  const auto causes = wake_causes(bench.state());
  REQUIRE(causes.size() == 1);
  CHECK(causes.front().kind == wake_kind::reconcile);
  CHECK(causes.front().detail.find("reset") != std::string::npos);
  CHECK(causes.front().command.starts_with("holdfast reconcile resolve eff_"));
  CHECK(causes.front().path == "/v1/reconcile/" + to_string(effect_id{effect.run, effect.no}));

  SUBCASE("who found that it was performed gives the output") {
    bench.resolve(effect, resolution::succeeded, R"({"paid":1})");
    CHECK(bench.conversation().back() == R"(tool: {"paid":1})");
    CHECK(bench.count<model_requested>() == 2);
  }
  SUBCASE("or that it was not, which the model is told") {
    bench.resolve(effect, resolution::failed);
    CHECK(bench.conversation().back().find("reconciled_as_failed") != std::string::npos);
    CHECK(bench.count<model_requested>() == 2);
  }
  SUBCASE("or has it performed again") {
    bench.resolve(effect, resolution::retry);
    CHECK(bench.last_names() == std::vector<std::string>{"effect_reconciled", "effect_started"});
    REQUIRE(bench.last.starts.size() == 1);
    CHECK(bench.last.starts.front().attempt == 2);
    CHECK(bench.last.starts.front().no == effect.no);  // so its key is the same
  }
  SUBCASE("an answer that comes late resolves it by itself") {
    bench.outcome(effect, succeeded(R"({"paid":2})"));
    const auto found = bench.last_of<effect_reconciled>();
    CHECK(found.by == "holdfast");
    CHECK(found.resolved == resolution::succeeded);
    CHECK(bench.count<model_requested>() == 2);
  }
  SUBCASE("a late refusal as well") {
    bench.outcome(effect, failed(failure_kind::rejected, "no funds"));
    CHECK(bench.last_of<effect_reconciled>().resolved == resolution::failed);
    CHECK(bench.conversation().back().find("no funds") != std::string::npos);
  }
  SUBCASE("a late failure that says nothing changes nothing") {
    bench.outcome(effect, failed(failure_kind::transient));
    CHECK(bench.last.record == nullptr);
    CHECK(bench.only_effect().phase == effect_phase::unknown);
  }
  SUBCASE("once resolved it cannot be resolved again") {
    bench.resolve(effect, resolution::failed);
    bench.resolve(effect, resolution::succeeded);
    CHECK(bench.refusal() == errc::conflict);
    CHECK(bench.last.record == nullptr);
  }
}

TEST_CASE("effects: an effect that is not unknown cannot be resolved") {
  agent_bench bench{llm_agent("t")};
  call_tool(bench, "pay");
  bench.resolve(bench.only_effect(), resolution::succeeded);
  CHECK(bench.refusal() == errc::conflict);
}

TEST_CASE("effects: an unknown write outlives its run, and is never performed again for it") {
  agent_bench bench{llm_agent("t")};
  call_tool(bench, "pay");
  bench.control_by(control_verb::kill);
  CHECK_FALSE(bench.state().run);
  const auto effect = bench.only_effect();
  CHECK(effect.phase == effect_phase::unknown);
  CHECK(bench.causes() == std::vector{wake_kind::reconcile});
  bench.deliver();  // the agent goes on meanwhile
  CHECK(bench.state().run);
  bench.resolve(effect, resolution::retry);
  CHECK(bench.refusal() == errc::conflict);
  SUBCASE("a person may say what became of it") {
    bench.resolve(effect, resolution::succeeded, "1");
    CHECK(bench.refusal() == errc::ok);
    CHECK(bench.last_names() == std::vector<std::string>{"effect_reconciled"});
  }
  SUBCASE("so may its late answer, which the next run does not see") {
    bench.outcome(effect, succeeded());
    CHECK(bench.last_names() == std::vector<std::string>{"effect_reconciled"});
  }
}

TEST_CASE(
  "effects: a model attempt that was lost is settled at its reservation, others at nothing") {
  for (const auto kind : {failure_kind::transient, failure_kind::cancelled, failure_kind::not_sent,
                          failure_kind::throttled, failure_kind::rejected}) {
    CAPTURE(static_cast<int>(kind));
    const bool lost = kind == failure_kind::transient || kind == failure_kind::cancelled;
    agent_bench bench{llm_agent("t")};
    bench.deliver();
    const auto reserved = bench.last_of<budget_reserved>();
    bench.outcome(bench.only_effect(), failed(kind));
    const auto settled = bench.last_of<budget_settled>();
    CHECK(settled.tokens == (lost ? reserved.tokens : 0));
    CHECK(settled.cost == (lost ? reserved.cost : 0));
    if (kind == failure_kind::rejected)
      continue;
    CHECK(bench.state().run->reserved_tokens == 0);
    CHECK(bench.state().run->used.input_tokens == (lost ? reserved.tokens : 0));
    CHECK(bench.state().run->used.cost == (lost ? reserved.cost : 0));
    bench.fire_only(timer_kind::retry);
    CHECK(bench.count<budget_reserved>() == 2);  // each attempt reserves anew
    CHECK(bench.state().run->reserved_tokens == reserved.tokens);
  }
}

TEST_CASE("effects: lost attempts count against the limit of the next one") {
  auto spec = llm_agent("t");
  spec.def.output_tokens_max = 100;
  spec.def.limits.tokens = 2 * (5 / 3 + 64 + 100) - 1;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  bench.outcome(bench.only_effect(), failed(failure_kind::transient));
  CHECK(bench.count<run_failed>() == 0);
  bench.fire_only(timer_kind::retry);
  CHECK(bench.last_of<run_failed>().error.code == "limit_exceeded");
  CHECK(bench.last.starts.empty());
}

TEST_CASE("effects: another attempt reserves at the price of the model that it will call") {
  auto spec = llm_agent("t");
  spec.def.models = {"primary", "backup"};
  agent_bench bench{std::move(spec)};
  bench.deliver();
  const auto first = bench.last_of<budget_reserved>();
  bench.outcome(bench.only_effect(), failed(failure_kind::not_sent));
  bench.fire_only(timer_kind::retry);
  const auto second = bench.last_of<budget_reserved>();
  CHECK(second.tokens == first.tokens);
  CHECK(second.cost == 4 * first.cost);
}

TEST_CASE("effects: another attempt of a native agent's model call reserves for its own messages") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger& t) {
    if (t.what == trigger::kind::start)
      request_model(turn, spec, std::string(3'000, 'm'), 3'000);
  };
  bench.deliver();
  const auto first = bench.last_of<budget_reserved>();
  bench.outcome(bench.only_effect(), failed(failure_kind::not_sent));
  bench.fire_only(timer_kind::retry);
  CHECK(bench.last_of<budget_reserved>().tokens == first.tokens);
}

TEST_CASE("recovery: reads and idempotent calls are performed again, writes become unknown") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.model_says(
    calls({{"c1", "look", "{}"}, {"c2", "put", "{}"}, {"c3", "pay", R"({"amount":1})"}}));
  bench.restart(2);
  REQUIRE(bench.last.starts.size() == 2);
  CHECK(bench.effect_named("look").attempt == 2);
  CHECK(bench.effect_named("look").term == 2);
  CHECK(bench.effect_named("put").attempt == 2);
  const auto write = bench.effect_named("pay");
  CHECK(write.phase == effect_phase::unknown);
  CHECK(write.attempt == 1);
  CHECK(write.last_error.find("may have been performed") != std::string::npos);
}

TEST_CASE("recovery: what this term started is left alone") {
  agent_bench bench{llm_agent("t")};
  call_tool(bench, "look");
  bench.turn(recover{});
  CHECK(bench.last.record == nullptr);
  bench.restart(2);
  bench.turn(recover{});
  CHECK(bench.last.record == nullptr);
}

TEST_CASE("recovery: an open model call is settled at its reservation and reserves anew") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  const auto reserved = bench.last_of<budget_reserved>();
  bench.restart(2);
  CHECK(bench.last_names() ==
        std::vector<std::string>{"budget_settled", "budget_reserved", "effect_started"});
  CHECK(bench.last_of<budget_settled>().tokens == reserved.tokens);
  CHECK(bench.state().run->used.input_tokens == reserved.tokens);
  CHECK(bench.state().run->reserved_tokens == reserved.tokens);
}

TEST_CASE("recovery: a run that cannot pay its model call again ends, and each effect once") {
  auto spec = llm_agent("t");
  spec.def.output_tokens_max = 100;
  spec.def.limits.tokens = 5 / 3 + 64 + 100;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  bench.restart(2);
  CHECK(bench.last_of<run_failed>().error.code == "limit_exceeded");
  CHECK(bench.last.starts.empty());
  CHECK(is_idle(bench.state()));
}

TEST_CASE("recovery: a limit that ends the run does not make its open write unknown twice") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger&) {
    request_model(turn, spec, "{}", 2);
    request_tool(turn, spec, {"pay", effect_kind::tool, effect_class::write, "{}", {}});
  };
  auto spec = native_agent("t");
  spec.def.output_tokens_max = 100;
  spec.def.limits.tokens = 2 / 3 + 64 + 100;
  bench.define(std::move(spec));
  bench.deliver();
  REQUIRE(bench.state().effects.size() == 2);
  bench.restart(2);
  CHECK(bench.count<run_failed>() == 1);
  CHECK(bench.count<effect_unknown>() == 1);
  CHECK(bench.only_effect().phase == effect_phase::unknown);
}

TEST_CASE("recovery: backoffs, declared effects and questions wait as before") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  bench.model_says(calls({{"c1", "look", "{}"}, {"c2", "research", "{}"}}));
  bench.outcome(bench.effect_named("look"), failed(failure_kind::transient));
  bench.restart(2);
  CHECK(bench.last.record == nullptr);
  CHECK(bench.effect_named("research").term == 1);
}
