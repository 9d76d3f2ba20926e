#pragma once
// Who stands for election first when a leader is silent. Raft draws the wait by lot, between once and twice the election
// timeout: then two followers may stand at the same time and split the vote, and both need more than the shortest wait.
// Here they take turns, in an order that all members compute alike; the lot decides within a turn only. Nothing but speed
// depends on it: members that see different leaders or members may have the same turn. Pure.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "schemas/consensus.hpp"
#include "schemas/ids.hpp"

namespace holdfast::consensus {

/// The place of `self` among the voters, from 0 on, when `gone` led last (0: not known, all voters have a turn). The order
/// begins elsewhere from group to group, so that what one node led goes to several. Errors: none; who does not vote is last.
inline std::size_t election_turn(group_id group, const configuration& members, node_id self,
                                 node_id gone) {
  std::vector<node_id> order;
  for (const auto& m : members.members)
    if (m.as == role::voter && m.id != gone)
      order.push_back(m.id);
  std::sort(order.begin(), order.end());
  const auto place =
    static_cast<std::size_t>(std::find(order.begin(), order.end(), self) - order.begin());
  if (place == order.size())
    return place;
  // Groups that the same node led are some whole rounds apart (leader_spread): those go to the others in turn.
  const std::size_t voters = members.voters();
  const std::size_t first = gone == 0 ? group % voters : group / voters % order.size();
  return (place + order.size() - first) % order.size();
}

/// The parts of an election timeout that one turn is after the other, and that the lot may add. A turn leaves time for a
/// heartbeat that only one of two followers has got.
inline constexpr std::uint32_t turns_in_timeout = 6;
inline constexpr std::uint32_t lots_in_timeout = 12;

/// How long to hear nothing before standing, in ms. `lot`: less than the election timeout. At most twice the timeout, like
/// Raft's own.
inline std::uint32_t election_wait_ms(std::uint32_t timeout_ms, std::size_t turn,
                                      std::uint32_t lot) {
  const auto turns =
    static_cast<std::uint32_t>(std::min<std::size_t>(turn, turns_in_timeout - 2)) + 1;
  return timeout_ms + timeout_ms * turns / turns_in_timeout + lot / lots_in_timeout;
}

}  // namespace holdfast::consensus
