#pragma once
// Every actor's interface, in one place: one comment per message. CAF moves messages inside one process only; nothing
// here is ever serialised.

#include <caf/all.hpp>
#include <memory>
#include <optional>
#include <vector>

#include "runtime/core/membership.hpp"
#include "runtime/core/shard_core.hpp"

namespace holdfast {

struct submit_request {
  agent_name to;
  queued_command queued;
};
struct route_request {
  event sent;
  std::string verified;
  std::optional<idempotency> once;
  request_ref from;
  event_sender sender;
};
struct fork_request {
  agent_name from;
  seq_no at = 0;
  agent_name to;
  request_ref client;
  std::shared_ptr<const audit_recorded> audit;  ///< null: not audited; so below
};
struct dead_letter_request {
  event_id id;
  bool redrive = false;
  request_ref from;
  std::shared_ptr<const audit_recorded> audit;
};
struct wait_request {
  run_id run;
  request_ref from;
};
struct committed_group {
  std::uint64_t index = 0;
  std::vector<std::shared_ptr<const turn_record>> records;
};
struct outbox_delivery {
  mail_stamp stamp;
  outbox_message message;
};
struct outbox_receipt {
  group_id target = 0;
  std::uint64_t sequence = 0;
  bool taken = false;
  std::uint64_t epoch = 0;  ///< of the target's last backup cut
};
struct effect_report {
  agent_name agent;
  complete_effect done;
};
struct text_report {
  agent_name agent;
  append_text text;
};
struct crash_report {
  agent_name agent;
  run_id run;
};
struct definition_request {
  std::vector<definition_applied> wanted;  ///< versions are given by the catalogue
  bool dry_run = false;
  request_ref from;
  std::shared_ptr<const audit_recorded> audit;
};
/// Answered with `command_done`. Without `from` nobody waits.
struct member_request {
  member_change wanted;
  std::optional<request_ref> from;
  std::shared_ptr<const audit_recorded> audit;
};
struct audit_request {
  audit_recorded what;
  request_ref from;
};

}  // namespace holdfast

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::submit_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::route_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::fork_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::dead_letter_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::wait_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::committed_group)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::outbox_delivery)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::outbox_receipt)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::effect_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::text_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::crash_report)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::definition_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::audit_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::member_request)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::agent_work)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(holdfast::decided_turn)

CAF_BEGIN_TYPE_ID_BLOCK(holdfast, caf::first_custom_type_id)
  CAF_ADD_ATOM(holdfast, holdfast::atom, submit, "submit")
  CAF_ADD_ATOM(holdfast, holdfast::atom, route, "route")
  CAF_ADD_ATOM(holdfast, holdfast::atom, await, "await")
  CAF_ADD_ATOM(holdfast, holdfast::atom, fork, "fork")
  CAF_ADD_ATOM(holdfast, holdfast::atom, letter, "letter")
  CAF_ADD_ATOM(holdfast, holdfast::atom, commit, "commit")
  CAF_ADD_ATOM(holdfast, holdfast::atom, lost, "lost")
  CAF_ADD_ATOM(holdfast, holdfast::atom, mail, "mail")
  CAF_ADD_ATOM(holdfast, holdfast::atom, receipt, "receipt")
  CAF_ADD_ATOM(holdfast, holdfast::atom, decided, "decided")
  CAF_ADD_ATOM(holdfast, holdfast::atom, outcome, "outcome")
  CAF_ADD_ATOM(holdfast, holdfast::atom, text, "text")
  CAF_ADD_ATOM(holdfast, holdfast::atom, crash, "crash")
  CAF_ADD_ATOM(holdfast, holdfast::atom, wake, "wake")
  CAF_ADD_ATOM(holdfast, holdfast::atom, work, "work")
  CAF_ADD_ATOM(holdfast, holdfast::atom, define, "define")
  CAF_ADD_ATOM(holdfast, holdfast::atom, audit, "audit")
  CAF_ADD_ATOM(holdfast, holdfast::atom, cut, "cut")
  CAF_ADD_ATOM(holdfast, holdfast::atom, member, "member")
CAF_END_TYPE_ID_BLOCK(holdfast)

namespace holdfast {

/// A shard, as clients see it (through the gateway). Answers go through `node_services::tell`.
using shard_requests = caf::typed_actor<
  // A command for an agent.
  caf::reacts_to<atom::submit, submit_request>,
  // An event from outside, to be routed in its home partition.
  caf::reacts_to<atom::route, route_request>,
  // Tells when the run is over.
  caf::reacts_to<atom::await, wait_request>,
  // Copies an agent at a point of its history.
  caf::reacts_to<atom::fork, fork_request>,
  // Drops a dead letter, or sends it on its way again.
  caf::reacts_to<atom::letter, dead_letter_request>>;

/// A shard, as the log sees it.
using shard_commits = caf::typed_actor<
  // Everything of the group that one fsync made durable.
  caf::reacts_to<atom::commit, committed_group>,
  // The term is over.
  caf::reacts_to<atom::lost>>;

/// A shard, as other shards see it.
using shard_mail = caf::typed_actor<
  // A message from another partition's outbox.
  caf::reacts_to<atom::mail, outbox_delivery>,
  // Ours was taken, or must be sent again later.
  caf::reacts_to<atom::receipt, outbox_receipt>,
  // The partition's part of the backup of this epoch is to end.
  caf::reacts_to<atom::cut, std::uint64_t>>;

/// A shard, as its agents and effects see it.
using shard_reports = caf::typed_actor<
  // What an agent decided on its work.
  caf::reacts_to<atom::decided, decided_turn>,
  // What an attempt came to; the effect actor is done.
  caf::reacts_to<atom::outcome, effect_report>,
  // A piece of a model's answer.
  caf::reacts_to<atom::text, text_report>,
  // The process before this one died in a handler.
  caf::reacts_to<atom::crash, crash_report>,
  // It is time to look at timers.
  caf::reacts_to<atom::wake>>;

using shard_actor =
  shard_requests::extend_with<shard_commits>::extend_with<shard_mail>::extend_with<shard_reports>;

/// One agent in memory. At most one piece of work is in flight.
using agent_actor = caf::typed_actor<
  // Decide these commands on the committed state; the turn goes back to the shard.
  caf::reacts_to<atom::work, agent_work>>;

/// Group 0: definitions, the members of the cluster, and the audit of calls that came to nothing elsewhere.
using catalog_actor = caf::typed_actor<
  // Apply definitions, all or nothing.
  caf::reacts_to<atom::define, definition_request>,
  // Add or remove a node of the cluster.
  caf::reacts_to<atom::member, member_request>,
  // Put a call into the audit log.
  caf::reacts_to<atom::audit, audit_request>,
  // The group's part of the backup of this epoch is to end.
  caf::reacts_to<atom::cut, std::uint64_t>, caf::reacts_to<atom::commit, committed_group>,
  caf::reacts_to<atom::lost>>;

}  // namespace holdfast
