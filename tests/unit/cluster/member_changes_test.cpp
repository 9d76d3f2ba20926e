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

/// Everybody votes everywhere.
std::vector<group_change> plan_all(const std::vector<group_standing>& groups,
                                   consensus::node_id self, const wanted_members& wanted) {
  return plan_changes(groups, self, wanted, plan_voters(groups, wanted, 0));
}

/// As a leader carries a change out.
void carry_out(const group_change& change, std::vector<group_standing>& groups) {
  auto& members = groups.at(change.group).members.members;
  std::erase_if(members, [&](const auto& one) { return one.id == change.who; });
  if (!change.address.empty())
    members.push_back({change.who, change.address, change.as});
}

}  // namespace

TEST_CASE("member changes: nothing is to be done where every group has the members") {
  CHECK(
    plan_all({group_of_voters(0, {1, 2}), group_of_voters(1, {2, 1})}, 1, present({1, 2})).empty());
}

TEST_CASE("member changes: a new node is added to some groups at a time, by their leaders only") {
  std::vector<group_standing> groups;
  for (group_id group = 0; group < 8; ++group)
    groups.push_back(group_of_voters(group, {1}));
  groups[0].term = 0;  // led elsewhere
  const auto planned = plan_all(groups, 1, present({1, 2}));
  REQUIRE(planned.size() == changes_at_once_max);
  CHECK(planned.front() == group_change{1, 2, "at 2"});
  for (group_id group = 1; group <= changes_at_once_max; ++group)
    groups[group].changing = true;
  CHECK(plan_all(groups, 1, present({1, 2})).empty());
}

TEST_CASE(
  "member changes: one that catches up is asked for again, one that cannot be reached is not") {
  auto group = group_of_voters(1, {1});
  group.members.members.push_back({2, "at 2", role::spare});
  auto wanted = present({1, 2});
  CHECK(plan_all({group}, 1, wanted).size() == 1);
  wanted[2].reachable = false;
  CHECK(plan_all({group}, 1, wanted).empty());
}

TEST_CASE(
  "member changes: a removed node goes from group 0 last, and a leader does not take itself out") {
  auto wanted = present({1, 2, 3});
  wanted[3].removed = true;
  std::vector<group_standing> groups{group_of_voters(0, {1, 2, 3}), group_of_voters(1, {1, 2, 3})};
  CHECK(plan_all(groups, 1, wanted) == std::vector<group_change>{{1, 3, {}}});
  CHECK(plan_all(groups, 3, wanted).empty());
  carry_out({1, 3, {}}, groups);
  CHECK(plan_all(groups, 1, wanted) == std::vector<group_change>{{0, 3, {}}});
  carry_out({0, 3, {}}, groups);
  CHECK(plan_all(groups, 1, wanted).empty());
  CHECK_FALSE(is_in_a_group(groups, 3));
}

TEST_CASE("member changes: one that is dead is taken out, one that only began to join too") {
  auto wanted = present({1, 2});
  wanted[2] = {"at 2", true, false};
  auto group = group_of_voters(1, {1});
  group.members.members.push_back({2, "at 2", role::spare});
  CHECK(plan_all({group}, 1, wanted) == std::vector<group_change>{{1, 2, {}}});
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
    for (const auto& change : plan_all(groups, 1, wanted))
      carry_out(change, groups);
  for (const auto& group : groups) {
    CHECK(group.members.voters() == 3);
    CHECK(group.members.is_voter(4));
    CHECK_FALSE(group.members.find(2));
  }
  CHECK(groups_held(groups, 4) == groups.size());
}

