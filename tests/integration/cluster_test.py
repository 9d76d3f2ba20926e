#!/usr/bin/env python3
"""Three nodes that agree, and what happens to them: the promises P1-P5 and P7 as clients over all nodes see them.

usage: cluster_test.py [--rounds N] [--stop-seconds S] [--cuts N] [--partitions N] [--seed N] [--limit S]
                       [chaos] [power] [majority] [thawed] [clocks] [definitions] [large] [behind] [streams] [strangers]
                       [certificates] [disk] [partition]

chaos         under the load of many agents: kill -9 of a node, of the one that leads most, of all at once (--rounds, default
              50); nodes stopped (SIGSTOP) and continued (--stop-seconds: the longest)
power         the same kills, and what the dead had not synced is gone (preload/unsynced.c), of one node and of all (--cuts)
majority      two of three are dead: what is refused, what is answered, and that it comes back by itself
thawed        what a stopped leader says right after it goes on
clocks        a node whose wall clock is not that of the others (preload/skewed_clock.c)
definitions   what is applied counts at every node once it is acknowledged
large         more at once for one agent, and a larger memory, than one entry of the log may hold
behind        a node that was away for longer than the log goes back
streams       of a leader that was stopped for as long
strangers     another cluster's name, a name that is nobody's, an emptied data folder: refused, with a reason in the log
certificates  a certificate of another authority, of another node, none at all
disk          a full disk ends its node, and no other
partition     nodes in network namespaces, cut off: wholly, one way, on and off, the leader from the majority only

State is kept outside the processes, and every promise is checked from outside (harness/checker.py). The verdict depends
on no time: limits are for what hangs.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import crash, network, power, preload, sse, waiting
from harness.authority import Authority
from harness.client import Client, Unreachable
from harness.cluster import NAMES, AnyNode, Cluster, ClusterRig
from harness.waiting import eventually

OPTIONS = argparse.Namespace(rounds=50, stop_seconds=3.0, cuts=8, partitions=10, seed=None, clients=5, agents=12)
ECHO = "kind: agent\ntype: echo\nbehaviour: native\non:\n  - event: order.routed\n    key: .data.to\n"
ANSWERED_SECONDS = 30  # a request that has found no leader is refused after 5 s; a busy machine takes longer


def answered(call):
    """What `call()` answers; again while it is to be sent again: leaders move, which they still may in a new cluster."""
    answers = []

    def is_said():
        answers.append(call())
        return answers[-1].status not in (429, 503)

    eventually(lambda: f"it is answered: {answers}", is_said, 60, poll=0.1)
    return answers[-1]


def bare(name):
    return f"node: {name}\nlog: {{ level: info, format: text }}\n"


class UnderLoad(unittest.TestCase):
    def go_through(self, name, happen, rounds, **of_rig):
        """Load, `happen(rig, number)` so many times, and every check. Gives the report."""
        seed = OPTIONS.seed if OPTIONS.seed is not None else random.SystemRandom().randrange(1 << 30)
        began = time.monotonic()
        with ClusterRig(seed, program=crash.program(), **of_rig) as rig:
            try:
                rig.open()
                done = []
                threads = rig.load(OPTIONS.clients, OPTIONS.agents, stop=lambda: bool(done))
                rig.progress(10)
                for number in range(rounds):
                    happen(rig, number)
                rig.settled()
                done.append(True)
                for one in threads:
                    one.join(60)
                rig.drain()
                loaded = time.monotonic() - began
                rig.check()
                rig.cluster.end()  # all at once: one that leaves in order makes others lead first
                for one in rig.cluster:
                    one.reap()
                rig.compare_folders()
                folders = rig.cluster.doctor()
            except AssertionError as why:
                raise AssertionError(f"{name}, seed {seed}: {why}\n{rig.report}") from why
        report = rig.report
        print(f"\n{name} (seed {seed}):\n{report}\n  {loaded:7.1f}  seconds under load\n"
              f"  {time.monotonic() - began:7.1f}  seconds", flush=True)
        self.assertEqual(report.total(), 0, f"seed {seed}\n{report}")
        self.assertEqual({code for code, _ in folders.values()}, {0}, folders)
        self.assertGreater(report.counts["replicas compared"], 0)
        self.assertGreater(report.counts["log entries compared"], 0)
        return report


class Chaos(UnderLoad):
    def test_every_promise_holds_when_nodes_are_killed_and_stopped_under_load(self):
        report = self.go_through("chaos", self.one_round, OPTIONS.rounds)
        self.assertGreaterEqual(report.counts["kills"], OPTIONS.rounds)

    def one_round(self, rig, number):
        """A node dies, or that which leads most, or all of them; every sixth round one is stopped for a while, too."""
        cluster, dice = rig.cluster, rig.dice
        if number % 6 == 5:
            with rig.fault("stops"):
                rig.freeze(dice.choice(cluster.names), dice.uniform(1.0, OPTIONS.stop_seconds))
                cluster.ready()
            rig.progress()
        what = "all" if number % 8 == 7 else "busiest" if number % 8 == 3 else "one"
        with rig.fault({"all": "rounds with all nodes killed at once", "busiest": "rounds with the busiest leader killed",
                        "one": "rounds with one node killed"}[what]):
            names = cluster.names if what == "all" else [cluster.busiest().name if what == "busiest" else dice.choice(cluster.names)]
            rig.kill(*names)
            if what != "all":
                rig.progress()
            cluster.start().ready()
        rig.progress()
        if number % 10 == 9:
            rig.settled()


class PowerCuts(UnderLoad):
    def test_every_promise_holds_when_the_power_of_one_node_or_of_all_goes(self):
        folder = tempfile.mkdtemp(prefix="holdfast-preload-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        library = preload.library("unsynced.c", folder)
        report = self.go_through("power cuts", self.one_round, OPTIONS.cuts,
                                 power=lambda data: power.Power(library, data, torn=True))
        self.assertGreater(report.counts["power cuts"], OPTIONS.cuts - 1)
        self.assertGreater(report.counts["syncs noted"], 0)
        self.assertEqual(report.counts["syncs ignored"], 0)
        self.assertEqual(report.counts["synced bytes overwritten"], 0)

    def one_round(self, rig, number):
        all_of_them = number % 2 == 1
        with rig.fault("cuts of all nodes" if all_of_them else "cuts of one node"):
            rig.kill(*(rig.cluster.names if all_of_them else [rig.dice.choice(rig.cluster.names)]))
            if not all_of_them:
                rig.progress()
            rig.cluster.start().ready()
        rig.progress(10)


class Partitions(UnderLoad):
    KINDS = ("cut off wholly", "heard by nobody", "hearing nobody", "cut off on and off", "the busiest leader, cut off from the majority")

    def test_every_promise_holds_when_a_node_is_cut_off_from_the_others(self):
        nodes = network.Network(NAMES)
        self.addCleanup(nodes.remove)
        folder = tempfile.mkdtemp(prefix="holdfast-certificates-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        authority = Authority(folder, "ca")
        pairs = {name: authority.sign(name, alternative=f"DNS:{name}") for name in NAMES}

        def tls(name):
            return f"name: chaos\n  tls: {{ ca: {authority.pem}, cert: {pairs[name][0]}, key: {pairs[name][1]} }}"

        self.go_through("partitions", lambda rig, number: self.one_round(rig, nodes, number), OPTIONS.partitions, network=nodes,
                        cluster=tls)

    def one_round(self, rig, nodes, number):
        """Clients, the sink and the model reach the node all the while."""
        kind = self.KINDS[number % len(self.KINDS)]
        name = rig.cluster.busiest().name if "leader" in kind else rig.dice.choice(NAMES)
        pairs = nodes.around(name, out=kind != "hearing nobody", into=kind != "heard by nobody")
        with rig.fault(kind):
            if kind == "cut off on and off":
                for _ in range(6):
                    nodes.cut(pairs)
                    time.sleep(rig.dice.uniform(0.1, 0.7))
                    nodes.heal()
                    time.sleep(rig.dice.uniform(0.1, 0.4))
            else:
                nodes.cut(pairs)
                began = time.monotonic()
                rig.progress(10)
                if kind != "hearing nobody" and kind != "heard by nobody":
                    eventually(f"{name} knows that it is alone", lambda: not rig.cluster[name].is_ready())
                time.sleep(max(0.0, began + rig.dice.uniform(1.0, 4.0) - time.monotonic()))
                nodes.heal()
            rig.cluster.ready()
        rig.progress()
        if number % 5 == 4:
            rig.settled()


class Majority(unittest.TestCase):
    WRITES = {
        "an event": ("POST", "/v1/agents/echo/late/events", {"data": {"n": 1}}, {"Idempotency-Key": "late"}),
        "an event without a key": ("POST", "/v1/agents/echo/later/events", {"data": {"n": 1}}, {}),
        "an event, waited for": ("POST", "/v1/agents/echo/latest/events?wait=1s", {"data": {"n": 1}}, {"Idempotency-Key": "latest"}),
        "a routed event": ("POST", "/v1/events", {"specversion": "1.0", "id": "late", "source": "/x", "type": "order.routed",
                                                  "data": {"to": "late"}}, {"Idempotency-Key": "late"}),
        "a verb": ("POST", "/v1/agents/echo/a1/pause", {"reason": "test"}, {}),
        "definitions": ("PUT", "/v1/definitions", ECHO.encode() + b"description: Another.\n", {"Content-Type": "application/yaml"}),
    }

    def test_without_a_majority_nothing_is_taken_nothing_hangs_and_it_comes_back_by_itself(self):
        with Cluster(bare) as cluster:
            cluster.start().ready().apply(ECHO)
            client = AnyNode(cluster, patience=10)
            runs = [client.post(f"/v1/agents/echo/a{i}/events?wait=10s", {"data": {"n": i}}, headers={"Idempotency-Key": f"a{i}"})
                    for i in range(10)]
            self.assertEqual({one.status for one in runs}, {200})
            eventually("every node has the runs", lambda: all(len(one.client.items("/v1/runs")) == 10 for one in cluster))
            for survivor in cluster.names[:2]:
                with self.subTest(survivor):
                    self.one_survives(cluster, survivor, [one.json()["run_id"] for one in runs])
            self.assertEqual(set(cluster.stop_in_order().values()), {0}, "nodes that end in order")
            self.assertEqual({code for code, _ in cluster.doctor().values()}, {0})

    def one_survives(self, cluster, survivor, runs):
        dead = [one for one in cluster if one.name != survivor]
        for one in dead:
            one.wanted = False
            one.process.kill()
        for one in dead:
            one.kill()
        left = Client(lambda: cluster[survivor].address)
        eventually("it knows that it is alone", lambda: left.get("/readyz").status == 503)
        answers = {}

        def ask(name, call):
            try:
                answers[name] = left.request(*call, timeout=ANSWERED_SECONDS)
            except Unreachable as why:
                answers[name] = why

        asked = [threading.Thread(target=ask, args=one) for one in self.WRITES.items()]
        reads = {"one run": ("GET", f"/v1/runs/{runs[0]}"), "one agent": ("GET", "/v1/agents/echo/a1"),
                 "its history": ("GET", "/v1/agents/echo/a1/history"), "a stream": ("GET", f"/v1/runs/{runs[0]}/stream")}
        asked += [threading.Thread(target=ask, args=one) for one in reads.items()]
        for one in asked:
            one.start()
        for one in asked:
            one.join(ANSWERED_SECONDS + 10)
        for name in self.WRITES:
            answer = answers.get(name)
            self.assertEqual(getattr(answer, "status", None), 503, f"{name}: {answer!r}")
            self.assertGreater(int(answer.headers.get("Retry-After", "0")), 0, f"{name}: {answer!r}")
            self.assertEqual(answer.code, "no_quorum", name)
        for name in reads:
            answer = answers.get(name)
            self.assertEqual(getattr(answer, "status", None), 200, f"{name}: {answer!r}")
            self.assertGreater(int(answer.headers.get("X-Holdfast-Stale-Ms", "0")), 0, f"{name} does not say how old it may be")
        for path in ("/v1/runs", "/v1/agents", "/v1/types", "/healthz", "/metrics", "/v1/doctor"):
            self.assertEqual(left.get(path).status, 200, path)
        self.assertEqual({one["run_id"] for one in left.items("/v1/runs")} & set(runs), set(runs))
        cluster.start().ready()
        for name, call in self.WRITES.items():
            answer = AnyNode(cluster).request(*call)
            self.assertIn(answer.status, (200, 202), f"{name}: {answer!r}")
        AnyNode(cluster, patience=10).post("/v1/agents/echo/a1/resume", {"reason": "test"})
        eventually("nobody waits", lambda: all(one.metric("holdfast_requests_waiting") == 0 for one in cluster))
        patient = AnyNode(cluster, patience=10)
        self.assertEqual({patient.get(f"/v1/runs/{one}").json()["status"] for one in runs}, {"completed"})
        for agent, wanted in (("late", 2), ("latest", 1)):  # one of the two was routed
            eventually(f"echo/{agent} has what was sent, once", lambda agent=agent, wanted=wanted: len(
                [event for run in patient.items(f"/v1/runs?agent=echo/{agent}") for event in run["event_ids"]]) == wanted)


class Thawed(unittest.TestCase):
    def test_a_leader_that_was_stopped_does_not_answer_for_those_that_lead_by_now(self):
        with Cluster(bare) as cluster:
            cluster.start().ready().apply(ECHO)
            for turn, name in enumerate(cluster.names):
                old = cluster[name]
                others = [one for one in cluster if one is not old]
                old.freeze()
                runs = []
                for i in range(60):
                    client = others[i % 2].client

                    def taken(client=client, turn=turn, i=i):
                        return client.post(f"/v1/agents/echo/t{turn}-{i}/events", {"data": i}, headers={"Idempotency-Key": f"{turn}-{i}"},
                                           timeout=ANSWERED_SECONDS)

                    answer = eventually("it is taken", lambda taken=taken: (got := taken()).status in (200, 202) and got)
                    runs.append(answer.json()["run_id"])
                old.thaw()
                for run in runs:
                    self.assertIn(old.client.get(f"/v1/runs/{run}").status, (200, 503), f"{name}, stopped before {run} was acknowledged")
                cluster.ready()


class Clocks(unittest.TestCase):
    def test_a_node_whose_clock_is_wrong_says_so_and_leads_nothing_until_it_is_right(self):
        folder = tempfile.mkdtemp(prefix="holdfast-preload-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        library = preload.library("skewed_clock.c", folder)
        with Cluster(bare) as cluster:
            cluster.start().ready().apply(ECHO)
            for name, skew in (("n3", "60000"), ("n1", "-5000")):
                with self.subTest(name, skew=skew):
                    self.skewed(cluster, cluster[name], {"LD_PRELOAD": library, "SKEWED_CLOCK_MS": skew})

    def skewed(self, cluster, wrong, env):
        right = [one for one in cluster if one is not wrong]

        def led():
            return next(node["leaders"] for node in right[0].client.document("/v1/cluster")["nodes"] if node["id"] == wrong.name)

        wrong.stop()
        self.assertTrue(wrong.start(env))
        eventually(lambda: f"it says so\n{wrong.log()}", lambda: wrong.said("clock-off"))
        eventually(lambda: f"it leads nothing\n{cluster.log()}", lambda: led() == 0)
        answer = AnyNode(cluster, patience=10).post("/v1/agents/echo/k/events?wait=20s", {"data": 1},
                                                    headers={"Idempotency-Key": f"{wrong.name} is wrong"})
        self.assertEqual(answer.status, 200, repr(answer))
        self.assertFalse(any(one.said("clock-off") for one in right), cluster.log())
        wrong.stop()
        wrong.started()
        eventually(lambda: f"it leads again\n{cluster.log()}", lambda: led() > 0)
        self.assertIsNone(wrong.said("clock-off"))


class Definitions(unittest.TestCase):
    def test_what_is_defined_counts_at_every_node_as_soon_as_it_is_acknowledged(self):
        with Cluster(bare) as cluster:
            cluster.start().ready()
            for turn in range(20):
                at = cluster[cluster.names[turn % 3]]
                self.assertEqual(at.client.request("PUT", "/v1/definitions", ECHO.replace("order.routed", f"order.t{turn}").encode(),
                                                   {"Content-Type": "application/yaml"}, timeout=ANSWERED_SECONDS).status, 200)
                for i in range(6):
                    sent = {"specversion": "1.0", "id": f"{turn}-{i}", "source": "/x", "type": f"order.t{turn}", "data": {"to": "k"}}
                    client = cluster[cluster.names[i % 3]].client
                    answer = answered(lambda client=client, sent=sent: client.post("/v1/events", sent, timeout=ANSWERED_SECONDS))
                    self.assertEqual(answer.status, 202, repr(answer))
                    self.assertEqual(answer.json()["events"][0]["agents"], ["echo/k"], f"definition {turn} at {cluster.names[i % 3]}")

            def late():
                return sum(one.metric("holdfast_cluster_definitions_late_total") for one in cluster)

            before, again = late(), 6
            for turn in range(again):  # nothing new: every node has it, and says so
                same = cluster[cluster.names[turn % 3]].client.request(
                    "PUT", "/v1/definitions", ECHO.replace("order.routed", "order.t19").encode(), {"Content-Type": "application/yaml"},
                    timeout=ANSWERED_SECONDS)
                self.assertEqual(same.status, 200, repr(same))
            self.assertLess(late() - before, again, "what changes nothing waits for nodes that have it")


class Large(unittest.TestCase):
    def test_what_is_too_much_for_one_entry_is_taken_in_several_or_refused_and_stops_no_partition(self):
        with Cluster(bare, cluster="name: chaos\n  partitions: 1") as cluster:
            cluster.start().ready().apply(ECHO)
            client = AnyNode(cluster, patience=60)
            blob, taken = "x" * 1_000_000, []

            def send(number):
                taken.append(answered(lambda: client.post(
                    "/v1/agents/echo/big/events", {"data": blob}, headers={"Idempotency-Key": f"big {number}"},
                    timeout=ANSWERED_SECONDS)).status)

            threads = [threading.Thread(target=send, args=(number,)) for number in range(64)]
            for one in threads:
                one.start()
            for one in threads:
                one.join(120)
            self.assertEqual(taken, [202] * 64)

            statuses = []
            for number in range(12):
                part = {f"part{number}": blob}
                changed = answered(lambda part=part: client.request("PATCH", "/v1/agents/echo/big/state", part, timeout=ANSWERED_SECONDS))
                statuses.append(changed.status)
                if changed.status != 200:
                    break
            self.assertEqual((statuses[0], statuses[-1]), (200, 413), statuses)
            self.assertIn("8MiB", changed.json()["detail"])
            after = answered(lambda: client.post("/v1/agents/echo/small/events?wait=20s", {"data": 1},
                                                 headers={"Idempotency-Key": "small"}, timeout=ANSWERED_SECONDS))
            self.assertEqual(after.status, 200, repr(after))
            eventually("every node has it all", lambda: all(
                len({one["run_id"] for one in cluster[name].client.items("/v1/runs")}) == 65 for name in NAMES), 60, poll=0.2)
            self.assertEqual(set(cluster.stop_in_order().values()), {0}, "nodes that end in order")
            self.assertEqual({code for code, _ in cluster.doctor().values()}, {0})


class Behind(unittest.TestCase):
    def test_a_node_that_missed_more_than_the_log_holds_gets_the_whole_state(self):
        with Cluster(bare, cluster="name: chaos\n  partitions: 1") as cluster:
            cluster.start().ready().apply(ECHO)
            n3 = cluster["n3"]
            first = answered(lambda: cluster["n1"].client.post("/v1/agents/echo/early/events", {"data": 1},
                                                               headers={"Idempotency-Key": "early"}, timeout=ANSWERED_SECONDS))
            self.assertEqual(first.status, 202, repr(first))
            n3.wanted = False
            n3.kill()
            cluster.ready(["n1", "n2"])
            runs = [first.json()["run_id"], *self.fill_the_log([cluster["n1"], cluster["n2"]])]
            cluster.start().ready()
            eventually("it has caught up", lambda: {one["run_id"] for one in n3.client.items("/v1/runs")} == set(runs), 60, poll=0.2)
            self.assertGreaterEqual(n3.metric("holdfast_cluster_snapshots_installed_total"), 1)
            again = n3.client.post("/v1/agents/echo/early/events?wait=20s", {"data": 2}, timeout=ANSWERED_SECONDS)
            self.assertEqual(again.status, 200, repr(again))
            self.assertEqual(set(cluster.stop_in_order().values()), {0}, "nodes that end in order")
            self.assertEqual({code for code, _ in cluster.doctor().values()}, {0})

    def test_streams_of_a_leader_that_missed_as_much_end_and_go_on_by_their_cursor(self):
        with Cluster(bare, cluster="name: chaos\n  partitions: 1") as cluster:
            cluster.start().ready().apply(ECHO)
            early = answered(lambda: cluster["n1"].client.post("/v1/agents/echo/early/events?wait=20s", {"data": 1},
                                                               headers={"Idempotency-Key": "early"}, timeout=ANSWERED_SECONDS))
            self.assertEqual(early.status, 200, repr(early))
            leader = cluster[cluster["n1"].client.document("/v1/cluster")["partitions"][1]["leader"]]
            stream = sse.Stream(leader.address, "/v1/agents/echo/early/stream?from=0", timeout=60)
            seen = self.up_to_an_end(stream)
            leader.freeze()
            others = [one for one in cluster if one is not leader]
            missed = answered(lambda: others[0].client.post("/v1/agents/echo/early/events", {"data": 2},
                                                            headers={"Idempotency-Key": "missed"}, timeout=ANSWERED_SECONDS))
            self.fill_the_log(others)
            leader.thaw()
            seen += list(stream)  # ends in order
            eventually("it got the whole state", lambda: leader.metric("holdfast_cluster_snapshots_installed_total") >= 1, 60)
            self.assertNotIn(missed.json()["run_id"], [event.data["run_id"] for event in seen], "it has heard of that by itself")
            again = sse.Stream(leader.address, "/v1/agents/echo/early/stream", last_event_id=seen[-1].id, timeout=60)
            self.assertEqual(self.up_to_an_end(again)[-1].data["run_id"], missed.json()["run_id"])
            again.close()

    def up_to_an_end(self, stream):
        seen = []
        for event in stream:
            seen.append(event)
            if event.name in sse.ENDS:
                return seen
        self.fail(f"the stream ended: {seen}")

    def fill_the_log(self, nodes):
        runs = []
        for i in range(180):  # 128 MiB of log are kept for a single partition
            sent = {"data": {"blob": os.urandom(480_000).hex()}}
            client = nodes[i % len(nodes)].client
            answer = eventually("it is taken", lambda client=client, sent=sent, i=i: (got := client.post(
                f"/v1/agents/echo/k{i}/events", sent, headers={"Idempotency-Key": str(i)}, timeout=ANSWERED_SECONDS)).status == 202 and got)
            runs.append(answer.json()["run_id"])
        return runs


class Strangers(unittest.TestCase):
    def test_who_does_not_belong_to_the_cluster_is_refused_with_a_reason_and_never_a_member(self):
        with Cluster(bare) as cluster:
            cluster.start().ready().apply(ECHO)
            n3 = cluster["n3"]
            n3.stop()

            self.refused(cluster, n3, cluster.settings("n3", "name: other"), ("n3", "other"), data="other")
            self.refused(cluster, n3, cluster.settings("n3", "name: chaos\n  partitions: 7"), ("7 partitions", "24"), data="seven")
            as_n4 = cluster.settings("n4", peers={**cluster.links, "n4": cluster.links["n3"]})
            as_n4 = as_n4.replace(f'n3: "{cluster.links["n3"]}", ', "")
            self.refused(cluster, n3, as_n4, ("n4", "not among"), data="n4")
            self.refused(cluster, n3, cluster.settings("n3"), ("n3", "another data folder"), data="emptied")

            n3.configure(cluster.settings("n3"))
            cluster.start().ready()

    def refused(self, cluster, node, settings, words, data):
        node.configure(settings)
        kept = node.data
        node.data = os.path.join(node.folder, data)
        try:
            node.started()
            for one in (cluster["n1"], cluster["n2"]):
                eventually(lambda one=one: f"{one.name} refuses it with a reason: {words}\n{cluster.log()}",
                           lambda one=one: one.said("peer-refused", *words), 20)
            eventually(lambda: f"it is told why\n{node.log()}", lambda: node.said("peer-refused", "refuse"), 20)
            self.assertFalse(node.is_ready())
            self.assertIsNone(node.said("peer-up"))
            self.assertEqual(node.client.post("/v1/agents/echo/x/events", {"data": 1}, timeout=ANSWERED_SECONDS).status in (404, 503), True)
            self.assertEqual(cluster["n1"].client.post("/v1/agents/echo/x/events?wait=20s", {"data": 1}).status, 200)
        finally:
            node.stop()
            node.data = kept


class Certificates(unittest.TestCase):
    def test_a_certificate_of_another_authority_or_node_or_none_is_refused_with_a_reason(self):
        folder = tempfile.mkdtemp(prefix="holdfast-certificates-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        ours = Authority(folder, "ours")
        os.mkdir(os.path.join(folder, "theirs"))
        theirs = Authority(os.path.join(folder, "theirs"), "theirs")
        pairs = {name: ours.sign(name, alternative=f"DNS:{name}") for name in ("n1", "n2", "n3")}
        stranger = theirs.sign("n3", alternative="DNS:n3")

        def tls(pair, authority=ours):
            return f"name: chaos\n  tls: {{ ca: {authority.pem}, cert: {pair[0]}, key: {pair[1]} }}"

        with Cluster(bare, cluster=lambda name: tls(pairs[name])) as cluster:
            cluster.start(["n1", "n2"]).ready(["n1", "n2"])
            n3 = cluster["n3"]
            for what, more, words in (("another authority's", tls(stranger, theirs), "CA"),
                                      ("signed by another authority", tls(stranger), "another CA"),
                                      ("another node's", tls(pairs["n2"]), "certificate"),
                                      ("none", "name: chaos", "")):
                with self.subTest(what):
                    before = {name: len(cluster[name].lines()) for name in ("n1", "n2")}
                    n3.configure(cluster.settings("n3", more))
                    n3.started()
                    told = eventually(lambda what=what: f"{what}: refused with a reason\n{cluster.log()}", lambda before=before: next(
                        (line for name in before for line in cluster[name].lines()[before[name]:] + n3.lines()
                         if "peer-refused" in line), None), 20)
                    self.assertIn(words, told)
                    self.assertFalse(n3.is_ready())
                    self.assertIsNone(n3.said("peer-up"))
                    n3.stop()
            n3.configure(cluster.settings("n3", tls(pairs["n3"])))
            cluster.start().ready()


class Disk(unittest.TestCase):
    MEBIBYTES = 24

    def test_a_full_disk_ends_its_node_with_its_own_status_and_the_others_go_on(self):
        with Cluster(bare) as cluster:
            n3 = cluster["n3"]
            os.mkdir(n3.data)
            mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={self.MEBIBYTES}m", "holdfast-test", n3.data],
                                     capture_output=True, text=True, check=False)
            if mounted.returncode != 0:
                raise unittest.SkipTest(f"this machine does not let a test mount a small file system: {mounted.stderr.strip()}")
            try:
                self.fill(cluster, n3)
            finally:
                cluster.end()
                n3.process.wait(30)
                subprocess.run(["umount", "-l", n3.data], check=True)

    def fill(self, cluster, n3):
        cluster.start().ready().apply(ECHO)
        blob = {"blob": "x" * 60_000}
        acked = []
        client = Client(lambda: cluster["n1"].address, timeout=60)

        def post():
            key = f"k{len(acked)}"
            for _ in range(600):
                answer = client.post(f"/v1/agents/echo/{key}/events", {"data": blob}, headers={"Idempotency-Key": key})
                if answer.status == 202:
                    acked.append(answer.json()["run_id"])
                    return
                self.assertIn(answer.status, (429, 503))
                time.sleep(0.05)
            self.fail(f"not taken for too long: {answer!r}\n{cluster.log()}")

        while n3.process.poll() is None and len(acked) < 4_000:
            post()
        n3.wanted = False
        self.assertEqual(n3.reap(), 70, n3.log())
        self.assertIsNotNone(n3.said("No space left"), n3.log())
        for _ in range(50):
            post()
        self.assertTrue(cluster["n1"].is_alive() and cluster["n2"].is_alive())
        patient = AnyNode(cluster, patience=20)
        eventually("every run ends", lambda: all(patient.get(f"/v1/runs/{one}").json()["status"] == "completed" for one in acked[-60:]))
        subprocess.run(["mount", "-o", "remount,size=1g", n3.data], check=True)
        cluster.start().ready()
        eventually("it has caught up", lambda: {one["run_id"] for one in n3.client.items("/v1/runs")} == set(acked), 60, poll=0.2)
        print(f"\nfull disk: {len(acked)} events acknowledged, n3 ended with 70 and has caught up", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=OPTIONS.rounds, help="rounds of kills")
    parser.add_argument("--stop-seconds", type=float, default=OPTIONS.stop_seconds, help="the longest a node is stopped")
    parser.add_argument("--cuts", type=int, default=OPTIONS.cuts, help="rounds of power cuts")
    parser.add_argument("--partitions", type=int, default=OPTIONS.partitions, help="rounds of partitions")
    parser.add_argument("--limit", type=int, default=580, help="seconds after which it gives up")
    parser.add_argument("--seed", type=int, default=None)
    tests = {"chaos": Chaos("test_every_promise_holds_when_nodes_are_killed_and_stopped_under_load"),
             "power": PowerCuts("test_every_promise_holds_when_the_power_of_one_node_or_of_all_goes"),
             "majority": Majority("test_without_a_majority_nothing_is_taken_nothing_hangs_and_it_comes_back_by_itself"),
             "thawed": Thawed("test_a_leader_that_was_stopped_does_not_answer_for_those_that_lead_by_now"),
             "clocks": Clocks("test_a_node_whose_clock_is_wrong_says_so_and_leads_nothing_until_it_is_right"),
             "definitions": Definitions("test_what_is_defined_counts_at_every_node_as_soon_as_it_is_acknowledged"),
             "large": Large("test_what_is_too_much_for_one_entry_is_taken_in_several_or_refused_and_stops_no_partition"),
             "behind": Behind("test_a_node_that_missed_more_than_the_log_holds_gets_the_whole_state"),
             "streams": Behind("test_streams_of_a_leader_that_missed_as_much_end_and_go_on_by_their_cursor"),
             "strangers": Strangers("test_who_does_not_belong_to_the_cluster_is_refused_with_a_reason_and_never_a_member"),
             "certificates": Certificates("test_a_certificate_of_another_authority_or_node_or_none_is_refused_with_a_reason"),
             "partition": Partitions("test_every_promise_holds_when_a_node_is_cut_off_from_the_others"),
             "disk": Disk("test_a_full_disk_ends_its_node_with_its_own_status_and_the_others_go_on")}
    parser.add_argument("which", nargs="*", choices=[[], *tests])
    parser.parse_args(namespace=OPTIONS)
    waiting.overall_limit(OPTIONS.limit)
    suite = unittest.TestSuite(tests[one] for one in OPTIONS.which or tests)
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())


if __name__ == "__main__":
    main()
