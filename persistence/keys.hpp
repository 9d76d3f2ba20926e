#pragma once
// Every key on disk is made here and nowhere else. All are big-endian and start with the group (2 bytes), so that key
// order is number order and a group is one range. An agent is written `type/key` followed by 0x00 (keys hold no
// control characters), so that one agent's keys are one range too. A kind byte, once given, is never reused.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "schemas/ids.hpp"

namespace holdfast::keys {

/// The half-open range [lower, upper).
struct range {
  std::string lower;
  std::string upper;
};

std::string agent(group_id group, const agent_name& name);  ///< snapshot
range agents(group_id group,
             std::string_view type = {});  ///< snapshot: all agents of the group, or of one type
std::string numbered(group_id group, const agent_name& name,
                     std::uint64_t number);  ///< journal, mailbox, message, memory, stream
range numbered_range(group_id group, const agent_name& name, std::uint64_t from = 0,
                     std::uint64_t to = UINT64_MAX);  ///< numbers in [from, to)
std::string timer(group_id group, time_us due, const agent_name& name, std::uint64_t timer_id);
range timers_until(group_id group, time_us due);  ///< due at or before
std::string idempotency(group_id group, const digest128& scope);
std::string outbox(group_id group, group_id target, std::uint64_t sequence);
range outboxes(group_id group);
std::string by_id(group_id group, const sortable_id& id);  ///< run, event_log, dead_letter
range by_ids(group_id group);
std::string audit(group_id group, time_us at, std::uint64_t number);
range audits(group_id group);
std::string definition(std::string_view kind, std::string_view name, std::uint32_t version);
range definitions();
range group(group_id group);

/// Kinds within `family::index`.
enum class index_kind : std::uint8_t {
  ready = 1,      ///< agent that must be looked at when its shard starts
  agent_run = 2,  ///< agent ‖ run
  reconcile = 3,  ///< run ‖ effect no (4 bytes) → agent
};
std::string ready(group_id group, const agent_name& name);
range ready_range(group_id group);
std::string agent_run(group_id group, const agent_name& name, const run_id& run);
range agent_runs(group_id group, const agent_name& name);
std::string reconcile(group_id group, const effect_id& effect);
range reconciles(group_id group);

std::string partition_state(group_id group);  ///< meta
std::string audit_head(group_id group);       ///< meta: where the group's audit chain ends
std::string member(std::string_view node);    ///< meta, of group 0: a node that is or was a member
range members();
std::string cluster_settings();         ///< meta, of group 0
std::string log_state(group_id group);  ///< meta: the log's own {term, applied index}
// Of the replicated log: meta, and the entries, in order of index, in family::log.
std::string hard_state(group_id group);
std::string snapshot_metadata(group_id group);
std::string log_range(group_id group);
std::string log_entry(group_id group, std::uint64_t index);
range log_entries(group_id group);
/// meta: what the state machine keeps, and is the same on every replica at the same applied index. The other keys of
/// the group in meta are this node's own books about its log. In order of keys, apart from each other.
std::vector<range> state_in_meta(group_id group);
/// Node metadata (meta, the only keys without a group: they start with 0xFF 0xFF).
std::string node(std::string_view name);

// ---- back from keys; nothing when the key is not of that form ---------------------------------------------------

std::optional<agent_name> agent_of(std::string_view key);  ///< snapshot, ready, numbered, agent_run
std::optional<std::uint64_t> number_of(std::string_view key);  ///< the last 8 bytes
struct timer_key {
  time_us due;
  agent_name agent;
  std::uint64_t timer_id;
};
std::optional<timer_key> timer_of(std::string_view key);
std::optional<sortable_id> id_of(std::string_view key);  ///< the last 16 bytes
std::optional<effect_id> reconcile_of(std::string_view key);
struct outbox_key {
  group_id target;
  std::uint64_t sequence;
};
std::optional<outbox_key> outbox_of(std::string_view key);
std::optional<std::uint64_t> log_entry_of(std::string_view key);  ///< its index
std::optional<group_id> group_of(std::string_view key);

}  // namespace holdfast::keys
