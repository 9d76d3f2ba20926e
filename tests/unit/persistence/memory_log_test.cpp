#include "persistence/memory_log.hpp"

#include <doctest/doctest.h>

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "persistence/keys.hpp"
#include "persistence/log_state.hpp"
#include "persistence/memory_store.hpp"

using namespace holdfast;
using namespace std::string_literals;

namespace {

using record_ptr = std::shared_ptr<const turn_record>;

// Puts each record's time into the journal under its place in the log.
struct recorder final : state_machine {
  void apply(const reader& view, group_id group, std::uint64_t index,
             std::span<const record_ptr> records, write_set& out) override {
    const auto before = view.get(family::meta, keys::log_state(group));
    REQUIRE(before);
    CHECK(**before != ""s);
    for (std::size_t i = 0; i < records.size(); ++i)
      out.put(family::journal,
              std::to_string(group) + ":" + std::to_string(index) + "." + std::to_string(i),
              std::to_string(records[i]->at));
  }
};

struct listener final : commit_listener {
  void leading(group_id group, std::uint64_t term) override {
    told.push_back("leading " + std::to_string(group) + " term " + std::to_string(term));
  }
  void committed(group_id group, std::uint64_t term, std::uint64_t index,
                 std::vector<record_ptr> records) override {
    auto line = "committed " + std::to_string(group) + " term " + std::to_string(term) + " index " +
                std::to_string(index) + ":";
    for (const auto& record : records)
      line += " " + std::to_string(record->at);
    told.push_back(line);
    objects.insert(objects.end(), records.begin(), records.end());
    if (on_committed)
      on_committed();
  }
  void lost(group_id group, std::uint64_t term, errc why) override {
    told.push_back("lost " + std::to_string(group) + " term " + std::to_string(term) + " " +
                   std::string(to_string(why)));
  }
  std::vector<std::string> take() { return std::exchange(told, {}); }

  std::vector<std::string> told;
  std::vector<record_ptr> objects;
  std::function<void()> on_committed;
};

using lines = std::vector<std::string>;

record_ptr record(time_us at) {
  turn_record made;
  made.at = at;
  return std::make_shared<const turn_record>(std::move(made));
}

struct memory_log_fixture {
  memory_store db;
  recorder machine;
  listener owner;
  memory_log log{db, machine, owner};

  std::uint64_t lead(group_id group) {
    auto term = log.lead(group);
    REQUIRE(term);
    return *term;
  }
  void propose(group_id group, std::uint64_t term, time_us at) {
    REQUIRE(log.propose(group, term, record(at)));
  }
  std::size_t step(std::size_t records_max = memory_log::unlimited) {
    auto stepped = log.step(records_max);
    REQUIRE(stepped);
    return *stepped;
  }
  errc refused(group_id group, std::uint64_t term) {
    const auto proposed = log.propose(group, term, record(0));
    return proposed ? errc::ok : proposed.error().code;
  }
  std::string journal() {
    std::string out;
    for (auto at = db.scan(family::journal, "", "\xFF"); at->valid(); at->next())
      out += std::string(at->key()) + "=" + std::string(at->value()) + " ";
    return out;
  }
  std::string log_state(group_id group) {
    auto got = db.get(family::meta, keys::log_state(group));
    REQUIRE(got);
    return got->value_or("");
  }
};

}  // namespace

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: nothing is committed before a step, and then all in one") {
  const auto term = lead(3);
  CHECK(owner.take() == lines{"leading 3 term 1"});
  const auto first = record(10);
  REQUIRE(log.propose(3, term, first));
  propose(3, term, 11);
  CHECK(log.queued() == 2);
  CHECK(log.queued(3) == 2);
  CHECK(log.queued(4) == 0);
  CHECK(owner.take().empty());
  CHECK(journal().empty());
  CHECK(step() == 2);
  CHECK(owner.take() == lines{"committed 3 term 1 index 1: 10 11"});
  CHECK(owner.objects.front() == first);
  CHECK(journal() == "3:1.0=10 3:1.1=11 ");
  CHECK(log.queued() == 0);
  CHECK(step() == 0);
  CHECK(log.count().records == 2);
  CHECK(log.count().groups == 2);
  CHECK(log.count().bytes > 0);
}

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: a step takes no more than it is told and keeps the order") {
  const auto term = lead(1);
  for (time_us at = 1; at <= 5; ++at)
    propose(1, term, at);
  owner.take();
  CHECK(step(2) == 2);
  CHECK(step(2) == 2);
  CHECK(step(2) == 1);
  CHECK(owner.take() == lines{"committed 1 term 1 index 1: 1 2", "committed 1 term 1 index 2: 3 4",
                              "committed 1 term 1 index 3: 5"});
}

