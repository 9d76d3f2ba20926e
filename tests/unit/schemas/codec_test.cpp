#include "schemas/codec.hpp"

#include <doctest/doctest.h>

#include <atomic>
#include <fstream>
#include <random>
#include <sstream>
#include <thread>

#include "tests/unit/schemas/filled.hpp"

using namespace holdfast;
using namespace holdfast::test;

namespace {

/// Members one by one: not every stored struct needs an `operator==` elsewhere.
template <class T>
bool same(const T& a, const T& b) {
  return members(a) == members(b);
}

/// A record for every fact, which is filled.
std::vector<turn_record> records_of_one_fact() {
  const auto all = filled<turn_record>();
  std::vector<turn_record> out;
  for (const auto& f : all.facts)
    out.push_back({all.at, all.catalog_index, all.agent, all.first_seq, {f}});
  return out;
}

/// Small ones, because every one of their bits will be flipped.
template <class T>
std::vector<T> values_to_damage() {
  if constexpr (std::is_same_v<T, turn_record>) {
    return records_of_one_fact();
  } else if constexpr (std::is_same_v<T, entry>) {
    const auto records = records_of_one_fact();
    return {{5, {records.front(), records.back()}}};
  } else if constexpr (std::is_same_v<T, codec::stored_facts>) {
    const auto records = records_of_one_fact();
    return {{7, 8, {{9, records.front().facts.front()}, {10, records.back().facts.front()}}}};
  } else {
    return {filled<T>()};
  }
}

/// How one kind of value is encoded and decoded.
template <class T, class Encode, class Decode>
struct kind {
  std::string name;
  Encode encode;
  Decode decode;
  T value = filled<T>();
};
template <class T, class Encode, class Decode>
auto make_kind(std::string name, Encode encode, Decode decode) {
  return kind<T, Encode, Decode>{std::move(name), std::move(encode), std::move(decode)};
}
template <class T, class Decode>
auto plain_kind(std::string name, Decode decode) {
  return make_kind<T>(
    std::move(name), [](const T& x) { return codec::encode(x); }, decode);
}
template <class T, class Decode>
auto stamped_kind(std::string name, Decode decode) {
  return make_kind<codec::stamped<T>>(
    std::move(name), [](const auto& x) { return codec::encode(x.value, x.at); }, decode);
}

/// Calls `check` with every kind of stored value.
template <class Check>
void for_each_kind(Check check) {
  check(plain_kind<codec::stored_facts>("stored_facts", &codec::decode_facts));
  check(plain_kind<turn_record>("turn_record", &codec::decode_record));
  check(plain_kind<entry>("entry", &codec::decode_entry));
  check(plain_kind<agent_state>("agent_state", &codec::decode_agent_state));
  check(plain_kind<partition_state>("partition_state", &codec::decode_partition_state));
  check(plain_kind<run_summary>("run_summary", &codec::decode_run));
  check(plain_kind<mailbox_entry>("mailbox_entry", &codec::decode_mailbox_entry));
  check(plain_kind<outbox_message>("outbox_message", &codec::decode_outbox_message));
  check(plain_kind<idempotency_recorded>("idempotency_recorded", &codec::decode_idempotency));
  check(plain_kind<codec::forked_agent>("forked_agent", &codec::decode_forked_agent));
  check(plain_kind<node_record>("node_record", &codec::decode_node_record));
  check(plain_kind<cluster_settings>("cluster_settings", &codec::decode_cluster_settings));
  check(stamped_kind<event_routed>("event_routed", &codec::decode_event_routed));
  check(stamped_kind<dead_lettered>("dead_lettered", &codec::decode_dead_letter));
  check(stamped_kind<definition_applied>("definition_applied", &codec::decode_definition));
}

template <class Kind, class Check>
void for_each_to_damage(const Kind& k, Check check) {
  for (const auto& value : values_to_damage<decltype(Kind::value)>())
    check(k.encode(value));
}

/// Damaged bytes must be refused as corrupt, or be some value that can be written and read again.
template <class Kind>
void check_damaged(const Kind& k, std::string_view bytes) {
  auto decoded = k.decode(bytes);
  if (!decoded) {
    if (decoded.error().code != errc::corrupt || decoded.error().context.empty())
      FAIL(k.name << ": refused, but not as corrupt");
    return;
  }
  auto again = k.decode(k.encode(*decoded));
  if (!again || !same(*again, *decoded))
    FAIL(k.name << ": decoded from damaged bytes to what does not survive a round trip");
}

template <std::size_t... I>
std::vector<fact> default_facts(std::index_sequence<I...>) {
  return {fact{std::in_place_index<I>}...};
}

template <class T, class Decode>
void check_members_alone(Decode decode) {
  for (const auto& value : each_member_filled<T>()) {
    auto decoded = decode(codec::encode(value));
    REQUIRE(decoded);
    CHECK(same(*decoded, value));
  }
}

struct check_fact_members_alone {
  template <class T>
  void operator()(const T&) const {
    for (const auto& value : each_member_filled<T>()) {
      turn_record record;
      record.facts.emplace_back(value);
      auto decoded = codec::decode_record(codec::encode(record));
      REQUIRE(decoded);
      CHECK(*decoded == record);
    }
  }
};

}  // namespace

