#include <algorithm>
#include <array>
#include <utility>

#include <nlohmann/json.hpp>

#include "runtime/definition/definition_reader.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

namespace {

using nlohmann::json;

constexpr std::size_t instructions_bytes_max = 256 * 1024;
constexpr std::size_t tools_max = 128;
constexpr std::size_t triggers_max = 64;
constexpr std::size_t models_max = 8;
constexpr std::size_t egress_max = 64;

template <class E, std::size_t N>
using names_of = std::array<std::pair<std::string_view, E>, N>;
constexpr names_of<behaviour_kind, 2> behaviours{
  {{"llm", behaviour_kind::llm}, {"native", behaviour_kind::native}}};
constexpr names_of<busy_policy, 2> busy_policies{
  {{"queue", busy_policy::queue}, {"reject", busy_policy::reject}}};
constexpr names_of<memory_scope, 2> scopes{
  {{"agent", memory_scope::agent}, {"run", memory_scope::run}}};
constexpr names_of<compaction, 1> compactions{{{"truncate", compaction::truncate}}};
constexpr names_of<int, 1> at_limits{{{"fail", 0}}};
constexpr std::array<std::string_view, 1> behaviours_later{"remote"};
constexpr std::array<std::string_view, 2> busy_later{"merge", "interrupt"};
constexpr std::array<std::string_view, 1> compactions_later{"summarize"};
constexpr std::array<std::string_view, 1> at_limits_later{"wait"};

void read_model(map_reader& in, agent_definition& out) {
  in.texts("use", out.models, models_max);
  for (const auto& name : out.models)
    if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") != std::string::npos)
      in.problem(in.node().find("use")->value, "/use",
                 "`use`: `" + name + "` is not the name of a model in the node's configuration");
  if (double temperature = 0; in.real("temperature", temperature, 0, 2))
    out.temperature = temperature;
  in.number("max_output_tokens", out.output_tokens_max, 1, 10'000'000);
}

bool is_event_type(std::string_view type) noexcept {
  if (type.ends_with(".*"))
    type.remove_suffix(2);
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           std::string_view{"._:/-+"}.find(c) != std::string_view::npos;
  };
  return !type.empty() && type.size() <= 255 && std::all_of(type.begin(), type.end(), fits);
}

json read_trigger(const document_node& node, const std::string& pointer, map_reader& parent,
                  const compilers& with, std::vector<trigger_definition>& out) {
  map_reader in{node, pointer, parent.problems()};
  const bool later = in.not_available("schedule") | in.not_available("alert");
  trigger_definition trigger;
  if (!in.text("event", trigger.event)) {
    if (!in.has("event") && !later && node.is_map())
      in.missing("event", "an event's type, or `prefix.*`");
  } else if (!is_event_type(trigger.event)) {
    in.problem(in.node().find("event")->value, "/event",
               "`event`: expected an event's type, or `prefix.*`");
  }
  read_jq(in, "where", trigger.where, with);
  read_jq(in, "key", trigger.key, with);
  in.finish();
  out.push_back(std::move(trigger));
  return in.written();
}

void read_limits(map_reader& in, agent_definition& out) {
  in.number("steps", out.limits.steps, 1, 1'000'000);
  in.number("tokens", out.limits.tokens, 1, 1'000'000'000'000);
  if (in.money("usd", out.limits.cost) && out.limits.cost <= 0)
    in.problem(in.node().find("usd")->value, "/usd", "`usd`: more than 0");
  in.duration("wall", out.limits.wall_ms);
  in.number("mailbox", out.limits.mailbox, 1, 1'000'000);
  in.number("handler_attempts", out.handler_attempts, 1, 1'000);
  int at_limit = 0;
  in.choice("at_limit", at_limit, at_limits, at_limits_later);
}

void read_memory(map_reader& in, agent_definition& out) {
  in.choice("scope", out.memory.scope, scopes);
  in.number("window_tokens", out.memory.window_tokens, 256, 100'000'000);
  in.choice("compact", out.memory.compact, compactions, compactions_later);
}

void read_egress(map_reader& in, agent_definition& out) {
  in.texts("allow", out.egress_allow, egress_max);
  for (const auto& entry : out.egress_allow)
    if (entry.size() > 255 ||
        entry.find_first_not_of(
          "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.:-_/[]*") !=
          std::string::npos)
      in.problem(in.node().find("allow")->value, "/allow",
                 "`allow`: `" + entry.substr(0, 80) +
                   "` is not an address, host:port or network like 10.0.0.0/8");
}

void check_type(map_reader& in, const agent_definition& out) {
  if (!in.has("type"))
    in.missing("type", "the agent's type: lower-case letters, digits and -");
  else if (!out.type.empty() && !is_valid_type(out.type))
    in.problem(
      in.node().find("type")->value, "/type",
      "`type`: expected a lower-case letter, then up to 62 lower-case letters, digits and -");
}

/// What depends on more than one key.
void check_whole(map_reader& in, const agent_definition& out) {
  check_type(in, out);
  const auto* model = in.node().find("model");
  const bool has_use =
    model != nullptr && model->value.is_map() && model->value.find("use") != nullptr;
  const auto* behaviour = in.node().find("behaviour");
  const bool is_llm =
    behaviour == nullptr || behaviour->value.text == "llm";  // another word is a problem of its own
  if (is_llm && !has_use)
    in.missing("model",
               "an LLM agent needs model: { use: [NAME] }, a model of the node's configuration");
}

}  // namespace

agent_definition read_agent(map_reader& in, const compilers& with) {
  agent_definition out;
  in.text("type", out.type);
  in.text("description", out.description);
  in.choice("behaviour", out.behaviour, behaviours, behaviours_later);
  read_map(in, "model", [&](map_reader& below) { read_model(below, out); });
  in.text("instructions", out.instructions, instructions_bytes_max);
  read_jq(in, "input", out.input, with);
  read_map(in, "output", [&](map_reader& below) {
    if (!read_schema(below, "schema", out.output_schema, with) && !below.has("schema"))
      below.missing("schema", "a JSON Schema");
  });
  std::set<std::string, std::less<>> names;
  read_list(in, "tools", tools_max, [&](const document_node& node, const std::string& pointer) {
    map_reader below{node, pointer, in.problems()};
    out.tools.push_back(read_tool(below, with, names));
    return below.written();
  });
  read_list(in, "on", triggers_max, [&](const document_node& node, const std::string& pointer) {
    return read_trigger(node, pointer, in, with, out.triggers);
  });
  in.choice("busy", out.busy, busy_policies, busy_later);
  in.not_available("flow");
  read_map(in, "limits", [&](map_reader& below) { read_limits(below, out); });
  int at_limit = 0;
  in.choice("at_limit", at_limit, at_limits, at_limits_later);
  read_map(in, "memory", [&](map_reader& below) { read_memory(below, out); });
  read_map(in, "egress", [&](map_reader& below) { read_egress(below, out); });
  check_whole(in, out);
  return out;
}

}  // namespace holdfast
