// The bytes on disk do not change. HOLDFAST_GOLDEN_WRITE=1 writes the files anew: before a release
// that is how a schema grows; after it, a line that changes means that data already stored cannot
// be read.

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>

#include "schemas/codec_link.hpp"
#include "tests/unit/schemas/consensus_equal.hpp"
#include "tests/unit/schemas/golden_values.hpp"
#include "tests/unit/schemas/members.hpp"

using namespace holdfast;
using namespace holdfast::test;

namespace {

const std::string folder = HOLDFAST_SOURCE_DIR "/tests/golden/";

struct golden {
  std::string name;
  std::string bytes;
  std::function<bool(std::string_view)> decodes_to_the_value;
};

std::string to_hex_text(std::string_view bytes) {
  static constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  for (unsigned char byte : bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::string from_hex_text(std::string_view hex) {
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2)
    out += static_cast<char>(std::stoi(std::string{hex.substr(i, 2)}, nullptr, 16));
  return out;
}

/// `name hex`, one a line.
std::map<std::string, std::string> read_file(const std::string& path) {
  std::map<std::string, std::string> out;
  std::ifstream file{path};
  for (std::string name, hex; file >> name >> hex;)
    out[name] = from_hex_text(hex);
  return out;
}

void check_file(const std::string& file_name, const std::vector<golden>& values) {
  const std::string path = folder + file_name;
  if (const char* write = std::getenv("HOLDFAST_GOLDEN_WRITE"); write && *write == '1') {
    std::ofstream file{path};
    for (const auto& value : values)
      file << value.name << ' ' << to_hex_text(value.bytes) << '\n';
  }
  const auto pinned = read_file(path);
  CHECK(pinned.size() == values.size());
  for (const auto& value : values) {
    CAPTURE(value.name);
    const auto line = pinned.find(value.name);
    REQUIRE_MESSAGE(line != pinned.end(), "not in " << path << "; see HOLDFAST_GOLDEN_WRITE");
    CHECK(to_hex_text(value.bytes) == to_hex_text(line->second));
    CHECK(value.decodes_to_the_value(line->second));
  }
}

/// The facts of every released schema, each in the form in which a history keeps it.
std::vector<golden> golden_history() {
  std::vector<golden> out;
  seq_no seq = 1;
  for (const auto& f : golden_facts()) {
    const codec::stored_facts value{
      .at = 1'795'248'000'123'456, .catalog_index = 5, .facts = {{seq++, f}}};
    out.push_back({std::string{name_of(f)}, codec::encode(value), [value](std::string_view bytes) {
                     auto decoded = codec::decode_facts(bytes);
                     return decoded && *decoded == value;
                   }});
  }
  return out;
}

template <class T, class Decode>
golden plain(std::string name, const T& value, Decode decode) {
  return {std::move(name), codec::encode(value), [value, decode](std::string_view bytes) {
            auto decoded = decode(bytes);
            return decoded && members(*decoded) == members(value);
          }};
}

golden raft_frame(std::string name, const std::vector<codec::group_message>& value) {
  return {std::move(name), codec::encode_raft_frame(value), [value](std::string_view bytes) {
            auto decoded = codec::decode_raft_frame(bytes);
            return decoded && same_messages(*decoded, value);
          }};
}

template <class T, class Decode>
golden stamped(std::string name, const codec::stamped<T>& value, Decode decode) {
  return {std::move(name), codec::encode(value.value, value.at),
          [value, decode](std::string_view bytes) {
            auto decoded = decode(bytes);
            return decoded && *decoded == value;
          }};
}

}  // namespace

TEST_CASE("the bytes of every fact are those in tests/golden/facts.hex") {
  const auto facts = golden_facts();
  REQUIRE(facts.size() == std::variant_size_v<fact>);
  for (std::size_t i = 0; i < facts.size(); ++i)
    CHECK(facts[i].index() == i);
  check_file("facts.hex", golden_history());
}

TEST_CASE("the bytes of every stored value are those in tests/golden/values.hex") {
  check_file(
    "values.hex",
    {plain("turn_record", golden_record(), &codec::decode_record),
     plain("entry", golden_entry(), &codec::decode_entry),
     plain("agent_state", golden_agent_state(), &codec::decode_agent_state),
     plain("partition_state", golden_partition_state(), &codec::decode_partition_state),
     plain("run_summary", golden_run_summary(), &codec::decode_run),
     plain("mailbox_entry", golden_mailbox_entry(), &codec::decode_mailbox_entry),
     plain("outbox_message", golden_outbox_message(), &codec::decode_outbox_message),
     plain("idempotency_recorded", golden_idempotency(), &codec::decode_idempotency),
     plain("forked_agent", golden_forked_agent(), &codec::decode_forked_agent),
     stamped("event_routed", golden_event_routed(), &codec::decode_event_routed),
     stamped("dead_lettered", golden_dead_letter(), &codec::decode_dead_letter),
     stamped("definition_applied", golden_definition(), &codec::decode_definition),
     plain("audit_entry", golden_audit_entry(), &codec::decode_audit_entry),
     plain("audit_head", golden_audit_head(), &codec::decode_audit_head),
     plain("node_record", golden_node_record(), &codec::decode_node_record),
     plain("cluster_settings", golden_settings(), &codec::decode_cluster_settings),
     plain("restored_agent_state", golden_restored_agent_state(), &codec::decode_agent_state),
     plain("restored_partition_state", golden_restored_partition_state(),
           &codec::decode_partition_state),
     plain(
       "received_by_key",
       codec::stored_facts{
         .at = 1'795'248'000'123'456, .catalog_index = 5, .facts = {{1, golden_received_by_key()}}},
       &codec::decode_facts)});
}

TEST_CASE("the bytes between nodes and of the log are those in tests/golden/cluster.hex") {
  std::vector<golden> values{
    {"log_entry", codec::encode(golden_log_entry()),
     [](std::string_view bytes) {
       auto decoded = codec::decode_log_entry(bytes);
       return decoded && *decoded == golden_log_entry();
     }},
    plain("hard_state", golden_hard_state(), &codec::decode_hard_state),
    plain("snapshot_metadata", golden_snapshot_metadata(), &codec::decode_snapshot_metadata),
    plain("log_range", golden_log_range(), &codec::decode_log_range)};
  const auto messages = golden_raft_messages();
  REQUIRE(messages.size() == std::variant_size_v<consensus::message>);
  for (std::size_t i = 0; i < messages.size(); ++i) {
    CHECK(messages[i].body.index() == i);
    values.push_back(raft_frame("raft_message_" + std::to_string(i), {messages[i]}));
  }
  values.push_back(raft_frame("raft_frame", messages));
  const auto add_frames = [&](const std::string& name, const std::vector<link_frame>& frames) {
    for (std::size_t i = 0; i < frames.size(); ++i)
      values.push_back({name + std::to_string(i), codec::encode(frames[i]),
                        [value = frames[i]](std::string_view bytes) {
                          auto decoded = codec::decode_link_frame(bytes);
                          return decoded && *decoded == value;
                        }});
  };
  const auto frames = golden_link_frames();
  REQUIRE(frames.size() == std::variant_size_v<link_frame>);
  for (std::size_t i = 0; i < frames.size(); ++i)
    CHECK(frames[i].index() == i);
  add_frames("link_frame_", frames);
  add_frames("cut_frame_", golden_cut_frames());
  check_file("cluster.hex", values);
}
