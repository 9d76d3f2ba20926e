#pragma once
// What every attempt starts from: the order, checked once more, and the records it refers to.

#include "actors/effect_call.hpp"
#include "runtime/core/stored_records.hpp"

namespace holdfast {

/// The attempt's own words, read back from the journal, and the definition that its run is pinned to.
struct effect_request {
  fact declared;  ///< model_requested or tool_requested
  std::shared_ptr<const compiled_agent> definition;
  std::string traceparent;
};

/// Fencing (DESIGN §6) and reading. Errors: `not_leader`: nothing must be performed · `corrupt` · `unknown_type`.
result<effect_request> prepare(const node_services& services, const effect_order& order);

/// A failed attempt of which nothing was sent.
attempt_outcome not_performed(failure_kind kind, std::string code, std::string why);

complete_effect completed(const effect_order& order, attempt_outcome outcome);

}  // namespace holdfast
