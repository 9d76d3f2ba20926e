#!/usr/bin/env python3
"""A folder of one node becomes a cluster that others join and leave, while clients work and nodes die: nothing that was
acknowledged is lost, the replicas are the same, and a node that was removed does not come back.

usage: membership_test.py [--seed N] [TestCase[.test]]
"""
import argparse
import random
import sys
import threading
import time
import unittest

from harness import waiting
from harness.client import Unreachable
from harness.cluster import AnyNode, Member, contents, free_ports
from harness.node import cli
from harness.waiting import eventually

OPTIONS = argparse.Namespace(seed=None)
EXIT_REMOVED = 5
GROUPS = 25
ECHO = "kind: agent\ntype: echo\nbehaviour: native\n"


class Nodes:
    """Nodes that come and go; those that are up take requests."""

    def __init__(self, test, seed):
        self.test, self.dice, self.members = test, random.Random(seed), {}

    def add(self, name, more=""):
        """`more`: of `cluster`, beside its name and the address; none: the node is alone."""
        port, link = free_ports(2)
        one = Member(name, "", port)
        self.test.addCleanup(one.remove)
        one.link, one.file = f"127.0.0.1:{link}", f"{one.folder}/node.yaml"
        one.alone = f"node: {name}\ndata: {one.data}\n"
        one.settings = (f"{one.alone}cluster:\n  name: grown\n  election_timeout: 300ms\n"
                        + (more or f'  advertise: "{one.link}"\n'))
        one.configure(one.settings)
        self.members[name] = one
        return one

    def __getitem__(self, name):
        return self.members[name]

    def up(self):
        return [one for one in self.members.values() if one.address is not None]

    def one_up(self):
        up = self.up()
        return self.dice.choice(up) if up else None

    def join(self, name, at):
        one = self.members.get(name) or self.add(name)
        return cli("cluster", "join", "--config", one.file, "--address", "http://%s:%d" % self[at].address, "-o", "json")

    def nodes_at(self, name):
        try:
            return {one["id"]: one for one in self[name].client.items("/v1/nodes")}
        except (Unreachable, AssertionError):
            return {}

    def settled(self, names, seconds=60):
        """Every one of them votes everywhere, nobody else does, and each sees it."""

        def all_see_it():
            for name in names:
                seen = self.nodes_at(name)
                if sorted(seen) != sorted(names) or not self[name].is_ready():
                    return False
                if any(one["membership"] != "member" or one["replicas"] != GROUPS for one in seen.values()):
                    return False
            return True

        def why():
            return f"{names} are the members: {[self.nodes_at(name) for name in names]}\n" + "\n".join(
                f"--- {one.name}\n{one.log(12)}" for one in self.members.values())

        eventually(why, all_see_it, seconds, poll=0.05)


class Load:
    """Clients that send events, each again under its key until it is taken."""

    def __init__(self, nodes, threads=4):
        self.client, self.acks, self.ended = AnyNode(nodes, timeout=15), {}, False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,), daemon=True) for number in range(threads)]
        for one in self._threads:
            one.start()

    def _send(self, number):
        try:
            self._send_until_ended(number)
        finally:
            self.client.close()

    def _send_until_ended(self, number):
        for count in range(1_000_000):
            if self.ended:
                return
            key = f"{number}-{count}"
            while not self.ended:
                try:
                    answer = self.client.post(f"/v1/agents/echo/c{number}-{count % 10}/events", {"data": key},
                                              headers={"Idempotency-Key": key})
                except Unreachable:
                    time.sleep(0.02)
                    continue
                if answer.status == 202:
                    with self._lock:
                        self.acks[key] = answer.json()["run_id"]
                    break
                assert answer.status in (503, 429), f"{key}: {answer!r}"
                time.sleep(0.02)
            time.sleep(0.005)

    def progress(self, count=20, seconds=60):
        before = len(self.acks)
        eventually(f"{count} more events are taken", lambda: len(self.acks) >= before + count, seconds)

    def end(self):
        self.ended = True
        for one in self._threads:
            one.join(30)
        return dict(self.acks)


