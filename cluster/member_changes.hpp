#pragma once
// From the members in group 0's state to those of each group: every leader compares, and changes one member of a group
// at a time. Asked again and again, so that it ends where it should after any crash. Pure.

#include <map>
#include <string>
#include <vector>

#include "cluster/group_standing.hpp"

namespace holdfast {

struct wanted_member {
  std::string address;
  bool removed = false;
  bool reachable = false;  ///< a node that cannot be spoken to is not let in: it could not catch up
};
/// As group 0 has it: those that are members, and those that were removed.
using wanted_members = std::map<consensus::node_id, wanted_member>;

struct group_change {
  group_id group = 0;
  consensus::node_id who = 0;
  std::string address;  ///< empty: it is taken out
  bool operator==(const group_change&) const = default;
};

/// So many groups of one leader let somebody catch up at a time.
inline constexpr std::size_t changes_at_once_max = 4;

/// What this node should begin now. A leader does not take itself out: it gives leadership away first. From group 0,
/// which tells nodes that they are removed, a node goes last.
std::vector<group_change> plan_changes(const std::vector<group_standing>& here,
                                       consensus::node_id self, const wanted_members& wanted);

/// In how many groups it votes, as known here.
std::size_t groups_voted_in(const std::vector<group_standing>& here, consensus::node_id who);
/// It is in some group yet, in whatever role.
bool is_in_a_group(const std::vector<group_standing>& here, consensus::node_id who);

}  // namespace holdfast
