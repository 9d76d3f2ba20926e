#include "tests/unit/runtime_gateway/asking.hpp"

#include "persistence/log_state.hpp"

using namespace holdfast;
using namespace holdfast::testing;

namespace {

/// n1, asked here, leads 0 and 1; n2 leads 2; n3 is down.
cluster_view three_nodes() {
  cluster_view out;
  out.name = "prod";
  out.nodes = {{"n1", "10.0.0.1:7071", "up", "1", 2, 3, "member"},
               {"n2", "10.0.0.2:7071", "up", "1", 1, 3, "member"},
               {"n3", "10.0.0.3:7071", "down", "", 0, 3, "member"}};
  for (group_id group = 0; group <= 2; ++group)
    out.partitions.push_back(
      {group, group == 2 ? "n2" : "n1", 4, {{"n1", 9, 0}, {"n2", 7, 2}, {"n3", 0, 9}}, group != 1});
  return out;
}

struct asking_cluster : asking {
  explicit asking_cluster(gateway_options opts = {}) : asking(std::move(opts)) {
    node.cluster_now = three_nodes();
  }
  /// n1 has given everything to n2.
  void hand_over() {
    for (auto& partition : node.cluster_now->partitions)
      partition.leader = "n2";
    node.cluster_now->nodes[0].leaders = 0;
    node.cluster_now->nodes[0].state = "cordoned";
    node.cluster_now->nodes[1].leaders = 3;
  }
  void pass(std::int64_t ms) {
    now_ms += ms;
    front.tick();
  }
};

net::header_list as_role(const char* role) {
  return {{"Authorization", std::string{"Bearer "} + role}};
}

gateway_options with_keys() {
  gateway_options out;
  out.authenticate = [](std::string_view token) -> result<std::shared_ptr<const principal>> {
    const auto role = key_role_of(token == "scoped" ? "admin" : token);
    if (!role)
      return error{errc::unauthorised, "no such key"};
    principal who;
    who.name = token;
    who.roles.add(*role);
    if (token == "scoped")
      who.scope.types = {"support"};
    return std::make_shared<const principal>(std::move(who));
  };
  return out;
}

}  // namespace

TEST_CASE("cluster: nodes and partitions are told as the contract names them") {
  asking_cluster at;
  at.node.cluster_now->partitions[1].leader.clear();
  const auto got = at.ask("GET", "/v1/cluster")->body();
  CHECK(got == json::parse(R"({"kind":"cluster","name":"prod","feature_level":1,"nodes":[
    {"id":"n1","address":"10.0.0.1:7071","state":"up","version":"1","leaders":2,"replicas":3,
     "membership":"member","roles":["gateway","worker"]},
    {"id":"n2","address":"10.0.0.2:7071","state":"up","version":"1","leaders":1,"replicas":3,
     "membership":"member","roles":["gateway","worker"]},
    {"id":"n3","address":"10.0.0.3:7071","state":"down","version":null,"leaders":0,"replicas":3,
     "membership":"member","roles":["gateway","worker"]}],
    "partitions":[
    {"id":0,"leader":"n1","term":4,"settled":true,"replicas":[{"node":"n1","applied":9,"lag":0,"votes":true},
      {"node":"n2","applied":7,"lag":2,"votes":true},{"node":"n3","applied":0,"lag":9,"votes":true}]},
    {"id":1,"leader":null,"term":4,"settled":false,"replicas":[{"node":"n1","applied":9,"lag":0,"votes":true},
      {"node":"n2","applied":7,"lag":2,"votes":true},{"node":"n3","applied":0,"lag":9,"votes":true}]},
    {"id":2,"leader":"n2","term":4,"settled":true,"replicas":[{"node":"n1","applied":9,"lag":0,"votes":true},
      {"node":"n2","applied":7,"lag":2,"votes":true},{"node":"n3","applied":0,"lag":9,"votes":true}]}]})"));
}

TEST_CASE("cluster: a node that is alone answers with itself, leading everything") {
  asking at;
  at.node.now_status.cluster = "mine";
  at.node.now_status.address = "127.0.0.1:7070";
  write_set marks;
  put_log_state(2, {3, 17}, marks);
  REQUIRE(at.node.disk.write(marks, true));
  const auto got = at.ask("GET", "/v1/cluster")->body();
  CHECK(got["name"] == "mine");
  CHECK(got["nodes"] == json::parse(R"([{"id":"n1","address":"127.0.0.1:7070","state":"up",
    "version":"0.1.0","leaders":5,"replicas":5,
    "membership":"member","roles":["gateway","worker"]}])"));
  REQUIRE(got["partitions"].size() == 5);
  CHECK(got["partitions"][2] == json::parse(R"({"id":2,"leader":"n1","term":3,"settled":true,
    "replicas":[{"node":"n1","applied":17,"lag":0,"votes":true}]})"));
  for (const auto& partition : got["partitions"])
    CHECK(partition["leader"] == "n1");
}

