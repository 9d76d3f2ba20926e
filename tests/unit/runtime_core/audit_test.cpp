// The audit log: in the record of what it is about, as a chain that shows what was done to it.

#include "runtime/core/audit_chain.hpp"
#include "tests/unit/runtime_core/shard_bench.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const agent_name noted{"echo", "a"};

audit_recorded note(const std::string& subject) {
  return {"ops", "POST", "/v1/agents/{type}/{key}/pause", subject, "req_1", "127.0.0.1", "done"};
}

std::vector<audit_entry> entries(const reader& disk, group_id group) {
  std::vector<audit_entry> out;
  const auto range = keys::audits(group);
  for (auto at = disk.scan(family::audit, range.lower, range.upper); at->valid(); at->next()) {
    auto entry = codec::decode_audit_entry(at->value());
    REQUIRE(entry);
    out.push_back(std::move(*entry));
  }
  return out;
}

/// A group's log of audited calls, applied one record after the other.
struct audited_group {
  static constexpr group_id group = 2;
  memory_store disk;
  std::optional<fact_machine> machine{std::in_place, 16, test_digest};
  std::uint64_t index = 0;

  void commit(std::vector<fact> facts, time_us at) {
    auto record = std::make_shared<turn_record>();
    record->at = at;
    record->facts = std::move(facts);
    const std::shared_ptr<const turn_record> fixed = std::move(record);
    write_set out;
    machine->apply(disk, group, ++index, std::span{&fixed, 1}, out);
    REQUIRE(disk.write(out, true));
  }
  void change(std::uint64_t number, const std::function<void(audit_entry&)>& how) {
    const auto all = entries(disk, group);
    auto one = all.at(number - 1);
    const auto key = keys::audit(group, one.at, one.number);
    how(one);
    write_set out;
    out.put(family::audit, key, codec::encode(one));
    REQUIRE(disk.write(out, true));
  }
  void erase(std::uint64_t number) {
    const auto one = entries(disk, group).at(number - 1);
    write_set out;
    out.erase(family::audit, keys::audit(group, one.at, one.number));
    REQUIRE(disk.write(out, true));
  }
  chain_report check() const { return check_chain(disk, group, test_digest); }
};

}  // namespace

TEST_CASE("audit: a control verb and its audit are one record") {
  shard_bench node;
  node.send(noted);
  node.run();
  const auto before = node.committed_records.size();
  const auto request =
    node.control_by(noted, control{control_verb::pause, "ops", "", {}, false}, note("echo/a"));
  node.run();
  CHECK(node.only_answer<command_done>(request).changed);
  REQUIRE(node.committed_records.size() == before + 1);
  CHECK(node.count_of("audit_recorded") == 1);
  CHECK(node.stored(noted).paused);
  const auto all = entries(node.disk, group_of(noted, 1));
  REQUIRE(all.size() == 1);
  CHECK(all[0].what == note("echo/a"));
  CHECK(check_chain(node.disk, group_of(noted, 1), test_digest).code.empty());
}

TEST_CASE("audit: a verb that changes nothing is audited, a refused one not by the shard") {
  shard_bench node;
  const control pause{control_verb::pause, "ops", "", {}, false};
  node.control_by(noted, pause, note("1"));
  node.run();
  const auto seq = node.stored(noted).seq;
  const auto again = node.control_by(noted, pause, note("2"));
  node.run();
  CHECK_FALSE(node.only_answer<command_done>(again).changed);
  CHECK(node.stored(noted).seq == seq);
  CHECK(entries(node.disk, 1).size() == 2);
  const auto refused = node.control_by(
    noted, control{control_verb::cancel, "ops", "", run_id{make_id(5, 1, 1, 1)}, false}, note("3"));
  node.run();
  REQUIRE(std::holds_alternative<error>(node.answers(refused).front()));
  CHECK(entries(node.disk, 1).size() == 2);
}

TEST_CASE("audit: a deleted agent leaves its audit behind") {
  shard_bench node;
  node.send(noted);
  node.run();
  node.control_by(noted, control{control_verb::remove, "ops", "", {}, false}, note("delete"));
  node.run();
  CHECK(node.disk.size(family::snapshot) == 0);
  CHECK(entries(node.disk, 1).size() == 1);
}

