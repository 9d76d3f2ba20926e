#include <random>

#include "tests/unit/runtime_core/stored_agent.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

void complete_at_once(turn_builder& turn, const compiled_agent&, const trigger& t) {
  complete_run(turn, t.arrived.data);
}

void sleep_then_complete(turn_builder& turn, const compiled_agent&, const trigger& t) {
  if (t.what == trigger::kind::start)
    turn.set_timer(timer_kind::sleep, turn.now() + 1'000'000, "nap");
  else
    complete_run(turn, "1");
}

/// Everything that a journal holds of an agent, evolved from nothing.
agent_state recomputed(const stored_agent& agent) {
  std::map<seq_no, std::pair<time_us, fact>> facts;
  for (const auto in : {family::journal, family::message, family::memory, family::stream}) {
    const auto range = keys::numbered_range(stored_agent::group, agent.name);
    for (auto at = agent.disk.scan(in, range.lower, range.upper); at->valid(); at->next()) {
      auto stored = codec::decode_facts(at->value());
      REQUIRE(stored);
      for (auto& one : stored->facts)
        REQUIRE(facts.emplace(one.seq, std::pair{stored->at, std::move(one.fact)}).second);
    }
  }
  agent_state state;
  state.name = agent.name;
  for (const auto& [seq, one] : facts) {
    REQUIRE(seq == state.seq + 1);
    evolve(state, one.second, one.first);
  }
  return state;
}

}  // namespace

TEST_CASE("apply: a timer has a key from when it is set until it fires or is cancelled") {
  stored_agent agent{native_agent("t")};
  agent.definitions.native.call = sleep_then_complete;
  agent.deliver();
  const auto timer = agent.state().timers.front();
  const auto key = keys::timer(stored_agent::group, timer.due, agent.name, timer.id);
  CHECK(agent.has(family::timer, key));
  SUBCASE("fired") {
    agent.definitions.context.now = timer.due;
    agent.turn(fire_timer{timer.id});
  }
  SUBCASE("cancelled with its run") {
    agent.turn(control{control_verb::kill, "ann", "", {}, false});
  }
  CHECK_FALSE(agent.has(family::timer, key));
  CHECK(agent.disk.size(family::timer) == 0);
}

TEST_CASE("apply: an agent is ready while something of it was started or is to be started") {
  stored_agent agent{llm_agent("t")};
  const auto key = keys::ready(stored_agent::group, agent.name);
  agent.deliver();
  CHECK(agent.has(family::index, key));
  agent.outcome(agent.state().effects.front(), failed(failure_kind::transient));
  CHECK_FALSE(agent.has(family::index, key));  // a timer will wake it
  const auto timer = agent.state().timers.front();
  agent.definitions.context.now = timer.due;
  agent.turn(fire_timer{timer.id});
  CHECK(agent.has(family::index, key));
  agent.outcome(agent.state().effects.front(), succeeded(says("done")));
  CHECK_FALSE(agent.has(family::index, key));
}

TEST_CASE("apply: an unknown write is listed until it is resolved") {
  stored_agent agent{llm_agent("t")};
  agent.deliver();
  agent.outcome(agent.state().effects.front(), succeeded(calls({{"c", "pay", R"({"amount":1})"}})));
  const auto effect = agent.state().effects.front();
  const effect_id id{effect.run, effect.no};
  const auto key = keys::reconcile(stored_agent::group, id);
  agent.outcome(effect, failed(failure_kind::transient));
  CHECK(agent.has(family::index, key));
  CHECK(**agent.disk.get(family::index, key) == to_string(agent.name));
  agent.turn(resolve_effect{id, resolution::retry, "", "", "ann"});
  CHECK_FALSE(agent.has(family::index, key));
  agent.outcome(agent.state().effects.front(), failed(failure_kind::transient));
  CHECK(agent.has(family::index, key));
  agent.turn(resolve_effect{id, resolution::failed, "", "", "ann"});
  CHECK_FALSE(agent.has(family::index, key));
}

TEST_CASE(
  "apply: an event has a mailbox key only while it waits, its run a summary from the start") {
  stored_agent agent{llm_agent("t")};
  const auto first = agent.deliver();
  CHECK(agent.disk.size(family::mailbox) == 0);  // started in the same record
  const auto second = agent.deliver();
  CHECK(agent.has(family::mailbox, keys::numbered(stored_agent::group, agent.name, 2)));
  CHECK(agent.run(first)->status != run_status::queued);
  CHECK(agent.run(second)->status == run_status::queued);
  CHECK(agent.run(second)->received_at == agent.last.record->at);
  agent.outcome(agent.state().effects.front(), succeeded(says("done")));
  CHECK(agent.disk.size(family::mailbox) == 0);
  const auto end = agent.run(first);
  CHECK(end->status == run_status::completed);
  CHECK(end->ended_at == agent.last.record->at);
  CHECK(end->used.model_calls == 1);
  const auto told = load_end(agent.disk, stored_agent::group, *end);
  REQUIRE(told);
  CHECK(told->output == R"("done")");
}

