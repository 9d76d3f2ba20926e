#include "runtime/core/apply.hpp"

#include <algorithm>

#include "persistence/keys.hpp"
#include "runtime/core/evolve.hpp"
#include "runtime/core/stored_records.hpp"
#include "runtime/core/wake_cause.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

namespace {

/// The family that keeps a fact of an agent. Messages, memory and streamed text are records of their own, so that the
/// journal stays small and each can be read and trimmed alone.
family family_of(const fact& f) noexcept {
  if (std::holds_alternative<message_appended>(f))
    return family::message;
  if (std::holds_alternative<state_changed>(f))
    return family::memory;
  if (std::holds_alternative<text_streamed>(f) || std::holds_alternative<text_emitted>(f))
    return family::stream;
  return family::journal;
}

void put_member(const node_record& node, write_set& out) {
  out.put(family::meta, keys::member(node.name), codec::encode(node));
}

/// Another cluster begins with the state of this one: those that form it are its members.
void forget_members(const reader& view, write_set& out) {
  const auto all = keys::members();
  for (const auto at = view.scan(family::meta, all.lower, all.upper); at->valid(); at->next())
    out.erase(family::meta, std::string{at->key()});
}

/// One record's way into the store.
class record_writer {
public:
  record_writer(const reader& view, group_id group, const turn_record& record, agent_state& state,
                write_set& out)
    : view_(view), group_(group), record_(record), s_(state), out_(out) {}

  void write() {
    const bool was_ready = is_ready(s_);
    place_facts();
    seq_no seq = record_.first_seq;
    for (const auto& f : record_.facts) {
      if (is_partition_fact(f))
        continue;
      HOLDFAST_ASSERT(s_.seq + 1 == seq, "a gap in an agent's facts");
      before(f);
      evolve(s_, f, record_.at);
      after(f);
      ++seq;
    }
    put_queued_runs();
    if (s_.deleted || seq == record_.first_seq)
      return;  // gone; or nothing of the agent is in the record
    out_.put(family::snapshot, keys::agent(group_, s_.name), codec::encode(s_));
    if (const bool ready = is_ready(s_); ready != was_ready) {
      if (ready)
        out_.put(family::index, keys::ready(group_, s_.name), {});
      else
        out_.erase(family::index, keys::ready(group_, s_.name));
    }
  }

private:
  /// Chooses the family of each fact and writes one value for each family that has any.
  void place_facts() {
    const auto& facts = record_.facts;
    std::vector<seq_no> seqs(facts.size(), 0);
    std::vector<bool> journal(facts.size(), false);
    std::vector<bool> stream(facts.size(), false);
    seq_no seq = record_.first_seq;
    seq_no journal_first = 0;
    seq_no stream_first = 0;
    std::uint64_t message_no = s_.message_next;
    for (std::size_t i = 0; i < facts.size(); ++i) {
      if (is_partition_fact(facts[i]))
        continue;
      seqs[i] = seq++;
      switch (family_of(facts[i])) {
        case family::message:
          put_alone(family::message, message_no++, i, seqs);
          break;
        case family::memory:
          put_alone(family::memory, seqs[i], i, seqs);
          break;
        case family::stream:
          stream[i] = true;
          if (stream_first == 0)
            stream_first = seqs[i];
          break;
        default:
          journal[i] = true;
          if (journal_first == 0)
            journal_first = seqs[i];
      }
    }
    if (journal_first != 0)
      out_.put(family::journal, keys::numbered(group_, s_.name, journal_first),
               codec::encode_facts(record_, journal, seqs));
    if (stream_first != 0)
      out_.put(family::stream, keys::numbered(group_, s_.name, stream_first),
               codec::encode_facts(record_, stream, seqs));
  }

  void put_alone(family in, std::uint64_t number, std::size_t i, const std::vector<seq_no>& seqs) {
    std::vector<bool> chosen(record_.facts.size(), false);
    chosen[i] = true;
    out_.put(in, keys::numbered(group_, s_.name, number),
             codec::encode_facts(record_, chosen, seqs));
  }

  void erase_timer(std::uint64_t id) {
    if (const auto* timer = find_timer(s_, id))
      out_.erase(family::timer, keys::timer(group_, timer->due, s_.name, id));
  }

  void erase_timers() {
    for (const auto& timer : s_.timers)
      out_.erase(family::timer, keys::timer(group_, timer.due, s_.name, timer.id));
  }

  void unqueue(std::uint64_t mailbox_no) {
    if (std::erase_if(queued_, [&](const mailbox_entry& e) { return e.no == mailbox_no; }) == 0)
      out_.single_erase(family::mailbox, keys::numbered(group_, s_.name, mailbox_no));
  }

