#!/usr/bin/env python3
"""Security on the wire, against real processes: TLS with a CA that openssl made, API keys with roles and type scopes,
reloads, the audit log and its chain, and that no token is anywhere but where it belongs."""
import glob
import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from harness import held, rocks, waiting
from harness.authority import Authority
from harness.client import Client, agent_path
from harness.node import BINARY, Node, cli, environment
from harness.waiting import eventually

ROUTED = """
---
kind: agent
type: customer
behaviour: llm
model: { use: [primary] }
input: .data
on:
  - event: shop.order.*
    key: .data.customer
---
kind: hook
source: open
preset: none
"""
TOKEN = r"hf_[0-9a-z]{52}"
ROLES = {"viewer": "viewer", "ops": "operator", "dev": "developer", "boss": "admin"}


class Keys:
    """A keys file, and the tokens of its keys."""

    def __init__(self, file):
        self.file = file
        self.tokens = {}

    def cli(self, *arguments):
        return cli("auth", "key", *arguments, "--keys-file", self.file)

    def create(self, name, role, *more):
        done = self.cli("create", name, "--roles", role, *more)
        assert done.returncode == 0, done.stderr
        token = done.stdout.strip()
        assert re.fullmatch(TOKEN, token), "a token"
        assert token not in done.stderr
        self.tokens[name] = token
        return token

    def revoke(self, name):
        done = self.cli("revoke", name)
        assert done.returncode == 0, done.stderr


