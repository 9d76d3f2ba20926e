#include "persistence/keys.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <limits>
#include <vector>

using namespace holdfast;
using namespace std::string_literals;

namespace {

constexpr auto number_max = std::numeric_limits<std::uint64_t>::max();
constexpr auto time_max = std::numeric_limits<time_us>::max();

bool in(const keys::range& range, const std::string& key) {
  return range.lower <= key && key < range.upper;
}

// Names that are prefixes of each other, bytes around the separators, UTF-8, and the longest.
const std::vector<agent_name> names = {
  {"a", "a"},
  {"a", "a "},
  {"a", "a/b"},
  {"a", "aa"},
  {"a", "é"},
  {"a", "日本"},
  {"a", "🦀"},
  {"a-b", "a"},
  {"a0", "a"},
  {"ab", "a"},
  {"order", "4711"},
  {"order", "47110"},
  {"order", "/"},
  {"z", std::string(256, 'z')},
  {std::string(63, 'z'), "\xF4\x8F\xBF\xBF"},
};

const std::vector<std::uint64_t> numbers = {0, 1, 255, 256, 0x2f00, number_max - 1, number_max};

run_id run_of(std::uint8_t fill) {
  run_id run;
  run.id.bytes.fill(fill);
  return run;
}

std::string hex(std::string_view bytes) {
  std::string out;
  for (const char c : bytes) {
    out += "0123456789abcdef"[static_cast<std::uint8_t>(c) >> 4];
    out += "0123456789abcdef"[static_cast<std::uint8_t>(c) & 15];
  }
  return out;
}

}  // namespace

TEST_CASE("keys: the bytes never change") {
  const agent_name name{"ab", "c"};
  const std::string id(32, '7');
  CHECK(hex(keys::agent(0x0102, name)) ==
        "0102"
        "61622f6300");
  CHECK(hex(keys::numbered(1, name, 0x1122)) ==
        "0001"
        "61622f6300"
        "0000000000001122");
  CHECK(hex(keys::timer(1, 2, name, 3)) ==
        "0001"
        "8000000000000002"
        "61622f6300"
        "0000000000000003");
  CHECK(hex(keys::outbox(1, 0x203, 4)) ==
        "0001"
        "0203"
        "0000000000000004");
  CHECK(hex(keys::by_id(1, run_of(0x77).id)) == "0001" + id);
  CHECK(hex(keys::definition("agent", "x", 2)) ==
        "0000"
        "6167656e7400"
        "7800"
        "00000002");
  CHECK(hex(keys::ready(1, name)) ==
        "0001"
        "01"
        "61622f6300");
  CHECK(hex(keys::agent_run(1, name, run_of(0x77))) ==
        "0001"
        "02"
        "61622f6300" +
          id);
  CHECK(hex(keys::reconcile(1, {run_of(0x77), 9})) ==
        "0001"
        "03" +
          id + "00000009");
  CHECK(hex(keys::partition_state(1)) ==
        "0001"
        "01");
  CHECK(hex(keys::log_state(1)) ==
        "0001"
        "02");
  CHECK(hex(keys::hard_state(1)) ==
        "0001"
        "04");
  CHECK(hex(keys::snapshot_metadata(1)) ==
        "0001"
        "05");
  CHECK(hex(keys::log_range(1)) ==
        "0001"
        "06");
  CHECK(hex(keys::log_entry(1, 0x1122)) ==
        "0001"
        "0000000000001122");
  CHECK(hex(keys::node("f")) ==
        "ffff"
        "66");
}

TEST_CASE("keys: an agent comes back from each of its keys") {
  for (const auto& name : names) {
    for (const group_id group : std::vector<group_id>{0, 1, 0x6161, 0xFFFE}) {
      CAPTURE(to_string(name));
      CAPTURE(group);
      CHECK(keys::agent_of(keys::agent(group, name)) == name);
      CHECK(keys::agent_of(keys::ready(group, name)) == name);
      for (const std::uint8_t fill : std::vector<std::uint8_t>{0, 0x2f, 0x61, 0xFF})
        CHECK(keys::agent_of(keys::agent_run(group, name, run_of(fill))) == name);
      for (const auto number : numbers) {
        CHECK(keys::agent_of(keys::numbered(group, name, number)) == name);
        CHECK(keys::number_of(keys::numbered(group, name, number)) == number);
      }
      CHECK(keys::group_of(keys::agent(group, name)) == group);
    }
  }
}

