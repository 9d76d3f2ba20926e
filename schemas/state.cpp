#include "schemas/state.hpp"

#include <algorithm>

namespace holdfast {

std::string_view to_string(agent_status value) noexcept {
  switch (value) {
    case agent_status::idle:
      return "idle";
    case agent_status::running:
      return "running";
    case agent_status::waiting:
      return "waiting";
    case agent_status::paused:
      return "paused";
    case agent_status::quarantined:
      return "quarantined";
  }
  return "idle";
}

std::string_view to_string(run_status value) noexcept {
  switch (value) {
    case run_status::queued:
      return "queued";
    case run_status::running:
      return "running";
    case run_status::waiting:
      return "waiting";
    case run_status::completed:
      return "completed";
    case run_status::failed:
      return "failed";
    case run_status::cancelled:
      return "cancelled";
  }
  return "queued";
}

std::string_view to_string(timer_kind value) noexcept {
  switch (value) {
    case timer_kind::sleep:
      return "sleep";
    case timer_kind::wait:
      return "wait";
    case timer_kind::retry:
      return "retry";
    case timer_kind::handler:
      return "handler";
    case timer_kind::wall:
      return "wall";
  }
  return "sleep";
}

agent_status status_of(const agent_state& state) noexcept {
  if (state.quarantined)
    return agent_status::quarantined;
  if (state.paused)
    return agent_status::paused;
  const bool under_way =
    std::any_of(state.effects.begin(), state.effects.end(), [](const effect_state& e) {
      return (e.phase == effect_phase::started || e.phase == effect_phase::declared) &&
             e.kind != effect_kind::agent;
    });
  if (under_way)
    return agent_status::running;
  if (state.run || !state.effects.empty())
    return agent_status::waiting;
  return state.mailbox_head != state.mailbox_next ? agent_status::running : agent_status::idle;
}

}  // namespace holdfast
