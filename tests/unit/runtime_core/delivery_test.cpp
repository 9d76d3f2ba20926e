#include "tests/unit/runtime_core/agent_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

/// Completes at once with what it was sent.
void call_echo(turn_builder& turn, const compiled_agent&, const trigger& t) {
  complete_run(turn, t.arrived.data);
}

queued_command from_partition(deliver_event cmd, group_id source, std::uint64_t sequence) {
  cmd.committed_before = true;
  return {std::move(cmd), {}, false, {}, inbound_ref{source, sequence}};
}

class no_records final : public agent_records {
public:
  result<fact> fact_at(seq_no) const override { return error{errc::corrupt, "gone"}; }
  result<mailbox_entry> mailbox(std::uint64_t) const override {
    return error{errc::corrupt, "gone"};
  }
  result<std::string> memory(seq_no) const override { return error{errc::corrupt, "gone"}; }
  result<std::vector<message>> messages(std::uint64_t, std::uint64_t) const override {
    return error{errc::corrupt, "gone"};
  }
};

template <class T>
bool holds(const turn_record& record) {
  for (const auto& f : record.facts)
    if (std::holds_alternative<T>(f))
      return true;
  return false;
}

}  // namespace

TEST_CASE("delivery: an event to an idle agent starts its run in the same record") {
  agent_bench bench{native_agent("t")};
  bench.native.call = [](turn_builder& turn, const compiled_agent& spec, const trigger&) {
    request_tool(turn, spec, {"look", effect_kind::tool, effect_class::read, "{}", {}});
  };
  const auto run = bench.deliver(event_of("go", R"({"a":1})"));
  CHECK(bench.last_names() ==
        std::vector<std::string>{"event_received", "run_started", "tool_requested"});
  const auto received = bench.last_of<event_received>();
  CHECK(received.mailbox_no == 1);
  CHECK(received.run == run);
  CHECK(received.id.id == run.id);
  CHECK(received.id.id.group() == 3);
  CHECK(received.event.data == R"({"a":1})");
  const auto started = bench.last_of<run_started>();
  CHECK(started.run == run);
  CHECK(started.event_seq == 1);
  CHECK(started.version == 1);
  CHECK(bench.state().mailbox_head == bench.state().mailbox_next);
  CHECK(bench.native.seen.front().what == trigger::kind::start);
  CHECK(bench.native.seen.front().arrived.data == R"({"a":1})");
}

TEST_CASE("delivery: ids that the home partition gave are kept") {
  agent_bench bench{native_agent("t")};
  bench.native.call = call_echo;
  deliver_event cmd;
  cmd.id = event_id{make_id(5, 1, 2, 3)};
  cmd.run = run_id{make_id(5, 3, 2, 4)};
  cmd.event = event_of("go");
  cmd.committed_before = true;
  bench.turn(cmd);
  CHECK(bench.last_of<event_received>().id == cmd.id);
  CHECK(bench.last_of<run_completed>().run == cmd.run);
}

TEST_CASE("delivery: an event that comes while a run is open waits, and starts when the run ends") {
  agent_bench bench{llm_agent("t")};
  const auto first = bench.deliver();
  const auto second = bench.deliver(event_of("go", R"({"n":2})"));
  CHECK(bench.state().run->id == first);
  CHECK(bench.state().mailbox_next - bench.state().mailbox_head == 1);
  CHECK(bench.last.ended.empty());
  bench.model_says(says("done"));
  REQUIRE(bench.state().run);
  CHECK(bench.state().run->id == second);
  CHECK(bench.state().mailbox_head == bench.state().mailbox_next);
  REQUIRE(bench.last.ended.size() == 1);
  CHECK(bench.last.ended.front().summary.id == first);
}

TEST_CASE("delivery: events are numbered in their order and started in it") {
  agent_bench bench{native_agent("t")};
  bench.native.call = call_echo;
  std::vector<command> events;
  for (int i = 0; i < 5; ++i) {
    deliver_event cmd;
    cmd.event = event_of("go", std::to_string(i));
    events.push_back(cmd);
  }
  bench.turn(std::move(events));
  const auto received = bench.all<event_received>();
  const auto completed = bench.all<run_completed>();
  REQUIRE(received.size() == 5);
  REQUIRE(completed.size() == 5);
  for (std::size_t i = 0; i < 5; ++i) {
    CHECK(received[i].mailbox_no == i + 1);
    CHECK(completed[i].run == received[i].run);
    CHECK(completed[i].output == std::to_string(i));
  }
  CHECK(is_idle(bench.state()));
}

