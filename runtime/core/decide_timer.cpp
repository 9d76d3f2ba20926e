// Durable timers, and handlers that are due again.

#include "runtime/core/decide_parts.hpp"
#include "runtime/core/run_steps.hpp"

namespace holdfast {

namespace {

/// Builds a handler's trigger again from the fact that it stood in.
result<trigger> trigger_of(const turn_builder& turn, seq_no seq) {
  const auto recorded = turn.fact_at(seq);
  if (!recorded)
    return recorded.error();
  trigger t;
  t.seq = seq;
  if (const auto* one = std::get_if<event_received>(&*recorded)) {
    t.what = trigger::kind::start;
    t.arrived = one->event;
  } else if (const auto* awaited = std::get_if<awaited_event_received>(&*recorded)) {
    t.what = trigger::kind::awaited;
    t.arrived = awaited->event;
  } else if (const auto* completed = std::get_if<tool_completed>(&*recorded)) {
    t.what = trigger::kind::outcome;
    t.effect.no = completed->effect_no;
    t.effect.name = completed->tool;
    t.effect.output = completed->output;
  } else if (const auto* model = std::get_if<model_completed>(&*recorded)) {
    t.what = trigger::kind::outcome;
    t.effect.no = model->effect_no;
    t.effect.kind = effect_kind::model;
    t.effect.output = model->reply.text;
  } else if (const auto* failed = std::get_if<effect_failed>(&*recorded)) {
    t.what = trigger::kind::outcome;
    t.effect.no = failed->effect_no;
    t.effect.name = failed->tool;
    t.effect.status = outcome_status::failed;
    t.effect.error = failed->error;
  } else if (const auto* reconciled = std::get_if<effect_reconciled>(&*recorded)) {
    t.what = trigger::kind::outcome;
    t.effect.no = reconciled->effect_no;
    t.effect.name = reconciled->tool;
    t.effect.status = reconciled->resolved == resolution::succeeded ? outcome_status::succeeded
                                                                    : outcome_status::failed;
    t.effect.output = reconciled->output.empty() ? "null" : reconciled->output;
    if (reconciled->resolved == resolution::failed)
      t.effect.error = reconciled_as_failed(reconciled->effect_no, reconciled->note);
  } else if (const auto* fired = std::get_if<timer_fired>(&*recorded)) {
    t.what =
      fired->kind == timer_kind::wait ? trigger::kind::awaited_timeout : trigger::kind::timer;
    t.tag = fired->tag;
  } else if (std::holds_alternative<cancel_requested>(*recorded)) {
    t.what = trigger::kind::cancel;
  } else {
    return error{errc::corrupt, "fact " + std::to_string(seq) + " is no trigger"};
  }
  return t;
}

/// A timer that a handler set.
void fire_for_behaviour(turn_builder& turn, const timer_state& timer) {
  if (!turn.state().run || turn.state().run->id != timer.run || turn.state().run->cancel)
    return;
  trigger t;
  t.what = timer.kind == timer_kind::wait ? trigger::kind::awaited_timeout : trigger::kind::timer;
  t.seq = turn.state().seq;
  t.tag = timer.tag;
  call_behaviour(turn, t);
}

}  // namespace

void call_due_handlers(turn_builder& turn) {
  while (turn.state().run && !turn.state().run->triggers_due.empty()) {
    const std::uint32_t failures = turn.state().run->handler_failures;
    const auto seq = turn.state().run->triggers_due.front();
    auto t = trigger_of(turn, seq);
    if (!t) {
      fail_run(turn, {"corrupt", "the record of its trigger cannot be read: " + t.error().context,
                      0, false});
      return;
    }
    call_behaviour(turn, *t);
    if (turn.state().run && turn.state().run->handler_failures > failures)
      return;  // it failed again; a timer is set
  }
}

result<decision> decide_one(turn_builder& turn, const fire_timer& cmd) {
  const auto* found = find_timer(turn.state(), cmd.timer_id);
  if (found == nullptr || found->due > turn.now())
    return decision{{}, {}, false, false};
  const timer_state timer = *found;
  turn.add(timer_fired{timer.id, timer.kind, timer.tag});
  switch (timer.kind) {
    case timer_kind::retry: {
      const auto* effect = find_effect(turn.state(), timer.effect_no);
      // While the agent is held it stays as it is, and starts with the rest when the hold ends.
      if (effect != nullptr && effect->phase == effect_phase::retrying && turn.state().run &&
          turn.state().run->id == effect->run && turn.may_start())
        start_attempt(turn, timer.effect_no);
      break;
    }
    case timer_kind::handler:
      call_due_handlers(turn);
      break;
    case timer_kind::wall:
      if (turn.state().run && turn.state().run->id == timer.run)
        fail_run(turn, {"limit_exceeded",
                        "the run reached limits.wall; raise it in the definition and retry the run",
                        0, true});
      break;
    case timer_kind::sleep:
    case timer_kind::wait:
      fire_for_behaviour(turn, timer);
      break;
  }
  return decision{};
}

result<decision> decide_one(turn_builder& turn, const count_crash& cmd) {
  const auto& run = turn.state().run;
  // Without a trigger that is due, the turn that died was never committed: what set it off comes again by itself, and is
  // made durable before the handler sees it (`careful`). The run's first event was processed before.
  if (!run || run->id != cmd.run || run->triggers_due.empty())
    return decision{{}, {}, false, false};
  count_handler_failure(turn, run->triggers_due.front(), cmd.reason);
  return decision{};
}

}  // namespace holdfast