def refusal(settings, *flags):
    """The exit status and words of a node that must not start."""
    folder = tempfile.mkdtemp(prefix="holdfast-refused-")
    try:
        file = os.path.join(folder, "node.yaml")
        with open(file, "w", encoding="utf-8") as out:
            out.write(settings)
        done = subprocess.run([BINARY, "serve", "--config", file, "--data", os.path.join(folder, "data"), *flags],
                              capture_output=True, text=True, timeout=60, env=environment(), check=False)
        return done.returncode, done.stderr
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class Beyond(unittest.TestCase):
    """What a node needs before it listens beyond loopback."""

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="holdfast-beyond-")
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.keys = Keys(os.path.join(self.folder, "keys.yaml"))
        self.token = self.keys.create("boss", "admin")

    def test_without_tls_or_without_keys_it_does_not_start_and_says_what_to_add(self):
        authority = Authority(self.folder, "ca")
        pem, key = authority.sign("node")
        tls, auth = f"tls: {{ cert: {pem}, key: {key} }}\n", f"auth: {{ keys_file: {self.keys.file} }}\n"
        for address in ("0.0.0.0:0", "'[::]:0'", "10.1.2.3:7070"):
            status, said = refusal(f"node: n1\nlisten: {address}\n")
            self.assertEqual(status, 2, said)
            self.assertIn("node.yaml:2:", said)
            self.assertIn("tls: { cert:", said)
            self.assertIn("auth: { keys_file:", said)
            self.assertIn("holdfast auth key create", said)
        status, said = refusal("listen: 0.0.0.0:0\n" + tls)
        self.assertEqual(status, 2)
        self.assertIn("auth: { keys_file:", said)
        self.assertNotIn("tls: { cert:", said)
        status, said = refusal("listen: 0.0.0.0:0\n" + auth)
        self.assertEqual(status, 2)
        self.assertIn("tls: { cert:", said)
        status, said = refusal("node: n1\n", "--listen", "0.0.0.0:0")
        self.assertEqual(status, 2)
        self.assertIn("--listen: ", said)

    def test_what_is_wrong_with_the_files_is_said_with_file_and_line(self):
        authority = Authority(self.folder, "ca")
        pem, key = authority.sign("node")
        _, other_key = authority.sign("other")
        broken = os.path.join(self.folder, "broken.yaml")
        with open(broken, "w", encoding="utf-8") as out:
            out.write("keys:\n  - name: a\n    roles: [admn]\n    hash: x\n")
        os.chmod(broken, 0o600)
        for settings, words in (
                ("tls: { cert: gone.pem, key: gone.key }\n", ("node.yaml:1:", "gone.pem cannot be read")),
                (f"tls: {{ cert: {pem} }}\n", ("node.yaml:1:", "`key` is missing")),
                (f"tls: {{ cert: {pem}, key: {other_key} }}\n", (other_key, "key values mismatch")),
                (f"tls: {{ cert: {key}, key: {key} }}\n", ("`tls`:", key)),
                ("auth: { keys_file: gone.yaml }\n", ("node.yaml:1:", "gone.yaml", "holdfast auth key create")),
                (f"auth: {{ keys_file: {broken} }}\n", ("node.yaml:1:", "broken.yaml:3:", "did you mean `admin`?")),
                ("auth: { keys: [{ name: a, hash: 'sha256:1', roles: [viewer] }] }\n", ("node.yaml:1:", "hexadecimal"))):
            status, said = refusal(settings)
            self.assertEqual(status, 2, said)
            for word in words:
                self.assertIn(word, said)

    def test_behind_a_proxy_it_speaks_plain_http_and_asks_for_keys(self):
        settings = f"node: n1\ntls: {{ terminated_by: proxy }}\nauth: {{ keys_file: {self.keys.file} }}\n"
        with Node(settings, name="proxy") as node:
            node.listen = "0.0.0.0:0"
            node.started()
            self.assertEqual(Client(lambda: node.address).get("/v1/agents").status, 401)
            self.assertEqual(Client(lambda: node.address, token=self.token).get("/v1/agents").status, 200)

    def test_keys_in_the_configuration_are_read_again_when_it_changes(self):
        with open(self.keys.file, encoding="utf-8") as keys:
            digest = re.search(r"sha256:[0-9a-f]{64}", keys.read())[0]
        settings = "node: n1\nauth:\n  keys:\n    - { name: boss, hash: \"%s\", roles: [%s] }\n"
        with Node(settings % (digest, "viewer"), name="inline") as node:
            node.started()
            boss = Client(lambda: node.address, token=self.token)
            self.assertEqual(boss.get("/v1/audit").status, 403)
            with open(os.path.join(node.folder, "node.yaml"), "w", encoding="utf-8") as out:
                out.write(settings % (digest, "admin"))
            eventually("the new role counts", lambda: boss.get("/v1/audit").status == 200)

    def test_dev_applies_its_folder_where_keys_are_asked_for(self):
        folder = os.path.join(self.folder, "dev")
        os.mkdir(folder)
        with open(os.path.join(folder, "node.yaml"), "w", encoding="utf-8") as out:
            out.write(f"auth: {{ keys_file: {self.keys.file} }}\n")
        with open(os.path.join(folder, "a.yaml"), "w", encoding="utf-8") as out:
            out.write("kind: hook\nsource: open\npreset: none\n")
        with Node(dev=folder, name="dev") as node:
            node.started()
            eventually("it is ready", lambda: any("holdfast: ready" in line for line in node.lines()))
            self.assertIn("hook/open@1 created", node.log())
            self.assertEqual(Client(lambda: node.address).get("/v1/hooks").status, 401)
            boss = Client(lambda: node.address, token=self.token)
            self.assertEqual(len(boss.items("/v1/hooks")), 1)
            self.assertEqual([one["by"] for one in boss.items("/v1/audit")], ["dev"])
            self.assertNotRegex(node.log(), TOKEN)


