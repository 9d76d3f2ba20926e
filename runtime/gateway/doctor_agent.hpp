#pragma once
// What must be on disk for one agent. Private to the doctor.

#include <vector>

#include "runtime/gateway/doctor.hpp"
#include "schemas/state.hpp"

namespace holdfast {

struct agent_counts {
  std::uint64_t waiting_events = 0;
  std::uint64_t open_effects = 0;
  std::uint64_t timers = 0;
  std::uint64_t unknown_effects = 0;
};

agent_counts counts_of(const agent_state& state);

/// Everything that is wrong with the agent, given its state. `ready`: whether the ready index names
/// it.
std::vector<doctor_finding> check_agent(const reader& records, group_id group,
                                        std::uint16_t partitions, const agent_state& state,
                                        bool ready);

/// The same for an agent that may be moving: looks again until its state was the same before and
/// after, and says nothing of one that never stands still.
std::vector<doctor_finding> confirm_agent(const reader& records, group_id group,
                                          std::uint16_t partitions, const agent_name& name);

doctor_finding agent_finding(const agent_name& name, std::string code, std::string detail);

}  // namespace holdfast
