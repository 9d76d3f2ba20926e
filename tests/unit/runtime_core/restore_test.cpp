// Restores: what was open in a backup is held, and goes on only when somebody resumes it.

#include "tests/unit/runtime_core/shard_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const agent_name held_echo{"echo", "a"};
const agent_name held_llm{"llm", "a"};
constexpr time_us taken_at = agent_bench::t0 + 1'000'000;

/// As a restore does it: the state says so when the node is started.
void restore(shard_bench& node) {
  auto record = std::make_shared<turn_record>();
  record->at = taken_at;
  record->facts.push_back(group_restored{77, taken_at});
  const std::shared_ptr<const turn_record> fixed = std::move(record);
  node.log->crash();
  write_set writes;
  for (group_id group = 1; group <= node.partitions; ++group)
    node.machine->apply(node.disk, group, 1'000'000, {&fixed, 1}, writes);
  REQUIRE(node.disk.write(writes, true));
  node.started.clear();
  node.now = taken_at + 3'600'000'000;
  node.restart();
}

void resume(shard_bench& node, const agent_name& who) {
  node.submit(who, control{control_verb::resume, "ann", "", {}, false});
  node.run();
}

wake_kind first_cause(const shard_bench& node, const agent_name& of) {
  const auto causes = wake_causes(node.stored(of));
  REQUIRE_FALSE(causes.empty());
  return causes.front().kind;
}

compiled_agent with_tool(effect_class cls) {
  auto spec = llm_agent("llm");
  spec.def.version = 2;
  add_tool(spec, tool("act", cls));
  return spec;
}

/// A call of that class is under way.
void begin_call(shard_bench& node, effect_class cls) {
  node.define(with_tool(cls));
  node.send(held_llm);
  node.run();
  node.finish(node.started.back().effect, held_llm, succeeded(calls({{"c1", "act", "{}"}})));
  node.run();
  REQUIRE(node.started.back().effect.kind == effect_kind::tool);
}

/// To be routed.
event held_event(std::string id) {
  auto out = event_of("go");
  out.source = "/test";
  out.id = std::move(id);
  return out;
}

}  // namespace

TEST_CASE(
  "restore: an open run is paused, says why and what resumes it, and ends when it is resumed") {
  shard_bench node;
  node.send(held_llm);
  node.run();
  REQUIRE(node.started.size() == 1);
  restore(node);
  CHECK(node.started.empty());
  const auto held = node.stored(held_llm);
  CHECK(status_of(held) == agent_status::paused);
  const auto causes = wake_causes(held);
  REQUIRE_FALSE(causes.empty());
  CHECK(causes.front().kind == wake_kind::restored);
  CHECK(causes.front().command == "holdfast agent resume llm/a");
  resume(node, held_llm);
  REQUIRE(node.started.size() == 1);
  CHECK(node.started.front().effect.attempt == 2);
  node.finish(node.started.front().effect, held_llm, succeeded(says("done")));
  node.run();
  CHECK_FALSE(node.stored(held_llm).run);
  CHECK(is_idle(node.stored(held_llm)));
}

TEST_CASE("restore: an open write is unknown, and is never performed again unasked") {
  shard_bench node;
  begin_call(node, effect_class::write);
  const auto call = node.started.back().effect;
  restore(node);
  REQUIRE(node.stored(held_llm).effects.size() == 1);
  CHECK(node.stored(held_llm).effects.front().phase == effect_phase::unknown);
  CHECK(node.disk.get(family::index, keys::reconcile(1, {call.run, call.no}))->has_value());
  resume(node, held_llm);
  CHECK(node.started.empty());
  CHECK(first_cause(node, held_llm) == wake_kind::reconcile);
  node.submit(held_llm,
              resolve_effect{{call.run, call.no}, resolution::succeeded, "{}", "", "ann"});
  node.run();
  REQUIRE(node.started.size() == 1);
  CHECK(node.started.back().effect.kind == effect_kind::model);  // it goes on behind it
}