TEST_CASE("delivery: one turn starts at most 64 events and says that there is more") {
  agent_bench bench{native_agent("t")};
  bench.native.call = call_echo;
  std::vector<command> events(70, [] {
    deliver_event cmd;
    cmd.event = event_of("go");
    return command{cmd};
  }());
  bench.turn(std::move(events));
  CHECK(bench.count<run_completed>() == 64);
  CHECK(bench.last.more);
  CHECK(is_ready(bench.state()));
  CHECK(bench.causes() == std::vector{wake_kind::mailbox});
  bench.turn(std::vector<command>{});
  CHECK(bench.count<run_completed>() == 70);
  CHECK_FALSE(bench.last.more);
  CHECK(is_idle(bench.state()));
}

TEST_CASE("delivery: an event beyond limits.mailbox is refused and leaves nothing") {
  auto spec = llm_agent("t");
  spec.def.limits.mailbox = 2;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  bench.deliver();
  bench.deliver();
  CHECK(bench.refusal() == errc::ok);
  bench.deliver();
  CHECK(bench.refusal() == errc::mailbox_full);
  CHECK(bench.last.record == nullptr);
  CHECK(bench.count<event_received>() == 3);
}

TEST_CASE("delivery: a message of another partition that finds the mailbox full is not taken") {
  auto spec = llm_agent("t");
  spec.def.limits.mailbox = 1;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  bench.deliver();
  deliver_event cmd;
  cmd.event = event_of("go");
  std::vector<queued_command> queued;
  queued.push_back(from_partition(cmd, 5, 9));
  const auto turn = bench.core.take(std::move(queued), bench.context, no_records{});
  CHECK(turn.record == nullptr);
  REQUIRE(turn.results.front().refused);
  CHECK(turn.results.front().refused->code == errc::mailbox_full);
}

TEST_CASE("delivery: a message of another partition is marked as taken in the record of its turn") {
  agent_bench bench{native_agent("t")};
  bench.native.call = call_echo;
  deliver_event cmd;
  cmd.event = event_of("go");
  std::vector<queued_command> queued;
  queued.push_back(from_partition(cmd, 5, 9));
  queued.push_back(
    {control{control_verb::cancel, "t/other", "", {}, false}, {}, false, {}, inbound_ref{5, 10}});
  const auto turn = bench.core.take(std::move(queued), bench.context, no_records{});
  REQUIRE(turn.record);
  std::vector<std::uint64_t> taken;
  for (const auto& f : turn.record->facts)
    if (const auto* one = std::get_if<inbound_accepted>(&f))
      taken.push_back(one->sequence);
  CHECK(taken == std::vector<std::uint64_t>{9, 10});  // what was refused for good as well
  CHECK(turn.results[1].refused);
}

TEST_CASE("delivery: a request's key is recorded with its event, and not when it is refused") {
  auto spec = llm_agent("t");
  spec.def.limits.mailbox = 1;
  agent_bench bench{std::move(spec)};
  const auto send = [&](const std::string& key) {
    deliver_event cmd;
    cmd.event = event_of("go");
    std::vector<queued_command> queued;
    queued.push_back({cmd, {1, 7}, false, idempotency{digest_of({key}), {}, 99}, {}});
    auto turn = bench.core.take(std::move(queued), bench.context, no_records{});
    bench.commit(turn);
    return turn;
  };
  const auto first = send("a");
  REQUIRE(holds<idempotency_recorded>(*first.record));
  for (const auto& f : first.record->facts)
    if (const auto* once = std::get_if<idempotency_recorded>(&f)) {
      CHECK(once->scope == digest_of({"a"}));
      CHECK(once->run == first.results.front().decided.run);
      CHECK(once->agent == bench.state().name);
      CHECK(once->expires == 99);
    }
  send("b");
  const auto refused = send("c");
  CHECK(refused.record == nullptr);
  CHECK(refused.results.front().once == digest_of({"c"}));
}

TEST_CASE("delivery: `busy: reject` refuses an event while a run is open, and only then") {
  auto spec = llm_agent("t");
  spec.def.busy = busy_policy::reject;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  CHECK(bench.refusal() == errc::ok);
  bench.deliver();
  CHECK(bench.refusal() == errc::busy);
  CHECK(bench.last.record == nullptr);
  bench.model_says(says("done"));
  bench.deliver();
  CHECK(bench.refusal() == errc::ok);
}

