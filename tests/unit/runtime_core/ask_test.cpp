// Agents that ask, answer and send.

#include "schemas/codec.hpp"
#include "tests/unit/runtime_core/agent_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

/// A run that has asked another agent.
void ask(agent_bench& bench) {
  bench.deliver();
  bench.model_says(calls({{"c1", "research", R"({"topic":"x"})"}}));
}

std::vector<outbox_message> sent_of(const agent_bench& bench, outbox_kind kind) {
  std::vector<outbox_message> out;
  for (const auto& one : bench.all<message_sent>())
    if (one.message.kind == kind)
      out.push_back(one.message);
  return out;
}

}  // namespace

TEST_CASE("ask: the question is in the record that declares it, to an agent of its own") {
  agent_bench bench{llm_agent("t")};
  ask(bench);
  const auto effect = bench.only_effect();
  CHECK(effect.kind == effect_kind::agent);
  CHECK(effect.phase == effect_phase::started);
  CHECK(bench.last.starts.empty());  // no effect actor performs it
  const auto sent = bench.last_of<message_sent>();
  CHECK(sent.sequence == 0);  // the shard numbers it
  CHECK(sent.target_group == group_of(sent.message.target, partitions_default));
  CHECK(sent.message.target.type == "researcher");
  CHECK(sent.message.event.type == "holdfast.ask");
  CHECK(sent.message.event.data == R"({"topic":"x"})");
  CHECK(sent.message.event_ref.id == sent.message.run.id);
  CHECK(sent.message.run.id.group() == sent.target_group);
  CHECK(sent.message.reply_to ==
        reply_address{bench.state().name, bench.state().run->id, effect.no});
  CHECK(bench.causes() == std::vector{wake_kind::child});
  CHECK_FALSE(is_ready(bench.state()));
}

TEST_CASE("ask: the answer closes it, once, whatever the attempt") {
  agent_bench bench{llm_agent("t")};
  ask(bench);
  const auto effect = bench.only_effect();
  bench.turn(complete_effect{effect.run, effect.no, 0, succeeded(R"("42")")});
  CHECK(bench.conversation().back() == "tool: 42");
  bench.turn(complete_effect{effect.run, effect.no, 0, succeeded(R"("43")")});
  CHECK(bench.last.record == nullptr);
}

TEST_CASE("ask: a failed answer is final and told") {
  agent_bench bench{llm_agent("t")};
  ask(bench);
  const auto effect = bench.only_effect();
  bench.turn(complete_effect{effect.run, effect.no, 0, failed(failure_kind::transient, "gave up")});
  CHECK(bench.last_of<effect_failed>().final);
  CHECK(bench.conversation().back().find("gave up") != std::string::npos);
}

TEST_CASE("ask: the one that was asked answers when its run ends, however it ends") {
  const auto asked_by = reply_address{{"asker", "a"}, run_id{make_id(1, 2, 3, 4)}, 5};
  const auto receive = [&](agent_bench& bench) {
    deliver_event cmd;
    cmd.event = event_of("holdfast.ask");
    cmd.committed_before = true;
    cmd.reply_to = asked_by;
    bench.turn(cmd);
  };
  agent_bench bench{llm_agent("t")};
  receive(bench);
  SUBCASE("completed") {
    bench.model_says(says("42"));
    const auto told = sent_of(bench, outbox_kind::outcome);
    REQUIRE(told.size() == 1);
    CHECK(told.front().target == asked_by.agent);
    CHECK(told.front().reply_to == asked_by);
    CHECK(told.front().outcome.status == outcome_status::succeeded);
    CHECK(told.front().outcome.output == R"("42")");
  }
  SUBCASE("failed") {
    bench.outcome(bench.only_effect(), failed(failure_kind::rejected, "no"));
    const auto told = sent_of(bench, outbox_kind::outcome);
    REQUIRE(told.size() == 1);
    CHECK(told.front().outcome.error.code == "model_failed");
  }
  SUBCASE("killed") {
    bench.control_by(control_verb::kill);
    const auto told = sent_of(bench, outbox_kind::outcome);
    REQUIRE(told.size() == 1);
    CHECK(told.front().outcome.error.code == "cancelled");
  }
  SUBCASE("but a retry of it has nobody to tell") {
    bench.control_by(control_verb::kill);
    bench.control_by(control_verb::retry);
    bench.model_says(says("42"));
    CHECK(sent_of(bench, outbox_kind::outcome).size() == 1);
  }
}

TEST_CASE("ask: a run that ends tells the agent it asked that the answer is not wanted") {
  agent_bench bench{llm_agent("t")};
  ask(bench);
  const auto question = sent_of(bench, outbox_kind::event).front();
  SUBCASE("killed") { bench.control_by(control_verb::kill); }
  SUBCASE("cancelled: a question is not waited for") { bench.control_by(control_verb::cancel); }
  const auto told = sent_of(bench, outbox_kind::cancel);
  REQUIRE(told.size() == 1);
  CHECK(told.front().target == question.target);
  CHECK(told.front().run == question.run);
  CHECK(bench.count<effect_abandoned>() == 1);
  CHECK(is_idle(bench.state()));
}

TEST_CASE("ask: an answer that comes after the run ended changes nothing") {
  agent_bench bench{llm_agent("t")};
  ask(bench);
  const auto effect = bench.only_effect();
  bench.control_by(control_verb::kill);
  bench.turn(complete_effect{effect.run, effect.no, 0, succeeded("1")});
  CHECK(bench.last.record == nullptr);
}

TEST_CASE("send: questions and messages of one turn to one agent all have ids of their own") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger&) {
    for (int i = 0; i < 12; ++i) {
      request_agent(turn, spec, {{"other", "k"}, event_of("ask"), "other/k", {}});
      send_event(turn, {"other", "k"}, event_of("tell"));
    }
  };
  bench.deliver();
  std::vector<run_id> runs;
  for (const auto& one : bench.all<message_sent>())
    runs.push_back(one.message.run);
  REQUIRE(runs.size() == 24);
  std::sort(runs.begin(), runs.end());
  CHECK(std::adjacent_find(runs.begin(), runs.end()) == runs.end());
}

TEST_CASE("fork: the copy has the messages and the memory, and is idle") {
  agent_bench bench{llm_agent("t")};
  codec::forked_agent copy;
  copy.state.name = {"t", "old"};
  message m;
  m.content = "hello";
  copy.messages = {m, m};
  copy.memory = R"({"a":1})";
  bench.turn(adopt_fork{{"t", "old"}, 17, codec::encode(copy)});
  CHECK(bench.last_names() == std::vector<std::string>{"forked", "message_appended",
                                                       "message_appended", "state_changed"});
  CHECK(bench.last_of<forked>().at == 17);
  CHECK(is_idle(bench.state()));
  bench.turn(adopt_fork{{"t", "old"}, 17, codec::encode(copy)});
  CHECK(bench.refusal() == errc::conflict);
  agent_bench other{llm_agent("t")};
  other.turn(adopt_fork{{"t", "old"}, 17, "garbage"});
  CHECK(other.refusal() == errc::corrupt);
  CHECK(other.last.record == nullptr);
}
