#!/usr/bin/env python3
"""What nobody should send, and what models and tools should not answer: each is refused with its status or ends in a
definite outcome, the node lives on, and nothing is stored that was refused."""
import hashlib
import hmac
import json
import os
import resource
import socket
import sys
import time
import unittest

from harness import model, sse, waiting
from harness.client import Client, agent_path
from harness.node import Node
from harness.server import Server
from harness.waiting import eventually

SECRET = "the secret of the hook"
MIB = 1 << 20


def hooks():
    return """
---
kind: hook
source: billing
preset: hmac
secret: "${secret:billing-hook}"
type: .type
id: .id
hmac: { header: X-Signature, prefix: "sha256=", template: "{timestamp}.{body}", timestamp: { header: X-Timestamp }, tolerance: 5m }
---
kind: hook
source: open
preset: none
"""


def agents(sink):
    tool = f"""
  - name: ask
    description: Ask.
    input: {{ type: object, properties: {{ path: {{ type: string }} }}, required: [path] }}
    http: {{ method: %s, url: "http://{sink.address}/{{path}}", timeout: 500ms }}
    effect: %s
    retry: {{ attempts: 2, backoff: 10ms, max_backoff: 20ms }}"""
    out = """
kind: agent
type: echo
behaviour: native
"""
    for name, method, effect in (("reads", "GET", "read"), ("repeats", "POST", "idempotent"), ("writes", "POST", "write")):
        out += f"""---
kind: agent
type: {name}
behaviour: llm
model: {{ use: [asks] }}
input: .data
tools:{tool % (method, effect)}
limits: {{ wall: 2m }}
egress: {{ allow: ["{sink.address}"] }}
"""
    for name in ("hangs", "garbage", "nothttp", "big", "drops", "silent", "broken"):
        out += f"""---
kind: agent
type: model-{name}
behaviour: llm
model: {{ use: [{name}] }}
input: .data
limits: {{ wall: {"2s" if name == "hangs" else "2m"} }}
"""
    return out


def model_is_silent(request, _body):
    request.begin()
    request.finish()


def model_drops(request, _body):
    request.begin()
    model.send_piece(request, {"content": "half an answ"})
    request.reset()


def model_breaks_its_json(request, _body):
    request.begin()
    request.chunk(b'data: {"choices": [{"delta": {"content": \n\n')
    request.chunk(b"data: [DONE]\n\n")
    request.finish()


def model_is_big(request, _body):
    request.begin()
    for _ in range(160):
        model.send_piece(request, {"content": "x" * 65536})
    model.send_piece(request, {}, "stop")
    request.finish()


