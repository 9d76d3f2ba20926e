#include "tools/holdfast/yaml_writer.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// A string that no YAML reader takes for anything else when it stands without quotes.
bool is_plain(std::string_view text) {
  static constexpr std::array<std::string_view, 10> words{"true", "false", "null", "yes", "no",
                                                          "on",   "off",   "y",    "n",   "nan"};
  if (text.empty() || !(is_letter(text[0]) || text[0] == '/') || text.back() == ' ')
    return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    const bool inner = is_letter(c) || (c >= '0' && c <= '9') ||
                       std::string_view{" _-./@+()%=;"}.find(c) != std::string_view::npos;
    const bool colon = c == ':' && i + 1 < text.size() && text[i + 1] != ' ';
    if (!inner && !colon)
      return false;
  }
  std::string lower{text};
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(words.begin(), words.end(), lower) == words.end();
}

/// Text of several lines that the `|` style gives back unchanged.
bool is_block_text(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || text[0] == ' ' || text[0] == '\n')
    return false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto c = static_cast<unsigned char>(text[i]);
    if ((c < 0x20 && c != '\n') || c == 0x7f)
      return false;
    if (c == '\n' && i > 0 && text[i - 1] == ' ')
      return false;
    // U+0085, U+2028, U+2029 break lines in YAML 1.1, U+FEFF is dropped.
    if (c == 0xc2 || c == 0xe2 || c == 0xef)
      return false;
  }
  return text.back() != ' ';
}

std::string quoted(const std::string& text) {
  // A JSON string in ASCII is a YAML double-quoted string.
  return json(text).dump(-1, ' ', true, json::error_handler_t::replace);
}

void write_block_text(std::string& out, std::string_view text, std::size_t indent) {
  std::size_t feeds = 0;
  while (feeds < text.size() && text[text.size() - 1 - feeds] == '\n')
    ++feeds;
  out += feeds == 0 ? "|-\n" : feeds == 1 ? "|\n" : "|+\n";
  if (feeds > 0)
    text.remove_suffix(1);
  std::size_t at = 0;
  while (at <= text.size()) {
    const auto end = std::min(text.find('\n', at), text.size());
    if (end > at)
      out.append(indent, ' ').append(text.substr(at, end - at));
    out += '\n';
    at = end + 1;
  }
}

void write_value(std::string& out, const json& value, std::size_t indent, bool after_dash);

void write_members(std::string& out, const json& object, std::size_t indent, bool after_dash) {
  bool first = after_dash;
  for (const auto& [name, value] : object.items()) {
    if (!first)
      out.append(indent, ' ');
    first = false;
    out += is_plain(name) ? name : quoted(name);
    out += ':';
    write_value(out, value, indent, false);
  }
}

void write_items(std::string& out, const json& array, std::size_t indent, bool after_dash) {
  bool first = after_dash;
  for (const auto& value : array) {
    if (!first)
      out.append(indent, ' ');
    first = false;
    out += '-';
    write_value(out, value, indent, true);
  }
}

/// Writes what stands behind `name:` or `-`, up to and including the end of its last line.
void write_value(std::string& out, const json& value, std::size_t indent, bool after_dash) {
  if (value.is_structured() && !value.empty()) {
    const bool inline_start = after_dash;
    out += inline_start ? " " : "\n";
    const auto deeper = value.is_array() && !after_dash ? indent : indent + 2;
    if (!inline_start && value.is_object())
      write_members(out, value, indent + 2, false);
    else if (value.is_object())
      write_members(out, value, indent + 2, true);
    else
      write_items(out, value, deeper, inline_start);
    return;
  }
  out += ' ';
  if (!value.is_string()) {
    out += value.dump() + "\n";
    return;
  }
  const auto& text = value.get_ref<const std::string&>();
  if (is_block_text(text))
    write_block_text(out, text, indent + 2);
  else
    out += (is_plain(text) ? text : quoted(text)) + "\n";
}

}  // namespace

std::string to_yaml(const json& value) {
  std::string out;
  if (value.is_object() && !value.empty())
    write_members(out, value, 0, false);
  else if (value.is_array() && !value.empty())
    write_items(out, value, 0, false);
  else {
    write_value(out, value, 0, false);
    out.erase(0, 1);
  }
  return out;
}

}  // namespace holdfast::cli