TEST_CASE("restore: a write that waited for another attempt may have been performed since") {
  shard_bench node;
  begin_call(node, effect_class::write);
  node.finish(node.started.back().effect, held_llm, failed(failure_kind::throttled));
  node.run();
  REQUIRE(node.stored(held_llm).effects.front().phase == effect_phase::retrying);
  restore(node);
  CHECK(node.stored(held_llm).effects.front().phase == effect_phase::unknown);
  resume(node, held_llm);
  node.advance(3'600'000'000);
  CHECK(node.started.empty());
}

TEST_CASE("restore: reads and idempotent calls start anew when the hold ends, and not before") {
  for (const auto cls : {effect_class::read, effect_class::idempotent}) {
    shard_bench node;
    begin_call(node, cls);
    restore(node);
    node.restart();
    node.advance(60'000'000);
    CHECK(node.started.empty());
    resume(node, held_llm);
    REQUIRE(node.started.size() == 1);
    CHECK(node.started.front().effect.kind == effect_kind::tool);
    CHECK(node.started.front().effect.attempt == 2);
  }
}

TEST_CASE("restore: timers stand still, and are due as much later as they did") {
  shard_bench node;
  node.lends.own.call = [](turn_builder& turn, const compiled_agent&, const trigger& t) {
    if (t.what == trigger::kind::start)
      turn.set_timer(timer_kind::sleep, turn.now() + 60'000'000, "nap");
    else
      complete_run(turn, "1");
  };
  auto spec = native_agent("sleeper");
  spec.def.behaviour = behaviour_kind::remote;
  node.define(std::move(spec));
  const agent_name sleeper{"sleeper", "a"};
  node.send(sleeper);
  node.run();
  REQUIRE(node.stored(sleeper).timers.size() == 1);
  const auto due = node.stored(sleeper).timers.front().due;
  restore(node);
  CHECK(node.stored(sleeper).timers.empty());
  CHECK(node.disk.size(family::timer) == 0);
  node.advance(7'200'000'000);
  CHECK(node.stored(sleeper).run);
  const auto resumed_at = node.now;
  resume(node, sleeper);
  REQUIRE(node.stored(sleeper).timers.size() == 1);
  CHECK(node.stored(sleeper).timers.front().due >= due + (resumed_at - taken_at));
  CHECK(node.disk.size(family::timer) == 1);
  node.advance(61'000'000);
  CHECK_FALSE(node.stored(sleeper).run);
  CHECK(node.disk.size(family::timer) == 0);
}

TEST_CASE("restore: new events queue behind a held run; agents without open work run at once") {
  shard_bench node;
  node.send(held_llm);
  node.send(held_echo);
  node.run();
  const auto runs = node.count_of("run_completed");
  restore(node);
  node.send(held_llm);
  node.send(held_echo);
  node.run();
  CHECK(node.stored(held_llm).mailbox_next - node.stored(held_llm).mailbox_head == 1);
  CHECK(node.count_of("run_completed") == runs + 1);
  CHECK_FALSE(node.stored(held_echo).paused);
}

TEST_CASE("restore: a pause of before is kept in words, and resume ends both") {
  shard_bench node;
  node.send(held_llm);
  node.run();
  node.submit(held_llm, control{control_verb::pause, "bob", "lunch", {}, false});
  node.submit(held_llm, control{control_verb::quarantine, "bob", "odd", {}, false});
  node.run();
  restore(node);
  CHECK(node.stored(held_llm).paused->reason.find("paused by bob: lunch") != std::string::npos);
  resume(node, held_llm);
  CHECK_FALSE(node.stored(held_llm).paused);
  CHECK_FALSE(node.stored(held_llm).quarantined);
  CHECK(node.started.size() == 1);
}

TEST_CASE("restore: it happens once, also when it is interrupted and begins anew") {
  shard_bench node;
  for (int i = 0; i < 600; ++i)
    node.send({"llm", std::to_string(i)});
  node.run();
  node.log_says = errc::ok;
  restore(node);
  CHECK(node.count_of("restored") == 600);
  CHECK(node.count_of("restore_finished") == 1);
  node.restart();
  CHECK(node.count_of("restored") == 600);
  CHECK(node.count_of("restore_finished") == 1);
}

TEST_CASE(
  "restore: a message that was on its way in the backup waits at its agent until it is resumed") {
  shard_bench node{2};
  auto spec = native_agent("one");
  compiled_trigger wants;
  wants.def.event = "go";
  wants.key = giving(R"("k")");
  spec.triggers.push_back(std::move(wants));
  node.define(std::move(spec));
  node.hold_mail = true;
  node.route(held_event("1"));
  node.run();
  REQUIRE(node.disk.size(family::outbox) == 1);
  restore(node);
  node.hold_mail = false;
  node.run();
  const agent_name one{"one", "k"};
  CHECK(node.disk.size(family::outbox) == 0);
  CHECK_FALSE(node.stored(one).run);
  CHECK(first_cause(node, one) == wake_kind::restored);
  node.route(held_event("2"));  // a new one: no difference
  node.run();
  CHECK(node.stored(one).mailbox_next - node.stored(one).mailbox_head == 2);
  resume(node, one);
  CHECK(is_idle(node.stored(one)));
  CHECK(node.count_of("run_completed") == 2);
}
