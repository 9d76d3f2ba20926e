#pragma once
// Commands to an agent: imperative, not stored, may be refused. Their accepted consequences are facts.

#include <optional>
#include <string>
#include <variant>

#include "schemas/effect.hpp"
#include "schemas/event.hpp"
#include "schemas/fact.hpp"

namespace holdfast {

/// From a client, or from another partition's outbox (then it is never refused for lack of room).
struct deliver_event {
  event_id id;  ///< empty: given by the turn; the run's id has the same sortable part
  run_id run;   ///< given by the home partition; empty: by the turn
  holdfast::event event;
  std::string verified;
  std::optional<reply_address> reply_to;
  bool committed_before =
    false;  ///< it is durable elsewhere already: room is not a reason to refuse
  /// The API key that sent it; empty: none was asked for, or another partition did.
  std::string by = {};
  /// Time of the backup in which it was on its way: it waits until the agent is resumed. 0: none.
  time_us restored_from = 0;
};
/// From an effect actor, or from another agent's partition.
struct complete_effect {
  run_id run;
  std::uint32_t effect_no = 0;
  std::uint32_t attempt = 0;  ///< 0: whatever attempt is open (an answer from another agent)
  attempt_outcome outcome;
};
/// Text of a model call as it comes; dropped when the attempt is no longer open.
struct append_text {
  run_id run;
  std::uint32_t effect_no = 0;
  std::uint32_t attempt = 0;
  std::string text;
};
struct fire_timer {
  std::uint64_t timer_id = 0;
};
/// A new term began: open effects of earlier ones are started again or become unknown.
struct recover {};
/// The agent came out of a backup: what is open is held, and nothing of it is performed again unasked.
struct hold_restored {
  time_us taken_at = 0;  ///< the backup
};
/// The process died while the handler of this run was running.
struct count_crash {
  run_id run;
  std::string reason;
};
enum class control_verb : std::uint8_t {
  pause = 1,
  resume,
  cancel,
  kill,
  quarantine,
  retry,
  remove
};
struct control {
  control_verb verb = control_verb::pause;
  std::string by;
  std::string reason;
  run_id run;               ///< cancel, retry: this one; empty: the open, or the last one
  bool from_start = false;  ///< retry
};
struct resolve_effect {
  effect_id effect;
  resolution resolved = resolution::failed;
  std::string output;
  std::string note;
  std::string by;
};
struct patch_state {
  std::string patch;             ///< RFC 7396, JSON text
  std::optional<seq_no> if_seq;  ///< If-Match
  std::string by;
};
/// Creates an agent from a copy.
struct adopt_fork {
  agent_name from;
  seq_no at = 0;
  std::string payload;  ///< `outbox_message::payload`
};

using command =
  std::variant<deliver_event, complete_effect, append_text, fire_timer, recover, count_crash,
               control, resolve_effect, patch_state, adopt_fork, hold_restored>;

std::string_view to_string(control_verb verb) noexcept;

}  // namespace holdfast
