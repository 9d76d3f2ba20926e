#include "runtime/model/scripted.hpp"

#include <algorithm>
#include <initializer_list>
#include <optional>
#include <span>
#include <utility>

#include "runtime/expression/nearest_name.hpp"
#include "runtime/model/bounded_json.hpp"
#include "runtime/model/http_failure.hpp"
#include "runtime/model/openai.hpp"
#include "runtime/model/script_template.hpp"
#include "runtime/model/text.hpp"
#include "schemas/units.hpp"

namespace holdfast::model {

namespace {

// ---- reading a script --------------------------------------------------------------------------

/// An object, and nothing in it but these keys.
status check_object(const ordered_json& value, const std::string& place,
                    std::initializer_list<std::string_view> keys) {
  if (!value.is_object())
    return wrong_at(place.empty() ? "script" : place, "must be an object");
  for (const auto& [key, member] : value.items()) {
    if (std::find(keys.begin(), keys.end(), key) != keys.end())
      continue;
    const std::string shown = one_line(key, 64);
    const std::span<const std::string_view> known{keys.begin(), keys.size()};
    const auto nearest = did_you_mean(shown, known);
    return wrong_at(
      place.empty() ? shown : place + "." + shown,
      "unknown key" + (nearest.empty() ? "; valid are " + list_of(known, "and") : nearest));
  }
  return ok_status();
}

result<std::string> read_string(const ordered_json& value, const std::string& place) {
  if (!value.is_string())
    return wrong_at(place, "must be a string");
  return value.get<std::string>();
}

result<std::uint64_t> read_count(const ordered_json& value, const std::string& place) {
  constexpr std::uint64_t most = 1'000'000'000;
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > most)
    return wrong_at(place, "must be a whole number from 0 to " + std::to_string(most));
  return value.get<std::uint64_t>();
}

}  // namespace

struct script::turn {
  struct call {
    std::string tool;
    json_template input;
  };

  std::size_t number = 0;  // in the file, from 0
  std::string contains;
  std::string after_tool;
  text_template text;
  std::vector<call> calls;
  std::int64_t chunk_delay_ms = 0;
  std::optional<usage> used;
  unsigned fail_status = 0;  // 0: succeeds

  static result<turn> read(const ordered_json& from, std::size_t number, const compilers& with);
  status read_when(const ordered_json& from, const std::string& place);
  status read_calls(const ordered_json& from, const std::string& place, const compilers& with);
  status read_usage(const ordered_json& from, const std::string& place);
  bool fits(const message& last) const;
};

status script::turn::read_when(const ordered_json& from, const std::string& place) {
  if (auto keys = check_object(from, place, {"contains", "after_tool"}); !keys)
    return keys;
  for (const auto& [key, target] :
       {std::pair{"contains", &contains}, std::pair{"after_tool", &after_tool}}) {
    if (!from.contains(key))
      continue;
    auto wanted = read_string(from[key], place + "." + key);
    if (!wanted)
      return wanted.error();
    if (wanted->empty())
      return wrong_at(place + "." + key, "must not be empty; leave it out to match everything");
    *target = std::move(*wanted);
  }
  return ok_status();
}

status script::turn::read_calls(const ordered_json& from, const std::string& place,
                                const compilers& with) {
  if (!from.is_array() || from.empty())
    return wrong_at(place, "must be a list of { tool, input }");
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto here = place + "[" + std::to_string(i) + "]";
    if (auto keys = check_object(from[i], here, {"tool", "input"}); !keys)
      return keys;
    if (!from[i].contains("tool"))
      return wrong_at(here, "`tool` is missing");
    auto tool = read_string(from[i]["tool"], here + ".tool");
    if (!tool)
      return tool.error();
    call one;
    one.tool = std::move(*tool);
    if (from[i].contains("input")) {
      auto input = json_template::compile(from[i]["input"], here + ".input", with);
      if (!input)
        return input.error();
      one.input = std::move(*input);
    }
    calls.push_back(std::move(one));
  }
  return ok_status();
}

status script::turn::read_usage(const ordered_json& from, const std::string& place) {
  if (auto keys =
        check_object(from, place, {"input_tokens", "output_tokens", "cached_input_tokens"});
      !keys)
    return keys;
  used.emplace();
  for (const auto& [key, target] : {std::pair{"input_tokens", &used->input_tokens},
                                    std::pair{"output_tokens", &used->output_tokens},
                                    std::pair{"cached_input_tokens", &used->cached_input_tokens}}) {
    if (!from.contains(key))
      continue;
    auto count = read_count(from[key], place + "." + key);
    if (!count)
      return count.error();
    *target = *count;
  }
  return ok_status();
}

result<script::turn> script::turn::read(const ordered_json& from, std::size_t number,
                                        const compilers& with) {
  const auto place = "turns[" + std::to_string(number) + "]";
  if (auto keys =
        check_object(from, place, {"when", "text", "call", "chunk_delay", "usage", "fail"});
      !keys)
    return keys.error();
  turn out;
  out.number = number;
  if (from.contains("when"))
    if (auto read = out.read_when(from["when"], place + ".when"); !read)
      return read.error();
  if (from.contains("text")) {
    auto text = read_string(from["text"], place + ".text");
    if (!text)
      return text.error();
    auto compiled = text_template::compile(*text, place + ".text", with);
    if (!compiled)
      return compiled.error();
    out.text = std::move(*compiled);
  }
  if (from.contains("call"))
    if (auto read = out.read_calls(from["call"], place + ".call", with); !read)
      return read.error();
  if (from.contains("chunk_delay")) {
    auto text = read_string(from["chunk_delay"], place + ".chunk_delay");
    if (!text)
      return text.error();
    auto delay = parse_duration_ms(*text);
    if (!delay)
      return wrong_at(place + ".chunk_delay", delay.error().context);
    out.chunk_delay_ms = *delay;
  }
  if (from.contains("usage"))
    if (auto read = out.read_usage(from["usage"], place + ".usage"); !read)
      return read.error();
  if (from.contains("fail")) {
    const auto& status = from["fail"];
    if (!status.is_number_unsigned() || status.get<std::uint64_t>() < 400 ||
        status.get<std::uint64_t>() > 599)
      return wrong_at(place + ".fail", "must be an HTTP status from 400 to 599");
    out.fail_status = status.get<unsigned>();
  }
  if (!from.contains("text") && !from.contains("call") && !from.contains("fail"))
    return wrong_at(place, "needs one of `text`, `call`, `fail`");
  return out;
}

