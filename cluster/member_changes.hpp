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
  bool worker = true;      ///< it may vote; the others are standbys
};
/// As group 0 has it: those that are members, and those that were removed.
using wanted_members = std::map<consensus::node_id, wanted_member>;

/// Who is to vote in each group; the other members are standbys: they hold what it holds and take over at once.
using voter_plan = std::map<group_id, std::vector<consensus::node_id>>;

/// So many of those that may vote, group by group the next ones in the order of their ids, which is the same on every
/// node; 0: all of them. Everybody, when nobody may. The first is the best to lead the group.
std::vector<consensus::node_id> voters_of(group_id group, const wanted_members& wanted,
                                          std::size_t replication);
voter_plan plan_voters(const std::vector<group_standing>& here, const wanted_members& wanted,
                       std::size_t replication);

struct group_change {
  group_id group = 0;
  consensus::node_id who = 0;
  std::string address;  ///< empty: it is taken out
  consensus::role as = consensus::role::voter;
  bool operator==(const group_change&) const = default;
};

/// So many groups of one leader let somebody catch up at a time.
inline constexpr std::size_t changes_at_once_max = 4;

/// What this node should begin now. A leader neither takes itself out nor ends its own vote: it gives leadership away
/// first. A standby votes before somebody else ceases to. From group 0, which tells nodes that they are removed, a node
/// goes last.
std::vector<group_change> plan_changes(const std::vector<group_standing>& here,
                                       consensus::node_id self, const wanted_members& wanted,
                                       const voter_plan& plan);

/// Of how many groups it has a copy, as known here.
std::size_t groups_held(const std::vector<group_standing>& here, consensus::node_id who);
/// Everybody is in it what they are to be, and nobody else is in it.
bool is_settled(const group_standing& group, const wanted_members& wanted, const voter_plan& plan);
/// It is in some group yet, in whatever role.
bool is_in_a_group(const std::vector<group_standing>& here, consensus::node_id who);

}  // namespace holdfast
