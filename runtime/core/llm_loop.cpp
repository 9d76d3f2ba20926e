#include "runtime/core/llm_loop.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>

#include "runtime/core/run_steps.hpp"

namespace holdfast {

namespace {

using nlohmann::json;

constexpr std::uint32_t output_retries_max = 2;
constexpr std::size_t shown_bytes_max = 64 * 1024;

std::string dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string error_for_model(const std::string& code, const std::string& text) {
  return dump(json{{"error", {{"code", code}, {"message", text}}}});
}

/// Text as a model reads it: the content of a JSON string, else the JSON.
std::string shown(const std::string& json_text) {
  const auto value = json::parse(json_text, nullptr, false);
  std::string text = value.is_string() ? value.get<std::string>() : json_text;
  if (text.size() > shown_bytes_max)
    text.resize(shown_bytes_max);
  return text;
}

std::uint64_t conversation_bytes(const turn_builder& turn, const compiled_agent& spec) {
  const auto& state = turn.state();
  return state.message_bytes -
         (spec.def.memory.scope == memory_scope::run ? state.run->message_bytes_base : 0);
}

void ask_model(turn_builder& turn, const compiled_agent& spec) {
  request_model(turn, spec, {}, conversation_bytes(turn, spec));
}

void say(turn_builder& turn, message_role role, std::string content) {
  message m;
  m.role = role;
  m.content = std::move(content);
  append_message(turn, std::move(m));
}

void tell_model(turn_builder& turn, const std::string& call_id, const std::string& tool,
                std::string content) {
  message m;
  m.role = message_role::tool;
  m.content = std::move(content);
  m.tool_call_id = call_id;
  m.tool_name = tool;
  append_message(turn, std::move(m));
}

void begin(turn_builder& turn, const compiled_agent& spec, const event& e) {
  std::string content = e.data;
  if (spec.input) {
    auto input = spec.input->evaluate(event_document(e));
    if (!input) {
      fail_run(
        turn, {"bad_input",
               "the definition's `input` failed on this event: " + input.error().context, 0, true});
      return;
    }
    content = shown(*input);
  }
  say(turn, message_role::user, std::move(content));
  ask_model(turn, spec);
}

void refuse(turn_builder& turn, const tool_call& call, std::string code, std::string why) {
  turn.add(tool_refused{turn.state().run->steps, call.name, call.id, why});
  tell_model(turn, call.id, call.name, error_for_model(code, why));
}

/// Declares one call, or tells the model why not. False: the run ended at a limit.
bool request(turn_builder& turn, const compiled_agent& spec, const tool_call& call) {
  const auto* tool = spec.tool(call.name);
  if (tool == nullptr) {
    std::string known;
    for (const auto& one : spec.tools)
      known += (known.empty() ? "" : ", ") + one.def.name;
    refuse(turn, call, "unknown_tool",
           "there is no tool `" + call.name.substr(0, 64) + "`; there is: " + known);
    return true;
  }
  const std::string arguments = call.arguments.empty() ? "{}" : call.arguments;
  const auto input = json::parse(arguments, nullptr, false);
  if (input.is_discarded() || !input.is_object()) {
    refuse(turn, call, "bad_input", "the arguments are not a JSON object");
    return true;
  }
  if (tool->input)
    if (auto valid = tool->input->validate(arguments); !valid) {
      refuse(turn, call, "bad_input", valid.error().context);
      return true;
    }
  if (const auto* other = std::get_if<agent_call>(&tool->def.target)) {
    agent_request ask;
    ask.target = {other->type, to_text(turn.state().run->id.id) + "-" +
                                 std::to_string(turn.state().effect_next)};
    ask.sent.type = "holdfast.ask";
    ask.sent.source = "holdfast:" + to_string(turn.state().name);
    ask.sent.data = dump(input);
    ask.tool = call.name;
    ask.call_id = call.id;
    return request_agent(turn, spec, std::move(ask)) != 0;
  }
  return request_tool(turn, spec,
                      {call.name, effect_kind::tool, tool->def.cls, dump(input), call.id}) != 0;
}

bool all_closed(const turn_builder& turn) {
  const auto& calls = turn.state().run->calls;
  return std::all_of(calls.begin(), calls.end(),
                     [](const pending_call& call) { return call.closed; });
}

void finish(turn_builder& turn, const compiled_agent& spec, const std::string& text) {
  if (!spec.output) {
    complete_run(turn, dump(json(text)));
    return;
  }
  const auto value = json::parse(text, nullptr, false);
  const auto valid = value.is_discarded() ? status{error{errc::schema, "the answer is not JSON"}}
                                          : spec.output->validate(text);
  if (valid) {
    complete_run(turn, dump(value));
    return;
  }
  if (turn.state().run->output_retries >= output_retries_max) {
    fail_run(
      turn, {"output_schema",
             "the model's answer does not fit `output.schema`: " + valid.error().context, 0, true});
    return;
  }
  turn.add(output_refused{turn.state().run->id, valid.error().context});
  say(turn, message_role::user,
      "Your answer does not fit the required JSON Schema. Answer again with JSON only. " +
        valid.error().context);
  ask_model(turn, spec);
}

std::optional<model_reply> reply_at(const turn_builder& turn, seq_no seq) {
  const auto recorded = turn.fact_at(seq);
  const auto* completed = recorded ? std::get_if<model_completed>(&*recorded) : nullptr;
  return completed ? std::optional{completed->reply} : std::nullopt;
}

void append_answer(turn_builder& turn, const model_reply& reply) {
  message m;
  m.role = message_role::assistant;
  m.content = reply.text;
  m.tool_calls = reply.tool_calls;
  append_message(turn, std::move(m));
}

void append_result(turn_builder& turn, const closed_effect& effect) {
  tell_model(turn, effect.call_id, effect.name,
             effect.status == outcome_status::succeeded
               ? shown(effect.output)
               : error_for_model(effect.error.code, effect.error.message));
}

void on_answer(turn_builder& turn, const compiled_agent& spec, const trigger& t) {
  const auto found = reply_at(turn, t.seq);
  if (!found) {
    fail_run(turn, {"corrupt", "the model's answer cannot be read", t.effect.no, false});
    return;
  }
  const model_reply& reply = *found;
  append_answer(turn, reply);
  if (reply.tool_calls.empty()) {
    finish(turn, spec, reply.text);
    return;
  }
  for (const auto& call : reply.tool_calls)
    if (!request(turn, spec, call))
      return;
  if (all_closed(turn))
    ask_model(turn, spec);
}

void on_outcome(turn_builder& turn, const compiled_agent& spec, const trigger& t) {
  const auto& effect = t.effect;
  if (effect.kind == effect_kind::model) {
    if (effect.status == outcome_status::succeeded)
      on_answer(turn, spec, t);
    else
      fail_run(turn, {"model_failed", effect.error.message, effect.no, true});
    return;
  }
  append_result(turn, effect);
  if (all_closed(turn))
    ask_model(turn, spec);
}

/// A failed run goes on: the model is told of calls that have no result, so that the conversation is whole, and asked
/// again.
void resume(turn_builder& turn, const compiled_agent& spec) {
  const auto calls = turn.state().run->calls;
  for (const auto& call : calls)
    if (!call.closed) {
      const bool unknown =
        call.effect_no != 0 && find_effect(turn.state(), call.effect_no) != nullptr;
      const std::string code = unknown ? "unknown_outcome" : "not_performed";
      const std::string why = unknown
                                ? "this call may have been performed; its outcome is not known"
                                : "the run ended before this call was made";
      turn.add(tool_refused{turn.state().run->steps, call.tool, call.call_id, why});
      tell_model(turn, call.call_id, call.tool, error_for_model(code, why));
    }
  ask_model(turn, spec);
}

}  // namespace

void llm_loop::note_outcome(turn_builder& turn, const trigger& t) const {
  if (t.effect.kind != effect_kind::model)
    append_result(turn, t.effect);
  else if (const auto reply = reply_at(turn, t.seq))  // a failed call has none
    append_answer(turn, *reply);
}

void llm_loop::on_trigger(turn_builder& turn, const compiled_agent& spec, const trigger& t) const {
  switch (t.what) {
    case trigger::kind::start:
      begin(turn, spec, t.arrived);
      return;
    case trigger::kind::outcome:
      on_outcome(turn, spec, t);
      return;
    case trigger::kind::retry:
      resume(turn, spec);
      return;
    case trigger::kind::timer:
    case trigger::kind::awaited:
    case trigger::kind::awaited_timeout:
    case trigger::kind::cancel:
      return;  // an LLM agent sets no timers, awaits no events, and has nothing to say to a cancel
  }
}

}  // namespace holdfast
