#!/usr/bin/env python3
"""What operators do to three real nodes: certificates, status, drain, cordon, rebalance — asked of any node, also while one
is dead — and what each leaves in the audit log.

usage: cluster_operations_test.py
"""
import os
import shutil
import socket
import tempfile
import threading
import unittest

from harness import waiting
from harness.node import Node, cli
from harness.sse import Stream
from harness.waiting import eventually

NAMES = ("n1", "n2", "n3")


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class ClusterOperations(unittest.TestCase):
    def setUp(self):
        self.certs = tempfile.mkdtemp(prefix="holdfast-certs-")
        self.addCleanup(shutil.rmtree, self.certs, ignore_errors=True)
        made = cli("cluster", "certs", self.certs, "--nodes", ",".join(NAMES))
        self.assertEqual(made.returncode, 0, made.stderr)
        peers = ", ".join(f'{name}: "127.0.0.1:{port}"' for name, port in zip(NAMES, free_ports(3)))
        self.nodes = {}
        for name in NAMES:
            file = os.path.join(self.certs, name)
            self.nodes[name] = Node(
                f"node: {name}\ncluster:\n  name: ops\n  election_timeout: 500ms\n  peers: {{ {peers} }}\n"
                f"  tls: {{ ca: {self.certs}/ca.pem, cert: {file}.pem, key: {file}.key }}\n", name=name)
            self.addCleanup(self.nodes[name].remove)
        for node in self.nodes.values():
            node.started()
        self.settle()

    def view(self, at="n1"):
        return self.nodes[at].client.get("/v1/cluster").json()

    def leaders(self, at="n1"):
        return {one["id"]: one["leaders"] for one in self.view(at)["nodes"]}

    def settle(self, at="n1"):
        eventually("leaders are even", lambda: sorted(self.leaders(at).values()) == [8, 8, 9], 30)

    def test_every_node_shows_the_same_cluster(self):
        def same():
            views = [self.view(name) for name in NAMES]
            return all([(one["leader"], one["term"]) for one in view["partitions"]]
                       == [(one["leader"], one["term"]) for one in views[0]["partitions"]]
                       and [one["state"] for one in view["nodes"]] == ["up"] * 3 for view in views)

        eventually("all say the same", same, 10)
        view = self.view()
        self.assertEqual(view["name"], "ops")
        self.assertEqual(len(view["partitions"]), 25)
        for partition in view["partitions"]:
            self.assertGreater(partition["term"], 0)
            self.assertEqual([one["node"] for one in sorted(partition["replicas"], key=lambda one: one["node"])], list(NAMES))

    def test_a_drained_node_leads_nothing_until_it_is_uncordoned(self):
        done = self.nodes["n1"].cli("node", "drain", "n2", "-o", "json")  # carried from n1 to n2
        self.assertEqual(done.returncode, 0, done.stderr)
        for name in NAMES:
            eventually(f"{name} sees it", lambda: self.leaders(name)["n2"] == 0, 10)
            state = {one["id"]: one["state"] for one in self.view(name)["nodes"]}
            self.assertEqual(state["n2"], "cordoned")
        sent = self.nodes["n2"].client.request("POST", "/v1/agents/echo/a/events?wait=20s", {"data": {"n": 1}})
        self.assertEqual(sent.status, 200, sent)  # it still takes requests
        eventually("the others lead evenly", lambda: sorted(self.leaders().values()) == [0, 12, 13], 30)
        self.assertEqual(self.nodes["n3"].cli("node", "uncordon", "n2").returncode, 0)
        self.assertEqual(self.nodes["n3"].cli("cluster", "rebalance").returncode, 0)
        self.settle()
        audited = [(one["route"], one["subject"], one["outcome"])
                   for one in self.nodes["n1"].client.get("/v1/audit").json()["items"]]
        for route, subject in (("/v1/nodes/{id}/drain", "n2"), ("/v1/nodes/{id}/uncordon", "n2"), ("/v1/cluster/rebalance", "")):
            self.assertEqual(audited.count((route, subject, "done")), 1, audited)

    def carry_only(self, name):
        """From now on the node leads nothing: it carries."""
        self.assertEqual(self.nodes[name].cli("node", "cordon", name).returncode, 0)
        eventually("the others lead everything, evenly", lambda: sorted(self.leaders().values()) == [0, 12, 13], 30)

    def paused(self, agent, at):
        client = self.nodes[at].client
        sent = client.post(f"/v1/agents/{agent}/events?wait=20s", {"data": 0})
        self.assertEqual(sent.status, 200, sent)
        done = client.post(f"/v1/agents/{agent}/pause", {})
        self.assertLess(done.status, 300, done)

    def test_large_answers_are_carried_page_by_page(self):
        self.carry_only("n3")
        self.paused("echo/big", "n3")
        text = "x" * (900 << 10)
        for number in range(20):
            sent = self.nodes["n3"].client.post("/v1/agents/echo/big/events", {"data": [number, text]})
            self.assertEqual(sent.status, 202, sent)
        numbers, sizes, cursor = [], [], ""
        while cursor is not None:
            read = self.nodes["n3"].client.get(f"/v1/agents/echo/big/mailbox?cursor={cursor}", timeout=60)
            self.assertEqual(read.status, 200, read)
            sizes.append(len(read.body))
            numbers += [item["event"]["data"][0] for item in read.json()["items"]]
            cursor = read.json()["next"]
        self.assertEqual(numbers, list(range(20)))
        self.assertGreater(max(sizes), 3 << 20)  # several pieces on the link
        self.assertLess(max(sizes), 6 << 20)

    def test_a_stream_that_begins_with_more_than_may_be_unsent_is_carried(self):
        self.carry_only("n3")
        ran = self.nodes["n3"].client.post("/v1/agents/echo/long/events?wait=20s", {"data": "x" * (600 << 10)})
        self.assertEqual(ran.status, 200, ran)
        stream = Stream(self.nodes["n3"].address, "/v1/agents/echo/long/stream?from=0")
        self.addCleanup(stream.close)
        ended = next(event for event in stream if event.name == "run.completed")
        self.assertEqual(len(ended.data["output"]), 600 << 10)

    def test_a_node_that_ends_lets_go_in_order_of_those_it_carries(self):
        self.carry_only("n3")
        self.paused("echo/a", "n3")
        before = len(self.nodes["n1"].client.items("/v1/agents/echo/a/mailbox"))
        told = []
        waits = threading.Thread(
            target=lambda: told.append(self.nodes["n3"].client.post("/v1/agents/echo/a/events?wait=5m", {"data": 1}, timeout=60)))
        waits.start()
        with socket.create_connection(self.nodes["n3"].address, timeout=60) as stream:
            stream.sendall(b"GET /v1/agents/echo/a/stream HTTP/1.1\r\nHost: n3\r\n\r\n")
            read = stream.recv(65536)
            self.assertTrue(read.startswith(b"HTTP/1.1 200 "), read)
            eventually("the event waits",
                       lambda: len(self.nodes["n1"].client.items("/v1/agents/echo/a/mailbox")) == before + 1, 20)
            self.assertEqual(self.nodes["n3"].stop(), 0)
            while more := stream.recv(65536):
                read += more
        self.assertTrue(read.endswith(b"0\r\n\r\n"), read)
        waits.join(30)
        self.assertEqual([(one.status, one.json()["agent"]) for one in told], [(202, "echo/a")])

    def test_a_restart_ends_a_cordon(self):
        self.assertEqual(self.nodes["n3"].cli("node", "cordon", "n3").returncode, 0)
        eventually("it gives everything away", lambda: self.leaders()["n3"] == 0, 10)
        self.assertEqual(self.nodes["n3"].stop(), 0)
        self.nodes["n3"].started()
        self.settle()

    def test_with_one_node_dead_the_others_even_out_and_a_drain_warns(self):
        self.nodes["n3"].kill()
        eventually("two lead everything, evenly", lambda: sorted(self.leaders().values()) == [0, 12, 13], 30)
        status = self.nodes["n1"].cli("cluster", "status")
        self.assertEqual(status.returncode, 0, status.stderr)
        gone = self.nodes["n1"].cli("node", "drain", "n3", "--wait", "1s")
        self.assertEqual(gone.returncode, 6, gone.stdout)
        drained = self.nodes["n1"].cli("node", "drain", "n1")
        self.assertEqual(drained.returncode, 0, drained.stderr)
        self.assertIn("do not stop it", drained.stderr)
        # Nobody else is left: a cordoned node leads on rather than nobody.
        left = self.nodes["n2"].cli("node", "drain", "n2", "--wait", "1s")
        self.assertEqual(left.returncode, 6, left.stdout)
        self.assertEqual(self.leaders("n2")["n2"], 25)

    def test_without_a_majority_status_says_so(self):
        self.nodes["n2"].kill()
        self.nodes["n3"].kill()
        eventually("nobody leads", lambda: all(one["leader"] is None for one in self.view()["partitions"]), 30)
        status = self.nodes["n1"].cli("cluster", "status")
        self.assertEqual(status.returncode, 1, status.stdout)
        self.assertIn("n2, n3", status.stderr)
        self.assertIn("a majority of 3 nodes must be up", status.stderr)
        self.nodes["n2"].started()
        eventually("there is a majority", lambda: self.nodes["n1"].cli("cluster", "status").returncode == 0, 30)


if __name__ == "__main__":
    waiting.overall_limit(300)
    unittest.main(verbosity=2)
