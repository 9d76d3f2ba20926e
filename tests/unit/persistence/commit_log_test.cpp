// What every log promises over every store.

#include "persistence/commit_log.hpp"

#include <algorithm>
#include <map>
#include <thread>

#include "persistence/local_log.hpp"
#include "persistence/log_state.hpp"
#include "persistence/memory_log.hpp"
#include "tests/unit/persistence/fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

const std::vector<group_id> groups{0, 3, 24};

/// Commits by itself, on its own thread.
struct by_thread {
  by_thread(store& db, state_machine& machine, commit_listener& owner) : log(db, machine, owner) {}
  status start() { return log.start(groups); }
  bool settle(witness& owner, std::size_t records) { return owner.wait_for(records); }
  local_log log;
};
/// Commits when it is told to.
struct by_hand {
  by_hand(store& db, state_machine& machine, commit_listener& owner) : log(db, machine, owner) {}
  status start() {
    for (const auto group : groups)
      if (auto term = log.lead(group); !term)
        return term.error();
    return ok_status();
  }
  bool settle(witness& owner, std::size_t records) {
    return log.drain() && owner.count() >= records;
  }
  memory_log log;
};

template <class Log, class Store>
struct of {
  using log = Log;
  using store = Store;
};

template <class Of>
struct node {
  node() { start(); }

  void start() {
    log.emplace(disk, machine, owner);
    REQUIRE(log->start());
  }
  /// As another process would, after this one ended.
  void restart() {
    log.reset();
    made.restart();
    log.emplace(disk, machine, owner);
    REQUIRE(log->start());
  }
  status propose(group_id group, record_ptr record, std::uint64_t term = 1) {
    return log->log.propose(group, term, std::move(record));
  }
  void settle(std::size_t records) {
    REQUIRE(log->settle(owner, records));
    CHECK(owner.count() == records);
    CHECK_FALSE(owner.acked_early());
  }

  struct forwarding final : store {
    explicit forwarding(typename Of::store& to) : to_(to) {}
    result<std::optional<std::string>> get(family in, std::string_view key) const override {
      return to_.db().get(in, key);
    }
    std::unique_ptr<cursor> scan(family in, std::string_view lower, std::string_view upper,
                                 bool down) const override {
      return to_.db().scan(in, lower, upper, down);
    }
    std::unique_ptr<reader> snapshot() const override { return to_.db().snapshot(); }
    status write(const write_set& writes, bool durable) override {
      return to_.db().write(writes, durable);
    }
    typename Of::store& to_;
  };

  typename Of::store made;
  forwarding current{made};
  watched_store disk{current};
  witness owner{disk};
  placing_machine machine;
  std::optional<typename Of::log> log;
};

using local_on_memory = of<by_thread, in_memory>;
using local_on_rocksdb = of<by_thread, in_rocksdb>;
using by_hand_on_memory = of<by_hand, in_memory>;
using by_hand_on_rocksdb = of<by_hand, in_rocksdb>;

}  // namespace

TYPE_TO_STRING(local_on_memory);
TYPE_TO_STRING(local_on_rocksdb);
TYPE_TO_STRING(by_hand_on_memory);
TYPE_TO_STRING(by_hand_on_rocksdb);
#define LOGS local_on_memory, local_on_rocksdb, by_hand_on_memory, by_hand_on_rocksdb

