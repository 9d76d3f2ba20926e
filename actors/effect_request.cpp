#include "actors/effect_request.hpp"

namespace holdfast {

result<effect_request> prepare(const node_services& services, const effect_order& order) {
  if (!services.log->leads(order.group, order.term))
    return error{errc::not_leader, "the partition moved before the call was made"};
  const stored_records records{*services.records, order.group, order.agent};
  auto declared = records.fact_at(order.effect.seq);
  if (!declared)
    return declared.error();
  const auto state = load_agent(*services.records, order.group, order.agent);
  if (!state)
    return state.error();
  if (!*state || !(*state)->run || (*state)->run->id != order.effect.run)
    return error{errc::cancelled, "the run of this call is over"};
  const auto& run = *(*state)->run;
  auto spec = services.definitions->get()->agent(order.agent.type, run.version);
  if (!spec)
    return error{errc::unknown_type, "version " + std::to_string(run.version) + " of " +
                                       order.agent.type + " is not defined any more"};
  return effect_request{std::move(*declared), std::move(spec), run.traceparent};
}

attempt_outcome not_performed(failure_kind kind, std::string code, std::string why) {
  attempt_outcome outcome;
  outcome.status = outcome_status::failed;
  outcome.failure_reason = kind;
  outcome.error = {std::move(code), std::move(why), 0, kind != failure_kind::rejected};
  return outcome;
}

complete_effect completed(const effect_order& order, attempt_outcome outcome) {
  return {order.effect.run, order.effect.no, order.effect.attempt, std::move(outcome)};
}

}  // namespace holdfast
