#pragma once
// The definitions in force, compiled: an immutable view with an index that shards, agents and the gateway share.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "runtime/core/expression.hpp"
#include "schemas/definition.hpp"
#include "schemas/fact.hpp"

namespace holdfast {

struct compiled_tool {
  tool_definition def;
  std::shared_ptr<const json_validator> input;
  std::shared_ptr<const expression> body;  ///< null: default placement
};

struct compiled_trigger {
  trigger_definition def;
  std::shared_ptr<const expression> where;  ///< null: always
  std::shared_ptr<const expression> key;    ///< null: a new key per event
};

struct compiled_agent {
  agent_definition def;
  std::shared_ptr<const expression> input;       ///< over the event document
  std::shared_ptr<const json_validator> output;  ///< null: none
  std::vector<compiled_tool> tools;
  std::vector<compiled_trigger> triggers;
  const compiled_tool* tool(std::string_view name) const noexcept;
};

struct compiled_hook {
  hook_definition def;
  std::shared_ptr<const expression> type;  ///< null: SOURCE.received
  std::shared_ptr<const expression> id;    ///< null: digest of the body
};

/// Errors: `schema`, naming the field (`tools[1].http.body: …`).
result<std::shared_ptr<const compiled_agent>> compile(agent_definition def, const compilers& with);
result<std::shared_ptr<const compiled_hook>> compile(hook_definition def, const compilers& with);

/// One kind and name over time.
struct definition_history {
  std::map<std::uint32_t, definition_applied> versions;
  std::map<std::uint32_t, time_us> applied_at;
  std::uint32_t current = 0;
};

/// Copy-on-write: a new one is made for every change, old ones live as long as somebody holds them.
class catalog {
public:
  std::uint64_t index = 0;  ///< so many definitions were applied: more in every later one
  std::map<std::string, definition_history, std::less<>> agents;
  std::map<std::string, definition_history, std::less<>> hooks;
  std::map<std::string, std::map<std::uint32_t, std::shared_ptr<const compiled_agent>>, std::less<>>
    compiled_agents;
  std::map<std::string, std::shared_ptr<const compiled_hook>, std::less<>> compiled_hooks;

  /// The version, or the current one for 0; null when there is none.
  std::shared_ptr<const compiled_agent> agent(std::string_view type,
                                              std::uint32_t version = 0) const;
  std::shared_ptr<const compiled_hook> hook(std::string_view source) const;
};

}  // namespace holdfast
