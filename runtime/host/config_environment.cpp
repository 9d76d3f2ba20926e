#include "runtime/host/config_environment.hpp"

#include <unistd.h>
#include <algorithm>
#include <cstddef>
#include <optional>

namespace holdfast {

namespace {

constexpr std::string_view blanks = " \t\r";

std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos)
    return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

bool is_name(std::string_view name) noexcept {
  const auto fits = [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  };
  return !name.empty() && !(name.front() >= '0' && name.front() <= '9') &&
         std::all_of(name.begin(), name.end(), fits);
}

bool is_end_or_comment(std::string_view rest) noexcept {
  rest = trimmed(rest);
  return rest.empty() || rest.front() == '#';
}

/// Nothing when the quote is not closed, or something but a comment follows.
std::optional<std::string> quoted_value(std::string_view text) {
  const char quote = text.front();
  std::string out;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == quote)
      return is_end_or_comment(text.substr(i + 1)) ? std::optional{out} : std::nullopt;
    if (quote == '\'' || text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    out += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
  }
  return std::nullopt;
}

std::string bare_value(std::string_view text) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] == '#' && (i == 0 || blanks.find(text[i - 1]) != std::string_view::npos))
      return std::string{trimmed(text.substr(0, i))};
  return std::string{trimmed(text)};
}

}  // namespace

environment process_environment() {
  environment out;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text{*entry};
    if (const auto equals = text.find('='); equals != std::string_view::npos && equals > 0)
      out.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return out;
}

result<environment> parse_env_file(std::string_view text, std::string_view file_name) {
  environment out;
  std::size_t number = 0;
  const auto refuse = [&](const std::string& what) {
    return error{errc::schema, std::string{file_name} + ":" + std::to_string(number) + ": " + what};
  };
  while (!text.empty()) {
    ++number;
    const auto end = std::min(text.find('\n'), text.size());
    auto line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.empty() || line.front() == '#')
      continue;
    if (line.starts_with("export "))
      line = trimmed(line.substr(7));
    const auto equals = line.find('=');
    const auto name = trimmed(line.substr(0, std::min(equals, line.size())));
    if (equals == std::string_view::npos || !is_name(name))
      return refuse("expected NAME=VALUE");
    const auto value = trimmed(line.substr(equals + 1));
    if (value.find('\0') != std::string_view::npos)
      return refuse("a value cannot have a zero byte in it");
    if (value.empty() || (value.front() != '"' && value.front() != '\'')) {
      out[std::string{name}] = bare_value(value);
      continue;
    }
    auto unquoted = quoted_value(value);
    if (!unquoted)
      return refuse("the quotes around the value of " + std::string{name} + " do not fit");
    out[std::string{name}] = std::move(*unquoted);
  }
  return out;
}

}  // namespace holdfast