TEST_CASE(
  "apply: a run that is cancelled while it waits is over, also in the record that received it") {
  stored_agent agent{llm_agent("t")};
  agent.deliver();
  deliver_event cmd;
  cmd.id = event_id{make_id(5, 3, 1, 2)};
  cmd.run = run_id{make_id(5, 3, 1, 3)};
  cmd.event = event_of("go");
  std::vector<queued_command> commands;
  commands.push_back({cmd, {}, false, {}, {}});
  SUBCASE("in one record") {}
  SUBCASE("in two") {
    agent.turn(std::move(commands));
    commands.clear();
  }
  commands.push_back(
    {control{control_verb::cancel, "ann", "no", cmd.run, false}, {}, false, {}, {}});
  agent.turn(std::move(commands));
  const auto summary = agent.run(cmd.run);
  CHECK(summary->status == run_status::cancelled);
  CHECK(summary->ended_at != 0);
  CHECK(summary->event == cmd.id);
  CHECK(summary->event_seq != 0);
  const auto end = load_end(agent.disk, stored_agent::group, *summary);
  REQUIRE(end);
  CHECK(end->error.code == "cancelled");
  agent.outcome(agent.state().effects.front(), succeeded(says("done")));
  CHECK(agent.disk.size(family::mailbox) == 0);
  CHECK(agent.run(cmd.run)->status == run_status::cancelled);
}

TEST_CASE("apply: a retry's summary says where its history begins, also when it is over") {
  stored_agent agent{llm_agent("t")};
  const auto first = agent.deliver();
  agent.outcome(agent.state().effects.front(), failed(failure_kind::rejected));
  agent.turn(control{control_verb::retry, "ann", "", {}, false});
  const auto retried = agent.state().run->id;
  const auto started = agent.run(retried);
  CHECK(started->retry_of == first);
  CHECK(started->started_seq > agent.run(first)->ended_seq);
  agent.outcome(agent.state().effects.front(), succeeded(says("done")));
  CHECK(agent.run(retried)->started_seq == started->started_seq);
}

TEST_CASE("apply: messages, memory and text are records of their own, the rest is in the journal") {
  stored_agent agent{llm_agent("t")};
  agent.deliver();
  CHECK(agent.has(family::message, keys::numbered(stored_agent::group, agent.name, 1)));
  const auto effect = agent.state().effects.front();
  agent.turn(append_text{effect.run, effect.no, 1, "Hel"});
  CHECK(agent.disk.size(family::stream) == 1);
  agent.turn(patch_state{R"({"a":1})", {}, "ann"});
  CHECK(agent.has(family::memory,
                  keys::numbered(stored_agent::group, agent.name, agent.state().memory_seq)));
  const auto asked = agent.records->fact_at(effect.seq);
  REQUIRE(asked);
  CHECK(std::holds_alternative<model_requested>(*asked));
  const auto messages = agent.records->messages(1, agent.state().message_next);
  REQUIRE(messages);
  CHECK(messages->front().content == "hello");
  CHECK(agent.records->memory(agent.state().memory_seq));
  CHECK_FALSE(agent.records->messages(1, agent.state().message_next + 1));
  CHECK_FALSE(agent.records->fact_at(agent.state().seq + 1));
}

TEST_CASE("apply: an agent that is deleted leaves nothing, not even of its last record") {
  stored_agent agent{native_agent("t")};
  agent.definitions.native.call = complete_at_once;
  agent.deliver();
  agent.turn(patch_state{R"({"a":1})", {}, "ann"});
  deliver_event cmd;
  cmd.event = event_of("go");
  std::vector<queued_command> commands;
  SUBCASE("alone in its record") {}
  SUBCASE("after a pause and a change of memory in the same record") {
    commands.push_back({patch_state{R"({"b":1})", {}, "ann"}, {}, false, {}, {}});
    commands.push_back({control{control_verb::pause, "ann", "", {}, false}, {}, false, {}, {}});
  }
  commands.push_back({control{control_verb::remove, "ann", "", {}, false}, {}, false, {}, {}});
  agent.turn(std::move(commands));
  for (const auto in : {family::snapshot, family::journal, family::mailbox, family::message,
                        family::memory, family::stream, family::timer, family::run, family::index})
    CHECK_MESSAGE(agent.disk.size(in) == 0, to_string(in));

  // Who comes back under its name has a history of its own.
  for (int i = 0; i < 4; ++i)
    agent.deliver();
  CHECK(agent.state().seq == 12);
  CHECK(recomputed(agent) == agent.state());
  CHECK(agent.records->fact_at(9));
}