TEST_CASE_FIXTURE(memory_log_fixture, "memory_log: groups take turns") {
  for (const group_id group : std::vector<group_id>{5, 0, 2}) {
    const auto term = lead(group);
    propose(group, term, group * 10);
    propose(group, term, group * 10 + 1);
  }
  owner.take();
  const auto steps = log.drain(1);
  REQUIRE(steps);
  CHECK(*steps == 6);
  CHECK(owner.take() == lines{"committed 0 term 1 index 1: 0", "committed 2 term 1 index 1: 20",
                              "committed 5 term 1 index 1: 50", "committed 0 term 1 index 2: 1",
                              "committed 2 term 1 index 2: 21", "committed 5 term 1 index 2: 51"});
  propose(2, 1, 22);
  propose(5, 1, 52);
  const auto chosen = log.step_group(5);
  REQUIRE(chosen);
  CHECK(*chosen == 1);
  CHECK(owner.take() == lines{"committed 5 term 1 index 3: 52"});
}

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: a listener may propose what the next step commits") {
  const auto term = lead(1);
  propose(1, term, 1);
  owner.take();
  owner.on_committed = [&] {
    owner.on_committed = nullptr;
    propose(1, term, 2);
  };
  const auto drained = log.drain();
  REQUIRE(drained);
  CHECK(*drained == 2);
  CHECK(owner.take() == lines{"committed 1 term 1 index 1: 1", "committed 1 term 1 index 2: 2"});
}

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: only the present term of a led group is accepted") {
  CHECK(refused(1, 1) == errc::not_leader);
  const auto term = lead(1);
  CHECK(log.leads(1, term));
  CHECK_FALSE(log.leads(1, term + 1));
  CHECK_FALSE(log.leads(2, term));
  CHECK(refused(1, term - 1) == errc::not_leader);
  CHECK(refused(1, term + 1) == errc::not_leader);
  REQUIRE(log.depose(1, false));
  CHECK_FALSE(log.leads(1, term));
  CHECK(refused(1, term) == errc::not_leader);
  CHECK(lead(1) == term + 1);
  CHECK(refused(1, term) == errc::not_leader);
  CHECK(refused(1, term + 1) == errc::ok);
}

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: a hook refuses proposals, which then leave no trace") {
  const auto term = lead(1);
  log.on_propose = [](group_id, const turn_record& proposed) {
    return proposed.at == 1 ? errc::overloaded : proposed.at == 2 ? errc::not_leader : errc::ok;
  };
  for (time_us at = 1; at <= 3; ++at) {
    const auto proposed = log.propose(1, term, record(at));
    CHECK(static_cast<bool>(proposed) == (at == 3));
    if (!proposed)
      CHECK(proposed.error().code == (at == 1 ? errc::overloaded : errc::not_leader));
  }
  CHECK(log.queued() == 1);
  CHECK(log.count().refused == 1);
  CHECK(step() == 1);
  CHECK(journal() == "1:1.0=3 ");
}

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: a deposed leader's queue is applied without telling") {
  const auto term = lead(1);
  propose(1, term, 7);
  owner.take();
  REQUIRE(log.depose(1, true));
  CHECK(owner.take() == lines{"lost 1 term 1 unknown_outcome"});
  CHECK(journal() == "1:1.0=7 ");
  CHECK(log.queued() == 0);
  propose(1, lead(1), 8);
  step();
  CHECK(owner.take() == lines{"leading 1 term 2", "committed 1 term 2 index 2: 8"});
}

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: a deposed leader's queue is dropped without telling") {
  const auto term = lead(1);
  propose(1, term, 7);
  owner.take();
  REQUIRE(log.depose(1, false));
  CHECK(owner.take() == lines{"lost 1 term 1 unknown_outcome"});
  REQUIRE(log.depose(1, false));
  CHECK(owner.take().empty());
  CHECK(journal().empty());
  CHECK(step() == 0);
  propose(1, lead(1), 8);
  step();
  CHECK(owner.take() == lines{"leading 1 term 2", "committed 1 term 2 index 1: 8"});
}

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: a crash keeps what was committed, and nothing else") {
  const auto term = lead(1);
  propose(1, term, 1);
  step();
  propose(1, term, 2);
  write_set writes;
  writes.put(family::journal, "x", "un-synced");
  REQUIRE(db.write(writes, false));
  owner.take();
  log.crash();
  CHECK(owner.take().empty());
  CHECK_FALSE(log.leads(1, term));
  CHECK(log.queued() == 0);
  CHECK(journal() == "1:1.0=1 ");
  propose(1, lead(1), 3);
  step();
  CHECK(owner.take() == lines{"leading 1 term 2", "committed 1 term 2 index 2: 3"});
}

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: a crash just after the write keeps what nobody was told of") {
  const auto term = lead(1);
  propose(1, term, 1);
  propose(1, term, 2);
  owner.take();
  log.crash(true);
  CHECK(owner.take().empty());
  CHECK_FALSE(log.leads(1, term));
  CHECK(log.queued() == 0);
  CHECK(journal() == "1:1.0=1 1:1.1=2 ");
  propose(1, lead(1), 3);
  step();
  CHECK(owner.take() == lines{"leading 1 term 2", "committed 1 term 2 index 2: 3"});
}

