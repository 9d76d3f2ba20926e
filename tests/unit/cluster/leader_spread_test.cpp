// Who leads what: the decision alone.

#include "cluster/leader_spread.hpp"

#include <doctest/doctest.h>
#include "cluster/transfer_pauses.hpp"

using namespace holdfast;

namespace {

using consensus::role;

constexpr consensus::node_id first_node = 10;
constexpr consensus::node_id second_node = 20;
constexpr consensus::node_id third_node = 30;

group_standing led(group_id group, std::vector<consensus::node_id> voters = {10, 20, 30}) {
  group_standing out;
  out.group = group;
  out.term = 2;
  out.applied = 5'000;
  for (const auto id : voters)
    out.members.members.push_back({id, std::to_string(id), role::voter});
  out.successors = std::move(voters);
  return out;
}

leading_candidates all_able(const std::vector<group_standing>& groups) {
  leading_candidates out;
  for (const auto id : {first_node, second_node, third_node}) {
    out[id].able = true;
    for (const auto& s : groups)
      out[id].applied[s.group] = s.applied;
  }
  return out;
}

}  // namespace

TEST_CASE("leader spread: each group goes to the voter that is best for it, and stays there") {
  const std::vector<group_standing> here{led(0), led(1), led(2), led(3)};
  const auto all = all_able(here);
  const std::vector<leader_transfer> wanted{{1, second_node}, {2, third_node}};
  CHECK(spread(here, first_node, all, {}) == wanted);
  CHECK(spread({led(0), led(3)}, first_node, all, {}).empty());
}

TEST_CASE(
  "leader spread: nothing is given to who does not vote in the group, is behind, or wants none") {
  std::vector<group_standing> here{led(1)};
  auto all = all_able(here);
  SUBCASE("its log does not answer") { here[0].successors = {first_node, third_node}; }
  SUBCASE("it is behind") { all[second_node].applied[1] = 3'999; }
  SUBCASE("it is cordoned or down") { all[second_node].able = false; }
  SUBCASE("it has said nothing of the group") { all[second_node].applied.clear(); }
  CHECK(spread(here, first_node, all, {}).empty());
}

TEST_CASE("leader spread: a node that still catches up is no voter, so the others share") {
  auto group = led(1, {first_node, third_node});
  group.members.members.push_back({second_node, "20", role::spare});
  const auto all = all_able({group});
  CHECK(spread({group}, first_node, all, {}) == std::vector<leader_transfer>{{1, third_node}});
}

TEST_CASE("leader spread: what a dead node would lead goes one at a time to who leads less") {
  const std::vector<group_standing> here{led(1), led(4), led(7)};  // all of them the second node's
  auto all = all_able(here);
  all[second_node].able = false;
  CHECK(spread(here, first_node, all, {}) == std::vector<leader_transfer>{{1, third_node}});
  all[third_node].leads = 2;
  CHECK(spread(here, first_node, all, {}).empty());
}

TEST_CASE("leader spread: a node that is removed is nobody's best leader") {
  const std::vector<group_standing> here{led(1), led(3)};
  auto all = all_able(here);
  all[second_node].leaving = true;
  const std::vector<leader_transfer> wanted{{1, third_node}, {3, third_node}};
  CHECK(spread(here, first_node, all, {}) == wanted);
}

TEST_CASE("leader spread: who gives everything away gives it to those that can take it") {
  const std::vector<group_standing> here{led(0), led(1), led(2, {first_node})};
  const auto all = all_able(here);
  const std::vector<leader_transfer> wanted{{0, second_node}, {1, third_node}};
  CHECK(give_away(here, first_node, all) == wanted);
}

TEST_CASE("leader spread: who gives everything away gives it to nobody whose log does not answer") {
  std::vector<group_standing> here{led(0), led(1)};
  for (auto& one : here)
    one.successors = {third_node};
  const std::vector<leader_transfer> wanted{{0, third_node}, {1, third_node}};
  CHECK(give_away(here, first_node, all_able(here)) == wanted);
}

TEST_CASE("transfer pauses: who did not take over is left alone for longer each time") {
  transfer_pauses pauses;
  std::uint64_t now = 1'000;
  CHECK_FALSE(pauses.pauses(second_node, now));
  for (const std::uint64_t length : {2'000, 4'000, 8'000, 16'000, 32'000, 60'000, 60'000}) {
    pauses.failed(second_node, now);
    CHECK(pauses.pauses(second_node, now + length - 1));
    CHECK_FALSE(pauses.pauses(third_node, now));
    now += length;
    CHECK_FALSE(pauses.pauses(second_node, now));
  }
  pauses.failed(second_node, now += transfer_pauses::pause_ms_max);  // long after the last
  CHECK_FALSE(pauses.pauses(second_node, now + 2'000));
}

TEST_CASE(
  "leader spread: the first of those that are to vote leads, and nobody who is to cease to") {
  auto group = led(1, {first_node, second_node, third_node});
  auto all = all_able({group});
  const voter_plan plan{{1, {third_node, second_node}}};
  CHECK(spread({group}, first_node, all, plan) == std::vector<leader_transfer>{{1, third_node}});
  all[third_node].leaving = true;
  CHECK(spread({group}, first_node, all, plan) == std::vector<leader_transfer>{{1, second_node}});
  group.members.members.pop_back();  // the third votes no more
  all[third_node].leaving = false;
  CHECK(spread({group}, first_node, all, plan) == std::vector<leader_transfer>{{1, second_node}});
}

TEST_CASE("leader spread: what is given away goes a few at a time") {
  std::vector<group_standing> here;
  for (group_id group = 0; group < 8; ++group)
    here.push_back(led(group));
  const auto away = give_away(here, first_node, all_able(here));
  REQUIRE(away.size() == 8);
  auto begun = begin_giving(here, away);
  REQUIRE(begun.size() == given_at_once_max);
  for (const auto& one : begun)
    here[one.group].giving = true;
  CHECK(begin_giving(here, away).empty());
  here[begun[0].group].term = 0;  // it is led elsewhere now
  here[begun[0].group].giving = false;
  const auto rest = give_away(here, first_node, all_able(here));
  begun = begin_giving(here, rest);
  REQUIRE(begun.size() == 1);
  CHECK_FALSE(here[begun[0].group].giving);
}

TEST_CASE(
  "leader spread: who is to cease to vote gives the group to another when the best is away") {
  const auto group = led(1, {first_node, second_node, third_node});
  auto all = all_able({group});
  all[third_node].able = false;
  const voter_plan plan{{1, {third_node, second_node}}};
  CHECK(spread({group}, first_node, all, plan) == std::vector<leader_transfer>{{1, second_node}});
  const voter_plan stays{{1, {third_node, first_node}}};
  CHECK(spread({group}, first_node, all, stays).empty());
}
