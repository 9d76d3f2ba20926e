#include "runtime/expression/json_path.hpp"

#include <simdjson.h>

#include <cstring>
#include <optional>
#include <utility>

#include <nlohmann/json.hpp>

#include "runtime/expression/jq.hpp"

namespace holdfast {

namespace {

namespace ondemand = simdjson::ondemand;

/// Kept from call to call by each thread: simdjson wants its text padded, and its parsers own tables.
struct scratch {
  ondemand::parser document;
  simdjson::dom::parser value;
  std::string padded;

  simdjson::padded_string_view pad(std::string_view text) {
    const auto size = text.size() + simdjson::SIMDJSON_PADDING;
    if (padded.size() < size)
      padded.resize(size);
    std::memcpy(padded.data(), text.data(), text.size());
    std::memset(padded.data() + text.size(), 0, simdjson::SIMDJSON_PADDING);
    return simdjson::padded_string_view{padded.data(), text.size(), padded.size()};
  }
};

error bad_json(simdjson::error_code code) {
  if (code == simdjson::DEPTH_ERROR)
    return {errc::too_deep,
            "the JSON is nested deeper than " + std::to_string(jq_limits::value_depth_max)};
  return {errc::malformed, "not JSON: " + std::string{simdjson::error_message(code)}};
}

std::string_view kind_of(ondemand::json_type type) noexcept {
  switch (type) {
    case ondemand::json_type::array:
      return "array";
    case ondemand::json_type::object:
      return "object";
    case ondemand::json_type::number:
      return "number";
    case ondemand::json_type::string:
      return "string";
    case ondemand::json_type::boolean:
      return "boolean";
    case ondemand::json_type::null:
      return "null";
  }
  return "value";
}

error cannot_index(ondemand::json_type type, const jq_path_step& step) {
  const auto* name = std::get_if<std::string>(&step);
  return {errc::schema,
          "Cannot index " + std::string{kind_of(type)} +
            (name != nullptr ? " with \"" + *name + "\"" : std::string{" with number"})};
}

std::string_view trimmed(std::string_view raw) noexcept {
  const auto last = raw.find_last_not_of(" \t\r\n");
  return raw.substr(0, last + 1);
}

/// The text of a value, which is consumed.
simdjson::simdjson_result<std::string_view> raw_text(ondemand::value value) {
  ondemand::json_type type{};
  if (auto code = value.type().get(type))
    return code;
  if (type == ondemand::json_type::object) {
    ondemand::object object;
    if (auto code = value.get_object().get(object))
      return code;
    return object.raw_json();
  }
  if (type == ondemand::json_type::array) {
    ondemand::array array;
    if (auto code = value.get_array().get(array))
      return code;
    return array.raw_json();
  }
  return value.raw_json_token();
}

using found = result<std::optional<std::string_view>>;

/// The text of the last field of that name.
found last_field(ondemand::object object, const std::string& name) {
  std::optional<std::string_view> out;
  for (auto entry : object) {
    ondemand::field field;
    if (auto code = std::move(entry).get(field))
      return bad_json(code);
    std::string_view key;
    if (auto code = field.unescaped_key().get(key))
      return bad_json(code);
    if (key != name)
      continue;
    std::string_view raw;
    if (auto code = raw_text(field.value()).get(raw))
      return bad_json(code);
    out = raw;
  }
  return out;
}

found element(ondemand::array array, std::size_t index) {
  std::size_t at = 0;
  for (auto entry : array) {
    ondemand::value value;
    if (auto code = std::move(entry).get(value))
      return bad_json(code);
    if (at++ != index)
      continue;
    std::string_view raw;
    if (auto code = raw_text(value).get(raw))
      return bad_json(code);
    return std::optional{raw};
  }
  return std::optional<std::string_view>{};
}

/// One step down from `text`.
found step_into(scratch& s, std::string_view text, const jq_path_step& step) {
  ondemand::document document;
  if (auto code = s.document.iterate(s.pad(text)).get(document))
    return bad_json(code);
  ondemand::json_type type{};
  if (auto code = document.type().get(type))
    return bad_json(code);
  const auto* name = std::get_if<std::string>(&step);
  if (type == ondemand::json_type::null)
    return document.is_null() ? found{std::optional<std::string_view>{}}
                              : found{bad_json(simdjson::N_ATOM_ERROR)};
  if (name != nullptr && type == ondemand::json_type::object) {
    ondemand::object object;
    if (auto code = document.get_object().get(object))
      return bad_json(code);
    return last_field(object, *name);
  }
  if (name == nullptr && type == ondemand::json_type::array) {
    ondemand::array array;
    if (auto code = document.get_array().get(array))
      return bad_json(code);
    return element(array, std::get<std::size_t>(step));
  }
  return cannot_index(type, step);
}

/// Checks the value that was cut out and takes the space out of it.
result<std::string> compact(scratch& s, std::string_view raw) {
  const auto text = s.pad(raw);
  if (s.value.capacity() < raw.size() || s.value.max_depth() != jq_limits::value_depth_max)
    if (auto code = s.value.allocate(raw.size() + 1, jq_limits::value_depth_max))
      return bad_json(code);
  simdjson::dom::element checked;
  const auto code = s.value.parse(text.data(), raw.size(), false).get(checked);
  // simdjson has no integers beyond 64 bits; JSON has.
  if (code && code != simdjson::NUMBER_ERROR)
    return bad_json(code);
  if (code && !nlohmann::json::accept(raw))
    return bad_json(code);
  std::string out(raw.size(), '\0');
  std::size_t size = 0;
  if (auto minified = simdjson::minify(text.data(), raw.size(), out.data(), size))
    return bad_json(minified);
  out.resize(size);
  return out;
}

}  // namespace

result<std::string> value_at(std::string_view json, const std::vector<jq_path_step>& path) {
  thread_local scratch s;
  std::string text{json};
  for (const auto& step : path) {
    auto below = step_into(s, text, step);
    if (!below)
      return below.error();
    if (!*below)
      return std::string{"null"};
    text = std::string{trimmed(**below)};
  }
  return compact(s, text);
}

}  // namespace holdfast
