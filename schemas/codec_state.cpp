// The state of agents and partitions, and what else is kept of them.

#include "schemas/codec.hpp"
#include "schemas/codec_bytes.hpp"
#include "schemas/codec_values.hpp"

namespace holdfast::codec {

HOLDFAST_WIRE_ENUM(effect_phase, declared, EffectPhase);
HOLDFAST_WIRE_ENUM(run_status, queued, RunStatus);

HOLDFAST_WIRE(timer_state, TimerState, id, kind, due, tag, run, effect_no);
HOLDFAST_WIRE(effect_state, EffectState, run, no, kind, cls, phase, name, seq, call_id, step,
              attempt, term, since, timer_id, reserved_tokens, reserved_cost, streamed_bytes,
              last_error);
HOLDFAST_WIRE(pending_call, PendingCall, call_id, tool, effect_no, closed);
HOLDFAST_WIRE(awaited_state, AwaitedState, type, where, timer_id, since);
HOLDFAST_WIRE(open_run, OpenRun, id, version, mailbox_no, event_seq, event, retry_of, started_at,
              steps, used, reserved_tokens, reserved_cost, handler_failures, triggers_due, reply_to,
              message_base, message_bytes_base, calls, awaited, cancel, emitted_bytes,
              output_retries, failed_effect, traceparent);
HOLDFAST_WIRE(hold, Hold, by, reason, since, restored_from);
HOLDFAST_WIRE(mailbox_entry, MailboxEntry, no, event_seq, id, run, received_at);
HOLDFAST_WIRE(node_record, NodeRecord, name, address, folder, removed, at, roles);
HOLDFAST_WIRE(cluster_settings, ClusterSettings, replication, feature_level);
HOLDFAST_WIRE(agent_state, AgentState, name, seq, created_at, updated_at, mailbox_next,
              mailbox_head, skipped, run, effects, effect_next, timers, timer_next, message_next,
              message_bytes, conversation, memory_seq, paused, quarantined, used, version, last_run,
              last_failed, deleted, held_timers);
HOLDFAST_WIRE(run_summary, RunSummary, id, agent, version, status, event, event_seq, started_seq,
              ended_seq, retry_of, steps, used, received_at, started_at, ended_at);
HOLDFAST_WIRE(forked_agent, ForkedAgent, state, messages, memory);

template <>
struct wire<partition_state> {
  using stored = pb::PartitionState;

  static void put(const partition_state& x, stored& m) {
    m.set_term(x.term);
    m.set_applied(x.applied);
    m.set_last_at(x.last_at);
    for (const auto& [group, sequence] : x.out_next) {
      auto& out = *m.add_out_next();
      out.set_group(group);
      out.set_sequence(sequence);
    }
    for (const auto& [group, inbound] : x.taken) {
      auto& taken = *m.add_taken();
      taken.set_group(group);
      taken.set_watermark(inbound.watermark);
      taken.mutable_beyond()->Add(inbound.beyond.begin(), inbound.beyond.end());
    }
    m.set_backup_epoch(x.backup_epoch);
    m.set_restored_from(x.restored_from);
    m.set_restoring(x.restoring);
    for (const auto& [group, sequence] : x.restored_next) {
      auto& next = *m.add_restored_next();
      next.set_group(group);
      next.set_sequence(sequence);
    }
  }

  static bool take(const stored& m, partition_state& x, wrong_field& wrong) {
    x.term = m.term();
    x.applied = m.applied();
    x.last_at = m.last_at();
    wrong = {"PartitionState", "out_next"};
    for (const auto& out : m.out_next()) {
      if (!is_next_group(x.out_next, out.group()))
        return false;
      x.out_next.emplace_hint(x.out_next.end(), static_cast<group_id>(out.group()), out.sequence());
    }
    wrong = {"PartitionState", "taken"};
    for (const auto& taken : m.taken()) {
      if (!is_next_group(x.taken, taken.group()))
        return false;
      auto& inbound = x.taken[static_cast<group_id>(taken.group())];
      inbound.watermark = taken.watermark();
      inbound.beyond.assign(taken.beyond().begin(), taken.beyond().end());
    }
    x.backup_epoch = m.backup_epoch();
    x.restored_from = m.restored_from();
    x.restoring = m.restoring();
    wrong = {"PartitionState", "restored_next"};
    for (const auto& next : m.restored_next()) {
      if (!is_next_group(x.restored_next, next.group()))
        return false;
      x.restored_next.emplace_hint(x.restored_next.end(), static_cast<group_id>(next.group()),
                                   next.sequence());
    }
    return true;
  }

private:
  template <class Map>
  static bool is_next_group(const Map& groups, std::uint32_t group) {
    return group <= std::numeric_limits<group_id>::max() &&
           (groups.empty() || groups.rbegin()->first < group);
  }
};

std::string encode(const agent_state& value) { return encode_as_message(value); }

std::string encode(const partition_state& value) { return encode_as_message(value); }

std::string encode(const run_summary& value) { return encode_as_message(value); }

std::string encode(const node_record& value) { return encode_as_message(value); }
std::string encode(const cluster_settings& value) { return encode_as_message(value); }

std::string encode(const mailbox_entry& value) { return encode_as_message(value); }

std::string encode(const forked_agent& value) { return encode_as_message(value); }

result<agent_state> decode_agent_state(std::string_view bytes) {
  return decode_as_message<agent_state>(bytes);
}

result<partition_state> decode_partition_state(std::string_view bytes) {
  return decode_as_message<partition_state>(bytes);
}

result<run_summary> decode_run(std::string_view bytes) {
  return decode_as_message<run_summary>(bytes);
}

result<node_record> decode_node_record(std::string_view bytes) {
  return decode_as_message<node_record>(bytes);
}
result<cluster_settings> decode_cluster_settings(std::string_view bytes) {
  return decode_as_message<cluster_settings>(bytes);
}

result<mailbox_entry> decode_mailbox_entry(std::string_view bytes) {
  return decode_as_message<mailbox_entry>(bytes);
}

result<forked_agent> decode_forked_agent(std::string_view bytes) {
  return decode_as_message<forked_agent>(bytes);
}

}  // namespace holdfast::codec
