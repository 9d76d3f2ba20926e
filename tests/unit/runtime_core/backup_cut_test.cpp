// Backups: where a group's part of one ends, and what comes only behind that.

#include "tests/unit/runtime_core/shard_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const agent_name cut_echo{"echo", "a"};

/// To be routed.
event cut_event(std::string id) {
  auto out = event_of("go");
  out.source = "/test";
  out.id = std::move(id);
  return out;
}

outbox_message message_to(const agent_name& target, std::uint64_t number) {
  outbox_message out;
  out.target = target;
  out.event = event_of("go");
  out.event_ref = event_id{make_id(1, 1, 1, number)};
  out.run = run_id{out.event_ref.id};
  return out;
}

/// Names of the facts of the partitions that were committed, in order.
std::vector<std::string> partition_facts(const shard_bench& node, std::size_t from = 0) {
  std::vector<std::string> out;
  for (std::size_t i = from; i < node.committed_records.size(); ++i)
    for (const auto& f : node.committed_records[i]->facts)
      if (is_partition_fact(f) && !std::holds_alternative<leader_started>(f))
        out.emplace_back(name_of(f));
  return out;
}

std::uint64_t stored_epoch(const shard_bench& node, group_id group = 1) {
  const auto bytes = node.disk.get(family::meta, keys::partition_state(group));
  REQUIRE((bytes && *bytes));
  const auto state = codec::decode_partition_state(**bytes);
  REQUIRE(state);
  return state->backup_epoch;
}

/// Two groups, a native agent in each; routed events go from where they are at home to `away`.
struct two_groups {
  shard_bench node{2};
  two_groups() {
    auto spec = native_agent("one");
    compiled_trigger wants;
    wants.def.event = "go";
    wants.key = giving(R"("k")");
    spec.triggers.push_back(std::move(wants));
    node.define(std::move(spec));
    node.hold_mail = true;
    for (int i = 0; node.mails.empty(); ++i) {
      REQUIRE(i < 50);
      node.route(cut_event(std::to_string(i)));
      node.run();
      if (!node.mails.empty() && node.mails.back().target == node.mails.back().stamp.source)
        node.mails.clear();
    }
    before = node.committed_records.size();
  }
  group_id source() const { return node.mails.front().stamp.source; }
  std::size_t before = 0;
};

}  // namespace

TEST_CASE("backup: what comes with a newer epoch is taken only behind the group's own cut") {
  shard_bench node;
  node.hold_mail = true;
  node.shard_of(cut_echo).inbound({7, 1, 5}, message_to(cut_echo, 1));
  node.run();
  CHECK(partition_facts(node) == std::vector<std::string>{"backup_cut", "inbound_accepted"});
  CHECK(stored_epoch(node) == 5);
  REQUIRE(node.receipts.size() == 1);
  CHECK(node.receipts.front().epoch == 5);
}

TEST_CASE("backup: what comes with the group's own epoch, or an older one, cuts nothing") {
  shard_bench node;
  node.hold_mail = true;
  auto& shard = node.shard_of(cut_echo);
  shard.cut(5);
  shard.cut(5);
  shard.inbound({7, 1, 5}, message_to(cut_echo, 1));
  node.run();
  shard.inbound({7, 2, 4}, message_to(cut_echo, 2));
  shard.cut(3);
  node.run();
  CHECK(node.count_of("backup_cut") == 1);
  CHECK(node.count_of("inbound_accepted") == 2);
  node.restart();
  node.shard_of(cut_echo).cut(5);
  node.run();
  CHECK(node.count_of("backup_cut") == 1);
}

TEST_CASE(
  "backup: a receipt with a newer epoch lets a message go only behind the group's own cut") {
  two_groups at;
  auto& node = at.node;
  const auto sent = node.mails.front();
  node.mails.clear();
  // The target takes it and then cuts; its receipt is one of after the cut.
  agent_name there{"one", "k"};
  auto& target = node.shard_of(there);
  target.cut(9);
  target.inbound(sent.stamp, sent.message);
  node.run();
  CHECK(partition_facts(node, at.before) ==
        std::vector<std::string>{"backup_cut", "inbound_accepted"});
  const auto taken = node.committed_records.size();
  node.hold_mail = false;
  node.run();
  CHECK(partition_facts(node, taken) == std::vector<std::string>{"backup_cut", "outbox_acked"});
  CHECK(stored_epoch(node, at.source()) == 9);
}

TEST_CASE(
  "backup: a message that was sent before the cut is told with the newer epoch when sent again") {
  two_groups at;
  auto& node = at.node;
  node.mails.clear();
  agent_name there{"one", "k"};
  for (group_id group = 1; group <= 2; ++group)
    if (group != group_of(there, 2))
      node.shard_of(group_of(cut_echo, 2) == group ? cut_echo : agent_name{"echo", "b"}).cut(9);
  node.run();
  node.advance(3'000'000);
  REQUIRE_FALSE(node.mails.empty());
  const auto epoch = stored_epoch(node, node.mails.front().stamp.source);
  CHECK(node.mails.front().stamp.epoch == epoch);
}

TEST_CASE("backup: a cut that the log has no room for passes nothing that comes behind it") {
  shard_bench node;
  node.hold_mail = true;
  node.log_says = errc::overloaded;
  auto& shard = node.shard_of(cut_echo);
  shard.inbound({7, 1, 5}, message_to(cut_echo, 1));
  node.run();
  CHECK(partition_facts(node).empty());
  node.log_says = errc::ok;
  node.advance(10'000);
  shard.inbound({7, 1, 5}, message_to(cut_echo, 1));
  node.run();
  CHECK(partition_facts(node) == std::vector<std::string>{"backup_cut", "inbound_accepted"});
}

TEST_CASE("backup: a cut is a record alone, and ends its entry") {
  turn_record record;
  CHECK(cut_epoch(record) == 0);
  record.facts.push_back(backup_cut{7});
  CHECK(cut_epoch(record) == 7);
  record.facts.front() = leader_started{};
  CHECK(cut_epoch(record) == 0);
  shard_bench node;
  auto& shard = node.shard_of(cut_echo);
  node.send(cut_echo);
  shard.cut(4);
  CHECK(node.log->queued(1) == 1);
}
