// What a shard does once something is committed — the same in normal running and after a restart — and what time asks
// of it.

#include <algorithm>

#include "persistence/keys.hpp"
#include "runtime/core/fork.hpp"
#include "runtime/core/shard_core.hpp"
#include "runtime/core/stored_records.hpp"
#include "runtime/core/wake_cause.hpp"

namespace holdfast {

namespace {

constexpr std::size_t timers_per_scan = 256;
constexpr std::size_t held_per_scan = 256;
constexpr time_us refire_us =
  10'000'000;  ///< a timer whose command got lost with its agent fires again
constexpr time_us sweep_us = 1'000'000;
constexpr time_us retry_us = 2'000;  ///< a record that the log had no room for is proposed again
constexpr time_us acks_us =
  20'000;  ///< acks gather so long while other records of the partition are on their way

}  // namespace

void shard_core::committed(std::uint64_t index,
                           const std::vector<std::shared_ptr<const turn_record>>& records) {
  if (ended_)
    return;
  HOLDFAST_ASSERT(index > partition_.applied, "the log went back");
  partition_.applied = index;
  for (const auto& record : records) {
    for (const auto& f : record->facts)
      evolve(partition_, f, record->at);
    last_stamp_ = std::max(last_stamp_, record->at);
    if (record->agent.empty()) {
      act_on(*record);
      const auto found = partition_turns_.find(record.get());
      if (found == partition_turns_.end())
        continue;
      const partition_turn turn = std::move(found->second);
      partition_turns_.erase(found);
      if (turn.letter)
        settling_.erase(*turn.letter);
      if (turn.forks.id != 0 && !turn.sent.empty())
        forks_[turn.sent.front()] = turn.forks;
      if (turn.then) {
        if (turn.once)
          tell_repeats(*turn.once, *turn.then);
        if (turn.from.id != 0)
          host_.tell(turn.from, *turn.then);
      }
      continue;
    }
    const auto found = cells_.find(record->agent);
    HOLDFAST_ASSERT(
      found != cells_.end() && found->second.in_flight && found->second.in_flight->record == record,
      "a committed turn that this shard did not propose");
    auto& c = found->second;
    act_on(*record);
    tell_results(*c.in_flight);
    for (const auto& end : c.in_flight->ended)
      tell_end(end);
    host_.publish(record);
    for (const auto& effect : c.in_flight->starts) {
      if (effect.kind != effect_kind::nothing) {
        host_.start_effect(record->agent, effect);
        continue;
      }
      attempt_outcome done;
      done.status = outcome_status::succeeded;
      done.output = "null";
      c.inbox.push_back({complete_effect{effect.run, effect.no, effect.attempt, std::move(done)},
                         {},
                         false,
                         {},
                         {}});
    }
    c.verdict = agent_work::verdict::committed;
    finish_turn(found->first, c);
  }
  retry_refused();
  if (partition_turns_.empty())
    flush_acks();
  hold_open_work();
  plan_wake();
}

/// What the facts themselves ask for.
void shard_core::act_on(const turn_record& record) {
  for (const auto& f : record.facts) {
    if (const auto* timer = std::get_if<timer_set>(&f)) {
      timers_from_ = std::min(timers_from_, timer->due);
      if (next_due_ == 0 || timer->due < next_due_)
        next_due_ = timer->due;
    } else if (const auto* fired = std::get_if<timer_fired>(&f)) {
      firing_.erase({record.agent, fired->timer_id});
    } else if (const auto* cancelled = std::get_if<timer_cancelled>(&f)) {
      firing_.erase({record.agent, cancelled->timer_id});
    } else if (const auto* sent = std::get_if<message_sent>(&f)) {
      outbox_.add({sent->target_group, sent->sequence}, sent->message);
    } else if (const auto* abandoned = std::get_if<effect_abandoned>(&f)) {
      host_.stop_effect(record.agent, abandoned->effect_no);
    } else if (const auto* unknown = std::get_if<effect_unknown>(&f)) {
      host_.stop_effect(record.agent, unknown->effect_no);
    } else if (const auto* taken = std::get_if<inbound_accepted>(&f)) {
      taking_.erase({taken->source_group, taken->sequence});
      host_.acknowledge(taken->source_group, options_.group, taken->sequence, true,
                        partition_.backup_epoch);
    } else if (std::holds_alternative<leader_started>(f) && !started_ && !partition_.restoring) {
      begin();
    } else if (std::holds_alternative<restore_finished>(f) && !started_) {
      begin();
    }
  }
  send_due();
}

void shard_core::begin() {
  started_ = true;
  load_ready();
  host_.started();
  for (const auto& one : std::exchange(deferred_, {}))
    one.ask();
}

/// Out of a backup, and not all that was open in it is held yet: the next ones, when those before are. Before the shard
/// decides anything else; after a crash it begins anew, and finds what is held.
void shard_core::hold_open_work() {
  if (started_ || ended_ || !partition_.restoring || holding_ != 0 ||
      partition_.term != options_.term || !partition_turns_.empty())
    return;
  const auto all = keys::agents(options_.group);
  const auto from = held_until_.empty() ? all.lower : held_until_ + '\0';
  const auto at = records_.scan(family::snapshot, from, all.upper);
  std::vector<agent_name> open;
  for (; at->valid() && open.size() < held_per_scan; at->next()) {
    held_until_ = at->key();
    const auto state = codec::decode_agent_state(at->value());
    HOLDFAST_ASSERT(state, "a snapshot does not parse");
    const bool is_held = state->paused && state->paused->restored_from == partition_.restored_from;
    if (!is_idle(*state) && !is_held)
      open.push_back(state->name);
  }
  if (open.empty()) {
    auto record = std::make_shared<turn_record>();
    record->facts.push_back(restore_finished{partition_.backup_epoch});
    return propose_partition(std::move(record), {});
  }
  holding_ = open.size();
  for (const auto& name : open) {
    auto& c = cells_[name];
    c.holding = true;
    c.used_at = host_.now();
    c.inbox.push_front({hold_restored{partition_.restored_from}, {}, false, {}, {}});
    pump(name, c);
  }
}

/// Numbers below `restored_next` were given in the life that the backup was taken of.
void shard_core::send_due() {
  for (const auto& due : outbox_.take_due(host_.now())) {
    const auto next = partition_.restored_next.find(due.at.target);
    const bool restored = next != partition_.restored_next.end() && due.at.sequence < next->second;
    host_.send(due.at.target, {options_.group, due.at.sequence, partition_.backup_epoch, restored},
               *due.message);
  }
}

void shard_core::tell_results(const decided_turn& turn) {
  for (const auto& result : turn.results) {
    answer told = command_done{turn.agent, result.decided.run, result.decided.changed};
    if (result.refused)
      told = *result.refused;
    else if (!result.decided.event.empty())
      told = accepted_event{turn.agent, result.decided.event, result.decided.run,
                            result.decided.merged, false};
    if (result.inbound && result.refused && result.refused->code == errc::mailbox_full) {
      taking_.erase({result.inbound->source, result.inbound->sequence});
      host_.acknowledge(result.inbound->source, options_.group, result.inbound->sequence, false,
                        partition_.backup_epoch);
    }
    if (result.once)
      tell_repeats(*result.once, told);
    if (result.from.id == 0)
      continue;
    const auto is_over = [&](const ended_run& end) { return end.summary.id == result.decided.run; };
    const bool over = std::any_of(turn.ended.begin(), turn.ended.end(), is_over);
    if (result.until_end && !result.refused && !result.decided.run.empty())
      add_waiter(result.decided.run, {result.from, result.decided.event, false});
    if (!(result.until_end && over))
      host_.tell(result.from, std::move(told));
  }
}

void shard_core::tell_repeats(const digest128& scope, const answer& first) {
  const auto found = once_.find(scope);
  if (found == once_.end())
    return;
  const auto repeats = std::move(found->second.repeats);
  once_.erase(found);
  for (const auto& again : repeats) {
    answer told = first;
    if (auto* accepted = std::get_if<accepted_event>(&told))
      accepted->replayed = true;
    if (auto* routed = std::get_if<routed_event>(&told))
      routed->replayed = true;
    const auto* accepted = std::get_if<accepted_event>(&told);
    host_.tell(again.from, told);
    if (again.until_end && accepted != nullptr)
      await_end(accepted->run, {again.from, accepted->event, true});
  }
}

/// One too many takes the place of the first, whose client has mostly gone away: a client waits for
/// minutes, a run may wait for days.
void shard_core::add_waiter(const run_id& run, waiter who) {
  auto& list = waiters_[run];
  if (list.size() == options_.waiters_max) {
    host_.tell(list.front().from,
               error{errc::overloaded, "too many clients wait for " + to_string(run) +
                                         "; follow its stream, or read it now and then"});
    list.erase(list.begin());
  }
  list.push_back(std::move(who));
}

void shard_core::tell_end(const ended_run& end) {
  const auto found = waiters_.find(end.summary.id);
  if (found == waiters_.end())
    return;
  for (const auto& who : found->second)
    host_.tell(who.from, run_answer{end, who.event, who.replayed});
  waiters_.erase(found);
}

void shard_core::await_end(const run_id& run, waiter who) {
  const auto stored = load_run(records_, options_.group, run);
  if (!stored || !*stored) {  // its agent was deleted, or it is below retention
    host_.tell(who.from, stored ? error{errc::gone, to_string(run) + " is not kept any more"}
                                : stored.error());
    return;
  }
  if ((*stored)->ended_at == 0) {
    add_waiter(run, std::move(who));
    return;
  }
  auto end = load_end(records_, options_.group, **stored);
  if (end)
    host_.tell(who.from, run_answer{std::move(*end), who.event, who.replayed});
  else
    host_.tell(who.from, end.error());
}

void shard_core::wait_for(run_id run, request_ref from) {
  const auto stored = load_run(records_, options_.group, run);
  if (!stored || !*stored) {
    host_.tell(from, stored ? error{errc::not_found, "no run " + to_string(run)} : stored.error());
    return;
  }
  await_end(run, {from, (*stored)->event, false});
}

void shard_core::load_ready() {
  const auto ready = keys::ready_range(options_.group);
  for (auto at = records_.scan(family::index, ready.lower, ready.upper); at->valid(); at->next())
    if (const auto name = keys::agent_of(at->key()))
      enqueue(*name, {recover{}, {}, false, {}, {}});
  const auto sent = keys::outboxes(options_.group);
  for (auto at = records_.scan(family::outbox, sent.lower, sent.upper); at->valid(); at->next()) {
    const auto key = keys::outbox_of(at->key());
    auto message = codec::decode_outbox_message(at->value());
    HOLDFAST_ASSERT(key && message, "an outbox message does not parse");
    outbox_.add({key->target, key->sequence}, std::move(*message));
  }
  fire_due_timers();
  for (auto& [name, c] : cells_)
    pump(name, c);
}

// ---- time ----------------------------------------------------------------------------------------------------------

void shard_core::tick() {
  if (ended_)
    return;
  retry_refused();
  if (!started_) {
    plan_wake();
    return;
  }
  flush_acks();
  if (next_due_ != 0 && next_due_ <= host_.now())
    fire_due_timers();
  send_due();
  passivate_idle();
  plan_wake();
}

/// Everything that waits for time is named here: the host calls `tick` once, at the earliest.
void shard_core::plan_wake() {
  if (ended_)
    return;
  time_us due = 0;
  const auto wish = [&](time_us at) { due = due == 0 ? at : std::min(due, at); };
  if (!refused_.empty())
    wish(host_.now() + retry_us);
  if (!acks_.empty())
    wish(host_.now() + acks_us);
  if (next_due_ != 0)
    wish(next_due_);
  if (const time_us next = outbox_.next_due(); next != 0)
    wish(next);
  if (started_ && !cells_.empty())
    wish(swept_at_ + sweep_us);
  if (due != 0)
    host_.wake_at(due);
}

/// Gives every due timer to its agent, and finds when the next one is due. Fired timers are gone from the store, so the
/// scan starts where the last one ended.
void shard_core::fire_due_timers() {
  const time_us now = host_.now();
  const auto from = keys::timer(options_.group, timers_from_, {}, 0);
  const auto to = keys::timers_until(options_.group, INT64_MAX);
  next_due_ = 0;
  const auto wish = [&](time_us at) { next_due_ = next_due_ == 0 ? at : std::min(next_due_, at); };
  std::size_t fired = 0;
  bool pending = false;
  for (auto at = records_.scan(family::timer, from, to.upper); at->valid(); at->next()) {
    const auto key = keys::timer_of(at->key());
    HOLDFAST_ASSERT(key, "a timer's key does not parse");
    if (key->due > now || fired == timers_per_scan) {
      wish(std::max(key->due, now));
      if (!pending)
        timers_from_ = std::min(key->due, now);
      return;
    }
    pending = true;  // its key is still there: the next scan must see it again
    const auto [place, fresh] = firing_.emplace(std::pair{key->agent, key->timer_id}, now);
    if (fresh || place->second + refire_us <= now) {
      place->second = now;
      ++fired;
      enqueue(key->agent, {fire_timer{key->timer_id}, {}, false, {}, {}});
    }
    wish(place->second + refire_us);
  }
}

void shard_core::retry_refused() {
  while (!refused_.empty() && !ended_) {
    const auto record = refused_.front();
    bool overloaded = false;
    if (!propose(record, overloaded))
      return;
    refused_.pop_front();
  }
}

void shard_core::passivate_idle() {
  const time_us now = host_.now();
  if (swept_at_ + sweep_us > now && cells_.size() < options_.agents_loaded_max)
    return;
  swept_at_ = now;
  const time_us idle_us = cells_.size() < options_.agents_loaded_max ? options_.agent_idle_us : 0;
  for (auto at = cells_.begin(); at != cells_.end();) {
    const auto& c = at->second;
    if (c.working || !c.inbox.empty() || c.more || c.used_at + idle_us > now) {
      ++at;
      continue;
    }
    host_.passivate(at->first);
    at = cells_.erase(at);
  }
}

}  // namespace holdfast
