#pragma once

#include "actors/node_services.hpp"

namespace holdfast {

/// Spawns the actor of one agent; it reads the agent's state when its first work comes, lives until its shard
/// passivates it, and decides for it meanwhile. Native handlers run on its thread.
agent_actor spawn_agent(caf::local_actor& by, services_ptr services, group_id group,
                        std::uint64_t term, agent_name name, shard_reports shard);

}  // namespace holdfast
