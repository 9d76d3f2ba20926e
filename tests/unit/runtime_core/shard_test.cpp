#include "runtime/core/turn_limits.hpp"
#include "tests/unit/runtime_core/shard_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const agent_name echo{"echo", "a"};
const agent_name llm{"llm", "a"};

/// A type whose runs sleep for a minute.
void define_sleeper(shard_bench& node) {
  node.lends.own.call = [](turn_builder& turn, const compiled_agent&, const trigger& t) {
    if (t.what == trigger::kind::start)
      turn.set_timer(timer_kind::sleep, turn.now() + 60'000'000, "nap");
    else
      complete_run(turn, "1");
  };
  auto spec = native_agent("sleeper");
  spec.def.behaviour = behaviour_kind::remote;
  node.define(std::move(spec));
}

}  // namespace

TEST_CASE("shard: an event is accepted only after its record is committed") {
  shard_bench node;
  const auto request = node.send(echo);
  CHECK(node.answers(request).empty());
  node.run();
  const auto accepted = node.only_answer<accepted_event>(request);
  CHECK(accepted.agent == echo);
  CHECK_FALSE(accepted.replayed);
  CHECK(node.stored(echo).last_run == accepted.run);
}

TEST_CASE("shard: effects start after the commit, and only once") {
  shard_bench node;
  node.send(llm);
  CHECK(node.started.empty());
  node.run();
  REQUIRE(node.started.size() == 1);
  CHECK(node.started.front().effect.kind == effect_kind::model);
  node.run();
  CHECK(node.started.size() == 1);
}

TEST_CASE("shard: a repeat of a request that is in flight or done joins it") {
  shard_bench node;
  const auto first = node.send(echo, "key");
  const auto second = node.send(echo, "key");
  node.run();
  const auto third = node.send(echo, "key");
  node.run();
  node.restart();
  const auto fourth = node.send(echo, "key");
  node.run();
  const auto accepted = node.only_answer<accepted_event>(first);
  CHECK_FALSE(accepted.replayed);
  for (const auto request : {second, third, fourth}) {
    const auto again = node.only_answer<accepted_event>(request);
    CHECK(again.replayed);
    CHECK(again.event == accepted.event);
    CHECK(again.run == accepted.run);
  }
  CHECK(node.count_of("event_received") == 1);
}

TEST_CASE("shard: a key with another body is refused, while in flight and afterwards") {
  shard_bench node;
  node.send(echo, "key", "one");
  CHECK(node.refusal(node.send(echo, "key", "two")) == errc::idempotency_conflict);
  node.run();
  CHECK(node.refusal(node.send(echo, "key", "two")) == errc::idempotency_conflict);
}

TEST_CASE("shard: a sender's own id joins whatever the body") {
  shard_bench node;
  const auto first = node.send(echo, "id", "");
  const auto second = node.send(echo, "id", "");
  node.run();
  CHECK(node.only_answer<accepted_event>(second).run ==
        node.only_answer<accepted_event>(first).run);
}

TEST_CASE("shard: a key that has expired may be used again") {
  shard_bench node;
  node.send(echo, "key");
  node.run();
  node.advance(61'000'000);
  const auto again = node.send(echo, "key");
  node.run();
  CHECK_FALSE(node.only_answer<accepted_event>(again).replayed);
  CHECK(node.count_of("event_received") == 2);
}

TEST_CASE("shard: a request whose first cannot be read is refused, not done again") {
  shard_bench node;
  node.send(echo, "key");
  node.run();
  const auto before = node.count_of("event_received");
  std::string at;
  {
    const auto found = node.disk.scan(family::idempotency, {}, "\xff");
    REQUIRE(found->valid());
    at = found->key();
  }
  write_set damage;
  damage.put(family::idempotency, at, "damaged");
  REQUIRE(node.disk.write(damage, true));
  const auto again = node.send(echo, "key");
  node.run();
  CHECK(node.refusal(again) == errc::corrupt);
  CHECK(node.count_of("event_received") == before);
}

TEST_CASE("shard: the repeats of a refused request are refused with it, and the key stays free") {
  shard_bench node;
  const agent_name unknown{"nobody", "a"};
  const auto first = node.send(unknown, "key");
  const auto second = node.send(unknown, "key");
  node.run();
  CHECK(node.refusal(first) == errc::unknown_type);
  CHECK(node.refusal(second) == errc::unknown_type);
  node.define(native_agent("nobody"));
  const auto third = node.send(unknown, "key");
  node.run();
  CHECK_FALSE(node.only_answer<accepted_event>(third).replayed);
}

