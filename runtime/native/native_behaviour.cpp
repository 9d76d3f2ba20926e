#include "runtime/native/native_behaviour.hpp"

#include <nlohmann/json.hpp>

#include <cstdlib>
#include <stdexcept>

#include "runtime/core/run_steps.hpp"
#include "runtime/core/turn_limits.hpp"
#include "runtime/native/bridge.hpp"

namespace holdfast {

namespace {

using nlohmann::json;

void check_tool(const compiled_agent& spec, std::string_view name, std::string_view input) {
  const auto* tool = spec.tool(name);
  if (tool == nullptr)
    throw std::invalid_argument("the definition of " + spec.def.type + " has no tool `" +
                                std::string{name} + "`");
  if (tool->input)
    if (auto valid = tool->input->validate(input); !valid)
      throw std::invalid_argument("the input of " + std::string{name} +
                                  " does not fit its schema: " + valid.error().context);
}

agent_name target_of(const std::string& text) {
  auto name = parse_agent_name(text);
  if (!name)
    throw std::invalid_argument(text + ": " + name.error().context);
  return std::move(*name);
}

event event_to_send(const turn_builder& turn, const native::request& r) {
  event e;
  e.type = r.extra.empty() ? "holdfast.message" : r.extra;
  e.source = "holdfast:" + to_string(turn.state().name);
  e.data = r.body;
  return e;
}

/// Throws what the handler could have thrown itself.
void check_size(const agent_name& of, const native::handler_result& result) {
  if (auto fits = check_memory(of, result.memory.size()); !fits)
    throw std::length_error(fits.error().context);
  std::size_t asked = 0;
  for (const auto& request : result.requests)
    asked += request.body.size() + request.extra.size();
  if (asked > asked_bytes_max)
    throw std::length_error("one call of a handler asked for " + std::to_string(asked) +
                            " bytes; at most " + std::to_string(asked_bytes_max));
}

/// Declares one thing that a handler asked for. False: the run is over, the rest does not count.
bool declare(turn_builder& turn, const compiled_agent& spec, native::request& r, const trigger& t) {
  using kind = native::request::kind;
  switch (r.what) {
    case kind::call: {
      const auto* tool = spec.tool(r.name);
      if (std::holds_alternative<agent_call>(tool->def.target)) {
        const auto& other = std::get<agent_call>(tool->def.target);
        agent_request ask;
        ask.target = {other.type, to_text(turn.state().run->id.id) + "-" +
                                    std::to_string(turn.state().effect_next)};
        ask.sent.type = "holdfast.ask";
        ask.sent.source = "holdfast:" + to_string(turn.state().name);
        ask.sent.data = r.body;
        ask.tool = r.name;
        return request_agent(turn, spec, std::move(ask)) != 0;
      }
      return request_tool(turn, spec, {r.name, effect_kind::tool, tool->def.cls, r.body, {}}) != 0;
    }
    case kind::model:
      return request_model(turn, spec, r.extra, r.extra.size()) != 0;
    case kind::send:
      send_event(turn, target_of(r.name), event_to_send(turn, r));
      return true;
    case kind::ask:
      return request_agent(turn, spec, {target_of(r.name), event_to_send(turn, r), r.name, {}}) !=
             0;
    case kind::sleep:
      turn.set_timer(timer_kind::sleep, turn.now() + r.duration_ms * 1'000, r.name);
      return true;
    case kind::wait_for: {
      std::uint64_t timer = 0;
      if (r.duration_ms > 0)
        timer = turn.set_timer(timer_kind::wait, turn.now() + r.duration_ms * 1'000, "wait_for");
      turn.add(awaiting_event{r.name, r.extra, timer});
      return true;
    }
    case kind::emit:
      turn.add(text_emitted{turn.state().run->id, turn.state().run->emitted_bytes, r.body});
      return true;
    case kind::complete:
      complete_run(turn, r.body);
      return false;
    case kind::fail: {
      const std::uint32_t effect =
        t.what == trigger::kind::outcome && t.effect.status != outcome_status::succeeded
          ? t.effect.no
          : 0;
      fail_run(turn, {"agent_failed", r.body, effect, true});
      return false;
    }
  }
  return false;
}

}  // namespace

void native_behaviour::on_trigger(turn_builder& turn, const compiled_agent& spec,
                                  const trigger& t) const {
  native::handler_call call;
  call.agent = to_string(turn.state().name);
  auto memory = turn.memory();
  if (!memory)
    throw std::runtime_error("the memory cannot be read: " + memory.error().context);
  call.memory = std::move(*memory);
  call.now_us = turn.now();
  call.random = turn.next_random();
  call.effect_next = turn.state().effect_next;
  call.check_tool = [&](std::string_view tool, std::string_view input) {
    check_tool(spec, tool, input);
  };
  call.log = [&](std::string_view text) {
    if (log_)
      log_(call.agent, text);
  };
  switch (t.what) {
    case trigger::kind::start:
    case trigger::kind::retry:
    case trigger::kind::awaited:
      call.what = native::handler_call::kind::event;
      call.event_id = t.arrived.id;
      call.event_source = t.arrived.source;
      call.event_type = t.arrived.type;
      call.event_subject = t.arrived.subject;
      call.event_time = t.arrived.time;
      call.event_data = t.arrived.data;
      break;
    case trigger::kind::outcome:
      call.what = native::handler_call::kind::outcome;
      call.effect = t.effect.no;
      call.tool = t.effect.name;
      call.status = static_cast<int>(t.effect.status);
      call.result = t.effect.kind == effect_kind::model
                      ? json(t.effect.output).dump(-1, ' ', false, json::error_handler_t::replace)
                      : t.effect.output;
      call.error = t.effect.error.message;
      break;
    case trigger::kind::timer:
    case trigger::kind::awaited_timeout:
      call.what = native::handler_call::kind::timer;
      call.tag = t.tag;
      break;
    case trigger::kind::cancel:
      call.what = native::handler_call::kind::cancel;
      break;
  }
  auto result = native::call_handler(spec.def.type, call);
  check_size(turn.state().name, result);
  if (result.memory_changed)
    turn.add(state_changed{std::move(result.memory)});
  for (auto& request : result.requests)
    if (!declare(turn, spec, request, t))
      return;
}

void echo_behaviour::on_trigger(turn_builder& turn, const compiled_agent&, const trigger& t) const {
  if (t.what != trigger::kind::start)
    return;
  const bool is_json = t.arrived.data.empty() || json::accept(t.arrived.data);
  complete_run(turn, t.arrived.data.empty() ? "null"
                     : is_json
                       ? t.arrived.data
                       : json(t.arrived.data).dump(-1, ' ', false, json::error_handler_t::replace));
}

namespace {

/// How many steps the event asks for: `steps`, or 10.
std::uint32_t steps_asked(const std::string& data) {
  const auto value = json::parse(data, nullptr, false);
  if (value.is_object() && value.contains("steps") && value["steps"].is_number_unsigned())
    return value["steps"].get<std::uint32_t>();
  return 10;
}

}  // namespace

void loop_behaviour::on_trigger(turn_builder& turn, const compiled_agent& spec,
                                const trigger& t) const {
  if (t.what == trigger::kind::cancel)
    return;
  // The number asked for travels as the call's id, so that no step has to read the event again.
  const std::string asked =
    t.what == trigger::kind::start ? std::to_string(steps_asked(t.arrived.data)) : t.effect.call_id;
  const auto steps = static_cast<std::uint32_t>(std::strtoul(asked.c_str(), nullptr, 10));
  if (turn.state().run->steps >= steps) {
    complete_run(turn, "{\"steps\":" + std::to_string(steps) + "}");
    return;
  }
  request_tool(turn, spec, {"step", effect_kind::nothing, effect_class::read, "{}", asked});
}

bool has_native(std::string_view type) {
  return type == "echo" || type == "loop" || native::is_registered(type);
}

}  // namespace holdfast
