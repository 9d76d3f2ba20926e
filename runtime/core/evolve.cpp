#include "runtime/core/evolve.hpp"

#include <algorithm>

namespace holdfast {

namespace {

template <class... Fs>
struct overloaded : Fs... {
  using Fs::operator()...;
};

/// One agent's facts. `at` and `seq` are those of the fact in hand.
class agent_evolution {
public:
  agent_evolution(agent_state& state, time_us at) : s_(state), at_(at) {}

  void take(const event_received& f) { s_.mailbox_next = f.mailbox_no + 1; }

  void take(const event_skipped& f) {
    s_.mailbox_head = f.mailbox_no + 1;
    std::erase(s_.skipped, f.run);
  }

  void take(const run_started& f) {
    open_run run;
    if (f.carried && s_.last_failed)
      run = std::move(*s_.last_failed);
    s_.last_failed.reset();
    run.id = f.run;
    run.version = f.version;
    run.mailbox_no = f.mailbox_no;
    run.event_seq = f.event_seq;
    run.event = f.event;
    run.reply_to = f.reply_to;
    run.traceparent = f.traceparent;
    run.retry_of = f.retry_of;
    run.started_at = at_;
    run.cancel.reset();
    run.reserved_cost = 0;
    run.reserved_tokens = 0;
    run.used = {};
    run.steps = 0;
    run.handler_failures = 0;
    run.triggers_due.clear();
    run.output_retries = 0;
    run.emitted_bytes = 0;
    if (!f.carried) {
      run.message_base = f.message_base;
      run.message_bytes_base = s_.message_bytes;
    }
    if (f.mailbox_no != 0)
      s_.mailbox_head = f.mailbox_no + 1;
    s_.run = std::move(run);
    s_.version = f.version;
    s_.last_run = f.run;
  }

  void take(const model_requested& f) {
    open_effect(f.effect_no, effect_kind::model, effect_class::read, f.model, f.step, {}, f.term);
    if (s_.run)
      s_.run->calls.clear();
  }

  void take(const model_completed& f) {
    if (!s_.run)
      return;
    s_.run->used += f.used;
    s_.used += f.used;
    s_.run->calls.clear();
    for (const auto& call : f.reply.tool_calls)
      s_.run->calls.push_back({call.id, call.name, 0, false});
    close(f.effect_no);
  }

  void take(const tool_requested& f) {
    open_effect(f.effect_no, f.kind, f.cls, f.tool, f.step, f.call_id, f.term);
    for (auto& call : calls())
      if (call.call_id == f.call_id && call.effect_no == 0 && !call.closed && !f.call_id.empty()) {
        call.effect_no = f.effect_no;
        break;
      }
  }

  void take(const tool_refused& f) {
    for (auto& call : calls())
      if (call.call_id == f.call_id && call.effect_no == 0 && !call.closed) {
        call.closed = true;
        break;
      }
  }

  void take(const tool_completed& f) {
    if (!s_.run)
      return;
    ++s_.run->used.tool_calls;
    ++s_.used.tool_calls;
    close(f.effect_no);
  }

  void take(const effect_started& f) {
    if (auto* effect = open_by_no(f.effect_no)) {
      effect->phase = effect_phase::started;
      effect->attempt = f.attempt;
      effect->term = f.term;
      effect->since = at_;
      effect->timer_id = 0;
      effect->streamed_bytes = 0;
    }
  }

  void take(const effect_failed& f) {
    auto* effect = open_by_no(f.effect_no);
    if (effect == nullptr)
      return;
    effect->last_error = f.error.message;
    if (f.final) {
      if (s_.run)
        s_.run->failed_effect = *effect;
      close(f.effect_no);
    }
  }

  void take(const effect_retry_scheduled& f) {
    if (auto* effect = open_by_no(f.effect_no)) {
      effect->phase = effect_phase::retrying;
      effect->timer_id = f.timer_id;
      effect->since = at_;
    }
  }

  void take(const effect_unknown& f) {
    if (auto* effect = open_by_no(f.effect_no)) {
      effect->phase = effect_phase::unknown;
      effect->since = at_;
      effect->last_error = f.error.message;
    }
  }

  void take(const effect_reconciled& f) {
    auto* effect = open_by_no(f.effect_no);
    if (effect == nullptr)
      return;
    if (f.resolved == resolution::retry) {
      effect->phase = effect_phase::declared;
      effect->since = at_;
      return;
    }
    if (f.resolved == resolution::failed && s_.run && s_.run->id == effect->run)
      s_.run->failed_effect = *effect;
    close(f.effect_no);
  }

  void take(const effect_abandoned& f) { close(f.effect_no); }

  void take(const timer_set& f) {
    s_.timers.push_back({f.timer_id, f.kind, f.due, f.tag, f.run, f.effect_no});
    s_.timer_next = std::max(s_.timer_next, f.timer_id + 1);
  }

