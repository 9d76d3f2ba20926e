#include "actors/effect_call.hpp"

#include "actors/model_call.hpp"
#include "actors/tool_call.hpp"

namespace holdfast {

caf::actor spawn_effect_call(caf::local_actor& by, services_ptr services, effect_order order,
                             shard_reports shard) {
  if (order.effect.kind == effect_kind::model)
    return spawn_model_call(by, std::move(services), std::move(order), std::move(shard));
  return spawn_tool_call(by, std::move(services), std::move(order), std::move(shard));
}

}  // namespace holdfast