TEST_CASE("shard: who waits for the end is told of the acceptance first and of the end last") {
  shard_bench node;
  const auto at_once = node.send(echo, "key", "body", true);
  const auto repeat = node.send(echo, "key", "body", true);
  node.run();
  // The run ended in the very record that accepted the event: one answer is enough for the first.
  CHECK(std::holds_alternative<run_answer>(node.answers(at_once).back()));
  REQUIRE(node.answers(repeat).size() == 2);
  CHECK(std::holds_alternative<accepted_event>(node.answers(repeat)[0]));
  CHECK(std::get<run_answer>(node.answers(repeat)[1]).replayed);

  const auto waits = node.send(llm, "", "body", true);
  node.run();
  CHECK(std::holds_alternative<accepted_event>(node.answers(waits).back()));
  node.finish(node.started.back().effect, llm, succeeded(says("done")));
  REQUIRE(node.answers(waits).size() == 2);
  const auto end = std::get<run_answer>(node.answers(waits)[1]).end;
  CHECK(end.summary.status == run_status::completed);
  CHECK(end.output == R"("done")");
}

TEST_CASE("shard: a repeat that waits for a run that is not kept is told so") {
  shard_bench node;
  node.send(echo, "key");
  node.run();
  node.submit(echo, control{control_verb::remove, "ann", "", {}, false});
  node.run();
  const auto again = node.send(echo, "key", "body", true);
  REQUIRE(node.answers(again).size() == 2);
  CHECK(std::get<error>(node.answers(again)[1]).code == errc::gone);
}

TEST_CASE("shard: waiting for a run: unknown, over, open") {
  shard_bench node;
  CHECK(node.refusal(node.ask_for_end(echo, run_id{make_id(1, 1, 1, 1)})) == errc::not_found);
  const auto done = node.send(echo);
  node.run();
  const auto run = node.only_answer<accepted_event>(done).run;
  CHECK(node.only_answer<run_answer>(node.ask_for_end(echo, run)).end.summary.id == run);
  const auto open = node.send(llm);
  node.run();
  const auto request = node.ask_for_end(llm, node.only_answer<accepted_event>(open).run);
  CHECK(node.answers(request).empty());
  node.submit(llm, control{control_verb::kill, "ann", "", {}, false});
  node.run();
  CHECK(node.only_answer<run_answer>(request).end.summary.status == run_status::cancelled);
}

TEST_CASE("shard: clients that wait for a run are bounded, and the first makes room") {
  shard_bench node;
  const auto open = node.send(llm);
  node.run();
  const auto run = node.only_answer<accepted_event>(open).run;
  std::vector<std::uint64_t> requests;
  for (int i = 0; i < 6; ++i)
    requests.push_back(node.ask_for_end(llm, run));
  for (std::size_t i = 0; i < requests.size(); ++i) {
    CAPTURE(i);
    if (i < 2)
      CHECK(node.refusal(requests[i]) == errc::overloaded);
    else
      CHECK(node.answers(requests[i]).empty());
  }
  node.submit(llm, control{control_verb::kill, "ann", "", {}, false});
  node.run();
  for (std::size_t i = 2; i < requests.size(); ++i)
    CHECK(node.only_answer<run_answer>(requests[i]).end.summary.id == run);
}

TEST_CASE("shard: without room in the log new events are refused and nothing of them is written") {
  shard_bench node;
  node.log_says = errc::overloaded;
  const auto first = node.send(echo, "key");
  const auto second = node.send(echo, "key");
  node.run();
  CHECK(node.refusal(first) == errc::overloaded);
  CHECK(node.refusal(second) == errc::overloaded);
  node.log_says = errc::ok;
  const auto third = node.send(echo, "key");
  node.run();
  CHECK_FALSE(node.only_answer<accepted_event>(third).replayed);
  CHECK(node.count_of("event_received") == 1);
}

TEST_CASE("shard: without room in the log outcomes wait and come later, in their order") {
  shard_bench node{2};
  const agent_name other{"llm", "b"};
  REQUIRE(group_of(llm, 2) == group_of(other, 2));
  node.send(llm);
  node.send(other);
  node.run();
  REQUIRE(node.started.size() == 2);
  const auto ask = succeeded(calls({{"c", "research", "{}"}}));
  node.log_says = errc::overloaded;
  node.finish(node.started[0].effect, node.started[0].agent, ask);
  CHECK(node.count_of("model_completed") == 0);
  node.log_says = errc::ok;
  // The second one must not pass the first: both carry numbered messages.
  node.finish(node.started[1].effect, node.started[1].agent, ask);
  node.advance(1'000'000);
  CHECK(node.count_of("model_completed") == 2);
  CHECK(node.shards_ended.empty());
}

