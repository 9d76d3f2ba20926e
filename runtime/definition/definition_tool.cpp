#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include <nlohmann/json.hpp>

#include "runtime/definition/definition_reader.hpp"
#include "runtime/definition/url_template.hpp"
#include "schemas/ids.hpp"

namespace holdfast {

namespace {

using nlohmann::json;

constexpr std::size_t headers_max = 64;
constexpr std::int64_t timeout_ms_max = 3'600'000;
constexpr std::int64_t backoff_ms_max = 24LL * 3'600'000;

constexpr std::array<std::pair<std::string_view, std::string_view>, 6> methods{
  {{"GET", "GET"},
   {"HEAD", "HEAD"},
   {"POST", "POST"},
   {"PUT", "PUT"},
   {"PATCH", "PATCH"},
   {"DELETE", "DELETE"}}};
constexpr std::array<std::pair<std::string_view, effect_class>, 3> classes{
  {{"read", effect_class::read},
   {"idempotent", effect_class::idempotent},
   {"write", effect_class::write}}};
constexpr std::array<std::string_view, 8> own_headers{
  "host",    "content-length", "transfer-encoding", "connection", "idempotency-key", "te",
  "upgrade", "expect"};

std::string lower(std::string_view text) {
  std::string out{text};
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

bool is_header_name(std::string_view name) noexcept {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return !name.empty() && name.size() <= 128 && std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           marks.find(c) != std::string_view::npos;
  });
}

bool is_tool_name(std::string_view name) noexcept {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-';
  });
}

/// What is wrong with one header; empty when nothing is.
std::string header_problem(const document_entry& header) {
  if (!is_header_name(header.key))
    return "not the name of a header";
  const auto name = lower(header.key);
  if (std::find(own_headers.begin(), own_headers.end(), name) != own_headers.end())
    return "this header is set by Holdfast";
  if (!header.value.is_scalar())
    return "expected text";
  const auto& value = header.value.text;
  if (value.size() > map_reader::text_bytes_max)
    return "too long";
  if (std::any_of(value.begin(), value.end(), [](char c) {
        return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7f;
      }))
    return "a line break or another control character in the value";
  if (auto secrets = secret_references(value); !secrets)
    return secrets.error().context;
  return {};
}

void read_headers(map_reader& in, http_call& out) {
  const auto* entry = in.take("headers");
  if (entry == nullptr)
    return;
  if (!entry->value.is_map() || entry->value.entries.size() > headers_max)
    return in.problem(
      entry->value, "/headers",
      "`headers`: expected a map of at most " + std::to_string(headers_max) + " names and values");
  std::set<std::string> names;
  auto written = json::object();
  for (const auto& header : entry->value.entries) {
    auto what = header_problem(header);
    if (what.empty() && !names.insert(lower(header.key)).second)
      what = "this header is here for the second time";
    if (!what.empty()) {
      in.problem({document_node::kind_type::scalar, "", false, header.line, header.column, {}, {}},
                 "/headers" + pointer_step(header.key), "`" + header.key + "`: " + what);
      continue;
    }
    out.headers.emplace_back(header.key, header.value.text);
    written[header.key] = header.value.text;
  }
  std::sort(out.headers.begin(), out.headers.end());
  in.written()["headers"] = std::move(written);
}

/// The placeholders of a URL must be inputs.
void check_inputs(map_reader& in, const std::vector<std::string>& names,
                  const std::string& input_schema) {
  const auto schema = json::parse(input_schema, nullptr, false);
  for (const auto& name : names)
    if (!schema.is_object() || !schema.contains("properties") ||
        !schema["properties"].is_object() || !schema["properties"].contains(name))
      in.problem(in.node().find("url")->value, "/url",
                 "`url`: `{" + name + "}` is not one of the properties of `input`");
}

http_call read_http(map_reader& in, const compilers& with, const std::string& input_schema) {
  http_call out;
  std::string_view method = "GET";
  if (in.choice("method", method, methods))
    out.method = method;
  if (in.text("url", out.url)) {
    if (auto names = url_placeholders(out.url))
      check_inputs(in, *names, input_schema);
    else
      in.problem(in.node().find("url")->value, "/url", "`url`: " + names.error().context);
  } else if (!in.has("url")) {
    in.missing("url", "http:// or https://");
  }
  read_headers(in, out);
  if (read_jq(in, "body", out.body, with) && (method == "GET" || method == "HEAD"))
    in.problem(in.node().find("body")->value, "/body", "`body`: " + out.method + " has none");
  if (in.duration("timeout", out.timeout_ms) && out.timeout_ms > timeout_ms_max)
    in.problem(in.node().find("timeout")->value, "/timeout", "`timeout`: at most 1h");
  return out;
}

