#pragma once
// The bytes of everything stored or sent between nodes: a format version byte, then Protobuf (schemas/holdfast.proto).
// The only place that sees Protobuf. Encoding is deterministic: the same value gives the same bytes on every replica.
// Decoding errors: `corrupt` for bytes that do not parse or carry a newer format version.

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/audit.hpp"
#include "schemas/fact.hpp"
#include "schemas/state.hpp"

namespace holdfast::codec {

/// First byte of every stored value. `holdfast` refuses a folder written by a newer one.
inline constexpr std::uint8_t format_version = 1;

/// Facts of one record as they are kept in one family: each with its place in the agent's history.
struct numbered_fact {
  seq_no seq = 0;
  holdfast::fact fact;
  bool operator==(const numbered_fact&) const = default;
};
struct stored_facts {
  time_us at = 0;
  std::uint64_t catalog_index = 0;
  std::vector<numbered_fact> facts;
  bool operator==(const stored_facts&) const = default;
};

std::string encode(const stored_facts& value);
/// The same without copying the facts: those of `record` for which `chosen[i]` is true; `seqs[i]` is the seq of
/// `record.facts[i]`.
std::string encode_facts(const turn_record& record, const std::vector<bool>& chosen,
                         const std::vector<seq_no>& seqs);
std::string encode(const turn_record& value);
std::string encode(const entry& value);
/// The same without copying the records, and without an index: its place in a replicated log is known there.
std::string encode_entry(std::span<const std::shared_ptr<const turn_record>> records);
std::string encode(const agent_state& value);
std::string encode(const partition_state& value);
std::string encode(const run_summary& value);
std::string encode(const mailbox_entry& value);
std::string encode(const node_record& value);
std::string encode(const cluster_settings& value);
std::string encode(const outbox_message& value);
std::string encode(const idempotency_recorded& value);
std::string encode(const event_routed& value, time_us received_at);
std::string encode(const dead_lettered& value, time_us at);
std::string encode(const definition_applied& value, time_us at);
std::string encode(const audit_entry& value);
std::string encode(const audit_head& value);
/// A copied agent for a fork: state and the messages and memory that it refers to.
struct forked_agent {
  agent_state state;
  std::vector<message> messages;
  std::string memory;
  bool operator==(const forked_agent&) const = default;
};
std::string encode(const forked_agent& value);

template <class T>
struct stamped {
  time_us at = 0;
  T value;
  bool operator==(const stamped&) const = default;
};

result<stored_facts> decode_facts(std::string_view bytes);
result<turn_record> decode_record(std::string_view bytes);
result<entry> decode_entry(std::string_view bytes);
result<agent_state> decode_agent_state(std::string_view bytes);
result<partition_state> decode_partition_state(std::string_view bytes);
result<run_summary> decode_run(std::string_view bytes);
result<mailbox_entry> decode_mailbox_entry(std::string_view bytes);
result<node_record> decode_node_record(std::string_view bytes);
result<cluster_settings> decode_cluster_settings(std::string_view bytes);
result<outbox_message> decode_outbox_message(std::string_view bytes);
result<idempotency_recorded> decode_idempotency(std::string_view bytes);
result<stamped<event_routed>> decode_event_routed(std::string_view bytes);
result<stamped<dead_lettered>> decode_dead_letter(std::string_view bytes);
result<stamped<definition_applied>> decode_definition(std::string_view bytes);
result<audit_entry> decode_audit_entry(std::string_view bytes);
result<audit_head> decode_audit_head(std::string_view bytes);
result<forked_agent> decode_forked_agent(std::string_view bytes);

}  // namespace holdfast::codec