TEST_CASE(
  "shard: events that were accepted before are gone on with, whatever the log has room for") {
  shard_bench node;
  std::vector<std::uint64_t> requests;
  for (int i = 0; i < 64; ++i)
    requests.push_back(node.send(llm));
  node.run();
  // 63 wait behind the open run. It ends, and each of the others fails at once.
  node.lends.has_behaviour = false;
  node.finish(node.started.back().effect, llm, failed(failure_kind::rejected));
  const auto late = node.send(llm);
  node.run();
  CHECK(std::holds_alternative<accepted_event>(node.answers(late).front()));
  CHECK(is_idle(node.stored(llm)));
}

TEST_CASE("shard: a sweep through the mailbox goes on after the log had no room for a part of it") {
  shard_bench node;
  node.submit(echo, control{control_verb::pause, "ann", "", {}, false});
  for (int i = 0; i < 100; ++i)
    node.send(echo);
  node.run();
  REQUIRE(node.stored(echo).mailbox_next == 101);
  int proposals = 0;
  node.log->on_propose = [&](group_id, const turn_record& record) {
    return !record.agent.empty() && ++proposals == 2 ? errc::overloaded : errc::ok;
  };
  node.submit(echo, control{control_verb::resume, "ann", "", {}, false});
  node.run();
  node.advance(1'000'000);
  CHECK(proposals >= 2);
  CHECK(is_idle(node.stored(echo)));
}

TEST_CASE("shard: a start that the log had no room for is made again") {
  shard_bench node;
  node.log_says = errc::overloaded;
  node.restart();
  CHECK_FALSE(node.shard_of(echo).is_started());
  node.advance(1'000'000);
  node.log_says = errc::ok;
  node.advance(1'000'000);
  CHECK(node.shard_of(echo).is_started());
}

TEST_CASE("shard: a log that is led by another, or says nothing certain, ends the shard") {
  for (const auto says_what : {errc::not_leader, errc::unknown_outcome}) {
    shard_bench node;
    const auto request = node.send(echo);
    node.log_says = says_what;
    node.run();
    CHECK(node.shards_ended == std::vector{says_what});
    CHECK(node.answers(request).empty());
    CHECK(node.refusal(node.send(echo)) == errc::not_leader);
  }
}

