#pragma once

#include "actors/effect_call.hpp"

namespace holdfast {

/// One attempt of a model call, streamed: text is reported in pieces of a few tens of milliseconds, the outcome after
/// the last of them.
caf::actor spawn_model_call(caf::local_actor& by, services_ptr services, effect_order order,
                            shard_reports shard);

}  // namespace holdfast
