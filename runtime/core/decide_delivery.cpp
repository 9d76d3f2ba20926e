// Events into the mailbox, and out of it into runs.

#include "runtime/core/decide_parts.hpp"
#include "runtime/core/run_steps.hpp"
#include "schemas/codec.hpp"

namespace holdfast {

namespace {

/// True when the open run waits for exactly this event.
bool is_awaited(const turn_builder& turn, const event& e) {
  const auto& run = turn.state().run;
  if (!run || !run->awaited || run->cancel || run->awaited->type != e.type)
    return false;
  if (run->awaited->where.empty())
    return true;
  if (!turn.context().jq)
    return false;
  const auto where = turn.context().jq(run->awaited->where);
  if (!where)
    return false;
  const auto answer = (*where)->evaluate(event_document(e));
  return answer && is_true(*answer);
}

decision join_open_run(turn_builder& turn, const event_id& id, const event& e,
                       const std::string& by) {
  const auto awaited = *turn.state().run->awaited;
  decision done;
  done.event = id;
  done.run = turn.state().run->id;
  done.merged = true;
  turn.add(awaited_event_received{id, e, by});
  trigger t;
  t.what = trigger::kind::awaited;
  t.seq = turn.state().seq;
  t.arrived = e;
  if (awaited.timer_id != 0)
    turn.add(timer_cancelled{awaited.timer_id});
  call_behaviour(turn, t);
  return done;
}

}  // namespace

result<decision> decide_one(turn_builder& turn, const deliver_event& cmd) {
  const auto& state = turn.state();
  const auto spec =
    turn.context().definitions ? turn.context().definitions->agent(state.name.type) : nullptr;
  if (!spec && !cmd.committed_before)
    return error{errc::unknown_type, "no agent type `" + state.name.type +
                                       "` is defined; `holdfast apply -f FILE` defines one"};
  event_id id = cmd.id;
  if (id.empty())
    id = event_id{make_id(turn.now(), turn.context().group, hash_of(state.name), state.seq)};
  const run_id run = cmd.run.empty() ? run_id{id.id} : cmd.run;

  if (!cmd.reply_to &&
      is_awaited(turn, cmd.event))  // a question gets a run of its own, whose end answers it
    return join_open_run(turn, id, cmd.event, cmd.by);
  if (spec) {
    const std::uint64_t waiting = state.mailbox_next - state.mailbox_head;
    if (spec->def.limits.mailbox != 0 && waiting >= spec->def.limits.mailbox)
      return error{errc::mailbox_full,
                   "the mailbox of " + to_string(state.name) + " holds " + std::to_string(waiting) +
                     " events, its limit; send again later, or raise limits.mailbox"};
    if (spec->def.busy == busy_policy::reject && (state.run || waiting != 0)) {
      const std::string reason =
        to_string(state.name) + " has an open run and its type says `busy: reject`";
      if (!cmd.committed_before)
        return error{errc::busy, reason + "; send again when it ended"};
      turn.add(dead_lettered{event_id{run.id}, run, state.name, "busy: " + reason, cmd.event,
                             cmd.verified});
      refuse_asker(turn, cmd.reply_to, {"busy", reason, 0, true});
      return decision{id, {}, false, true};
    }
  }
  if (cmd.restored_from != 0)
    hold_after_restore(turn, cmd.restored_from);
  turn.add(
    event_received{state.mailbox_next, id, run, cmd.event, cmd.verified, cmd.reply_to, cmd.by});
  return decision{id, run, false, true};
}

bool start_next(turn_builder& turn) {
  const auto broken = [&](const error& why) {
    turn.add(quarantined{"holdfast", "the mailbox cannot be read: " + why.context});
    return false;
  };
  const auto entry = turn.mailbox(turn.state().mailbox_head);
  if (!entry)
    return broken(entry.error());
  for (const auto& skipped : turn.state().skipped)
    if (skipped == entry->run) {
      turn.add(event_skipped{entry->no, entry->run});
      return true;
    }
  const auto recorded = turn.fact_at(entry->event_seq);
  if (!recorded)
    return broken(recorded.error());
  const auto* received = std::get_if<event_received>(&*recorded);
  if (received == nullptr)
    return broken(
      error{errc::corrupt, "fact " + std::to_string(entry->event_seq) + " is not an event"});

  const auto& definitions = turn.context().definitions;
  const auto spec = definitions ? definitions->agent(turn.state().name.type) : nullptr;
  run_started begun;
  begun.run = received->run;
  begun.version = spec ? spec->def.version : 0;
  begun.mailbox_no = entry->no;
  begun.event_seq = entry->event_seq;
  begun.event = received->id;
  begun.reply_to = received->reply_to;
  begun.traceparent = received->event.traceparent;
  begun.message_base = turn.state().message_next;
  trigger t;
  t.what = trigger::kind::start;
  t.seq = entry->event_seq;
  t.arrived = received->event;
  turn.add(std::move(begun));
  if (spec && spec->def.limits.wall_ms != 0)
    turn.set_timer(timer_kind::wall, turn.now() + spec->def.limits.wall_ms * 1'000, {});
  call_behaviour(turn, t);
  return true;
}

result<decision> decide_one(turn_builder& turn, const adopt_fork& cmd) {
  if (turn.state().seq != 0)
    return error{errc::conflict, to_string(turn.state().name) +
                                   " exists already; fork to a key that was never addressed"};
  auto copy = codec::decode_forked_agent(cmd.payload);
  if (!copy)
    return copy.error();
  turn.add(forked{cmd.from, cmd.at});
  for (auto& m : copy->messages)
    append_message(turn, std::move(m));
  if (!copy->memory.empty())
    turn.add(state_changed{std::move(copy->memory)});
  return decision{};
}

}  // namespace holdfast
