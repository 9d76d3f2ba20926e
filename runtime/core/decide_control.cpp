// What operators and policies ask of an agent (INTERFACE §1 "Verbs").

#include <nlohmann/json.hpp>

#include "runtime/core/decide_parts.hpp"
#include "runtime/core/run_steps.hpp"
#include "runtime/core/turn_limits.hpp"
#include "runtime/core/wake_cause.hpp"

namespace holdfast {

namespace {

decision unchanged() { return {{}, {}, false, false}; }

std::string reason_of(const control& cmd) {
  return cmd.reason.empty() ? "no reason given" : cmd.reason;
}

/// The run that the command means: the open one, or one that waits in the mailbox.
result<decision> cancel(turn_builder& turn, const control& cmd) {
  const auto& run = turn.state().run;
  if (!cmd.run.empty() && (!run || run->id != cmd.run)) {
    for (std::uint64_t no = turn.state().mailbox_head; no != turn.state().mailbox_next; ++no) {
      const auto entry = turn.mailbox(no);
      if (!entry || entry->run != cmd.run)
        continue;
      for (const auto& skipped : turn.state().skipped)
        if (skipped == cmd.run)
          return unchanged();
      turn.add(run_cancelled{cmd.run, reason_of(cmd)});
      if (const auto recorded = turn.fact_at(entry->event_seq); recorded)
        if (const auto* received = std::get_if<event_received>(&*recorded))
          refuse_asker(turn, received->reply_to,
                       {"cancelled", "the run was cancelled: " + reason_of(cmd), 0, false});
      return decision{{}, cmd.run, false, true};
    }
    return error{errc::conflict, to_string(cmd.run) + " is over already"};
  }
  if (!run)
    return error{errc::conflict, to_string(turn.state().name) + " has no open run to cancel"};
  if (run->cancel)
    return unchanged();
  decision done{{}, run->id, false, true};
  // Backoffs and declared calls have nothing under way: they end here, the rest is waited for.
  turn.add(cancel_requested{run->id, cmd.by, reason_of(cmd)});
  trigger t;
  t.what = trigger::kind::cancel;
  t.seq = turn.state().seq;
  if (const auto spec = turn.definition())
    if (const auto* decider =
          turn.context().behaviour_of ? turn.context().behaviour_of(*spec) : nullptr;
        decider != nullptr && decider->is_foreign())
      call_behaviour(turn, t);
  settle_cancel(turn);
  return done;
}

result<decision> kill(turn_builder& turn, const control& cmd) {
  if (!turn.state().run)
    return error{errc::conflict, to_string(turn.state().name) + " has no open run to kill"};
  decision done{{}, turn.state().run->id, false, true};
  turn.add(killed{cmd.by, reason_of(cmd)});
  cancel_run(turn, "killed by " + cmd.by + ": " + reason_of(cmd));
  return done;
}

/// Waiting backoffs fire now. False: there are none.
bool hurry(turn_builder& turn) {
  const auto timers = turn.state().timers;
  bool any = false;
  for (const auto& timer : timers) {
    if (timer.kind != timer_kind::retry && timer.kind != timer_kind::handler)
      continue;
    if (find_timer(turn.state(), timer.id) == nullptr ||
        (timer.kind == timer_kind::retry && !turn.may_start()))
      continue;  // the run ended just now; or it is being cancelled and starts nothing
    any = true;
    turn.add(timer_fired{timer.id, timer.kind, timer.tag});
    if (timer.kind == timer_kind::handler)
      call_due_handlers(turn);
    else if (const auto* effect = find_effect(turn.state(), timer.effect_no); effect != nullptr)
      if (effect->phase == effect_phase::retrying && !start_attempt(turn, timer.effect_no))
        break;  // the run ended at a limit
  }
  return any;
}

/// A new run that takes over where the last one failed, or begins again with its event.
result<decision> run_again(turn_builder& turn, const control& cmd) {
  const auto& state = turn.state();
  if (state.run)
    return error{errc::conflict,
                 to_string(state.name) +
                   " has an open run that does not wait for a retry; `holdfast agent why " +
                   to_string(state.name) + "` says what it waits for"};
  if (!state.last_failed)
    return error{errc::conflict, "the last run of " + to_string(state.name) +
                                   " did not fail; there is nothing to retry"};
  const open_run before = *state.last_failed;
  if (!cmd.run.empty() && cmd.run != before.id)
    return error{errc::conflict,
                 "only the last run of an agent can be retried, which is " + to_string(before.id)};
  const auto recorded = turn.fact_at(before.event_seq);
  const auto* received = recorded ? std::get_if<event_received>(&*recorded) : nullptr;
  if (received == nullptr)
    return error{errc::gone,
                 "the event of " + to_string(before.id) + " is below retention; send it again"};
  const auto spec =
    turn.context().definitions ? turn.context().definitions->agent(state.name.type) : nullptr;
  if (!spec)
    return error{errc::unknown_type, "no agent type `" + state.name.type + "` is defined"};

  trigger t;
  t.what = trigger::kind::start;
  t.seq = before.event_seq;
  t.arrived = received->event;
  std::optional<tool_request> failed_tool;
  bool carried = !cmd.from_start && spec->def.behaviour == behaviour_kind::llm;
  if (!cmd.from_start && before.failed_effect && spec->def.behaviour == behaviour_kind::native &&
      before.failed_effect->kind == effect_kind::tool) {
    const auto asked = turn.fact_at(before.failed_effect->seq);
    if (const auto* request = asked ? std::get_if<tool_requested>(&*asked) : nullptr) {
      failed_tool =
        tool_request{request->tool, request->kind, request->cls, request->input, request->call_id};
      carried = true;
    }
  }
  run_started begun;
  begun.run = run_id{
    make_id(turn.now(), turn.context().group, hash_of(state.name), 0x8000 + (state.seq & 0x7FFF))};
  begun.version = spec->def.version;
  begun.event_seq = before.event_seq;
  begun.event = before.event;
  begun.traceparent = before.traceparent;
  begun.retry_of = before.id;
  begun.carried = carried;
  begun.message_base = state.message_next;
  const run_id run = begun.run;
  turn.add(std::move(begun));
  if (spec->def.limits.wall_ms != 0)
    turn.set_timer(timer_kind::wall, turn.now() + spec->def.limits.wall_ms * 1'000, {});
  if (failed_tool) {
    request_tool(turn, *spec, std::move(*failed_tool));
  } else {
    if (carried)
      t.what = trigger::kind::retry;
    call_behaviour(turn, t);
  }
  return decision{{}, run, false, true};
}

result<decision> remove(turn_builder& turn, const control& cmd) {
  if (turn.state().run || !turn.state().effects.empty() ||
      turn.state().mailbox_head != turn.state().mailbox_next)
    return error{
      errc::conflict,
      to_string(turn.state().name) +
        " has open work; cancel or kill it, and reconcile its calls, before it is deleted"};
  turn.add(agent_deleted{cmd.by});
  return decision{};
}

}  // namespace

result<decision> decide_one(turn_builder& turn, const control& cmd) {
  switch (cmd.verb) {
    case control_verb::pause:
      if (turn.state().paused)
        return unchanged();
      turn.add(paused{cmd.by, reason_of(cmd)});
      return decision{};
    case control_verb::quarantine:
      if (turn.state().quarantined)
        return unchanged();
      turn.add(quarantined{cmd.by, reason_of(cmd)});
      return decision{};
    case control_verb::resume:
      if (!turn.state().paused && !turn.state().quarantined)
        return unchanged();
      release_holds(turn, {cmd.by, reason_of(cmd)});
      return decision{};
    case control_verb::cancel:
      return cancel(turn, cmd);
    case control_verb::kill:
      return kill(turn, cmd);
    case control_verb::retry:
      if (turn.state().paused || turn.state().quarantined)
        return error{errc::conflict,
                     to_string(turn.state().name) + " is held; resume it before it is retried"};
      if (turn.state().run && (cmd.run.empty() || cmd.run == turn.state().run->id) && hurry(turn))
        return decision{};
      return run_again(turn, cmd);
    case control_verb::remove:
      return remove(turn, cmd);
  }
  return error{errc::internal, "a control verb without a decider"};
}

result<decision> decide_one(turn_builder& turn, const patch_state& cmd) {
  if (cmd.if_seq && *cmd.if_seq != turn.state().seq)
    return error{errc::precondition_failed, "the agent is at " + std::to_string(turn.state().seq) +
                                              ", not at " + std::to_string(*cmd.if_seq) +
                                              "; read its state again"};
  auto stored = turn.memory();
  if (!stored)
    return stored.error();
  auto memory = nlohmann::json::parse(*stored, nullptr, false);
  const auto patch = nlohmann::json::parse(cmd.patch, nullptr, false);
  if (memory.is_discarded())
    return error{errc::corrupt, "the memory of " + to_string(turn.state().name) + " is not JSON"};
  if (patch.is_discarded() || !patch.is_object())
    return error{errc::schema, "a state patch is a JSON object (RFC 7396)"};
  memory.merge_patch(patch);
  auto changed = memory.dump();
  if (auto fits = check_memory(turn.state().name, changed.size()); !fits)
    return fits.error();
  turn.add(state_changed{std::move(changed)});
  return decision{};
}

}  // namespace holdfast
