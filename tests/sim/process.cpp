#include "tests/sim/process.hpp"

#include <algorithm>

#include "runtime/core/stored_records.hpp"
#include "tests/sim/simulation.hpp"

namespace holdfast::sim {

process::process(simulation& world, group_id group_of_it, std::uint64_t its_term,
                 std::uint64_t its_id)
  : group(group_of_it), term(its_term), id(its_id), world_(world) {
  shard_options options;
  options.group = group;
  options.partitions = simulation::partitions;
  options.term = term;
  options.agent_idle_us = 2'000'000;
  options.inbound_beyond_max = 64;
  options.queued_events_max = 80;
  options.waiters_max = 3;
  if (world.random.chance(500))
    options.commands_per_turn_max = 1 + world.random.below(4);
  if (world.random.chance(500))
    options.agents_loaded_max = 4;
  core.emplace(std::move(options), world.disk, *this);
  context_.term = term;
  context_.group = group;
  context_.partitions = simulation::partitions;
  context_.behaviour_of = [this](const compiled_agent& spec) { return world_.deciders.of(spec); };
  context_.price_of = price_of;
  context_.jq = compile_where;
  context_.handler_enters = [this](const agent_name& name, const run_id& run) {
    entered_ = {name, run};
  };
  context_.handler_leaves = [] {};
}

// ---- what the core asks for ---------------------------------------------------------------------

time_us process::now() { return world_.now; }
std::shared_ptr<const catalog> process::definitions() { return world_.definitions; }

status process::propose(std::shared_ptr<const turn_record> record) {
  return world_.propose(*this, std::move(record));
}

void process::give(const agent_name& to, agent_work work) {
  works.push_back({to, std::move(work)});
}

void process::passivate(const agent_name& who) { agents_.erase(who); }

void process::start_effect(const agent_name& of, const effect_state& effect) {
  if (world_.plan.planted == defect::effect_before_commit)
    return;  // it was started long ago
  effect_call call;
  call.agent = of;
  call.effect = effect;
  calls.push_back(std::move(call));
}

void process::stop_effect(const agent_name& of, std::uint32_t effect_no) {
  for (std::size_t i = calls.size(); i-- > 0;)
    if (calls[i].agent == of && calls[i].effect.no == effect_no) {
      auto call = take_from(calls, i);
      if (call.at == effect_call::stage::sent && world_.random.chance(300)) {
        world_.seen.count(fault::effect_performed_for_nobody);
        world_.sinks.perform(call, *world_.definitions);
      }
      // Its answer may be on the way to us already.
      if (call.at != effect_call::stage::unsent && call.performed && world_.random.chance(500)) {
        call.at = effect_call::stage::after;
        call.not_before = world_.now;
        if (!call.late)
          call.late = call.outcome;
        calls.push_back(std::move(call));
      }
    }
}

void process::send(group_id target, const mail_stamp& stamp, const outbox_message& message) {
  auto sent = stamp;
  if (world_.plan.planted == defect::outbox_renumbered && world_.random.chance(100))
    sent.sequence += 1 + world_.random.below(3);
  if (world_.plan.planted == defect::mail_without_epoch)
    sent.epoch = 0;
  world_.mail(target, sent, message);
}

void process::acknowledge(group_id source, group_id target, std::uint64_t sequence, bool taken,
                          std::uint64_t epoch) {
  if (taken && world_.plan.planted == defect::inbound_ack_lost)
    return;
  if (world_.plan.planted == defect::receipt_without_epoch)
    epoch = 0;
  world_.receipt(source, target, sequence, taken, epoch);
}

void process::tell(const request_ref& to, answer what) {
  if (to.id != 0)
    world_.users.tell(to, what);
}

void process::publish(std::shared_ptr<const turn_record>) {}

void process::wake_at(time_us due) {
  if (world_.plan.planted == defect::wake_lost && world_.random.chance(100))
    return;
  wake = wake == 0 ? due : std::min(wake, due);
}

void process::ended(errc) { over = true; }

// ---- what the scheduler picks -------------------------------------------------------------------

agent_core& process::load(const agent_name& name) {
  if (const auto found = agents_.find(name); found != agents_.end())
    return found->second;
  auto stored = load_agent(world_.disk, group, name);
  require(bool{stored}, "a snapshot does not parse");
  agent_state state;
  state.name = name;
  if (*stored)
    state = std::move(**stored);
  if (const auto known = world_.past.agents.find(name); known != world_.past.agents.end())
    require(state == known->second.state, "the snapshot of ", to_string(name),
            " is not what its facts add up to");
  if (world_.plan.planted == defect::recovery_restarts_writes)
    for (auto& effect : state.effects)
      if (effect.phase == effect_phase::started && effect.kind == effect_kind::tool)
        effect.cls = effect_class::idempotent;
  return agents_.emplace(name, agent_core{std::move(state)}).first->second;
}

void process::decide(std::size_t which) {
  auto item = take_from(works, which);
  auto& agent = load(item.name);
  const bool committed = item.work.previous == agent_work::verdict::committed;
  if (committed && world_.plan.planted == defect::committed_turn_forgotten &&
      world_.random.chance(50)) {
    agent.discarded();
  } else if (committed) {
    agent.committed();
    require(world_.plan.planted != defect::none ||
              agent.state() == world_.past.agents.at(item.name).state,
            to_string(item.name), " is not in memory what its facts add up to");
  } else if (item.work.previous == agent_work::verdict::discarded) {
    agent.discarded();
  }
  context_.now = world_.now;
  context_.random = world_.random.next();
  context_.careful = world_.suspects.contains(item.name);
  context_.definitions = world_.definitions;
  entered_.reset();
  world_.seen.commands += item.work.commands.size();
  auto turn = agent.take(std::move(item.work.commands), context_,
                         stored_records{world_.disk, group, item.name});
  world_.say("decide ", to_string(item.name), turn.record ? "" : " nothing");
  if (world_.handlers.exploded)
    world_.seen.count(fault::crash_in_handler);
  if (world_.handlers.exploded || (entered_ && world_.may(4, fault::crash_in_handler))) {
    world_.handler_running = entered_;
    world_.crash(true);
    return;
  }
  spoil(turn);
  turns.push_back(std::move(turn));
}

/// Defects of what was decided.
void process::spoil(decided_turn& turn) {
  switch (world_.plan.planted) {
    case defect::effect_before_commit:
      for (const auto& effect : turn.starts)
        if (effect.kind != effect_kind::nothing) {
          effect_call call;
          call.agent = turn.agent;
          call.effect = effect;
          calls.push_back(std::move(call));
        }
      break;
    case defect::ack_before_commit:
      for (auto& result : turn.results)
        if (!result.refused && result.from.id != 0 && !result.until_end &&
            !result.decided.event.empty())
          tell(std::exchange(result.from, {}),
               accepted_event{turn.agent, result.decided.event, result.decided.run,
                              result.decided.merged, false});
      break;
    case defect::reservation_kept:
      if (turn.record)
        for (auto& f : turn.record->facts)
          if (std::holds_alternative<budget_settled>(f))
            f = forked{};
      break;
    default:
      break;
  }
}

void process::hand_over(std::size_t which) { core->decided(take_from(turns, which)); }

void process::commit_next() {
  auto next = std::move(commits.front());
  commits.pop_front();
  core->committed(next.index, next.records);
}

void process::tick() {
  wake = 0;
  core->tick();
}

void process::tick_early() {
  const auto wish = wake;
  tick();
  if (wish != 0)
    wake = wake == 0 ? wish : std::min(wake, wish);
}

bool process::has_call(time_us at) const noexcept {
  return std::any_of(calls.begin(), calls.end(),
                     [&](const effect_call& call) { return call.not_before <= at; });
}

time_us process::next_due() const noexcept {
  time_us due = wake;
  for (const auto& call : calls)
    if (due == 0 || call.not_before < due)
      due = call.not_before;
  return due;
}

void process::submit(const agent_name& to, queued_command queued) {
  if (world_.plan.planted == defect::in_flight_dedup_forgotten && queued.once &&
      in_flight_[queued.once->scope]++ > 0)
    queued.once->scope =
      digest_of({queued.once->scope.view(), std::to_string(world_.random.next())});
  core->submit(to, std::move(queued));
}

// ---- calls --------------------------------------------------------------------------------------

void process::report(const effect_call& call, attempt_outcome outcome) {
  core->submit(call.agent, {complete_effect{call.effect.run, call.effect.no, call.effect.attempt,
                                            std::move(outcome)},
                            {},
                            false,
                            {},
                            {}});
}

/// As actors/effect_request.cpp: leadership is checked again, and what was declared is read.
void process::send_call(effect_call& call) {
  attempt_outcome refused;
  refused.error = {"not_performed", "the run is over, or the partition moved", 0, false};
  if (!world_.leads(*this)) {
    refused.failure_reason = failure_kind::not_sent;
    report(call, std::move(refused));
    call.at = effect_call::stage::after;
    return;
  }
  const auto known = world_.past.agents.find(call.agent);
  const bool open = known != world_.past.agents.end() && known->second.state.run &&
                    known->second.state.run->id == call.effect.run;
  if (!open) {
    const auto run = world_.past.runs.find(call.effect.run);
    require(run != world_.past.runs.end() && run->second.ended == 1,
            "an effect is started whose run is not open");
    refused.failure_reason = failure_kind::rejected;
    report(call, std::move(refused));
    call.at = effect_call::stage::after;
    return;
  }
  const auto declared = stored_records{world_.disk, group, call.agent}.fact_at(call.effect.seq);
  require(bool{declared}, "an effect is started whose declaration is not on disk");
  world_.sinks.send(call, *declared, world_.now);
}

void process::go_on_with_call(std::size_t start) {
  while (calls[start % calls.size()].not_before > world_.now)
    ++start;
  auto call = take_from(calls, start % calls.size());
  switch (call.at) {
    case effect_call::stage::unsent:
      send_call(call);
      if (call.at == effect_call::stage::sent)
        calls.push_back(std::move(call));
      return;
    case effect_call::stage::sent:
      if (call.texts > 0) {
        --call.texts;
        core->submit(call.agent,
                     {append_text{call.effect.run, call.effect.no, call.effect.attempt, "text"},
                      {},
                      false,
                      {},
                      {}});
        calls.push_back(std::move(call));
        return;
      }
      world_.sinks.perform(call, *world_.definitions);
      report(call, call.outcome);
      if (call.late || call.answers_twice) {
        call.at = effect_call::stage::after;
        call.not_before = world_.now + static_cast<time_us>(world_.random.below(4'000'000));
        if (!call.late)
          call.late = call.outcome;
        calls.push_back(std::move(call));
      }
      return;
    case effect_call::stage::after:
      report(call, *call.late);
      return;
  }
}

void process::die() {
  for (auto& call : calls)
    if (call.at == effect_call::stage::sent && world_.random.chance(300)) {
      world_.seen.count(fault::effect_performed_for_nobody);
      world_.sinks.perform(call, *world_.definitions);
    }
  calls.clear();
}

}  // namespace holdfast::sim
