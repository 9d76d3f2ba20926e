// What only the log with a queue and a thread can show.

#include "persistence/local_log.hpp"

#include <map>

#include "persistence/record_size.hpp"
#include "tests/unit/persistence/fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

template <class Fact, class T>
fact with(T Fact::*member, T value) {
  Fact made;
  made.*member = std::move(value);
  return made;
}

struct local_log_fixture {
  memory_store db;
  watched_store disk{db};
  witness owner{disk};
  placing_machine machine;
  std::optional<error> failure;
  std::optional<local_log> log;

  void start(local_log_options options = {}, const std::vector<group_id>& led = {0, 1}) {
    log.emplace(disk, machine, owner, options, [this](const error& why) { failure = why; });
    REQUIRE(log->start(led));
  }
  ~local_log_fixture() { disk.open(); }

  /// The commit thread is in the middle of a write of one record; what is proposed now is queued.
  void hold_a_write() {
    disk.close();
    REQUIRE(log->propose(0, 1, event_record("held", 1)));
    REQUIRE(disk.wait_until_held());
  }
  errc propose(record_ptr record, group_id group = 0) {
    const auto proposed = log->propose(group, 1, std::move(record));
    return proposed ? errc::ok : proposed.error().code;
  }
};

record_ptr cut_record(std::uint64_t epoch) {
  turn_record made;
  made.facts.push_back(backup_cut{epoch});
  return std::make_shared<const turn_record>(std::move(made));
}

/// Counts the records of each group that it has applied, in the store.
class counting_machine final : public state_machine {
public:
  void apply(const reader&, group_id group, std::uint64_t,
             std::span<const std::shared_ptr<const turn_record>> records, write_set& out) override {
    counts_[group] += records.size();
    out.put(family::meta, keys::partition_state(group), std::to_string(counts_[group]));
  }

private:
  std::map<group_id, std::size_t> counts_;
};

/// What the store held at each cut.
class cut_witness final : public commit_listener {
public:
  explicit cut_witness(const store& disk) : disk_(disk) {}
  void leading(group_id, std::uint64_t) override {}
  void committed(group_id, std::uint64_t, std::uint64_t index,
                 std::vector<record_ptr> records) override {
    if (cut_epoch(*records.back()) != 0)
      CHECK(seen.back().index == index);
  }
  void cut(group_id group, std::uint64_t epoch, std::uint64_t index) override {
    const auto held = disk_.snapshot()->get(family::meta, keys::partition_state(group));
    REQUIRE(held);
    seen.push_back({group, epoch, index, held->value_or("")});
  }
  void lost(group_id, std::uint64_t, errc) override {}

  struct at_cut {
    group_id group = 0;
    std::uint64_t epoch = 0;
    std::uint64_t index = 0;
    std::string held;
  };
  std::vector<at_cut> seen;

private:
  const store& disk_;
};

}  // namespace

TEST_CASE_FIXTURE(
  local_log_fixture,
  "local_log: what gathers during a write is one more write, with one entry for each group") {
  start();
  hold_a_write();
  const auto before = disk.writes();
  for (std::uint64_t i = 1; i <= 64; ++i)
    REQUIRE(propose(event_record("a", i), static_cast<group_id>(i % 2)) == errc::ok);
  disk.open();
  REQUIRE(owner.wait_for(65));
  CHECK(disk.writes() == before + 2);
  const auto commits = owner.commits();
  REQUIRE(commits.size() == 3);
  CHECK(commits[1].records.size() == 32);
  CHECK(commits[2].records.size() == 32);
  CHECK(commits[1].group != commits[2].group);
  CHECK(commits[1].writes == commits[2].writes);
}

TEST_CASE_FIXTURE(local_log_fixture, "local_log: nothing is acked before its write is durable") {
  start();
  hold_a_write();
  CHECK(owner.count() == 0);
  disk.open();
  REQUIRE(owner.wait_for(1));
  CHECK_FALSE(owner.acked_early());
}

