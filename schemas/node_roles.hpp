#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast {

/// What a node is for. Zero is stored for a node that was recorded before there were roles.
enum class node_roles : std::uint8_t {
  both = 0,
  gateway = 1,  ///< takes requests, streams and webhooks; votes in no group and leads none
  worker = 2,   ///< owns partitions; takes no requests but those of operators
};

constexpr bool owns_partitions(node_roles roles) noexcept { return roles != node_roles::gateway; }
constexpr bool takes_requests(node_roles roles) noexcept { return roles != node_roles::worker; }

/// As in a configuration: `gateway`, `worker`.
std::vector<std::string_view> names_of(node_roles roles);
/// In any order; nothing: another word among them, or none at all.
std::optional<node_roles> parse_node_roles(const std::vector<std::string>& names);

}  // namespace holdfast
