#pragma once
// Facts: what did happen. Past tense, stored, replicated; `evolve` is their only reader (DESIGN §3). A released fact
// never changes its meaning: add a new one. The number in `codec` is its identity on disk.

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "schemas/effect.hpp"
#include "schemas/event.hpp"
#include "schemas/ids.hpp"
#include "schemas/node_roles.hpp"

namespace holdfast {

// ---- of an agent ---------------------------------------------------------------------------------------------------

/// Who waits for a run's answer inside the cluster: an agent that asked.
struct reply_address {
  agent_name agent;
  run_id run;
  std::uint32_t effect_no = 0;
  bool operator==(const reply_address&) const = default;
};

/// An event was accepted into the mailbox. The run it sets off has the same sortable part as the event.
struct event_received {
  std::uint64_t mailbox_no = 0;  ///< from 1, in order of arrival, without gaps
  event_id id;
  run_id run;
  holdfast::event event;
  std::string verified;  ///< hook preset that checked it, or `none`
  std::optional<reply_address> reply_to;
  /// The API key that sent it straight to the agent; empty: no key was asked for.
  std::string by = {};
  bool operator==(const event_received&) const = default;
};
struct run_started {
  run_id run;
  std::uint32_t version = 0;     ///< of the definition; kept until the run ends
  std::uint64_t mailbox_no = 0;  ///< consumed by this
  seq_no event_seq = 0;          ///< where its `event_received` is
  event_id event;
  std::optional<reply_address> reply_to;
  std::string traceparent;
  run_id retry_of;                 ///< empty unless a retry
  bool carried = false;            ///< a retry that goes on from where `retry_of` failed
  std::uint64_t message_base = 0;  ///< first message of this run's conversation
  bool operator==(const run_started&) const = default;
};
struct model_requested {
  std::uint32_t effect_no = 0;
  std::uint32_t step = 0;
  std::string model;  ///< name in the node's configuration, first choice
  digest128
    request_digest;  ///< over the definition version, the conversation so far and the options
  std::uint64_t message_first = 0;  ///< conversation [first, last) of the request
  std::uint64_t message_last = 0;
  std::uint64_t term = 0;  ///< counts as started in this term, attempt 1
  std::string options;     ///< JSON, native agents only: their own messages and options
  bool operator==(const model_requested&) const = default;
};
struct model_completed {
  std::uint32_t effect_no = 0;
  std::uint32_t attempt = 0;
  model_reply reply;
  usage used;
  bool operator==(const model_completed&) const = default;
};
struct tool_requested {
  std::uint32_t effect_no = 0;
  std::uint32_t step = 0;
  std::string tool;
  effect_kind kind = effect_kind::tool;
  effect_class cls = effect_class::write;
  std::string input;  ///< JSON text, already checked against the tool's schema
  digest128 request_digest;
  std::string call_id;     ///< the model's id of the call; empty for native agents
  std::uint64_t term = 0;  ///< counts as started in this term, attempt 1
  bool operator==(const tool_requested&) const = default;
};
struct tool_completed {
  std::uint32_t effect_no = 0;
  std::uint32_t attempt = 0;
  std::string tool;
  std::string output;
  bool operator==(const tool_completed&) const = default;
};
/// A later attempt, or a later term, or a delayed dispatch.
struct effect_started {
  std::uint32_t effect_no = 0;
  std::uint32_t attempt = 0;
  std::uint64_t term = 0;
  bool operator==(const effect_started&) const = default;
};
/// An attempt failed. `final`: the effect is closed, its outcome is `failed`.
struct effect_failed {
  std::uint32_t effect_no = 0;
  std::uint32_t attempt = 0;
  failure error;
  bool final = false;
  std::string tool;  ///< or model
  bool operator==(const effect_failed&) const = default;
};
struct effect_retry_scheduled {
  std::uint32_t effect_no = 0;
  std::uint32_t attempt = 0;   ///< the one that will start
  std::uint64_t timer_id = 0;  ///< set by a `timer_set` of the same record
  time_us due = 0;
  bool operator==(const effect_retry_scheduled&) const = default;
};
/// A `write` that may have been performed. Waits for a probe or a person.
struct effect_unknown {
  std::uint32_t effect_no = 0;
  std::uint32_t attempt = 0;
  failure error;
  bool operator==(const effect_unknown&) const = default;
};
enum class resolution : std::uint8_t { succeeded = 1, retry = 2, failed = 3 };
struct effect_reconciled {
  std::uint32_t effect_no = 0;
  resolution resolved = resolution::failed;
  std::string output;  ///< succeeded: JSON text
  std::string note;
  std::string by;
  std::string tool;
  bool operator==(const effect_reconciled&) const = default;
};

enum class timer_kind : std::uint8_t {
  sleep = 1,    ///< a native agent's `sleep`
  wait = 2,     ///< the timeout of `wait_for`
  retry = 3,    ///< backoff of an effect
  handler = 4,  ///< backoff after a handler threw
  wall = 5,     ///< the run's `limits.wall`
};
struct timer_set {
  std::uint64_t timer_id = 0;
  timer_kind kind = timer_kind::sleep;
  time_us due = 0;
  std::string tag;
  run_id run;
  std::uint32_t effect_no = 0;
  bool operator==(const timer_set&) const = default;
};
struct timer_fired {
  std::uint64_t timer_id = 0;
  timer_kind kind = timer_kind::sleep;
  std::string tag;
  bool operator==(const timer_fired&) const = default;
};
struct timer_cancelled {
  std::uint64_t timer_id = 0;
  bool operator==(const timer_cancelled&) const = default;
};

/// What travels from one partition to another. `sequence` and `target_group` are given by the source's shard.
enum class outbox_kind : std::uint8_t {
  event = 1,    ///< deliver `event` to `target`; `event_ref`/`run` were given by the home partition
  outcome = 2,  ///< the answer to an `ask`
  cancel = 3,   ///< the asking run was cancelled
  fork = 4,     ///< a copied state for a new agent
};
struct outbox_message {
  outbox_kind kind = outbox_kind::event;
  agent_name source;  ///< empty: a routed event from outside
  agent_name target;
  holdfast::event event;
  event_id event_ref;  ///< event: its id
  run_id run;          ///< event: the run it sets off · cancel: the run to cancel
  std::string verified;
  std::optional<reply_address>
    reply_to;               ///< event: where the answer goes · outcome: whom it answers
  attempt_outcome outcome;  ///< outcome only
  seq_no fork_at = 0;
  std::string payload;  ///< fork: the encoded state and messages
  bool operator==(const outbox_message&) const = default;
};
struct message_sent {
  group_id target_group = 0;
  std::uint64_t sequence = 0;
  outbox_message message;
  bool operator==(const message_sent&) const = default;
};
/// The memory of a native agent, whole: JSON text. A record of its own on disk.
struct state_changed {
  std::string memory;
  bool operator==(const state_changed&) const = default;
};
struct budget_reserved {
  std::uint32_t effect_no = 0;
  std::uint64_t tokens = 0;
  nano_usd cost = 0;
  bool operator==(const budget_reserved&) const = default;
};
struct budget_settled {
  std::uint32_t effect_no = 0;
  std::uint64_t tokens = 0;
  nano_usd cost = 0;
  bool operator==(const budget_settled&) const = default;
};
struct run_completed {
  run_id run;
  std::string output;  ///< JSON text
  bool operator==(const run_completed&) const = default;
};
struct run_failed {
  run_id run;
  failure error;
  bool operator==(const run_failed&) const = default;
};
struct run_cancelled {
  run_id run;
  std::string reason;
  bool operator==(const run_cancelled&) const = default;
};
struct paused {
  std::string by;
  std::string reason;
  bool operator==(const paused&) const = default;
};
struct resumed {
  std::string by;
  std::string reason;
  bool operator==(const resumed&) const = default;
};
struct quarantined {
  std::string by;  ///< an operator's name, or `holdfast` with the incident in `reason`
  std::string reason;
  bool operator==(const quarantined&) const = default;
};
struct killed {
  std::string by;
  std::string reason;
  bool operator==(const killed&) const = default;
};
/// The model's answer did not fit `output.schema`; it is asked again.
struct output_refused {
  run_id run;
  std::string reason;
  bool operator==(const output_refused&) const = default;
};
/// An event could not be processed. It is kept under `id` for a person to redrive or drop.
struct dead_lettered {
  event_id id;  ///< the letter's own: its group is the one that keeps it
  run_id run;
  agent_name agent;  ///< may have an empty key: the key could not be computed
  std::string reason;
  holdfast::event event;
  std::string verified;
  bool operator==(const dead_lettered&) const = default;
};
struct forked {
  agent_name from;
  seq_no at = 0;
  bool operator==(const forked&) const = default;
};
/// A conversation message. A record of its own on disk, numbered from 1 without gaps.
struct message_appended {
  std::uint64_t no = 0;
  holdfast::message message;
  bool operator==(const message_appended&) const = default;
};
/// A piece of a model's answer as it came. A record of its own on disk.
struct text_streamed {
  std::uint32_t effect_no = 0;
  std::uint32_t attempt = 0;
  std::uint64_t offset = 0;  ///< in bytes of UTF-8, within the attempt's text
  std::string text;
  bool operator==(const text_streamed&) const = default;
};
/// A native agent's `emit`. A record of its own on disk.
struct text_emitted {
  run_id run;
  std::uint64_t offset = 0;
  std::string text;
  bool operator==(const text_emitted&) const = default;
};
/// A handler threw, or took the process with it: the turn was discarded and counts. Its trigger stays due. With an
/// empty reason the handler was not called: an earlier trigger of the run is still due.
struct handler_failed {
  run_id run;
  std::uint32_t attempts = 0;
  std::string reason;
  seq_no trigger = 0;  ///< the fact that the handler is for
  bool operator==(const handler_failed&) const = default;
};
/// A handler that had failed before took its trigger; what it did is in the same record.
struct handler_recovered {
  seq_no trigger = 0;
  bool operator==(const handler_recovered&) const = default;
};
/// A waiting event whose run was cancelled before it began left the mailbox.
struct event_skipped {
  std::uint64_t mailbox_no = 0;
  run_id run;
  bool operator==(const event_skipped&) const = default;
};
struct awaiting_event {
  std::string type;
  std::string where;           ///< jq; empty matches all
  std::uint64_t timer_id = 0;  ///< 0: no timeout
  bool operator==(const awaiting_event&) const = default;
};
/// An awaited event arrived: it went to the open run, not to the mailbox.
struct awaited_event_received {
  event_id id;
  holdfast::event event;
  std::string by = {};  ///< as in `event_received`
  bool operator==(const awaited_event_received&) const = default;
};
struct cancel_requested {
  run_id run;
  std::string by;
  std::string reason;
  bool operator==(const cancel_requested&) const = default;
};
/// An open effect of a run that is over was dropped without an outcome (`read`, `idempotent`; never a started write).
struct effect_abandoned {
  std::uint32_t effect_no = 0;
  bool operator==(const effect_abandoned&) const = default;
};
struct agent_deleted {
  std::string by;
  bool operator==(const agent_deleted&) const = default;
};
/// The model asked for something that was refused before it became an effect: unknown tool, bad input.
struct tool_refused {
  std::uint32_t step = 0;
  std::string tool;
  std::string call_id;
  std::string reason;
  bool operator==(const tool_refused&) const = default;
};

/// The agent was restored from a backup with something open: it is held, and its timers stand still, until it is
/// resumed.
struct restored {
  time_us taken_at = 0;  ///< the backup
  std::string reason;
  bool operator==(const restored&) const = default;
};

// ---- of a partition ------------------------------------------------------------------------------------------------

struct leader_started {
  std::uint64_t term = 0;
  std::string node;
  bool operator==(const leader_started&) const = default;
};
/// Where a routed event goes, or why not.
struct route {
  std::string type;
  std::string key;  ///< empty when not matched
  bool matched = false;
  std::string reason;  ///< why not, or what was wrong with `where` or `key`
  run_id run;          ///< that it will set off
  bool operator==(const route&) const = default;
};
/// A routed event was accepted in its home partition.
struct event_routed {
  event_id id;
  holdfast::event event;
  std::string verified;
  std::vector<route> routes;
  std::string by = {};  ///< the API key that sent it; empty: no key was asked for
  bool operator==(const event_routed&) const = default;
};
struct idempotency_recorded {
  digest128 scope;  ///< of principal, method, path and key; or of source and id
  digest128 body;   ///< empty: any body joins (sender's own id)
  event_id id;
  run_id run;        ///< empty for a routed event
  agent_name agent;  ///< empty for a routed event
  time_us expires = 0;
  bool operator==(const idempotency_recorded&) const = default;
};
struct outbox_acked {
  group_id target_group = 0;
  std::uint64_t sequence = 0;
  bool operator==(const outbox_acked&) const = default;
};
/// A message from another partition was taken; its effects are in the same record.
struct inbound_accepted {
  group_id source_group = 0;
  std::uint64_t sequence = 0;
  bool operator==(const inbound_accepted&) const = default;
};
struct dead_letter_dropped {
  event_id id;
  bool redriven = false;
  bool operator==(const dead_letter_dropped&) const = default;
};

/// A call that changes something was let in, or refused by authorisation. Stands in the record of
/// what it changed; a call that came to nothing is in a record of group 0. Never a secret.
struct audit_recorded {
  std::string by;  ///< name of the API key; `local` where no key is asked for
  std::string method;
  std::string route;    ///< as in the API: `/v1/agents/{type}/{key}/pause`
  std::string subject;  ///< what it was about: `type/key`, an id, names of definitions
  std::string request_id;
  std::string peer;     ///< address of the client, or of the proxy in front of it
  std::string outcome;  ///< `done`, or the code of the refusal
  bool operator==(const audit_recorded&) const = default;
};

/// The group's part of every backup up to this epoch ends here, with the write that holds this. Epochs only grow.
struct backup_cut {
  std::uint64_t epoch = 0;
  bool operator==(const backup_cut&) const = default;
};
/// The group begins a new life with the state of a backup. What was open is held before anything else is decided.
struct group_restored {
  std::uint64_t epoch = 0;
  time_us taken_at = 0;
  bool operator==(const group_restored&) const = default;
};
/// Everything that was open in the restored group is held.
struct restore_finished {
  std::uint64_t epoch = 0;
  bool operator==(const restore_finished&) const = default;
};

// ---- of group 0 ----------------------------------------------------------------------------------------------------

struct definition_applied {
  std::string kind;  ///< agent, hook
  std::string name;
  std::uint32_t version = 0;
  std::string content;  ///< canonical JSON
  std::string by;
  bool operator==(const definition_applied&) const = default;
};

/// A node is a member of the cluster: the leader of every group makes it a voter, until it is removed. Its name is never
/// given to another data folder.
struct node_added {
  std::string name;
  std::string address;  ///< `host:port` of its link
  std::string folder;   ///< id of its data folder; empty: not told, the first one that comes counts
  node_roles roles = node_roles::both;
  bool operator==(const node_added&) const = default;
};
/// It is none any more, for good: leaders take it out of their groups. The rest is as it was added.
struct node_removed {
  std::string name;
  std::string address;
  std::string folder;
  bool operator==(const node_removed&) const = default;
};
/// Its configuration gives a member other roles. The rest is as it was added.
struct node_changed {
  std::string name;
  std::string address;
  std::string folder;
  node_roles roles = node_roles::both;
  bool operator==(const node_changed&) const = default;
};
/// What is the same on all nodes.
struct cluster_changed {
  std::uint32_t replication = 0;    ///< voters of a group; 0: every node that owns partitions
  std::uint32_t feature_level = 0;  ///< that all nodes use; 0: the first
  bool operator==(const cluster_changed&) const = default;
};

using fact = std::variant<
  event_received, run_started, model_requested, model_completed, tool_requested, tool_completed,
  effect_started, effect_failed, effect_retry_scheduled, effect_unknown, effect_reconciled,
  timer_set, timer_fired, timer_cancelled, message_sent, state_changed, budget_reserved,
  budget_settled, run_completed, run_failed, run_cancelled, paused, resumed, quarantined, killed,
  dead_lettered, forked, message_appended, text_streamed, text_emitted, handler_failed,
  awaiting_event, awaited_event_received, cancel_requested, effect_abandoned, agent_deleted,
  tool_refused, leader_started, event_routed, idempotency_recorded, outbox_acked, inbound_accepted,
  dead_letter_dropped, definition_applied, handler_recovered, event_skipped, output_refused,
  audit_recorded, node_added, node_removed, node_changed, cluster_changed, restored, backup_cut,
  group_restored, restore_finished>;

/// True for the facts that concern the partition and not the record's agent.
bool is_partition_fact(const fact& f) noexcept;

/// `event_received`, `run_started` … : the `kind` in a history.
std::string_view name_of(const fact& f) noexcept;

// ---- records -------------------------------------------------------------------------------------------------------

/// One turn: all or nothing (DESIGN §3). An agent has at most one in flight.
struct turn_record {
  time_us at = 0;                   ///< stamped by the leader, never before the subject's last
  std::uint64_t catalog_index = 0;  ///< definitions this was decided under
  agent_name agent;                 ///< empty: the record concerns only the partition
  seq_no first_seq = 0;             ///< of the first agent fact; the others follow without gaps
  std::vector<fact> facts;
  bool operator==(const turn_record&) const = default;
};

/// What a group commits at once. A position is (index, offset in the entry).
struct entry {
  std::uint64_t index = 0;  ///< from 1, without gaps, per group
  std::vector<turn_record> records;
  bool operator==(const entry&) const = default;
};

struct position {
  std::uint64_t index = 0;
  std::uint32_t offset = 0;
  auto operator<=>(const position&) const = default;
};

}  // namespace holdfast
