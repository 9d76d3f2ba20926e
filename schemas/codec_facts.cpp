// Facts, the records that hold them, and the values that are kept of a single fact.

#include <array>
#include <utility>

#include "schemas/codec.hpp"
#include "schemas/codec_bytes.hpp"
#include "schemas/codec_values.hpp"

namespace holdfast::codec {

HOLDFAST_WIRE(route, Route, type, key, matched, reason, run);

// ---- one fact -----------------------------------------------------------------------------------

/// Where an alternative of `fact` is in its message.
template <class T>
struct alternative;
#define HOLDFAST_ALTERNATIVE(type, Message)                                  \
  template <>                                                                \
  struct alternative<type> {                                                 \
    static constexpr std::size_t number = pb::Fact::k##Message##FieldNumber; \
    static pb::Message& in(pb::Fact& m) { return *m.mutable_##type(); }      \
  }
#define HOLDFAST_FACT(type, Message, ...)    \
  HOLDFAST_WIRE(type, Message, __VA_ARGS__); \
  HOLDFAST_ALTERNATIVE(type, Message)

HOLDFAST_FACT(event_received, EventReceived, mailbox_no, id, run, event, verified, reply_to, by);
HOLDFAST_FACT(run_started, RunStarted, run, version, mailbox_no, event_seq, event, reply_to,
              traceparent, retry_of, carried, message_base);
HOLDFAST_FACT(model_requested, ModelRequested, effect_no, step, model, request_digest,
              message_first, message_last, term, options);
HOLDFAST_FACT(model_completed, ModelCompleted, effect_no, attempt, reply, used);
HOLDFAST_FACT(tool_requested, ToolRequested, effect_no, step, tool, kind, cls, input,
              request_digest, call_id, term);
HOLDFAST_FACT(tool_completed, ToolCompleted, effect_no, attempt, tool, output);
HOLDFAST_FACT(effect_started, EffectStarted, effect_no, attempt, term);
HOLDFAST_FACT(effect_failed, EffectFailed, effect_no, attempt, error, final, tool);
HOLDFAST_FACT(effect_retry_scheduled, EffectRetryScheduled, effect_no, attempt, timer_id, due);
HOLDFAST_FACT(effect_unknown, EffectUnknown, effect_no, attempt, error);
HOLDFAST_FACT(effect_reconciled, EffectReconciled, effect_no, resolved, output, note, by, tool);
HOLDFAST_FACT(timer_set, TimerSet, timer_id, kind, due, tag, run, effect_no);
HOLDFAST_FACT(timer_fired, TimerFired, timer_id, kind, tag);
HOLDFAST_FACT(timer_cancelled, TimerCancelled, timer_id);
HOLDFAST_FACT(message_sent, MessageSent, target_group, sequence, message);
HOLDFAST_FACT(state_changed, StateChanged, memory);
HOLDFAST_FACT(budget_reserved, BudgetReserved, effect_no, tokens, cost);
HOLDFAST_FACT(budget_settled, BudgetSettled, effect_no, tokens, cost);
HOLDFAST_FACT(run_completed, RunCompleted, run, output);
HOLDFAST_FACT(run_failed, RunFailed, run, error);
HOLDFAST_FACT(run_cancelled, RunCancelled, run, reason);
HOLDFAST_FACT(paused, Paused, by, reason);
HOLDFAST_FACT(resumed, Resumed, by, reason);
HOLDFAST_FACT(quarantined, Quarantined, by, reason);
HOLDFAST_FACT(killed, Killed, by, reason);
HOLDFAST_FACT(dead_lettered, DeadLettered, id, run, agent, reason, event, verified);
HOLDFAST_FACT(forked, Forked, from, at);
HOLDFAST_FACT(message_appended, MessageAppended, no, message);
HOLDFAST_FACT(text_streamed, TextStreamed, effect_no, attempt, offset, text);
HOLDFAST_FACT(text_emitted, TextEmitted, run, offset, text);
HOLDFAST_FACT(handler_failed, HandlerFailed, run, attempts, reason, trigger);
HOLDFAST_FACT(awaiting_event, AwaitingEvent, type, where, timer_id);
HOLDFAST_FACT(awaited_event_received, AwaitedEventReceived, id, event, by);
HOLDFAST_ALTERNATIVE(cancel_requested, CancelRequested);
HOLDFAST_FACT(effect_abandoned, EffectAbandoned, effect_no);
HOLDFAST_FACT(agent_deleted, AgentDeleted, by);
HOLDFAST_FACT(tool_refused, ToolRefused, step, tool, call_id, reason);
HOLDFAST_FACT(leader_started, LeaderStarted, term, node);
HOLDFAST_FACT(event_routed, EventRouted, id, event, verified, routes, by);
HOLDFAST_FACT(idempotency_recorded, IdempotencyRecorded, scope, body, id, run, agent, expires);
HOLDFAST_FACT(outbox_acked, OutboxAcked, target_group, sequence);
HOLDFAST_FACT(inbound_accepted, InboundAccepted, source_group, sequence);
HOLDFAST_FACT(dead_letter_dropped, DeadLetterDropped, id, redriven);
HOLDFAST_FACT(definition_applied, DefinitionApplied, kind, name, version, content, by);
HOLDFAST_FACT(handler_recovered, HandlerRecovered, trigger);
HOLDFAST_FACT(event_skipped, EventSkipped, mailbox_no, run);
HOLDFAST_FACT(output_refused, OutputRefused, run, reason);
HOLDFAST_FACT(audit_recorded, AuditRecorded, by, method, route, subject, request_id, peer, outcome);
HOLDFAST_FACT(node_added, NodeAdded, name, address, folder, roles);
HOLDFAST_FACT(node_removed, NodeRemoved, name, address, folder);
HOLDFAST_FACT(node_changed, NodeChanged, name, address, folder, roles);
HOLDFAST_FACT(cluster_changed, ClusterChanged, replication, feature_level);
HOLDFAST_FACT(restored, Restored, taken_at, reason);
HOLDFAST_FACT(backup_cut, BackupCut, epoch);
HOLDFAST_FACT(group_restored, GroupRestored, epoch, taken_at);
HOLDFAST_FACT(restore_finished, RestoreFinished, epoch);

constexpr auto fact_indexes = std::make_index_sequence<std::variant_size_v<fact>>{};

template <std::size_t I>
bool take_alternative(pb::Fact& m, fact& x, wrong_field& wrong) {
  using type = std::variant_alternative_t<I, fact>;
  static_assert(alternative<type>::number == I + 1, "facts are numbered in the variant's order");
  return wire<type>::take(alternative<type>::in(m), x.emplace<I>(), wrong);
}

template <std::size_t... I>
constexpr auto make_takers(std::index_sequence<I...>) {
  return std::array{&take_alternative<I>...};
}

template <>
struct wire<fact> {
  using stored = pb::Fact;
  static void put(const fact& x, stored& m) {
    std::visit([&]<class T>(const T& value) { wire<T>::put(value, alternative<T>::in(m)); }, x);
  }
  static bool take(stored& m, fact& x, wrong_field& wrong) {
    static constexpr auto takers = make_takers(fact_indexes);
    const auto number = static_cast<std::size_t>(m.kind_case());
    if (number == pb::Fact::KIND_NOT_SET) {
      wrong = {"Fact", "kind"};
      return false;
    }
    return takers[number - 1](m, x, wrong);
  }
};

// ---- records ------------------------------------------------------------------------------------

HOLDFAST_WIRE(turn_record, TurnRecord, at, catalog_index, agent, first_seq, facts);
HOLDFAST_WIRE(entry, Entry, index, records);
HOLDFAST_WIRE(numbered_fact, NumberedFact, seq, fact);
HOLDFAST_WIRE(stored_facts, StoredFacts, at, catalog_index, facts);

std::string encode(const stored_facts& value) { return encode_as_message(value); }

std::string encode_facts(const turn_record& record, const std::vector<bool>& chosen,
                         const std::vector<seq_no>& seqs) {
  HOLDFAST_ASSERT(chosen.size() == record.facts.size() && seqs.size() == record.facts.size(),
                  "a choice and a seq for every fact");
  scratch arena;
  auto& m = arena.make<pb::StoredFacts>();
  m.set_at(record.at);
  m.set_catalog_index(record.catalog_index);
  for (std::size_t i = 0; i < record.facts.size(); ++i) {
    if (!chosen[i])
      continue;
    auto& numbered = *m.add_facts();
    numbered.set_seq(seqs[i]);
    wire<fact>::put(record.facts[i], *numbered.mutable_fact());
  }
  return seal(m);
}

std::string encode(const turn_record& value) { return encode_as_message(value); }

std::string encode(const entry& value) { return encode_as_message(value); }

std::string encode_entry(std::span<const std::shared_ptr<const turn_record>> records) {
  scratch arena;
  auto& m = arena.make<pb::Entry>();
  for (const auto& record : records)
    wire<turn_record>::put(*record, *m.add_records());
  return seal(m);
}

result<stored_facts> decode_facts(std::string_view bytes) {
  return decode_as_message<stored_facts>(bytes);
}

result<turn_record> decode_record(std::string_view bytes) {
  return decode_as_message<turn_record>(bytes);
}

result<entry> decode_entry(std::string_view bytes) { return decode_as_message<entry>(bytes); }

// ---- what is kept of a single fact --------------------------------------------------------------

std::string encode(const outbox_message& value) { return encode_as_message(value); }

std::string encode(const idempotency_recorded& value) { return encode_as_message(value); }

result<outbox_message> decode_outbox_message(std::string_view bytes) {
  return decode_as_message<outbox_message>(bytes);
}

result<idempotency_recorded> decode_idempotency(std::string_view bytes) {
  return decode_as_message<idempotency_recorded>(bytes);
}

HOLDFAST_WIRE(stamped<event_routed>, StampedEventRouted, at, value);
HOLDFAST_WIRE(stamped<dead_lettered>, StampedDeadLettered, at, value);
HOLDFAST_WIRE(stamped<definition_applied>, StampedDefinitionApplied, at, value);
HOLDFAST_WIRE(audit_entry, AuditEntry, number, at, what, previous, hash);
HOLDFAST_WIRE(audit_head, AuditHead, number, at, hash);

template <class T>
std::string encode_stamped(const T& value, time_us at) {
  scratch arena;
  auto& m = arena.make<typename wire<stamped<T>>::stored>();
  m.set_at(at);
  wire<T>::put(value, *m.mutable_value());
  return seal(m);
}

std::string encode(const event_routed& value, time_us received_at) {
  return encode_stamped(value, received_at);
}

std::string encode(const dead_lettered& value, time_us at) { return encode_stamped(value, at); }

std::string encode(const definition_applied& value, time_us at) {
  return encode_stamped(value, at);
}

result<stamped<event_routed>> decode_event_routed(std::string_view bytes) {
  return decode_as_message<stamped<event_routed>>(bytes);
}

result<stamped<dead_lettered>> decode_dead_letter(std::string_view bytes) {
  return decode_as_message<stamped<dead_lettered>>(bytes);
}

result<stamped<definition_applied>> decode_definition(std::string_view bytes) {
  return decode_as_message<stamped<definition_applied>>(bytes);
}

std::string encode(const audit_entry& value) { return encode_as_message(value); }

std::string encode(const audit_head& value) { return encode_as_message(value); }

result<audit_entry> decode_audit_entry(std::string_view bytes) {
  return decode_as_message<audit_entry>(bytes);
}

result<audit_head> decode_audit_head(std::string_view bytes) {
  return decode_as_message<audit_head>(bytes);
}

}  // namespace holdfast::codec
