// The members of the cluster as state of group 0: what is decided, what is stored, what is refused.

#include "runtime/core/membership.hpp"

#include <doctest/doctest.h>

#include "persistence/memory_store.hpp"
#include "runtime/core/apply.hpp"

using namespace holdfast;

namespace {

struct cluster_record {
  memory_store disk;
  fact_machine machine;
  std::uint64_t index = 0;

  cluster_state state() const {
    auto loaded = load_cluster_state(disk);
    REQUIRE(loaded);
    return std::move(*loaded);
  }
  membership now() const { return state().nodes; }
  /// Decides and applies; gives how many facts that were.
  std::size_t change(const member_change& wanted) {
    auto facts = decide(state(), wanted);
    REQUIRE(facts);
    const auto count = facts->size();
    auto record = std::make_shared<turn_record>();
    record->at = 1'000;
    record->facts = std::move(*facts);
    const std::vector<std::shared_ptr<const turn_record>> records{std::move(record)};
    write_set writes;
    machine.apply(disk, catalog_group, ++index, records, writes);
    REQUIRE(disk.write(writes, true));
    return count;
  }
  errc refusal(const member_change& wanted) const {
    const auto facts = decide(state(), wanted);
    REQUIRE_FALSE(facts);
    CHECK_FALSE(facts.error().context.empty());
    return facts.error().code;
  }
};

const form_cluster formed{{{"n1", "h1:1"}, {"n2", "h2:1"}}};

}  // namespace

TEST_CASE("membership: those that formed the cluster are recorded once") {
  cluster_record c;
  CHECK(c.change(formed) == 2);
  CHECK(c.change(form_cluster{{{"n7", "h7:1"}}}) == 0);
  CHECK(c.now().size() == 2);
  CHECK(c.now().at("n2") == node_record{"n2", "h2:1", {}, false, 1'000});
}

TEST_CASE("membership: a node is added once; asked for again with its folder, nothing changes") {
  cluster_record c;
  c.change(formed);
  CHECK(c.change(add_node{"n3", "h3:1", "f3"}) == 1);
  CHECK(c.change(add_node{"n3", "h3:1", "f3"}) == 0);
  CHECK(c.refusal(add_node{"n3", "h3:1", "another"}) == errc::conflict);
  CHECK(c.refusal(add_node{"n3", "h9:1", "f3"}) == errc::conflict);
  CHECK(c.refusal(add_node{"n1", "h1:1", {}}) == errc::conflict);
  CHECK(c.refusal(add_node{"n4", "h3:1", "f4"}) == errc::conflict);
  CHECK(count_members(c.now()) == 3);
}

TEST_CASE("membership: a removed name does not come back, its address may") {
  cluster_record c;
  c.change(formed);
  CHECK(c.change(remove_node{"n2"}) == 1);
  CHECK(c.change(remove_node{"n2"}) == 0);
  CHECK_FALSE(find_member(c.now(), "n2"));
  CHECK(c.now().at("n2").removed);
  CHECK(c.refusal(add_node{"n2", "h2:1", "f"}) == errc::conflict);
  CHECK(c.change(add_node{"n3", "h2:1", "f"}) == 1);
}

TEST_CASE("membership: the last node, and one that is none, are not removed; there is a bound") {
  cluster_record c;
  c.change(form_cluster{{{"n1", "h1:1"}}});
  CHECK(c.refusal(remove_node{"n1"}) == errc::conflict);
  CHECK(c.refusal(remove_node{"n2"}) == errc::not_found);
  for (std::size_t i = 2; i <= members_max; ++i) {
    const auto name = "n" + std::to_string(i);
    c.change(add_node{name, name + ":1", name});
  }
  CHECK(c.refusal(add_node{"more", "more:1", "f"}) == errc::conflict);
}

TEST_CASE("membership: roles follow the configuration, but somebody owns the partitions") {
  cluster_record c;
  c.change(formed);
  CHECK(c.change(add_node{"g1", "g1:1", "f", node_roles::gateway}) == 1);
  CHECK(c.now().at("g1").roles == node_roles::gateway);
  CHECK(c.change(change_roles{"n1", node_roles::gateway}) == 1);
  CHECK(c.change(change_roles{"n1", node_roles::gateway}) == 0);
  CHECK(c.now().at("n1") == node_record{"n1", "h1:1", {}, false, 1'000, node_roles::gateway});
  CHECK(c.refusal(change_roles{"n2", node_roles::gateway}) == errc::conflict);
  CHECK(c.refusal(change_roles{"n9", node_roles::worker}) == errc::not_found);
  CHECK(c.refusal(remove_node{"n2"}) == errc::conflict);
  CHECK(c.change(change_roles{"n2", node_roles::worker}) == 1);
  CHECK(c.change(change_roles{"n1", node_roles::both}) == 1);
  CHECK(c.change(remove_node{"n2"}) == 1);
  CHECK(c.refusal(change_roles{"n2", node_roles::both}) == errc::not_found);
}

TEST_CASE("membership: how many vote is set for the whole cluster") {
  cluster_record c;
  CHECK(c.state().settings.replication == 0);
  CHECK(c.change(set_replication{3}) == 1);
  CHECK(c.change(set_replication{3}) == 0);
  CHECK(c.change(set_replication{5}) == 1);
  CHECK(c.state().settings.replication == 5);
}

TEST_CASE(
  "membership: the feature level rises and never falls, and nothing else is changed by it") {
  cluster_record c;
  CHECK(feature_level_of(c.state().settings) == 1);
  c.change(set_replication{3});
  CHECK(c.change(raise_feature_level{1}) == 0);
  CHECK(c.change(raise_feature_level{2}) == 1);
  CHECK(c.change(raise_feature_level{1}) == 0);
  CHECK(c.change(set_replication{5}) == 1);
  CHECK(c.state().settings == cluster_settings{5, 2});
}