TEST_CASE_TEMPLATE("commit_log: it leads its groups in term 1, and tells before it commits", L,
                   LOGS) {
  node<L> n;
  CHECK(n.owner.terms() ==
        std::vector<std::pair<group_id, std::uint64_t>>{{0, 1}, {3, 1}, {24, 1}});
  for (const auto group : groups) {
    CHECK(n.log->log.leads(group, 1));
    CHECK_FALSE(n.log->log.leads(group, 0));
    CHECK_FALSE(n.log->log.leads(group, 2));
    CHECK(n.disk.is_durable(keys::log_state(group)));
  }
  CHECK_FALSE(n.log->log.leads(1, 1));
  CHECK_FALSE(n.log->log.leads(1, 0));
  CHECK_FALSE(n.log->log.leads(65'535, 1));
}

TEST_CASE_TEMPLATE("commit_log: records come back as the same objects, durable and applied", L,
                   LOGS) {
  node<L> n;
  const auto record = event_record("1", 1);
  REQUIRE(n.propose(3, record));
  n.settle(1);
  const auto commits = n.owner.commits();
  REQUIRE(commits.size() == 1);
  CHECK(commits[0].records == std::vector{record});
  CHECK(commits[0].index == 1);
  CHECK(commits[0].term == 1);
  CHECK(read(n.disk, family::journal, key_of(3, *record)) == "1.0");
}

TEST_CASE_TEMPLATE(
  "commit_log: each group keeps the order of its proposals, and no index is skipped", L, LOGS) {
  node<L> n;
  constexpr std::uint64_t per_group = 500;
  std::vector<std::thread> owners;
  std::atomic<bool> refused{false};
  for (const auto group : groups)
    owners.emplace_back([&n, &refused, group] {
      for (std::uint64_t i = 1; i <= per_group; ++i)
        if (!n.propose(group, event_record("a", i)))
          refused = true;
    });
  for (auto& owner : owners)
    owner.join();
  CHECK_FALSE(refused);
  n.settle(per_group * groups.size());
  std::map<group_id, std::uint64_t> index;
  std::map<group_id, std::uint64_t> number;
  for (const auto& commit : n.owner.commits()) {
    CHECK(commit.index == ++index[commit.group]);
    std::size_t offset = 0;
    for (const auto& record : commit.records) {
      CHECK(record->first_seq == ++number[commit.group]);
      CHECK(read(n.disk, family::journal, key_of(commit.group, *record)) ==
            std::to_string(commit.index) + "." + std::to_string(offset++));
    }
  }
  for (const auto group : groups) {
    const auto state = read_log_state(n.disk, group);
    REQUIRE(state);
    CHECK(*state == log_state{1, index[group]});
    CHECK(number[group] == per_group);
  }
}

TEST_CASE_TEMPLATE("commit_log: the counters count", L, LOGS) {
  node<L> n;
  const auto before = n.log->log.count();
  CHECK(before.records == 0);
  CHECK(before.groups == n.disk.writes());
  for (std::uint64_t i = 1; i <= 10; ++i)
    REQUIRE(n.propose(0, event_record("a", i)));
  n.settle(10);
  const auto after = n.log->log.count();
  CHECK(after.records == 10);
  CHECK(after.groups == n.disk.writes());
  CHECK(after.bytes > before.bytes);
  CHECK(after.refused == 0);
}

TEST_CASE_TEMPLATE(
  "commit_log: a proposal of another term, or for a group of others, is not appended", L, LOGS) {
  node<L> n;
  for (const auto& [group, term] :
       std::vector<std::pair<group_id, std::uint64_t>>{{3, 0}, {3, 2}, {4, 1}, {999, 1}}) {
    const auto proposed = n.propose(group, event_record("a", 1), term);
    REQUIRE_FALSE(proposed);
    CHECK(proposed.error().code == errc::not_leader);
  }
  REQUIRE(n.propose(3, event_record("a", 2)));
  n.settle(1);
  CHECK(n.log->log.count().refused == 0);
  CHECK_FALSE(read(n.disk, family::journal, keys::numbered(3, {"order", "a"}, 1)));
}

TEST_CASE_TEMPLATE("commit_log: a restart raises the term, and goes on behind the last entry", L,
                   LOGS) {
  node<L> n;
  REQUIRE(n.propose(3, event_record("a", 1)));
  n.settle(1);
  const auto index = n.owner.commits().back().index;
  n.restart();
  CHECK(n.log->log.leads(3, 2));
  CHECK_FALSE(n.log->log.leads(3, 1));
  CHECK(n.owner.terms().size() == 2 * groups.size());
  const auto old = n.propose(3, event_record("a", 2), 1);
  REQUIRE_FALSE(old);
  CHECK(old.error().code == errc::not_leader);
  REQUIRE(n.propose(3, event_record("a", 2), 2));
  n.settle(2);
  CHECK(n.owner.commits().back().index == index + 1);
  CHECK(n.owner.commits().back().term == 2);
  CHECK(read(n.disk, family::journal, keys::numbered(3, {"order", "a"}, 1)) == "1.0");
  CHECK(n.owner.lost().empty());
}

TEST_CASE_TEMPLATE("commit_log: a log that cannot write its terms does not lead", L, LOGS) {
  node<L> n;
  n.log.reset();
  n.disk.fail_writes();
  n.log.emplace(n.disk, n.machine, n.owner);
  const auto started = n.log->start();
  REQUIRE_FALSE(started);
  CHECK(started.error().code == errc::io_failure);
  CHECK(n.owner.terms().size() == groups.size());
  CHECK_FALSE(n.log->log.leads(3, 1));
  CHECK_FALSE(n.log->log.leads(3, 2));
  const auto proposed = n.propose(3, event_record("a", 1), 2);
  REQUIRE_FALSE(proposed);
  CHECK(proposed.error().code == errc::not_leader);
}

TEST_CASE_TEMPLATE("commit_log: a log state that does not parse stops the start", L, LOGS) {
  node<L> n;
  n.log.reset();
  write_set writes;
  writes.put(family::meta, keys::log_state(3), "short");
  REQUIRE(n.disk.write(writes, true));
  n.log.emplace(n.disk, n.machine, n.owner);
  const auto started = n.log->start();
  REQUIRE_FALSE(started);
  CHECK(started.error().code == errc::corrupt);
}

TEST_CASE("log_state: comes back from its bytes, which never change") {
  const log_state state{0x0102, 0x0304};
  CHECK(encode(state) == std::string("\1\0\0\0\0\0\0\1\2\0\0\0\0\0\0\3\4", 17));
  const auto back = decode_log_state(encode(state));
  REQUIRE(back);
  CHECK(*back == state);
  CHECK_FALSE(decode_log_state(""));
  CHECK_FALSE(decode_log_state(encode(state) + "x"));
  auto newer = encode(state);
  newer[0] = 2;
  const auto refused = decode_log_state(newer);
  REQUIRE_FALSE(refused);
  CHECK(refused.error().code == errc::corrupt);
}
