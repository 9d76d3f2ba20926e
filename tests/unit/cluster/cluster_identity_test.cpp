// Data folders and who they belong to; who is let in.

#include "cluster/cluster_identity.hpp"

#include <doctest/doctest.h>

#include "cluster/raft_store.hpp"
#include "persistence/keys.hpp"
#include "persistence/log_state.hpp"
#include "persistence/memory_store.hpp"
#include "schemas/codec.hpp"

using namespace holdfast;

namespace {

cluster_config config_of(std::map<std::string, std::string> peers) {
  cluster_config out;
  out.name = "prod";
  out.advertise = "h1:1";
  out.peers = std::move(peers);
  return out;
}

const cluster_config forming = config_of({{"n1", "h1:1"}, {"n2", "h2:1"}});

errc refused_start(store& disk, const cluster_config& config, const std::string& node = "n1") {
  const auto opened = open_identity(disk, config, node);
  REQUIRE_FALSE(opened);
  CHECK_FALSE(opened.error().context.empty());
  return opened.error().code;
}

/// As a node alone leaves it: a term, and in some groups something applied.
void run_alone(store& disk, std::uint16_t partitions) {
  write_set writes;
  writes.put(family::meta, keys::node("partitions"), std::to_string(partitions));
  put_log_state(0, {3, 0}, writes);
  for (group_id group = 1; group <= partitions; ++group)
    put_log_state(group, {3, group == 1 ? 1 : 40U + group}, writes);
  REQUIRE(disk.write(writes, true));
}

net::link_hello hello_of(const std::string& node) {
  return {"prod", node, "folder", "0.1.0", 1, 2, 24};
}
const admission judge{"n1", 24, 2};
const known_node member{"n2", "h2:1", {}, false, true};

}  // namespace

TEST_CASE("identity: a new folder is marked, and forms the cluster with those that are named") {
  memory_store disk;
  const auto first = open_identity(disk, forming, "n1");
  REQUIRE(first);
  CHECK(first->may_form);
  CHECK(first->told == forming.peers);
  const auto again = open_identity(disk, forming, "n1");
  REQUIRE(again);
  CHECK(again->folder == first->folder);
  CHECK(refused_start(disk, config_of({{"n1", "h1:1"}})) ==
        errc::conflict);  // nobody is recorded yet
  CHECK(refused_start(disk, forming, "n2") == errc::conflict);
  auto other = forming;
  other.name = "test";
  CHECK(refused_start(disk, other) == errc::conflict);
  CHECK_FALSE(check_not_of_cluster(disk));
}

TEST_CASE("identity: once the members are recorded, the configuration need not name them") {
  memory_store disk;
  REQUIRE(open_identity(disk, forming, "n1"));
  write_set writes;
  writes.put(family::meta, keys::hard_state(catalog_group), "some");
  writes.put(family::meta, keys::member("n1"),
             codec::encode(node_record{"n1", "h1:1", {}, false, 1}));
  REQUIRE(disk.write(writes, true));
  const auto opened = open_identity(disk, config_of({{"n1", "h1:1"}, {"n9", "h9:1"}}), "n1");
  REQUIRE(opened);
  CHECK_FALSE(opened->may_form);
}

TEST_CASE(
  "identity: a folder without a cluster neither forms one alone nor is taken from a node alone") {
  memory_store disk;
  CHECK(refused_start(disk, config_of({})) == errc::conflict);
  CHECK(refused_start(disk, config_of({{"n2", "h2:1"}, {"n3", "h3:1"}})) == errc::conflict);
  run_alone(disk, 2);
  CHECK(refused_start(disk, forming) == errc::conflict);
}

TEST_CASE("identity: a node that joins starts with what it was told, once it was told") {
  memory_store disk;
  const auto folder = begin_joining(disk, "prod", "n4", 24);
  REQUIRE(folder);
  CHECK(refused_start(disk, config_of({}), "n4") == errc::conflict);
  CHECK(*begin_joining(disk, "prod", "n4", 24) == *folder);
  const auto renamed = begin_joining(disk, "prod", "n5", 24);  // `n4` was refused, perhaps
  REQUIRE(renamed);
  CHECK(*renamed != *folder);
  REQUIRE(begin_joining(disk, "prod", "n4", 24));
  REQUIRE(finish_joining(disk, {{"n2", "h2:1"}, {"n4", "h1:1"}}));
  const auto opened = open_identity(disk, config_of({}), "n4");
  REQUIRE(opened);
  CHECK_FALSE(opened->may_form);
  CHECK(opened->told == std::map<std::string, std::string>{{"n2", "h2:1"}, {"n4", "h1:1"}});
  CHECK(*begin_joining(disk, "prod", "n4", 24) == opened->folder);
  CHECK_FALSE(begin_joining(disk, "prod", "n5", 24));
  CHECK_FALSE(begin_joining(disk, "prod", "n4", 12));
}

TEST_CASE("identity: a node joins with an empty folder only") {
  memory_store disk;
  run_alone(disk, 2);
  CHECK_FALSE(begin_joining(disk, "prod", "n4", 2));
  memory_store formed;
  REQUIRE(open_identity(formed, forming, "n1"));
  CHECK_FALSE(begin_joining(formed, "prod", "n1", 24));
}

TEST_CASE("identity: a removed node's folder does not start any more, not even alone") {
  memory_store disk;
  REQUIRE(open_identity(disk, forming, "n1"));
  write_set writes;
  put_removed(writes);
  REQUIRE(disk.write(writes, true));
  CHECK(refused_start(disk, forming) == errc::gone);
  CHECK(check_not_of_cluster(disk).error().code == errc::gone);
  CHECK_FALSE(begin_joining(disk, "prod", "n1", 24));
  CHECK_FALSE(make_first_member(disk, "prod", "n1", "h1:1"));
}

