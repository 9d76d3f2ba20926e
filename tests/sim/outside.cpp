#include "tests/sim/outside.hpp"

namespace holdfast::sim {

namespace {

constexpr time_us timeout_us = 60'000'000;

attempt_outcome failed_by(failure_kind kind, const char* text) {
  attempt_outcome outcome;
  outcome.failure_reason = kind;
  outcome.error = {"outside", text, 0, kind != failure_kind::rejected};
  return outcome;
}

}  // namespace

void outside::send(effect_call& call, const fact& declared, time_us now) {
  const effect_id id{call.effect.run, call.effect.no};
  const auto* info = past_.effect({id.run, id.no});
  require(info != nullptr, "an effect is performed that is not declared");
  require(!info->finished, "a finished effect is performed again: ", call.effect.name);
  const auto* model = std::get_if<model_requested>(&declared);
  const auto* tool = std::get_if<tool_requested>(&declared);
  require(model || tool, "the declared fact is not a request");
  const std::string name = model ? model->model : tool->tool;
  const digest128 digest = model ? model->request_digest : tool->request_digest;
  require(name == info->name && digest == info->digest && call.effect.cls == info->cls,
          "a call is not what was declared");
  const auto [place, fresh] = sinks_.try_emplace(idempotency_key(call.agent, id));
  auto& sink = place->second;
  if (fresh) {
    sink.name = name;
    sink.digest = digest;
  }
  require(sink.name == name && sink.digest == digest, "one idempotency key for two calls");

  call.at = effect_call::stage::sent;
  call.not_before =
    now + static_cast<time_us>(random_.below(random_.chance(900) ? 5'000 : 2'000'000));
  call.performs = true;
  if (call.effect.kind == effect_kind::model)
    decide_model(call);
  else
    decide_tool(call);
  if (random_.chance(trouble))
    decide_trouble(call, now);
  if (random_.chance(40)) {
    call.answers_twice = true;
    seen_.count(fault::effect_answers_twice);
  }
}

void outside::decide_tool(effect_call& call) {
  call.outcome.status = outcome_status::succeeded;
  call.outcome.output = R"({"done":)" + std::to_string(call.effect.no) + "}";
}

void outside::decide_model(effect_call& call) {
  auto& outcome = call.outcome;
  outcome.status = outcome_status::succeeded;
  outcome.reply = make_reply(call.agent);
  std::uint64_t tokens_max = call.effect.reserved_tokens;
  nano_usd cost_max = call.effect.reserved_cost;
  if (random_.chance(30)) {
    tokens_max *= 2;
    cost_max *= 2;
    seen_.count(fault::model_costs_more);
  }
  const auto tokens = random_.below(tokens_max + 1);
  outcome.used.input_tokens = tokens / 2;
  outcome.used.output_tokens = tokens - tokens / 2;
  outcome.used.cost = random_.between(0, cost_max);
  outcome.used.model_calls = 1;
  call.cost = outcome.used;
  call.texts = static_cast<unsigned>(random_.below(3));
}

model_reply outside::make_reply(const agent_name& agent) {
  model_reply reply;
  if (random_.chance(450)) {
    reply.text = agent.type == "strict" && random_.chance(300) ? "bad" : R"({"good":1})";
    return reply;
  }
  const auto count = 1 + random_.below(3);
  for (std::uint64_t i = 0; i < count; ++i) {
    tool_call one;
    one.id = random_.chance(950) ? "c" + std::to_string(++calls_made_) : "same";
    one.arguments = random_.chance(940) ? R"({"good":1})" : "bad";
    const auto which = random_.below(100);
    one.name = which < 30   ? "look"
               : which < 60 ? "put"
               : which < 85 ? "pay"
               : which < 95 ? "research"
                            : "fly";
    reply.tool_calls.push_back(std::move(one));
  }
  return reply;
}

void outside::decide_trouble(effect_call& call, time_us now) {
  call.texts = 0;
  const auto which = random_.below(100);
  if (which < 15) {
    seen_.count(fault::effect_not_sent);
    call.performs = false;
    call.outcome = failed_by(failure_kind::not_sent, "no connection");
  } else if (which < 30) {
    seen_.count(fault::effect_throttled);
    call.performs = false;
    call.outcome = failed_by(failure_kind::throttled, "429");
    call.outcome.retry_after_ms = random_.chance(300) ? random_.between(1, 5'000) : 0;
  } else if (which < 45) {
    seen_.count(fault::effect_rejected);
    call.performs = false;
    call.outcome = failed_by(failure_kind::rejected, "400");
  } else if (which < 70) {
    seen_.count(fault::effect_transient);
    call.performs = random_.chance(500);
    call.outcome =
      failed_by(random_.chance(900) ? failure_kind::transient : failure_kind::cancelled, "reset");
  } else if (which < 85) {  // the client gives up, its answer comes after all
    seen_.count(fault::effect_answers_late);
    call.late = call.outcome;
    if (random_.chance(300)) {
      call.performs = false;
      call.late = failed_by(failure_kind::rejected, "409");
    }
    call.outcome = failed_by(failure_kind::transient, "timeout");
  } else {
    seen_.count(fault::effect_never_answers);
    call.performs = random_.chance(500);
    call.not_before = now + timeout_us;
    call.outcome = failed_by(failure_kind::transient, "timeout");
  }
}

void outside::perform(effect_call& call, const catalog& definitions) {
  if (!call.performs || call.performed)
    return;
  call.performed = true;
  const effect_id id{call.effect.run, call.effect.no};
  auto& sink = sinks_.at(idempotency_key(call.agent, id));
  ++sink.performed;
  const auto* info = past_.effect({id.run, id.no});
  require(info->cls != effect_class::write || sink.performed <= 1 + info->retries_granted,
          "a write was performed twice: ", to_string(call.agent), " ", sink.name);
  if (call.effect.kind != effect_kind::model)
    return;
  // What an attempt costs beyond its reservation cannot be known before it answers.
  auto& bill = bills_[id.run];
  bill.tokens +=
    std::min(call.cost.input_tokens + call.cost.output_tokens, call.effect.reserved_tokens);
  bill.cost += std::min(call.cost.cost, call.effect.reserved_cost);
  const auto spec = definitions.agent(call.agent.type, past_.agents.at(call.agent).state.version);
  if (!spec)
    return;
  const auto& limits = spec->def.limits;
  require(limits.tokens == 0 || bill.tokens <= limits.tokens,
          "a run was billed for more tokens than its limit");
  require(limits.cost == 0 || bill.cost <= limits.cost,
          "a run was billed for more money than its limit");
}

void outside::check() const {
  for (const auto& [key, info] : past_.effects()) {
    if (!info.answered || (info.kind != effect_kind::tool && info.kind != effect_kind::model))
      continue;
    const auto sink = sinks_.find(idempotency_key(info.agent, {key.run, key.no}));
    require(sink != sinks_.end() && sink->second.performed != 0,
            "a call succeeded that was never performed: ", info.name);
  }
  for (const auto& [run, bill] : bills_) {
    const auto& used = past_.runs.at(run).used;
    require(bill.tokens <= used.input_tokens + used.output_tokens && bill.cost <= used.cost,
            "a run was billed for more than it counts as spent");
  }
}

}  // namespace holdfast::sim
