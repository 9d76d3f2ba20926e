#pragma once
// Decides commands to one agent: reads the turn's state, adds facts, changes nothing else (DESIGN §3). A refused
// command adds none.

#include <optional>

#include "runtime/core/behaviour.hpp"

namespace holdfast {

/// What the sender of a command learns once its turn is committed.
struct decision {
  event_id event;       ///< deliver_event
  run_id run;           ///< deliver_event, control retry
  bool merged = false;  ///< deliver_event: it went to the open run, which waited for it
  bool changed = true;  ///< false: it was so already; nothing was added
};

/// Decides one command. The result is told to the sender after the commit, errors at once.
result<decision> decide(turn_builder& turn, const command& cmd);

/// Moves the agent as far as it can go without the outside: starts the next event of the mailbox when no run is open,
/// starts effects that were declared while it was held. Ends with the invariant of promise P5: an agent that is not
/// idle has a wake cause, else it is quarantined here. Call after the commands of a turn. Bounded: returns true when
/// there is more to do in another turn.
bool progress(turn_builder& turn);

}  // namespace holdfast
