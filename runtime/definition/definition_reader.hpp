#pragma once
// The parts of reading a definition: what they share, and one function per kind. Only definition_*.cpp include this.

#include <set>
#include <string>
#include <string_view>

#include "runtime/core/expression.hpp"
#include "runtime/host/config_document.hpp"
#include "runtime/host/config_reader.hpp"
#include "schemas/definition.hpp"

namespace holdfast {

/// Each reads what it is told to, reports problems and leaves its canonical JSON in `in.written()`. Expressions and
/// schemas are compiled with `with`, where it can.
agent_definition read_agent(map_reader& in, const compilers& with);
hook_definition read_hook(map_reader& in, const compilers& with);

/// One item of `tools`. `names` are those of the tools before it.
tool_definition read_tool(map_reader& in, const compilers& with,
                          std::set<std::string, std::less<>>& names);

/// A jq program under `key`.
bool read_jq(map_reader& in, std::string_view key, std::string& out, const compilers& with);

/// A JSON Schema under `key`, as JSON text.
bool read_schema(map_reader& in, std::string_view key, std::string& out, const compilers& with);

/// A list under `key`, each item with `read(item, pointer)`, which returns its canonical JSON.
template <class Read>
void read_list(map_reader& in, std::string_view key, std::size_t most, Read read) {
  const auto* entry = in.take(key);
  if (entry == nullptr)
    return;
  if (!entry->value.is_list() || entry->value.items.size() > most)
    return in.problem(entry->value, pointer_step(key),
                      entry->value.is_list()
                        ? "`" + std::string{key} + "`: more than " + std::to_string(most)
                        : "`" + std::string{key} + "`: expected a list, not " +
                            std::string{kind_name(entry->value)});
  auto written = nlohmann::json::array();
  for (std::size_t i = 0; i < entry->value.items.size(); ++i)
    written.push_back(read(entry->value.items[i], in.pointer_of(key) + "/" + std::to_string(i)));
  in.written()[std::string{key}] = std::move(written);
}

/// A map under `key`, with `read(map_reader&)`.
template <class Read>
bool read_map(map_reader& in, std::string_view key, Read read) {
  const auto* entry = in.take(key);
  if (entry == nullptr)
    return false;
  map_reader below{entry->value, in.pointer_of(key), in.problems()};
  read(below);
  below.finish();
  in.written()[std::string{key}] = std::move(below.written());
  return true;
}

}  // namespace holdfast
