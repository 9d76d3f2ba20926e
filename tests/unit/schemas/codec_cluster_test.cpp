// The bytes of the replicated log and of the node link.

#include <doctest/doctest.h>

#include <random>

#include "schemas/codec.hpp"
#include "schemas/codec_consensus.hpp"
#include "schemas/codec_link.hpp"
#include "tests/unit/schemas/consensus_equal.hpp"
#include "tests/unit/schemas/filled.hpp"

using namespace holdfast;
using namespace holdfast::test;

namespace {

using group_messages = std::vector<codec::group_message>;

group_messages filled_messages() {
  group_messages out;
  group_id group = 60'000;
  for (auto& body : filled_alternatives<consensus::message>())
    out.push_back({group++, std::move(body)});
  return out;
}

consensus::entry entry_of(std::size_t bytes) {
  return {3, consensus::entry_kind::command,
          std::make_shared<const std::string>(std::string(bytes, 'd'))};
}

group_messages messages_with(std::size_t messages, std::size_t entries_each,
                             std::size_t bytes_each) {
  consensus::append_entries body;
  body.entries.assign(entries_each, entry_of(bytes_each));
  return group_messages(messages, {1, body});
}

template <class Value>
void check_corrupt(const result<Value>& decoded) {
  REQUIRE_FALSE(decoded);
  CHECK(decoded.error().code == errc::corrupt);
  CHECK_FALSE(decoded.error().context.empty());
}

/// What damaged bytes decode to, if to anything, is written and read again as it is.
void check_raft_frame(std::string_view bytes) {
  const std::vector<char> copy(bytes.begin(), bytes.end());  // its end is watched
  const auto decoded = codec::decode_raft_frame({copy.data(), copy.size()});
  if (!decoded)
    return check_corrupt(decoded);
  for (const auto& m : *decoded)
    if (const auto* appended = std::get_if<consensus::append_entries>(&m.body))
      for (const auto& e : appended->entries)
        REQUIRE(e.data);
  const auto again = codec::decode_raft_frame(codec::encode_raft_frame(*decoded));
  REQUIRE(again);
  if (!same_messages(*again, *decoded))
    FAIL("a raft frame that does not survive a round trip");
}

void check_link_frame(std::string_view bytes) {
  const std::vector<char> copy(bytes.begin(), bytes.end());
  const auto decoded = codec::decode_link_frame({copy.data(), copy.size()});
  if (!decoded)
    return check_corrupt(decoded);
  const auto again = codec::decode_link_frame(codec::encode(*decoded));
  REQUIRE(again);
  if (!(*again == *decoded))
    FAIL("a link frame that does not survive a round trip");
}

void check_stored_entry(std::string_view bytes) {
  const std::vector<char> copy(bytes.begin(), bytes.end());
  const auto decoded = codec::decode_log_entry({copy.data(), copy.size()});
  if (!decoded)
    return check_corrupt(decoded);
  REQUIRE(decoded->data);
  const auto again = codec::decode_log_entry(codec::encode(*decoded));
  REQUIRE(again);
  CHECK(*again == *decoded);
}

template <class Value, class Decode>
auto check_plain(Decode decode) {
  return [decode](std::string_view bytes) {
    const std::vector<char> copy(bytes.begin(), bytes.end());
    const result<Value> decoded = decode({copy.data(), copy.size()});
    if (!decoded)
      return check_corrupt(decoded);
    const result<Value> again = decode(codec::encode(*decoded));
    REQUIRE(again);
    CHECK(*again == *decoded);
  };
}

/// Every end, every bit, then random ones: bytes changed, left out, doubled.
template <class Check>
void damage(const std::string& good, int rounds, std::mt19937& random, Check check) {
  for (std::size_t size = 0; size < good.size(); ++size)
    check(std::string_view{good}.substr(0, size));
  for (std::size_t at = 0; at < good.size(); ++at)
    for (int bit = 0; bit < 8; ++bit) {
      auto bytes = good;
      bytes[at] = static_cast<char>(bytes[at] ^ (1 << bit));
      check(bytes);
    }
  for (int round = 0; round < rounds; ++round) {
    auto bytes = good;
    for (auto changes = 1 + random() % 6; changes > 0; --changes) {
      const auto at = 1 + random() % (bytes.size() - 1);
      switch (random() % 4) {
        case 0:
          bytes.erase(at, 1 + random() % 4);
          break;
        case 1:
          bytes.insert(at, bytes.substr(random() % bytes.size(), 1 + random() % 16));
          break;
        default:
          bytes[at] = static_cast<char>(random());
      }
      if (bytes.size() < 2)
        break;
    }
    check(bytes);
  }
}

/// A frame with this head, by hand.
std::string with_head(const std::string& head, const std::string& large = {}) {
  std::string out(1, static_cast<char>(codec::format_version));
  for (int shift = 24; shift >= 0; shift -= 8)
    out += static_cast<char>(head.size() >> shift & 0xff);
  return out + head + large;
}

}  // namespace

