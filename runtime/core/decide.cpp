#include "runtime/core/decide.hpp"

#include "runtime/core/decide_parts.hpp"
#include "runtime/core/run_steps.hpp"
#include "runtime/core/wake_cause.hpp"

namespace holdfast {

result<decision> decide(turn_builder& turn, const command& cmd) {
  return std::visit([&](const auto& one) { return decide_one(turn, one); }, cmd);
}

namespace {

constexpr int starts_per_turn = 64;

/// Effects that could not start while the agent was held: declared then, or after a `retry` of a reconcile, or due for
/// another attempt.
void start_declared(turn_builder& turn) {
  const auto effects = turn.state().effects;
  for (const auto& effect : effects) {
    if (effect.phase == effect_phase::declared)
      turn.add(effect_started{effect.no, effect.attempt + 1, turn.context().term});
    else if (effect.phase == effect_phase::retrying &&
             find_timer(turn.state(), effect.timer_id) == nullptr &&
             !start_attempt(turn, effect.no))
      return;  // the run ended at a limit
  }
}

}  // namespace

bool progress(turn_builder& turn) {
  bool more = false;
  if (turn.may_start()) {
    start_declared(turn);
    for (int started = 0;
         !turn.state().run && turn.state().mailbox_head != turn.state().mailbox_next; ++started) {
      if (started == starts_per_turn) {
        more = true;
        break;
      }
      if (!start_next(turn))
        break;
    }
  }
  if (is_stuck(turn.state()))
    turn.add(quarantined{
      "holdfast",
      "run " + to_string(turn.state().run->id) +
        " was left with nothing to wait for: its last turn neither ended it nor asked for"
        " an effect, a timer or an event"});
  return more;
}

}  // namespace holdfast
