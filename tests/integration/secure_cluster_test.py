#!/usr/bin/env python3
"""Three nodes as tools/packaging/README.md sets them up — HTTPS with API keys, certificates of `cluster certs` also on the
node link — and what a platform engineer does to them with the command line: look, join, drain, remove; what keys of a role
or of some types may do at any node, also where another one has to answer; that the audit log names the key each time.

usage: secure_cluster_test.py [TestCase[.test]]
"""
import json
import os
import re
import shutil
import ssl
import tempfile
import unittest

from harness import waiting
from harness.authority import Authority
from harness.client import Client, agent_path
from harness.cluster import NAMES, Member, free_ports
from harness.node import cli
from harness.sse import Stream
from harness.waiting import eventually

EXIT_USAGE, EXIT_NOT_AUTHORISED, EXIT_REFUSED, EXIT_UNAVAILABLE = 2, 3, 5, 6
EXIT_REMOVED = 5
GROUPS = 25
KEYS = {"boss": ("admin",), "ops": ("admin",), "viewer": ("viewer",), "operator": ("operator",),
        "echo-dev": ("developer", "--types", "echo"), "echo-boss": ("admin", "--types", "echo")}
DEFINITIONS = """
kind: agent
type: echo
behaviour: native
on:
  - event: shop.order.*
    key: .data.to
---
kind: agent
type: loop
behaviour: native
on:
  - event: shop.order.paid
    key: .data.to
"""


class SecureNode(Member):
    """One that asks for keys over HTTPS. `authority`: who signs for HTTPS and the link; `peers`: who forms the cluster with
    it, else it is one that joins."""

    def __init__(self, name, certs, keys, *, peers=None):
        port, link = free_ports(2)
        super().__init__(name, "", port)
        self.certs, self.keys, self.ca = certs, keys, os.path.join(certs, "ca.pem")
        self.file, self.keys_file = os.path.join(self.folder, "node.yaml"), os.path.join(self.folder, "keys.yaml")
        shutil.copy(keys.file, self.keys_file)
        self.configure(self.settings(peers=peers, link=f"127.0.0.1:{link}"))
        self._context, self._clients = ssl.create_default_context(cafile=self.ca), {}
        self.client = self.client_of("boss")

    def settings(self, *, peers=None, link=None, link_pair=None, link_ca=None):
        self.link = link or self.link
        known = ", ".join(f'{name}: "{at}"' for name, at in (peers or {}).items())
        pair = os.path.join(self.certs, self.name)
        cert, key = link_pair or (pair + ".pem", pair + ".key")
        return (f"node: {self.name}\ndata: {self.data}\n"
                f"tls: {{ cert: {pair}.pem, key: {pair}.key }}\nauth: {{ keys_file: keys.yaml }}\n"
                f"cluster:\n  name: secure\n  election_timeout: 500ms\n"
                + (f"  peers: {{ {known} }}\n" if known else f'  advertise: "{self.link}"\n')
                + f"  tls: {{ ca: {link_ca or self.ca}, cert: {cert}, key: {key} }}\n")

    def client_of(self, key):
        if key not in self._clients:
            self._clients[key] = Client(lambda: self.address, tls=self._context, token=self.keys.tokens.get(key))
        return self._clients[key]

    def url(self, scheme="https"):
        return "%s://%s:%d" % (scheme, *self.address)

    def stream(self, path, key):
        return Stream(self.address, path, tls=self._context, token=self.keys.tokens[key])

    def cli(self, *arguments, env=None, stdin=None, seconds=60, key="ops", ca=None):
        return secure_cli(*arguments, server=self.url(), token=self.keys.tokens.get(key), ca=ca or self.ca, seconds=seconds)

    def keys_changed(self, change):
        """Changes its keys file and waits until it counts."""
        reloads = self.metric('holdfast_auth_reloads_total{result="ok"}')
        change(self.keys_file)
        eventually(f"{self.name} reads its keys again",
                   lambda: self.metric('holdfast_auth_reloads_total{result="ok"}') > reloads)