void read_retry(map_reader& in, retry_policy& out) {
  in.number("attempts", out.attempts, 1, 100);
  const bool has_backoff = in.duration("backoff", out.backoff_ms);
  const bool has_max = in.duration("max_backoff", out.backoff_ms_max);
  if (has_backoff && !has_max)
    out.backoff_ms_max = std::max(out.backoff_ms_max, out.backoff_ms);
  if (has_max && out.backoff_ms_max < out.backoff_ms)
    in.problem(in.node(), "/max_backoff", "`max_backoff` is less than `backoff`");
  if (out.backoff_ms_max > backoff_ms_max)
    in.problem(in.node(), "/max_backoff", "`max_backoff`: at most 1d");
}

void read_approve(map_reader& in) {
  const auto* entry = in.take("approve");
  if (entry == nullptr)
    return;
  if (entry->value.is_scalar() && entry->value.text == "never")
    in.written()["approve"] = "never";
  else
    in.problem(entry->value, "/approve",
               "`approve` is not available in this release, but for `never`", errc::not_available);
}

void read_name(map_reader& in, tool_definition& out, std::set<std::string, std::less<>>& names) {
  if (!in.text("name", out.name) && !in.has("name"))
    return in.missing("name", "letters, digits, _ and -");
  if (!in.has("name") || out.name.empty())
    return;
  const auto& at = in.node().find("name")->value;
  if (!is_tool_name(out.name))
    in.problem(at, "/name", "`name`: expected 1 to 64 letters, digits, _ and -");
  else if (!names.insert(out.name).second)
    in.problem(at, "/name", "`name`: another tool is called `" + out.name + "` too");
}

void read_input(map_reader& in, tool_definition& out, const compilers& with) {
  if (!read_schema(in, "input", out.input_schema, with))
    return;
  const auto schema = json::parse(out.input_schema, nullptr, false);
  if (schema.is_object() && schema.contains("type") && schema["type"] != "object")
    in.problem(in.node().find("input")->value, "/input",
               "`input`: the input of a tool is an object; write type: object");
}

void read_http_tool(map_reader& in, tool_definition& out, const compilers& with,
                    std::set<std::string, std::less<>>& names) {
  read_name(in, out, names);
  in.text("description", out.description);
  read_input(in, out, with);
  http_call call;
  read_map(in, "http", [&](map_reader& below) { call = read_http(below, with, out.input_schema); });
  out.cls =
    call.method == "GET" || call.method == "HEAD" ? effect_class::read : effect_class::write;
  out.target = std::move(call);
  in.choice("effect", out.cls, classes);
  read_map(in, "retry", [&](map_reader& below) { read_retry(below, out.retry); });
}

/// Sent again with the same key it is the same event, so that a crash in between never makes a second run.
void read_agent_tool(map_reader& in, tool_definition& out, const compilers& with,
                     std::set<std::string, std::less<>>& names) {
  out.cls = effect_class::idempotent;
  read_map(in, "agent", [&](map_reader& below) {
    agent_call call;
    if (!below.text("type", call.type) && !below.has("type"))
      below.missing("type", "the agent's type");
    else if (below.has("type") && !is_valid_type(call.type))
      below.problem(below.node().find("type")->value, "/type",
                    "`type`: expected lower-case letters, digits and -");
    read_name(below, out, names);
    below.text("description", out.description);
    read_input(below, out, with);
    out.target = std::move(call);
  });
}

}  // namespace

tool_definition read_tool(map_reader& in, const compilers& with,
                          std::set<std::string, std::less<>>& names) {
  tool_definition out;
  if (!in.node().is_map() || in.node().entries.empty())
    return out;
  if (in.not_available("mcp"))
    return out;
  const bool is_agent = in.has("agent");
  if (is_agent && in.has("http"))
    in.problem(in.node(), "", "a tool has one of `http` and `agent`, not both");
  if (is_agent) {
    read_agent_tool(in, out, with, names);
  } else {
    read_http_tool(in, out, with, names);
    in.take("agent");  // for the hint of a misspelt key
    if (!in.has("http"))
      in.problem(in.node(), "", "a tool has `http` or `agent`");
  }
  read_approve(in);
  in.finish();
  return out;
}

}  // namespace holdfast
