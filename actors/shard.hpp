#pragma once

#include "actors/node_services.hpp"

namespace holdfast {

/// Spawns the shard of one partition: it owns the partition's agents and effects for one term and ends with it. Puts
/// itself nowhere; the caller lists it in the directory before anything is sent to it.
shard_actor spawn_shard(caf::actor_system& system, services_ptr services, group_id group,
                        std::uint64_t term);

}  // namespace holdfast