TEST_CASE(
  "delivery: a routed event that meets `busy: reject` is a dead letter, and its asker is told") {
  auto spec = llm_agent("t");
  spec.def.busy = busy_policy::reject;
  agent_bench bench{std::move(spec)};
  bench.deliver();
  deliver_event cmd;
  cmd.event = event_of("go");
  cmd.committed_before = true;
  cmd.reply_to = reply_address{{"asker", "a"}, run_id{make_id(1, 2, 3, 4)}, 5};
  bench.turn(cmd);
  const auto letter = bench.last_of<dead_lettered>();
  CHECK(letter.agent == bench.state().name);
  CHECK(letter.reason.starts_with("busy: "));
  CHECK(letter.id.id.group() == 3);
  const auto told = bench.last_of<message_sent>().message;
  CHECK(told.kind == outbox_kind::outcome);
  CHECK(told.target == agent_name{"asker", "a"});
  CHECK(told.reply_to == cmd.reply_to);
  CHECK(told.outcome.status == outcome_status::failed);
  CHECK(bench.count<event_received>() == 1);
}

TEST_CASE(
  "delivery: an unknown type is refused for a client, and fails the run of a routed event") {
  agent_bench bench{llm_agent("t")};
  bench.context.definitions = std::make_shared<const catalog>();
  bench.deliver();
  CHECK(bench.refusal() == errc::unknown_type);
  deliver_event cmd;
  cmd.event = event_of("go");
  cmd.committed_before = true;
  bench.turn(cmd);
  CHECK(bench.last_of<run_failed>().error.code == "unknown_type");
  CHECK(is_idle(bench.state()));
}

TEST_CASE("delivery: a binary without the behaviour fails the run and says which one is missing") {
  agent_bench bench{native_agent("t")};
  bench.has_behaviour = false;
  bench.deliver();
  const auto error = bench.last_of<run_failed>().error;
  CHECK(error.code == "no_behaviour");
  CHECK(error.message.find("`t`") != std::string::npos);
}

TEST_CASE("delivery: a run keeps the version it started with, the next one takes the current") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  auto second = llm_agent("t");
  second.def.version = 2;
  second.def.models = {"backup"};
  bench.define(std::move(second));
  bench.model_says(calls({{"c1", "look", "{}"}}));
  bench.outcome(bench.only_effect(), succeeded());
  CHECK(bench.last_of<model_requested>().model == "primary");
  CHECK(bench.state().run->version == 1);
  bench.model_says(says("done"));
  bench.deliver();
  CHECK(bench.last_of<run_started>().version == 2);
  CHECK(bench.last_of<model_requested>().model == "backup");
}

TEST_CASE(
  "delivery: only a turn of new events may be refused, and not while older ones are under way") {
  agent_bench bench{native_agent("t")};
  bench.native.call = call_echo;
  deliver_event cmd;
  cmd.event = event_of("go");
  CHECK(bench.propose({cmd}).may_refuse);
  bench.core.discarded();
  CHECK_FALSE(bench.propose({cmd, control{control_verb::pause, "ann", "", {}, false}}).may_refuse);
  bench.core.discarded();
  bench.turn(std::vector<command>(70, cmd));
  REQUIRE(bench.last.more);
  CHECK_FALSE(bench.propose({}).may_refuse);
  bench.core.discarded();
  CHECK_FALSE(bench.propose({cmd}).may_refuse);
}

TEST_CASE("delivery: a discarded turn leaves the state as it was") {
  agent_bench bench{llm_agent("t")};
  const auto before = bench.state();
  deliver_event cmd;
  cmd.event = event_of("go");
  const auto turn = bench.propose({cmd});
  REQUIRE(turn.record);
  CHECK(bench.state() == before);
  bench.core.discarded();
  CHECK(bench.state() == before);
  CHECK(bench.propose({cmd}).record->first_seq == 1);
}

TEST_CASE("delivery: a mailbox that cannot be read is an incident, not silence") {
  agent_bench bench{native_agent("t")};
  bench.native.call = call_echo;
  deliver_event cmd;
  cmd.event = event_of("go");
  bench.turn(std::vector<command>(70, cmd));
  const auto turn = bench.core.take({}, bench.context, no_records{});
  REQUIRE(turn.record);
  REQUIRE(holds<quarantined>(*turn.record));
  CHECK_FALSE(turn.more);
}

TEST_CASE("delivery: records are stamped with a time that never goes back") {
  agent_bench bench{llm_agent("t")};
  bench.deliver();
  const auto before = bench.last.record->at;
  bench.context.now -= 60'000'000;
  bench.deliver();
  CHECK(bench.last.record->at == before);
}
