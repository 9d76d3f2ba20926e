#pragma once
// Who is a member of the cluster, and who was: state of group 0, and what may be decided about it. Pure.

#include <map>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "persistence/store.hpp"
#include "schemas/fact.hpp"
#include "schemas/state.hpp"

namespace holdfast {

/// The most members that a cluster takes.
inline constexpr std::size_t members_max = 9;

/// By name; those that were removed, too. Empty: the nodes that formed the cluster are not recorded yet.
using membership = std::map<std::string, node_record, std::less<>>;

/// What group 0 says of the cluster.
struct cluster_state {
  membership nodes;
  cluster_settings settings;
};
/// As stored: zero is the first.
constexpr unsigned feature_level_of(const cluster_settings& settings) noexcept {
  return settings.feature_level == 0 ? 1 : settings.feature_level;
}

/// As applied. Errors: `corrupt`, `io_failure`.
result<membership> load_membership(const reader& from);
result<cluster_state> load_cluster_state(const reader& from);

const node_record* find_member(const membership& all, std::string_view name);  ///< not removed
std::size_t count_members(const membership& all);
/// Members that own partitions, apart from one.
std::size_t count_other_workers(const membership& all, std::string_view name);

/// Those that formed the cluster, once: without effect when there are members.
struct form_cluster {
  std::map<std::string, std::string> nodes;  ///< name → address
};
/// A new name. Asked for again, with the same folder, it is without effect.
struct add_node {
  std::string name;
  std::string address;
  std::string folder;
  node_roles roles = node_roles::both;
};
struct remove_node {
  std::string name;
};
/// A node's configuration says so.
struct change_roles {
  std::string name;
  node_roles roles = node_roles::both;
};
struct set_replication {
  std::uint32_t voters = 0;
};
/// Every member can do it.
struct raise_feature_level {
  std::uint32_t level = 0;
};
using member_change = std::variant<form_cluster, add_node, remove_node, change_roles,
                                   set_replication, raise_feature_level>;

/// No facts: it is so already. Errors, for an operator: `conflict`, `not_found`.
result<std::vector<fact>> decide(const cluster_state& now, const member_change& wanted);

/// `load_cluster_state` gives something else after this fact.
bool concerns_membership(const fact& f) noexcept;

/// What a node that is removed is told, by whoever it turns to. It ends when it hears this of itself.
std::string removed_notice(std::string_view node);

}  // namespace holdfast