TEST_CASE("audit: an event costs no entry") {
  shard_bench node;
  node.send(noted);
  node.run();
  CHECK(node.disk.size(family::audit) == 0);
}

TEST_CASE("audit: an entry follows from the one before, in the order of the log") {
  audited_group log;
  log.commit({note("1"), note("2")}, 50);
  log.commit({note("3")}, 20);  // stamped earlier: another agent's clock
  log.machine.emplace(16, test_digest);
  log.commit({note("4")}, 70);
  const auto all = entries(log.disk, log.group);
  REQUIRE(all.size() == 4);
  CHECK(all[0].previous.empty());
  for (std::size_t i = 0; i < all.size(); ++i) {
    CHECK(all[i].number == i + 1);
    CHECK(all[i].what.subject == std::to_string(i + 1));
    if (i > 0) {
      CHECK(all[i].previous == all[i - 1].hash);
      CHECK(all[i].at >= all[i - 1].at);
    }
  }
  const auto report = log.check();
  CHECK(report.code.empty());
  CHECK(report.entries == 4);
}

TEST_CASE("audit: replicas make the same bytes") {
  audited_group one;
  audited_group other;
  one.commit({note("1")}, 5);
  one.commit({note("2")}, 6);
  other.commit({note("1")}, 5);
  other.machine.emplace(1, test_digest);
  other.commit({note("2")}, 6);
  CHECK(entries(one.disk, 2) == entries(other.disk, 2));
}

TEST_CASE("audit: what is done to a chain shows") {
  audited_group log;
  for (int i = 1; i <= 5; ++i)
    log.commit({note(std::to_string(i))}, i);
  CHECK(log.check().code.empty());
  std::string code;
  SUBCASE("an entry that was changed") {
    log.change(3, [](audit_entry& one) { one.what.by = "somebody else"; });
    code = "audit_changed";
  }
  SUBCASE("an entry that was changed with its hash") {
    log.change(3, [](audit_entry& one) {
      one.what.outcome = "forbidden";
      one.hash = hash_of(one, test_digest);
    });
    code = "audit_changed";
  }
  SUBCASE("the last one changed with its hash") {
    log.change(5, [](audit_entry& one) {
      one.what.outcome = "forbidden";
      one.hash = hash_of(one, test_digest);
    });
    code = "audit_cut";
  }
  SUBCASE("an entry that is missing") {
    log.erase(2);
    code = "audit_gap";
  }
  SUBCASE("the first that is missing") {
    log.erase(1);
    code = "audit_gap";
  }
  SUBCASE("the end that is missing") {
    log.erase(5);
    code = "audit_cut";
  }
  SUBCASE("bytes that do not parse") {
    write_set out;
    out.put(family::audit, keys::audit(log.group, 3, 3), "\x01garbage");
    REQUIRE(log.disk.write(out, true));
    code = "unreadable";
  }
  CHECK(log.check().code == code);
  CHECK_FALSE(log.check().detail.empty());
}

TEST_CASE("access: an event that reaches beyond its sender's scope is refused and stored nowhere") {
  shard_bench node{2};
  for (const auto* type : {"echo", "other"}) {
    auto spec = native_agent(type);
    compiled_trigger trigger;
    trigger.def.event = "go";
    trigger.key = giving("1");
    spec.triggers.push_back(std::move(trigger));
    node.define(std::move(spec));
  }
  const auto sent = [](const std::string& id) {
    auto e = event_of("go");
    e.source = "here";
    e.id = id;
    return e;
  };
  const auto refused = node.route_as(sent("1"), {"ci", {{"echo"}}});
  node.run();
  const auto why = node.only_answer<error>(refused);
  CHECK(why.code == errc::forbidden);
  CHECK(node.disk.size(family::event_log) == 0);
  const auto taken = node.route_as(sent("1"), {"ci", {{"echo", "other"}}});
  node.run();
  CHECK(node.only_answer<routed_event>(taken).routes.size() == 2);
  CHECK(node.disk.size(family::event_log) == 1);
}
