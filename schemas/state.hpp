#pragma once
// What facts add up to: the state of an agent (its snapshot header), of a partition, of a run. Small and bounded:
// mailbox, messages, memory and history are records of their own that a state refers to by number.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "schemas/fact.hpp"

namespace holdfast {

struct timer_state {
  std::uint64_t id = 0;
  timer_kind kind = timer_kind::sleep;
  time_us due = 0;
  std::string tag;
  run_id run;
  std::uint32_t effect_no = 0;
  bool operator==(const timer_state&) const = default;
};

struct effect_state {
  run_id run;
  std::uint32_t no = 0;
  effect_kind kind = effect_kind::tool;
  effect_class cls = effect_class::write;
  effect_phase phase = effect_phase::declared;
  std::string name;  ///< tool or model
  seq_no seq = 0;    ///< of the fact that declared it: its input is there
  std::string call_id;
  std::uint32_t step = 0;
  std::uint32_t attempt = 0;
  std::uint64_t term = 0;
  time_us since = 0;           ///< when the present phase began
  std::uint64_t timer_id = 0;  ///< retrying: its timer
  std::uint64_t reserved_tokens = 0;
  nano_usd reserved_cost = 0;
  std::uint64_t streamed_bytes = 0;  ///< of the present attempt
  std::string last_error;            ///< of the last attempt, for `why`
  bool operator==(const effect_state&) const = default;
};

/// A tool call of the model's last answer, in its order. The next model call waits until all are closed.
struct pending_call {
  std::string call_id;
  std::string tool;
  std::uint32_t effect_no = 0;  ///< 0: refused before it became an effect
  bool closed = false;
  bool operator==(const pending_call&) const = default;
};

struct awaited_state {
  std::string type;
  std::string where;
  std::uint64_t timer_id = 0;
  time_us since = 0;
  bool operator==(const awaited_state&) const = default;
};

/// The open run of an agent.
struct open_run {
  run_id id;
  std::uint32_t version = 0;
  std::uint64_t mailbox_no = 0;
  seq_no event_seq = 0;
  event_id event;
  run_id retry_of;
  time_us started_at = 0;
  std::uint32_t steps = 0;  ///< model calls and tool calls declared
  usage used;
  std::uint64_t reserved_tokens = 0;
  nano_usd reserved_cost = 0;
  std::uint32_t handler_failures = 0;  ///< of the oldest trigger that is due
  std::vector<seq_no>
    triggers_due;  ///< native: facts whose handler failed or waits behind such a one, in order
  std::optional<reply_address> reply_to;
  std::uint64_t message_base = 0;        ///< first message that belongs to this run's conversation
  std::uint64_t message_bytes_base = 0;  ///< the agent's `message_bytes` at that point
  std::vector<pending_call> calls;
  std::optional<awaited_state> awaited;
  std::optional<cancel_requested> cancel;
  std::uint64_t emitted_bytes = 0;
  std::uint32_t output_retries = 0;
  std::optional<effect_state> failed_effect;  ///< the one that the run failed by
  std::string traceparent;
  bool operator==(const open_run&) const = default;
};

enum class agent_status : std::uint8_t {
  idle = 1,
  running = 2,
  waiting = 3,
  paused = 4,
  quarantined = 5
};

struct hold {
  std::string by;
  std::string reason;
  time_us since = 0;
  time_us restored_from = 0;  ///< time of the backup that it came out of; 0: it did not
  bool operator==(const hold&) const = default;
};

/// A mailbox entry that waits. The event itself is in the journal at `event_seq`.
struct mailbox_entry {
  std::uint64_t no = 0;
  seq_no event_seq = 0;
  event_id id;
  run_id run;
  time_us received_at = 0;
  bool operator==(const mailbox_entry&) const = default;
};

/// An agent between two turns. Everything in it is bounded by the definition's limits, nothing by its age.
struct agent_state {
  agent_name name;
  seq_no seq = 0;
  time_us created_at = 0;
  time_us updated_at = 0;          ///< stamp of the last record
  std::uint64_t mailbox_next = 1;  ///< number of the next event
  std::uint64_t mailbox_head = 1;  ///< the oldest that waits; == next: empty
  std::vector<run_id> skipped;     ///< runs cancelled while they waited in the mailbox
  std::optional<open_run> run;
  std::vector<effect_state> effects;  ///< open ones; also unknown writes of runs that are over
  std::uint32_t effect_next = 1;      ///< effects are numbered through the agent's life
  std::vector<timer_state> timers;
  std::uint64_t timer_next = 1;
  std::uint64_t message_next = 1;
  std::uint64_t message_bytes = 0;  ///< content of all messages so far
  digest128 conversation;           ///< rolling digest over all messages so far
  seq_no memory_seq = 0;            ///< of the last `state_changed`; 0: never
  std::optional<hold> paused;
  std::optional<hold> quarantined;
  usage used;                 ///< of all runs
  std::uint32_t version = 0;  ///< of the last run's definition
  run_id last_run;
  std::optional<open_run>
    last_failed;  ///< kept so that `retry` can carry finished work over; dropped by the next run
  bool deleted = false;
  /// Stand still while it is held after a restore; due as much later as that takes.
  std::vector<timer_state> held_timers;
  bool operator==(const agent_state&) const = default;
};

enum class run_status : std::uint8_t {
  queued = 1,
  running = 2,
  waiting = 3,
  completed = 4,
  failed = 5,
  cancelled = 6
};

/// A run as it is stored for `GET /v1/runs`. Output and error stay in the journal at `ended_seq`.
struct run_summary {
  run_id id;
  agent_name agent;
  std::uint32_t version = 0;
  run_status status = run_status::queued;
  event_id event;
  seq_no event_seq = 0;
  seq_no started_seq = 0;
  seq_no ended_seq = 0;
  run_id retry_of;
  std::uint32_t steps = 0;
  usage used;
  time_us received_at = 0;
  time_us started_at = 0;
  time_us ended_at = 0;
};

/// What one group knows of itself. `out_next` and `taken` are keyed by the other group.
struct partition_state {
  std::uint64_t term = 0;
  std::uint64_t applied = 0;  ///< index of the last entry
  time_us last_at = 0;
  std::map<group_id, std::uint64_t> out_next;  ///< next sequence to give, from 1
  struct inbound {
    std::uint64_t watermark = 0;        ///< all up to here were taken
    std::vector<std::uint64_t> beyond;  ///< taken out of order, sorted, bounded
    bool operator==(const inbound&) const = default;
  };
  std::map<group_id, inbound> taken;
  std::uint64_t backup_epoch = 0;  ///< of the last cut
  time_us restored_from = 0;       ///< time of the backup that the group came out of; 0: of none
  bool restoring = false;          ///< what was open in it is not all held yet
  /// Messages with lower sequences were on their way in the backup.
  std::map<group_id, std::uint64_t> restored_next;
  bool operator==(const partition_state&) const = default;
};

/// A node that is a member of the cluster, or was one.
struct node_record {
  std::string name;
  std::string address;  ///< `host:port` of its link
  std::string folder;   ///< id of its data folder; empty: not told
  bool removed = false;
  time_us at = 0;  ///< when it was added, removed or changed
  node_roles roles = node_roles::both;
  bool operator==(const node_record&) const = default;
};
/// As `cluster_changed` has it.
struct cluster_settings {
  std::uint32_t replication = 0;
  std::uint32_t feature_level = 0;
  bool operator==(const cluster_settings&) const = default;
};

std::string_view to_string(agent_status value) noexcept;
std::string_view to_string(run_status value) noexcept;
std::string_view to_string(timer_kind value) noexcept;

/// Derived: idle, running (something is under way), waiting (only a wake cause will move it), paused, quarantined.
agent_status status_of(const agent_state& state) noexcept;

}  // namespace holdfast
