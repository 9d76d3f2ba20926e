// From the members in group 0's state to those of each group: the decision alone, and that it comes to an end.

#include "cluster/member_changes.hpp"

#include <doctest/doctest.h>

#include <algorithm>

using namespace holdfast;

namespace {

using consensus::role;

group_standing group_of_voters(group_id group, std::vector<consensus::node_id> voters) {
  group_standing out;
  out.group = group;
  out.term = 1;
  for (const auto id : voters)
    out.members.members.push_back({id, "at " + std::to_string(id), role::voter});
  return out;
}

wanted_members present(std::vector<consensus::node_id> ids) {
  wanted_members out;
  for (const auto id : ids)
    out[id] = {"at " + std::to_string(id), false, true};
  return out;
}

/// As a leader carries a change out.
void carry_out(const group_change& change, std::vector<group_standing>& groups) {
  auto& members = groups.at(change.group).members.members;
  std::erase_if(members, [&](const auto& one) { return one.id == change.who; });
  if (!change.address.empty())
    members.push_back({change.who, change.address, role::voter});
}

}  // namespace

TEST_CASE("member changes: nothing is to be done where every group has the members") {
  CHECK(plan_changes({group_of_voters(0, {1, 2}), group_of_voters(1, {2, 1})}, 1, present({1, 2}))
          .empty());
}

TEST_CASE("member changes: a new node is added to some groups at a time, by their leaders only") {
  std::vector<group_standing> groups;
  for (group_id group = 0; group < 8; ++group)
    groups.push_back(group_of_voters(group, {1}));
  groups[0].term = 0;  // led elsewhere
  const auto planned = plan_changes(groups, 1, present({1, 2}));
  REQUIRE(planned.size() == changes_at_once_max);
  CHECK(planned.front() == group_change{1, 2, "at 2"});
  for (group_id group = 1; group <= changes_at_once_max; ++group)
    groups[group].changing = true;
  CHECK(plan_changes(groups, 1, present({1, 2})).empty());
}

TEST_CASE(
  "member changes: one that catches up is asked for again, one that cannot be reached is not") {
  auto group = group_of_voters(1, {1});
  group.members.members.push_back({2, "at 2", role::spare});
  auto wanted = present({1, 2});
  CHECK(plan_changes({group}, 1, wanted).size() == 1);
  wanted[2].reachable = false;
  CHECK(plan_changes({group}, 1, wanted).empty());
}

TEST_CASE(
  "member changes: a removed node goes from group 0 last, and a leader does not take itself out") {
  auto wanted = present({1, 2, 3});
  wanted[3].removed = true;
  std::vector<group_standing> groups{group_of_voters(0, {1, 2, 3}), group_of_voters(1, {1, 2, 3})};
  CHECK(plan_changes(groups, 1, wanted) == std::vector<group_change>{{1, 3, {}}});
  CHECK(plan_changes(groups, 3, wanted).empty());
  carry_out({1, 3, {}}, groups);
  CHECK(plan_changes(groups, 1, wanted) == std::vector<group_change>{{0, 3, {}}});
  carry_out({0, 3, {}}, groups);
  CHECK(plan_changes(groups, 1, wanted).empty());
  CHECK_FALSE(is_in_a_group(groups, 3));
}

TEST_CASE("member changes: one that is dead is taken out, one that only began to join too") {
  auto wanted = present({1, 2});
  wanted[2] = {"at 2", true, false};
  auto group = group_of_voters(1, {1});
  group.members.members.push_back({2, "at 2", role::spare});
  CHECK(plan_changes({group}, 1, wanted) == std::vector<group_change>{{1, 2, {}}});
}

TEST_CASE(
  "member changes: whatever a crash has left behind, the groups end with the members that are "
  "wanted") {
  auto wanted = present({1, 3, 4});
  wanted[2] = {"at 2", true, false};
  std::vector<group_standing> groups;
  for (group_id group = 0; group < 12; ++group) {
    groups.push_back(group_of_voters(group, {1, 2, 3}));
    if (group % 3 == 1)
      carry_out({group, 4, "at 4"}, groups);
    if (group % 4 == 1)
      carry_out({group, 2, {}}, groups);
  }
  for (int step = 0; step < 20; ++step)
    for (const auto& change : plan_changes(groups, 1, wanted))
      carry_out(change, groups);
  for (const auto& group : groups) {
    CHECK(group.members.voters() == 3);
    CHECK(group.members.is_voter(4));
    CHECK_FALSE(group.members.find(2));
  }
  CHECK(groups_voted_in(groups, 4) == groups.size());
}