class Membership(unittest.TestCase):
    def setUp(self):
        self.seed = OPTIONS.seed if OPTIONS.seed is not None else random.SystemRandom().randrange(1 << 30)
        print(f"seed {self.seed}", flush=True)
        self.nodes = Nodes(self, self.seed)

    def first(self):
        """A cluster of one node, which elects itself."""
        port, link = free_ports(2)
        one = self.nodes.add("n1")
        one.configure(one.settings.replace("advertise:", "peers: { n1:").replace(f'"{one.link}"\n', f'"{one.link}" }}\n'))
        one.started()
        self.nodes.settled(["n1"])
        return one

    def joined(self, name, at):
        done = self.nodes.join(name, at)
        self.assertEqual(done.returncode, 0, done.stderr)
        return self.nodes[name].started()

    def check_same(self, names):
        """Of dead nodes: where they have applied the same of a group's log, they hold the same."""
        held = {name: contents(self.nodes[name].data) for name in names}
        compared = 0
        for group in {group for of_node in held.values() for group in of_node}:
            by_index = {}
            for of_node in held.values():
                index, digest = of_node.get(group, (None, None))
                by_index.setdefault(index, []).append(digest)
            for index, digests in by_index.items():
                self.assertEqual(len(set(digests)), 1, f"group {group} at {index}")
                compared += len(digests) > 1
        self.assertGreater(compared, GROUPS // 2)
        for name in names:
            told = cli("doctor", "--data", self.nodes[name].data)
            self.assertEqual(told.returncode, 0, told.stdout + told.stderr)

    def check_acks(self, acks):
        patient = AnyNode(self.nodes, patience=30)
        self.addCleanup(patient.close)

        def is_over(run):
            answer = patient.get(f"/v1/runs/{run}")
            self.assertNotEqual(answer.status, 404, f"{run} was acknowledged and is lost")
            return answer.status == 200 and answer.json()["status"] == "completed"

        for key, run in acks.items():
            eventually(f"{key} is completed", lambda run=run: is_over(run), 60)
        self.assertEqual(len(set(acks.values())), len(acks), "two events have one run")

    def kill_some(self, names, count):
        """kill -9 of any of them at any moment, started again at once."""
        for _ in range(count):
            time.sleep(self.nodes.dice.uniform(0.02, 0.6))
            one = self.nodes[self.nodes.dice.choice(names)]
            one.kill()
            one.started()

    def check_ended_removed(self, name):
        one = self.nodes[name]
        self.assertEqual(one.reap(), EXIT_REMOVED, one.log())
        one.wanted = False
        self.assertTrue(one.said("was removed from the cluster"), one.log())
        self.assertFalse(one.start(), "a removed node's folder starts again")
        self.assertEqual(one.process.returncode, EXIT_REMOVED, one.log())
        self.assertIn("takes a new name", one.log())

    def test_a_single_node_becomes_a_cluster_that_grows_and_shrinks_under_load(self):
        one = self.nodes.add("n1")
        one.configure(one.alone)
        one.started().apply(ECHO)
        before = [one.client.post(f"/v1/agents/echo/old{i}/events?wait=10s", {"data": i}).json()["run_id"] for i in range(20)]
        history = one.client.items("/v1/agents/echo/old7/history")
        self.assertEqual(one.stop(), 0)

        one.configure(one.settings)
        self.assertFalse(one.start(), "a folder of a node alone starts in a cluster")
        self.assertIn("cluster init", one.log())
        made = cli("cluster", "init", "--config", one.file)
        self.assertEqual(made.returncode, 0, made.stderr)
        again = cli("cluster", "init", "--config", one.file)
        self.assertEqual(again.returncode, 5, again.stdout)
        one.started()
        self.nodes.settled(["n1"])
        self.assertEqual(one.client.items("/v1/agents/echo/old7/history"), history)

        load = Load(self.nodes)
        load.progress()
        self.joined("n2", "n1")
        self.kill_some(["n1", "n2"], 3)
        self.nodes.settled(["n1", "n2"])
        load.progress()
        self.joined("n3", self.nodes.dice.choice(["n1", "n2"]))
        self.kill_some(["n1", "n2", "n3"], 4)
        self.nodes.settled(["n1", "n2", "n3"])
        load.progress()

        # It has led from the beginning. Once that is decided, the others may die on the way: it is carried out.
        eventually("it is decided", lambda: self.nodes["n3"].client.request("DELETE", "/v1/nodes/n1").status == 202)
        self.kill_some(["n2", "n3"], 2)
        self.check_ended_removed("n1")
        self.nodes.settled(["n2", "n3"])
        load.progress()

        self.joined("n4", "n3")
        self.nodes.settled(["n2", "n3", "n4"])
        eventually("its log says so", lambda: self.nodes["n3"].said("node-joined", "node=n4"))
        self.nodes["n2"].kill()
        load.progress()
        gone = self.nodes["n4"].cli("node", "remove", "n2", "--yes", seconds=90)
        self.assertEqual(gone.returncode, 0, gone.stdout + gone.stderr)
        self.nodes.settled(["n3", "n4"])
        self.nodes["n2"].started()  # it does not know yet
        self.check_ended_removed("n2")
        load.progress()

        acks = load.end()
        self.check_acks(acks)
        self.check_acks(dict(enumerate(before)))
        audited = {(entry["method"], entry["route"], entry["subject"]) for entry in self.nodes["n4"].client.items("/v1/audit")}
        self.assertIn(("POST", "/v1/nodes", "n4"), audited)
        self.assertIn(("DELETE", "/v1/nodes/{id}", "n1"), audited)
        for name in ("n3", "n4"):
            self.nodes[name].process.kill()
        for name in ("n3", "n4"):
            self.nodes[name].reap()
        self.check_same(["n3", "n4"])
        print(f"  {len(acks)} events", flush=True)

    def test_what_cannot_join_is_refused_and_may_try_again(self):
        self.first()
        self.joined("n2", "n1")
        self.nodes.settled(["n1", "n2"])
        known = self.nodes.join("n2", "n1")
        self.assertEqual(known.returncode, 5, known.stdout)  # it runs: its address is in use
        stranger = self.nodes.add("n3")
        stranger.configure(stranger.settings.replace("name: grown", "name: other"))
        wrong = self.nodes.join("n3", "n1")
        self.assertEqual(wrong.returncode, 5, wrong.stdout)
        self.assertIn("cluster.name", wrong.stderr)
        emptied = self.nodes.add("n5")
        emptied.configure(emptied.settings.replace("node: n5", "node: n2"))
        taken = self.nodes.join("n5", "n1")
        self.assertEqual(taken.returncode, 5, taken.stdout)
        self.assertIn("never used", taken.stderr)
        emptied.configure(emptied.settings)
        renamed = self.nodes.join("n5", "n1")  # the same folder, under a name of its own
        self.assertEqual(renamed.returncode, 0, renamed.stderr)
        emptied.started()
        self.nodes.settled(["n1", "n2", "n5"])
        unjoined = self.nodes.add("n6")
        self.assertFalse(unjoined.start(), "a node that never joined starts")
        self.assertIn("cluster join", unjoined.log())
        body = {"name": "n7", "address": "127.0.0.1:1", "feature_level": 0}
        elder = self.nodes["n1"].client.post("/v1/nodes", body)
        self.assertEqual(elder.status, 409, elder)
        self.assertIn("feature level", elder.json()["detail"])
        self.assertEqual(sorted(self.nodes.nodes_at("n1")), ["n1", "n2", "n5"])

    def test_a_node_is_removed_only_as_long_as_the_others_can_decide(self):
        self.first()
        last = self.nodes["n1"].cli("node", "remove", "n1", "--yes")
        self.assertEqual(last.returncode, 5, last.stdout)
        nobody = self.nodes["n1"].cli("node", "remove", "n9", "--yes")
        self.assertEqual(nobody.returncode, 4, nobody.stdout)
        for name in ("n2", "n3"):
            self.joined(name, "n1")
            self.nodes.settled(["n1", "n2"] if name == "n2" else ["n1", "n2", "n3"])
        self.nodes["n3"].kill()
        eventually("it is seen as down", lambda: self.nodes.nodes_at("n1")["n3"]["state"] == "down")
        refused = self.nodes["n1"].cli("node", "remove", "n2", "--yes")
        self.assertEqual(refused.returncode, 5, refused.stdout)
        self.assertIn("no majority", refused.stderr)
        done = self.nodes["n2"].cli("node", "remove", "n3", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.nodes.settled(["n1", "n2"])
        done = self.nodes["n2"].cli("node", "remove", "n1", "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.check_ended_removed("n1")
        self.nodes.settled(["n2"])
        self.assertEqual(self.nodes["n2"].stop(), 0)
        self.nodes["n2"].started()
        self.nodes.settled(["n2"])

    def test_a_node_that_was_away_while_the_others_changed_finds_them(self):
        self.first()
        for name in ("n2", "n3"):
            self.joined(name, "n1")
            self.nodes.settled(["n1", "n2"] if name == "n2" else ["n1", "n2", "n3"])
        self.nodes["n3"].kill()
        self.joined("n4", "n2")
        eventually("n4 votes everywhere", lambda: self.nodes.nodes_at("n1").get("n4", {}).get("replicas") == GROUPS, 60)
        done = self.nodes["n2"].cli("node", "remove", "n1", "--yes", seconds=90)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.check_ended_removed("n1")
        self.nodes["n3"].started()
        self.nodes.settled(["n2", "n3", "n4"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int)
    OPTIONS, rest = parser.parse_known_args(namespace=OPTIONS)
    waiting.overall_limit(400)
    unittest.main(verbosity=2, argv=[sys.argv[0], *rest])
