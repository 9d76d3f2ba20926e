#!/usr/bin/env python3
"""A cluster under load goes over to a newer release node by node: releases that can work together do, what is new begins when
every node can, and who cannot is kept out. One binary plays the releases (HOLDFAST_FEATURE_LEVELS).

usage: upgrade_test.py [--seed N] [TestCase[.test]]
"""

from harness.growing import ECHO, GrowingCase, Load, run
from harness.waiting import eventually

ELDER, NEWER, LATER = "1-1", "1-2", "3-3"


class Upgrade(GrowingCase):
    def run_release(self, name, levels):
        self.nodes[name].env["HOLDFAST_FEATURE_LEVELS"] = levels
        return self.nodes[name].started()

    def level(self, at):
        return self.nodes[at].client.get("/v1/cluster").json()["feature_level"]

    def test_nodes_are_upgraded_one_by_one_under_load_and_what_is_new_begins_with_the_last(self):
        names = ["n1", "n2", "n3"]
        self.nodes.form(names, start=lambda one: self.run_release(one.name, ELDER))
        self.nodes["n1"].apply(ECHO)
        load = Load(self.nodes)
        load.progress()
        for name in names:
            self.assertEqual(self.level("n1"), 1)
            drained = self.nodes[name].cli("node", "drain", name)
            self.assertEqual(drained.returncode, 0, drained.stderr)
            self.assertEqual(self.nodes[name].stop(), 0)
            load.progress()
            self.run_release(name, NEWER)
            self.nodes.settled(names)
            load.progress()
        for name in names:
            eventually(f"{name} uses what is new", lambda name=name: self.level(name) == 2, 30)

        # Back is too late, and what comes has to be able to.
        self.nodes["n2"].kill()
        self.nodes["n2"].env["HOLDFAST_FEATURE_LEVELS"] = ELDER
        self.assertFalse(self.nodes["n2"].start(), "an elder release starts on what a newer one has written")
        self.assertIn("run a newer release on it", self.nodes["n2"].log())
        self.nodes["n2"].env["HOLDFAST_FEATURE_LEVELS"] = LATER
        self.assertFalse(self.nodes["n2"].start(), "a release starts that does not know the present level")
        self.assertIn("in between first", self.nodes["n2"].log())
        self.run_release("n2", "2-3")
        self.nodes.settled(names)
        self.nodes.add("n4")
        elder = self.nodes.join("n4", "n1")
        self.assertEqual(elder.returncode, 5, elder.stdout)
        self.assertIn("run a newer release on it", elder.stderr)
        load.progress()
        acks = load.end()
        self.check_acks(acks)
        self.end_all(names)
        self.check_same(names)
        print(f"  {len(acks)} events", flush=True)

    def test_a_node_that_is_away_holds_up_what_is_new_until_it_is_removed(self):
        names = ["n1", "n2", "n3"]
        self.nodes.form(names, start=lambda one: self.run_release(one.name, ELDER))
        self.nodes["n3"].kill()
        for name in ("n1", "n2"):
            self.assertEqual(self.nodes[name].stop(), 0)
            self.run_release(name, NEWER)
        eventually("both are back", lambda: self.nodes["n1"].is_ready() and self.nodes["n2"].is_ready(), 30)
        self.assertEqual(self.level("n1"), 1)
        self.run_release("n3", ELDER)  # it still belongs to them
        self.nodes.settled(names)
        self.assertEqual(self.level("n3"), 1)
        self.nodes["n3"].kill()
        gone = self.nodes["n1"].cli("node", "remove", "n3", "--yes", seconds=90)
        self.assertEqual(gone.returncode, 0, gone.stdout + gone.stderr)
        eventually("those that are left go over", lambda: self.level("n2") == 2, 30)


if __name__ == "__main__":
    run(__doc__)
