#pragma once
// JSON that somebody else wrote, read within bounds. Pure, never throws but for memory.

#include <nlohmann/json.hpp>

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::model {

/// Deeper documents are not parsed: what reads them later may recurse.
inline constexpr std::size_t json_depth_max = 64;

using json = nlohmann::json;

/// Keeps the order of keys, in quadratic time: for what an operator wrote, not for what came from
/// outside.
using ordered_json = nlohmann::ordered_json;

/// Nothing when it is not JSON, not UTF-8 or nested beyond `depth_max`.
std::optional<json> parse_json(std::string_view text, std::size_t depth_max = json_depth_max);
std::optional<ordered_json> parse_ordered_json(std::string_view text,
                                               std::size_t depth_max = json_depth_max);

/// The same check without building the document.
bool is_json(std::string_view text, std::size_t depth_max = json_depth_max);

/// Compact; what is not UTF-8 is replaced.
std::string to_text(const json& value);
std::string to_text(const ordered_json& value);

/// A member of an object with its value as it was written: numbers keep every digit.
struct raw_member {
  std::string name;
  std::string_view value;  ///< points into the parsed text
};

/// The members of an object in order; of repeated names only the last, as jq and JSON Schema see
/// it. Nothing when `text` is not a JSON object.
std::optional<std::vector<raw_member>> members_of(std::string_view text);

}  // namespace holdfast::model
