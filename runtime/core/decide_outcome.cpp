// What becomes of effects: outcomes, text on the way, reconciling, and a new term.

#include <algorithm>

#include "runtime/core/decide_parts.hpp"
#include "runtime/core/retry.hpp"
#include "runtime/core/run_steps.hpp"

namespace holdfast {

namespace {

constexpr retry_policy model_retry{6, 1'000, 30'000};

retry_policy policy_of(const turn_builder& turn, const effect_state& effect) {
  if (effect.kind == effect_kind::model)
    return model_retry;
  const auto spec = turn.definition();
  const auto* tool = spec ? spec->tool(effect.name) : nullptr;
  return tool ? tool->def.retry : retry_policy{};
}

/// True when the effect belongs to the open run: only then does somebody wait for it.
bool of_open_run(const turn_builder& turn, const effect_state& effect) {
  return turn.state().run && turn.state().run->id == effect.run;
}

/// Tells the behaviour of `effect` what it came to; the fact that says so is the last one.
void tell_behaviour(turn_builder& turn, const effect_state& effect, closed_effect closed) {
  const auto& state = turn.state();
  trigger t;
  t.what = trigger::kind::outcome;
  t.seq = state.seq;
  t.effect = std::move(closed);
  const bool open = of_open_run(turn, effect);
  if (open && !state.run->cancel) {
    call_behaviour(turn, t);
    return;
  }
  // What is finished is kept for a retry of the run.
  if (open || (!state.run && state.last_failed && state.last_failed->id == effect.run))
    if (const auto spec = turn.definition())
      if (const auto* decider =
            turn.context().behaviour_of ? turn.context().behaviour_of(*spec) : nullptr)
        decider->note_outcome(turn, t);
  settle_cancel(turn);
}

closed_effect closed_of(const effect_state& effect, outcome_status came_to) {
  closed_effect closed;
  closed.no = effect.no;
  closed.kind = effect.kind;
  closed.name = effect.name;
  closed.call_id = effect.call_id;
  closed.status = came_to;
  return closed;
}

/// Gives a reservation back; `lost`: the attempt may have been billed, so it counts as spent.
void settle(turn_builder& turn, const effect_state& effect, bool lost) {
  if (effect.reserved_tokens != 0 || effect.reserved_cost != 0)
    turn.add(budget_settled{effect.no, lost ? effect.reserved_tokens : 0,
                            lost ? effect.reserved_cost : 0});
}

void succeed(turn_builder& turn, const effect_state& effect, const attempt_outcome& outcome) {
  closed_effect closed = closed_of(effect, outcome_status::succeeded);
  if (effect.kind == effect_kind::model) {
    settle(turn, effect, false);
    turn.add(model_completed{effect.no, effect.attempt, outcome.reply, outcome.used});
    closed.output = outcome.reply.text;
  } else {
    turn.add(tool_completed{effect.no, effect.attempt, effect.name, outcome.output});
    closed.output = outcome.output;
  }
  tell_behaviour(turn, effect, std::move(closed));
}

void fail_for_good(turn_builder& turn, const effect_state& effect, failure error) {
  error.effect_no = effect.no;
  closed_effect closed = closed_of(effect, outcome_status::failed);
  closed.error = error;
  turn.add(effect_failed{effect.no, effect.attempt, std::move(error), true, effect.name});
  tell_behaviour(turn, effect, std::move(closed));
}

void fail(turn_builder& turn, const effect_state& effect, const attempt_outcome& outcome) {
  failure error = outcome.error;
  error.effect_no = effect.no;
  const bool sent = outcome.failure_reason == failure_kind::transient ||
                    outcome.failure_reason == failure_kind::cancelled;
  settle(turn, effect, sent);
  const auto policy = policy_of(turn, effect);
  const bool cancelling = turn.state().run && turn.state().run->cancel;
  switch (effect.kind == effect_kind::agent ? retry_verdict::give_up
                                            : judge(effect.cls, outcome.failure_reason)) {
    case retry_verdict::unknown:
      turn.add(effect_unknown{effect.no, effect.attempt, std::move(error)});
      if (cancelling)
        settle_cancel(turn);
      return;
    case retry_verdict::retry:
      if (effect.attempt < policy.attempts && !cancelling) {
        const std::int64_t wait_ms =
          backoff_ms(policy, effect.attempt + 1, outcome.retry_after_ms, turn.next_random());
        const time_us due = turn.now() + wait_ms * 1'000;
        turn.add(effect_failed{effect.no, effect.attempt, std::move(error), false, effect.name});
        const auto timer = turn.set_timer(timer_kind::retry, due, {}, effect.no);
        turn.add(effect_retry_scheduled{effect.no, effect.attempt + 1, timer, due});
        return;
      }
      break;
    case retry_verdict::give_up:
      break;
  }
  fail_for_good(turn, effect, std::move(error));
}

/// The answer of a write that was given up on came after all.
void late_answer(turn_builder& turn, const effect_state& effect, const attempt_outcome& outcome) {
  const bool rejected =
    outcome.status == outcome_status::failed && outcome.failure_reason == failure_kind::rejected;
  if (outcome.status != outcome_status::succeeded && !rejected)
    return;
  effect_reconciled found;
  found.effect_no = effect.no;
  found.resolved = rejected ? resolution::failed : resolution::succeeded;
  found.output = outcome.output;
  found.note = "the answer arrived late";
  found.by = "holdfast";
  found.tool = effect.name;
  turn.add(std::move(found));
  closed_effect closed = closed_of(effect, outcome.status);
  closed.output = outcome.output;
  closed.error = outcome.error;
  tell_behaviour(turn, effect, std::move(closed));
}

}  // namespace

result<decision> decide_one(turn_builder& turn, const complete_effect& cmd) {
  const auto* open = find_effect(turn.state(), cmd.effect_no);
  if (open == nullptr || open->run != cmd.run)
    return decision{{}, {}, false, false};  // closed before: finished effects stay finished
  const effect_state effect = *open;
  if (cmd.attempt != 0 && cmd.attempt != effect.attempt)
    return decision{{}, {}, false, false};
  if (effect.phase == effect_phase::unknown)
    late_answer(turn, effect, cmd.outcome);
  else if (effect.phase != effect_phase::started &&
           !(effect.phase == effect_phase::declared &&
             effect.kind == effect_kind::agent))  // asked while held
    return decision{{}, {}, false, false};
  else if (cmd.outcome.status == outcome_status::succeeded)
    succeed(turn, effect, cmd.outcome);
  else
    fail(turn, effect, cmd.outcome);
  return decision{};
}

result<decision> decide_one(turn_builder& turn, const append_text& cmd) {
  const auto* effect = find_effect(turn.state(), cmd.effect_no);
  if (effect == nullptr || effect->run != cmd.run || effect->attempt != cmd.attempt ||
      effect->phase != effect_phase::started || cmd.text.empty())
    return decision{{}, {}, false, false};
  turn.add(text_streamed{cmd.effect_no, cmd.attempt, effect->streamed_bytes, cmd.text});
  return decision{};
}

result<decision> decide_one(turn_builder& turn, const resolve_effect& cmd) {
  const auto* open = find_effect(turn.state(), cmd.effect.no);
  if (open == nullptr || open->run != cmd.effect.run || open->phase != effect_phase::unknown)
    return error{
      errc::conflict,
      to_string(cmd.effect) +
        " does not wait to be reconciled; `holdfast reconcile list` shows those that do"};
  const effect_state effect = *open;
  if (cmd.resolved == resolution::retry && !of_open_run(turn, effect))
    return error{errc::conflict, "the run of " + to_string(cmd.effect) +
                                   " is over; resolve it as succeeded or failed"};
  turn.add(effect_reconciled{effect.no, cmd.resolved, cmd.output, cmd.note, cmd.by, effect.name});
  if (cmd.resolved == resolution::retry) {
    if (turn.may_start())
      start_attempt(turn, effect.no);
    return decision{};
  }
  const bool succeeded = cmd.resolved == resolution::succeeded;
  closed_effect closed =
    closed_of(effect, succeeded ? outcome_status::succeeded : outcome_status::failed);
  closed.output = cmd.output.empty() ? "null" : cmd.output;
  if (!succeeded)
    closed.error = reconciled_as_failed(effect.no, cmd.note);
  tell_behaviour(turn, effect, std::move(closed));
  return decision{};
}

failure reconciled_as_failed(std::uint32_t effect_no, const std::string& note) {
  return {"reconciled_as_failed",
          note.empty() ? "an operator found that it was not performed" : note, effect_no, false};
}

bool start_attempt(turn_builder& turn, std::uint32_t effect_no) {
  const auto* open = find_effect(turn.state(), effect_no);
  const effect_state effect = *open;
  if (effect.kind == effect_kind::model) {
    const auto spec = turn.definition();
    const auto asked = turn.fact_at(effect.seq);
    const auto* request = asked ? std::get_if<model_requested>(&*asked) : nullptr;
    if (spec && request != nullptr) {
      std::uint64_t bytes =
        request->options.size();  // a native agent's own messages, or the conversation
      if (request->options.empty())
        bytes =
          turn.state().message_bytes -
          (spec->def.memory.scope == memory_scope::run ? turn.state().run->message_bytes_base : 0);
      // Attempts go down the list of models and start over.
      const auto& models = spec->def.models;
      const std::string& model =
        models.empty() ? request->model : models[effect.attempt % models.size()];
      if (!reserve(turn, *spec, effect_no, reservation_for(turn, *spec, model, bytes)))
        return false;
    }
  }
  turn.add(effect_started{effect_no, effect.attempt + 1, turn.context().term});
  return true;
}

void settle_cancel(turn_builder& turn) {
  const auto& run = turn.state().run;
  if (!run || !run->cancel)
    return;
  const auto under_way = [&](const effect_state& e) {
    return e.run == run->id && e.phase == effect_phase::started && e.kind != effect_kind::agent;
  };
  if (std::none_of(turn.state().effects.begin(), turn.state().effects.end(), under_way))
    cancel_run(turn, run->cancel->reason);
}

result<decision> decide_one(turn_builder& turn, const recover&) {
  const std::uint64_t term = turn.context().term;
  const auto effects = turn.state().effects;
  bool changed = false;
  for (const auto& effect : effects) {
    if (effect.phase != effect_phase::started || effect.term >= term ||
        effect.kind == effect_kind::agent)
      continue;
    if (const auto* now = find_effect(turn.state(), effect.no);
        now == nullptr || now->phase != effect_phase::started)
      continue;  // its run ended at a limit just now
    changed = true;
    if (effect.cls == effect_class::write) {
      turn.add(effect_unknown{
        effect.no,
        effect.attempt,
        {"interrupted", "the node stopped while the call was open; it may have been performed",
         effect.no, false}});
    } else if (!of_open_run(turn, effect)) {
      turn.add(effect_abandoned{effect.no});
    } else {
      settle(turn, effect, true);
      start_attempt(turn, effect.no);
    }
  }
  if (changed)
    settle_cancel(turn);
  return decision{{}, {}, false, changed};
}

}  // namespace holdfast