  void erase_reconcile(std::uint32_t effect_no) {
    if (const auto* effect = find_effect(s_, effect_no);
        effect != nullptr && effect->phase == effect_phase::unknown)
      out_.erase(family::index, keys::reconcile(group_, {effect->run, effect->no}));
  }

  /// What needs the state as it was.
  void before(const fact& f) {
    if (const auto* fired = std::get_if<timer_fired>(&f))
      erase_timer(fired->timer_id);
    else if (const auto* cancelled = std::get_if<timer_cancelled>(&f))
      erase_timer(cancelled->timer_id);
    else if (std::holds_alternative<restored>(f))
      erase_timers();
    else if (const auto* reconciled = std::get_if<effect_reconciled>(&f))
      erase_reconcile(reconciled->effect_no);
    else if (const auto* abandoned = std::get_if<effect_abandoned>(&f))
      erase_reconcile(abandoned->effect_no);
    else if (const auto* completed = std::get_if<run_completed>(&f))
      end(completed->run, run_status::completed);
    else if (const auto* failed = std::get_if<run_failed>(&f))
      end(failed->run, run_status::failed);
    else if (const auto* ended = std::get_if<run_cancelled>(&f))
      end(ended->run, run_status::cancelled);
  }

  /// What needs the state as it became.
  void after(const fact& f) {
    if (const auto* received = std::get_if<event_received>(&f)) {
      queued_.push_back({received->mailbox_no, s_.seq, received->id, received->run, record_.at});
      out_.put(family::index, keys::agent_run(group_, s_.name, received->run), {});
    } else if (const auto* started = std::get_if<run_started>(&f)) {
      if (started->mailbox_no != 0)
        unqueue(started->mailbox_no);
      else
        out_.put(family::index, keys::agent_run(group_, s_.name, started->run), {});
      auto summary = summary_of(s_, *s_.run);
      summary.started_seq = s_.seq;
      put_run(std::move(summary));
    } else if (const auto* skipped = std::get_if<event_skipped>(&f)) {
      unqueue(skipped->mailbox_no);
    } else if (const auto* timer = std::get_if<timer_set>(&f)) {
      out_.put(family::timer, keys::timer(group_, timer->due, s_.name, timer->timer_id), {});
    } else if (const auto* unknown = std::get_if<effect_unknown>(&f)) {
      if (const auto* effect = find_effect(s_, unknown->effect_no))
        out_.put(family::index, keys::reconcile(group_, {effect->run, effect->no}),
                 to_string(s_.name));
    } else if (const auto* sent = std::get_if<message_sent>(&f)) {
      out_.put(family::outbox, keys::outbox(group_, sent->target_group, sent->sequence),
               codec::encode(sent->message));
    } else if (const auto* letter = std::get_if<dead_lettered>(&f)) {
      out_.put(family::dead_letter, keys::by_id(group_, letter->id.id),
               codec::encode(*letter, record_.at));
    }
  }

  void end(const run_id& run, run_status how) {
    run_summary summary;
    if (s_.run && s_.run->id == run) {
      summary = summary_of(s_, *s_.run);
      if (!summary.retry_of.empty())  // whose history begins there, and not with its event
        summary.started_seq = as_queued(run).started_seq;
    } else {  // it waited in the mailbox
      summary = as_queued(run);
    }
    summary.status = how;
    summary.ended_at = record_.at;
    summary.ended_seq = s_.seq + 1;
    put_run(std::move(summary));
  }

  /// What was written of the run when it was received or, for a retry, started.
  run_summary as_queued(const run_id& run) {
    for (const auto& known : runs_)
      if (known.id == run)
        return known;
    for (const auto& entry : queued_)
      if (entry.run == run)
        return queued_run(entry);
    const auto stored = load_run(view_, group_, run);
    HOLDFAST_ASSERT(stored && *stored, "a run that was never written ends");
    return **stored;
  }

  run_summary queued_run(const mailbox_entry& entry) const {
    run_summary summary;
    summary.id = entry.run;
    summary.agent = s_.name;
    summary.event = entry.id;
    summary.event_seq = entry.event_seq;
    summary.received_at = record_.at;
    return summary;
  }

  /// Several facts of one record may say something of one run: the last word is written.
  void put_run(run_summary summary) {
    for (auto& known : runs_)
      if (known.id == summary.id) {
        known = std::move(summary);
        return;
      }
    runs_.push_back(std::move(summary));
  }

  void put_queued_runs() {
    for (const auto& entry : queued_) {
      out_.put(family::mailbox, keys::numbered(group_, s_.name, entry.no), codec::encode(entry));
      if (std::none_of(runs_.begin(), runs_.end(),
                       [&](const run_summary& known) { return known.id == entry.run; }))
        put_run(queued_run(entry));  // else it was cancelled in this record
    }
    for (const auto& run : runs_)
      out_.put(family::run, keys::by_id(group_, run.id.id), codec::encode(run));
  }