class Security(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = held.Gate()
        cls.addClassCleanup(cls.gate.close)
        cls.folder = tempfile.mkdtemp(prefix="holdfast-security-")
        cls.authority = Authority(cls.folder, "ca")
        cls.cert, cls.cert_key = cls.authority.sign("node")
        cls.keys = Keys(os.path.join(cls.folder, "keys.yaml"))
        for name, role in ROLES.items():
            cls.keys.create(name, role)
        cls.keys.create("echo-boss", "admin", "--types", "echo")
        cls.keys.create("echo-dev", "developer", "--types", "echo")
        cls.keys.create("customer-dev", "developer", "--types", "customer")
        cls.keys.create("late", "admin", "--expires", "1ms")
        settings = (held.scripted_settings(cls.folder) + "tls: { cert: node.pem, key: node.key }\n"
                    "auth: { keys_file: keys.yaml }\nlog: { level: debug }\n")
        cls.node = Node(settings, folder=cls.folder, name="security")
        cls.node.listen = "0.0.0.0:0"
        cls.addClassCleanup(cls.node.remove)
        cls.node.started()
        cls.node.address = ("127.0.0.1", cls.node.address[1])
        cls.boss = cls.client("boss")
        answer = cls.boss.request("PUT", "/v1/definitions", (held.definitions(cls.gate) + ROUTED).encode(),
                                  {"Content-Type": "application/yaml"})
        assert answer.status == 200, answer

    _clients = {}

    @classmethod
    def client(cls, name=None, token=None, fresh=False):
        """`fresh`: with a connection, and a handshake, of its own."""
        token = token or cls.keys.tokens.get(name)
        if fresh or token not in cls._clients:
            made = Client(lambda: cls.node.address, tls=cls.authority.context(), token=token)
            if fresh:
                return made
            cls._clients[token] = made
            cls.addClassCleanup(made.close)
        return cls._clients[token]

    def url(self, path=""):
        return f"https://127.0.0.1:{self.node.address[1]}{path}"

    def cli(self, *arguments, name="boss", ca=None, env=None):
        return cli(*arguments, "--ca", ca or self.authority.pem, server=self.url(),
                   env={**({"HOLDFAST_TOKEN": self.keys.tokens[name]} if name else {}), **(env or {})})

    def metric(self, line):
        text = self.client("viewer").get("/metrics").body.decode()
        found = re.search("^" + re.escape(line) + r" (\S+)$", text, re.M)
        self.assertTrue(found, line)
        return float(found[1])

    def send(self, agent, data, name="dev", query="?wait=30s"):
        answer = self.client(name).post(agent_path(agent, "/events") + query, {"data": data})
        self.assertIn(answer.status, (200, 202), repr(answer))
        return answer.json()

    # ---- TLS
    def test_curl_and_the_command_line_speak_tls_and_trust_only_the_authority(self):
        token = self.keys.tokens["viewer"]
        stranger = Authority(tempfile.mkdtemp(dir=self.folder), "stranger")
        config = f"header = \"Authorization: Bearer {token}\"\n"  # not on the command line

        def curl(*arguments):
            return subprocess.run(["curl", "-sS", "-K", "-", *arguments], input=config, capture_output=True, text=True,
                                  timeout=60, check=False)

        done = curl("--cacert", self.authority.pem, self.url("/v1/agents"))
        self.assertEqual((done.returncode, json.loads(done.stdout)["kind"]), (0, "list"), done.stderr)
        self.assertEqual(curl("--cacert", stranger.pem, self.url("/v1/agents")).returncode, 60)
        self.assertEqual(curl(self.url("/v1/agents")).returncode, 60)
        for version in ("--tls-max 1.1", "--tls-max 1.0"):
            self.assertNotEqual(curl(*version.split(), "--cacert", self.authority.pem, self.url("/healthz")).returncode, 0)
        done = curl("--tls-max", "1.2", "--cacert", self.authority.pem, self.url("/healthz"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotEqual(curl("--tls-max", "1.2", "--ciphers", "AES128-SHA", "--cacert", self.authority.pem,
                                 self.url("/healthz")).returncode, 0)
        done = self.cli("agent", "list", "-o", "json")
        self.assertEqual((done.returncode, json.loads(done.stdout)["kind"]), (0, "list"), done.stderr)
        by_variable = cli("agent", "list", server=self.url(), env={"HOLDFAST_TOKEN": token, "HOLDFAST_CA": self.authority.pem})
        self.assertEqual(by_variable.returncode, 0, by_variable.stderr)
        wrong = self.cli("agent", "list", ca=stranger.pem)
        self.assertEqual(wrong.returncode, 6)
        self.assertIn("--ca", wrong.stderr)
        self.assertNotIn(token, wrong.stderr)

    def test_plain_http_to_the_tls_port_is_told_so_and_reaches_nothing(self):
        before = self.metric("holdfast_http_requests_total")
        plain = Client(lambda: self.node.address, token=self.keys.tokens["boss"])
        answer = plain.get("/v1/agents")
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.code, "malformed")
        self.assertIn("https://", answer.json()["detail"])
        with socket.create_connection(self.node.address, timeout=30) as raw:
            raw.sendall(b"\x00\x01\x02 no protocol at all\r\n\r\n")
            raw.settimeout(30)
            try:
                while raw.recv(4096):
                    pass
            except ConnectionResetError:
                pass
        self.assertEqual(self.metric("holdfast_http_requests_total") - before, 1)  # that of the metric itself

    def test_handshakes_that_do_not_go_on_block_nobody_and_end(self):
        silent = [socket.create_connection(self.node.address, timeout=30) for _ in range(200)]
        try:
            for one in silent[:100]:
                one.sendall(b"\x16\x03\x01\x02\x00\x01\x00")  # the beginning of a hello
            began = time.monotonic()
            for _ in range(20):
                client = self.client("viewer", fresh=True)
                self.assertEqual(client.get("/v1/agents").status, 200)
                client.close()
            self.assertLess(time.monotonic() - began, 9, "before the first silent one is given up")
            eventually("they are closed", lambda: self.metric("holdfast_http_connections") < 50, 40)
        finally:
            for one in silent:
                one.close()

    # ---- keys
    def test_without_a_key_that_counts_everything_but_health_and_webhooks_is_401(self):
        nobody = self.client()
        for path in ("/healthz", "/readyz"):
            self.assertEqual(nobody.get(path).status, 200)
        self.assertEqual(nobody.post("/v1/hooks/open", {"n": 1}).status, 202)
        for client in (nobody, self.client(token="hf_" + "0" * 52), self.client(token="x"), self.client("late"),
                       self.client(token=self.keys.tokens["boss"][:-1])):
            for method, path in (("GET", "/v1/agents"), ("GET", "/metrics"), ("GET", "/openapi.json"), ("GET", "/v1/audit"),
                                 ("POST", "/v1/agents/echo/a/events"), ("PUT", "/v1/definitions"), ("GET", "/v1/runs/run_x/stream"),
                                 ("DELETE", "/v1/agents/echo/a"), ("POST", "/v1/agents:batch")):
                answer = client.request(method, path, b"{}")
                self.assertEqual((answer.status, answer.code), (401, "unauthorised"), f"{method} {path}: {answer!r}")
                self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer"))
        self.assertIn("expired", self.client("late").get("/v1/agents").json()["detail"])
        self.assertEqual(self.cli("agent", "list", name=None).returncode, 3)
        self.assertEqual(self.cli("agent", "list", name="late").returncode, 3)
        self.assertEqual(self.cli("agent", "pause", "echo/roles", name="viewer").returncode, 3)

    def test_each_role_does_what_it_is_for_and_no_more(self):
        self.send("echo/roles", 1)
        event = {"specversion": "1.0", "id": "roles", "source": "/t", "type": "nobody.wants", "data": 1}
        calls = [
            ("GET", agent_path("echo/roles"), None, {"viewer", "ops", "dev", "boss"}),
            ("GET", "/v1/doctor", None, {"viewer", "ops", "dev", "boss"}),
            ("POST", agent_path("echo/roles", "/pause"), {}, {"ops", "boss"}),
            ("POST", agent_path("echo/roles", "/resume"), {}, {"ops", "boss"}),
            ("POST", "/v1/agents:batch", {"verb": "pause", "where": "false"}, {"ops", "boss"}),
            ("PATCH", agent_path("echo/roles", "/state"), {"a": 1}, {"ops", "boss"}),
            ("POST", agent_path("echo/roles", "/events"), {"data": 1}, {"dev", "boss"}),
            ("POST", "/v1/events", event, {"dev", "boss"}),
            ("PUT", "/v1/definitions?dry_run=true", {"kind": "hook", "source": "x", "preset": "none"}, {"dev", "boss"}),
            ("GET", "/v1/audit", None, {"boss"}),
        ]
        for method, path, body, allowed in calls:
            for name in ROLES:
                answer = self.client(name).request(method, path, body)
                if name in allowed:
                    self.assertIn(answer.status // 100, (2, 4), repr(answer))
                    self.assertNotIn(answer.status, (401, 403), f"{name} {method} {path}: {answer!r}")
                else:
                    self.assertEqual((answer.status, answer.code), (403, "forbidden"), f"{name} {method} {path}: {answer!r}")
                    self.assertIn("needs the role", answer.json()["detail"])
        self.assertEqual(self.cli("audit", "list", name="dev").returncode, 3)
        self.assertEqual(self.cli("audit", "list", name="boss").returncode, 0)

    def test_a_scope_holds_for_every_kind_of_route(self):
        own, other = self.send("echo/scope", 1), self.send("customer/scope", "hello")
        mine, theirs = own["run_id"], other["run_id"]
        event = {"specversion": "1.0", "id": "scope-1", "source": "/shop", "type": "shop.order.paid",
                 "data": {"customer": "scope"}}
        routed = self.client("dev").post("/v1/events", event, headers={"Content-Type": "application/cloudevents+json"})
        routed = routed.json()["events"][0]["event_id"]
        lost = {**event, "id": "scope-2", "data": {}}
        self.client("dev").post("/v1/events", lost, headers={"Content-Type": "application/cloudevents+json"})
        letter = eventually("a dead letter", lambda: next((one for one in self.boss.items("/v1/dlq")
                                                           if one["event"]["id"] == "scope-2"), None))["id"]
        self.send("writes/scope", {"path": "break/scope"}, query="")
        effect = eventually("an effect to reconcile", lambda: next((one for one in self.boss.items("/v1/reconcile")
                                                                    if one["agent"] == "writes/scope"), None))["id"]
        scoped = self.client("echo-boss")
        for part in ("", "/why", "/state", "/mailbox", "/timers", "/history", "/stream"):
            self.assertEqual(scoped.get(agent_path("customer/scope", part)).status, 403, part)
            if part != "/stream":
                self.assertEqual(scoped.get(agent_path("echo/scope", part)).status, 200, part)
        for verb in ("pause", "resume", "cancel", "kill", "retry", "quarantine", "fork"):
            answer = scoped.post(agent_path("customer/scope", "/" + verb), {"at": 1, "key": "x"} if verb == "fork" else {})
            self.assertEqual(answer.status, 403, verb)
        self.assertEqual(scoped.request("DELETE", agent_path("customer/scope")).status, 403)
        self.assertEqual(scoped.request("PATCH", agent_path("customer/scope", "/state"), {"a": 1}).status, 403)
        self.assertEqual(scoped.post(agent_path("customer/scope", "/events"), {"data": 1}).status, 403)
        self.assertEqual(scoped.post(agent_path("customer%2Fscope/x", "/events"), {"data": 1}).status, 403)
        for path in (f"/v1/runs/{theirs}", f"/v1/runs/{theirs}/history", f"/v1/runs/{theirs}/stream", f"/v1/events/{routed}",
                     f"/v1/dlq/{letter}", "/v1/types/customer", "/v1/types/customer/versions", "/v1/hooks", "/v1/doctor",
                     "/v1/audit"):
            self.assertEqual(scoped.get(path).status, 403, path)
        for path in (f"/v1/runs/{mine}", f"/v1/runs/{mine}/history", f"/v1/runs/{mine}/stream", "/v1/types/echo"):
            self.assertEqual(scoped.get(path).status, 200, path)
        for method, path, body in (("POST", f"/v1/runs/{theirs}/cancel", {}), ("POST", f"/v1/runs/{theirs}/retry", {}),
                                   ("POST", f"/v1/dlq/{letter}/redrive", {}), ("POST", f"/v1/dlq/{letter}/drop", {}),
                                   ("DELETE", f"/v1/dlq/{letter}", None),
                                   ("POST", f"/v1/reconcile/{effect}", {"resolve": "failed"})):
            self.assertEqual(scoped.request(method, path, body).status, 403, path)
        for path in ("/v1/agents", "/v1/runs"):
            self.assertEqual({one["agent"].split("/")[0] for one in scoped.items(path)}, {"echo"}, path)
        self.assertEqual({one["type"] for one in scoped.items("/v1/types")}, {"echo"})
        for path in ("/v1/dlq", "/v1/reconcile", "/v1/agents?type=customer", "/v1/runs?agent=customer%2Fscope"):
            self.assertEqual(scoped.items(path), [], path)
        self.assertEqual([one["event_id"] for one in scoped.items("/v1/events") if one["event_id"] == routed], [])
        self.assertTrue([one for one in self.client("customer-dev").items("/v1/events") if one["event_id"] == routed])
        done = scoped.post("/v1/agents:batch", {"verb": "pause", "where": "true", "dry_run": True}).json()
        self.assertEqual(done["matched"], len([one for one in scoped.items("/v1/agents") if one["status"] != "quarantined"]))
        # A routed event goes nowhere when it would reach beyond the scope, and leaves nothing.
        refused = self.client("echo-dev").post("/v1/events", {**event, "id": "scope-3"},
                                               headers={"Content-Type": "application/cloudevents+json"})
        self.assertEqual((refused.status, refused.code), (403, "forbidden"), repr(refused))
        self.assertNotIn("scope-3", [one["event"]["id"] for one in self.boss.items("/v1/events?source=%2Fshop")])
        taken = self.client("customer-dev").post("/v1/events", {**event, "id": "scope-3"},
                                                 headers={"Content-Type": "application/cloudevents+json"})
        self.assertEqual(taken.status, 202, repr(taken))
        stored = self.boss.document(f"/v1/events/{taken.json()['events'][0]['event_id']}")
        self.assertEqual(stored["by"], "customer-dev")
        received = next(one for one in self.boss.items(agent_path("echo/scope", "/history")) if one["kind"] == "event_received")
        self.assertEqual(received["data"]["by"], "dev")
        for text, status in (("kind: agent\ntype: customer\nbehaviour: llm\nmodel: { use: [primary] }\n", 403),
                             ("kind: hook\nsource: more\npreset: none\n", 403),
                             ("kind: agent\ntype: echo\nbehaviour: native\n", 200)):
            answer = self.client("echo-dev").request("PUT", "/v1/definitions", text.encode(), {"Content-Type": "application/yaml"})
            self.assertEqual(answer.status, status, repr(answer))

    def test_many_wrong_keys_are_counted_and_slow_nobody(self):
        before = self.metric('holdfast_auth_refused_total{reason="unauthorised"}')
        lines = len(self.node.lines())

        def guess(start):
            client = self.client(token="hf_" + "0" * 52)
            for i in range(500):
                self.assertEqual(client.get("/v1/agents", headers={"Authorization": f"Bearer hf_{start + i:052d}"}).status, 401)

        threads = [threading.Thread(target=guess, args=(i * 1000,)) for i in range(4)]
        for one in threads:
            one.start()
        self.assertEqual(self.client("viewer").get("/v1/agents").status, 200)
        for one in threads:
            one.join(60)
        self.assertEqual(self.metric('holdfast_auth_refused_total{reason="unauthorised"}') - before, 2000)
        self.assertLess(len(self.node.lines()) - lines, 200, "one line a second, not one for each")

    # ---- reload
    def test_a_key_that_is_made_or_revoked_counts_without_a_restart(self):
        token = self.keys.create("coming", "viewer")
        client = self.client("coming")
        eventually("the new key counts", lambda: client.get("/v1/agents").status == 200)
        self.send("echo/stream", 1)
        stream = http.client.HTTPSConnection(*self.node.address, timeout=60, context=self.authority.context())
        stream.request("GET", agent_path("echo/stream", "/stream"), headers={"Authorization": f"Bearer {token}"})
        opened = stream.getresponse()
        self.assertEqual(opened.status, 200)
        self.keys.revoke("coming")
        eventually("the revoked key counts no more", lambda: client.get("/v1/agents").status == 401)
        opened.read()  # to its end: the stream was closed with the key
        stream.close()
        with open(self.keys.file, encoding="utf-8") as file:
            good = file.read()
        failed = self.metric('holdfast_auth_reloads_total{result="failed"}')
        try:
            with open(self.keys.file, "w", encoding="utf-8") as file:
                file.write(good.replace("roles: [viewer]", "roles: [vewer]"))
            eventually("the broken file is noticed",
                       lambda: self.metric('holdfast_auth_reloads_total{result="failed"}') > failed)
            self.assertEqual(self.client("boss").get("/v1/agents").status, 200)
            said = next(line for line in reversed(self.node.lines()) if "keys-not-reloaded" in line)
            self.assertRegex(said, r"keys\.yaml:\d+:\d+: .*did you mean `viewer`")
            os.remove(self.keys.file)
            eventually("the missing file is noticed",
                       lambda: self.metric('holdfast_auth_reloads_total{result="failed"}') > failed + 1)
            self.assertEqual(self.client("boss").get("/v1/agents").status, 200)
        finally:
            reloads = self.metric('holdfast_auth_reloads_total{result="ok"}')
            with open(self.keys.file, "w", encoding="utf-8") as file:
                file.write(good)
            os.chmod(self.keys.file, 0o600)
            eventually("the good file is back", lambda: self.metric('holdfast_auth_reloads_total{result="ok"}') > reloads)

    def served_certificate(self):
        with socket.create_connection(self.node.address, timeout=30) as raw:
            with self.authority.context().wrap_socket(raw, server_hostname="127.0.0.1") as wrapped:
                return wrapped.getpeercert(binary_form=True)

    def test_sighup_reads_certificate_and_keys_again(self):
        kept = self.client("viewer")
        self.assertEqual(kept.get("/v1/agents").status, 200)
        before = self.served_certificate()
        pem, key = self.authority.sign("next")
        shutil.copy(pem, self.cert)
        shutil.copy(key, self.cert_key)
        self.node.process.send_signal(signal.SIGHUP)
        eventually("the new certificate is served", lambda: self.served_certificate() != before)
        now = self.served_certificate()
        self.assertEqual(kept.get("/v1/agents").status, 200)
        with open(self.cert, "w", encoding="utf-8") as out:
            out.write("-----BEGIN CERTIFICATE-----\nno\n-----END CERTIFICATE-----\n")
        self.node.process.send_signal(signal.SIGHUP)
        eventually("the log says why not", lambda: any("certificate-not-reloaded" in one for one in self.node.lines()))
        self.assertEqual(self.served_certificate(), now)
        shutil.copy(pem, self.cert)
        self.assertTrue(self.node.is_alive())

    # ---- audit
    def audit(self, **wanted):
        return [one for one in self.boss.items("/v1/audit") if all(one[field] == value for field, value in wanted.items())]

    def test_every_mutating_call_is_in_the_audit_log_with_the_name_of_its_key(self):
        self.send("echo/audited", 1)
        ops = self.client("ops")
        self.assertEqual(ops.post(agent_path("echo/audited", "/pause"), {}, headers={"X-Request-Id": "audit-1"}).status, 200)
        found = self.audit(request_id="audit-1")
        self.assertEqual(len(found), 1)
        one = found[0]
        self.assertEqual((one["by"], one["method"], one["route"], one["subject"], one["outcome"], one["peer"]),
                         ("ops", "POST", "/v1/agents/{type}/{key}/pause", "echo/audited", "done", "127.0.0.1"))
        self.assertRegex(one["at"], r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        ops.post(agent_path("echo/audited", "/resume"), {}, headers={"X-Request-Id": "audit-2"})
        ops.request("PATCH", agent_path("echo/audited", "/state"), {"a": 1}, {"X-Request-Id": "audit-3"})
        ops.post(agent_path("echo/audited", "/fork"), {"at": 2, "key": "audited-2"}, headers={"X-Request-Id": "audit-4"})
        ops.post("/v1/agents:batch", {"verb": "pause", "where": '.key == "audited-2"'}, headers={"X-Request-Id": "audit-5"})
        ops.request("DELETE", agent_path("echo/audited-2"), None, {"X-Request-Id": "audit-6"})
        ops.post("/v1/runs/run_00000000000000000000000000/cancel", {}, headers={"X-Request-Id": "audit-7"})
        self.client("viewer").request("DELETE", agent_path("echo/audited"), None, {"X-Request-Id": "audit-8"})
        self.client("echo-dev").post(agent_path("customer/x", "/events"), {"data": 1}, headers={"X-Request-Id": "audit-9"})
        seen = {}
        for entry in self.boss.items("/v1/audit"):
            if entry["request_id"].startswith("audit-"):
                seen.setdefault(entry["request_id"], []).append((entry["by"], entry["outcome"], entry["subject"]))
        self.assertEqual(seen["audit-2"], [("ops", "done", "echo/audited")])
        self.assertEqual(seen["audit-3"], [("ops", "done", "echo/audited")])
        self.assertEqual(seen["audit-4"], [("ops", "done", "echo/audited")])
        self.assertEqual(sorted(seen["audit-5"]), [("ops", "done", "pause echo/audited-2"),
                                                   ("ops", "done", 'pause where .key == "audited-2"')])
        self.assertEqual(seen["audit-6"], [("ops", "done", "echo/audited-2")])
        self.assertEqual(seen["audit-7"], [("ops", "not_found", "run_00000000000000000000000000")])
        self.assertEqual(seen["audit-8"], [("viewer", "forbidden", "echo/audited")])
        self.assertEqual(seen["audit-9"], [("echo-dev", "forbidden", "customer/x")])
        definitions = self.audit(route="/v1/definitions", by="boss")
        self.assertIn("agent/customer", definitions[-1]["subject"])
        times = [entry["at"] for entry in self.boss.items("/v1/audit")]
        self.assertEqual(times, sorted(times, reverse=True))
        page = self.boss.document("/v1/audit?limit=2")
        self.assertEqual(len(page["items"]), 2)
        self.assertTrue(page["next"])
        shown = self.cli("audit", "list", "-o", "json", "--limit", "3")
        self.assertEqual((shown.returncode, len(json.loads(shown.stdout)["items"])), (0, 3), shown.stderr)

    def test_an_event_costs_no_write_for_the_audit_and_a_verb_none_of_its_own(self):
        self.send("echo/commits", 0)
        client, ops = self.client("dev"), self.client("ops")

        def commits(what):
            before = self.metric("holdfast_log_commits_total")
            what()
            return self.metric("holdfast_log_commits_total") - before

        def events():
            for i in range(20):
                self.assertEqual(client.post(agent_path("echo/commits", "/events") + "?wait=30s", {"data": i}).status, 200)

        def verbs():
            for verb in ("pause", "resume") * 5:
                self.assertEqual(ops.post(agent_path("echo/commits", "/" + verb), {}).status, 200)

        self.assertEqual(commits(events), 20)
        self.assertEqual(commits(verbs), 10)

    # ---- tokens stay where they belong
    def test_no_token_is_in_the_log_the_command_line_the_metrics_or_on_disk(self):
        for name in ("ops", "dev", "boss", "late"):
            self.client(name).post(agent_path("echo/secret", "/pause"), {})
        self.client(token="hf_" + "z" * 52).get("/v1/agents")
        wrong = self.cli("agent", "list", env={"HOLDFAST_TOKEN": self.keys.tokens["late"]})
        outputs = [wrong.stdout, wrong.stderr, self.client("viewer").get("/metrics").body.decode(),
                   json.dumps(self.boss.items("/v1/audit")), self.client("viewer").get("/openapi.json").body.decode(),
                   self.keys.cli("list", "-o", "json").stdout]
        with open(f"/proc/{self.node.process.pid}/cmdline", encoding="utf-8", errors="replace") as file:
            outputs.append(file.read())
        for path in [self.node.log_path, self.keys.file, *glob.glob(self.node.data + "/**", recursive=True)]:
            if os.path.isfile(path):
                with open(path, encoding="latin-1") as file:
                    outputs.append(file.read())
        for text in outputs:
            for token in [*self.keys.tokens.values(), "hf_" + "z" * 52]:
                self.assertNotIn(token[3:], text)
        with open(self.keys.file, encoding="utf-8") as file:
            for digest in re.findall(r"sha256:([0-9a-f]{64})", file.read()):
                for text in outputs[:-1]:
                    if f'hash: "sha256:{digest}"' not in text:  # the keys file itself
                        self.assertNotIn(digest[:20], text)
        self.assertEqual(os.stat(self.keys.file).st_mode & 0o777, 0o600)


class Chain(unittest.TestCase):
    def test_the_chain_survives_kill_9_and_shows_what_is_done_to_it(self):
        with Node("node: n1\ncluster: { partitions: 2 }\n", name="chain") as node:
            node.started()
            node.apply("kind: agent\ntype: echo\nbehaviour: native\n")
            for i in range(6):
                self.assertEqual(node.client.post(agent_path(f"echo/{i}", "/pause"), {}).status, 200)
            self.assertEqual(node.client.post(agent_path("nowhere/x", "/pause"), {}).status, 404)
            before = node.client.items("/v1/audit")
            self.assertEqual({one["by"] for one in before}, {"local"})
            self.assertEqual(len(before), 8)
            node.kill()
            node.started()
            self.assertEqual(node.client.items("/v1/audit"), before)
            node.client.post(agent_path("echo/0", "/resume"), {})
            self.assertEqual(node.client.document("/v1/doctor")["findings"], [])
            self.assertEqual(node.client.document("/v1/doctor")["checked"]["audited_calls"], 9)
            node.stop()
            self.assertEqual(cli("doctor", "--data", node.data).returncode, 0)
            with rocks.Folder(node.data) as folder:
                entries = folder.items("audit")
                self.assertEqual(len(entries), 9)
                key, value = next((k, v) for k, v in entries if b"echo/3" in v)
                folder.put("audit", key, value.replace(b"local", b"LOCAL"))
            done = cli("doctor", "--data", node.data)
            self.assertEqual(done.returncode, 1)
            self.assertIn("audit_changed", done.stdout + done.stderr)
            with rocks.Folder(node.data) as folder:
                folder.put("audit", key, value)
                last = max(k for k, _ in folder.items("audit") if k[:2] == key[:2])
                folder.delete("audit", last)
            done = cli("doctor", "--data", node.data)
            self.assertEqual(done.returncode, 1)
            self.assertIn("audit_cut", done.stdout + done.stderr)


if __name__ == "__main__":
    waiting.overall_limit(540)
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
