// What goes from one partition to another: routed events, messages, questions, forks, and what could not be delivered.

#include "tests/unit/runtime_core/shard_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const agent_name echo_a{"echo", "a"};
const agent_name llm_a{"llm", "a"};

void add_trigger(compiled_agent& spec, const std::string& type,
                 std::shared_ptr<const expression> key) {
  compiled_trigger trigger;
  trigger.def.event = type;
  trigger.key = std::move(key);
  spec.triggers.push_back(std::move(trigger));
}

event routed(const std::string& type, const std::string& id) {
  auto e = event_of(type);
  e.source = "here";
  e.id = id;
  return e;
}

}  // namespace

TEST_CASE("outbox: a message that got lost is sent again, also after a restart") {
  shard_bench node{2};
  auto spec = native_agent("echo");
  add_trigger(spec, "go", giving("1"));
  node.define(std::move(spec));
  node.lose_mail = true;
  node.route(routed("go", "1"));
  node.run();
  CHECK(node.count_of("event_received") == 0);
  SUBCASE("in the same term") {}
  SUBCASE("in a later one") { node.restart(); }
  node.advance(500'000);
  node.lose_mail = false;
  node.advance(3'000'000);
  CHECK(node.count_of("event_received") == 1);
  CHECK(node.disk.size(family::outbox) == 0);
}

TEST_CASE("outbox: a message that comes twice is taken once") {
  shard_bench node{2};
  auto spec = native_agent("echo");
  add_trigger(spec, "go", giving("1"));
  node.define(std::move(spec));
  node.hold_mail = true;
  node.route(routed("go", "1"));
  node.run();
  REQUIRE(node.mails.size() == 1);
  const auto one = node.mails.front();
  node.mails.push_back(one);
  node.hold_mail = false;
  node.run();
  node.mails.push_back(one);
  node.run();
  node.restart();
  node.mails.push_back(one);
  node.run();
  CHECK(node.count_of("event_received") == 1);
  CHECK(node.count_of("inbound_accepted") == 1);
}

TEST_CASE("outbox: a full mailbox waits in the outbox of the sender and delivers later") {
  shard_bench node{2};
  auto spec = llm_agent("llm");
  spec.def.version = 2;
  spec.def.limits.mailbox = 1;
  add_trigger(spec, "go", giving(R"("a")"));
  node.define(std::move(spec));
  for (int i = 0; i < 3; ++i) {
    node.route(routed("go", std::to_string(i)));
    node.run();
  }
  CHECK(node.count_of("event_received") == 2);  // one runs, one waits, one is at home
  CHECK(node.disk.size(family::outbox) == 1);
  node.finish(node.started.back().effect, llm_a, succeeded(says("done")));
  node.advance(10'000'000);
  CHECK(node.count_of("event_received") == 3);
  CHECK(node.disk.size(family::outbox) == 0);
}

TEST_CASE("outbox: messages behind one that waits for room are taken up to a bound") {
  shard_bench node{1};
  auto& shard = node.shard_of(echo_a);
  outbox_message message;
  message.target = echo_a;
  message.event = event_of("go");
  const auto give = [&](std::uint64_t sequence) {
    message.event_ref = event_id{make_id(1, 1, 1, sequence)};
    message.run = run_id{message.event_ref.id};
    node.receipts.clear();
    shard.inbound({7, sequence}, message);
    node.hold_mail = true;
    node.run();
    REQUIRE(node.receipts.size() == 1);
    return node.receipts.front().taken;
  };
  CHECK(give(2));
  CHECK(give(4'096));
  CHECK_FALSE(give(4'097));
  CHECK(give(1));
  CHECK(give(4'097));
}

TEST_CASE("route: an event is durable at home with its routes, and delivered once to each agent") {
  shard_bench node{4};
  for (const std::string type : {"one", "two"}) {
    auto spec = native_agent(type);
    add_trigger(spec, "go", giving(R"("k")"));
    node.define(std::move(spec));
  }
  const auto first = node.route(routed("go", "1"), "key");
  const auto second = node.route(routed("go", "1"), "key");
  node.run();
  const auto third = node.route(routed("go", "1"), "key");
  node.run();
  const auto accepted = node.only_answer<routed_event>(first);
  CHECK(accepted.routes.size() == 2);
  CHECK(node.only_answer<routed_event>(second).event == accepted.event);
  CHECK(node.only_answer<routed_event>(third).event == accepted.event);
  CHECK(node.only_answer<routed_event>(third).replayed);
  CHECK(node.only_answer<routed_event>(third).routes == accepted.routes);
  CHECK(node.disk.size(family::event_log) == 1);
  CHECK(node.count_of("run_completed") == 2);
  for (const auto& one : accepted.routes)
    CHECK(node.stored({one.type, one.key}).last_run == one.run);
}

TEST_CASE("route: an event that nobody wants is kept in the event log") {
  shard_bench node;
  const auto request = node.route(routed("nothing.known", "1"));
  node.run();
  CHECK(node.only_answer<routed_event>(request).routes.empty());
  CHECK(node.disk.size(family::event_log) == 1);
}

TEST_CASE("dead letters: what has no key is kept at home, dropped once, and cannot be redriven") {
  shard_bench node;
  auto spec = native_agent("one");
  add_trigger(spec, "go", giving("null"));
  node.define(std::move(spec));
  node.route(routed("go", "1"));
  node.run();
  REQUIRE(node.disk.size(family::dead_letter) == 1);
  const auto range = keys::by_ids(1);
  const event_id id{
    *keys::id_of(node.disk.scan(family::dead_letter, range.lower, range.upper)->key())};
  CHECK(node.refusal(node.settle(id, true)) == errc::conflict);
  const auto dropped = node.settle(id, false);
  node.run();
  CHECK(node.only_answer<command_done>(dropped).changed);
  CHECK(node.disk.size(family::dead_letter) == 0);
  CHECK(node.refusal(node.settle(id, false)) == errc::not_found);
}

TEST_CASE("dead letters: a poison event is redriven once, however often it is asked for at once") {
  shard_bench node;
  auto spec = native_agent("brittle");
  spec.def.handler_attempts = 1;
  node.define(std::move(spec));
  bool broken = true;
  node.lends.native.call = [&](turn_builder& turn, const compiled_agent&, const trigger&) {
    if (broken)
      throw std::runtime_error("boom");
    complete_run(turn, "1");
  };
  node.send({"brittle", "a"});
  node.run();
  const auto range = keys::by_ids(1);
  const event_id id{
    *keys::id_of(node.disk.scan(family::dead_letter, range.lower, range.upper)->key())};
  broken = false;
  const auto first = node.settle(id, true);
  const auto second = node.settle(id, true);
  node.run();
  CHECK(node.only_answer<command_done>(first).changed);
  CHECK(node.refusal(second) == errc::conflict);
  CHECK(node.count_of("event_received") == 2);
  CHECK(node.count_of("run_completed") == 1);
}

TEST_CASE("dead letters: a redrive that the log had no room for may be asked for again") {
  shard_bench node;
  auto spec = native_agent("brittle");
  spec.def.handler_attempts = 1;
  node.define(std::move(spec));
  node.lends.native.call = [&](turn_builder&, const compiled_agent&, const trigger&) {
    throw std::runtime_error("boom");
  };
  node.send({"brittle", "a"});
  node.run();
  const auto range = keys::by_ids(1);
  const event_id id{
    *keys::id_of(node.disk.scan(family::dead_letter, range.lower, range.upper)->key())};
  node.log_says = errc::overloaded;
  CHECK(node.refusal(node.settle(id, false)) == errc::overloaded);
  node.log_says = errc::ok;
  const auto again = node.settle(id, false);
  node.run();
  CHECK(node.only_answer<command_done>(again).changed);
}

TEST_CASE("ask: a question and its answer cross partitions and restarts") {
  shard_bench node{4};
  node.define(native_agent("researcher"));
  const auto request = node.send(llm_a, "", "body", true);
  node.run();
  node.hold_mail = true;
  node.finish(node.started.back().effect, llm_a,
              succeeded(calls({{"c", "research", R"({"q":1})"}})));
  node.restart();
  node.hold_mail = false;
  node.advance(5'000'000);
  CHECK(node.count_of("run_completed") == 1);
  CHECK(node.count_of("tool_completed") == 1);
  CHECK(node.answers(request).size() == 1);  // its shard died: the client asks again
  CHECK(node.disk.size(family::outbox) == 0);
}

TEST_CASE("shard: what is asked before the term has begun is done when it has") {
  shard_bench node;
  node.send(llm_a);
  node.run();
  REQUIRE(node.log->depose(1, false));
  REQUIRE(node.log->lead(1));  // and `leader_started` is not committed yet
  const auto forked = node.fork(llm_a, 1, {"llm", "copy"});
  const auto settled = node.settle(event_id{make_id(1, 1, 0, 1)}, true);
  const auto sent = node.route(routed("go", "1"));
  for (const auto request : {forked, settled, sent})
    CHECK(node.answers(request).empty());
  CHECK(node.shard_of(llm_a).unfinished() > 0);
  node.run();
  CHECK(node.only_answer<command_done>(forked).agent == agent_name{"llm", "copy"});
  CHECK(node.refusal(settled) == errc::not_found);
  CHECK_FALSE(node.only_answer<routed_event>(sent).replayed);
}

TEST_CASE("shard: what waits for a term that is over before it has begun is told so") {
  shard_bench node;
  node.log_says = errc::overloaded;
  node.restart();
  const auto sent = node.route(routed("go", "1"));
  node.advance(1'000'000);
  CHECK(node.answers(sent).empty());
  node.log_says = errc::not_leader;
  node.advance(1'000'000);
  CHECK(node.shards_ended == std::vector{errc::not_leader});
  CHECK(node.refusal(sent) == errc::not_leader);
  CHECK(node.refusal(node.route(routed("go", "1"))) == errc::not_leader);
}

TEST_CASE("shard: so many requests wait for a term to begin, and no more") {
  shard_bench node;
  REQUIRE(node.log->depose(1, false));
  REQUIRE(node.log->lead(1));
  for (std::size_t i = 0; i < shard_options{}.deferred_max; ++i)
    REQUIRE(node.answers(node.route(routed("go", std::to_string(i)))).empty());
  CHECK(node.refusal(node.route(routed("go", "1"))) == errc::overloaded);
}

TEST_CASE("fork: makes an agent of its own, in whatever partition") {
  shard_bench node{4};
  node.send(llm_a);
  node.run();
  const auto seq = node.stored(llm_a).seq;
  const auto forked_ok = node.fork(llm_a, seq, {"llm", "copy"});
  node.run();
  CHECK(node.only_answer<command_done>(forked_ok).agent == agent_name{"llm", "copy"});
  CHECK(node.stored({"llm", "copy"}).message_next == 2);
  CHECK(node.refusal(node.fork(llm_a, seq + 10, {"llm", "other"})) == errc::not_found);
}
