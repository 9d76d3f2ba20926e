#pragma once
// Why an agent waits, and what unblocks it (promise P5). Pure; `why`, `doctor` and the invariant share it.

#include <string>
#include <vector>

#include "schemas/state.hpp"

namespace holdfast {

/// Those of DESIGN §3. A number, once given, is kept.
enum class wake_kind : std::uint8_t {
  mailbox = 1,
  effect = 2,
  timer = 3,
  retry = 4,
  approval = 5,
  awaited_event = 6,
  child = 7,
  reconcile = 8,
  budget = 9,
  admission = 10,
  flow_control = 11,
  paused = 12,
  quarantined = 13,
  restored = 14,  ///< paused, out of a backup
};
std::string_view to_string(wake_kind kind) noexcept;

struct wake_cause {
  wake_kind kind = wake_kind::mailbox;
  time_us since = 0;
  time_us until = 0;    ///< when it ends by itself; 0: it does not
  std::string detail;   ///< a sentence; never a payload
  std::string command;  ///< what unblocks it on the command line
  std::string method;   ///< the same over HTTP
  std::string path;
};

/// All causes that hold, the ones an operator must act on first. Empty for an idle agent, and for a broken one.
std::vector<wake_cause> wake_causes(const agent_state& state);

/// True when the open run has nothing that will ever move it: no open effect, timer or awaited event of its own, and no
/// hold whose end is looked at again. Such a run must never be committed (promise P5).
bool is_stuck(const agent_state& state) noexcept;

/// True when nothing is open: no run, no effect, no waiting event, no hold.
bool is_idle(const agent_state& state) noexcept;

/// True when waiting events could be started at once: only between two turns of one sweep through the mailbox.
bool has_more_to_start(const agent_state& state) noexcept;

/// True when a starting shard must load the agent: something is to be started, or was under way when a term ended.
/// An agent that waits only for timers, people or other agents is not ready.
bool is_ready(const agent_state& state) noexcept;

}  // namespace holdfast
