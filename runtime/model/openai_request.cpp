// Request → body.

#include <utility>

#include "runtime/model/bounded_json.hpp"
#include "runtime/model/conversation.hpp"
#include "runtime/model/openai.hpp"
#include "runtime/model/text.hpp"
#include "runtime/net/url.hpp"

namespace holdfast::model {

namespace {

constexpr std::size_t name_bytes_max = 64;  // of a function, by OpenAI's rule

/// OpenAI refuses the whole conversation when a function name in it has other characters. A model
/// can make one up.
std::string function_name(std::string_view name) {
  std::string out{name.substr(0, name_bytes_max)};
  for (auto& c : out)
    if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
          c == '-'))
      c = '_';
  return out.empty() ? "unnamed" : out;
}

/// Some servers read the arguments of earlier calls and refuse the conversation when they are no
/// JSON object.
std::string sendable_arguments(const std::string& arguments) {
  if (const auto parsed = parse_json(arguments); parsed && parsed->is_object())
    return arguments;
  return to_text(ordered_json{{"invalid_arguments", to_utf8(cut_at(arguments, 4'096))}});
}

ordered_json encode_calls(const std::vector<tool_call>& calls) {
  ordered_json out = json::array();
  for (const auto& call : calls)
    out.push_back(
      {{"id", call.id},
       {"type", "function"},
       {"function",
        {{"name", function_name(call.name)}, {"arguments", sendable_arguments(call.arguments)}}}});
  return out;
}

ordered_json encode_message(const message& m) {
  ordered_json out{{"role", to_string(m.role)}};
  if (m.role == message_role::tool)
    out["tool_call_id"] = m.tool_call_id;
  if (m.role == message_role::assistant && !m.tool_calls.empty()) {
    out["content"] = m.content.empty() ? ordered_json(nullptr) : ordered_json(m.content);
    out["tool_calls"] = encode_calls(m.tool_calls);
  } else {
    out["content"] = m.content;
  }
  return out;
}

result<ordered_json> encode_tools(const std::vector<tool_signature>& tools) {
  ordered_json out = json::array();
  for (const auto& tool : tools) {
    auto schema = parse_ordered_json(tool.input_schema);
    if (!schema || !schema->is_object())
      return error{errc::schema, "tool " + tool.name + ": its input schema is not a JSON object"};
    ordered_json function{{"name", tool.name}};
    if (!tool.description.empty())
      function["description"] = tool.description;
    function["parameters"] = std::move(*schema);
    out.push_back({{"type", "function"}, {"function", std::move(function)}});
  }
  return out;
}

}  // namespace

openai_dialect openai_dialect_for(std::string_view base_url) {
  const auto url = net::parse_url(base_url);
  const bool newest = url && (url->host == "api.openai.com" || url->host.ends_with(".openai.com") ||
                              url->host.ends_with(".openai.azure.com"));
  return {.new_output_limit = newest, .stream_usage = true};
}

std::string openai_chat_url(std::string_view base_url) {
  while (base_url.ends_with('/'))
    base_url.remove_suffix(1);
  return std::string{base_url} + "/chat/completions";
}

result<std::string> encode_openai_chat(const request& asked, const openai_dialect& dialect) {
  ordered_json body{{"model", asked.model}};
  ordered_json messages = json::array();
  if (!asked.instructions.empty())
    messages.push_back({{"role", "system"}, {"content", asked.instructions}});
  for (const auto& m : with_matching_results(asked.messages))
    messages.push_back(encode_message(m));
  body["messages"] = std::move(messages);
  if (!asked.tools.empty()) {
    auto tools = encode_tools(asked.tools);
    if (!tools)
      return tools.error();
    body["tools"] = std::move(*tools);
  }
  if (asked.temperature)
    body["temperature"] = *asked.temperature;
  if (asked.output_tokens_max != 0)
    body[dialect.new_output_limit ? "max_completion_tokens" : "max_tokens"] =
      asked.output_tokens_max;
  if (!asked.output_schema.empty()) {
    auto schema = parse_ordered_json(asked.output_schema);
    if (!schema)
      return error{errc::schema, "output.schema is not JSON"};
    // Not `strict`: that mode refuses most schemas (every property required, none additional). The
    // answer is checked.
    body["response_format"] = {
      {"type", "json_schema"},
      {"json_schema", {{"name", "output"}, {"schema", std::move(*schema)}}}};
  }
  body["stream"] = true;
  if (dialect.stream_usage)
    body["stream_options"] = {{"include_usage", true}};
  return to_text(body);
}

}  // namespace holdfast::model