TEST_CASE("every stored value with all its members filled comes back as it was") {
  for_each_kind([](const auto& k) {
    CAPTURE(k.name);
    auto decoded = k.decode(k.encode(k.value));
    REQUIRE(decoded);
    CHECK(same(*decoded, k.value));
  });
}

TEST_CASE("every stored value of defaults comes back as it was") {
  for_each_kind([](const auto& k) {
    CAPTURE(k.name);
    const decltype(k.value) empty{};
    auto decoded = k.decode(k.encode(empty));
    REQUIRE(decoded);
    CHECK(same(*decoded, empty));
  });
}

TEST_CASE("every fact comes back as it was, filled and with defaults") {
  for (const auto& record : records_of_one_fact()) {
    CAPTURE(std::string{name_of(record.facts.front())});
    auto decoded = codec::decode_record(codec::encode(record));
    REQUIRE(decoded);
    CHECK(*decoded == record);
  }
  turn_record record;
  record.facts = default_facts(std::make_index_sequence<std::variant_size_v<fact>>{});
  auto decoded = codec::decode_record(codec::encode(record));
  REQUIRE(decoded);
  CHECK(*decoded == record);
}

TEST_CASE("a member that is filled alone comes back in its own place") {
  for (const auto& f : default_facts(std::make_index_sequence<std::variant_size_v<fact>>{}))
    std::visit(check_fact_members_alone{}, f);
  check_members_alone<agent_state>(&codec::decode_agent_state);
  check_members_alone<partition_state>(&codec::decode_partition_state);
  check_members_alone<run_summary>(&codec::decode_run);
  check_members_alone<mailbox_entry>(&codec::decode_mailbox_entry);
  check_members_alone<outbox_message>(&codec::decode_outbox_message);
  check_members_alone<codec::forked_agent>(&codec::decode_forked_agent);
  for (const auto& run : each_member_filled<open_run>()) {
    agent_state state;
    state.run = run;
    auto decoded = codec::decode_agent_state(codec::encode(state));
    REQUIRE(decoded);
    CHECK(*decoded == state);
  }
  for (const auto& effect : each_member_filled<effect_state>()) {
    agent_state state;
    state.effects = {effect};
    auto decoded = codec::decode_agent_state(codec::encode(state));
    REQUIRE(decoded);
    CHECK(*decoded == state);
  }
}

TEST_CASE("the same value gives the same bytes, whatever was encoded before") {
  for_each_kind([](const auto& k) {
    CAPTURE(k.name);
    const std::string first = k.encode(k.value);
    (void)codec::encode(filled<agent_state>());
    (void)k.decode(first);
    const auto copy = k.value;
    CHECK(k.encode(copy) == first);
  });
}

TEST_CASE("threads encode and decode at the same time without disturbing each other") {
  const auto state = filled<agent_state>();
  const auto record = filled<turn_record>();
  const std::string state_bytes = codec::encode(state);
  const std::string record_bytes = codec::encode(record);
  std::atomic<int> wrong = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i)
    threads.emplace_back([&] {
      for (int round = 0; round < 50; ++round) {
        auto decoded = codec::decode_record(record_bytes);
        if (codec::encode(state) != state_bytes || !decoded || !(*decoded == record))
          ++wrong;
      }
    });
  for (auto& thread : threads)
    thread.join();
  CHECK(wrong == 0);
}

TEST_CASE("facts chosen from a record are encoded like a copy of them") {
  const auto record = filled<turn_record>();
  std::vector<bool> chosen(record.facts.size());
  std::vector<seq_no> seqs(record.facts.size());
  codec::stored_facts expected{record.at, record.catalog_index, {}};
  for (std::size_t i = 0; i < record.facts.size(); ++i) {
    chosen[i] = i % 3 != 1;
    seqs[i] = 100 + 2 * i;
    if (chosen[i])
      expected.facts.push_back({seqs[i], record.facts[i]});
  }
  CHECK(codec::encode_facts(record, chosen, seqs) == codec::encode(expected));
}

TEST_CASE("a value cut short anywhere decodes or is corrupt") {
  for_each_kind([](const auto& k) {
    for_each_to_damage(k, [&](const std::string& bytes) {
      for (std::size_t size = 0; size < bytes.size(); ++size) {
        const std::vector<char> cut(bytes.data(), bytes.data() + size);  // its end is watched
        check_damaged(k, {cut.data(), cut.size()});
      }
    });
  });
}

TEST_CASE("a value with any bit flipped decodes or is corrupt") {
  for_each_kind([](const auto& k) {
    for_each_to_damage(k, [&](std::string bytes) {
      for (char& byte : bytes) {
        const char before = byte;
        for (int bit = 0; bit < 8; ++bit) {
          byte = static_cast<char>(before ^ (1 << bit));
          check_damaged(k, bytes);
        }
        byte = before;
      }
    });
  });
}

