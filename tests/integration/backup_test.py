#!/usr/bin/env python3
"""A backup of three nodes under load, restored to a single node, to a cluster of one and to three new ones: what each
group holds at the backup's index is what `backup` said, nothing that was acknowledged before it is lost, what was open is
paused, nothing of it is performed before somebody resumes it, and then it ends; another node joins. Backups whose client or
node is lost, and restores that are killed, say so, leave nothing that looks whole, and go well the next time.

usage: backup_test.py
"""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import unittest

from harness import held, waiting
from harness.client import Unreachable, agent_path
from harness.cluster import AnyNode, Cluster, Member, free_ports
from harness.node import BINARY, Node, cli, environment
from harness.waiting import eventually

ROUTED = 'on:\n  - event: order.routed\n    key: .data.to\n'
ENDED = ("completed", "failed", "cancelled")
OPEN = {"writes/held": "held/write", "reads/held": "held/read", "parent/held": "held/child", "writes/busy": "busy/write"}


def definitions(gate):
    """As `held` has them; a routed event is wanted by two of them."""
    out = held.definitions(gate)
    for name in ("echo", "loop"):
        out = out.replace(f"type: {name}\nbehaviour: native\n", f"type: {name}\nbehaviour: native\n{ROUTED}")
    return out


def accepted(client, agent, data, more=""):
    """The answer to an event that is sent again, under its key, while a leader gives its partition away: leaders spread in the
    first seconds of a cluster."""
    key, told = f"{agent}-{data}", []

    def taken():
        try:
            told.append(client.post(agent_path(agent, "/events") + more, {"data": data}, headers={"Idempotency-Key": key}))
        except Unreachable as why:
            told.append(why)
            return False
        assert told[-1].status in (200, 202, 503), told[-1]
        return told[-1].status != 503

    eventually(lambda: f"{agent} takes an event: {told[-1]!r}", taken, 30, poll=0.1)
    return told[-1]


class Load:
    """Clients over all nodes; what they were told was accepted, in order."""

    def __init__(self, cluster):
        self.client = AnyNode(cluster, timeout=5)
        self.ending = False
        self.acked = []  # (agents, event or run id)
        self._threads = [threading.Thread(target=self._run, args=(number,), daemon=True) for number in range(6)]
        for one in self._threads:
            one.start()

    def _run(self, client):
        for number in range(1_000_000):
            if self.ending:
                return
            try:
                self._send(client, number)
            except Unreachable:
                time.sleep(0.01)

    def _send(self, client, number):
        name = f"c{client}-{number}"
        if client % 3 == 0:
            sent = self.client.request("POST", "/v1/events", json.dumps(
                {"specversion": "1.0", "id": name, "source": "/load", "type": "order.routed",
                 "data": {"to": f"r{number % 40}", "steps": 2}}).encode(), {"Content-Type": "application/cloudevents+json"})
            if sent.status == 202:
                event = sent.json()["events"][0]
                self.acked.append((event["agents"], event["event_id"]))
            return
        agent, data = ((f"parent/p{number % 40}", {"path": f"free/{name}"}) if client % 3 == 1 else
                       (f"repeats/a{number % 40}", {"path": f"free/{name}"}))
        sent = self.client.post(agent_path(agent, "/events"), {"data": data})
        if sent.status == 202:
            self.acked.append(([agent], sent.json()["run_id"]))

    def end(self):
        self.ending = True
        for one in self._threads:
            one.join(20)