  void take(const timer_fired& f) { drop_timer(f.timer_id); }
  void take(const timer_cancelled& f) { drop_timer(f.timer_id); }

  void take(const state_changed&) { s_.memory_seq = s_.seq; }

  void take(const budget_reserved& f) {
    auto* effect = open_by_no(f.effect_no);
    if (effect == nullptr)
      return;
    effect->reserved_tokens = f.tokens;
    effect->reserved_cost = f.cost;
    if (s_.run) {
      s_.run->reserved_tokens += f.tokens;
      s_.run->reserved_cost += f.cost;
    }
  }

  /// What was reserved is given back; what was spent is in `model_completed`, or, for a lost attempt, here.
  void take(const budget_settled& f) {
    auto* effect = open_by_no(f.effect_no);
    if (effect == nullptr || !s_.run)
      return;
    s_.run->reserved_tokens -= std::min(s_.run->reserved_tokens, effect->reserved_tokens);
    s_.run->reserved_cost -= std::min(s_.run->reserved_cost, effect->reserved_cost);
    effect->reserved_tokens = 0;
    effect->reserved_cost = 0;
    if (f.tokens != 0 || f.cost != 0) {
      usage lost;
      lost.input_tokens = f.tokens;
      lost.cost = f.cost;
      s_.run->used += lost;
      s_.used += lost;
    }
  }

  void take(const run_completed& f) { end_run(f.run, false); }
  void take(const run_failed& f) { end_run(f.run, true); }
  void take(const run_cancelled& f) {
    if (s_.run && s_.run->id == f.run)
      end_run(f.run, true);
    else
      s_.skipped.push_back(f.run);
  }

  void take(const paused& f) { s_.paused = hold{f.by, f.reason, at_}; }
  void take(const quarantined& f) { s_.quarantined = hold{f.by, f.reason, at_}; }
  void take(const resumed&) {
    s_.paused.reset();
    s_.quarantined.reset();
    s_.held_timers.clear();  // set again by facts of the same record
  }
  void take(const restored& f) {
    s_.paused = hold{"holdfast", f.reason, at_, f.taken_at};
    for (auto& timer : s_.timers)
      s_.held_timers.push_back(std::move(timer));
    s_.timers.clear();
  }
  void take(const cancel_requested& f) {
    if (s_.run && s_.run->id == f.run)
      s_.run->cancel = f;
  }

  void take(const message_appended& f) {
    s_.message_next = f.no + 1;
    s_.message_bytes += f.message.content.size();
    for (const auto& call : f.message.tool_calls)
      s_.message_bytes += call.name.size() + call.arguments.size();
    s_.conversation = extend(s_.conversation, f.message);
  }

  void take(const text_streamed& f) {
    auto* effect = open_by_no(f.effect_no);
    if (effect != nullptr && effect->attempt == f.attempt)
      effect->streamed_bytes = f.offset + f.text.size();
  }

  void take(const text_emitted& f) {
    if (s_.run && s_.run->id == f.run)
      s_.run->emitted_bytes = f.offset + f.text.size();
  }

  void take(const handler_failed& f) {
    if (!s_.run || s_.run->id != f.run)
      return;
    auto& due = s_.run->triggers_due;
    if (f.trigger != 0 && std::find(due.begin(), due.end(), f.trigger) == due.end())
      due.push_back(f.trigger);
    s_.run->handler_failures = f.attempts;
  }

  void take(const handler_recovered& f) {
    if (!s_.run)
      return;
    std::erase(s_.run->triggers_due, f.trigger);
    s_.run->handler_failures = 0;
  }

  void take(const awaiting_event& f) {
    if (s_.run)
      s_.run->awaited = awaited_state{f.type, f.where, f.timer_id, at_};
  }

  void take(const awaited_event_received&) {
    if (s_.run)
      s_.run->awaited.reset();
  }

  void take(const output_refused&) {
    if (s_.run)
      ++s_.run->output_retries;
  }
  void take(const forked&) {}
  void take(const killed&) {}
  void take(const dead_lettered&) {}
  void take(const message_sent&) {}
  void take(const agent_deleted&) { s_.deleted = true; }

  template <class Other>
  void take(const Other&) {}  // facts of the partition

private:
  std::vector<pending_call>& calls() {
    static thread_local std::vector<pending_call> none;
    none.clear();
    return s_.run ? s_.run->calls : none;
  }

  void open_effect(std::uint32_t no, effect_kind kind, effect_class cls, const std::string& name,
                   std::uint32_t step, const std::string& call_id, std::uint64_t term) {
    if (!s_.run)
      return;
    effect_state effect;
    effect.run = s_.run->id;
    effect.no = no;
    effect.kind = kind;
    effect.cls = cls;
    effect.name = name;
    effect.seq = s_.seq;
    effect.call_id = call_id;
    effect.step = step;
    effect.phase = term == 0 ? effect_phase::declared : effect_phase::started;
    effect.attempt = term == 0 ? 0 : 1;
    effect.term = term;
    effect.since = at_;
    s_.effects.push_back(std::move(effect));
    s_.effect_next = no + 1;
    s_.run->steps = step;
  }