class Sink(Server):
    """Misbehaves by path, and counts what arrived."""

    def __init__(self):
        self.arrived = []
        super().__init__()

    def serve(self, request):
        what = request.path.strip("/")
        self.arrived.append((what, request.key))
        if what == "hang":
            request.hang()
        elif what == "garbage":
            request.answer(200, b"<html>\x00\xff this is no JSON", content_type="application/json")
        elif what == "nothttp":
            request.raw(b"220 mail.example.org ESMTP\r\n")
        elif what == "big":
            request.answer(200, b'"' + b"x" * (10 * MIB) + b'"')
        elif what == "drop":
            request.drop_mid_body()
        elif what == "slow":
            request.begin(content_type="application/json")
            for _ in range(100):
                request.chunk(b" ")
                time.sleep(0.1)
        else:
            request.answer(200, b'{"ok": true}')

    def count(self, what):
        return sum(1 for one, _ in self.arrived if one == what)


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.sink = Sink()
        cls.addClassCleanup(cls.sink.close)
        cls.model = model.Model({
            "asks": model.uses("ask"), "hangs": lambda request, _: request.hang(),
            "garbage": lambda request, _: request.answer(200, b"<html>not JSON</html>", content_type="text/html"),
            "nothttp": lambda request, _: request.raw(b"hello there\n"), "big": model_is_big, "drops": model_drops,
            "silent": model_is_silent, "broken": model_breaks_its_json})
        cls.addClassCleanup(cls.model.close)
        cls.node = Node("node: n1\n" + cls.model.settings(), name="badinput", env={"HOLDFAST_SECRET_BILLING_HOOK": SECRET})
        cls.addClassCleanup(cls.node.remove)
        cls.node.started()
        cls.node.apply(agents(cls.sink) + hooks())
        cls.client = cls.node.client

    # ---- refusals: status, code, and nothing stored
    def everything_stored(self):
        lists = ("/v1/agents", "/v1/runs", "/v1/events", "/v1/dlq", "/v1/reconcile", "/v1/types", "/v1/hooks")
        out = {path: self.client.items(path) for path in lists}
        for agent in out["/v1/agents"]:
            out[agent["agent"]] = self.client.items(agent_path(agent["agent"], "/mailbox"))
        return out

    def setUp(self):
        self.before = None

    def refused(self, status, code, method, path, body=None, headers=None, client=None):
        """Refused so, as a problem document, and nothing has changed."""
        if self.before is None:
            self.before = self.everything_stored()
        answer = (client or self.client).request(method, path, body, headers)
        told = f"{method} {path} {(body if isinstance(body, bytes) else json.dumps(body).encode())[:80]!r}: {answer!r}"
        self.assertEqual((answer.status, answer.code), (status, code), told)
        problem = answer.json()
        self.assertEqual(problem["status"], status, told)
        for member in ("type", "title", "detail"):
            self.assertTrue(problem.get(member), told)
        if status != 413:  # those are the server's own, before there is a request
            self.assertTrue(answer.headers.get("X-Request-Id"), told)
        if status in (429, 503):
            self.assertTrue(answer.headers.get("Retry-After"), told)
        self.assertEqual(self.everything_stored(), self.before, f"something was stored by {told}")
        return answer

    def send(self, status, code, body, headers=None, path="/v1/agents/echo/bad/events"):
        return self.refused(status, code, "POST", path, body, headers or {"Content-Type": "application/json"})

    def test_an_event_that_is_no_json_is_400(self):
        for body in (b"", b"{", b'{"data":}', b'{"data":1}x', b"{'data':1}", b"\xff\xfe", b'{"data":"\xc3\x28"}', b"nul",
                     b'{"data":"\x00"}', b'{"data":01}', b"\xef\xbb\xbf{}x", b'{"data":"\\ud800"}x'):
            self.send(400, "malformed", body)

    def test_an_event_nested_too_deeply_is_400(self):
        self.send(400, "too_deep", b'{"data":' + b"[" * 500 + b"]" * 500 + b"}")
        self.send(400, "too_deep", b'{"data":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_000 + b"}")

    def test_an_event_that_is_too_large_is_413_however_it_comes(self):
        self.send(413, "too_large", b'{"data":"' + b"x" * MIB + b'"}')
        client = Client(lambda: self.node.address)
        self.before = self.everything_stored()
        with socket.create_connection(self.node.address, 10) as raw:  # only promised: refused before it is sent
            raw.sendall(b"POST /v1/agents/echo/bad/events HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                        b"Content-Length: 99999999999\r\n\r\n")
            self.assertTrue(self.first_line(raw).startswith(b"HTTP/1.1 413"))
        with socket.create_connection(self.node.address, 10) as raw:  # chunked, without an end
            raw.sendall(b"POST /v1/agents/echo/bad/events HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
                        b"Transfer-Encoding: chunked\r\n\r\n")
            try:
                for _ in range(80):
                    raw.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")
            except OSError:
                pass
            self.assertTrue(self.first_line(raw).startswith(b"HTTP/1.1 413"))
        self.assertEqual(self.everything_stored(), self.before)
        client.close()

    @staticmethod
    def first_line(raw):
        got = b""
        while b"\r\n" not in got:
            piece = raw.recv(4096)
            if not piece:
                break
            got += piece
        return got.split(b"\r\n")[0]

    def test_an_event_of_the_wrong_shape_is_422_with_a_pointer(self):
        for body, pointer in ((b"[]", ""), (b'"text"', ""), (b"17", ""), (b"null", ""), (b'{"type":5,"data":{}}', "/type"),
                              (b'{"dat":{}}', "/dat"), (b'{"data":{},"id":{}}', "/id"), (b'{"data":{},"time":"tomorrow"}', "/time"),
                              (b'{"data":1,"data":2}', "/data")):
            answer = self.send(422, "schema", body)
            self.assertIn(pointer, [one["pointer"] for one in answer.json()["errors"]], f"{body}: {answer!r}")

    def test_a_media_type_that_is_not_taken_is_415(self):
        for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
                      "application/json; charset=utf-16", "application/cloudevents+avro"):
            self.send(415, "unsupported_media", b'{"data":1}', {"Content-Type": media})

    def test_a_cloudevent_that_is_none_is_refused(self):
        structured = {"Content-Type": "application/cloudevents+json"}
        good = {"specversion": "1.0", "id": "1", "source": "/here", "type": "a.b", "data": {}}
        for member in ("specversion", "id", "source", "type"):
            self.refused(422, "schema", "POST", "/v1/events", json.dumps({**good, member: None}).encode(), structured)
            without = {name: value for name, value in good.items() if name != member}
            self.refused(422, "schema", "POST", "/v1/events", json.dumps(without).encode(), structured)
        self.refused(422, "schema", "POST", "/v1/events", json.dumps({**good, "specversion": "0.3"}).encode(), structured)
        self.refused(422, "schema", "POST", "/v1/events", json.dumps([good, {}]).encode(),
                     {"Content-Type": "application/cloudevents-batch+json"})
        self.refused(422, "schema", "POST", "/v1/events", b"{}", {"Content-Type": "application/json", "ce-specversion": "1.0",
                                                                  "ce-id": "1", "ce-source": "/here"})

    def test_an_unknown_agent_type_is_404(self):
        for agent_type in ("nobody", "Echo", "echo%20", "-echo", "a" * 64, "%00", "..", "%ff"):
            self.send(404, "unknown_type", b'{"data":1}', path=f"/v1/agents/{agent_type}/k/events")
        for verb in ("pause", "resume", "cancel", "kill", "retry", "quarantine"):
            self.refused(404, "unknown_type", "POST", f"/v1/agents/nobody/k/{verb}")

    def test_a_key_that_is_none_is_400(self):
        for key in ("%00", "a%0Ab", "%7f", "%1b", "a" * 257, "%C3%A4" * 129, "%ff", "%zz", "%", "a%c3"):
            self.send(400, "invalid_key", b'{"data":1}', path=f"/v1/agents/echo/{key}/events")
        longest = "a" * 256
        self.assertEqual(self.client.post(f"/v1/agents/echo/{longest}/events?wait=10s", {"data": 1}).status, 200)

    def test_what_is_not_there_is_404_and_a_wrong_method_405_with_allow(self):
        for method, path in (("GET", "/v1/agents/echo/never-addressed"), ("GET", "/v1/agents/echo/never-addressed/why"),
                             ("GET", "/v1/agents/echo/never-addressed/state"), ("GET", "/v1/runs/run_nothing"),
                             ("GET", "/v1/runs/run_00000000000000000000000000/stream"), ("GET", "/v1/events/evt_x"),
                             ("POST", "/v1/runs/run_x/cancel"), ("POST", "/v1/reconcile/eff_x"), ("GET", "/v1/dlq/evt_x"),
                             ("POST", "/v1/dlq/evt_x/redrive"), ("GET", "/v1/nothing"), ("GET", "/"), ("GET", "/v1/agents/echo"),
                             ("DELETE", "/v1/agents/echo/never-addressed")):
            body = b'{"resolve":"retry"}' if "reconcile" in path else None
            self.refused(404, "not_found", method, path, body, {"Content-Type": "application/json"} if body else None)
        for method, path, allow in (("GET", "/v1/agents/echo/a/events", "POST"), ("POST", "/v1/runs", "GET"),
                                    ("DELETE", "/v1/events", "GET"), ("PATCH", "/healthz", "GET"), ("PUT", "/v1/agents/echo/a", "GET")):
            answer = self.refused(405, "method_not_allowed", method, path)
            self.assertIn(allow, answer.headers["Allow"], path)

    def test_a_query_that_makes_no_sense_is_400(self):
        for path in ("/v1/agents?limit=many", "/v1/agents?limit=-1", "/v1/agents?limit=99999", "/v1/agents?cursor=%21",
                     "/v1/runs?cursor=abc", "/v1/agents?status=asleep", "/v1/agents?limit=1&limit=2", "/v1/runs?status=%ff",
                     "/v1/agents/echo/a/history?from=x"):
            self.client.post("/v1/agents/echo/a/events?wait=10s", {"data": 1})
            answer = self.client.get(path)
            self.assertEqual(answer.status, 400, f"{path}: {answer!r}")
        for wait in ("for-ever", "10", "6m", "-1s", ""):
            self.send(400, "malformed", b'{"data":1}', path=f"/v1/agents/echo/bad/events?wait={wait}")

    def test_a_where_that_does_not_compile_or_is_not_allowed_is_refused(self):
        for where in (".status ==", "def f: 1; f", "recurse", "[range(9)]", "env", "input", "while(true; .)", "$__loc__",
                      "nosuchthing", "limit(1; .)", "@sh \"\\(.)\" | system"):
            answer = self.client.get("/v1/agents?where=" + "".join(f"%{byte:02x}" for byte in where.encode()))
            self.assertEqual((answer.status, answer.code), (422, "schema"), f"{where}: {answer!r}")

    def test_an_idempotency_key_used_with_another_body_is_422(self):
        path = "/v1/agents/echo/once/events"
        key = {"Idempotency-Key": "a-key", "Content-Type": "application/json"}
        first = self.client.post(path + "?wait=10s", {"data": 1}, headers=key)
        self.assertEqual(first.status, 200)
        again = self.client.post(path + "?wait=10s", {"data": 1}, headers=key)
        self.assertEqual((again.status, again.headers["Idempotent-Replayed"]), (200, "true"))
        self.assertEqual(again.json()["run_id"], first.json()["run_id"])
        self.refused(422, "idempotency_conflict", "POST", path, b'{"data":2}', key)
        elsewhere = self.client.post("/v1/agents/echo/other/events?wait=10s", {"data": 2}, headers=key)
        self.assertEqual(elsewhere.status, 200, "the scope of a key is its path")
        self.assertIsNone(elsewhere.headers.get("Idempotent-Replayed"))
        self.before = None
        for bad in ("", "k" * 1025, "\x7f"):
            answer = self.client.post(path, {"data": 1}, headers={"Idempotency-Key": bad})
            self.assertIn(answer.status, (202, 400) if bad == "" else (400,), f"{bad!r}: {answer!r}")

    # ---- definitions
    def apply(self, status, code, text, *wanted):
        """Refused so, nothing stored; every text of `wanted` is in the problems."""
        if isinstance(text, str):
            text = text.encode()
        answer = self.refused(status, code, "PUT", "/v1/definitions", text, {"Content-Type": "application/yaml"})
        told = json.dumps(answer.json(), ensure_ascii=False)
        for one in wanted:
            self.assertIn(one, told)
        return answer

    def test_an_unknown_field_names_file_line_and_the_nearest_key(self):
        files = {"files": [{"name": "agents/good.yaml", "text": "kind: agent\ntype: good\nbehaviour: native\n"},
                           {"name": "agents/refunds.yaml",
                            "text": "kind: agent\ntype: refunds\nbehaviour: llm\nmodel: { use: [asks] }\ninstuctions: |\n  Refund.\n"}]}
        answer = self.refused(422, "schema", "PUT", "/v1/definitions", json.dumps(files).encode(),
                              {"Content-Type": "application/vnd.holdfast.definitions+json"})
        told = json.dumps(answer.json())
        for one in ("agents/refunds.yaml:5", "instuctions", "instructions"):
            self.assertIn(one, told)
        for misspelt, nearest in (("modell: { use: [asks] }", "model"), ("tool: []", "tools"), ("limit: { steps: 5 }", "limits")):
            self.apply(422, "schema", f"kind: agent\ntype: refunds\nbehaviour: llm\nmodel: {{ use: [asks] }}\n{misspelt}\n",
                       "body.yaml:5", nearest)

    def test_the_command_line_names_file_and_line_too(self):
        path = os.path.join(self.node.folder, "wrong.yaml")
        with open(path, "w", encoding="utf-8") as out:
            out.write("kind: agent\ntype: wrong\nbehaviour: llm\nmodel: { use: [asks] }\ndescriptoin: x\n")
        self.before = self.everything_stored()
        done = self.node.cli("apply", "-f", path)
        self.assertEqual(done.returncode, 2, done.stderr)
        for one in ("wrong.yaml:5", "descriptoin", "description"):
            self.assertIn(one, done.stderr)
        self.assertEqual(self.everything_stored(), self.before)

    def test_jq_that_does_not_compile_or_is_not_allowed_is_refused_at_load(self):
        for program in (".a[", ".a |", "1 +", "nosuch", "$x", ".a as $x", '"\\(', "def f: f; f", "recurse", "..|.a?|f", "[range(10)]",
                        "limit(3; .[])", "env.PATH", "$ENV", "input", "inputs", "debug", "repeat(.)", "while(.; .)", "until(.; .)",
                        "input_filename", "halt", "error(1)|halt_error", "getpath([\"a\"])|recurse", "include \"x\"; .", "import \"x\" as x; ."):
            text = f"kind: agent\ntype: refunds\nbehaviour: llm\nmodel: {{ use: [asks] }}\ninput: {json.dumps(program)}\n"
            self.apply(422, "schema", text, "body.yaml:5")
            trigger = f"kind: agent\ntype: refunds\nbehaviour: native\non:\n  - event: a.b\n    where: {json.dumps(program)}\n"
            answer = self.refused(422, "schema", "PUT", "/v1/definitions", trigger.encode(), {"Content-Type": "application/yaml"})
            self.assertIn("body.yaml:6", json.dumps(answer.json()))

    def test_what_this_release_has_not_is_refused_and_named(self):
        base = "kind: agent\ntype: later\nbehaviour: llm\nmodel: { use: [asks] }\n"
        tool = ('tools:\n  - name: t\n    http: { method: POST, url: "http://127.0.0.1:1/x" }\n    approve: .input.amount > 5\n')
        for text, name in ((base + 'on:\n  - schedule: { cron: "0 9 * * *" }\n', "schedule"),
                           (base + "flow: { concurrency: { limit: 1 } }\n", "flow"), (base + tool, "approve"),
                           (base + "tools:\n  - mcp: { server: crm }\n", "mcp"),
                           ("kind: agent\ntype: later\nbehaviour: remote\n", "remote"),
                           ("kind: policy\nname: p\non: tool\nthen: deny\n", "policy"),
                           ("kind: hook\nsource: gh\npreset: github\nsecret: \"${secret:billing-hook}\"\n", "github")):
            self.apply(422, "not_available", text, name)
        for method, path in (("GET", "/v1/approvals"), ("GET", "/v1/schedules"), ("GET", "/v1/budgets"), ("POST", "/v1/cluster/init")):
            self.refused(422, "not_available", method, path)

    def test_a_definition_that_is_wrong_elsewhere_is_refused(self):
        good = "kind: agent\ntype: x\nbehaviour: llm\nmodel: { use: [asks] }\n"
        for text, code in ((b"", "malformed"), (b"\xff\xfe\x00", "malformed")):
            self.refused(400, code, "PUT", "/v1/definitions", text, {"Content-Type": "application/yaml"})
        bombs = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
            f"{chr(98 + i)}: &{chr(98 + i)} [" + ",".join([f"*{chr(97 + i)}"] * 9) + "]\n" for i in range(9))
        for text in ("just text\n", "kind: agent\n", "kind: nothing\n", "kind: agent\ntype: UPPER\nbehaviour: native\n",
                     "kind: agent\n\ttype: tab\n", "{", good + "limits: { steps: -1 }\n", good + "limits: { wall: 5 parsecs }\n",
                     good + "model: { use: [asks] }\n", good.replace("asks", "nomodel"), "- a\n- b\n", bombs,
                     "a: " + "[" * 2000 + "]" * 2000 + "\n", "kind: agent\ntype: unregistered\nbehaviour: native\n",
                     good + 'tools:\n  - name: t\n    http: { url: "ftp://x/y" }\n',
                     good + 'tools:\n  - name: t\n    input: { type: object }\n    http: { url: "http://h/{missing}" }\n',
                     good + "output: { schema: { type: nothing } }\n",
                     good + 'tools:\n  - name: t\n    http: { url: "http://h/", headers: { A: "${secret:unset}" } }\n',
                     good + "---\n" + good):
            answer = self.client.request("PUT", "/v1/definitions", text.encode(), {"Content-Type": "application/yaml"})
            self.assertIn((answer.status, answer.code), ((422, "schema"), (400, "malformed"), (400, "too_deep"), (413, "too_large")),
                          f"{text[:60]!r}: {answer!r}")
        self.assertEqual({one["type"] for one in self.client.items("/v1/types")} & {"x", "tab", "unregistered"}, set())

    # ---- hooks
    def deliver(self, body, secret=SECRET, at=None, headers=None, source="billing"):
        stamp = str(int(time.time()) if at is None else at)
        sign = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
        more = {"Content-Type": "application/json", "X-Timestamp": stamp, "X-Signature": "sha256=" + sign}
        more.update(headers or {})
        return ("POST", f"/v1/hooks/{source}", body, {name: value for name, value in more.items() if value is not None})

    def test_a_hook_takes_only_what_is_signed_and_fresh(self):
        body = json.dumps({"type": "paid", "id": "del-1", "n": 1}).encode()
        now = int(time.time())
        self.refused(401, "bad_signature", *self.deliver(body, secret="guess"))
        self.refused(401, "bad_signature", *self.deliver(body, headers={"X-Signature": None}))
        self.refused(401, "bad_signature", *self.deliver(body, headers={"X-Signature": ""}))
        self.refused(401, "bad_signature", *self.deliver(body, headers={"X-Signature": "sha256=" + "00" * 32}))
        self.refused(401, "bad_signature", *self.deliver(body, headers={"X-Signature": "sha256=zz"}))
        method, path, _, headers = self.deliver(body)
        self.refused(401, "bad_signature", method, path, body + b" ", headers)
        self.refused(401, "stale_signature", *self.deliver(body, at=now - 3600))
        self.refused(401, "stale_signature", *self.deliver(body, at=now + 3600))
        answer = self.client.request(*self.deliver(body, headers={"X-Timestamp": "yesterday"}))
        self.assertEqual(answer.status, 401, repr(answer))
        self.refused(404, "not_found", *self.deliver(body, source="nobody"))
        self.refused(400, "malformed", *self.deliver(b"{"))
        self.refused(400, "malformed", *self.deliver(b'{"no":"id"}'))
        self.refused(400, "too_deep", *self.deliver(b"[" * 400 + b"]" * 400))
        taken = self.client.request(*self.deliver(body))
        self.assertEqual(taken.status, 202, repr(taken))
        again = self.client.request(*self.deliver(body))
        self.assertEqual((again.status, again.headers["Idempotent-Replayed"]), (200, "true"))
        self.assertEqual(again.json()["events"][0]["event_id"], taken.json()["events"][0]["event_id"])

    # ---- clients that dawdle
    def test_slow_and_half_open_clients_are_ended_and_hurt_nobody(self):
        self.before = self.everything_stored()
        head = b"POST /v1/agents/echo/slow/events HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\n"
        slow = {"head": socket.create_connection(self.node.address, 60), "body": socket.create_connection(self.node.address, 60)}
        began = time.monotonic()
        slow["head"].sendall(head[:30])
        slow["body"].sendall(head + b"Content-Length: 100\r\n\r\n{")
        for cut in (head[:20], head + b"Content-Length: 10\r\n\r\n{\"da"):  # half a request, then nothing more comes
            with socket.create_connection(self.node.address, 20) as half:
                half.sendall(cut)
                half.shutdown(socket.SHUT_WR)
                first = self.first_line(half)
                self.assertTrue(first == b"" or first.startswith(b"HTTP/1.1 400"), first)
        whole = b'{"data":"half open"}'
        with socket.create_connection(self.node.address, 20) as half:  # a whole request is answered, though nobody writes more
            half.sendall(head.replace(b"slow", b"half-open") + b"Content-Length: %d\r\n\r\n" % len(whole) + whole)
            half.shutdown(socket.SHUT_WR)
            self.assertTrue(self.first_line(half).startswith(b"HTTP/1.1 202"))
        for name in ("head", "body"):  # meanwhile others are served
            self.assertEqual(self.client.get("/healthz").status, 200)
            slow[name].settimeout(45)
            first = self.first_line(slow[name])
            self.assertTrue(first == b"" or first.startswith(b"HTTP/1.1 408"), f"{name}: {first!r}")
            slow[name].close()
        self.assertLess(time.monotonic() - began, 45)
        after = self.everything_stored()
        self.assertEqual([one["agent"] for one in after["/v1/agents"] if one["agent"] == "echo/slow"], [])

    def test_ten_thousand_idle_connections_hurt_nobody(self):
        wanted, own = 10_000, 200
        _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if hard != resource.RLIM_INFINITY and hard < wanted + own:
            self.skipTest(f"this machine gives a process {hard} files")
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        before = self.memory_mb()
        idle = []
        try:
            for i in range(wanted):
                one = socket.socket()
                one.bind((f"127.0.0.{2 + i % 8}", 0))  # enough ports for all of them
                one.connect(self.node.address)
                idle.append(one)
            client = Client(lambda: self.node.address)
            eventually("all are connected", lambda: self.node.metric("holdfast_http_connections") >= wanted * 0.99, 30)
            for i in range(50):
                answer = client.post(f"/v1/agents/echo/idle{i}/events?wait=10s", {"data": i})
                self.assertEqual((answer.status, answer.json()["output"]), (200, i))
            used = self.memory_mb() - before
            self.assertLess(used, 200, "MiB for 10,000 idle connections")
            client.close()
        finally:
            for one in idle:
                one.close()
        eventually("they are gone", lambda: self.node.metric("holdfast_http_connections") < 100, 30)

    def memory_mb(self):
        with open(f"/proc/{self.node.process.pid}/status", encoding="ascii") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))

    def test_bytes_that_are_not_http_are_answered_and_the_connection_ended(self):
        for data in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + os.urandom(64), b"hello\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n",
                     b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
                     b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"a" * 70_000 + b"\r\n\r\n",
                     b"POST /v1/events HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345",
                     b"POST /v1/events HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
                     b"POST /v1/events HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", b"\x00" * 100):
            with socket.create_connection(self.node.address, 20) as raw:
                try:
                    raw.sendall(data)
                except OSError:
                    pass
                try:
                    first = self.first_line(raw)
                except ConnectionResetError:
                    first = b""
                self.assertRegex(first.decode(errors="replace"), r"^(HTTP/1\.1 (400|404|408|411|413|414|431|501|505).*)?$", f"{data[:40]!r}")
        self.assertEqual(self.client.get("/healthz").status, 200)

    # ---- tools that misbehave
    def run_with_tool(self, agent, what):
        answer = self.client.post(f"/v1/agents/{agent}/{what}/events?wait=60s", {"data": {"path": what}})
        self.assertEqual(answer.status, 200, repr(answer))
        return answer.json()

    def test_a_tool_that_hangs_or_breaks_off_is_tried_again_when_that_is_harmless(self):
        for agent in ("reads", "repeats"):
            for what in ("hang", "drop", "nothttp", "slow"):
                before = len(self.sink.arrived)
                run = self.run_with_tool(agent, what)
                self.assertEqual(run["status"], "completed", run)
                self.assertIn("error", run["output"], f"{agent} {what}: the model is told that it failed")
                arrived = [one for one in self.sink.arrived[before:] if one[0] == what]
                self.assertEqual(len(arrived), 2, f"{agent} {what}: attempts")
                if agent == "repeats":
                    self.assertEqual(len({key for _, key in arrived}), 1, "the same key")
                    self.assertTrue(arrived[0][1])

    def test_a_write_that_hangs_or_breaks_off_is_unknown_and_never_made_again(self):
        for what in ("hang", "drop", "nothttp", "slow"):
            before = self.sink.count(what)
            accepted = self.client.post(f"/v1/agents/writes/{what}/events", {"data": {"path": what}}).json()
            waiting_one = eventually(f"{what} is in the reconcile inbox", lambda: next(
                (one for one in self.client.items("/v1/reconcile") if one["run_id"] == accepted["run_id"]), None))
            self.assertEqual(waiting_one["input"], {"path": what})
            why = self.client.document(agent_path(f"writes/{what}", "/why"))
            self.assertEqual(why["causes"][0]["kind"], "reconcile", why)
            self.assertEqual(self.sink.count(what) - before, 1)
            done = self.client.post(f"/v1/reconcile/{waiting_one['id']}", {"resolve": "failed", "note": "looked"})
            self.assertEqual(done.status, 200, repr(done))
            eventually("the run ends", lambda: self.client.document(f"/v1/runs/{accepted['run_id']}")["status"] == "completed")
            self.assertEqual(self.sink.count(what) - before, 1, "it was made again")

    def test_a_tool_that_answers_garbage_or_10_mb_gives_a_bounded_text(self):
        run = self.run_with_tool("reads", "garbage")
        self.assertEqual(run["status"], "completed", run)
        self.assertIn("this is no JSON", run["output"])
        run = self.run_with_tool("reads", "big")
        self.assertEqual(run["status"], "completed", run)
        self.assertLess(len(run["output"]), 80 * 1024)
        self.assertGreater(len(run["output"]), 32 * 1024)

    # ---- models that misbehave
    def start(self, agent):
        answer = self.client.post(f"/v1/agents/{agent}/a/events", {"data": "hello"})
        self.assertEqual(answer.status, 202, repr(answer))
        return answer.json()["run_id"]

    def ended(self, run_id, seconds=30):
        return eventually(f"{run_id} ends", lambda: (lambda run: run if run["ended_at"] else None)(
            self.client.document(f"/v1/runs/{run_id}")), seconds)

    def test_a_model_that_hangs_is_ended_by_the_runs_limit_and_by_cancel(self):
        run = self.ended(self.start("model-hangs"))
        self.assertEqual((run["status"], run["error"]["code"]), ("failed", "limit_exceeded"), run)
        run_id = self.start("model-hangs")
        eventually("it hangs", lambda: self.model.asked["hangs"] >= 2)
        why = self.client.document(agent_path("model-hangs/a", "/why"))
        self.assertEqual(why["causes"][0]["kind"], "effect", why)
        self.assertEqual(self.client.post(agent_path("model-hangs/a", "/kill"), {"reason": "hangs"}).status, 200)
        self.assertEqual(self.ended(run_id)["status"], "cancelled")
        eventually("the calls are given up", lambda: self.model.connections() == 0 or None, 20)

    def test_a_model_that_answers_garbage_breaks_off_or_says_nothing_is_asked_again_and_then_fails_the_run(self):
        for name in ("garbage", "nothttp", "drops", "silent", "broken"):
            agent = f"model-{name}/a"
            before = self.model.asked[name]
            run_id = self.start(f"model-{name}")

            def hurried(agent=agent, run_id=run_id):
                """`retry` fires a waiting backoff now."""
                run = self.client.document(f"/v1/runs/{run_id}")
                if run["ended_at"]:
                    return run
                causes = self.client.document(agent_path(agent, "/why"))["causes"]
                if causes and causes[0]["kind"] == "retry":
                    self.client.post(agent_path(agent, "/retry"))
                return None

            run = eventually(f"{agent} gives up", hurried, 60)
            self.assertEqual((run["status"], run["error"]["code"]), ("failed", "model_failed"), run)
            self.assertTrue(run["error"]["retryable"])
            self.assertGreater(self.model.asked[name] - before, 1, f"{name} was asked once")
            self.assertLessEqual(self.model.asked[name] - before, 6)
            self.stream_is_sound(run_id)

    def stream_is_sound(self, run_id):
        events = list(sse.Stream(self.node.address, f"/v1/runs/{run_id}/stream"))
        self.assertEqual(events[-1].name, "run.failed")
        sse.texts_of(events)

    def test_a_model_that_answers_10_mb_fails_the_run_and_is_not_paid_twice(self):
        run_id = self.start("model-big")
        run = self.ended(run_id)
        self.assertEqual((run["status"], run["error"]["code"]), ("failed", "model_failed"), run)
        self.assertEqual(self.model.asked["big"], 1)
        self.stream_is_sound(run_id)


if __name__ == "__main__":
    waiting.overall_limit(580)
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