class Narrow:
    """A way to a node on which an answer stops after some bytes, until `cut`."""

    def __init__(self, node, bytes_max):
        self.node, self.bytes_max, self.passed, self.pair = node, bytes_max, 0, []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.server = "http://127.0.0.1:%d" % self._listening.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        client = self._listening.accept()[0]
        upstream = socket.create_connection(self.node.address)
        self.pair = [client, upstream]
        threading.Thread(target=self._copy, args=(client, upstream), daemon=True).start()
        try:
            while self.passed < self.bytes_max:
                piece = upstream.recv(min(4096, self.bytes_max - self.passed))
                if not piece:
                    return self.cut()
                client.sendall(piece)
                self.passed += len(piece)
        except OSError:
            self.cut()

    @staticmethod
    def _copy(one, other):
        try:
            while piece := one.recv(4096):
                other.sendall(piece)
        except OSError:
            pass

    def is_full(self):
        return self.passed >= self.bytes_max

    def cut(self):
        self._listening.close()
        for one in self.pair:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()


def new_member(test, name, cluster):
    """A node beside those that are there; `cluster`: that part of its settings, with `{link}` for its address."""
    port, link = free_ports(2)
    one = Member(name, "", port)
    test.addCleanup(one.remove)
    one.file = os.path.join(one.folder, "node.yaml")
    one.alone = test.settings(name) + f"data: {one.data}\n"
    one.configure(one.alone + f"cluster:\n  election_timeout: 500ms\n  {cluster.format(link=f'127.0.0.1:{link}')}\n")
    return one


def joins(test, name, cluster, at, members):
    """A new node joins the cluster of `at`, and is one of `members`, with every group."""
    one = new_member(test, name, f'name: {cluster}\n  advertise: "{{link}}"')
    done = cli("cluster", "join", "--config", one.file, "--address", "http://%s:%d" % at.address)
    test.assertEqual(done.returncode, 0, done.stderr)
    one.started()
    seen = []

    def settled():
        seen[:] = one.client.items("/v1/nodes") if one.is_ready() else []
        return ({node["id"] for node in seen} == set(members) and
                all((node["membership"], node["replicas"]) == ("member", 25) for node in seen))

    eventually(lambda: f"{name} has joined: {seen}\n{one.log()}", settled, 60, poll=0.1)
    return one