TEST_CASE("keys: what is not an agent's key gives no agent") {
  const agent_name name{"a", "b"};
  const auto whole = keys::agent_run(1, name, run_of(0));
  const auto complete = keys::ready(1, name).size();
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(keys::agent_of(whole.substr(0, size)));
  }
  CHECK(complete < whole.size());
  for (const auto& key : {keys::agent(1, name) + "1234567"s, keys::ready(1, name) + "12345678"s,
                          keys::numbered(1, name, 1) + "x", keys::node("a/b\0"s),
                          keys::reconcile(1, {run_of(0x61), 1}), keys::timer(1, 5, name, 6),
                          "\0\1/b\0"s, "\0\1a/\0"s, "\0\1ab\0"s, "\0\1A/b\0"s, "\0\1a\0/\0"s})
    CHECK_FALSE(keys::agent_of(key));
}

TEST_CASE("keys: an agent's numbers are in order and belong to no other agent") {
  for (const auto& name : names) {
    std::vector<std::string> made;
    for (const auto number : numbers)
      made.push_back(keys::numbered(7, name, number));
    CHECK(std::is_sorted(made.begin(), made.end()));
    const auto all = keys::numbered_range(7, name);
    CHECK(in(all, keys::numbered(7, name, 0)));
    CHECK(in(all, keys::numbered(7, name, number_max - 1)));
    const auto some = keys::numbered_range(7, name, 255, 257);
    CHECK_FALSE(in(some, keys::numbered(7, name, 254)));
    CHECK(in(some, keys::numbered(7, name, 255)));
    CHECK(in(some, keys::numbered(7, name, 256)));
    CHECK_FALSE(in(some, keys::numbered(7, name, 257)));
    for (const auto& other : names) {
      for (const auto number : numbers) {
        CAPTURE(to_string(name));
        CAPTURE(to_string(other));
        CHECK((name == other || !in(all, keys::numbered(7, other, number))));
        CHECK_FALSE(in(all, keys::numbered(8, other, number)));
      }
    }
  }
}

TEST_CASE("keys: a type's agents are one range, and prefixes of its name are other types") {
  for (const std::string type : {"a", "a-b", "a0", "ab", "order"}) {
    const auto range = keys::agents(3, type);
    for (const auto& name : names) {
      CAPTURE(type);
      CAPTURE(to_string(name));
      CHECK(in(range, keys::agent(3, name)) == (name.type == type));
      CHECK_FALSE(in(range, keys::agent(2, name)));
      CHECK_FALSE(in(range, keys::agent(4, name)));
    }
  }
  for (const auto& name : names) {
    CHECK(in(keys::agents(3), keys::agent(3, name)));
    CHECK_FALSE(in(keys::agents(3), keys::agent(4, name)));
  }
}

TEST_CASE("keys: a group holds all its keys and no others, up to the largest group") {
  for (const group_id group : std::vector<group_id>{0, 1, 0xFF, 0x100, 0xFFFE}) {
    CAPTURE(group);
    const auto range = keys::group(group);
    CHECK(in(range, keys::partition_state(group)));
    CHECK(in(range, keys::log_state(group)));
    CHECK(in(range, keys::hard_state(group)));
    CHECK(in(range, keys::snapshot_metadata(group)));
    CHECK(in(range, keys::log_range(group)));
    CHECK(in(range, keys::log_entry(group, number_max)));
    CHECK(in(range, keys::outbox(group, 0xFFFF, number_max)));
    CHECK(in(range, keys::by_id(group, run_of(0xFF).id)));
    CHECK(in(range, keys::timer(group, time_max, names.back(), number_max)));
    CHECK_FALSE(in(range, keys::node("")));
    if (group > 0)
      CHECK_FALSE(in(range, keys::by_id(static_cast<group_id>(group - 1), run_of(0xFF).id)));
    if (group < 0xFFFE)
      CHECK_FALSE(in(range, keys::partition_state(static_cast<group_id>(group + 1))));
  }
  CHECK(keys::log_state(1) != keys::partition_state(1));
}