def secure_cli(*arguments, server=None, token=None, ca=None, seconds=60):
    env = {name: value for name, value in (("HOLDFAST_TOKEN", token), ("HOLDFAST_CA", ca)) if value}
    return cli(*arguments, server=server, env=env, seconds=seconds)


class Keys:
    """The keys file that every node gets a copy of, and the tokens."""

    def __init__(self, folder):
        self.file, self.tokens = os.path.join(folder, "keys.yaml"), {}
        for name, (role, *more) in KEYS.items():
            done = cli("auth", "key", "create", name, "--roles", role, *more, "--keys-file", self.file)
            assert done.returncode == 0, done.stderr
            self.tokens[name] = done.stdout.strip()


class SecureCluster(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="holdfast-secure-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.certs = os.path.join(cls.folder, "certs")
        cls.sign(*NAMES)
        cls.keys = Keys(cls.folder)
        cls.nodes = {}
        peers = {name: f"127.0.0.1:{port}" for name, port in zip(NAMES, free_ports(3))}
        for name in NAMES:
            cls.added(name, peers=peers)
        for node in cls.nodes.values():
            node.started()
        eventually("all are ready", lambda: all(node.is_ready() for node in cls.nodes.values()), 60)
        cls.nodes["n1"].apply(DEFINITIONS)
        cls.stranger = Authority(tempfile.mkdtemp(dir=cls.folder), "stranger")

    @classmethod
    def sign(cls, *names):
        made = cli("cluster", "certs", cls.certs, "--nodes", ",".join(f"{name}=127.0.0.1" for name in names))
        assert made.returncode == 0, made.stderr

    @classmethod
    def added(cls, name, **more):
        cls.nodes[name] = SecureNode(name, cls.certs, cls.keys, **more)
        cls.addClassCleanup(cls.nodes[name].remove)
        return cls.nodes[name]

    def setUp(self):
        self.settle()

    def tearDown(self):
        token = re.compile("|".join(token[3:] for token in self.keys.tokens.values()))
        for node in self.nodes.values():
            self.assertNotRegex(node.log(10_000), token, "a token is in the log")

    def view(self, at="n1"):
        return self.nodes[at].client.document("/v1/cluster")

    def settle(self):
        """Nobody is cordoned, and the leaders are even."""
        for name in NAMES:
            done = self.nodes["n1"].cli("node", "uncordon", name, key="boss")
            self.assertEqual(done.returncode, 0, done.stderr)

        def is_even():
            seen = self.view()["nodes"]
            return ([(one["id"], one["state"]) for one in seen] == [(name, "up") for name in NAMES]
                    and sorted(one["leaders"] for one in seen) == [8, 8, 9])

        eventually(lambda: f"three nodes lead evenly: {self.view()['nodes']}", is_even, 30)

    def drained(self, name, at):
        done = self.nodes[at].cli("node", "drain", name)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        eventually(f"{name} knows it", lambda: all(one["leader"] not in (None, name) for one in self.view(name)["partitions"]))

    def not_leading(self, group):
        """Names of nodes that must have another one answer for it."""
        leader = eventually("somebody leads", lambda: next(one["leader"] for one in self.view()["partitions"]
                                                           if one["id"] == group))
        return [name for name in NAMES if name != leader]

    def audited(self, **wanted):
        return [one for one in self.nodes["n1"].client.items("/v1/audit")
                if all(one[field] == value for field, value in wanted.items())]

    def check_audited(self, *, times=1, **wanted):
        eventually(lambda: f"{wanted} is audited {times} times: {self.audited(by=wanted['by'])}",
                   lambda: len(self.audited(**wanted)) == times)
        self.assertEqual({one["peer"] for one in self.audited(**wanted)}, {"127.0.0.1"})

    def check_exit(self, done, code, *words):
        self.assertEqual(done.returncode, code, done.stdout + done.stderr)
        for word in words:
            self.assertIn(word, done.stderr)
        for token in self.keys.tokens.values():
            self.assertNotIn(token, done.stdout + done.stderr)

    # ---- looking
    def test_every_node_shows_the_cluster_to_who_has_a_key_and_its_authority(self):
        for node in list(self.nodes.values())[:3]:
            for key in ("ops", "viewer", "operator"):
                self.check_exit(node.cli("cluster", "status", key=key), 0)
                listed = node.cli("node", "list", "-o", "json", key=key)
                self.assertEqual([one["id"] for one in json.loads(listed.stdout)["items"]], list(NAMES), listed.stderr)
            for verb in (("cluster", "status"), ("node", "list"), ("node", "describe", "n2")):
                self.check_exit(node.cli(*verb, key="echo-boss"), EXIT_NOT_AUTHORISED, "every type")
                self.check_exit(node.cli(*verb, key=None), EXIT_NOT_AUTHORISED, "API key", "401")
                self.check_exit(node.cli(*verb, ca=self.stranger.pem), EXIT_UNAVAILABLE, "--ca")
                self.check_exit(secure_cli(*verb, server=node.url(), token=self.keys.tokens["ops"]), EXIT_UNAVAILABLE, "--ca")
                self.check_exit(secure_cli(*verb, server=node.url("http"), token=self.keys.tokens["ops"]), EXIT_USAGE, "https://")

    # ---- events
    def test_events_are_taken_for_the_types_of_a_key_at_any_node_also_where_another_one_answers(self):
        self.drained("n1", at="n2")  # whatever n1 is asked, another one answers
        for name in NAMES:
            node, client = self.nodes[name], self.nodes[name].client_of("echo-dev")
            for number in range(6):
                key = f"{name}-{number}"
                taken = client.post(agent_path(f"echo/{key}", "/events?wait=20s"), {"data": number})
                self.assertEqual((taken.status, taken.json().get("output")), (200, number), repr(taken))
                facts = client.items(agent_path(f"echo/{key}", "/history"))
                self.assertEqual([one["data"]["by"] for one in facts if one["kind"] == "event_received"], ["echo-dev"])
                refused = client.post(agent_path(f"loop/{key}", "/events?wait=20s"), {"data": {"steps": 1}})
                self.assertEqual((refused.status, refused.code), (403, "forbidden"), repr(refused))
                self.check_audited(by="echo-dev", outcome="forbidden", subject=f"loop/{key}")
                # A routed event is refused when agents of other types want it too.
                event = {"specversion": "1.0", "id": f"seen-{key}", "source": "/shop", "type": "shop.order.seen", "data": {"to": key}}
                seen = client.post("/v1/events", event)
                self.assertEqual((seen.status, seen.json()["events"][0]["agents"]), (202, [f"echo/{key}"]), repr(seen))
                stored = client.document(f"/v1/events/{seen.json()['events'][0]['event_id']}")
                self.assertEqual(stored["by"], "echo-dev")
                paid = client.post("/v1/events", {**event, "id": f"paid-{key}", "type": "shop.order.paid"})
                self.assertEqual((paid.status, paid.code), (403, "forbidden"), repr(paid))
            self.check_exit(node.cli("agent", "send", f"echo/{name}", "--data", "1", "--wait", "20s", key="echo-dev"), 0)
            self.check_exit(node.cli("agent", "send", f"loop/{name}", "--data", "{}", key="echo-dev"), EXIT_NOT_AUTHORISED, "of type echo")
            self.check_exit(node.cli("agent", "send", f"echo/{name}", "--data", "1", key="viewer"), EXIT_NOT_AUTHORISED, "developer")
        self.check_audited(by="echo-dev", outcome="forbidden", route="/v1/events", times=18)
        for name in NAMES:
            client = self.nodes[name].client
            self.assertEqual(client.items("/v1/agents?type=loop"), [])
            self.assertEqual([one for one in client.items("/v1/events?source=%2Fshop") if one["event"]["id"].startswith("paid")], [])

    def test_a_stream_of_an_agent_that_another_node_leads_ends_with_its_key_and_no_sooner(self):
        self.drained("n1", at="n3")
        path = agent_path("echo/streamed", "/stream")
        send = self.nodes["n2"].client
        self.assertEqual(send.post(agent_path("echo/streamed", "/events?wait=20s"), {"data": 0}).status, 200)
        streams = {name: self.nodes[name].stream(path, "viewer") for name in NAMES}
        for name, one in streams.items():
            self.addCleanup(one.close)
            self.assertEqual(one.status, 200, name)

        def check_heard(names, number):
            self.assertEqual(send.post(agent_path("echo/streamed", "/events?wait=20s"), {"data": number}).status, 200)
            for name in names:
                ended = next((event for event in streams[name] if event.name == "run.completed"), None)
                self.assertIsNotNone(ended, f"the stream at {name} was closed")
                self.assertEqual(ended.data["output"], number)

        check_heard(NAMES, 1)
        for name in NAMES:  # who looks at the keys has looked at the streams
            self.nodes[name].keys_changed(lambda file: cli("auth", "key", "create", "more", "--roles", "viewer", "--keys-file", file))
        check_heard(NAMES, 2)
        # It is revoked at the node that carries, and nowhere else.
        self.nodes["n1"].keys_changed(self.revoke("viewer"))
        self.addCleanup(self.restore_keys, "n1")
        self.assertEqual([event.name for event in streams["n1"]], [])  # to its end
        check_heard(("n2", "n3"), 3)

    # ---- keys
    def revoke(self, name):
        return lambda file: cli("auth", "key", "revoke", name, "--keys-file", file)

    def restore_keys(self, name):
        node = self.nodes[name]
        node.client = node.client_of("boss")

        def put_back(file):
            shutil.copy(self.keys.file, file + ".next")
            os.replace(file + ".next", file)

        node.keys_changed(put_back)

    def test_a_revoked_key_counts_no_more_at_the_node_that_was_told_and_goes_on_at_the_others(self):
        self.drained("n1", at="n1")
        calls = [("GET", "/v1/agents", None), ("GET", "/v1/audit", None), ("POST", "/v1/nodes/n2/uncordon", {}),
                 ("POST", agent_path("echo/revoked", "/events"), {"data": 1}), ("DELETE", "/v1/nodes/n9", None)]

        def answers(name):
            client = self.nodes[name].client_of("ops")
            return [client.request(method, path, body).status for method, path, body in calls]

        uncordoned = {"by": "ops", "subject": "n2", "route": "/v1/nodes/{id}/uncordon", "outcome": "done"}
        before, good = len(self.audited(**uncordoned)), [200, 200, 200, 202, 404]
        for name in NAMES:
            self.assertEqual(answers(name), good, name)
        self.check_audited(by="ops", subject="n9", method="DELETE", outcome="not_found", times=3)
        self.nodes["n1"].keys_changed(self.revoke("ops"))
        self.addCleanup(self.restore_keys, "n1")
        self.assertEqual(answers("n1"), [401] * 5)
        self.check_exit(self.nodes["n1"].cli("node", "drain", "n2"), EXIT_NOT_AUTHORISED, "API key")
        for name in ("n2", "n3"):
            self.assertEqual(answers(name), good, name)
        # Who carried a request has looked at the key; who answers it need not know it.
        self.restore_keys("n1")
        self.nodes["n2"].keys_changed(self.revoke("ops"))
        self.addCleanup(self.restore_keys, "n2")
        self.assertEqual(answers("n2"), [401] * 5)
        self.assertEqual(answers("n1"), good)
        self.check_exit(self.nodes["n3"].cli("node", "cordon", "n2"), 0)  # n2 does it
        self.check_audited(by="ops", subject="n2", route="/v1/nodes/{id}/cordon", outcome="done")
        self.check_audited(**uncordoned, times=before + 6)

    # ---- operating
    def test_nodes_are_drained_from_any_node_by_admins_of_every_type_and_the_key_is_audited(self):
        for at, to in (("n1", "n2"), ("n2", "n2"), ("n3", "n1")):
            node, route = self.nodes[at], "/v1/nodes/{id}/drain"
            before = len(self.audited(by="ops", subject=to, route=route, outcome="done"))
            for key, words in (("viewer", "admin"), ("operator", "admin"), ("echo-dev", "admin"), ("echo-boss", "every type")):
                refusals = len(self.audited(by=key, subject=to, route=route, outcome="forbidden"))
                self.check_exit(node.cli("node", "drain", to, key=key), EXIT_NOT_AUTHORISED, words)
                self.check_exit(node.cli("node", "remove", to, "--yes", key=key), EXIT_NOT_AUTHORISED, words)
                self.check_audited(by=key, subject=to, route=route, outcome="forbidden", times=refusals + 1)
            self.check_exit(node.cli("node", "drain", to), 0, "it can be stopped")
            self.check_audited(by="ops", subject=to, route=route, outcome="done", times=before + 1)
            self.check_exit(node.cli("node", "uncordon", to), 0)
            self.check_exit(node.cli("cluster", "rebalance"), 0)
            self.settle()
        self.check_audited(by="ops", route="/v1/cluster/rebalance", outcome="done", times=3)

    def test_the_audit_log_names_the_key_also_when_its_own_leader_gives_it_away(self):
        wanted = {"by": "ops", "route": "/v1/nodes/{id}/cordon", "outcome": "done"}
        before = len(self.audited(**wanted))
        for times in range(1, 9):
            away = self.not_leading(0)
            leader = next(name for name in NAMES if name not in away)
            self.check_exit(self.nodes[away[0]].cli("node", "cordon", leader), 0)
            self.check_audited(**wanted, times=before + times)
            self.settle()

    def test_a_backup_is_taken_over_https_by_admins_of_every_type(self):
        for name, node in self.nodes.items():
            file = os.path.join(self.folder, name + ".holdfast")
            for key, words in ((None, "API key"), ("operator", "admin"), ("echo-boss", "every type")):
                self.check_exit(node.cli("cluster", "backup", file, key=key), EXIT_NOT_AUTHORISED, words)
            self.check_exit(node.cli("cluster", "backup", file, ca=self.stranger.pem), EXIT_UNAVAILABLE, "--ca")
            self.assertEqual([one for one in os.listdir(self.folder) if name + ".holdfast" in one], [])
            self.check_exit(node.cli("cluster", "backup", file), 0)
            self.assertGreater(os.path.getsize(file), 0)
        self.check_audited(by="ops", route="/v1/cluster/backup", outcome="done", times=3)

    def check_not_joined(self, done, code, *words):
        self.check_exit(done, code, *words)
        self.assertFalse(os.path.exists(self.nodes["n4"].data), os.listdir(self.nodes["n4"].folder))
        self.assertEqual([one["id"] for one in self.view()["nodes"]], list(NAMES))

    def join(self, at, *, key="ops", ca=None, scheme="https"):
        return secure_cli("cluster", "join", "--config", self.nodes["n4"].file, "--address", self.nodes[at].url(scheme),
                          token=self.keys.tokens.get(key), ca=ca or os.path.join(self.certs, "ca.pem"))

    def test_a_node_joins_is_drained_and_removed_over_https(self):
        self.sign("n4")
        late = self.added("n4")
        self.addCleanup(self.nodes.pop, "n4")
        away = self.not_leading(0)[0]  # joining and leaving is answered by the leader of group 0
        self.check_not_joined(self.join(away, key=None), EXIT_NOT_AUTHORISED, "API key", "401")
        for key, words in (("viewer", "admin"), ("operator", "admin"), ("echo-boss", "every type")):
            for at in NAMES:
                self.check_not_joined(self.join(at, key=key), EXIT_NOT_AUTHORISED, words)
            if key != "echo-boss":  # which may not even look at the cluster
                self.check_audited(by=key, route="/v1/nodes", outcome="forbidden", times=3)
        self.check_not_joined(self.join(away, ca=self.stranger.pem), EXIT_UNAVAILABLE, "--ca")
        self.check_not_joined(self.join(away, ca=self.nodes["n4"].keys_file), EXIT_USAGE, "keys.yaml")
        self.check_not_joined(self.join(away, scheme="http"), EXIT_USAGE, "https://")
        late.configure(late.settings().replace("name: secure", "name: other"))
        self.check_not_joined(self.join(away), EXIT_REFUSED, "cluster.name")
        late.configure(late.settings())

        # A link certificate that the others do not trust, or that is not its own, is said before anything is promised.
        foreign = late.settings(link_pair=self.stranger.sign("n4", days="7", alternative="DNS:n4"), link_ca=self.stranger.pem)
        late.configure(foreign)
        self.check_not_joined(self.join(away), EXIT_REFUSED, "another CA", "issue its certificate", "cluster.tls")
        of_another = os.path.join(self.certs, "n1")
        late.configure(late.settings(link_pair=(of_another + ".pem", of_another + ".key")))
        self.check_not_joined(self.join(away), EXIT_REFUSED, "not for n4", "cluster.tls")
        late.configure(late.settings())
        self.check_exit(self.join(away), 0, "n4")

        # Started with it all the same: the log of either side says what to do.
        late.configure(foreign)
        late.started()
        eventually(lambda: f"it refuses the others\n{late.log()}",
                   lambda: all(late.said("peer-refused", f"node={name}", "another CA", "issue its certificate") for name in NAMES))
        eventually("the others refuse it", lambda: all(self.nodes[name].said("peer-refused", "node=n4", "another CA") for name in NAMES))
        self.assertTrue(late.said("certificate-expires", self.stranger.folder, "SIGHUP"), late.log())
        self.assertFalse(late.is_ready())
        late.stop()
        late.configure(late.settings())
        late.started()

        def is_member():
            seen = {one["id"]: one for one in self.nodes["n1"].client.items("/v1/nodes")}
            return seen["n4"]["membership"] == "member" and seen["n4"]["replicas"] == GROUPS and late.is_ready()

        eventually(lambda: f"n4 is a member\n{late.log()}", is_member, 60)
        self.check_audited(by="ops", method="POST", route="/v1/nodes", subject="n4", outcome="done")
        sent = late.client_of("echo-dev").post(agent_path("echo/late", "/events?wait=20s"), {"data": 4})
        self.assertEqual(sent.status, 200, repr(sent))
        self.check_exit(late.cli("cluster", "status", key="viewer"), 0)
        self.check_exit(self.nodes[away].cli("node", "drain", "n4"), 0)
        self.check_audited(by="ops", subject="n4", route="/v1/nodes/{id}/drain", outcome="done")
        self.check_exit(self.nodes[self.not_leading(0)[0]].cli("node", "remove", "n4", "--yes", key="viewer"), EXIT_NOT_AUTHORISED)
        self.assertTrue(late.is_alive())
        self.check_exit(self.nodes[self.not_leading(0)[0]].cli("node", "remove", "n4", "--yes", seconds=90), 0, "no member any more")
        self.assertEqual(late.reap(), EXIT_REMOVED, late.log())
        self.assertTrue(late.said("was removed from the cluster"), late.log())
        self.check_audited(by="ops", method="DELETE", route="/v1/nodes/{id}", subject="n4", outcome="done")
        self.check_audited(by="viewer", method="DELETE", route="/v1/nodes/{id}", subject="n4", outcome="forbidden")
        again = self.join(away)
        self.check_exit(again, EXIT_REFUSED, "new name")


if __name__ == "__main__":
    waiting.overall_limit(300)
    unittest.main(verbosity=2)