TEST_CASE_FIXTURE(memory_log_fixture,
                  "memory_log: term and index survive in another log over the same store") {
  propose(1, lead(1), 1);
  step();
  CHECK(log_state(1) == encode(holdfast::log_state{1, 1}));
  memory_log other(db, machine, owner);
  const auto term = other.lead(1);
  REQUIRE(term);
  CHECK(*term == 2);
  CHECK(log_state(1) == encode(holdfast::log_state{2, 1}));
  db.crash();
  CHECK(log_state(1) == encode(holdfast::log_state{2, 1}));
}

TEST_CASE_FIXTURE(memory_log_fixture, "memory_log: a failed write ends the log until a crash") {
  const auto term = lead(1);
  propose(1, term, 1);
  owner.take();
  db.fail_next_write(errc::io_failure);
  const auto failed = log.step();
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == errc::io_failure);
  CHECK_FALSE(log.leads(1, term));
  CHECK(refused(1, term) == errc::not_leader);
  CHECK_FALSE(log.step());
  CHECK_FALSE(log.lead(2));
  CHECK_FALSE(log.depose(1, true));
  CHECK(owner.take().empty());
  CHECK(journal().empty());
  log.crash();
  CHECK(lead(1) == term + 1);
}

TEST_CASE_FIXTURE(memory_log_fixture, "memory_log: a term that was not written is not begun") {
  db.fail_next_write(errc::io_failure);
  CHECK_FALSE(log.lead(1));
  CHECK(owner.take().empty());
  log.crash();
  CHECK(lead(1) == 1);
}

TEST_CASE_FIXTURE(memory_log_fixture, "memory_log: a log state of another size is corrupt") {
  write_set writes;
  writes.put(family::meta, keys::log_state(1), "short");
  REQUIRE(db.write(writes, true));
  const auto term = log.lead(1);
  REQUIRE_FALSE(term);
  CHECK(term.error().code == errc::corrupt);
}