TEST_CASE("keys: timers are in order of due time, then of agents") {
  const agent_name first{"a", "a"};
  const agent_name last{"z", "z"};
  const std::vector<time_us> dues = {std::numeric_limits<time_us>::min(),
                                     -1,
                                     0,
                                     1,
                                     255,
                                     256,
                                     1'700'000'000'000'000,
                                     time_max - 1,
                                     time_max};
  std::vector<std::string> made;
  for (const auto due : dues) {
    made.push_back(keys::timer(5, due, {}, 0));
    made.push_back(keys::timer(5, due, first, 0));
    made.push_back(keys::timer(5, due, first, number_max));
    made.push_back(keys::timer(5, due, last, number_max));
  }
  CHECK(std::is_sorted(made.begin(), made.end()));
  CHECK(std::adjacent_find(made.begin(), made.end()) == made.end());
  for (const auto until : dues) {
    const auto range = keys::timers_until(5, until);
    for (const auto due : dues) {
      CAPTURE(until);
      CAPTURE(due);
      CHECK(in(range, keys::timer(5, due, first, 0)) == (due <= until));
      CHECK(in(range, keys::timer(5, due, last, number_max)) == (due <= until));
      CHECK_FALSE(in(range, keys::timer(4, due, last, 1)));
      CHECK_FALSE(in(range, keys::timer(6, due, first, 1)));
    }
  }
}

TEST_CASE("keys: a timer comes back from its key") {
  for (const auto& name : names) {
    for (const time_us due : {time_us{0}, time_us{0x6161616161616161}, time_max}) {
      for (const auto id : numbers) {
        const auto timer = keys::timer_of(keys::timer(1, due, name, id));
        REQUIRE(timer);
        CHECK(timer->due == due);
        CHECK(timer->agent == name);
        CHECK(timer->timer_id == id);
      }
    }
  }
  const auto whole = keys::timer(1, 2, {"a", "b"}, 3);
  for (std::size_t size = 0; size < whole.size(); ++size)
    CHECK_FALSE(keys::timer_of(whole.substr(0, size)));
  CHECK_FALSE(keys::timer_of(whole + "x"));
}

TEST_CASE("keys: ready agents, their runs and effects to reconcile do not mix") {
  for (const auto& name : names) {
    const auto ready = keys::ready(2, name);
    CHECK(in(keys::ready_range(2), ready));
    CHECK_FALSE(in(keys::ready_range(1), ready));
    CHECK_FALSE(in(keys::reconciles(2), ready));
    for (const auto& other : names) {
      const auto run = keys::agent_run(2, other, run_of(0xFF));
      CHECK(in(keys::agent_runs(2, name), run) == (name == other));
      CHECK_FALSE(in(keys::ready_range(2), run));
      CHECK(keys::id_of(run) == run_of(0xFF).id);
    }
  }
  const effect_id effect{run_of(0x61), 0xFFFFFFFF};
  const auto key = keys::reconcile(2, effect);
  CHECK(in(keys::reconciles(2), key));
  CHECK_FALSE(in(keys::ready_range(2), key));
  CHECK(keys::reconcile_of(key) == effect);
  CHECK_FALSE(keys::reconcile_of(key + "x"));
  CHECK_FALSE(keys::reconcile_of(key.substr(0, key.size() - 1)));
  CHECK_FALSE(keys::reconcile_of(keys::by_id(2, effect.run.id)));
  CHECK(keys::reconcile(2, {run_of(1), 255}) < keys::reconcile(2, {run_of(1), 256}));
}

