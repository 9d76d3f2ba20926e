#pragma once
// The values whose bytes tests/golden pins. Written out, so that a value stays what it is when a
// struct gets a new member: what is pinned must stay readable as exactly this.

#include <vector>

#include "schemas/codec.hpp"
#include "schemas/codec_consensus.hpp"
#include "schemas/link.hpp"

namespace holdfast::test {

/// One of each, in the order of the variant.
std::vector<fact> golden_facts();

turn_record golden_record();
entry golden_entry();
agent_state golden_agent_state();
partition_state golden_partition_state();
run_summary golden_run_summary();
mailbox_entry golden_mailbox_entry();
outbox_message golden_outbox_message();
idempotency_recorded golden_idempotency();
codec::forked_agent golden_forked_agent();
codec::stamped<event_routed> golden_event_routed();
codec::stamped<dead_lettered> golden_dead_letter();
codec::stamped<definition_applied> golden_definition();
audit_recorded golden_audited();
node_record golden_node_record();
cluster_settings golden_settings();
audit_entry golden_audit_entry();
audit_head golden_audit_head();
/// The same as above, out of a backup.
agent_state golden_restored_agent_state();
partition_state golden_restored_partition_state();
/// As `golden_facts` has it, and sent with an API key.
event_received golden_received_by_key();

consensus::entry golden_log_entry();
consensus::hard_state golden_hard_state();
consensus::snapshot_metadata golden_snapshot_metadata();
consensus::log_range golden_log_range();
/// One of each, in the order of the variant.
std::vector<codec::group_message> golden_raft_messages();
/// One of each, in the order of the variant.
std::vector<link_frame> golden_link_frames();
/// Of a group that has cut for a backup.
std::vector<link_frame> golden_cut_frames();

}  // namespace holdfast::test
