#!/usr/bin/env python3
"""Nodes that only take requests, nodes that only own partitions, and partitions with fewer voters than there are nodes: who
votes and leads follows the roles, while clients work and nodes of each kind are killed and restarted.

usage: roles_test.py [--seed N] [TestCase[.test]]
"""
import threading
import time

from harness.client import Unreachable
from harness.growing import ECHO, GROUPS, GrowingCase, Load, run
from harness.waiting import eventually

LOOP = "kind: agent\ntype: loop\nbehaviour: native\n"


class Only:
    """Some of the nodes, for the clients that know no others."""

    def __init__(self, nodes, names):
        self.nodes, self.names = nodes, names

    def one_up(self):
        up = [one for one in self.nodes.up() if one.name in self.names]
        return self.nodes.dice.choice(up) if up else None


class Watch:
    """Asks a node again and again who leads, and keeps who ever did."""

    def __init__(self, member):
        self.member, self.led, self.ended = member, set(), False
        self.thread = threading.Thread(target=self._watch, daemon=True)
        self.thread.start()

    def _watch(self):
        while not self.ended:
            try:
                view = self.member.client.get("/v1/cluster", timeout=5)
                if view.status == 200:
                    self.led.update(one["leader"] for one in view.json()["partitions"])
            except Unreachable:
                pass  # it is being restarted
            time.sleep(0.02)
        self.member.client.close()

    def end(self):
        self.ended = True
        self.thread.join(10)
        return self.led - {None}