TEST_CASE("shard: more client events than it may hold are refused") {
  shard_bench node;
  std::vector<std::uint64_t> requests;
  for (std::size_t i = 0; i < 4'096; ++i)
    node.send({"echo", "k" + std::to_string(i % 10)});
  // Ten agents have taken one each.
  CHECK(node.shard_of(echo).queued_events() == 4'086);
  for (int i = 0; i < 11; ++i)  // one more agent takes its first
    CHECK(node.answers(node.send(echo)).empty());
  CHECK(node.refusal(node.send(echo, "key")) == errc::overloaded);
  CHECK(node.answers(node.submit(echo, control{})).empty());  // controls have room
  node.run();
  CHECK(node.shard_of(echo).queued_events() == 0);
  CHECK(node.answers(node.send(echo, "key")).empty());  // and the key is free
}

TEST_CASE("shard: a timer fires when it is due, also after a restart with nothing else to do") {
  shard_bench node;
  define_sleeper(node);
  node.send({"sleeper", "a"});
  node.run();
  SUBCASE("in the same term") {}
  SUBCASE("in a later one") { node.restart(); }
  node.advance(59'000'000);
  CHECK(node.count_of("timer_fired") == 0);
  node.advance(1'100'000);
  CHECK(node.count_of("timer_fired") == 1);
  CHECK(is_idle(node.stored({"sleeper", "a"})));
}

TEST_CASE("shard: a timer that is due while the process is down fires at the next start") {
  shard_bench node;
  define_sleeper(node);
  node.send({"sleeper", "a"});
  node.run();
  node.now += 3'600'000'000;
  node.restart();
  CHECK(node.count_of("timer_fired") == 1);
}

TEST_CASE("shard: thousands of timers of one moment all fire") {
  shard_bench node;
  define_sleeper(node);
  for (int i = 0; i < 1'000; ++i)
    node.send({"sleeper", "k" + std::to_string(i)});
  node.run();
  node.advance(60'100'000);
  CHECK(node.count_of("timer_fired") == 1'000);
}

TEST_CASE("shard: a timer whose command met a clock that had gone back is not forgotten") {
  shard_bench node;
  define_sleeper(node);
  node.send({"sleeper", "a"});
  node.send({"sleeper", "b"});
  node.run();
  node.advance(30'000'000);
  node.send({"sleeper", "later"});
  node.run();
  // The shard sees that they are due, the agents do not.
  node.now += 30'100'000;
  node.shard_of(echo).tick();
  node.now -= 10'000'000;
  node.run();
  CHECK(node.count_of("timer_fired") == 0);
  node.advance(25'000'000);
  CHECK(node.count_of("timer_fired") == 2);  // without waiting for that of `later`
}

TEST_CASE(
  "shard: idle agents leave memory by themselves and are as they were when they come back") {
  shard_bench node;
  node.send(echo);
  node.send(llm);
  node.run();
  CHECK(node.shard_of(echo).agents_loaded() == 2);
  node.advance(20'000'000);
  CHECK(node.passivated.contains(echo));
  CHECK(node.shard_of(echo).agents_loaded() == 0);
  node.finish(node.started.back().effect, llm, succeeded(says("done")));
  CHECK(node.stored(llm).used.model_calls == 1);
}

TEST_CASE("shard: what follows a delete in the same moment meets a new agent") {
  shard_bench node;
  node.send(echo);
  node.run();
  const auto seq = node.stored(echo).seq;
  CHECK(seq > 0);
  // The agent is busy, so that all three wait and are decided one after the other.
  node.submit(echo, patch_state{R"({"a":1})", {}, "ann"});
  const auto removed = node.submit(echo, control{control_verb::remove, "ann", "", {}, false});
  const auto sent = node.send(echo);
  node.run();
  CHECK(node.only_answer<command_done>(removed).changed);
  const auto accepted = node.only_answer<accepted_event>(sent);
  const auto state = node.stored(echo);
  CHECK(state.last_run == accepted.run);
  CHECK(state.memory_seq == 0);
  CHECK(state.mailbox_next == 2);
  CHECK(state.seq == 3);
}

TEST_CASE("shard: effects of kind `nothing` are done by committing them") {
  shard_bench node;
  node.lends.own.call = [](turn_builder& turn, const compiled_agent& spec, const trigger&) {
    if (turn.state().run->steps == 10)
      complete_run(turn, "10");
    else
      request_tool(turn, spec, {"step", effect_kind::nothing, effect_class::read, "{}", {}});
  };
  auto spec = native_agent("loop");
  spec.def.behaviour = behaviour_kind::remote;
  node.define(std::move(spec));
  node.send({"loop", "a"});
  node.run();
  CHECK(node.count_of("tool_completed") == 10);
  CHECK(node.count_of("run_completed") == 1);
  CHECK(node.started.empty());
}

TEST_CASE("shard: an effect that is given up is stopped") {
  shard_bench node;
  node.send(llm);
  node.run();
  node.submit(llm, control{control_verb::kill, "ann", "", {}, false});
  node.run();
  CHECK(node.stopped == std::vector<std::uint32_t>{1});
}

TEST_CASE("shard: at its start it looks at agents with open effects and at nobody else") {
  shard_bench node;
  define_sleeper(node);
  node.send(llm);
  node.send(echo);
  node.send({"sleeper", "a"});
  node.run();
  node.restart();
  CHECK(node.shard_of(llm).agents_loaded() == 1);
  CHECK(node.started.size() == 2);
  CHECK(node.started.back().effect.attempt == 2);
}

TEST_CASE("shard: large commands are decided in several turns, so that no record is too large") {
  shard_bench node;
  std::size_t largest = 0;
  std::size_t events = 0;
  node.log->on_propose = [&](group_id, const turn_record& record) {
    std::size_t bytes = 0;
    for (const auto& f : record.facts)
      if (const auto* received = std::get_if<event_received>(&f)) {
        bytes += received->event.data.size();
        ++events;
      }
    largest = std::max(largest, bytes);
    return errc::ok;
  };
  deliver_event large;
  large.event.type = "go";
  large.event.data = '"' + std::string(900'000, 'x') + '"';
  for (int i = 0; i < 20; ++i)
    node.submit(echo, large);
  large.event.data = '"' + std::string(turn_bytes_max + 1, 'x') + '"';
  node.submit(echo, large);
  node.run();
  CHECK(events == 21);
  CHECK(largest == turn_bytes_max + 3);  // that one alone
}
