#pragma once
// Who should lead what: decided by each leader for the groups that it leads, from what it has heard. Pure.

#include <cstdint>
#include <map>
#include <vector>

#include "cluster/member_changes.hpp"

namespace holdfast {

/// A member, as this node sees it.
struct leading_candidate {
  bool able = false;     ///< it is up and wants to lead
  bool leaving = false;  ///< it is removed, or owns nothing: nothing is best led by it
  std::size_t leads = 0;
  std::map<group_id, std::uint64_t> applied;
};
using leading_candidates = std::map<consensus::node_id, leading_candidate>;

struct leader_transfer {
  group_id group = 0;
  consensus::node_id to = 0;
  bool operator==(const leader_transfer&) const = default;
};

/// It is able, votes in the group, has caught up, and its log answers: what it says of itself may
/// come from a process whose disk hangs.
bool can_lead(const leading_candidates& all, consensus::node_id who, const group_standing& what);

/// Each group is best led by the first of those that are to vote in it and do; one that can lead gets what is its own. Of the others, one is
/// given to whoever leads less even then: so that it comes to rest.
std::vector<leader_transfer> spread(const std::vector<group_standing>& here,
                                    consensus::node_id self, const leading_candidates& all,
                                    const voter_plan& plan);

/// So many groups are on their way to others at a time: while one is, nobody decides for it, and what its next leader
/// reads and begins holds up the rest.
inline constexpr std::size_t given_at_once_max = 3;

/// Everything that is led here, as far as somebody can take it.
std::vector<leader_transfer> give_away(const std::vector<group_standing>& here,
                                       consensus::node_id self, const leading_candidates& all);
/// Of these, what may begin now.
std::vector<leader_transfer> begin_giving(const std::vector<group_standing>& here,
                                          const std::vector<leader_transfer>& away);

}  // namespace holdfast
