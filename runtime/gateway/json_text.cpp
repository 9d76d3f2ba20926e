#include "runtime/gateway/json_text.hpp"

#include <simdjson.h>

#include <charconv>
#include <nlohmann/json.hpp>

namespace holdfast {

namespace {

constexpr std::size_t kept_parser_bytes = 64 * 1024;  // larger documents get a parser of their own

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::size_t skip_space(std::string_view text, std::size_t at) noexcept {
  while (at < text.size() && is_space(text[at]))
    ++at;
  return at;
}

/// Behind the string that begins at `at`.
std::size_t skip_string(std::string_view text, std::size_t at) noexcept {
  for (++at; at < text.size() && text[at] != '"'; ++at)
    if (text[at] == '\\')
      ++at;
  return std::min(at + 1, text.size());
}

/// Behind the value that begins at `at`. The text is known to be JSON: only brackets and quotes
/// matter.
std::size_t skip_value(std::string_view text, std::size_t at) noexcept {
  std::size_t depth = 0;
  while (at < text.size()) {
    const char c = text[at];
    if (c == '"') {
      at = skip_string(text, at);
    } else if (c == '{' || c == '[') {
      ++depth;
      ++at;
    } else if (c == '}' || c == ']') {
      if (depth == 0)
        return at;
      --depth;
      ++at;
    } else if (depth == 0 && (c == ',' || is_space(c))) {
      return at;
    } else {
      ++at;
      continue;  // within a number or a word
    }
    if (depth == 0)
      return at;
  }
  return at;
}

/// Of text that is known to be JSON. simdjson does not count a container that is empty.
std::size_t depth_of(std::string_view text) noexcept {
  std::size_t depth = 0;
  std::size_t deepest = 0;
  for (std::size_t at = 0; at < text.size();) {
    const char c = text[at];
    if (c == '"') {
      at = skip_string(text, at);
      continue;
    }
    if (c == '{' || c == '[')
      deepest = std::max(deepest, ++depth);
    else if (c == '}' || c == ']')
      --depth;
    ++at;
  }
  return deepest;
}

status parse(simdjson::dom::parser& parser, std::string_view text, std::size_t depth_max) {
  if (parser.max_depth() != depth_max + 1 || parser.capacity() < text.size())
    if (parser.allocate(std::max<std::size_t>(text.size(), 1024), depth_max + 1) !=
        simdjson::SUCCESS)
      return error{errc::overloaded, "no memory to read the document; try again"};
  auto failed = parser.parse(text.data(), text.size()).error();
  if (failed == simdjson::NUMBER_ERROR && nlohmann::json::accept(text))
    failed = simdjson::SUCCESS;  // an integer of more than 64 bits
  if (failed == simdjson::SUCCESS && depth_of(text) <= depth_max)
    return ok_status();
  if (failed == simdjson::SUCCESS || failed == simdjson::DEPTH_ERROR)
    return error{errc::too_deep,
                 "the JSON is nested deeper than " + std::to_string(depth_max) + " levels"};
  return error{errc::malformed,
               std::string{"the body is not JSON: "} + simdjson::error_message(failed)};
}

}  // namespace

status check_json(std::string_view text, std::size_t depth_max) {
  if (text.size() > kept_parser_bytes) {
    simdjson::dom::parser once;
    return parse(once, text, depth_max);
  }
  thread_local simdjson::dom::parser kept;
  return parse(kept, text, depth_max);
}

std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80)
    return 1;
  const std::size_t length = first >= 0xF0 && first <= 0xF4  ? 4
                             : first >= 0xE0 && first < 0xF0 ? 3
                             : first >= 0xC2 && first < 0xE0 ? 2
                                                             : 0;
  if (length == 0 || text.size() < length)
    return 0;
  for (std::size_t i = 1; i < length; ++i)
    if ((byte(i) & 0xC0) != 0x80)
      return 0;
  const unsigned char second = byte(1);
  if ((first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
      (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F))
    return 0;
  return length;
}

bool is_utf8(std::string_view text) noexcept {
  return simdjson::validate_utf8(text.data(), text.size());
}

object_walk::object_walk(std::string_view object) noexcept : text_(object) {
  at_ = skip_space(text_, 0);
  is_object_ = at_ < text_.size() && text_[at_] == '{';
  ++at_;
}

bool object_walk::next() noexcept {
  if (!is_object_)
    return false;
  at_ = skip_space(text_, at_);
  if (at_ < text_.size() && text_[at_] == ',')
    at_ = skip_space(text_, at_ + 1);
  if (at_ >= text_.size() || text_[at_] != '"')
    return false;
  const auto name_end = skip_string(text_, at_);
  name_ = text_.substr(at_ + 1, name_end - at_ - 2);
  at_ = skip_space(text_, name_end);  // the colon
  at_ = skip_space(text_, at_ + 1);
  const auto value_end = skip_value(text_, at_);
  value_ = text_.substr(at_, value_end - at_);
  at_ = value_end;
  return true;
}

std::string object_walk::name() const {
  if (name_.find('\\') == std::string_view::npos)
    return std::string{name_};
  return string_value("\"" + std::string{name_} + "\"").value_or(std::string{});
}

array_walk::array_walk(std::string_view array) noexcept : text_(array) {
  at_ = skip_space(text_, 0);
  is_array_ = at_ < text_.size() && text_[at_] == '[';
  ++at_;
}

bool array_walk::next() noexcept {
  if (!is_array_)
    return false;
  at_ = skip_space(text_, at_);
  if (at_ < text_.size() && text_[at_] == ',')
    at_ = skip_space(text_, at_ + 1);
  if (at_ >= text_.size() || text_[at_] == ']')
    return false;
  const auto end = skip_value(text_, at_);
  value_ = text_.substr(at_, end - at_);
  at_ = end;
  return true;
}

std::optional<std::string> string_value(std::string_view json) {
  if (json.size() < 2 || json.front() != '"')
    return std::nullopt;
  const auto inner = json.substr(1, json.size() - 2);
  if (inner.find('\\') == std::string_view::npos)
    return std::string{inner};
  simdjson::dom::parser parser;
  std::string_view text;
  if (parser.parse(json.data(), json.size()).get_string().get(text) != simdjson::SUCCESS)
    return std::nullopt;
  if (!is_utf8(text))
    return std::nullopt;
  return std::string{text};
}

std::optional<std::uint64_t> number_value(std::string_view json) {
  std::uint64_t number = 0;
  const auto [end, failed] = std::from_chars(json.data(), json.data() + json.size(), number);
  if (json.empty() || failed != std::errc{} || end != json.data() + json.size())
    return std::nullopt;
  return number;
}

std::optional<bool> bool_value(std::string_view json) {
  if (json == "true")
    return true;
  if (json == "false")
    return false;
  return std::nullopt;
}

}  // namespace holdfast