TEST_CASE("every consensus message comes back as it was, alone and with all others") {
  const auto all = filled_messages();
  auto together = codec::decode_raft_frame(codec::encode_raft_frame(all));
  REQUIRE(together);
  CHECK(same_messages(*together, all));
  for (const auto& m : all) {
    CAPTURE(m.body.index());
    auto alone = codec::decode_raft_frame(codec::encode_raft_frame({&m, 1}));
    REQUIRE(alone);
    CHECK(same_messages(*alone, {m}));
  }
  auto none = codec::decode_raft_frame(codec::encode_raft_frame({}));
  REQUIRE(none);
  CHECK(none->empty());
}

TEST_CASE("every consensus message of defaults, or with one member filled, comes back") {
  for (const auto& kind : filled_alternatives<consensus::message>())
    std::visit(
      []<class T>(const T&) {
        auto values = each_member_filled<T>();
        values.emplace_back();
        for (const auto& value : values) {
          const codec::group_message m{0, value};
          auto decoded = codec::decode_raft_frame(codec::encode_raft_frame({&m, 1}));
          REQUIRE(decoded);
          CHECK(same_messages(*decoded, {m}));
        }
      },
      kind);
}

TEST_CASE("entries share no data after decoding, and need no more than their bytes") {
  const auto sent = messages_with(2, 3, 100'000);
  const auto bytes = codec::encode_raft_frame(sent);
  CHECK(bytes.size() < 600'200);
  auto decoded = codec::decode_raft_frame(bytes);
  REQUIRE(decoded);
  CHECK(same_messages(*decoded, sent));
  const auto& entries = std::get<consensus::append_entries>(decoded->front().body).entries;
  CHECK(entries[0].data.get() != entries[1].data.get());
  CHECK(entries[0].data.use_count() == 1);
}

TEST_CASE("what is stored of a group comes back as it was") {
  const auto e = filled<consensus::entry>();
  auto stored_entry = codec::decode_log_entry(codec::encode(e));
  REQUIRE(stored_entry);
  CHECK(*stored_entry == e);
  auto large = codec::decode_log_entry(codec::encode(entry_of(3U << 20)));
  REQUIRE(large);
  CHECK(*large == entry_of(3U << 20));
  const auto hard = filled<consensus::hard_state>();
  auto stored_hard = codec::decode_hard_state(codec::encode(hard));
  REQUIRE(stored_hard);
  CHECK(*stored_hard == hard);
  const auto metadata = filled<consensus::snapshot_metadata>();
  auto stored_metadata = codec::decode_snapshot_metadata(codec::encode(metadata));
  REQUIRE(stored_metadata);
  CHECK(*stored_metadata == metadata);
  const auto range = filled<consensus::log_range>();
  auto stored_range = codec::decode_log_range(codec::encode(range));
  REQUIRE(stored_range);
  CHECK(*stored_range == range);
  for (const auto& one : each_member_filled<consensus::log_range>()) {
    auto decoded = codec::decode_log_range(codec::encode(one));
    REQUIRE(decoded);
    CHECK(decoded->last == one.last);
  }
}

TEST_CASE(
  "every frame of the node link comes back as it was, filled, empty, and member by member") {
  for (const auto& frame : filled_alternatives<link_frame>()) {
    CAPTURE(frame.index());
    auto decoded = codec::decode_link_frame(codec::encode(frame));
    REQUIRE(decoded);
    CHECK(*decoded == frame);
    std::visit(
      []<class T>(const T&) {
        auto values = each_member_filled<T>();
        values.emplace_back();
        for (const auto& value : values) {
          auto again = codec::decode_link_frame(codec::encode(link_frame{value}));
          REQUIRE(again);
          CHECK(*again == link_frame{value});
        }
      },
      frame);
  }
}

TEST_CASE("raft traffic is the same whether it is encoded in one step or in two") {
  const auto messages = filled_messages();
  CHECK(codec::encode_raft_link_frame(messages) ==
        codec::encode(link_frame{link::raft_traffic{codec::encode_raft_frame(messages)}}));
}

TEST_CASE("a damaged frame or stored value of the cluster decodes or is corrupt") {
  std::mt19937 random{20261121};
  for (const auto& m : filled_messages())
    damage(codec::encode_raft_frame({&m, 1}), 2'000, random, check_raft_frame);
  damage(codec::encode_raft_frame(filled_messages()), 8'000, random, check_raft_frame);
  for (const auto& frame : filled_alternatives<link_frame>())
    damage(codec::encode(frame), 2'000, random, check_link_frame);
  damage(codec::encode(filled<consensus::entry>()), 4'000, random, check_stored_entry);
  damage(codec::encode(filled<consensus::hard_state>()), 500, random,
         check_plain<consensus::hard_state>(&codec::decode_hard_state));
  damage(codec::encode(filled<consensus::snapshot_metadata>()), 2'000, random,
         check_plain<consensus::snapshot_metadata>(&codec::decode_snapshot_metadata));
  damage(codec::encode(filled<consensus::log_range>()), 500, random,
         check_plain<consensus::log_range>(&codec::decode_log_range));
}

TEST_CASE("an unknown kind of message, entry, role or frame is corrupt and not skipped") {
  using namespace std::string_literals;
  const auto message = [](const std::string& body) {
    return with_head("\x0a"s + static_cast<char>(body.size()) + body);
  };
  REQUIRE(codec::decode_raft_frame(message("\x3a\x00"s)));  // timeout_now
  check_corrupt(codec::decode_raft_frame(message("\x42\x00"s)));
  check_corrupt(codec::decode_raft_frame(message("")));
  REQUIRE(codec::decode_raft_frame(message("\x08\xff\xff\x03\x3a\x00"s)));        // group 65,535
  check_corrupt(codec::decode_raft_frame(message("\x08\x80\x80\x04\x3a\x00"s)));  // 65,536
  REQUIRE(codec::decode_log_entry(with_head("\x10\x03"s)));
  check_corrupt(codec::decode_log_entry(with_head("\x10\x04"s)));
  check_corrupt(codec::decode_log_entry(with_head("")));
  const auto metadata = [](char role) { return "\x01\x1a\x04\x0a\x02\x18"s + role; };
  REQUIRE(codec::decode_snapshot_metadata(metadata(2)));
  check_corrupt(codec::decode_snapshot_metadata(metadata(3)));
  REQUIRE(codec::decode_link_frame(with_head("\x62\x00"s)));  // cut_request
  check_corrupt(codec::decode_link_frame(with_head("\x6a\x00"s)));
  check_corrupt(codec::decode_link_frame(with_head("")));
}

TEST_CASE("large parts that are shorter or longer than the head says are corrupt") {
  using namespace std::string_literals;
  const auto head = "\x10\x01\x18\x03"s;  // 3 bytes of data
  REQUIRE(codec::decode_log_entry(with_head(head, "abc")));
  check_corrupt(codec::decode_log_entry(with_head(head, "ab")));
  check_corrupt(codec::decode_log_entry(with_head(head, "abcd")));
  auto frame = codec::encode_raft_frame(messages_with(2, 2, 10));
  check_corrupt(codec::decode_raft_frame(frame + "x"));
  frame.pop_back();
  check_corrupt(codec::decode_raft_frame(frame));
  check_corrupt(codec::decode_link_frame(codec::encode(link_frame{link::http_cancel{1}}) + "x"));
  // More than there is memory.
  check_corrupt(codec::decode_log_entry(
    with_head("\x10\x01\x18\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s, "abc")));
  check_corrupt(codec::decode_link_frame("\x01\xff\xff\xff\xff"s));
}

TEST_CASE("any other format version of a frame or stored entry is corrupt and says which") {
  for (int version : {0, codec::format_version + 1, 255}) {
    const auto said = "format " + std::to_string(version);
    auto frame = codec::encode(link_frame{link::http_cancel{1}});
    auto raft = codec::encode_raft_frame(filled_messages());
    auto stored = codec::encode(entry_of(3));
    frame.front() = raft.front() = stored.front() = static_cast<char>(version);
    const auto decoded = codec::decode_link_frame(frame);
    check_corrupt(decoded);
    CHECK(decoded.error().context.find(said) != std::string::npos);
    const auto decoded_raft = codec::decode_raft_frame(raft);
    check_corrupt(decoded_raft);
    CHECK(decoded_raft.error().context.find(said) != std::string::npos);
    const auto decoded_entry = codec::decode_log_entry(stored);
    check_corrupt(decoded_entry);
    CHECK(decoded_entry.error().context.find(said) != std::string::npos);
  }
}

TEST_CASE("a frame holds as many messages and entries as it may, and one with more is corrupt") {
  const auto many = messages_with(codec::raft_frame_messages_max, 1, 1);
  auto bytes = codec::encode_raft_frame(many);
  REQUIRE(codec::decode_raft_frame(bytes));
  auto crowded = messages_with(1, codec::raft_frame_entries_max, 0);
  REQUIRE(codec::decode_raft_frame(codec::encode_raft_frame(crowded)));
  using namespace std::string_literals;
  std::string head;
  for (std::size_t i = 0; i <= codec::raft_frame_messages_max; ++i)
    head += "\x0a\x02\x3a\x00"s;
  check_corrupt(codec::decode_raft_frame(with_head(head)));
  std::string entries;
  for (std::size_t i = 0; i <= codec::raft_frame_entries_max; ++i)
    entries += "\x32\x02\x10\x01"s;
  const auto length = [](std::size_t size) {  // a varint of three bytes
    return std::string{static_cast<char>(size | 0x80), static_cast<char>(size >> 7 | 0x80),
                       static_cast<char>(size >> 14)};
  };
  const auto appended = "\x12"s + length(entries.size()) + entries;
  check_corrupt(codec::decode_raft_frame(with_head("\x0a"s + length(appended.size()) + appended)));
}

TEST_CASE("messages are counted into frames by their bytes and numbers, at least one into each") {
  CHECK(codec::count_for_raft_frame({}, 1'000) == 0);
  const auto large = messages_with(10, 2, 10'000);
  CHECK(codec::count_for_raft_frame(large, 1) == 1);
  CHECK(codec::count_for_raft_frame(large, 70'000) == 3);
  CHECK(codec::count_for_raft_frame(large, 1U << 30) == 10);
  const auto n = codec::count_for_raft_frame(large, 70'000);
  CHECK(codec::encode_raft_frame(std::span{large}.first(n)).size() <= 70'000);
  const auto many = messages_with(codec::raft_frame_messages_max + 1, 0, 0);
  CHECK(codec::count_for_raft_frame(many, 1U << 30) == codec::raft_frame_messages_max);
  const auto crowded = messages_with(5, codec::raft_frame_entries_max / 2, 0);
  CHECK(codec::count_for_raft_frame(crowded, 1U << 30) == 2);
}
