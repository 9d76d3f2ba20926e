#pragma once
// JSON as YAML, for `-o yaml` and for diffs. Pure.

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace holdfast::cli {

/// Block style, two spaces, ends with a line feed. A reader of YAML 1.1 or 1.2 gets the same value
/// back: what could be taken for something else than a string is quoted.
std::string to_yaml(const nlohmann::ordered_json& value);

}  // namespace holdfast::cli