TEST_CASE("a value with random bytes in random places decodes or is corrupt") {
  std::mt19937 random{20261121};
  for_each_kind([&](const auto& k) {
    for_each_to_damage(k, [&](const std::string& good) {
      for (int round = 0; round < 100; ++round) {
        std::string bytes = good;
        for (std::size_t i = 0; i < 1 + random() % 8; ++i)
          bytes[1 + random() % (bytes.size() - 1)] = static_cast<char>(random());
        check_damaged(k, bytes);
      }
    });
  });
}

TEST_CASE("any other format version is corrupt and says which") {
  for_each_kind([](const auto& k) {
    CAPTURE(k.name);
    std::string bytes = k.encode(k.value);
    CHECK(bytes.front() == codec::format_version);
    for (int version : {0, codec::format_version + 1, 255}) {
      bytes.front() = static_cast<char>(version);
      auto decoded = k.decode(bytes);
      REQUIRE_FALSE(decoded);
      CHECK(decoded.error().code == errc::corrupt);
      CHECK(decoded.error().context.find("format " + std::to_string(version)) != std::string::npos);
    }
    CHECK_FALSE(k.decode(""));
  });
}

// Bytes by hand: version, TurnRecord.facts (field 5, length), and in it the fact.
TEST_CASE("a fact of an unknown kind is corrupt and not skipped") {
  using namespace std::string_literals;
  const std::string unknown = "\x01\x2a\x04\xba\x7d\x01\x00"s;  // Fact field 2007, length 1
  const std::string none = "\x01\x2a\x00"s;
  const std::string paused_fact = "\x01\x2a\x06\xb2\x01\x03\x0a\x01x"s;  // field 22: by = "x"
  REQUIRE(codec::decode_record(paused_fact));
  CHECK(std::get<paused>((*codec::decode_record(paused_fact)).facts.front()).by == "x");
  for (const auto& bytes : {unknown, none}) {
    auto decoded = codec::decode_record(bytes);
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == errc::corrupt);
    CHECK(decoded.error().context.find("Fact.kind") != std::string::npos);
  }
}

TEST_CASE("an unknown enum value is corrupt and names its field") {
  using namespace std::string_literals;
  const auto timer = [](char kind) {  // Fact field 12: timer_set, its field 2: kind
    return "\x01\x2a\x04\x62\x02\x10"s + kind;
  };
  REQUIRE(codec::decode_record(timer(5)));
  for (char kind : {'\0', '\x06', '\x7f'}) {
    auto decoded = codec::decode_record(timer(kind));
    REQUIRE_FALSE(decoded);
    CHECK(decoded.error().code == errc::corrupt);
    CHECK(decoded.error().context.find("TimerSet.kind") != std::string::npos);
  }
}

TEST_CASE("a group number that does not fit is corrupt") {
  using namespace std::string_literals;
  const auto acked = [](std::string_view group) {  // Fact field 41: outbox_acked, its field 1
    return "\x01\x2a\x07\xca\x02\x04\x08"s.append(group);
  };
  REQUIRE(codec::decode_record(acked("\xff\xff\x03"s)));      // 65,535
  CHECK_FALSE(codec::decode_record(acked("\x80\x80\x04"s)));  // 65,536
}

TEST_CASE("a part that must be there and is not is corrupt") {
  using namespace std::string_literals;
  const std::string message_sent_without_message = "\x01\x2a\x04\x7a\x02\x10\x05"s;
  CHECK_FALSE(codec::decode_record(message_sent_without_message));
  const std::string numbered_without_fact = "\x01\x1a\x02\x08\x05"s;
  CHECK_FALSE(codec::decode_facts(numbered_without_fact));
}

TEST_CASE("groups of a partition's state that are out of order or doubled are corrupt") {
  using namespace std::string_literals;
  const std::string two = "\x22\x02\x08\x02"s;  // out_next {group: 2}
  const std::string three = "\x22\x02\x08\x03"s;
  CHECK(codec::decode_partition_state("\x01"s + two + three));
  CHECK_FALSE(codec::decode_partition_state("\x01"s + three + two));
  CHECK_FALSE(codec::decode_partition_state("\x01"s + two + two));
}

TEST_CASE("the schema has no maps, no floating point and no text that must be UTF-8") {
  int fields = 0;
  for (std::string name : {"holdfast", "cluster"}) {
    std::ifstream file{HOLDFAST_SOURCE_DIR "/schemas/" + name + ".proto"};
    REQUIRE(file);
    for (std::string line; std::getline(file, line);) {
      std::istringstream words{line.substr(0, line.find("//"))};
      std::string type;
      words >> type;
      if (type == "repeated")
        words >> type;
      CAPTURE(line);
      CHECK_FALSE(type.starts_with("map"));
      for (auto wrong : {"float", "double", "string", "optional", "required"})
        CHECK(type != wrong);
      fields += line.find(" = ") != std::string::npos;
    }
  }
  CHECK(fields > 300);
}
