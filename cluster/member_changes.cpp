#include "cluster/member_changes.hpp"

#include <algorithm>
#include <optional>

namespace holdfast {

namespace {

bool is_in_another_group(const std::vector<group_standing>& here, group_id group,
                         consensus::node_id who) {
  return std::any_of(here.begin(), here.end(), [&](const auto& s) {
    return s.group != group && s.members.find(who) != nullptr;
  });
}

bool is_in(const std::vector<consensus::node_id>& ids, consensus::node_id who) {
  return std::find(ids.begin(), ids.end(), who) != ids.end();
}

bool is_standby(const group_standing& s, consensus::node_id who) {
  const auto* member = s.members.find(who);
  return member != nullptr && member->as == consensus::role::standby;
}

consensus::node_id leftover_in(const group_standing& s, const std::vector<group_standing>& here,
                               consensus::node_id self, const wanted_members& wanted) {
  for (const auto& member : s.members.members) {
    const auto known = wanted.find(member.id);
    if (known == wanted.end() || !known->second.removed || member.id == self)
      continue;
    if (s.group != catalog_group || !is_in_another_group(here, s.group, member.id))
      return member.id;
  }
  return 0;
}

/// The next step of one group. Voters come before anybody goes or ceases to vote: first those that hold all of it.
std::optional<group_change> next_change(const group_standing& s,
                                        const std::vector<group_standing>& here,
                                        consensus::node_id self, const wanted_members& wanted,
                                        const std::vector<consensus::node_id>& voters) {
  const auto lacks = [&](consensus::node_id id, consensus::role as) {
    const auto& one = wanted.at(id);
    const auto* member = s.members.find(id);
    return !one.removed && one.reachable && (member == nullptr || member->as != as);
  };
  const auto made = [&](consensus::node_id id, consensus::role as) {
    return group_change{s.group, id, wanted.at(id).address, as};
  };
  for (const auto id : voters)
    if (is_standby(s, id) && lacks(id, consensus::role::voter))
      return made(id, consensus::role::voter);
  if (const auto who = leftover_in(s, here, self, wanted); who != 0)
    return group_change{s.group, who, {}};
  for (const auto id : voters)
    if (lacks(id, consensus::role::voter))
      return made(id, consensus::role::voter);
  const bool all_vote = std::all_of(voters.begin(), voters.end(),
                                    [&](const auto id) { return s.members.is_voter(id); });
  for (const auto& [id, one] : wanted)
    if (id != self && !is_in(voters, id) && lacks(id, consensus::role::standby) &&
        (all_vote || !s.members.is_voter(id)))
      return made(id, consensus::role::standby);
  return std::nullopt;
}

}  // namespace

std::vector<consensus::node_id> voters_of(group_id group, const wanted_members& wanted,
                                          std::size_t replication) {
  std::vector<consensus::node_id> able;
  std::vector<consensus::node_id> present;
  for (const auto& [id, one] : wanted)
    if (!one.removed) {
      present.push_back(id);
      if (one.worker)
        able.push_back(id);
    }
  if (able.empty())
    able = std::move(present);
  const auto count = replication == 0 ? able.size() : std::min(replication, able.size());
  std::vector<consensus::node_id> out;
  for (std::size_t i = 0; i < count; ++i)
    out.push_back(able[(group + i) % able.size()]);
  return out;
}

voter_plan plan_voters(const std::vector<group_standing>& here, const wanted_members& wanted,
                       std::size_t replication) {
  voter_plan out;
  for (const auto& s : here)
    out.emplace(s.group, voters_of(s.group, wanted, replication));
  return out;
}

std::vector<group_change> plan_changes(const std::vector<group_standing>& here,
                                       consensus::node_id self, const wanted_members& wanted,
                                       const voter_plan& plan) {
  std::vector<group_change> out;
  std::size_t busy = 0;
  for (const auto& s : here)
    busy += s.changing ? 1U : 0U;
  for (const auto& s : here) {
    if (s.term == 0 || s.changing)
      continue;
    auto next = next_change(s, here, self, wanted, plan.at(s.group));
    if (!next || (!next->address.empty() && busy >= changes_at_once_max))
      continue;
    busy += next->address.empty() ? 0U : 1U;
    out.push_back(std::move(*next));
  }
  return out;
}

std::size_t groups_held(const std::vector<group_standing>& here, consensus::node_id who) {
  return static_cast<std::size_t>(std::count_if(here.begin(), here.end(), [&](const auto& s) {
    return s.members.is_voter(who) || is_standby(s, who);
  }));
}

bool is_settled(const group_standing& group, const wanted_members& wanted, const voter_plan& plan) {
  const auto voters = plan.find(group.group);
  return voters != plan.end() && std::all_of(wanted.begin(), wanted.end(), [&](const auto& one) {
           const auto& [id, is] = one;
           if (is.removed)
             return group.members.find(id) == nullptr;
           return is_in(voters->second, id) ? group.members.is_voter(id) : is_standby(group, id);
         });
}

bool is_in_a_group(const std::vector<group_standing>& here, consensus::node_id who) {
  return std::any_of(here.begin(), here.end(),
                     [&](const auto& s) { return s.members.find(who) != nullptr; });
}

}  // namespace holdfast