class Backup(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="holdfast-backup-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.file = os.path.join(cls.folder, "monday.holdfast")
        cls.gate = held.Gate()
        cls.addClassCleanup(cls.gate.close)
        cls.settings = staticmethod(
            lambda name: held.scripted_settings(cls.folder).replace("node: n1\n", f"node: {name}\n"))
        with Cluster(cls.settings) as cluster:
            cls._take(cluster.start().ready())

    @classmethod
    def _take(cls, cluster):
        cluster.apply(definitions(cls.gate))
        client = AnyNode(cluster, patience=10)
        cls.runs = {agent: accepted(client, agent, {"path": path}).json()["run_id"] for agent, path in OPEN.items()}
        eventually("all are under way", lambda: all(cls.gate.count("/" + path) for path in OPEN.values()))
        load = Load(cluster)
        eventually("the load runs", lambda: len(load.acked) >= 300, 30)
        cls.acked = list(load.acked)  # all of them before the backup begins
        taken = cluster["n2"].cli("cluster", "backup", cls.file, "-o", "json")
        assert taken.returncode == 0, taken.stderr
        after = len(load.acked)
        eventually("the load goes on", lambda: len(load.acked) >= after + 50, 30)
        load.end()
        cls.taken = json.loads(taken.stdout)
        refused = cluster["n1"].cli("cluster", "backup", cls.file)
        assert refused.returncode == 5 and "exists already" in refused.stderr, refused
        audited = [one for one in cluster["n2"].client.items("/v1/audit") if one["route"] == "/v1/cluster/backup"]
        assert [one["outcome"] for one in audited] == ["done"], audited
        cluster.end()

    # ---- what they share
    def restore(self, data, *more):
        done = cli("cluster", "restore", self.file, "--data", data, *more, "-o", "json")
        self.assertEqual(done.returncode, 0, done.stderr)
        restored = json.loads(done.stdout)
        self.assertEqual(restored["groups"], self.taken["groups"])
        self.assertEqual(restored["epoch"], self.taken["epoch"])
        return restored

    def clean(self, node):
        """Also a proof of the cut: who waits for another agent's answer has the question, the run or the answer under way.
        What was on its way in the backup arrives in the first moments, at one replica before the other."""
        found = []
        eventually(lambda: f"doctor finds nothing: {found[-1].stdout}{found[-1].stderr}",
                   lambda: found.append(node.cli("doctor")) or found[-1].returncode == 0, 10, poll=0.2)

    def check_held(self, node, client):
        """Everything that was open is paused and says so; nothing of it was performed."""
        before = {path: self.gate.count("/" + path) for path in OPEN.values()}
        for agent in OPEN:
            why = client.document(agent_path(agent, "/why"))
            self.assertEqual((why["status"], why["causes"][0]["kind"]), ("paused", "restored"), why)
            self.assertEqual(why["causes"][0]["unblock"]["command"], f"holdfast agent resume {agent}")
            self.assertIn("restored from the backup of", why["causes"][0]["detail"])
        told = node.cli("agent", "why", "writes/held")
        self.assertIn("holdfast agent resume writes/held", told.stdout + told.stderr)
        open_writes = {one["run_id"] for one in client.items("/v1/reconcile")}
        self.assertEqual(open_writes, {self.runs["writes/held"], self.runs["writes/busy"]})
        self.assertEqual(client.items(agent_path("writes/busy", "/timers")), [])
        self.assertEqual(accepted(client, "reads/held", {"path": "free/behind"}).status, 202)
        self.assertEqual(client.document(agent_path("reads/held"))["mailbox"], 1)
        at_once = accepted(client, "echo/new", {"n": 1}, "?wait=20s")
        self.assertEqual(at_once.status, 200, at_once)
        self.clean(node)
        self.assertEqual(before, {path: self.gate.count("/" + path) for path in OPEN.values()})

    def check_acked(self, client):
        """Every event that was acknowledged before is there: with a run, or in the event log with one run for each agent."""
        for agents, ident in self.acked:
            if ident.startswith("run_"):
                run = client.get(f"/v1/runs/{ident}")
                self.assertEqual(run.status, 200, (agents, ident, run))
                continue
            event = client.get(f"/v1/events/{ident}")
            self.assertEqual(event.status, 200, (agents, ident, event))
            matched = [one for one in event.json()["routes"] if one["matched"]]
            self.assertEqual(sorted(one["agent"] for one in matched), sorted(agents))
            for one in matched:
                eventually(lambda: f"{ident} is at {one['agent']}",
                           lambda: client.get(f"/v1/runs/{one['run_id']}").status == 200)

    def go_on(self, node, client):
        """Somebody looks at what was open, and resumes it: all of it ends, once."""
        writes = self.gate.count("/held/write"), self.gate.count("/busy/write")
        reads = self.gate.count("/held/read")
        last = []

        def resumed():  # again for those without a leader just now, and for what a message on its way has held since
            last.append(node.cli("agent", "resume", "--where", '.cause.kind == "restored"', "-o", "json"))
            return last[-1].returncode == 0 and json.loads(last[-1].stdout)["matched"] == 0

        eventually(lambda: f"all is resumed: {last[-1].stdout}{last[-1].stderr}", resumed, 30, poll=0.3)
        self.assertEqual({one["run_id"] for one in client.items("/v1/reconcile")},
                         {self.runs["writes/held"], self.runs["writes/busy"]})

        def resolved():
            for one in client.items("/v1/reconcile"):
                answer = client.post(f"/v1/reconcile/{one['id']}", {"resolve": "succeeded", "result": {"ok": True}})
                self.assertIn(answer.status, (200, 404, 409, 503), answer)  # by the list of a node that lags
            return not client.items("/v1/reconcile")

        eventually("all is reconciled", resolved, 20, poll=0.1)
        eventually("the read is made again", lambda: self.gate.count("/held/read") > reads)
        for path in OPEN.values():
            self.gate.let_go(path.partition("/")[2])

        def all_over():
            left = [run for status in ("queued", "running", "waiting") for run in client.items(f"/v1/runs?status={status}")]
            return not left or (resumed() and False)

        def open_still():
            runs = [run for status in ("queued", "running", "waiting") for run in client.items(f"/v1/runs?status={status}")]
            return [(run["agent"], client.document(agent_path(run["agent"], "/why"))["causes"]) for run in runs[:4]]

        eventually(lambda: f"all ends: {open_still()}", all_over, 40, poll=0.2)
        for agent, run in self.runs.items():
            self.assertEqual(client.document(f"/v1/runs/{run}")["status"], "completed", agent)
        self.assertEqual(writes, (self.gate.count("/held/write"), self.gate.count("/busy/write")))
        for agents, ident in self.acked:
            if ident.startswith("run_"):
                self.assertIn(client.document(f"/v1/runs/{ident}")["status"], ENDED)
        self.clean(node)
        for path in OPEN.values():
            self.gate.hold(path.partition("/")[2])

    # ---- where it is restored to
    def test_a_single_node(self):
        with Node(self.settings("solo"), name="solo") as node:
            self.restore(node.data, "--node", "solo")
            again = cli("cluster", "restore", self.file, "--data", node.data)
            self.assertEqual(again.returncode, 5, again.stderr)
            self.assertIn("is not an empty folder", again.stderr)
            node.started()
            eventually("it is ready", lambda: node.client.get("/readyz").status == 200)
            self.check_held(node, node.client)
            node.kill()  # in the middle of it, or after: it is held all the same
            node.started()
            eventually("it is ready", lambda: node.client.get("/readyz").status == 200)
            self.assertEqual(node.client.document(agent_path("writes/held"))["status"], "paused")
            self.check_acked(node.client)
            self.go_on(node, node.client)
            second = os.path.join(self.folder, "tuesday.holdfast")
            self.assertEqual(node.cli("cluster", "backup", second).returncode, 0)

    def test_a_cluster_of_one_that_others_join(self):
        one = new_member(self, "only", 'name: prod\n  peers: {{ only: "{link}" }}')
        self.restore(one.data, "--config", one.file)
        one.started()
        eventually("it is ready", one.is_ready, 30)
        self.assertEqual([node["id"] for node in one.client.items("/v1/nodes")], ["only"])  # none of the old ones
        more = joins(self, "more", "prod", one, ["only", "more"])
        self.check_held(more, more.client)
        self.check_acked(more.client)
        self.go_on(more, more.client)

    def test_a_single_node_becomes_a_cluster(self):
        one = new_member(self, "solo", 'name: late\n  advertise: "{link}"')
        self.restore(one.data, "--node", "solo")
        settings = open(one.file, encoding="utf-8").read()
        one.configure(one.alone)
        one.started()
        eventually("it is ready", one.is_ready, 30)
        self.check_held(one, one.client)
        one.stop()
        one.configure(settings)
        done = cli("cluster", "init", "--config", one.file)
        self.assertEqual(done.returncode, 0, done.stderr)
        one.started()
        eventually("it is ready", one.is_ready, 30)
        self.check_acked(joins(self, "more", "late", one, ["solo", "more"]).client)

    def test_three_new_nodes(self):
        with Cluster(self.settings, cluster="name: other") as cluster:
            told = [self.restore(one.data, "--config", os.path.join(one.folder, "node.yaml")) for one in cluster]
            self.assertEqual(told[0]["groups"], told[1]["groups"])
            self.assertEqual(told[0]["groups"], told[2]["groups"])
            cluster.start().ready()
            client = AnyNode(cluster, patience=20)
            self.check_held(cluster["n1"], client)
            self.check_acked(client)
            cluster["n2"].kill()
            self.go_on(cluster["n1"], AnyNode(cluster, patience=20))
            cluster.start().ready()
            third = os.path.join(self.folder, "wednesday.holdfast")
            self.assertEqual(cluster["n2"].cli("cluster", "backup", third).returncode, 0)
            fourth = joins(self, "n4", "other", cluster["n3"], ["n1", "n2", "n3", "n4"])
            self.check_acked(fourth.client)
            self.assertEqual(fourth.cli("cluster", "backup", third + ".n4").returncode, 0)

    # ---- what is refused
    def test_a_damaged_file_is_refused_and_nothing_is_made(self):
        with open(self.file, "rb") as whole:
            content = whole.read()
        self.assertEqual(len(content), self.taken["bytes"])
        middle = len(content) // 2
        spoiled = {"cut": content[:-30], "half": content[:middle], "longer": content + b"x", "none": b"", "other": b"nonsense",
                   "flipped": content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1:]}
        for name, bad in spoiled.items():
            path, data = os.path.join(self.folder, name), os.path.join(self.folder, "data-" + name)
            with open(path, "wb") as out:
                out.write(bad)
            done = cli("cluster", "restore", path, "--data", data)
            self.assertEqual(done.returncode, 1, (name, done))
            self.assertIn("backup", done.stderr)
            self.assertFalse(os.path.exists(data), name)

    def test_another_number_of_partitions_is_refused(self):
        config = os.path.join(self.folder, "node.yaml")
        with open(config, "w", encoding="utf-8") as out:
            out.write("node: n1\ncluster: { partitions: 4 }\n")
        done = cli("cluster", "restore", self.file, "--config", config, "--data", os.path.join(self.folder, "data-4"))
        self.assertEqual(done.returncode, 5, done)
        self.assertIn("24 partitions", done.stderr)

    def test_peers_without_the_node_are_refused(self):
        one = new_member(self, "n9", 'name: prod\n  advertise: "{link}"')
        done = cli("cluster", "restore", self.file, "--config", one.file)
        self.assertEqual(done.returncode, 5, done)
        self.assertIn("cluster.peers", done.stderr)
        self.assertFalse(os.path.exists(one.data))

    def test_a_restore_that_was_killed_is_no_node(self):
        for point in ("restore.begun:1", "install.before:1", "install.synced:12", "restore.filled:1"):
            with self.subTest(point), Node(self.settings("solo"), name="solo") as node:
                done = cli("cluster", "restore", self.file, "--data", node.data, "--node", "solo",
                           env={"HOLDFAST_KILL_POINT": point})
                self.assertEqual(done.returncode, -signal.SIGKILL, done)
                self.assertFalse(node.start())
                self.assertIn("did not finish", node.log())
                doctor = cli("doctor", "--data", node.data)
                self.assertNotEqual(doctor.returncode, 0)
                self.assertIn("did not finish", doctor.stderr)
                again = cli("cluster", "restore", self.file, "--data", node.data)
                self.assertEqual(again.returncode, 5, again)
                shutil.rmtree(node.data)
                self.restore(node.data, "--node", "solo")
                node.started()


