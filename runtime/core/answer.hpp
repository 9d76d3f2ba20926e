#pragma once
// What a client learns of its request, in plain values; the gateway makes documents of them.

#include <string>
#include <variant>
#include <vector>

#include "runtime/core/agent_core.hpp"

namespace holdfast {

/// The event is durable. Not the last word when the client waits for the run's end.
struct accepted_event {
  agent_name agent;
  event_id event;
  run_id run;
  bool merged = false;
  bool replayed = false;  ///< the same request was accepted before
};
/// A routed event is durable in its home partition.
struct routed_event {
  event_id event;
  std::vector<route> routes;
  bool replayed = false;
};
/// A control verb, a patch, a resolution is durable (or was so already).
struct command_done {
  agent_name agent;
  run_id run;
  bool changed = true;
};
struct run_answer {
  ended_run end;
  event_id event;
  bool replayed = false;
};
struct definition_change {
  std::string kind;
  std::string name;
  std::uint32_t version = 0;
  enum class what : std::uint8_t { created, updated, unchanged } change = what::unchanged;
  std::string before;  ///< canonical JSON; empty when created
  std::string after;
};
struct definitions_done {
  std::vector<definition_change> changes;
};
using answer =
  std::variant<error, accepted_event, routed_event, command_done, run_answer, definitions_done>;

}  // namespace holdfast