TEST_CASE("apply: a refused message from elsewhere does not bring an agent into being") {
  stored_agent agent{llm_agent("t")};
  std::vector<queued_command> commands;
  commands.push_back({control{control_verb::cancel, "t/x", "", run_id{make_id(1, 3, 1, 1)}, false},
                      {},
                      false,
                      {},
                      inbound_ref{5, 1}});
  agent.turn(std::move(commands));
  REQUIRE(agent.last.record);
  CHECK(agent.disk.size(family::snapshot) == 0);
  CHECK(agent.has(family::meta, keys::partition_state(stored_agent::group)));
}

TEST_CASE("apply: what is taken from another partition is remembered, in and out of order") {
  partition_state state;
  const auto take = [&](std::uint64_t sequence) {
    evolve(state, inbound_accepted{4, sequence}, 1);
  };
  take(2);
  take(5);
  take(1);
  CHECK(state.taken[4].watermark == 2);
  CHECK(state.taken[4].beyond == std::vector<std::uint64_t>{5});
  for (std::uint64_t sequence : {1ULL, 2ULL, 5ULL})
    CHECK(was_taken(state, 4, sequence));
  for (std::uint64_t sequence : {3ULL, 4ULL, 6ULL})
    CHECK_FALSE(was_taken(state, 4, sequence));
  CHECK_FALSE(was_taken(state, 5, 1));
  take(4);
  take(3);
  CHECK(state.taken[4].watermark == 5);
  CHECK(state.taken[4].beyond.empty());
  const auto before = state;
  take(3);
  CHECK(state == before);
}

