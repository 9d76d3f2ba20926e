// Nodes that ask to join, and those that are told to leave.

#include "tests/unit/runtime_gateway/asking.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

/// n1, asked here, of three that are up.
struct asking_members : asking {
  asking_members() {
    node.cluster_now.emplace();
    node.cluster_now->name = "prod";
    for (const char* name : {"n1", "n2", "n3"})
      node.cluster_now->nodes.push_back(
        {name, "10.0.0.1" + std::string{name + 1} + ":7071", "up", "1", 1, 3, "member"});
    node.cluster_now->partitions.push_back({0, "n1", 1, {{"n1"}, {"n2"}, {"n3"}}});
  }
  json joining(json more = json::object()) const {
    json out{{"name", "n4"}, {"address", "10.0.0.14:7071"}};
    out.update(more);
    return out;
  }
};

}  // namespace

TEST_CASE("members: a node that may join is told who is there, once it is recorded") {
  asking_members at;
  const auto got = at.ask(
    "POST", "/v1/nodes",
    at.joining({{"folder", "f4"}, {"cluster", "prod"}, {"partitions", 4}, {"feature_level", 1}})
      .dump());
  CHECK_FALSE(got->answer);
  REQUIRE(at.node.member_changes.size() == 1);
  const auto& wanted = std::get<add_node>(at.node.member_changes[0].wanted);
  CHECK(wanted.name == "n4");
  CHECK(wanted.address == "10.0.0.14:7071");
  CHECK(wanted.folder == "f4");
  CHECK(wanted.roles == node_roles::both);
  REQUIRE(at.node.member_changes[0].audit);
  CHECK(at.node.member_changes[0].audit->subject == "n4");
  at.node.member_changes[0].tell(command_done{});
  REQUIRE(got->answer);
  CHECK(got->status() == 201);
  CHECK(got->body()["members"].size() == 3);
  CHECK(got->body()["partitions"] == 4);
  CHECK(at.node.audits.empty());  // it is in the record
}

TEST_CASE("members: what could never work is refused before anything is recorded") {
  asking_members at;
  const std::pair<json, const char*> cases[] = {
    {{{"cluster", "test"}}, "cluster.name"},
    {{{"partitions", 12}}, "made for 12"},
    {{{"feature_level", 0}}, "newer release"},
    {{{"feature_level", 3}, {"feature_oldest", 2}}, "in between"},
    {{{"address", "127.0.0.1:7071"}}, "cannot reach"},
  };
  for (const auto& [more, why] : cases) {
    CAPTURE(why);
    const auto got = at.ask("POST", "/v1/nodes", at.joining(more).dump());
    REQUIRE(got->answer);
    CHECK(got->status() == 409);
    CHECK(got->body()["detail"].get<std::string>().find(why) != std::string::npos);
  }
  for (const auto* body :
       {R"({})", R"({"name":"n4"})", R"({"name":"N 4","address":"h:1"})",
        R"({"name":"n4","address":"h"})", R"({"name":"n4","address":"h:1","x":1})"})
    CHECK(at.ask("POST", "/v1/nodes", body)->status() == 422);
  CHECK(at.node.member_changes.empty());
}

TEST_CASE("members: a node joins with its roles, and a gateway's absence is nobody's loss") {
  asking_members at;
  const auto joined = at.ask("POST", "/v1/nodes", at.joining({{"roles", {"gateway"}}}).dump());
  REQUIRE(at.node.member_changes.size() == 1);
  CHECK(std::get<add_node>(at.node.member_changes[0].wanted).roles == node_roles::gateway);
  for (const auto* roles : {R"(["boss"])", R"("gateway")", R"([1])"})
    CHECK(at.ask("POST", "/v1/nodes",
                 R"({"name":"n5","address":"10.0.0.15:7071","roles":)" + std::string{roles} + "}")
            ->status() == 422);
  CHECK(at.node.member_changes.size() == 1);

  auto& view = *at.node.cluster_now;
  view.nodes.push_back({"g1", "10.0.0.21:7071", "down", "1", 0, 1, "member", node_roles::gateway});
  view.partitions[0].replicas.push_back({"g1", 0, 0, false});
  view.nodes[1].state = "down";
  CHECK(at.ask("DELETE", "/v1/nodes/n3")->status() == 409);  // n1 alone would have to agree with n2
  // Of four that own partitions three vote: the fourth takes over from one that goes, when it is there.
  at.node.member_changes.clear();
  view.nodes.push_back({"n4", "10.0.0.14:7071", "up", "1", 0, 1, "member"});
  view.partitions[0].replicas.push_back({"n4", 0, 0, false});
  const auto replaced = at.ask("DELETE", "/v1/nodes/n3");
  CHECK(at.node.member_changes.size() == 1);
  view.nodes.back().state = "down";
  CHECK(at.ask("DELETE", "/v1/nodes/n3")->status() == 409);
  at.node.member_changes.clear();
  const auto gone = at.ask("DELETE", "/v1/nodes/g1");
  CHECK(at.node.member_changes.size() == 1);
}

TEST_CASE("members: a refusal of the owner of group 0 is the answer") {
  asking_members at;
  const auto got = at.ask("POST", "/v1/nodes", at.joining().dump());
  at.node.member_changes.at(0).tell(error{errc::conflict, removed_notice("n4")});
  CHECK(got->status() == 409);
  CHECK(got->body()["detail"].get<std::string>().find("takes a new name") != std::string::npos);
}

TEST_CASE("members: a node is removed as long as the others that are up are a majority") {
  asking_members at;
  const auto got = at.ask("DELETE", "/v1/nodes/n3");
  REQUIRE(at.node.member_changes.size() == 1);
  CHECK(std::get<remove_node>(at.node.member_changes[0].wanted).name == "n3");
  at.node.cluster_now->nodes[2].membership = "removing";
  at.node.member_changes[0].tell(command_done{});
  CHECK(got->status() == 202);
  CHECK(got->body()["membership"] == "removing");

  at.node.cluster_now->nodes[2].membership = "member";
  at.node.cluster_now->nodes[1].state = "down";
  const auto refused = at.ask("DELETE", "/v1/nodes/n3");
  CHECK(refused->status() == 409);
  CHECK(refused->body()["detail"].get<std::string>().find("no majority") != std::string::npos);
  at.node.cluster_now->nodes[2].membership = "joining";  // it votes where it is already
  CHECK(at.ask("DELETE", "/v1/nodes/n3")->status() == 409);
  CHECK(at.node.member_changes.size() == 1);
  const auto dead = at.ask("DELETE", "/v1/nodes/n2");
  CHECK(at.node.member_changes.size() == 2);
  const auto forced = at.ask("DELETE", "/v1/nodes/n3?force=true");
  CHECK(at.node.member_changes.size() == 3);
}

TEST_CASE("members: a node that is alone takes none, and says how it could") {
  asking at;
  const auto got = at.ask("POST", "/v1/nodes", R"({"name":"n4","address":"10.0.0.14:7071"})");
  CHECK(got->status() == 409);
  CHECK(got->body()["detail"].get<std::string>().find("cluster init") != std::string::npos);
}
