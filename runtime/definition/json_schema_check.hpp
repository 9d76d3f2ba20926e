#pragma once
// Is this a JSON Schema that we check completely and in bounded time? Knows nothing of valijson.

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "schemas/error.hpp"

namespace holdfast {

struct checked_schema {
  std::size_t parts = 0;  ///< see `json_schema_limits::schema_parts_max`
  /// For valijson: `pattern` and `uniqueItems` under names of our own, without annotations.
  nlohmann::json to_compile;
};

/// The keywords that valijson must not see under their own name.
inline constexpr const char* pattern_keyword = "holdfast:pattern";
inline constexpr const char* unique_keyword = "holdfast:unique";

/// Errors: `schema`, one problem per line.
result<checked_schema> check_json_schema(const nlohmann::json& schema);

/// How deep arrays and objects nest in JSON text, valid or not.
std::size_t json_depth(std::string_view text) noexcept;

}  // namespace holdfast
