#pragma once
// The deciders of `decide`, a file for each family of commands. Private to `runtime/core`.

#include "runtime/core/decide.hpp"

namespace holdfast {

// decide_delivery.cpp
result<decision> decide_one(turn_builder& turn, const deliver_event& cmd);
result<decision> decide_one(turn_builder& turn, const adopt_fork& cmd);
/// Takes the oldest event of the mailbox into a run. False: it could not be read; the agent is quarantined.
bool start_next(turn_builder& turn);

// decide_outcome.cpp
result<decision> decide_one(turn_builder& turn, const complete_effect& cmd);
result<decision> decide_one(turn_builder& turn, const append_text& cmd);
result<decision> decide_one(turn_builder& turn, const resolve_effect& cmd);
result<decision> decide_one(turn_builder& turn, const recover& cmd);
/// What a behaviour sees of a call that a person resolved as failed.
failure reconciled_as_failed(std::uint32_t effect_no, const std::string& note);
/// Starts another attempt of an open effect in this term. False: the run ended at a limit instead.
bool start_attempt(turn_builder& turn, std::uint32_t effect_no);
/// Ends a run that is being cancelled once nothing of it is under way.
void settle_cancel(turn_builder& turn);

// decide_timer.cpp
result<decision> decide_one(turn_builder& turn, const fire_timer& cmd);
result<decision> decide_one(turn_builder& turn, const count_crash& cmd);
/// Calls the handlers that are due again, oldest first, until one fails.
void call_due_handlers(turn_builder& turn);

// decide_restore.cpp
result<decision> decide_one(turn_builder& turn, const hold_restored& cmd);
/// Nothing of the agent moves until it is resumed, unless that is so already.
void hold_after_restore(turn_builder& turn, time_us taken_at);
/// Ends every hold of the agent. Timers that stood still are due as much later as they did.
void release_holds(turn_builder& turn, const resumed& f);

// decide_control.cpp
result<decision> decide_one(turn_builder& turn, const control& cmd);
result<decision> decide_one(turn_builder& turn, const patch_state& cmd);

}  // namespace holdfast