bool script::turn::fits(const message& last) const {
  if (!contains.empty() && last.content.find(contains) == std::string::npos)
    return false;
  return after_tool.empty() || (last.role == message_role::tool && last.tool_name == after_tool);
}

script::script() = default;
script::~script() = default;

result<std::shared_ptr<const script>> script::parse(std::string_view text, const compilers& with) {
  const auto document = parse_ordered_json(text);
  if (!document)
    return error{errc::schema, "script: not JSON, or nested too deep"};
  if (auto keys = check_object(*document, {}, {"turns"}); !keys)
    return keys.error();
  if (!document->contains("turns") || !(*document)["turns"].is_array() ||
      (*document)["turns"].empty())
    return wrong_at("turns", "must be a list of turns");
  std::shared_ptr<script> out{new script};
  for (const auto& one : (*document)["turns"]) {
    auto read = turn::read(one, out->turns_.size(), with);
    if (!read)
      return read.error();
    out->turns_.push_back(std::move(*read));
  }
  return std::shared_ptr<const script>{std::move(out)};
}

// ---- answering ---------------------------------------------------------------------------------

namespace {

/// Each word with the white space behind it.
std::vector<std::string> words_of(const std::string& text) {
  const auto is_space = [](char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; };
  std::vector<std::string> words;
  std::size_t from = 0;
  for (std::size_t i = 1; i < text.size(); ++i)
    if (is_space(text[i - 1]) && !is_space(text[i])) {
      words.push_back(text.substr(from, i - from));
      from = i;
    }
  if (from < text.size())
    words.push_back(text.substr(from));
  return words;
}

/// What the templates see.
std::string document_of(const message& last) {
  if (is_json(last.content))
    return last.content;
  return to_text(json{{"content", last.content}});
}

answer failed(attempt_outcome outcome) {
  answer out;
  out.outcome = std::move(outcome);
  out.outcome.used.model_calls = 1;
  return out;
}

answer script_error(std::size_t number, const error& why) {
  return failed(
    failed_attempt(failure_kind::rejected, "script_error",
                   "turns[" + std::to_string(number) +
                     "] of the script failed on the last message: " + one_line(why.context, 300)));
}

answer no_match(const message& last) {
  return failed(failed_attempt(
    failure_kind::rejected, "script_no_match",
    "no turn of the script fits the last message; it is from " + std::string{to_string(last.role)} +
      (last.tool_name.empty() ? "" : " " + one_line(last.tool_name, 64)) +
      " and begins: " + one_line(last.content, 80)));
}

usage lengths_of(const request& asked, const model_reply& reply) {
  std::uint64_t bytes = reply.text.size();
  for (const auto& call : reply.tool_calls)
    bytes += call.name.size() + call.arguments.size();
  usage used;
  used.input_tokens = estimate_input_tokens(asked);
  used.output_tokens = estimate_tokens(bytes);
  return used;
}

}  // namespace

scripted_answer script::answer_to(const request& asked, const price& at) const {
  const message none;
  const auto& last = asked.messages.empty() ? none : asked.messages.back();
  const auto found =
    std::find_if(turns_.begin(), turns_.end(), [&](const turn& t) { return t.fits(last); });
  scripted_answer out;
  if (found == turns_.end()) {
    out.end = no_match(last);
    return out;
  }
  const auto document = document_of(last);
  auto text = found->text.render(document);
  if (!text) {
    out.end = script_error(found->number, text.error());
    return out;
  }
  out.chunk_delay_ms = found->chunk_delay_ms;
  model_reply reply;
  for (std::size_t i = 0; i < found->calls.size(); ++i) {
    auto input = found->calls[i].input.render(document);
    if (!input) {
      out.end = script_error(found->number, input.error());
      return out;
    }
    // Different in every turn of a conversation, the same whenever the turn is made again.
    reply.tool_calls.push_back(
      {"call_" + std::to_string(asked.messages.size()) + "_" + std::to_string(i),
       found->calls[i].tool, std::move(*input)});
  }
  out.chunks = words_of(*text);
  if (found->fail_status != 0) {
    out.end =
      failed(openai_http_failure(found->fail_status, {}, R"({"error":"the script says so"})", 0));
    return out;
  }
  reply.text = std::move(*text);
  reply.finish_reason = reply.tool_calls.empty() ? "stop" : "tool_calls";
  reply.model = asked.model.empty() ? "scripted" : asked.model;
  out.end.outcome.status = outcome_status::succeeded;
  out.end.outcome.used = found->used ? *found->used : lengths_of(asked, reply);
  out.end.outcome.used.model_calls = 1;
  out.end.outcome.used.cost = cost_of(out.end.outcome.used, at);
  out.end.outcome.reply = std::move(reply);
  out.end.usage_estimated = !found->used;
  return out;
}

}  // namespace holdfast::model
