#include "runtime/core/agent_core.hpp"

#include <algorithm>

#include "runtime/core/wake_cause.hpp"

namespace holdfast {

decided_turn agent_core::take(std::vector<queued_command> commands, const turn_context& context,
                              const agent_records& records) {
  HOLDFAST_ASSERT(!proposed_, "a second turn of an agent while one is on its way");
  decided_turn out;
  out.agent = committed_.name;
  turn_builder turn{committed_, context, records};
  std::vector<fact> of_partition;
  bool only_events = true;
  for (auto& queued : commands) {
    command_result done{queued.from, queued.until_end, queued.inbound, {}, {}, {}};
    only_events = only_events && std::holds_alternative<deliver_event>(queued.cmd);
    HOLDFAST_ASSERT(!turn.state().deleted, "a command behind a delete, in one turn");
    auto decided = decide(turn, queued.cmd);
    if (decided) {
      done.decided = *decided;
      if (queued.once) {
        done.once = queued.once->scope;
        of_partition.push_back(idempotency_recorded{queued.once->scope, queued.once->body,
                                                    decided->event, decided->run, committed_.name,
                                                    queued.once->expires});
      }
      if (queued.inbound)
        of_partition.push_back(inbound_accepted{queued.inbound->source, queued.inbound->sequence});
      if (queued.audit)
        of_partition.push_back(*queued.audit);
    } else {
      done.refused = decided.error();
      if (queued.once)
        done.once = queued.once->scope;
      // A message from another partition is never lost for lack of room, and never stuck for any other reason.
      if (queued.inbound && done.refused->code != errc::mailbox_full)
        of_partition.push_back(inbound_accepted{queued.inbound->source, queued.inbound->sequence});
    }
    out.results.push_back(std::move(done));
  }
  out.more = !turn.state().deleted && progress(turn);
  out.ended = turn.ended();
  out.starts = turn.starts();
  out.busy = !is_idle(turn.state());
  if (turn.facts().empty() && of_partition.empty())
    return out;
  // A turn that goes on with what was accepted before must come, whatever new events it takes along.
  out.may_refuse = only_events && !has_more_to_start(committed_);
  proposed_ = turn.state();
  auto record = turn.take(context.definitions ? context.definitions->index : 0);
  record.facts.insert(record.facts.end(), std::make_move_iterator(of_partition.begin()),
                      std::make_move_iterator(of_partition.end()));
  out.record = std::make_shared<turn_record>(std::move(record));
  return out;
}

void agent_core::committed() {
  if (!proposed_)
    return;
  committed_ = std::move(*proposed_);
  proposed_.reset();
  if (committed_.deleted) {
    agent_state fresh;
    fresh.name = std::move(committed_.name);
    committed_ = std::move(fresh);
  }
}

}  // namespace holdfast
