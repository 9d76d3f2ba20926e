#include "cluster/member_changes.hpp"

#include <algorithm>

namespace holdfast {

namespace {

bool is_in_another_group(const std::vector<group_standing>& here, group_id group,
                         consensus::node_id who) {
  return std::any_of(here.begin(), here.end(), [&](const auto& s) {
    return s.group != group && s.members.find(who) != nullptr;
  });
}

/// One that should vote in the group and does not.
const std::pair<const consensus::node_id, wanted_member>*
missing_from(const group_standing& s, const wanted_members& wanted) {
  for (const auto& one : wanted)
    if (!one.second.removed && one.second.reachable && !s.members.is_voter(one.first))
      return &one;
  return nullptr;
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

}  // namespace

std::vector<group_change> plan_changes(const std::vector<group_standing>& here,
                                       consensus::node_id self, const wanted_members& wanted) {
  std::vector<group_change> out;
  std::size_t busy = 0;
  for (const auto& s : here)
    busy += s.changing ? 1U : 0U;
  for (const auto& s : here) {
    if (s.term == 0 || s.changing)
      continue;
    if (const auto who = leftover_in(s, here, self, wanted); who != 0) {
      out.push_back({s.group, who, {}});
    } else if (const auto* one = missing_from(s, wanted); one && busy < changes_at_once_max) {
      out.push_back({s.group, one->first, one->second.address});
      ++busy;
    }
  }
  return out;
}

std::size_t groups_voted_in(const std::vector<group_standing>& here, consensus::node_id who) {
  return static_cast<std::size_t>(std::count_if(
    here.begin(), here.end(), [&](const auto& s) { return s.members.is_voter(who); }));
}

bool is_in_a_group(const std::vector<group_standing>& here, consensus::node_id who) {
  return std::any_of(here.begin(), here.end(),
                     [&](const auto& s) { return s.members.find(who) != nullptr; });
}

}  // namespace holdfast
