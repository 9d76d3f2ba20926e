#pragma once

#include "actors/node_services.hpp"

namespace holdfast {

/// One attempt of one effect, to be performed.
struct effect_order {
  group_id group = 0;
  std::uint64_t term = 0;
  agent_name agent;
  effect_state effect;
};

/// Spawns the actor that performs one attempt: it checks once more that this node leads the partition, makes the call,
/// reports text as it comes, then one outcome, and ends. An exit cancels the call.
caf::actor spawn_effect_call(caf::local_actor& by, services_ptr services, effect_order order,
                             shard_reports shard);

}  // namespace holdfast