  const reader& view_;
  group_id group_;
  const turn_record& record_;
  agent_state& s_;
  write_set& out_;
  std::vector<mailbox_entry> queued_;  // received in this record and not started in it
  std::vector<run_summary> runs_;
};

}  // namespace

fact_machine::fact_machine(std::size_t cached_agents_max, chain_digest digest)
  : cached_agents_max_(cached_agents_max), digest_(digest) {}

void fact_machine::apply(const reader& view, group_id group, std::uint64_t,
                         std::span<const std::shared_ptr<const turn_record>> records,
                         write_set& out) {
  for (const auto& record : records)
    apply_record(view, group, *record, out);
}

void fact_machine::apply_record(const reader& view, group_id group, const turn_record& record,
                                write_set& out) {
  bool partition_changed = false;
  for (const auto& f : record.facts)
    if (is_partition_fact(f) || record.agent.empty() || std::holds_alternative<message_sent>(f)) {
      auto& partition = load_partition(view, group);
      evolve(partition, f, record.at);
      apply_to_partition(view, group, record, f, out);
      partition_changed =
        partition_changed || std::holds_alternative<leader_started>(f) ||
        std::holds_alternative<inbound_accepted>(f) || std::holds_alternative<message_sent>(f) ||
        std::holds_alternative<backup_cut>(f) || std::holds_alternative<group_restored>(f) ||
        std::holds_alternative<restore_finished>(f) ||
        std::holds_alternative<event_routed>(f);  // whose id is of this time
    }
  if (partition_changed)
    out.put(family::meta, keys::partition_state(group), codec::encode(load_partition(view, group)));
  if (record.agent.empty())
    return;
  if (std::all_of(record.facts.begin(), record.facts.end(), is_partition_fact))
    return;  // a message for the agent was taken and led to nothing
  agent_state& state = load(view, group, record.agent);
  const std::size_t first_op = out.ops().size();
  record_writer{view, group, record, state, out}.write();
  if (state.deleted) {
    erase_agent(view, group, state, first_op, out);
    forget(record.agent);
  }
}

void fact_machine::apply_to_partition(const reader& view, group_id group, const turn_record& record,
                                      const fact& f, write_set& out) {
  if (const auto* routed = std::get_if<event_routed>(&f))
    out.put(family::event_log, keys::by_id(group, routed->id.id),
            codec::encode(*routed, record.at));
  else if (const auto* once = std::get_if<idempotency_recorded>(&f))
    out.put(family::idempotency, keys::idempotency(group, once->scope), codec::encode(*once));
  else if (const auto* acked = std::get_if<outbox_acked>(&f))
    out.single_erase(family::outbox, keys::outbox(group, acked->target_group, acked->sequence));
  else if (const auto* letter = std::get_if<dead_lettered>(&f);
           letter != nullptr && record.agent.empty())
    out.put(family::dead_letter, keys::by_id(group, letter->id.id),
            codec::encode(*letter, record.at));
  else if (const auto* dropped = std::get_if<dead_letter_dropped>(&f))
    out.erase(family::dead_letter, keys::by_id(group, dropped->id.id));
  else if (const auto* applied = std::get_if<definition_applied>(&f))
    out.put(family::definitions, keys::definition(applied->kind, applied->name, applied->version),
            codec::encode(*applied, record.at));
  else if (const auto* sent = std::get_if<message_sent>(&f);
           sent != nullptr && record.agent.empty())
    out.put(family::outbox, keys::outbox(group, sent->target_group, sent->sequence),
            codec::encode(sent->message));
  else if (const auto* added = std::get_if<node_added>(&f))
    put_member({added->name, added->address, added->folder, false, record.at, added->roles}, out);
  else if (const auto* removed = std::get_if<node_removed>(&f))
    put_member({removed->name, removed->address, removed->folder, true, record.at}, out);
  else if (const auto* changed = std::get_if<node_changed>(&f))
    put_member({changed->name, changed->address, changed->folder, false, record.at, changed->roles},
               out);
  else if (const auto* set = std::get_if<cluster_changed>(&f))
    out.put(family::meta, keys::cluster_settings(),
            codec::encode(cluster_settings{set->replication, set->feature_level}));
  else if (const auto* audited = std::get_if<audit_recorded>(&f))
    append_audit(view, group, *audited, record.at, out);
  else if (std::holds_alternative<group_restored>(f) && group == catalog_group)
    forget_members(view, out);
}

