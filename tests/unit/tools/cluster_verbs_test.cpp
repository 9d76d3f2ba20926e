// `cluster` and `node`.

#include <doctest/doctest.h>

#include <filesystem>

#include "tests/unit/tools/fake_server.hpp"

using namespace holdfast;
using test::fake_process;
using test::fake_server;
using test::json;
using test::json_answer;
namespace fs = std::filesystem;

namespace {

json node_document(const std::string& id, const std::string& state, int leaders) {
  return {{"kind", "node"},
          {"id", id},
          {"address", "10.0.0.1:7071"},
          {"state", state},
          {"version", "1"},
          {"leaders", leaders},
          {"replicas", 7},
          {"membership", "member"},
          {"roles", {"gateway", "worker"}}};
}

json cluster_document(bool with_leaders) {
  json out{{"kind", "cluster"}, {"name", "prod"}};
  out["nodes"] = {node_document("n1", "up", 6), node_document("n2", "down", 0),
                  node_document("n3", with_leaders ? "up" : "down", 1)};
  for (int id = 0; id < 7; ++id) {
    json replicas = json::array();
    for (const auto* node : {"n1", "n2"})
      replicas.push_back({{"node", node}, {"applied", 40}, {"lag", node[1] == '2' ? id : 0}});
    out["partitions"].push_back(
      {{"id", id}, {"leader", id == 5 ? "n3" : "n1"}, {"term", 2 + id}, {"replicas", replicas}});
  }
  if (!with_leaders) {
    auto& partition = out["partitions"][3];
    partition["leader"] = nullptr;
    partition["replicas"].push_back({{"node", "n3"}, {"applied", 40}, {"lag", 0}});
  }
  return out;
}

struct certs_folder {
  fs::path path;
  certs_folder() {
    auto name = (fs::temp_directory_path() / "holdfast-cli-certs-XXXXXX").string();
    REQUIRE(mkdtemp(name.data()) != nullptr);
    path = name;
  }
  ~certs_folder() { fs::remove_all(path); }
  test::outcome certs(std::vector<std::string> more) const {
    more.insert(more.begin(), {"cluster", "certs", path.string()});
    return fake_process{}.run(more);
  }
};

}  // namespace

TEST_CASE("cluster status: nodes, then who leads what, in few lines") {
  fake_server server{test::always(json_answer(200, cluster_document(true)))};
  const auto done = fake_process{}.run(server, {"cluster", "status"});
  CHECK(done.code == 0);
  CHECK(done.err.empty());
  CHECK(done.out ==
        "cluster prod: 3 nodes, 7 partitions (0 is the cluster's own)\n"
        "\n"
        "NODE  STATE  MEMBERSHIP  ROLES           VERSION  LEADERS  REPLICAS  ADDRESS\n"
        "n1    up     member      gateway worker  1              6         7  10.0.0.1:7071\n"
        "n2    down   member      gateway worker  1              0         7  10.0.0.1:7071\n"
        "n3    up     member      gateway worker  1              1         7  10.0.0.1:7071\n"
        "\n"
        "LEADER  TERM  LAG     PARTITIONS\n"
        "n1       2-8  6 (n2)  0-4 6\n"
        "n3         7  5 (n2)  5\n");
  const auto wide = fake_process{}.run(server, {"cluster", "status", "-o", "wide"});
  CHECK(wide.out.find("        3  n1         5  3 (n2)  n1 40, n2 40\n") != std::string::npos);
  const auto machine = fake_process{}.run(server, {"cluster", "status", "-o", "json"});
  CHECK(json::parse(machine.out) == cluster_document(true));
}

TEST_CASE("cluster status: a partition without a leader is exit 1, with what to do") {
  fake_server server{test::always(json_answer(200, cluster_document(false)))};
  for (const auto* format : {"table", "wide", "json"}) {
    const auto done = fake_process{}.run(server, {"cluster", "status", "-o", format});
    CHECK(done.code == 1);
    CHECK(done.err ==
          "partition 3 without a leader: its agents wait\n"
          "down: n2, n3; a majority of 3 nodes must be up: start them again, with their data "
          "folders as they are\n");
  }
}

