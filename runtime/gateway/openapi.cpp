#include "runtime/gateway/openapi.hpp"

#include <array>
#include <set>

#include "runtime/gateway/json_writer.hpp"
#include "runtime/gateway/openapi_schemas.hpp"

namespace holdfast {

namespace {

struct described {
  std::string_view name;
  std::string_view text;
  std::string_view schema = R"({"type":"string"})";
};

constexpr std::array query_parameters{
  described{"wait",
            "Answer with the run once it ended, at most so long: a duration such as 30s, up to 5m"},
  described{"limit", "Items of a page at most",
            R"({"type":"integer","minimum":1,"maximum":500,"default":50})"},
  described{"cursor", "`next` of the page before"},
  described{"type", "Only of this type"},
  described{"source", "Only from this source"},
  described{"status", "Only in this status"},
  described{"where", "jq over the document: only those for which it is true"},
  described{"agent", "Only of this agent, type/key"},
  described{"run", "Only of this run"},
  described{"from", "From this position on; of a stream: after this cursor"},
  described{"force", "Also when the nodes that are left and up are no majority",
            R"({"type":"boolean","default":false})"},
  described{"dry_run", "Only say what would change", R"({"type":"boolean","default":false})"},
};

constexpr std::array path_parameters_described{
  described{"type", "Agent type"},
  described{"key", "Agent key, percent-encoded"},
  described{"id", "Id"},
  described{"source", "Name of the hook"},
};

constexpr std::array tags{
  described{"events", "Events in, and where they went"},
  described{"hooks", "Webhooks of other systems"},
  described{"agents", "Agents: what they are, why they wait, and how to steer them"},
  described{"runs", "What one event set off"},
  described{"reconcile", "Writes whose outcome is not known"},
  described{"dead letters", "Events that could not be processed"},
  described{"definitions", "Agent types"},
  described{"approvals", "Calls that wait for a person"},
  described{"schedules", "Events by the clock"},
  described{"budgets", "Limits on spending"},
  described{"kill switch", "Stops new effects everywhere"},
  described{"node", "The node and its cluster"},
};

template <class Rows>
const described* find(const Rows& rows, std::string_view name) noexcept {
  for (const auto& row : rows)
    if (row.name == name)
      return &row;
  return nullptr;
}

/// Calls `each` with every part of `text` between spaces.
template <class F>
void for_each_word(std::string_view text, F&& each) {
  while (!text.empty()) {
    const auto end = text.find(' ');
    if (end != 0)
      each(text.substr(0, end));
    if (end == std::string_view::npos)
      break;
    text.remove_prefix(end + 1);
  }
}

template <class F>
void for_each_path_parameter(std::string_view path, F&& each) {
  for (auto open = path.find('{'); open != std::string_view::npos; open = path.find('{')) {
    const auto close = path.find('}', open);
    each(path.substr(open + 1, close - open - 1));
    path.remove_prefix(close + 1);
  }
}

void write_parameter(json_writer& json, std::string_view name, std::string_view in,
                     const described* known) {
  json.begin_object().field("name", name).field("in", in).field("required", in == "path");
  json.field("description", known != nullptr ? known->text : name);
  json.raw_field("schema",
                 known != nullptr ? known->schema : std::string_view{R"({"type":"string"})"});
  json.end_object();
}

void write_header_parameter(json_writer& json, std::string_view name, std::string_view text) {
  json.begin_object().field("name", name).field("in", "header").field("required", false);
  json.field("description", text).raw_field("schema", R"({"type":"string"})").end_object();
}

void write_parameters(json_writer& json, const api_call& one) {
  json.key("parameters").begin_array();
  for_each_path_parameter(one.path, [&](std::string_view name) {
    write_parameter(json, name, "path", find(path_parameters_described, name));
  });
  for_each_word(one.query, [&](std::string_view name) {
    write_parameter(json, name, "query", find(query_parameters, name));
  });
  if (one.method == "POST" && is_available(one))
    write_header_parameter(json, "Idempotency-Key",
                           "The same request sent again with the same key happens once");
  if (one.method == "PATCH")
    write_header_parameter(json, "If-Match", "The ETag of the state that the patch is for");
  if (one.gives == "stream")
    write_header_parameter(json, "Last-Event-ID", "Go on after this cursor");
  json.end_array();
}

void write_reference(json_writer& json, std::string_view schema) {
  json.key("schema")
    .begin_object()
    .field("$ref", "#/components/schemas/" + std::string{schema})
    .end_object();
}

void write_body(json_writer& json, const api_call& one) {
  if (one.takes.empty())
    return;
  const bool optional = one.takes == "Reason" || one.takes == "RetryRequest";
  json.key("requestBody").begin_object().field("required", !optional).key("content").begin_object();
  if (one.method == "PATCH") {
    json.key("application/merge-patch+json").begin_object();
    write_reference(json, one.takes);
    json.end_object();
  }
  for_each_word(media_types_of(one.takes), [&](std::string_view type) {
    json.key(type).begin_object();
    write_reference(json, one.takes);
    json.end_object();
  });
  json.end_object().end_object();
}

void write_success(json_writer& json, unsigned number, std::string_view text,
                   std::string_view schema) {
  json.key(std::to_string(number)).begin_object().field("description", text);
  if (!schema.empty()) {
    json.key("content").begin_object();
    if (schema == "stream" || schema == "text" || schema == "backup") {
      json
        .key(schema == "stream"   ? "text/event-stream"
             : schema == "backup" ? "application/vnd.holdfast.backup"
                                  : "text/plain")
        .begin_object();
      json.raw_field("schema", R"({"type":"string"})").end_object();
    } else {
      json.key("application/json").begin_object();
      write_reference(json, schema);
      json.end_object();
    }
    json.end_object();
  }
  if (number == 202)
    json.raw_field(
      "headers",
      R"({"Location":{"description":"What it became","schema":{"type":"string"}},)"
      R"("X-Request-Id":{"description":"Names this request in logs","schema":{"type":"string"}}})");
  json.end_object();
}

void write_responses(json_writer& json, const api_call& one) {
  json.key("responses").begin_object();
  if (is_available(one)) {
    write_success(json, one.success, "Done", one.gives);
    if (one.operation == "sendAgentEvent")
      write_success(json, 200, "The run that it set off, ended, when `wait` was given", "Run");
    if (one.operation == "deliverHook")
      write_success(json, 200, "A delivery that was taken before", one.gives);
    if (one.operation == "getReadiness")
      json.key("503").begin_object().field("$ref", "#/components/responses/Problem").end_object();
  } else {
    write_success(json, 200, "When a later release delivers it", {});
    json.key("422").begin_object().field("$ref", "#/components/responses/Problem").end_object();
  }
  json.key("4XX").begin_object().field("$ref", "#/components/responses/Problem").end_object();
  json.end_object();
}

void write_operation(json_writer& json, const api_call& one) {
  std::string method;
  for (const char c : one.method)
    method += static_cast<char>(c - 'A' + 'a');
  json.key(method).begin_object();
  json.field("operationId", one.operation);
  json.key("tags").begin_array().value(one.tag).end_array();
  json.field("summary", one.summary);
  std::string description = std::string{one.summary} + ".";
  if (one.access.needs != permission::none)
    description += " Where auth is on, it takes a key with the role " +
                   std::string{roles_with(one.access.needs)} + ".";
  if (!is_available(one))
    description += " Not part of this release: 422 not_available.";
  json.field("description", description);
  if (one.access.needs == permission::none)
    json.raw_field("security", "[]");
  write_parameters(json, one);
  write_body(json, one);
  write_responses(json, one);
  json.end_object();
}

/// Those that a call or another schema refers to, and what they refer to.
std::set<std::string_view> used_schemas(std::span<const api_call> calls) {
  std::set<std::string_view> used{"Problem"};
  for (const auto& one : calls) {
    used.insert(one.takes);
    used.insert(one.gives);
  }
  used.insert("Run");
  for (std::size_t before = 0; before != used.size();) {
    before = used.size();
    for (const auto& schema : api_schemas())
      if (used.contains(schema.name))
        for (const auto& other : api_schemas())
          if (schema.json.find("/" + std::string{other.name} + "\"") != std::string_view::npos)
            used.insert(other.name);
  }
  return used;
}

void write_components(json_writer& json, std::span<const api_call> calls) {
  const auto used = used_schemas(calls);
  json.key("components").begin_object();
  json.raw_field(
    "securitySchemes",
    R"({"bearer":{"type":"http","scheme":"bearer","description":"An API key, where auth is on"}})");
  json.raw_field(
    "responses",
    R"({"Problem":{"description":"Why not, as of RFC 9457","content":{"application/problem+json":)"
    R"({"schema":{"$ref":"#/components/schemas/Problem"}}}}})");
  json.key("schemas").begin_object();
  for (const auto& schema : api_schemas())
    if (used.contains(schema.name))
      json.raw_field(schema.name, schema.json);
  json.end_object().end_object();
}

}  // namespace

std::string openapi_document(std::span<const api_call> calls) {
  std::string out;
  json_writer json{out};
  json.begin_object();
  json.field("openapi", "3.1.0");
  json.raw_field(
    "info",
    R"({"title":"Holdfast","version":"1","summary":"A durable agent runtime",)"
    R"("description":"Events in, runs out: every step on disk before anything acts on it.",)"
    R"("contact":{"name":"Holdfast","url":"https://github.com/holdfast"},)"
    R"("license":{"name":"Apache-2.0","identifier":"Apache-2.0"}})");
  json.raw_field("servers", R"([{"url":"/","description":"This node"}])");
  json.raw_field("security", R"([{},{"bearer":[]}])");
  json.key("tags").begin_array();
  for (const auto& tag : tags)
    json.begin_object().field("name", tag.name).field("description", tag.text).end_object();
  json.end_array();
  json.key("paths").begin_object();
  std::set<std::string_view> written;
  for (const auto& first : calls) {
    if (first.method == "*" || !written.insert(first.path).second)
      continue;
    json.key(first.path).begin_object();
    for (const auto& one : calls)
      if (one.path == first.path && one.method != "*")
        write_operation(json, one);
    json.end_object();
  }
  json.end_object();
  write_components(json, calls);
  json.end_object();
  return out;
}

}  // namespace holdfast
