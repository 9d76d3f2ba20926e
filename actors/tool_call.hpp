#pragma once

#include "actors/effect_call.hpp"

namespace holdfast {

/// One attempt of an HTTP tool.
caf::actor spawn_tool_call(caf::local_actor& by, services_ptr services, effect_order order,
                           shard_reports shard);

}  // namespace holdfast
