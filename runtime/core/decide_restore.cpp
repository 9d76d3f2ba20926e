// What becomes of an agent that came out of a backup (DESIGN §6). The life that it was copied from may have gone on for
// a while: what was open then may have been performed there.

#include "runtime/core/decide_parts.hpp"
#include "schemas/units.hpp"

namespace holdfast {

namespace {

/// Whether the timer still means something.
bool is_wanted(const agent_state& state, const timer_state& timer) {
  if (!state.run || state.run->id != timer.run)
    return false;
  switch (timer.kind) {
    case timer_kind::retry: {
      const auto* effect = find_effect(state, timer.effect_no);
      return effect != nullptr && effect->phase == effect_phase::retrying &&
             effect->timer_id == timer.id;
    }
    case timer_kind::wait:
      return state.run->awaited && state.run->awaited->timer_id == timer.id;
    case timer_kind::sleep:
    case timer_kind::handler:
    case timer_kind::wall:
      return true;
  }
  return true;
}

/// A `write` may have been performed since, even if it had not been sent; anything else starts anew when the hold ends.
void hold_effect(turn_builder& turn, const effect_state& effect) {
  if (effect.cls == effect_class::write) {
    turn.add(effect_unknown{
      effect.no,
      effect.attempt,
      {"restored", "it was open when the backup was taken, and may have been performed since",
       effect.no, false}});
    return;
  }
  if (effect.phase != effect_phase::started)
    return;
  if (!turn.state().run || turn.state().run->id != effect.run) {
    turn.add(effect_abandoned{effect.no});
    return;
  }
  if (effect.reserved_tokens != 0 || effect.reserved_cost != 0)  // it may have been billed
    turn.add(budget_settled{effect.no, effect.reserved_tokens, effect.reserved_cost});
  turn.add(effect_retry_scheduled{effect.no, effect.attempt + 1, 0, turn.now()});
}

}  // namespace

void hold_after_restore(turn_builder& turn, time_us taken_at) {
  const auto& now = turn.state().paused;
  if (now && now->restored_from == taken_at)
    return;
  std::string reason = "restored from the backup of " + format_time(taken_at);
  if (now && now->restored_from == 0)
    reason += "; before that paused by " + now->by + ": " + now->reason;
  turn.add(restored{taken_at, std::move(reason)});
}

void release_holds(turn_builder& turn, const resumed& f) {
  const auto& paused = turn.state().paused;
  const auto stood_still =
    paused && paused->restored_from != 0 ? turn.now() - paused->restored_from : 0;
  const auto timers = turn.state().held_timers;
  turn.add(f);
  for (const auto& timer : timers)
    if (is_wanted(turn.state(), timer))
      turn.add(timer_set{timer.id, timer.kind, timer.due + std::max<time_us>(0, stood_still),
                         timer.tag, timer.run, timer.effect_no});
}

result<decision> decide_one(turn_builder& turn, const hold_restored& cmd) {
  hold_after_restore(turn, cmd.taken_at);
  const auto effects = turn.state().effects;
  for (const auto& effect : effects)
    if (effect.kind != effect_kind::agent && effect.phase != effect_phase::unknown)
      hold_effect(turn, effect);
  settle_cancel(turn);
  return decision{};
}

}  // namespace holdfast