class Interrupted(unittest.TestCase):
    """Three nodes under load; what is taken of them is checked by restoring it."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="holdfast-backup-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.gate = held.Gate()
        self.addCleanup(self.gate.close)
        settings = held.scripted_settings(self.folder)
        self.cluster = Cluster(lambda name: settings.replace("node: n1\n", f"node: {name}\n"))
        self.addCleanup(self.cluster.remove)
        self.cluster.start().ready()
        self.cluster.apply(definitions(self.gate))
        self.load = Load(self.cluster)
        self.addCleanup(self.load.end)
        eventually("the load runs", lambda: len(self.load.acked) >= 100, 30)
        self.taken = 0

    def place(self):
        self.taken += 1
        return os.path.join(self.folder, f"backup-{self.taken}")

    def take(self, name, seconds=30):
        """A whole one, at the latest when the one before has noticed that it is over."""
        told, path = [], self.place()

        def took():
            told.append(self.cluster[name].cli("cluster", "backup", path, "-o", "json"))
            return told[-1].returncode == 0

        eventually(lambda: f"a backup is taken: {told[-1].stderr}", took, seconds, poll=0.1)
        for one in told[:-1]:
            self.assertIn("is taking a backup already", one.stderr)
        self.check(path, json.loads(told[-1].stdout))

    def check(self, path, told):
        """It can be restored, and is consistent before anything of it runs."""
        data = path + "-data"
        restored = cli("cluster", "restore", path, "--data", data, "--node", "n1", "-o", "json")
        self.assertEqual(restored.returncode, 0, restored.stderr)
        self.assertEqual(json.loads(restored.stdout)["groups"], told["groups"])
        doctor = cli("doctor", "--data", data)
        self.assertEqual(doctor.returncode, 0, doctor.stdout + doctor.stderr)
        shutil.rmtree(data)

    def begin(self, server):
        """A backup that is being taken, and its file."""
        path = self.place()
        client = subprocess.Popen([BINARY, "cluster", "backup", path, "-o", "json"], stdout=subprocess.PIPE,
                                  stderr=subprocess.PIPE, text=True, env=environment({"HOLDFAST_SERVER": server}))
        self.addCleanup(client.communicate, timeout=30)
        self.addCleanup(client.kill)
        return client, path

    def address(self, name):
        return "http://%s:%d" % self.cluster[name].address

    def narrow(self, name):
        """A backup whose client has got its beginning, and gets no more."""
        way = Narrow(self.cluster[name], 30_000)
        self.addCleanup(way.cut)
        client, path = self.begin(way.server)
        eventually("its beginning is there", way.is_full, 40)
        return way, client, path

    def gone(self, client, path):
        out, err = client.communicate(timeout=60)
        self.assertIn(client.returncode, (6, -signal.SIGKILL), (out, err))
        self.assertFalse(os.path.exists(path))
        return err

    def test_its_client_goes_away(self):
        way, client, path = self.narrow("n2")
        way.cut()
        self.assertIn("nothing of it was kept", self.gone(client, path))
        self.assertFalse(os.path.exists(path + ".partial"))
        self.take("n2")
        way, client, path = self.narrow("n2")
        client.kill()
        way.cut()
        self.gone(client, path)
        self.take("n2")

    def test_its_node_is_killed(self):
        way, client, path = self.narrow("n2")
        self.cluster["n2"].kill()
        way.cut()
        self.assertIn("nothing of it was kept", self.gone(client, path))
        self.assertFalse(os.path.exists(path + ".partial"))
        self.take("n3")
        self.cluster.start().ready()
        self.take("n2")

    def test_leaders_change_while_it_is_taken(self):
        """Whenever that is: before the first group has cut, between two of them, or when all are written."""
        for name in ("n1", "n3", "n1"):
            client, path = self.begin(self.address("n2"))
            self.cluster[name].kill()
            out, err = client.communicate(timeout=60)
            if client.returncode == 0:
                self.check(path, json.loads(out))
            else:  # its entry in the audit log found no leader
                self.assertEqual(client.returncode, 6, (out, err))
                self.assertFalse(os.path.exists(path))
            self.take("n2")
            self.cluster.start().ready()

    def test_two_at_once_at_different_nodes_are_both_whole(self):
        for _ in range(2):
            for client, path in [self.begin(self.address(name)) for name in ("n1", "n3")]:
                out, err = client.communicate(timeout=60)
                self.assertEqual(client.returncode, 0, err)
                self.check(path, json.loads(out))

    def test_without_a_majority_it_is_refused(self):
        self.cluster["n1"].kill()
        self.cluster["n3"].kill()
        path = self.place()
        done = self.cluster["n2"].cli("cluster", "backup", path)
        self.assertEqual(done.returncode, 6, done)
        self.assertIn("no node leads this partition", done.stderr)
        self.assertFalse(os.path.exists(path) or os.path.exists(path + ".partial"))
        self.cluster.start().ready()
        self.take("n2")


if __name__ == "__main__":
    waiting.overall_limit(480)
    unittest.main(verbosity=2)