class Roles(GrowingCase):
    def form(self, roles):
        """Name → its roles; all start at once."""
        def start(one):
            self.give(one, roles[one.name])
            one.start()

        self.nodes.form(list(roles), start=start)

    @staticmethod
    def give(one, roles):
        one.configure(f"{one.settings}roles: [{roles}]\n")

    def view(self, at):
        return self.nodes[at].client.get("/v1/cluster").json()

    def voters(self, at):
        """Of each partition."""
        return [sorted(one["node"] for one in partition["replicas"] if one["votes"]) for partition in self.view(at)["partitions"]]

    def settled_with(self, at, voters, leaders):
        """Every partition has so many voters, is led by one of them, and only these nodes vote and lead."""

        def holds():
            view = self.view(at)
            return all(len(votes) == voters and set(votes) <= set(leaders) for votes in self.voters(at)) and \
                all(one["leader"] in leaders for one in view["partitions"]) and \
                all(len(one["replicas"]) == len(view["nodes"]) for one in view["partitions"])

        eventually(lambda: f"{voters} of {leaders} vote everywhere: {self.voters(at)}, {self.view(at)['nodes']}", holds, 60)

    def works(self, at):
        """A run through this node: it waits, and what it reads afterwards is there."""
        def answered():
            try:
                answer = self.nodes[at].client.post("/v1/agents/loop/probe/events?wait=10s", {"data": {"steps": 3}}, timeout=15)
            except Unreachable:
                return False
            return answer.status == 200 and answer.json()["output"] == {"steps": 3}

        eventually(f"a run through {at} ends", answered, 60)

    def test_a_gateway_and_three_workers_are_each_killed_and_restarted_under_load(self):
        workers = ["w1", "w2", "w3"]
        self.form({"g1": "gateway", **{name: "worker" for name in workers}})
        self.settled_with("g1", 3, workers)
        edge = self.nodes["g1"]
        told = edge.cli("apply", "-f", "-", stdin=ECHO + "---\n" + LOOP)
        self.assertEqual(told.returncode, 0, told.stderr)
        listed = edge.cli("node", "list")
        self.assertRegex(listed.stdout, r"g1 +up +member +gateway ")
        self.assertRegex(listed.stdout, r"w1 +up +member +worker ")

        refused = self.nodes["w1"].client.post("/v1/agents/echo/a/events", {"data": 1})
        self.assertEqual((refused.status, refused.json()["code"]), (422, "not_available"), refused)
        self.assertIn("gateway", refused.json()["detail"])
        for path in ("/healthz", "/readyz", "/metrics", "/v1/cluster", "/v1/nodes"):
            self.assertEqual(self.nodes["w1"].client.get(path).status, 200, path)
        drained = edge.cli("node", "drain", "w1")
        self.assertEqual(drained.returncode, 0, drained.stderr)
        self.assertEqual(edge.cli("node", "uncordon", "w1").returncode, 0)

        load, watch = Load(Only(self.nodes, ["g1"])), Watch(edge)
        load.progress()
        for name in workers:
            self.nodes[name].kill()
            load.progress()
            self.nodes[name].started()
            self.works("g1")
        for name in workers:
            self.assertEqual(self.nodes[name].stop(), 0)
            load.progress()
            self.nodes[name].started()
        self.nodes["g1"].kill()
        self.nodes["g1"].started()
        load.progress()
        self.assertEqual(self.nodes["g1"].stop(), 0)
        self.nodes["g1"].started()
        load.progress()
        self.nodes.kill_some(workers + ["g1"], 6)
        load.progress()
        self.nodes.settled(["g1"] + workers)
        self.assertLessEqual(watch.end(), set(workers))
        self.check_end(load)

    def check_end(self, load):
        acks = load.end()
        gateways = [name for name, one in self.nodes.members.items() if one.address and "worker" not in self.roles_of(name)]
        self.check_acks(acks, Only(self.nodes, gateways) if gateways else None)
        names = [one.name for one in self.nodes.up()]
        self.end_all(names)
        self.check_same(names)
        print(f"  {len(acks)} events", flush=True)

    def roles_of(self, name):
        return next(one["roles"] for one in self.nodes[name].client.items("/v1/nodes") if one["id"] == name)

    def test_a_node_that_gets_another_role_follows_it(self):
        self.form({name: "gateway, worker" for name in ("n1", "n2", "n3", "n4")})
        self.settled_with("n1", 3, ["n1", "n2", "n3", "n4"])
        self.nodes["n1"].apply(ECHO + "---\n" + LOOP)
        load = Load(self.nodes)
        load.progress()
        self.give(self.nodes["n4"], "gateway")
        self.assertEqual(self.nodes["n4"].stop(), 0)
        self.nodes["n4"].started()
        self.settled_with("n1", 3, ["n1", "n2", "n3"])
        self.works("n4")
        load.progress()
        self.give(self.nodes["n4"], "worker, gateway")
        self.nodes["n4"].kill()
        self.nodes["n4"].started()
        self.give(self.nodes["n1"], "gateway")
        self.nodes["n1"].kill()
        self.nodes["n1"].started()
        self.settled_with("n4", 3, ["n2", "n3", "n4"])
        self.nodes.settled(["n1", "n2", "n3", "n4"])
        self.works("n1")

        last = self.nodes.add("g5")
        self.give(last, "gateway")
        joined = self.nodes.join("g5", "n2")
        self.assertEqual(joined.returncode, 0, joined.stderr)
        last.started()
        self.nodes.settled(["g5", "n1", "n2", "n3", "n4"])
        self.assertEqual(self.roles_of("g5"), ["gateway"])
        self.assertTrue(all("g5" not in votes for votes in self.voters("n2")))
        self.works("g5")
        self.check_end(load)

    def test_three_of_five_nodes_vote_and_a_dead_voter_is_replaced_when_it_is_removed(self):
        names = ["n1", "n2", "n3", "n4", "n5"]
        self.form({name: "gateway, worker" for name in names})
        self.settled_with("n1", 3, names)
        votes = self.voters("n1")
        self.assertEqual(sorted({sum(name in of_group for of_group in votes) for name in names}), [GROUPS * 3 // 5])
        self.nodes["n1"].apply(ECHO + "---\n" + LOOP)
        load = Load(self.nodes)
        load.progress()
        self.nodes["n5"].kill()
        load.progress()
        gone = self.nodes["n1"].cli("node", "remove", "n5", "--yes", seconds=90)
        self.assertEqual(gone.returncode, 0, gone.stdout + gone.stderr)
        self.settled_with("n1", 3, names[:4])
        self.works("n2")
        self.nodes.kill_some(names[:4], 4)
        load.progress()
        self.nodes.settled(names[:4])
        self.check_end(load)

    def test_the_last_node_that_owns_partitions_stays_one(self):
        self.form({"n1": "gateway, worker", "g1": "gateway"})
        self.settled_with("n1", 1, ["n1"])
        self.give(self.nodes["n1"], "gateway")
        self.assertEqual(self.nodes["n1"].stop(), 0)
        self.nodes["n1"].started()
        eventually("it says so", lambda: self.nodes["n1"].said("roles-not-taken", "last node that owns partitions"), 30)
        self.assertEqual(self.nodes["g1"].cli("apply", "-f", "-", stdin=LOOP).returncode, 0)
        self.works("g1")


if __name__ == "__main__":
    run(__doc__)