TEST_CASE("keys: outbox messages are in order of target, then sequence, and come back") {
  const std::vector<std::string> made = {
    keys::outbox(1, 0, 0),     keys::outbox(1, 0, number_max), keys::outbox(1, 255, 255),
    keys::outbox(1, 255, 256), keys::outbox(1, 256, 1),        keys::outbox(1, 0xFFFF, number_max)};
  CHECK(std::is_sorted(made.begin(), made.end()));
  for (const auto& key : made)
    CHECK(in(keys::outboxes(1), key));
  const auto last = keys::outbox_of(made.back());
  REQUIRE(last);
  CHECK(last->target == 0xFFFF);
  CHECK(last->sequence == number_max);
  CHECK_FALSE(keys::outbox_of(made.back() + "x"));
  CHECK_FALSE(keys::outbox_of("\0\1"s));
}

TEST_CASE("keys: log entries are in order of index, one range per group, and come back") {
  std::vector<std::string> made;
  for (const auto index : numbers)
    made.push_back(keys::log_entry(1, index));
  CHECK(std::is_sorted(made.begin(), made.end()));
  const auto all = keys::log_entries(1);
  for (std::size_t i = 0; i < made.size(); ++i) {
    CHECK(in(all, made[i]));
    CHECK(keys::log_entry_of(made[i]) == numbers[i]);
    CHECK_FALSE(in(all, keys::log_entry(0, numbers[i])));
    CHECK_FALSE(in(all, keys::log_entry(2, numbers[i])));
  }
  CHECK_FALSE(keys::log_entry_of(made.back() + "x"));
  CHECK_FALSE(keys::log_entry_of(keys::hard_state(1)));
  CHECK_FALSE(keys::log_entry_of(keys::node("12345678")));
}

TEST_CASE("keys: ids come back, and sort by time within their group") {
  const auto early = make_id(1'000, 9, 0xFFFFFFFF, 0xFFFF);
  const auto late = make_id(1'001, 9, 0, 0);
  CHECK(keys::by_id(9, early) < keys::by_id(9, late));
  CHECK(in(keys::by_ids(9), keys::by_id(9, early)));
  CHECK(keys::id_of(keys::by_id(9, early)) == early);
  CHECK_FALSE(keys::id_of(keys::by_id(9, early).substr(1)));
  digest128 scope;
  scope.bytes.fill(0xFF);
  CHECK(in(keys::group(9), keys::idempotency(9, scope)));
  CHECK(keys::idempotency(9, scope) != keys::idempotency(8, scope));
}

TEST_CASE("keys: versions of a definition are in order and definitions with prefix names apart") {
  const std::vector<std::string> made = {
    keys::definition("agent", "a", 1), keys::definition("agent", "a", 256),
    keys::definition("agent", "a", 0xFFFFFFFF), keys::definition("agent", "ab", 1),
    keys::definition("hook", "a", 1)};
  CHECK(std::is_sorted(made.begin(), made.end()));
  for (const auto& key : made)
    CHECK(in(keys::definitions(), key));
}

TEST_CASE("keys: keys of the node belong to no group") {
  CHECK_FALSE(keys::group_of(keys::node("format")));
  CHECK_FALSE(keys::group_of("\1"));
  CHECK(keys::group_of(keys::partition_state(0xFFFE)) == group_id{0xFFFE});
  CHECK_FALSE(keys::number_of("123456789"));
}

TEST_CASE("keys: of a group's keys in meta, its state is told from the books about its log") {
  const auto ranges = keys::state_in_meta(258);
  const auto is_state = [&](const std::string& key) {
    return std::any_of(ranges.begin(), ranges.end(), [&](const keys::range& range) {
      return range.lower <= key && key < range.upper;
    });
  };
  CHECK(is_state(keys::partition_state(258)));
  CHECK_FALSE(is_state(keys::log_state(258)));
  CHECK_FALSE(is_state(keys::partition_state(257)));
  CHECK_FALSE(is_state(keys::partition_state(259)));
  CHECK_FALSE(is_state(keys::node("format")));
  for (std::size_t i = 1; i < ranges.size(); ++i)
    CHECK(ranges[i - 1].upper <= ranges[i].lower);
}
