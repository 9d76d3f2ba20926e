#!/usr/bin/env python3
"""A folder of one node becomes a cluster that others join and leave, while clients work and nodes die: nothing that was
acknowledged is lost, the replicas are the same, and a node that was removed does not come back.

usage: membership_test.py [--seed N] [TestCase[.test]]
"""
import os

from harness.cluster import free_ports
from harness.growing import ECHO, GrowingCase, Load, run
from harness.node import cli
from harness.waiting import eventually

EXIT_REMOVED = EXIT_REFUSED = 5


class Membership(GrowingCase):
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
        self.nodes.kill_some(["n1", "n2"], 3)
        self.nodes.settled(["n1", "n2"])
        load.progress()
        self.joined("n3", self.nodes.dice.choice(["n1", "n2"]))
        self.nodes.kill_some(["n1", "n2", "n3"], 4)
        self.nodes.settled(["n1", "n2", "n3"])
        load.progress()

        # It has led from the beginning. Once that is decided, the others may die on the way: it is carried out.
        eventually("it is decided", lambda: self.nodes["n3"].client.request("DELETE", "/v1/nodes/n1").status == 202)
        self.nodes.kill_some(["n2", "n3"], 2)
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
        self.assertFalse(os.path.exists(emptied.data))
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

        def are_members():
            seen = self.nodes.nodes_at("n1")
            return all(seen.get(name, {}).get("membership") == "member" for name in ("n1", "n2", "n4"))

        eventually(lambda: f"n4 has everything: {self.nodes.nodes_at('n1')}", are_members, 60)
        status = self.nodes["n2"].cli("cluster", "status")
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertIn("that waits for nodes that are down: n3", status.stderr)  # its votes stay where they are
        self.assertNotIn("joining", status.stderr)

        def is_removed():  # not before n4 votes as well: n2 alone would be no majority
            done = self.nodes["n2"].cli("node", "remove", "n1", "--yes", seconds=90)
            self.assertIn(done.returncode, (0, EXIT_REFUSED), done.stdout + done.stderr)
            return done.returncode == 0

        eventually("n1 is removed", is_removed, 60, poll=0.2)
        self.check_ended_removed("n1")
        self.nodes["n3"].started()
        self.nodes.settled(["n2", "n3", "n4"])


if __name__ == "__main__":
    run(__doc__)