TEST_CASE("cluster status: who can elect a leader is counted among those that vote in it") {
  json cluster{{"kind", "cluster"}, {"name", "prod"}};
  for (const auto* id : {"n1", "n2", "n3", "n4", "n5"})
    cluster["nodes"].push_back(node_document(id, "up", 0));
  json replicas = json::array();
  for (const auto* id : {"n1", "n2", "n3", "n4", "n5"})
    replicas.push_back({{"node", id}, {"applied", 40}, {"lag", 0}, {"votes", id[1] <= '3'}});
  cluster["partitions"] = {{{"id", 1}, {"leader", nullptr}, {"term", 2}, {"replicas", replicas}}};
  const auto said_with_down = [&](const std::vector<std::size_t>& down) {
    auto now = cluster;
    for (const auto node : down)
      now["nodes"][node]["state"] = "down";
    fake_server server{test::always(json_answer(200, now))};
    const auto done = fake_process{}.run(server, {"cluster", "status"});
    CHECK(done.code == 1);
    const std::string head = "partition 1 without a leader: its agents wait\n";
    REQUIRE(done.err.starts_with(head));
    return done.err.substr(head.size());
  };
  CHECK(said_with_down({1, 2}) ==  // three of five nodes are up, one of three voters
        "down: n2, n3; a majority of the nodes that vote in a partition must be up: start them "
        "again, with their data folders as they are\n");
  CHECK(said_with_down({2, 3, 4}) ==  // the other way round
        "down: n3; the others are a majority and elect within seconds: look again\n");
  CHECK(said_with_down({3, 4}).starts_with("an election is under way"));
}

TEST_CASE("cluster status: says how far nodes are that join or leave") {
  auto cluster = cluster_document(true);
  cluster["nodes"][1]["membership"] = "joining";
  cluster["nodes"][1]["replicas"] = 3;
  cluster["nodes"][2]["membership"] = "removing";
  cluster["nodes"][2]["replicas"] = 1;
  fake_server server{test::always(json_answer(200, cluster))};
  const auto done = fake_process{}.run(server, {"cluster", "status"});
  CHECK(done.code == 0);
  CHECK(done.err ==
        "n2 is joining: it has a copy of 3 of 7 partitions; it is down, and goes on when it is "
        "started\n"
        "n3 is being removed: it has a copy of 1 of 7 partitions yet\n");
}

TEST_CASE("cluster status: says that votes are to be moved, and for whom that waits") {
  auto cluster = cluster_document(true);
  for (const std::size_t partition : {2, 5})
    cluster["partitions"][partition]["settled"] = false;
  fake_server server{test::always(json_answer(200, cluster))};
  CHECK(fake_process{}.run(server, {"cluster", "status"}).err ==
        "votes of 2 partitions are still to be moved; that waits for nodes that are down: n2\n");
  cluster["nodes"][1]["state"] = "up";
  fake_server moves{test::always(json_answer(200, cluster))};
  CHECK(fake_process{}.run(moves, {"cluster", "status"}).err ==
        "votes of 2 partitions are still to be moved\n");
}

TEST_CASE("node remove: waits until every partition has let the node go") {
  auto node = node_document("n2", "up", 0);
  int looks = 0;
  fake_server server{[&](const test::recorded_request& request, const net::responder& to) {
    node["membership"] = "removing";
    if (request.method == "GET" && ++looks > 1)
      to.send(test::problem(404, "not_found", "no node `n2` any more"));
    else
      to.send(json_answer(request.method == "GET" ? 200 : 202, node));
  }};
  const auto done = fake_process{}.run(server, {"node", "remove", "n2", "--yes", "--force"});
  CHECK(done.code == 0);
  CHECK(done.err.find("no member any more") != std::string::npos);
  CHECK(server.requests().at(0).line() == "DELETE /v1/nodes/n2?force=true");
  CHECK(looks == 2);
}

TEST_CASE("node remove: exit 6 when it takes longer, 5 when it is refused") {
  fake_server server{test::always(json_answer(200, node_document("n2", "up", 0)))};
  const auto late = fake_process{}.run(server, {"node", "remove", "n2", "--yes", "--wait", "1ms"});
  CHECK(late.code == 6);
  CHECK(late.err.find("it goes on by itself") != std::string::npos);
  fake_server refuses{test::always(test::problem(409, "conflict", "no majority"))};
  CHECK(fake_process{}.run(refuses, {"node", "remove", "n2", "--yes"}).code == 5);
}

TEST_CASE("cluster join and init: a configuration without a cluster is no use") {
  CHECK(fake_process{}.run({"cluster", "join", "--config", "/nonexistent.yaml"}).code == 2);
  CHECK(fake_process{}.run({"cluster", "init"}).code == 2);
}

TEST_CASE("node: list and describe show what the server says") {
  fake_server server{[](const test::recorded_request& request, const net::responder& to) {
    if (request.target.starts_with("/v1/nodes/"))
      to.send(json_answer(200, node_document("n2", "down", 0)));
    else
      to.send(json_answer(200, {{"items", {node_document("n1", "up", 6)}}, {"next", nullptr}}));
  }};
  const auto list = fake_process{}.run(server, {"node", "list"});
  CHECK(list.out.find(
          "n1    up     member      gateway worker  1              6         7  10.0.0.1:7071\n") !=
        std::string::npos);
  CHECK(fake_process{}.run(server, {"node", "list", "-o", "ids"}).out == "n1\n");
  const auto one = fake_process{}.run(server, {"node", "describe", "n2"});
  CHECK(one.out.find("State:      down\n") != std::string::npos);
  CHECK(server.requests().back().line() == "GET /v1/nodes/n2");
}

