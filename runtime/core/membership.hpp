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

/// A node speaks to peers of this level only: raised when what is stored or sent changes in a way that an older
/// release cannot read.
inline constexpr unsigned feature_level = 1;
/// The most members that a cluster takes.
inline constexpr std::size_t members_max = 9;

/// By name; those that were removed, too. Empty: the nodes that formed the cluster are not recorded yet.
using membership = std::map<std::string, node_record, std::less<>>;

/// As applied. Errors: `corrupt`, `io_failure`.
result<membership> load_membership(const reader& from);

const node_record* find_member(const membership& all, std::string_view name);  ///< not removed
std::size_t count_members(const membership& all);

/// Those that formed the cluster, once: without effect when there are members.
struct form_cluster {
  std::map<std::string, std::string> nodes;  ///< name → address
};
/// A new name. Asked for again, with the same folder, it is without effect.
struct add_node {
  std::string name;
  std::string address;
  std::string folder;
};
struct remove_node {
  std::string name;
};
using member_change = std::variant<form_cluster, add_node, remove_node>;

/// No facts: it is so already. Errors, for an operator: `conflict`, `not_found`.
result<std::vector<fact>> decide(const membership& now, const member_change& wanted);

/// What a node that is removed is told, by whoever it turns to. It ends when it hears this of itself.
std::string removed_notice(std::string_view node);

}  // namespace holdfast
