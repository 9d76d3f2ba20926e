#include "tools/holdfast/json_input.hpp"

#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "tools/holdfast/failure.hpp"

namespace holdfast::cli {

namespace {

using json = nlohmann::ordered_json;

std::string read_all(std::istream& in) {
  return {std::istreambuf_iterator<char>{in}, std::istreambuf_iterator<char>{}};
}

bool is_field_path(std::string_view text) {
  return !text.empty() && text.find_first_of("{}[]\" \n") == std::string_view::npos;
}

/// `a.b=1` as `{"a":{"b":1}}`; nothing like it is discarded.
json patch_from_assignment(const std::string& argument) {
  const auto equals = argument.find('=');
  if (equals == std::string::npos || !is_field_path(std::string_view{argument}.substr(0, equals)))
    return json(json::value_t::discarded);
  auto value = json::parse(argument.substr(equals + 1), nullptr, false);
  if (value.is_discarded())
    value = argument.substr(equals + 1);
  auto path = argument.substr(0, equals);
  for (auto dot = path.rfind('.'); dot != std::string::npos; dot = path.rfind('.')) {
    value = json::object({{path.substr(dot + 1), std::move(value)}});
    path.erase(dot);
  }
  return json::object({{path, std::move(value)}});
}

/// As `merge_patch`, but keeps nulls: patches are put together, not applied.
void merge_into(json& patch, const json& more) {
  if (!patch.is_object() || !more.is_object()) {
    patch = more;
    return;
  }
  for (const auto& [name, value] : more.items()) {
    if (patch.contains(name))
      merge_into(patch[name], value);
    else
      patch[name] = value;
  }
}

}  // namespace

std::string read_json_text(std::string_view argument, std::string_view option, std::istream& in) {
  std::string text{argument};
  std::string where{option};
  if (argument == "-") {
    text = read_all(in);
    where = "stdin";
  } else if (argument.starts_with('@')) {
    where = std::string{argument.substr(1)};
    std::ifstream file{where, std::ios::binary};
    if (!file)
      refuse_usage("cannot read " + where);
    text = read_all(file);
  }
  try {
    [[maybe_unused]] const auto checked = json::parse(text);
  } catch (const json::parse_error& e) {
    std::string why = e.what();
    if (const auto colon = why.find("] "); colon != std::string::npos)
      why.erase(0, colon + 2);
    refuse_usage(where + ": not JSON: " + why);
  }
  return text;
}

json read_merge_patch(const std::vector<std::string>& arguments, std::istream& in) {
  json patch = json::object();
  for (const auto& argument : arguments) {
    json more(json::value_t::discarded);
    if (!argument.starts_with('@') && argument != "-" && !argument.starts_with('{'))
      more = patch_from_assignment(argument);
    if (more.is_discarded())
      more = json::parse(read_json_text(argument, "--set", in));
    if (!more.is_object())
      refuse_usage("--set: a merge patch is a JSON object, such as '{\"step\": 2}' or step=2");
    merge_into(patch, more);
  }
  return patch;
}

json merge_patch_between(const json& from, const json& to) {
  if (!from.is_object() || !to.is_object())
    return to;
  json patch = json::object();
  for (const auto& [name, value] : from.items())
    if (!to.contains(name))
      patch[name] = nullptr;
  for (const auto& [name, value] : to.items()) {
    if (!from.contains(name))
      patch[name] = value;
    else if (from[name] != value)
      patch[name] = merge_patch_between(from[name], value);
  }
  return patch;
}

}  // namespace holdfast::cli