TEST_CASE("identity: the groups of a node alone go on behind what they have applied") {
  memory_store disk;
  run_alone(disk, 2);
  REQUIRE(make_first_member(disk, "prod", "n1", "h1:1"));
  const auto fresh = consensus::load(disk, 0);
  REQUIRE(fresh);
  CHECK(fresh->stored.entries.size() == 1);
  CHECK(fresh->stored.hard.term == 3);
  const auto used = consensus::load(disk, 2);
  REQUIRE(used);
  REQUIRE(used->stored.snapshot);
  CHECK(used->stored.applied == 42);
  CHECK(used->stored.snapshot->index == 42);
  CHECK(used->stored.snapshot->term == 3);
  CHECK(used->stored.snapshot->members.is_voter(node_id_of("n1")));
  CHECK(used->stored.entries.empty());
  const auto barely = consensus::load(disk, 1);
  REQUIRE(barely);
  CHECK(barely->stored.applied == 2);
  CHECK_FALSE(make_first_member(disk, "prod", "n1", "h1:1"));
  CHECK(open_identity(disk, config_of({{"n1", "h1:1"}}), "n1"));
  CHECK(open_identity(disk, config_of({}), "n1"));
}

TEST_CASE("admission: a member is let in, with whatever folder it came first") {
  CHECK(refusal_of(hello_of("n2"), judge, &member, {}, true).refusal.empty());
  CHECK(refusal_of(hello_of("n2"), judge, &member, "folder", true).refusal.empty());
}

TEST_CASE("admission: who cannot do the cluster's feature level is refused and told what to do") {
  auto other = hello_of("n2");
  other.feature_newest = 5;
  CHECK(refusal_of(other, judge, &member, {}, true).refusal.empty());
  other.feature_oldest = 3;
  CHECK(refusal_of(other, judge, &member, {}, true).refusal.find("in between") !=
        std::string::npos);
  other.feature_oldest = other.feature_newest = 1;
  CHECK(refusal_of(other, judge, &member, {}, true).refusal.find("newer release") !=
        std::string::npos);
}

TEST_CASE("admission: strangers, emptied folders and other partitions are refused") {
  CHECK(refusal_of(hello_of("n2"), judge, nullptr, {}, false).refusal.find("not among") !=
        std::string::npos);
  CHECK(refusal_of(hello_of("n2"), judge, &member, "before", true)
          .refusal.find("another data folder") != std::string::npos);
  auto recorded = member;
  recorded.folder = "recorded";
  CHECK(refusal_of(hello_of("n2"), judge, &recorded, "folder", true)
          .refusal.find("another data folder") != std::string::npos);
  auto other = hello_of("n2");
  other.partitions = 12;
  CHECK(refusal_of(other, judge, &member, {}, true).refusal.find("12 partitions") !=
        std::string::npos);
}

TEST_CASE("admission: a removed node is told so, once no group has it any more") {
  auto removed = member;
  removed.removed = true;
  CHECK(refusal_of(hello_of("n2"), judge, &removed, "folder", true).refusal.empty());
  const auto gone = refusal_of(hello_of("n2"), judge, &removed, "folder", false);
  CHECK(gone.refusal == removed_notice("n2"));
  CHECK(gone.for_good);
  CHECK_FALSE(refusal_of(hello_of("n2"), judge, nullptr, {}, false).for_good);
}

TEST_CASE("directory: what group 0 says counts before what was told, heard and configured") {
  member_directory known{"n3", {{"n1", "old:1"}, {"n2", "h2:1"}, {"n3", "h3:1"}}};
  CHECK(known.get()->size() == 3);
  CHECK(known.certain().empty());
  // A state from before this node joined: it speaks to those it was told of, too.
  CHECK(known.take({{{"n1", {"n1", "h1:1", {}, false, 1}}}, {}}));
  CHECK(known.find(node_id_of("n1"))->address == "h1:1");
  CHECK(known.get()->size() == 3);
  const cluster_state stated{
    {{"n1", {"n1", "h1:1", {}, true, 2}}, {"n3", {"n3", "h3:1", "f", false, 1}}}, {}};
  CHECK(known.take(stated));
  CHECK_FALSE(known.take(stated));
  CHECK(known.find(node_id_of("n1"))->removed);
  CHECK_FALSE(known.find(node_id_of("n2")));
  // Others are further: whom they name is let in, and is not yet certain.
  CHECK(known.hear({{"n1", "h1:1"}, {"n4", "h4:1"}}));
  CHECK_FALSE(known.hear({{"n4", "h4:1"}}));
  CHECK_FALSE(known.find(node_id_of("n4"))->certain);
  CHECK(known.find(node_id_of("n1"))->removed);
  CHECK(known.certain() == std::vector<link::known_member>{{"n3", "h3:1"}});
}

TEST_CASE("directory: what group 0 states is what was taken last, and not what was told or heard") {
  member_directory known{"n1", {{"n1", "h1:1"}, {"n2", "h2:1"}}};
  CHECK(known.stated().nodes.empty());
  known.hear({{"n3", "h3:1"}});
  CHECK(known.stated().nodes.empty());
  const node_record first{"n1", "h1:1", {}, false, 1};
  known.take({{{"n1", first}}, {3, 1}});
  known.take({{{"n1", first}}, {5, 2}});
  CHECK(known.stated().nodes == membership{{"n1", first}});
  CHECK(known.stated().settings == known.settings());
  CHECK(known.stated().settings.replication == 5);
}