TEST_CASE("member changes: voters are chosen in turn, of those that own partitions") {
  auto wanted = present({1, 2, 3, 4, 5});
  wanted[5].worker = false;
  CHECK(voters_of(0, wanted, 3) == std::vector<consensus::node_id>{1, 2, 3});
  CHECK(voters_of(3, wanted, 3) == std::vector<consensus::node_id>{4, 1, 2});
  CHECK(voters_of(1, wanted, 0) == std::vector<consensus::node_id>{2, 3, 4, 1});
  CHECK(voters_of(1, wanted, 9) == std::vector<consensus::node_id>{2, 3, 4, 1});
  wanted[2].removed = true;
  CHECK(voters_of(1, wanted, 3) == std::vector<consensus::node_id>{3, 4, 1});
  for (auto& [id, one] : wanted)
    one.worker = false;  // then better they than nobody
  CHECK(voters_of(0, wanted, 3) == std::vector<consensus::node_id>{1, 3, 4});
}

TEST_CASE("member changes: one that is to be a standby ceases to vote when the others all do") {
  auto wanted = present({1, 2, 3, 4});
  wanted[4].worker = false;
  auto group = group_of_voters(0, {1, 2, 4});
  const auto plan = plan_voters({group}, wanted, 3);
  CHECK(plan_changes({group}, 1, wanted, plan) ==
        std::vector<group_change>{{0, 3, "at 3", role::voter}});
  group.members.members.push_back({3, "at 3", role::voter});
  CHECK(plan_changes({group}, 1, wanted, plan) ==
        std::vector<group_change>{{0, 4, "at 4", role::standby}});
  CHECK(plan_changes({group}, 4, wanted, plan).empty());  // it leads: another has to take over
  CHECK_FALSE(is_settled(group, wanted, plan));
  CHECK(groups_held({group}, 4) == 1);  // it votes where it shall not: a copy all the same
  group.members.members[2].as = role::standby;
  CHECK(plan_changes({group}, 1, wanted, plan).empty());
  CHECK(is_settled(group, wanted, plan));
  wanted[4].removed = true;
  CHECK_FALSE(is_settled(group, wanted, plan));
  wanted[4].removed = false;
  CHECK(groups_held({group}, 4) == 1);
}

TEST_CASE("member changes: a standby votes before one that is removed is taken out") {
  auto wanted = present({1, 2, 3, 4});
  auto group = group_of_voters(0, {1, 2, 3});
  group.members.members.push_back({4, "at 4", role::standby});
  wanted[2] = {"at 2", true, false};
  std::vector<group_standing> groups{group};
  auto plan = plan_voters(groups, wanted, 3);
  CHECK(plan_changes(groups, 1, wanted, plan) ==
        std::vector<group_change>{{0, 4, "at 4", role::voter}});
  carry_out({0, 4, "at 4", role::voter}, groups);
  CHECK(plan_changes(groups, 1, wanted, plan) == std::vector<group_change>{{0, 2, {}}});
}

TEST_CASE("member changes: from any beginning the groups come to their voters, and rest") {
  auto wanted = present({1, 2, 3, 4, 5, 6});
  wanted[6].worker = false;
  wanted[2] = {"at 2", true, false};
  std::vector<group_standing> groups;
  for (group_id group = 0; group < 24; ++group) {
    groups.push_back(group_of_voters(group, {1, 2, 3}));
    if (group % 5 == 0)
      carry_out({group, 6, "at 6", role::voter}, groups);
    if (group % 7 == 0)
      carry_out({group, 5, "at 5", role::spare}, groups);
  }
  const auto plan = plan_voters(groups, wanted, 3);
  for (int step = 0; step < 20; ++step)
    for (group_id group = 0; group < groups.size(); ++group) {
      const auto one = groups[group];
      consensus::node_id leader = 1;
      for (const auto id : plan.at(group))
        if (one.members.is_voter(id)) {
          leader = id;
          break;
        }
      for (const auto& change : plan_changes({one}, leader, wanted, plan)) {
        REQUIRE(change.who != leader);
        carry_out(change, groups);
        REQUIRE(groups[group].members.voters() >= 2);
      }
    }
  for (const auto& one : groups) {
    CHECK(one.members.voters() == 3);
    for (const auto id : plan.at(one.group))
      CHECK(one.members.is_voter(id));
    CHECK(one.members.members.size() == 5);
    CHECK(is_settled(one, wanted, plan));
  }
}