  effect_state* open_by_no(std::uint32_t no) noexcept { return find_effect(s_, no); }

  void close(std::uint32_t no) {
    for (auto& call : calls())
      if (call.effect_no == no)
        call.closed = true;
    if (s_.last_failed)  // an outcome that came after the run ended
      for (auto& call : s_.last_failed->calls)
        if (call.effect_no == no)
          call.closed = true;
    std::erase_if(s_.effects, [&](const effect_state& e) { return e.no == no; });
  }

  void drop_timer(std::uint64_t id) {
    const auto is_it = [&](const timer_state& t) { return t.id == id; };
    std::erase_if(s_.timers, is_it);
    std::erase_if(s_.held_timers, is_it);
    if (s_.run && s_.run->awaited && s_.run->awaited->timer_id == id)
      s_.run->awaited.reset();
  }

  void end_run(const run_id& run, bool keep) {
    if (!s_.run || s_.run->id != run)
      return;
    if (keep) {
      s_.last_failed = std::move(s_.run);
    }
    s_.run.reset();
    std::erase_if(s_.held_timers, [&](const timer_state& t) { return t.run == run; });
  }

  agent_state& s_;
  time_us at_;
};

}  // namespace

void evolve(agent_state& state, const fact& f, time_us at) {
  ++state.seq;
  if (state.created_at == 0)
    state.created_at = at;
  state.updated_at = at;
  std::visit(
    [evolution = agent_evolution{state, at}](const auto& one) mutable { evolution.take(one); }, f);
}

bool was_taken(const partition_state& state, group_id source, std::uint64_t sequence) noexcept {
  const auto found = state.taken.find(source);
  if (found == state.taken.end())
    return false;
  const auto& inbound = found->second;
  return sequence <= inbound.watermark ||
         std::binary_search(inbound.beyond.begin(), inbound.beyond.end(), sequence);
}

void evolve(partition_state& state, const fact& f, time_us at) {
  state.last_at = std::max(state.last_at, at);
  std::visit(
    overloaded{
      [&](const leader_started& one) { state.term = one.term; },
      [&](const message_sent& one) {
        auto& next = state.out_next[one.target_group];
        HOLDFAST_ASSERT(one.sequence == std::max<std::uint64_t>(next, 1),
                        "outbox sequence has a gap");
        next = one.sequence + 1;
      },
      [&](const inbound_accepted& one) {
        auto& inbound = state.taken[one.source_group];
        if (one.sequence <= inbound.watermark)
          return;
        inbound.beyond.insert(
          std::lower_bound(inbound.beyond.begin(), inbound.beyond.end(), one.sequence),
          one.sequence);
        while (!inbound.beyond.empty() && inbound.beyond.front() == inbound.watermark + 1) {
          ++inbound.watermark;
          inbound.beyond.erase(inbound.beyond.begin());
        }
      },
      [&](const backup_cut& one) { state.backup_epoch = std::max(state.backup_epoch, one.epoch); },
      [&](const group_restored& one) {
        state.restored_from = one.taken_at;
        state.restoring = true;
        state.restored_next = state.out_next;
      },
      [&](const restore_finished&) { state.restoring = false; },
      [](const auto&) {},
    },
    f);
}

digest128 extend(const digest128& conversation, const message& next) {
  digest128 out =
    digest_of({conversation.view(), to_string(next.role), next.content, next.tool_call_id});
  for (const auto& call : next.tool_calls)
    out = digest_of({out.view(), call.id, call.name, call.arguments});
  return out;
}

effect_state* find_effect(agent_state& state, std::uint32_t no) noexcept {
  for (auto& effect : state.effects)
    if (effect.no == no)
      return &effect;
  return nullptr;
}

const effect_state* find_effect(const agent_state& state, std::uint32_t no) noexcept {
  for (const auto& effect : state.effects)
    if (effect.no == no)
      return &effect;
  return nullptr;
}

const timer_state* find_timer(const agent_state& state, std::uint64_t id) noexcept {
  for (const auto& timer : state.timers)
    if (timer.id == id)
      return &timer;
  return nullptr;
}

run_summary summary_of(const agent_state& state, const open_run& run) {
  run_summary out;
  out.id = run.id;
  out.agent = state.name;
  out.version = run.version;
  out.status =
    status_of(state) == agent_status::running ? run_status::running : run_status::waiting;
  out.event = run.event;
  out.event_seq = run.event_seq;
  out.retry_of = run.retry_of;
  out.steps = run.steps;
  out.used = run.used;
  out.received_at = run.id.id.time();
  out.started_at = run.started_at;
  return out;
}

}  // namespace holdfast