TEST_CASE("apply: few cached agents give the same bytes as many") {
  memory_store disks[2];
  fact_machine machines[2] = {fact_machine{1}, fact_machine{4'096}};
  std::vector<std::unique_ptr<agent_bench>> agents;
  for (int i = 0; i < 3; ++i) {
    agents.push_back(std::make_unique<agent_bench>(native_agent("t"), "k" + std::to_string(i)));
    agents.back()->native.call = complete_at_once;
  }
  std::uint64_t index = 0;
  for (int round = 0; round < 6; ++round)
    for (auto& agent : agents) {
      agent->deliver();
      ++index;
      const std::vector<std::shared_ptr<const turn_record>> batch{agent->last.record};
      for (int i = 0; i < 2; ++i) {
        write_set writes;
        machines[i].apply(disks[i], 3, index, batch, writes);
        REQUIRE(disks[i].write(writes, true));
      }
    }
  CHECK(machines[0].reads() > machines[1].reads());
  for (std::size_t in = 0; in < family_count; ++in) {
    const auto range = keys::group(3);
    auto a = disks[0].scan(static_cast<family>(in), range.lower, range.upper);
    auto b = disks[1].scan(static_cast<family>(in), range.lower, range.upper);
    for (; a->valid() && b->valid(); a->next(), b->next()) {
      CHECK(a->key() == b->key());
      CHECK(a->value() == b->value());
    }
    CHECK_FALSE(a->valid());
    CHECK_FALSE(b->valid());
  }
}

TEST_CASE("fork: a copy is the agent as it was at that fact") {
  stored_agent agent{llm_agent("t")};
  agent.deliver();
  agent.turn(patch_state{R"({"a":1})", {}, "ann"});
  const auto at = agent.state().seq;
  const auto state_then = agent.state();
  agent.outcome(agent.state().effects.front(), succeeded(says("done")));
  agent.turn(patch_state{R"({"a":2})", {}, "ann"});
  auto copy = copy_at(agent.disk, stored_agent::group, agent.name, at);
  REQUIRE(copy);
  CHECK(copy->state == state_then);
  CHECK(copy->messages.size() == 1);
  CHECK(copy->memory == R"({"a":1})");
  copy = copy_at(agent.disk, stored_agent::group, agent.name, agent.state().seq);
  REQUIRE(copy);
  CHECK(copy->state == agent.state());
  CHECK(copy->messages.size() == 2);
  CHECK(copy->memory == R"({"a":2})");
}

TEST_CASE("fork: a fact that is not there, and history that was trimmed, are refused") {
  stored_agent agent{llm_agent("t")};
  CHECK(copy_at(agent.disk, stored_agent::group, agent.name, 1).error().code == errc::not_found);
  agent.deliver();
  CHECK(copy_at(agent.disk, stored_agent::group, agent.name, 0).error().code == errc::not_found);
  CHECK(copy_at(agent.disk, stored_agent::group, agent.name, agent.state().seq + 1).error().code ==
        errc::not_found);
  write_set trim;
  trim.erase(family::journal, keys::numbered(stored_agent::group, agent.name, 1));
  REQUIRE(agent.disk.write(trim, true));
  CHECK(copy_at(agent.disk, stored_agent::group, agent.name, 3).error().code == errc::gone);
}

TEST_CASE("apply: whatever happens to an agent, its journal adds up to its snapshot and its core") {
  for (std::uint32_t seed = 1; seed <= 60; ++seed) {
    CAPTURE(seed);
    std::mt19937 random{seed};
    const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    auto spec = seed % 2 == 0 ? llm_agent("t") : native_agent("t");
    spec.def.limits.wall_ms = seed % 5 == 0 ? 20'000 : 0;
    spec.def.limits.steps = 20;
    spec.def.handler_attempts = 3;
    stored_agent agent{std::move(spec)};
    agent.definitions.native.call = [&](turn_builder& turn, const compiled_agent& of,
                                        const trigger&) {
      turn.add(state_changed{R"({"n":)" + std::to_string(random() % 100) + "}"});
      switch (pick(9)) {
        case 0:
          throw std::runtime_error("boom");
        case 1:
          complete_run(turn, "1");
          return;
        case 2:
          turn.set_timer(timer_kind::sleep, turn.now() + 1'000'000, "nap");
          return;
        case 3:
          turn.add(awaiting_event{"go", "", turn.set_timer(timer_kind::wait, turn.now() + 5, "")});
          return;
        case 4:
          turn.add(text_emitted{turn.state().run->id, turn.state().run->emitted_bytes, "ab"});
          return;  // leaves nothing to wait for, sometimes
        case 5:
          request_model(turn, of, "{}", 2);
          return;
        default: {
          const auto& tool = of.tools[pick(3)];
          request_tool(turn, of, {tool.def.name, effect_kind::tool, tool.def.cls, "{}", {}});
        }
      }
    };
    for (int step = 0; step < 150; ++step) {
      const auto& state = agent.state();
      agent.definitions.context.now += static_cast<time_us>(pick(400'000));
      switch (pick(12)) {
        case 0:
        case 1:
          agent.deliver(event_of(pick(2) == 0 ? "go" : "other"));
          break;
        case 2:
        case 3:
        case 4:
        case 5:
          if (!state.effects.empty()) {
            const auto effect = state.effects[pick(state.effects.size())];
            if (pick(3) == 0)
              agent.outcome(effect, failed(static_cast<failure_kind>(1 + pick(5))));
            else if (effect.kind != effect_kind::model)
              agent.outcome(effect, succeeded());
            else if (pick(2) == 0)
              agent.outcome(effect, succeeded(says("done")));
            else
              agent.outcome(effect, succeeded(calls({{"a", "look", "{}"}, {"b", "fly", "{}"}})));
          }
          break;
        case 6:
        case 7:
          if (!state.timers.empty()) {
            const auto timer = state.timers[pick(state.timers.size())];
            agent.definitions.context.now = std::max(agent.definitions.context.now, timer.due);
            agent.turn(fire_timer{timer.id});
          }
          break;
        case 8:
          agent.turn(control{static_cast<control_verb>(1 + pick(7)), "ann", "", {}, pick(2) == 0});
          break;
        case 9:
          if (!state.effects.empty())
            agent.turn(resolve_effect{{state.effects[0].run, state.effects[0].no},
                                      static_cast<resolution>(1 + pick(3)),
                                      "1",
                                      "",
                                      "ann"});
          break;
        case 10:
          ++agent.definitions.context.term;
          agent.reload();
          agent.turn(recover{});
          break;
        default:
          if (!state.effects.empty())
            agent.turn(append_text{state.effects[0].run, state.effects[0].no,
                                   state.effects[0].attempt, "text"});
      }
      REQUIRE_FALSE(is_stuck(agent.state()));
      REQUIRE((is_idle(agent.state()) || !wake_causes(agent.state()).empty()));
    }
    CHECK(recomputed(agent) == agent.state());
    CHECK(agent.disk.size(family::timer) == agent.state().timers.size());
    CHECK(agent.disk.size(family::mailbox) ==
          agent.state().mailbox_next - agent.state().mailbox_head);
    CHECK(agent.has(family::index, keys::ready(stored_agent::group, agent.name)) ==
          is_ready(agent.state()));
    std::size_t unknown = 0;
    for (const auto& effect : agent.state().effects)
      unknown += effect.phase == effect_phase::unknown ? 1 : 0;
    CHECK(agent.keys_in(keys::reconciles(stored_agent::group), family::index) == unknown);
  }
}