TEST_CASE_FIXTURE(local_log_fixture,
                  "local_log: a write holds no more than its bytes, and one record at least") {
  const auto bytes = size_of(*event_record("a", 1, 1'000));
  local_log_options options;
  options.group_bytes_max = 10 * bytes;
  start(options);
  hold_a_write();
  for (std::uint64_t i = 1; i <= 95; ++i)
    REQUIRE(propose(event_record("a", i, i == 50 ? 100'000 : 1'000)) == errc::ok);
  disk.open();
  REQUIRE(owner.wait_for(96));
  std::size_t largest = 0;
  for (const auto& commit : owner.commits()) {
    largest = std::max(largest, commit.records.size());
    for (const auto& record : commit.records)
      if (size_of(*record) > 10 * bytes)
        CHECK(commit.records.size() == 1);
  }
  CHECK(largest == 10);
  CHECK(owner.commits().size() == 1 + 5 + 1 + 5);
}

TEST_CASE_FIXTURE(local_log_fixture,
                  "local_log: new events are refused at the bound, and leave no trace") {
  local_log_options options;
  options.queue_records_max = 8;
  start(options);
  hold_a_write();
  for (std::uint64_t i = 2; i <= 8; ++i)
    CHECK(propose(event_record("a", i)) == errc::ok);
  CHECK(propose(event_record("a", 9)) == errc::overloaded);
  CHECK(log->count().refused == 1);
  disk.open();
  REQUIRE(owner.wait_for(8));
  CHECK_FALSE(read(db, family::journal, keys::numbered(0, {"order", "a"}, 9)));
  CHECK(propose(event_record("a", 9)) == errc::ok);  // there is room again
  REQUIRE(owner.wait_for(9));
}

TEST_CASE_FIXTURE(local_log_fixture, "local_log: outcomes have as much room again, and no more") {
  local_log_options options;
  options.queue_records_max = 8;
  start(options);
  hold_a_write();
  for (std::uint64_t i = 2; i <= 8; ++i)
    REQUIRE(propose(event_record("a", i)) == errc::ok);
  for (std::uint64_t i = 9; i <= 16; ++i) {
    CHECK(propose(event_record("b", i)) == errc::overloaded);
    CHECK(propose(outcome_record("a", i)) == errc::ok);
  }
  CHECK(propose(outcome_record("a", 17)) == errc::overloaded);
  disk.open();
  REQUIRE(owner.wait_for(16));
  CHECK(log->count().records == 16);
}

TEST_CASE_FIXTURE(
  local_log_fixture,
  "local_log: bytes are bounded like records, and a single record is never too large") {
  const auto bytes = size_of(*event_record("a", 1, 10'000));
  local_log_options options;
  options.queue_bytes_max = 3 * bytes;
  start(options);
  hold_a_write();
  CHECK(propose(event_record("a", 1, 10'000)) == errc::ok);
  CHECK(propose(event_record("a", 2, 10'000)) == errc::ok);
  CHECK(propose(event_record("a", 3, 10'000)) == errc::overloaded);
  CHECK(propose(outcome_record("a", 4)) == errc::ok);
  disk.open();
  REQUIRE(owner.wait_for(4));
  CHECK(propose(event_record("a", 5, 100'000)) == errc::ok);
  REQUIRE(owner.wait_for(5));
}

TEST_CASE_FIXTURE(local_log_fixture,
                  "local_log: a failed write stops it, once, and nobody is told anything else") {
  start();
  hold_a_write();
  for (std::uint64_t i = 1; i <= 5; ++i)
    REQUIRE(propose(event_record("a", i)) == errc::ok);
  disk.fail_writes();
  const auto before = disk.writes();
  disk.open();
  log->stop();
  REQUIRE(failure);
  CHECK(failure->code == errc::io_failure);
  CHECK(disk.writes() == before + 1);
  CHECK(owner.count() == 0);
  CHECK(owner.lost().empty());
  CHECK_FALSE(log->leads(0, 1));
  CHECK(propose(event_record("a", 6)) == errc::not_leader);
}

TEST_CASE_FIXTURE(local_log_fixture,
                  "local_log: stop commits what is queued, and takes nothing more") {
  start();
  hold_a_write();
  for (std::uint64_t i = 1; i <= 100; ++i)
    REQUIRE(propose(event_record("a", i)) == errc::ok);
  disk.open();
  log->stop();
  CHECK(owner.count() == 101);
  CHECK(propose(event_record("a", 101)) == errc::not_leader);
  CHECK_FALSE(log->leads(0, 1));
  CHECK(owner.lost().empty());
  log->stop();
}

TEST_CASE_FIXTURE(local_log_fixture,
                  "local_log: after enough was written and then nothing, the store settles") {
  local_log_options options;
  options.settle_after = std::chrono::milliseconds{1};
  SUBCASE("enough") {
    options.settle_bytes_min = 1;
    start(options);
    for (std::uint64_t number = 1; number <= 3; ++number) {
      CHECK(propose(event_record("a", number)) == errc::ok);
      CHECK(disk.wait_until_settled(number));
    }
  }
  SUBCASE("too little to be worth it") {
    start(options);
    for (std::uint64_t number = 1; number <= 3; ++number) {
      CHECK(propose(event_record("a", number)) == errc::ok);
      CHECK(owner.wait_for(number));
    }
    log->stop();
    CHECK(disk.settled() == 0);
  }
}

TEST_CASE_FIXTURE(local_log_fixture, "local_log: the terms of all groups are one write") {
  std::vector<group_id> groups;
  for (group_id group = 0; group <= 24; ++group)
    groups.push_back(group);
  start({}, groups);
  CHECK(disk.writes() == 1);
  CHECK(owner.terms().size() == 25);
}

TEST_CASE("record_size: the payload of a fact counts, wherever it is") {
  const std::string payload(10'000, 'x');
  event carried;
  carried.data = payload;
  message said;
  said.content = payload;
  tool_call call;
  call.arguments = payload;
  model_reply told;
  told.text = payload;
  model_reply asked;
  asked.tool_calls = {call};
  outbox_message sent;
  sent.event = carried;
  outbox_message copied;
  copied.payload = payload;
  outbox_message answered;
  answered.outcome.output = payload;
  const std::vector<fact> large{
    with(&event_received::event, carried),      with(&awaited_event_received::event, carried),
    with(&dead_lettered::event, carried),       with(&event_routed::event, carried),
    with(&message_sent::message, sent),         with(&message_sent::message, copied),
    with(&message_sent::message, answered),     with(&model_requested::options, payload),
    with(&model_completed::reply, told),        with(&model_completed::reply, asked),
    with(&tool_requested::input, payload),      with(&tool_completed::output, payload),
    with(&effect_reconciled::output, payload),  with(&state_changed::memory, payload),
    with(&run_completed::output, payload),      with(&message_appended::message, said),
    with(&text_streamed::text, payload),        with(&text_emitted::text, payload),
    with(&definition_applied::content, payload)};
  for (const auto& f : large) {
    CAPTURE(name_of(f));
    turn_record record;
    record.facts = {f};
    CHECK(size_of(record) > payload.size());
    CHECK(size_of(record) < 2 * payload.size());
  }
  turn_record small;
  small.facts = {timer_fired{}, cancel_requested{}};
  CHECK(size_of(small) < payload.size());
}

TEST_CASE("record_size: new events are those that nothing is lost by refusing") {
  CHECK(is_new_event(*event_record("a", 1)));
  CHECK_FALSE(is_new_event(*outcome_record("a", 1)));
  turn_record routed;
  routed.facts = {tool_completed{}, event_routed{}};
  CHECK(is_new_event(routed));
  CHECK_FALSE(is_new_event(turn_record{}));
}

TEST_CASE(
  "local_log: a backup cut is the last of its write, and told while the store holds just that") {
  memory_store db;
  watched_store disk{db};
  counting_machine machine;
  cut_witness owner{db};
  local_log log{disk, machine, owner};
  REQUIRE(log.start({0, 1}));
  disk.close();
  REQUIRE(log.propose(0, 1, event_record("held", 1)));
  REQUIRE(disk.wait_until_held());
  for (std::uint64_t i = 2; i <= 30; ++i) {  // all in one queue
    REQUIRE(log.propose(0, 1, event_record("a", i)));
    REQUIRE(log.propose(1, 1, event_record("a", i)));
    if (i == 10)
      REQUIRE(log.propose(0, 1, cut_record(5)));
    if (i == 20)
      REQUIRE(log.propose(1, 1, cut_record(5)));
  }
  disk.open();
  log.stop();
  REQUIRE(owner.seen.size() == 2);
  CHECK(owner.seen[0].group == 0);
  CHECK(owner.seen[0].epoch == 5);
  CHECK(owner.seen[0].held == "11");
  CHECK(owner.seen[1].group == 1);
  CHECK(owner.seen[1].held == "20");
  CHECK(db.get(family::meta, keys::partition_state(0))->value() == "31");
}
