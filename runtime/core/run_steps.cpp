#include "runtime/core/run_steps.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <exception>

#include "runtime/core/behaviour.hpp"
#include "runtime/core/retry.hpp"

namespace holdfast {

std::string event_document(const event& e) {
  nlohmann::json document = nlohmann::json::object();
  const auto set = [&](const char* name, const std::string& value) {
    if (!value.empty())
      document[name] = value;
  };
  document["specversion"] = "1.0";
  set("id", e.id);
  set("source", e.source);
  set("type", e.type);
  set("subject", e.subject);
  set("time", e.time);
  set("datacontenttype", e.content_type);
  set("traceparent", e.traceparent);
  if (!e.data.empty()) {
    auto data = nlohmann::json::parse(e.data, nullptr, false);
    document["data"] = data.is_discarded() ? nlohmann::json(e.data) : std::move(data);
  } else {
    document["data"] = nullptr;
  }
  return document.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

namespace {

failure limit(const std::string& which, const std::string& value) {
  return {"limit_exceeded",
          "the run reached limits." + which + " (" + value +
            "); raise it in the definition and retry the run",
          0, true};
}

bool has_step_left(turn_builder& turn, const compiled_agent& spec) {
  const auto& limits = spec.def.limits;
  if (limits.steps == 0 || turn.state().run->steps < limits.steps)
    return true;
  fail_run(turn, limit("steps", std::to_string(limits.steps)));
  return false;
}

constexpr std::uint64_t bytes_per_token = 3;  // a cautious reservation: most text has about four

}  // namespace

std::uint32_t request_tool(turn_builder& turn, const compiled_agent& spec, tool_request request) {
  if (!has_step_left(turn, spec))
    return 0;
  const std::uint32_t no = turn.state().effect_next;
  tool_requested asked;
  asked.effect_no = no;
  asked.step = turn.state().run->steps + 1;
  asked.request_digest = digest_of({request.tool, request.input});
  asked.tool = std::move(request.tool);
  asked.kind = request.kind;
  asked.cls = request.cls;
  asked.input = std::move(request.input);
  asked.call_id = std::move(request.call_id);
  // A question is on its way with the record that declares it, whether the agent is held or not: its answer may come.
  asked.term = request.kind == effect_kind::agent ? turn.context().term : turn.start_term();
  turn.add(std::move(asked));
  return no;
}

std::uint32_t request_agent(turn_builder& turn, const compiled_agent& spec, agent_request request) {
  const group_id group = group_of(request.target, turn.context().partitions);
  const std::uint32_t no =
    request_tool(turn, spec,
                 {request.tool, effect_kind::agent, effect_class::idempotent,
                  request.sent.data.empty() ? "null" : request.sent.data, request.call_id});
  if (no == 0)
    return 0;
  outbox_message ask;
  ask.kind = outbox_kind::event;
  ask.source = turn.state().name;
  ask.event_ref = event_id{
    make_id(turn.now(), group, hash_of(request.target), hash_of(ask.source) + turn.state().seq)};
  ask.run = run_id{ask.event_ref.id};
  ask.target = std::move(request.target);
  ask.event = std::move(request.sent);
  ask.verified = "none";
  ask.reply_to = reply_address{ask.source, turn.state().run->id, no};
  turn.add(message_sent{group, 0, std::move(ask)});
  return no;
}

void send_event(turn_builder& turn, agent_name target, event sent) {
  const group_id group = group_of(target, turn.context().partitions);
  outbox_message message;
  message.kind = outbox_kind::event;
  message.source = turn.state().name;
  message.event_ref = event_id{
    make_id(turn.now(), group, hash_of(target), hash_of(message.source) + turn.state().seq)};
  message.run = run_id{message.event_ref.id};
  message.target = std::move(target);
  message.event = std::move(sent);
  message.verified = "none";
  turn.add(message_sent{group, 0, std::move(message)});
}

namespace {

/// The limit that a call with this reservation would pass.
std::optional<failure> limit_passed(const turn_builder& turn, const compiled_agent& spec,
                                    const reservation& wanted) {
  const auto& limits = spec.def.limits;
  const auto& run = *turn.state().run;
  const std::uint64_t spent = run.used.input_tokens + run.used.output_tokens + run.reserved_tokens;
  if (limits.tokens != 0 && spent + wanted.tokens > limits.tokens)
    return limit("tokens", std::to_string(limits.tokens));
  if (limits.cost != 0 && run.used.cost + run.reserved_cost + wanted.cost > limits.cost)
    return limit("usd", "in nano-USD: " + std::to_string(limits.cost));
  return std::nullopt;
}

}  // namespace

bool reserve(turn_builder& turn, const compiled_agent& spec, std::uint32_t effect_no,
             const reservation& wanted) {
  if (auto passed = limit_passed(turn, spec, wanted)) {
    fail_run(turn, std::move(*passed));
    return false;
  }
  turn.add(budget_reserved{effect_no, wanted.tokens, wanted.cost});
  return true;
}

reservation reservation_for(const turn_builder& turn, const compiled_agent& spec,
                            const std::string& model, std::uint64_t bytes) {
  const auto& def = spec.def;
  const std::uint64_t text =
    std::min(bytes, def.memory.window_tokens * bytes_per_token) + def.instructions.size();
  const std::uint64_t input_tokens = text / bytes_per_token + 64;
  const call_price price = turn.context().price_of ? turn.context().price_of(model) : call_price{};
  const auto cost_of = [](std::uint64_t tokens, nano_usd per_million) {
    return static_cast<nano_usd>((static_cast<__int128>(tokens) * per_million + 999'999) /
                                 1'000'000);
  };
  return {input_tokens + def.output_tokens_max,
          cost_of(input_tokens, price.input) + cost_of(def.output_tokens_max, price.output)};
}

std::uint32_t request_model(turn_builder& turn, const compiled_agent& spec, std::string options,
                            std::uint64_t bytes) {
  if (!has_step_left(turn, spec))
    return 0;
  const auto& def = spec.def;
  const auto& state = turn.state();
  const std::uint32_t no = state.effect_next;
  model_requested asked;
  asked.effect_no = no;
  asked.step = state.run->steps + 1;
  asked.model = def.models.empty() ? "primary" : def.models.front();
  asked.message_first = def.memory.scope == memory_scope::run ? state.run->message_base : 1;
  asked.message_last = state.message_next;
  asked.request_digest = digest_of({state.conversation.view(), std::to_string(state.run->version),
                                    std::to_string(asked.message_first), options});
  asked.term = turn.start_term();
  asked.options = std::move(options);

  const auto wanted = reservation_for(turn, spec, asked.model, bytes);
  if (auto passed = limit_passed(turn, spec, wanted)) {  // the call is never declared
    fail_run(turn, std::move(*passed));
    return 0;
  }
  turn.add(std::move(asked));
  turn.add(budget_reserved{no, wanted.tokens, wanted.cost});
  return no;
}

void append_message(turn_builder& turn, message m) {
  turn.add(message_appended{turn.state().message_next, std::move(m)});
}

namespace {

/// Tells the agent that was asked that its answer is not wanted any more.
void cancel_child(turn_builder& turn, const effect_state& effect) {
  const auto sent = turn.fact_at(effect.seq + 1);  // declared together with the question
  const auto* question = sent ? std::get_if<message_sent>(&*sent) : nullptr;
  if (question == nullptr)
    return;
  outbox_message message;
  message.kind = outbox_kind::cancel;
  message.source = turn.state().name;
  message.target = question->message.target;
  message.run = question->message.run;
  turn.add(message_sent{question->target_group, 0, std::move(message)});
}

/// Leaves nothing of the run behind but writes whose outcome is not known.
void clear_run(turn_builder& turn) {
  const run_id run = turn.state().run->id;
  const auto timers = turn.state().timers;
  for (const auto& timer : timers)
    if (timer.run == run)
      turn.add(timer_cancelled{timer.id});
  const auto effects = turn.state().effects;
  for (const auto& effect : effects) {
    if (effect.run != run || effect.phase == effect_phase::unknown)
      continue;
    if (effect.kind == effect_kind::agent)
      cancel_child(turn, effect);
    if (effect.reserved_tokens != 0 || effect.reserved_cost != 0)
      turn.add(budget_settled{effect.no,
                              effect.phase == effect_phase::started ? effect.reserved_tokens : 0,
                              effect.phase == effect_phase::started ? effect.reserved_cost : 0});
    if (effect.cls == effect_class::write && effect.phase == effect_phase::started &&
        effect.kind != effect_kind::agent)
      turn.add(effect_unknown{
        effect.no,
        effect.attempt,
        {"run_ended", "the run ended while this call was open; it may have been performed",
         effect.no, false}});
    else
      turn.add(effect_abandoned{effect.no});
  }
}

void answer_asker(turn_builder& turn, const std::optional<reply_address>& to,
                  attempt_outcome outcome) {
  if (!to)
    return;
  outbox_message answer;
  answer.kind = outbox_kind::outcome;
  answer.source = turn.state().name;
  answer.target = to->agent;
  answer.reply_to = to;
  answer.outcome = std::move(outcome);
  turn.add(message_sent{group_of(to->agent, turn.context().partitions), 0, std::move(answer)});
}

attempt_outcome failed_outcome(failure error) {
  attempt_outcome outcome;
  outcome.status = outcome_status::failed;
  outcome.failure_reason = failure_kind::rejected;
  outcome.error = std::move(error);
  return outcome;
}

}  // namespace

void refuse_asker(turn_builder& turn, const std::optional<reply_address>& asker, failure why) {
  answer_asker(turn, asker, failed_outcome(std::move(why)));
}

void complete_run(turn_builder& turn, std::string output) {
  clear_run(turn);
  const auto run = turn.state().run->id;
  const auto reply_to = turn.state().run->reply_to;
  if (reply_to) {
    attempt_outcome outcome;
    outcome.status = outcome_status::succeeded;
    outcome.output = output;
    turn.add(run_completed{run, std::move(output)});
    answer_asker(turn, reply_to, std::move(outcome));
    return;
  }
  turn.add(run_completed{run, std::move(output)});
}

void fail_run(turn_builder& turn, failure error) {
  clear_run(turn);
  const auto run = turn.state().run->id;
  const auto reply_to = turn.state().run->reply_to;
  turn.add(run_failed{run, error});
  refuse_asker(turn, reply_to, std::move(error));
}

void cancel_run(turn_builder& turn, std::string reason) {
  clear_run(turn);
  const auto run = turn.state().run->id;
  const auto reply_to = turn.state().run->reply_to;
  turn.add(run_cancelled{run, reason});
  refuse_asker(turn, reply_to, {"cancelled", "the run was cancelled: " + reason, 0, false});
}

namespace {

constexpr retry_policy handler_backoff{0, 200, 30'000};
constexpr std::uint32_t handler_attempts_default = 5;

}  // namespace

void count_handler_failure(turn_builder& turn, seq_no trigger, std::string reason) {
  const auto spec = turn.definition();
  const std::uint32_t attempts_max = spec ? spec->def.handler_attempts : handler_attempts_default;
  const auto run = turn.state().run->id;
  const std::uint32_t attempts = turn.state().run->handler_failures + 1;
  turn.add(handler_failed{run, attempts, reason, trigger});
  if (attempts >= attempts_max) {
    dead_lettered letter;
    letter.id = event_id{run.id};  // names the group that keeps it
    letter.run = run;
    letter.agent = turn.state().name;
    letter.reason = "its handler failed " + std::to_string(attempts) + " times: " + reason;
    if (auto received = turn.fact_at(turn.state().run->event_seq))
      if (const auto* arrival = std::get_if<event_received>(&*received)) {
        letter.event = arrival->event;
        letter.verified = arrival->verified;
      }
    turn.add(std::move(letter));
    fail_run(turn, {"poison_event",
                    "the handler failed " + std::to_string(attempts) +
                      " times on the same event, which is now a dead letter: " + reason,
                    0, true});
    return;
  }
  const auto timers = turn.state().timers;
  for (const auto& timer : timers)  // after a crash the one that led to it is still there
    if (timer.kind == timer_kind::handler)
      turn.add(timer_cancelled{timer.id});
  const std::int64_t wait_ms = backoff_ms(handler_backoff, attempts + 1, 0, turn.next_random());
  turn.set_timer(timer_kind::handler, turn.now() + wait_ms * 1'000, {});
}

void call_behaviour(turn_builder& turn, const trigger& t) {
  const auto spec = turn.definition();
  if (!spec) {
    fail_run(turn, {"unknown_type",
                    "version " + std::to_string(turn.state().run->version) +
                      " of this agent type is not defined any more; apply it and retry the run",
                    0, true});
    return;
  }
  const behaviour* decider =
    turn.context().behaviour_of ? turn.context().behaviour_of(*spec) : nullptr;
  if (decider == nullptr) {
    fail_run(turn, {"no_behaviour",
                    "this binary has no native agent registered as `" + spec->def.type +
                      "`; start the program that registers it and retry the run",
                    0, true});
    return;
  }
  if (!decider->is_foreign()) {
    decider->on_trigger(turn, *spec, t);
    return;
  }
  const auto& due = turn.state().run->triggers_due;
  const bool again = !due.empty() && due.front() == t.seq;
  if (!due.empty() && !again) {  // keep the order: an earlier handler comes first
    turn.add(handler_failed{turn.state().run->id, turn.state().run->handler_failures, {}, t.seq});
    return;
  }
  if (turn.context().careful && !again) {
    turn.add(handler_failed{turn.state().run->id, 0, {}, t.seq});
    turn.set_timer(timer_kind::handler, turn.now(), {});
    return;
  }
  const auto before = turn.mark();
  std::string thrown;
  const auto& context = turn.context();
  if (context.handler_enters)
    context.handler_enters(turn.state().name, turn.state().run->id);
  try {
    if (again)
      turn.add(handler_recovered{t.seq});
    decider->on_trigger(turn, *spec, t);
  } catch (const std::exception& e) {
    thrown = e.what();
    if (thrown.empty())
      thrown = "an exception without a text";
  } catch (...) {
    thrown = "an exception that is not a std::exception";
  }
  if (context.handler_leaves)
    context.handler_leaves();
  if (thrown.empty())
    return;
  turn.rewind(before);
  thrown.resize(std::min<std::size_t>(thrown.size(), 1'000));
  count_handler_failure(turn, t.seq, std::move(thrown));
}

}  // namespace holdfast
