// `describe` and `why`: the part of document_view.hpp that writes sentences.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tools/holdfast/display_text.hpp"
#include "tools/holdfast/document_view.hpp"
#include "tools/holdfast/time_text.hpp"
#include "tools/holdfast/yaml_writer.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

bool is_time_field(std::string_view name) {
  return name.ends_with("_at") || name == "at" || name == "since" || name == "until" ||
         name == "time";
}

std::string label_of(std::string name) {
  std::replace(name.begin(), name.end(), '_', ' ');
  if (!name.empty())
    name[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(name[0])));
  return name;
}

bool is_flat(const json& value) {
  return std::none_of(value.begin(), value.end(),
                      [](const json& member) { return member.is_structured(); });
}

std::string inline_text(const json& value) {
  std::string text;
  for (const auto& [name, member] : value.items()) {
    if (member.is_null())
      continue;
    text += text.empty() ? "" : ", ";
    text += value.is_array() ? scalar_text(member) : name + " " + scalar_text(member);
  }
  return text;
}

std::string indented(const std::string& text, std::size_t indent) {
  std::string out;
  std::size_t at = 0;
  while (at < text.size()) {
    const auto end = std::min(text.find('\n', at), text.size());
    out.append(indent, ' ').append(text, at, end - at) += '\n';
    at = end + 1;
  }
  return out;
}

void add_field(std::string& out, const std::string& name, const json& value, std::size_t width,
               const view_options& options) {
  if (value.is_null() || (value.is_structured() && value.empty()))
    return;
  const auto label = padded(label_of(name) + ":", width + 2);
  std::string text;
  if (value.is_structured() && is_flat(value))
    text = inline_text(value);
  if (value.is_structured() && (text.empty() || display_width(text) > 80)) {
    out += label_of(name) + ":\n" + indented(printable(to_yaml(value), line_breaks::kept), 2);
    return;
  }
  if (!value.is_structured())
    text = is_time_field(name) ? relative_time(scalar_text(value), options.now, true)
                               : scalar_text(value);
  if (text.find('\n') != std::string::npos)
    out += label_of(name) + ":\n" + indented(printable(text, line_breaks::kept), 2);
  else
    out += label + printable(text) + "\n";
}

std::string unblock_text(const json& unblock) {
  if (unblock.is_string())
    return unblock.get<std::string>();
  if (!unblock.is_object())
    return {};
  if (auto command = text_at(unblock, "command"); !command.empty())
    return command;
  const auto http = unblock.find("http");
  if (http == unblock.end() || !http->is_object())
    return {};
  return text_at(*http, "method") + " " + text_at(*http, "path");
}

void add_cause(std::string& out, const json& cause, const view_options& options) {
  if (!cause.is_object()) {
    out += "Cause:    " + printable(scalar_text(cause)) + "\n";
    return;
  }
  auto line = text_at(cause, "kind");
  if (auto since = text_at(cause, "since"); !since.empty())
    line += ", since " + relative_time(since, options.now, options.wide);
  if (auto until = text_at(cause, "until"); !until.empty())
    line += ", until " + relative_time(until, options.now, options.wide);
  if (auto detail = text_at(cause, "detail"); !detail.empty())
    line += ": " + detail;
  line = printable(line);
  out += "Cause:    " + (options.colour ? tinted(line, tint::busy) : line) + "\n";
  const auto unblock = cause.find("unblock");
  const auto command = unblock == cause.end() ? std::string{} : unblock_text(*unblock);
  if (!command.empty())
    out += "Unblock:  " + printable(command) + "\n";
}

void add_causes(std::string& out, const json& document, const view_options& options) {
  const auto causes = document.find("causes");
  if (causes != document.end() && causes->is_array()) {
    for (const auto& cause : *causes)
      add_cause(out, cause, options);
    return;
  }
  const auto cause = document.find("cause");
  if (cause != document.end() && !cause->is_null())
    add_cause(out, *cause, options);
}

/// A run that failed: why, and how to go on.
void add_error(std::string& out, const json& document, const view_options& options) {
  const auto error = document.find("error");
  if (error == document.end() || error->is_null())
    return;
  auto line = error->is_object() ? text_at(*error, "code") + ": " + text_at(*error, "message")
                                 : scalar_text(*error);
  if (error->is_object() && !text_at(*error, "effect").empty())
    line += " (effect " + text_at(*error, "effect") + ")";
  line = printable(line);
  out += "Cause:    " + (options.colour ? tinted(line, tint::bad) : line) + "\n";
  if (auto run = text_at(document, "run_id"); !run.empty())
    out += "Unblock:  holdfast run retry " + run + "\n";
}

}  // namespace

std::string description_of(const json& document, const view_options& options) {
  if (!document.is_object())
    return printable(to_yaml(document), line_breaks::kept);
  const auto is_ending = [](std::string_view name) {
    return name == "cause" || name == "causes" || name == "error" || name == "kind";
  };
  std::size_t width = 0;
  for (const auto& [name, value] : document.items())
    if (!is_ending(name) && !value.is_null())
      width = std::max(width, name.size());
  std::string out;
  for (const auto& [name, value] : document.items())
    if (!is_ending(name))
      add_field(out, name, value, width, options);
  add_error(out, document, options);
  add_causes(out, document, options);
  return out;
}

std::string explanation_of(const json& why, const view_options& options) {
  const auto agent = text_at(why, "agent");
  auto out = printable(agent + " is " + text_at(why, "status")) + "\n";
  const auto causes = why.find("causes");
  if (causes == why.end() || causes->empty())
    return out + "Cause:    none: it waits for its next event\nUnblock:  holdfast agent send " +
           printable(agent) + " --data '{}'\n";
  add_causes(out, why, options);
  return out;
}

}  // namespace holdfast::cli
