#include "cluster/published_groups.hpp"

#include <doctest/doctest.h>

using namespace holdfast;

namespace {

group_standing standing_of(group_id group, consensus::node_id leader, std::uint64_t applied) {
  group_standing out;
  out.group = group;
  out.leader = leader;
  out.applied = applied;
  return out;
}

}  // namespace

TEST_CASE("published_groups: a lease is that of the term that is led, and ends with it") {
  published_groups all;
  all.prepare(2);
  CHECK(all.lease_until_ms(1) == 0);
  all.lead(1, 7);
  CHECK(all.lease_until_ms(1, 7) == 0);  // nobody has said until when
  all.renew(standing_of(1, 3, 10), 500, 100);
  CHECK(all.lease_until_ms(1, 7) == 500);
  CHECK(all.lease_until_ms(1) == 500);
  CHECK(all.lease_until_ms(1, 6) == 0);
  CHECK(all.lease_until_ms(1, 0) == 0);
  CHECK(all.lease_until_ms(0) == 0);
  all.lose(1);
  CHECK(all.lease_until_ms(1, 7) == 0);
  CHECK(all.lease_until_ms(1) == 0);
}

TEST_CASE("published_groups: all are lost together") {
  published_groups all;
  all.prepare(2);
  for (const group_id group : {group_id{0}, group_id{1}}) {
    all.lead(group, 1);
    all.renew(standing_of(group, 1, 0), 500, 100);
  }
  all.lose_all();
  CHECK(all.lease_until_ms(0) == 0);
  CHECK(all.lease_until_ms(1) == 0);
}

TEST_CASE("published_groups: time without a leader counts from the last one, or from the start") {
  published_groups all;
  all.prepare(1);
  all.renew(standing_of(0, 0, 0), 0, 100);
  all.renew(standing_of(0, 0, 0), 0, 200);
  CHECK(all.leaderless_ms(0, 250) == 150);
  all.renew(standing_of(0, 2, 0), 0, 300);
  CHECK(all.leader_of(0) == 2);
  CHECK(all.leaderless_ms(0, 350) == 0);
  all.renew(standing_of(0, 0, 0), 0, 400);
  CHECK(all.leaderless_ms(0, 450) == 150);
}

TEST_CASE("published_groups: nothing is known of a group that there is not") {
  published_groups all;
  CHECK(all.lease_until_ms(4, 1) == 0);
  CHECK(all.lease_until_ms(4) == 0);
  CHECK(all.leader_of(4) == 0);
  CHECK(all.applied(4) == 0);
  CHECK(all.leaderless_ms(4, 100) == 0);
  CHECK(all.standings().empty());
}

TEST_CASE("published_groups: what is applied and how groups stand is what was said last") {
  published_groups all;
  all.prepare(1);
  all.renew(standing_of(0, 1, 10), 0, 100);
  all.apply(0, 12);
  CHECK(all.applied(0) == 12);
  all.set_standings({standing_of(0, 1, 12)});
  REQUIRE(all.standings().size() == 1);
  CHECK(all.standings().front().applied == 12);
}
