#include "runtime/definition/definition_parser.hpp"

#include <algorithm>
#include <array>
#include <set>
#include <utility>

#include <nlohmann/json.hpp>

#include "runtime/definition/definition_reader.hpp"
#include "runtime/expression/nearest_name.hpp"

namespace holdfast {

namespace {

constexpr std::array<std::string_view, 2> kinds{"agent", "hook"};

const std::string& name_of(const definition& def) {
  if (const auto* agent = std::get_if<agent_definition>(&def))
    return agent->type;
  return std::get<hook_definition>(def).source;
}

bool check_kind(map_reader& in, const document_entry* kind) {
  if (kind == nullptr) {
    in.missing("kind", list_of(kinds, "or"));
    return false;
  }
  const std::string_view name = kind->value.text;
  if (name == "policy") {
    in.problem(kind->value, "/kind", "`kind`: `policy` is not available in this release",
               errc::not_available);
    return false;
  }
  if (std::find(kinds.begin(), kinds.end(), name) == kinds.end()) {
    in.problem(kind->value, "/kind",
               "`kind`: expected " + list_of(kinds, "or") + ", not `" +
                 std::string{name.substr(0, 80)} + "`" + did_you_mean(name, kinds));
    return false;
  }
  return true;
}

parsed_definition read_document(const document_node& node, const compilers& with,
                                std::vector<document_problem>& problems) {
  parsed_definition out;
  out.line = node.line;
  map_reader in{node, "", problems};
  if (!node.is_map())
    return out;
  const auto* kind = in.take("kind");
  if (!check_kind(in, kind))
    return out;
  out.kind = kind->value.text;
  if (out.kind == "agent")
    out.definition = read_agent(in, with);
  else
    out.definition = read_hook(in, with);
  in.finish();
  in.written()["kind"] = out.kind;
  out.name = name_of(out.definition);
  out.canonical_json = in.written().dump();
  return out;
}

definition_problem with_file(document_problem problem, std::string_view file) {
  return {std::string{file},          problem.line, problem.column,
          std::move(problem.pointer), problem.code, one_line(std::move(problem.message))};
}

void check_names(const std::vector<parsed_definition>& items,
                 std::vector<document_problem>& problems) {
  std::set<std::pair<std::string, std::string>> seen;
  for (const auto& item : items)
    if (!item.name.empty() && !seen.emplace(item.kind, item.name).second)
      problems.push_back({item.line, 1, "", errc::schema,
                          item.kind + " `" + item.name + "` is here for the second time"});
}

}  // namespace

bool read_jq(map_reader& in, std::string_view key, std::string& out, const compilers& with) {
  if (!in.text(key, out))
    return false;
  if (!with.jq)
    return true;
  auto compiled = with.jq(out);
  if (!compiled)
    in.problem(in.node().find(key)->value, pointer_step(key),
               "`" + std::string{key} + "`: " + compiled.error().context);
  return static_cast<bool>(compiled);
}

bool read_schema(map_reader& in, std::string_view key, std::string& out, const compilers& with) {
  const auto* entry = in.take(key);
  if (entry == nullptr)
    return false;
  auto schema = to_json(entry->value);
  if (!schema.is_object() && !schema.is_boolean()) {
    in.problem(entry->value, pointer_step(key),
               "`" + std::string{key} + "`: expected a JSON Schema, a map");
    return false;
  }
  out = schema.dump();
  in.written()[std::string{key}] = std::move(schema);
  if (!with.json_schema)
    return true;
  auto compiled = with.json_schema(out);
  if (!compiled) {
    auto text = compiled.error().context;
    for (auto at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2))
      text.replace(at, 1, "; ");
    in.problem(entry->value, pointer_step(key), "`" + std::string{key} + "`: " + text);
  }
  return static_cast<bool>(compiled);
}

std::string to_string(const definition_problem& problem) {
  std::string out = problem.file;
  if (problem.line != 0)
    out += ":" + std::to_string(problem.line);
  if (problem.line != 0 && problem.column != 0)
    out += ":" + std::to_string(problem.column);
  return (out.empty() ? out : out + ": ") + problem.message;
}

parsed_definitions parse_definitions(std::string_view text, std::string_view file_name,
                                     const compilers& with) {
  parsed_definitions out;
  auto parsed = parse_documents(text);
  auto& problems = parsed.problems;
  for (const auto& node : parsed.documents)
    out.items.push_back(read_document(node, with, problems));
  check_names(out.items, problems);
  std::stable_sort(problems.begin(), problems.end(), [](const auto& a, const auto& b) {
    return std::pair{a.line, a.column} < std::pair{b.line, b.column};
  });
  for (auto& problem : problems)
    out.problems.push_back(with_file(std::move(problem), file_name));
  if (!out.problems.empty())
    out.items.clear();
  return out;
}

error to_error(const std::vector<definition_problem>& problems) {
  error out{errc::ok, ""};
  bool all_not_available = true;
  for (const auto& problem : problems) {
    all_not_available &= problem.code == errc::not_available;
    if (out.code == errc::ok && problem.code != errc::not_available)
      out.code = problem.code;
    out.context += (out.context.empty() ? "" : "\n") + to_string(problem);
  }
  if (all_not_available && !problems.empty())
    out.code = errc::not_available;
  return out;
}

result<definition> definition_from_json(std::string_view kind, std::string_view canonical_json) {
  auto parsed = parse_definitions(canonical_json, "", compilers{});
  if (!parsed)
    return error{errc::corrupt,
                 "a stored definition cannot be read: " + to_error(parsed.problems).context};
  if (parsed.items.size() != 1 || parsed.items.front().kind != kind)
    return error{errc::corrupt, "a stored definition is not of kind " + std::string{kind}};
  return std::move(parsed.items.front().definition);
}

std::vector<std::string> secrets_used(const definition& def) {
  std::set<std::string> names;
  if (const auto* hook = std::get_if<hook_definition>(&def))
    names.insert(hook->secrets.begin(), hook->secrets.end());
  else
    for (const auto& tool : std::get<agent_definition>(def).tools)
      if (const auto* http = std::get_if<http_call>(&tool.target))
        for (const auto& [name, value] : http->headers)
          if (auto found = secret_references(value))
            names.insert(found->begin(), found->end());
  return {names.begin(), names.end()};
}

}  // namespace holdfast
