#include "cluster/leader_spread.hpp"

#include <algorithm>
#include <set>

namespace holdfast {

namespace {

constexpr std::uint64_t lag_to_lead_max = 1'000;

const leading_candidate* find_candidate(const leading_candidates& all, consensus::node_id who) {
  const auto found = all.find(who);
  return found == all.end() ? nullptr : &found->second;
}

/// The first voter of the plan. Without one: in the order of ids.
consensus::node_id best_leader(const group_standing& what, const leading_candidates& all,
                               const voter_plan& plan) {
  const auto stays = [&](consensus::node_id id) {
    const auto* known = find_candidate(all, id);
    return what.members.is_voter(id) && !(known && known->leaving);
  };
  if (const auto planned = plan.find(what.group); planned != plan.end())
    for (const auto id : planned->second)
      if (stays(id))
        return id;
  std::vector<consensus::node_id> voters;
  for (const auto& member : what.members.members)
    if (stays(member.id))
      voters.push_back(member.id);
  if (voters.empty())
    return 0;
  std::sort(voters.begin(), voters.end());
  return voters[what.group % voters.size()];
}

/// This node is not to vote in the group any more: then whoever is and can leads it, should the best one be away. Else 0.
consensus::node_id successor_of_unwanted(const group_standing& what, consensus::node_id self,
                                         const leading_candidates& all, const voter_plan& plan) {
  const auto planned = plan.find(what.group);
  if (planned == plan.end() ||
      std::find(planned->second.begin(), planned->second.end(), self) != planned->second.end())
    return 0;
  for (const auto id : planned->second)
    if (can_lead(all, id, what))
      return id;
  return 0;
}

std::vector<consensus::node_id> able_to_lead(const group_standing& what, consensus::node_id self,
                                             const leading_candidates& all) {
  std::vector<consensus::node_id> out;
  for (const auto& [id, one] : all)
    if (id != self && can_lead(all, id, what))
      out.push_back(id);
  return out;
}

}  // namespace

bool can_lead(const leading_candidates& all, consensus::node_id who, const group_standing& what) {
  const auto* one = find_candidate(all, who);
  if (!one || !one->able || one->leaving || !what.members.is_voter(who) ||
      std::find(what.successors.begin(), what.successors.end(), who) == what.successors.end())
    return false;
  const auto theirs = one->applied.find(what.group);
  return theirs != one->applied.end() && theirs->second + lag_to_lead_max >= what.applied;
}

std::vector<leader_transfer> spread(const std::vector<group_standing>& here,
                                    consensus::node_id self, const leading_candidates& all,
                                    const voter_plan& plan) {
  std::vector<leader_transfer> out;
  std::size_t led = 0;
  std::vector<const group_standing*> of_others;  // led here in place of one who cannot
  for (const auto& s : here) {
    if (s.term == 0)
      continue;
    ++led;
    const auto best = best_leader(s, all, plan);
    if (best == self)
      continue;
    if (can_lead(all, best, s))
      out.push_back({s.group, best});
    else if (const auto next = successor_of_unwanted(s, self, all, plan); next != 0)
      out.push_back({s.group, next});
    else
      of_others.push_back(&s);
  }
  for (const auto* s : of_others)
    for (const auto to : able_to_lead(*s, self, all))
      if (all.at(to).leads + 1 < led) {
        out.push_back({s->group, to});
        return out;
      }
  return out;
}

std::vector<leader_transfer> begin_giving(const std::vector<group_standing>& here,
                                          const std::vector<leader_transfer>& away) {
  std::set<group_id> under_way;
  for (const auto& s : here)
    if (s.term != 0 && s.giving)
      under_way.insert(s.group);
  std::vector<leader_transfer> out;
  for (const auto& one : away)
    if (!under_way.contains(one.group) && under_way.size() + out.size() < given_at_once_max)
      out.push_back(one);
  return out;
}

std::vector<leader_transfer> give_away(const std::vector<group_standing>& here,
                                       consensus::node_id self, const leading_candidates& all) {
  std::vector<leader_transfer> out;
  for (const auto& s : here) {
    if (s.term == 0)
      continue;
    const auto able = able_to_lead(s, self, all);
    if (!able.empty())
      out.push_back({s.group, able[s.group % able.size()]});
  }
  return out;
}

}  // namespace holdfast