/// The chain follows the order of the log, so every replica makes the same one.
void fact_machine::append_audit(const reader& view, group_id group, const audit_recorded& what,
                                time_us at, write_set& out) {
  HOLDFAST_ASSERT(digest_ != nullptr, "an audit log without a digest");
  auto found = audit_heads_.find(group);
  if (found == audit_heads_.end()) {
    ++reads_;
    const auto bytes = view.get(family::meta, keys::audit_head(group));
    HOLDFAST_ASSERT(bytes, "the end of the audit log cannot be read");
    audit_head head;
    if (*bytes) {
      auto decoded = codec::decode_audit_head(**bytes);
      HOLDFAST_ASSERT(decoded, "the end of the audit log does not parse");
      head = std::move(*decoded);
    }
    found = audit_heads_.emplace(group, std::move(head)).first;
  }
  const auto entry = next_entry(found->second, what, at, digest_);
  out.put(family::audit, keys::audit(group, entry.at, entry.number), codec::encode(entry));
  found->second = head_of(entry);
  out.put(family::meta, keys::audit_head(group), codec::encode(found->second));
}

agent_state& fact_machine::load(const reader& view, group_id group, const agent_name& name) {
  if (const auto found = agents_.find(name); found != agents_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second.place);
    return found->second.state;
  }
  while (agents_.size() >= cached_agents_max_) {
    const agent_name oldest = *recent_.back();
    forget(oldest);
  }
  reads_.fetch_add(1, std::memory_order_relaxed);
  auto bytes = view.get(family::snapshot, keys::agent(group, name));
  HOLDFAST_ASSERT(bytes, "a snapshot cannot be read");
  agent_state state;
  state.name = name;
  if (*bytes) {
    auto decoded = codec::decode_agent_state(**bytes);
    HOLDFAST_ASSERT(decoded, "a snapshot does not parse");
    state = std::move(*decoded);
  }
  const auto inserted = agents_.emplace(name, cached{std::move(state), {}}).first;
  recent_.push_front(&inserted->first);
  inserted->second.place = recent_.begin();
  return inserted->second.state;
}

partition_state& fact_machine::load_partition(const reader& view, group_id group) {
  if (const auto found = partitions_.find(group); found != partitions_.end())
    return found->second;
  reads_.fetch_add(1, std::memory_order_relaxed);
  auto bytes = view.get(family::meta, keys::partition_state(group));
  HOLDFAST_ASSERT(bytes, "a partition's state cannot be read");
  partition_state state;
  if (*bytes) {
    auto decoded = codec::decode_partition_state(**bytes);
    HOLDFAST_ASSERT(decoded, "a partition's state does not parse");
    state = std::move(*decoded);
  }
  return partitions_.emplace(group, std::move(state)).first->second;
}

/// Rare, so all groups are read anew.
void fact_machine::replaced(group_id) {
  recent_.clear();
  agents_.clear();
  partitions_.clear();
  audit_heads_.clear();
}

void fact_machine::forget(const agent_name& name) {
  const auto found = agents_.find(name);
  if (found == agents_.end())
    return;
  recent_.erase(found->second.place);
  agents_.erase(found);
}

/// Everything of the agent that is in the view, and what its last record has just put: from `first_op` on.
void fact_machine::erase_agent(const reader& view, group_id group, const agent_state& state,
                               std::size_t first_op, write_set& out) {
  for (std::size_t i = first_op, end = out.ops().size(); i < end; ++i) {
    const write_op op = out.ops()[i];
    const bool of_agent = op.in == family::journal || op.in == family::message ||
                          op.in == family::memory || op.in == family::stream ||
                          op.in == family::run || op.in == family::index;
    if (of_agent && op.what == write_op::kind::put)
      out.erase(op.in, op.key);
  }
  const auto erase_range = [&](family in, const keys::range& range) {
    for (auto at = view.scan(in, range.lower, range.upper); at->valid(); at->next())
      out.erase(in, std::string{at->key()});
  };
  for (family in : {family::journal, family::message, family::memory, family::stream})
    erase_range(in, keys::numbered_range(group, state.name));
  for (auto at = view.scan(family::index, keys::agent_runs(group, state.name).lower,
                           keys::agent_runs(group, state.name).upper);
       at->valid(); at->next()) {
    if (const auto run = keys::id_of(at->key()))
      out.erase(family::run, keys::by_id(group, *run));
    out.erase(family::index, std::string{at->key()});
  }
  for (const auto& timer : state.timers)
    out.erase(family::timer, keys::timer(group, timer.due, state.name, timer.id));
  out.erase(family::index, keys::ready(group, state.name));
  out.erase(family::snapshot, keys::agent(group, state.name));
}

}  // namespace holdfast
