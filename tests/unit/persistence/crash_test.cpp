// A process that commits is killed, at chosen places and at any other. What it had acked is there when the store is
// opened again, and nothing is there that breaks the order.

#include <array>
#include <csignal>
#include <random>
#include <thread>

#include "persistence/kill_point.hpp"
#include "persistence/local_log.hpp"
#include "persistence/log_state.hpp"
#include "tests/unit/persistence/child.hpp"
#include "tests/unit/persistence/fixture.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

constexpr group_id crash_groups = 3;
constexpr const char* crash_child = "crash child: commits and acks until it is killed";

struct ack {
  std::uint64_t group = 0;
  std::uint64_t number = 0;
  std::uint64_t index = 0;
  std::uint64_t term = 0;
};

/// Keeps a text that depends on the number, now and then a large one.
struct numbering_machine final : state_machine {
  static std::string value_of(std::uint64_t number) {
    return std::string(number % 50 == 0 ? 20'000 : 100, static_cast<char>('a' + number % 26)) +
           std::to_string(number);
  }
  void apply(const reader&, group_id group, std::uint64_t, std::span<const record_ptr> records,
             write_set& out) override {
    for (const auto& record : records)
      out.put(family::journal, key_of(group, *record), value_of(record->first_seq));
  }
};

struct acking_listener final : commit_listener {
  void leading(group_id group, std::uint64_t term) override { terms[group] = term; }
  void committed(group_id group, std::uint64_t term, std::uint64_t index,
                 std::vector<record_ptr> records) override {
    for (const auto& record : records) {
      const ack one{group, record->first_seq, index, term};
      child::send(&one, sizeof one);
    }
  }
  void lost(group_id, std::uint64_t, errc) override {}
  std::array<std::uint64_t, crash_groups> terms{};
};

/// Numbers of the records of a group. They are in order and none is missing.
std::uint64_t last_number(const reader& db, group_id group) {
  std::uint64_t last = 0;
  bool sound = true;
  const auto range = keys::group(group);
  const auto at = db.scan(family::journal, range.lower, range.upper);
  for (; at->valid(); at->next()) {
    ++last;
    sound = sound && keys::number_of(at->key()) == last &&
            at->value() == numbering_machine::value_of(last);
  }
  REQUIRE(at->state());
  REQUIRE(sound);
  return last;
}

}  // namespace

TEST_CASE("crash child: commits and acks until it is killed" * doctest::skip()) {
  const auto path = child::variable("HOLDFAST_TEST_FOLDER");
  if (path.empty())
    return;  // somebody runs all skipped tests
  arm_kill_points();
  auto db = open_folder(path);
  std::array<std::uint64_t, crash_groups> next{};
  for (group_id group = 0; group < crash_groups; ++group)
    next[group] = last_number(*db, group) + 1;
  numbering_machine machine;
  acking_listener listener;
  local_log_options options;
  options.queue_records_max = 64;
  local_log log(*db, machine, listener, options);
  REQUIRE(log.start({0, 1, 2}));
  for (group_id group = 0;; group = static_cast<group_id>((group + 1) % crash_groups)) {
    const auto record = event_record("a", next[group]);
    if (log.propose(group, listener.terms[group], record))
      ++next[group];
    else
      std::this_thread::yield();
  }
}

TEST_CASE("crash: every acked record survives kill -9, in order and without gaps") {
  folder made;
  const auto path = (made.path() / "data").string();
  std::mt19937 random{
    20261121};  // the rounds; where the process really is then is up to the machine
  const std::vector<std::string> points{"commit.before:", "commit.after:", "recovery.before:1",
                                        "recovery.after:1"};
  std::array<ack, crash_groups> last{};
  for (std::size_t round = 0; round < 20; ++round) {
    std::vector<std::pair<std::string, std::string>> environment{{"HOLDFAST_TEST_FOLDER", path}};
    const bool at_point = round % 2 == 0;
    if (at_point) {
      auto point = points[round / 2 % points.size()];
      if (point.ends_with(':'))
        point += std::to_string(1 + random() % 20);
      environment.emplace_back("HOLDFAST_KILL_POINT", point);
    }
    CAPTURE(round);
    CAPTURE(environment.back().second);
    child process{crash_child, environment};
    std::uint64_t acks_left = at_point ? UINT64_MAX : random() % 2'000;
    ack one;
    while (process.receive(&one, sizeof one)) {
      REQUIRE(one.group < crash_groups);
      auto& before = last[one.group];
      CHECK(one.number > before.number);
      CHECK(one.term >= before.term);
      CHECK(one.index >= before.index);
      before = one;
      if (acks_left-- == 0)
        process.kill();  // what it sent before it died is read to the end
    }
    CHECK(process.wait() == -SIGKILL);
    if (!std::filesystem::exists(path + "/CURRENT"))
      continue;
    const auto db = open_folder(path, true);
    for (group_id group = 0; group < crash_groups; ++group) {
      CAPTURE(group);
      CHECK(last_number(*db, group) >= last[group].number);
      const auto state = read_log_state(*db, group);
      REQUIRE(state);
      CHECK(state->applied >= last[group].index);
      CHECK(state->term >= last[group].term);
    }
  }
  for (const auto& one : last)
    CHECK(one.number > 0);
}
