#include "runtime/core/catalog.hpp"

namespace holdfast {

namespace {

status compile_into(std::shared_ptr<const expression>& out, const std::string& program,
                    const compilers& with, const std::string& field) {
  if (program.empty())
    return ok_status();
  auto compiled = with.jq(program);
  if (!compiled)
    return error{compiled.error().code, field + ": " + compiled.error().context};
  out = std::move(*compiled);
  return ok_status();
}

status compile_into(std::shared_ptr<const json_validator>& out, const std::string& schema,
                    const compilers& with, const std::string& field) {
  if (schema.empty())
    return ok_status();
  auto compiled = with.json_schema(schema);
  if (!compiled)
    return error{compiled.error().code, field + ": " + compiled.error().context};
  out = std::move(*compiled);
  return ok_status();
}

}  // namespace

const compiled_tool* compiled_agent::tool(std::string_view name) const noexcept {
  for (const auto& tool : tools)
    if (tool.def.name == name)
      return &tool;
  return nullptr;
}

result<std::shared_ptr<const compiled_agent>> compile(agent_definition def, const compilers& with) {
  auto out = std::make_shared<compiled_agent>();
  if (auto done = compile_into(out->input, def.input, with, "input"); !done)
    return done.error();
  if (auto done = compile_into(out->output, def.output_schema, with, "output.schema"); !done)
    return done.error();
  for (std::size_t i = 0; i < def.tools.size(); ++i) {
    compiled_tool tool{def.tools[i], nullptr, nullptr};
    const std::string field = "tools[" + std::to_string(i) + "]";
    if (auto done = compile_into(tool.input, tool.def.input_schema, with, field + ".input"); !done)
      return done.error();
    if (const auto* http = std::get_if<http_call>(&tool.def.target))
      if (auto done = compile_into(tool.body, http->body, with, field + ".http.body"); !done)
        return done.error();
    out->tools.push_back(std::move(tool));
  }
  for (std::size_t i = 0; i < def.triggers.size(); ++i) {
    compiled_trigger trigger{def.triggers[i], nullptr, nullptr};
    const std::string field = "on[" + std::to_string(i) + "]";
    if (auto done = compile_into(trigger.where, trigger.def.where, with, field + ".where"); !done)
      return done.error();
    if (auto done = compile_into(trigger.key, trigger.def.key, with, field + ".key"); !done)
      return done.error();
    out->triggers.push_back(std::move(trigger));
  }
  out->def = std::move(def);
  return std::shared_ptr<const compiled_agent>{std::move(out)};
}

result<std::shared_ptr<const compiled_hook>> compile(hook_definition def, const compilers& with) {
  auto out = std::make_shared<compiled_hook>();
  if (auto done = compile_into(out->type, def.type, with, "type"); !done)
    return done.error();
  if (auto done = compile_into(out->id, def.id, with, "id"); !done)
    return done.error();
  out->def = std::move(def);
  return std::shared_ptr<const compiled_hook>{std::move(out)};
}

std::shared_ptr<const compiled_agent> catalog::agent(std::string_view type,
                                                     std::uint32_t version) const {
  if (version == 0) {
    const auto history = agents.find(type);
    if (history == agents.end())
      return nullptr;
    version = history->second.current;
  }
  const auto versions = compiled_agents.find(type);
  if (versions == compiled_agents.end())
    return nullptr;
  const auto found = versions->second.find(version);
  return found == versions->second.end() ? nullptr : found->second;
}

std::shared_ptr<const compiled_hook> catalog::hook(std::string_view source) const {
  const auto found = compiled_hooks.find(source);
  return found == compiled_hooks.end() ? nullptr : found->second;
}

}  // namespace holdfast