TEST_CASE("nodes: each is told with what it leads, and one that is not there is not found") {
  asking_cluster at;
  const auto list = at.ask("GET", "/v1/nodes")->body();
  REQUIRE(list["items"].size() == 3);
  CHECK(list["next"].is_null());
  CHECK(list["items"][0]["leading"] == json::array({0, 1}));
  const auto one = at.ask("GET", "/v1/nodes/n2")->body();
  CHECK(one["kind"] == "node");
  CHECK(one["leading"] == json::array({2}));
  CHECK(at.node.carries.empty());  // seen from here
  for (const auto* target : {"/v1/nodes/n9", "/v1/nodes/%FF"})
    check_refused(at, at.ask("GET", target), 404, "not_found");
  for (const auto* verb : {"drain", "cordon", "uncordon"})
    check_refused(at, at.ask("POST", std::string{"/v1/nodes/n9/"} + verb), 404, "not_found");
}

TEST_CASE("nodes: what one is told to do is carried to it, with who asks") {
  asking_cluster at{with_keys()};
  const auto waits = at.ask("POST", "/v1/nodes/n2/drain?wait=2s", {}, as_role("admin"));
  CHECK(!waits->answer);
  REQUIRE(at.node.carries.size() == 1);
  CHECK(at.node.carries[0].peer == "n2");
  CHECK(at.node.carries[0].request.target() == "/v1/nodes/n2/drain?wait=2s");
  CHECK(at.node.carries[0].who->name == "admin");
  CHECK(at.node.cordons.empty());
  CHECK(at.node.audits.empty());  // by the node that does it
  // The other node has moved on: it does not pass the request on again.
  const auto wrong = std::make_shared<asked>();
  at.front.handle_forwarded(net::http_request::make("POST", "/v1/nodes/n2/cordon", {}, {}),
                            local_principal(), net::responder{wrong});
  CHECK(wrong->status() == 409);
}

TEST_CASE("nodes: a cordon and a drain are in the audit log before anything is given away") {
  asking_cluster at;
  std::vector<std::size_t> cordons_before;
  at.node.on_audit = [&] { cordons_before.push_back(at.node.cordons.size()); };
  CHECK(at.ask("POST", "/v1/nodes/n1/cordon")->status() == 200);
  at.ask("POST", "/v1/nodes/n1/drain?wait=1s");
  CHECK(cordons_before == std::vector<std::size_t>{0, 1});
  CHECK(at.node.cordons == std::vector<bool>{true, true});
  at.front.tick();
  CHECK(at.node.audits.size() == 2);
}

TEST_CASE("nodes: cordon and uncordon take effect at once and are audited") {
  asking_cluster at;
  at.node.cluster_now->nodes[0].state = "cordoned";
  const auto got = at.ask("POST", "/v1/nodes/n1/cordon", R"({"reason":"kernel"})");
  CHECK(got->status() == 200);
  CHECK(got->body()["state"] == "cordoned");
  CHECK(got->body()["note"].get<std::string>().find("restarted") != std::string::npos);
  at.node.cluster_now->nodes[0].state = "up";
  CHECK(!at.ask("POST", "/v1/nodes/n1/uncordon")->body().contains("note"));
  CHECK(at.node.cordons == std::vector<bool>{true, false});
  REQUIRE(at.node.audits.size() == 2);
  CHECK(at.node.audits[0].subject == "n1");
  CHECK(at.node.audits[0].route == "/v1/nodes/{id}/cordon");
  CHECK(at.ask("POST", "/v1/nodes/n1/cordon", R"({"resaon":"x"})")->status() == 422);
}