TEST_CASE("node cordon and uncordon: say how long it lasts") {
  fake_server server{test::always(json_answer(200, node_document("n2", "cordoned", 0)))};
  const auto cordon = fake_process{}.run(server, {"node", "cordon", "n2", "--reason", "disk"});
  CHECK(cordon.code == 0);
  CHECK(cordon.err.find("until it is restarted") != std::string::npos);
  CHECK(fake_process{}.run(server, {"node", "uncordon", "n2"}).code == 0);
  const auto requests = server.requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].line() == "POST /v1/nodes/n2/cordon");
  CHECK(requests[0].document() == json{{"reason", "disk"}});
  CHECK(requests[1].line() == "POST /v1/nodes/n2/uncordon");
}

TEST_CASE("node drain: exit 0 when it leads nothing, 6 when that takes longer") {
  for (const bool drained : {true, false}) {
    auto answer = node_document("n2", "cordoned", drained ? 0 : 3);
    answer["drained"] = drained;
    answer["can_stop"] = true;
    fake_server server{test::always(json_answer(200, answer))};
    const auto done = fake_process{}.run(server, {"node", "drain", "n2", "--wait", "90s"});
    CHECK(done.code == (drained ? 0 : 6));
    CHECK(done.err.find(drained ? "it can be stopped" : "leads 3 partitions") != std::string::npos);
    CHECK(server.requests().at(0).line() == "POST /v1/nodes/n2/drain?wait=1m30s");
  }
  auto risky = node_document("n2", "cordoned", 0);
  risky["drained"] = true;
  risky["can_stop"] = false;
  fake_server server{test::always(json_answer(200, risky))};
  const auto done = fake_process{}.run(server, {"node", "drain", "n2"});
  CHECK(done.code == 0);
  CHECK(done.err.find("do not stop it") != std::string::npos);
  for (const auto* wait : {"soon", "6m", "0s"})
    CHECK(fake_process{}.run({"node", "drain", "n2", "--wait", wait}).code == 2);
}

TEST_CASE("cluster rebalance: exit 6 while leaders are not even") {
  for (const bool balanced : {true, false}) {
    fake_server server{test::always(
      json_answer(200, {{"kind", "rebalance"},
                        {"balanced", balanced},
                        {"nodes", {node_document("n1", "up", 6), node_document("n2", "up", 0)}}}))};
    const auto done = fake_process{}.run(server, {"cluster", "rebalance"});
    CHECK(done.code == (balanced ? 0 : 6));
    CHECK(done.err.empty() == balanced);
    CHECK(done.out.find("n2    up") != std::string::npos);
    CHECK(server.requests().at(0).line() == "POST /v1/cluster/rebalance");
  }
}

TEST_CASE("cluster certs: makes files, names them, and says what to configure") {
  const certs_folder at;
  const auto done = at.certs({"--nodes", "n1=10.0.0.11+n1.example.com,n2"});
  CHECK(done.code == 0);
  const auto prefix = at.path.string() + "/";
  CHECK(done.out == prefix + "ca.key\n" + prefix + "ca.pem\n" + prefix + "n1.key\n" + prefix +
                      "n1.pem\n" + prefix + "n2.key\n" + prefix + "n2.pem\n");
  CHECK(done.err.find("tls: { ca: ca.pem, cert: n1.pem, key: n1.key }") != std::string::npos);
  const auto again = at.certs({"--nodes", "n1"});
  CHECK(again.code == 5);
  CHECK(again.err.find("--renew") != std::string::npos);
  CHECK(at.certs({"--nodes", "n1", "--renew"}).code == 0);
  CHECK(at.certs({"--nodes", "n3"}).out == prefix + "n3.key\n" + prefix + "n3.pem\n");
  fs::remove(at.path / "ca.key");
  CHECK(at.certs({"--nodes", "n4"}).code == 5);
}

TEST_CASE("cluster certs: what cannot be a node is refused and writes nothing") {
  const certs_folder at;
  for (const auto& arguments :
       std::vector<std::vector<std::string>>{{},
                                             {"--nodes", "N1"},
                                             {"--nodes", "ca"},
                                             {"--nodes", "../n1"},
                                             {"--nodes", "n1,n1"},
                                             {"--nodes", "n1,n2=n1"},
                                             {"--nodes", "n1=a b"},
                                             {"--nodes", "n1="},
                                             {"--nodes", "n1", "--days", "0"},
                                             {"--nodes", "n1", "--days", "9999"}}) {
    const auto done = at.certs(arguments);
    CHECK(done.code == 2);
    CHECK(done.out.empty());
  }
  CHECK(fs::is_empty(at.path));
}
