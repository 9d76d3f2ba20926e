// Commands in, turns out: the half of the shard that everything takes on its way to the log. What happens after a
// commit is in shard_acts.cpp.

#include "runtime/core/shard_core.hpp"

#include <algorithm>

#include "persistence/keys.hpp"
#include "runtime/core/stored_records.hpp"
#include "runtime/core/turn_limits.hpp"

namespace holdfast {

namespace {

bool is_delete(const queued_command& queued) {
  const auto* asked = std::get_if<control>(&queued.cmd);
  return asked != nullptr && asked->verb == control_verb::remove;
}

}  // namespace

shard_core::shard_core(shard_options options, const reader& records, shard_host& host)
  : options_(std::move(options)), records_(records), host_(host) {}

time_us shard_core::stamp() {
  last_stamp_ = std::max(last_stamp_ + 1, host_.now());
  return last_stamp_;
}

void shard_core::start() {
  auto bytes = records_.get(family::meta, keys::partition_state(options_.group));
  HOLDFAST_ASSERT(bytes, "a partition's state cannot be read");
  if (*bytes) {
    auto state = codec::decode_partition_state(**bytes);
    HOLDFAST_ASSERT(state, "a partition's state does not parse");
    partition_ = std::move(*state);
  }
  last_stamp_ = partition_.last_at;
  for (const auto& [target, next] : partition_.out_next)
    outbox_.restore(target, next);
  auto record = std::make_shared<turn_record>();
  record->facts.push_back(leader_started{options_.term, options_.node});
  propose_partition(std::move(record), {});
}

// ---- commands ------------------------------------------------------------------------------------------------------

void shard_core::submit(const agent_name& to, queued_command queued) {
  if (ended_) {
    if (queued.from.id != 0)
      host_.tell(queued.from, error{errc::not_leader, "the partition moved; send again"});
    return;
  }
  if (queued.once) {
    const repeat again{queued.from, queued.once->body, queued.until_end};
    if (is_repeat(queued.once->scope, queued.once->body, again))
      return;
  }
  const bool is_event = std::holds_alternative<deliver_event>(queued.cmd) && !queued.inbound;
  if (is_event && queued_events_ >= options_.queued_events_max) {
    if (queued.once)
      once_.erase(queued.once->scope);
    host_.tell(queued.from,
               error{errc::overloaded, "too many events wait to be written; send again later"});
    return;
  }
  queued_events_ += is_event ? 1 : 0;
  enqueue(to, std::move(queued));
}

/// True when the same request was made before, or nobody can tell: it was answered, or waits for the first. Else it is
/// noted as the first.
bool shard_core::is_repeat(const digest128& scope, const digest128& body, const repeat& again) {
  if (const auto first = once_.find(scope); first != once_.end()) {
    if (!first->second.body.empty() && first->second.body != body)
      host_.tell(again.from,
                 error{errc::idempotency_conflict,
                       "this Idempotency-Key was used with another body; use a new key"});
    else
      first->second.repeats.push_back(again);
    return true;
  }
  const auto bytes = records_.get(family::idempotency, keys::idempotency(options_.group, scope));
  if (!bytes) {
    host_.tell(again.from, bytes.error());
    return true;
  }
  if (*bytes) {
    const auto known = codec::decode_idempotency(**bytes);
    if (!known || known->expires > host_.now()) {
      if (known)
        answer_repeat(*known, again);
      else
        host_.tell(again.from, known.error());
      return true;
    }
  }
  once_[scope] = {body, {}};
  return false;
}

void shard_core::answer_repeat(const idempotency_recorded& first, const repeat& again) {
  if (!first.body.empty() && first.body != again.body) {
    host_.tell(again.from, error{errc::idempotency_conflict,
                                 "this Idempotency-Key was used with another body; use a new key"});
    return;
  }
  if (first.agent.empty()) {
    routed_event told{first.id, {}, true};
    const auto bytes = records_.get(family::event_log, keys::by_id(options_.group, first.id.id));
    if (bytes && *bytes)
      if (auto stored = codec::decode_event_routed(**bytes))
        told.routes = std::move(stored->value.routes);
    host_.tell(again.from, std::move(told));
    return;
  }
  host_.tell(again.from, accepted_event{first.agent, first.id, first.run, false, true});
  if (again.until_end)
    await_end(first.run, {again.from, first.id, true});
}

void shard_core::enqueue(const agent_name& to, queued_command queued) {
  auto& c = cells_[to];
  c.used_at = host_.now();
  c.inbox.push_back(std::move(queued));
  pump(to, c);
}

void shard_core::pump(const agent_name& name, cell& c) {
  if (!(started_ || c.holding) || ended_ || c.working || (c.inbox.empty() && !c.more))
    return;
  agent_work work;
  work.previous = std::exchange(c.verdict, agent_work::verdict::none);
  const std::size_t count =
    c.holding ? 1 : std::min(c.inbox.size(), options_.commands_per_turn_max);
  work.commands.reserve(count);
  std::size_t bytes = 0;
  for (std::size_t i = 0; i < count; ++i) {
    const auto& next = c.inbox.front();
    bytes += size_of(next.cmd);
    if (i != 0 && bytes > turn_bytes_max)
      break;
    if (std::holds_alternative<deliver_event>(next.cmd) && !next.inbound)
      --queued_events_;
    work.commands.push_back(std::move(c.inbox.front()));
    c.inbox.pop_front();
    if (is_delete(work.commands.back()))
      break;  // what follows is for the agent that it makes room for
  }
  c.more = false;
  c.working = true;
  ++working_;
  host_.give(name, std::move(work));
}

void shard_core::count_crash(const agent_name& of, run_id run) {
  enqueue(of, {holdfast::count_crash{run, "the process died while its handler was running"},
               {},
               false,
               {},
               {}});
}

// ---- turns ---------------------------------------------------------------------------------------------------------

void shard_core::decided(decided_turn turn) {
  if (ended_)
    return;
  const auto found = cells_.find(turn.agent);
  HOLDFAST_ASSERT(found != cells_.end() && found->second.working, "a turn that was not asked for");
  auto& c = found->second;
  c.in_flight = std::move(turn);
  if (!c.in_flight->record) {  // nothing changed: nothing to commit
    c.verdict = agent_work::verdict::none;
    tell_results(*c.in_flight);
    finish_turn(found->first, c);
  } else {
    number_messages(*c.in_flight->record);
    propose_turn(found->first, c);
  }
  hold_open_work();
  plan_wake();
}

void shard_core::propose_turn(const agent_name& name, cell& c) {
  bool overloaded = false;
  const auto record = std::static_pointer_cast<const turn_record>(c.in_flight->record);
  if (propose(record, overloaded) || !overloaded)
    return;
  if (!c.in_flight->may_refuse) {
    refused_.push_back(record);
    return;
  }
  forget_numbers(*record);
  refuse(c, {errc::overloaded, "the log is full; send again later"});
  c.verdict = agent_work::verdict::discarded;
  finish_turn(name, c);
}

/// False: not appended, for lack of room or because the shard is over. Nothing passes a record that waits for room: the
/// numbers of its messages are given.
bool shard_core::propose(std::shared_ptr<const turn_record> record, bool& overloaded) {
  if (!refused_.empty() && record != refused_.front()) {
    overloaded = true;
    return false;
  }
  if (auto taken = host_.propose(std::move(record)); !taken) {
    overloaded = taken.error().code == errc::overloaded;
    if (!overloaded)
      end(taken.error().code);
    return false;
  }
  return true;
}

void shard_core::refuse(cell& c, const error& why) {
  for (auto& result : c.in_flight->results) {
    if (result.once)
      tell_repeats(*result.once, why);
    if (result.inbound) {
      taking_.erase({result.inbound->source, result.inbound->sequence});
      host_.acknowledge(result.inbound->source, options_.group, result.inbound->sequence, false,
                        partition_.backup_epoch);
    }
    if (result.from.id != 0)
      host_.tell(result.from, result.refused ? *result.refused : why);
  }
}

/// The numbers of outgoing messages are given here, in the order of proposals, and nowhere else.
void shard_core::number_messages(turn_record& record) {
  for (auto& f : record.facts)
    if (auto* sent = std::get_if<message_sent>(&f))
      sent->sequence = outbox_.next_for(sent->target_group);
}

void shard_core::forget_numbers(const turn_record& record) {
  for (auto f = record.facts.rbegin(); f != record.facts.rend(); ++f)
    if (const auto* sent = std::get_if<message_sent>(&*f))
      outbox_.give_back(sent->target_group, sent->sequence);
}

void shard_core::finish_turn(const agent_name& name, cell& c) {
  c.more = c.in_flight && c.in_flight->more;
  c.in_flight.reset();
  c.working = false;
  --working_;
  c.used_at = host_.now();
  holding_ -= std::exchange(c.holding, false) ? 1 : 0;
  pump(name, c);
}

// ---- records of the partition alone --------------------------------------------------------------------------------

void shard_core::propose_partition(std::shared_ptr<turn_record> record, partition_turn turn) {
  record->at = stamp();
  if (const auto definitions = host_.definitions())
    record->catalog_index = definitions->index;
  number_messages(*record);
  for (const auto& f : record->facts)
    if (const auto* sent = std::get_if<message_sent>(&f))
      turn.sent.emplace_back(sent->target_group, sent->sequence);
  const std::shared_ptr<const turn_record> fixed = std::move(record);
  bool overloaded = false;
  if (!propose(fixed, overloaded)) {
    if (!overloaded)
      return;
    if (turn.from.id == 0 && !turn.then) {  // our own: it must come
      refused_.push_back(fixed);
      partition_turns_[fixed.get()] = std::move(turn);
      plan_wake();
      return;
    }
    forget_numbers(*fixed);
    if (turn.letter)
      settling_.erase(*turn.letter);
    const error why{errc::overloaded, "the log is full; send again later"};
    if (turn.once)
      tell_repeats(*turn.once, why);
    host_.tell(turn.from, why);
    return;
  }
  partition_turns_[fixed.get()] = std::move(turn);
}

// ---- from and to other partitions ----------------------------------------------------------------------------------

void shard_core::cut(std::uint64_t epoch) {
  if (ended_ || !started_ || epoch <= std::max(partition_.backup_epoch, cut_proposed_))
    return;
  cut_proposed_ = epoch;
  auto record = std::make_shared<turn_record>();
  record->facts.push_back(backup_cut{epoch});
  propose_partition(std::move(record), {});
}

void shard_core::inbound(const mail_stamp& stamp, outbox_message message) {
  if (ended_)
    return;  // it is sent again
  const auto [source, sequence, epoch, restored] = stamp;
  const auto reply = [&, source = source, sequence = sequence](bool taken) {
    host_.acknowledge(source, options_.group, sequence, taken, partition_.backup_epoch);
  };
  if (!started_)
    return reply(false);  // again in a moment
  cut(epoch);
  if (was_taken(partition_, source, sequence))
    return reply(true);
  const auto taken = partition_.taken.find(source);
  if (sequence >
      (taken == partition_.taken.end() ? 0 : taken->second.watermark) + options_.inbound_beyond_max)
    return reply(false);
  if (!taking_.emplace(std::pair{source, sequence}, true).second)
    return;
  queued_command queued;
  queued.inbound = inbound_ref{source, sequence};
  const agent_name to = message.target;
  switch (message.kind) {
    case outbox_kind::event:
      queued.cmd = deliver_event{message.event_ref,
                                 message.run,
                                 std::move(message.event),
                                 std::move(message.verified),
                                 std::move(message.reply_to),
                                 true,
                                 {},
                                 restored ? partition_.restored_from : 0};
      break;
    case outbox_kind::outcome: {
      const auto whom = message.reply_to.value_or(reply_address{});
      queued.cmd = complete_effect{whom.run, whom.effect_no, 0, std::move(message.outcome)};
      break;
    }
    case outbox_kind::cancel:
      queued.cmd = control{control_verb::cancel, to_string(message.source),
                           "the agent that asked does not wait any more", message.run, false};
      break;
    case outbox_kind::fork:
      queued.cmd = adopt_fork{message.source, message.fork_at, std::move(message.payload)};
      break;
  }
  enqueue(to, std::move(queued));
}

void shard_core::acknowledged(group_id target, std::uint64_t sequence, bool taken,
                              std::uint64_t epoch) {
  cut(epoch);
  const outbox::key at{target, sequence};
  if (ended_ || !outbox_.holds(at))
    return;
  if (!taken) {
    outbox_.refused(at, host_.now());
    plan_wake();
    return;
  }
  if (const auto fork = forks_.find({target, sequence}); fork != forks_.end()) {
    host_.tell(fork->second, command_done{outbox_.find(at)->target, {}, true});
    forks_.erase(fork);
  }
  outbox_.acknowledged(at);
  acks_.emplace_back(target, sequence);
  if (partition_turns_.empty())
    flush_acks();
  plan_wake();
}

void shard_core::flush_acks() {
  if (acks_.empty())
    return;
  auto record = std::make_shared<turn_record>();
  for (const auto& [target, sequence] : acks_)
    record->facts.push_back(outbox_acked{target, sequence});
  acks_.clear();
  propose_partition(std::move(record), {});
}

void shard_core::end(errc why) {
  if (ended_)
    return;
  ended_ = true;
  for (const auto& one : std::exchange(deferred_, {}))
    defer(one.from, {});
  host_.ended(why);
}

}  // namespace holdfast