TEST_CASE("nodes: a drain is answered when others lead everything") {
  asking_cluster at;
  const auto got = at.ask("POST", "/v1/nodes/n1/drain");
  CHECK(at.node.cordons == std::vector<bool>{true});
  CHECK(!got->answer);
  at.pass(1'000);
  CHECK(!got->answer);
  at.hand_over();
  at.node.cluster_now->partitions[0].leader.clear();  // nobody has taken it yet
  at.pass(1'000);
  CHECK(!got->answer);
  at.node.cluster_now->partitions[0].leader = "n2";
  at.pass(1'000);
  REQUIRE(got->answer);
  CHECK(got->body()["drained"] == true);
  CHECK(got->body()["can_stop"] == false);  // n3 is down, n2 alone is no majority
  at.node.cluster_now->nodes[2].state = "up";
  CHECK(at.ask("POST", "/v1/nodes/n1/drain")->body()["can_stop"] == true);
  // Gateways are up, and none the more voters.
  at.node.cluster_now->nodes[2].state = "down";
  for (const char* gateway : {"g1", "g2"}) {
    at.node.cluster_now->nodes.push_back(
      {gateway, "10.0.0.9:7071", "up", "1", 0, 5, "member", node_roles::gateway});
    for (auto& partition : at.node.cluster_now->partitions)
      partition.replicas.push_back({gateway, 9, 0, false});
  }
  CHECK(at.ask("POST", "/v1/nodes/n1/drain")->body()["can_stop"] == false);
  CHECK(got->body()["leaders"] == 0);
}

TEST_CASE("nodes: a drain that takes too long says what is left") {
  asking_cluster at;
  const auto got = at.ask("POST", "/v1/nodes/n1/drain?wait=2s");
  at.pass(1'000);
  CHECK(!got->answer);
  at.pass(1'001);
  REQUIRE(got->answer);
  CHECK(got->status() == 200);
  CHECK(got->body()["drained"] == false);
  CHECK(got->body()["leading"] == json::array({0, 1}));
  CHECK(at.ask("POST", "/v1/nodes/n1/drain?wait=soon")->status() == 400);
  CHECK(at.ask("POST", "/v1/nodes/n1/drain?wait=6m")->status() == 400);
}

TEST_CASE("nodes: a drain is answered when the process ends") {
  asking_cluster at;
  const auto got = at.ask("POST", "/v1/nodes/n1/drain");
  at.node.now_status.draining = true;
  at.pass(1);
  REQUIRE(got->answer);
  CHECK(got->body()["drained"] == false);
}

TEST_CASE("nodes: one that is alone cannot be cordoned") {
  asking at;
  for (const auto* verb : {"drain", "cordon"})
    check_refused(at, at.ask("POST", std::string{"/v1/nodes/n1/"} + verb), 409, "conflict");
}

TEST_CASE("cluster rebalance: is answered when leaders are even, or says that they are not") {
  asking_cluster at;
  const auto even = at.ask("POST", "/v1/cluster/rebalance");
  CHECK(at.node.spreads == 1);
  REQUIRE(even->answer);
  CHECK(even->body()["balanced"] == true);  // 2 and 1; the one that is down does not count
  at.node.cluster_now->nodes[0].leaders = 3;
  at.node.cluster_now->nodes[1].leaders = 0;
  const auto uneven = at.ask("POST", "/v1/cluster/rebalance");
  CHECK(!uneven->answer);
  at.pass(6'000);
  REQUIRE(uneven->answer);
  CHECK(uneven->body()["balanced"] == false);
  CHECK(uneven->body()["nodes"].size() == 3);
}

namespace {

/// Writes a few bytes, or refuses.
class small_backup final : public backup_job {
public:
  explicit small_backup(errc why = errc::ok) : why_(why) {}
  void run(std::function<net::stream_handle()> open,
           std::function<void(const error&)> refuse) override {
    if (why_ != errc::ok)
      return refuse({why_, "a partition has no leader"});
    const auto out = open();
    out.write("a whole backup");
    out.close();
  }

private:
  errc why_;
};

}  // namespace

TEST_CASE(
  "cluster backup: its bytes are the answer, one at a time, and it is in the audit log first") {
  asking_cluster at{with_keys()};
  const auto admin = as_role("admin");
  check_refused(at, at.ask("POST", "/v1/cluster/backup", {}, admin), 409, "conflict");
  at.node.backup = std::make_shared<small_backup>();
  const auto taken = at.ask("POST", "/v1/cluster/backup", R"({"reason":"monday"})", admin);
  CHECK(taken->status() == 200);
  CHECK(taken->answer->content_type == "application/vnd.holdfast.backup");
  CHECK(taken->sent() == "a whole backup");
  REQUIRE(at.node.audits.size() == 2);
  CHECK(at.node.audits[0].outcome == "conflict");
  CHECK(at.node.audits[1].outcome == "done");
  CHECK(at.node.audits[1].route == "/v1/cluster/backup");
  at.node.backup = std::make_shared<small_backup>(errc::no_quorum);
  const auto refused = at.ask("POST", "/v1/cluster/backup", {}, admin);
  CHECK(refused->status() == 503);
  CHECK(refused->code() == "no_quorum");
  at.node.backup = std::make_shared<small_backup>();
  for (const auto* role : {"viewer", "operator", "developer"})
    CHECK(at.ask("POST", "/v1/cluster/backup", {}, as_role(role))->status() == 403);
  check_refused(at, at.ask("POST", "/v1/cluster/backup", R"({"to":"x"})", admin), 422, "schema");
}

TEST_CASE("cluster: every role sees it, admins change it, keys with a scope do neither") {
  asking_cluster at{with_keys()};
  for (const auto* target : {"/v1/cluster", "/v1/nodes", "/v1/nodes/n1"}) {
    CHECK(at.ask("GET", target)->status() == 401);
    for (const auto* role : {"viewer", "operator", "developer", "admin"})
      CHECK(at.ask("GET", target, {}, as_role(role))->status() == 200);
    CHECK(at.ask("GET", target, {}, as_role("scoped"))->status() == 403);
  }
  for (const auto* target :
       {"/v1/nodes/n1/cordon", "/v1/nodes/n2/drain", "/v1/cluster/rebalance"}) {
    CHECK(at.ask("POST", target)->status() == 401);
    for (const auto* role : {"viewer", "operator", "developer", "scoped"})
      CHECK(at.ask("POST", target, {}, as_role(role))->status() == 403);
  }
  CHECK(at.node.cordons.empty());
  CHECK(at.node.carries.empty());
  CHECK(at.node.spreads == 0);
}
