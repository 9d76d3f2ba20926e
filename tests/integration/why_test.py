#!/usr/bin/env python3
"""P5: for every wake cause of this release, `why` names it with the command that unblocks it, the HTTP request is the
same thing, and both work. Causes of native agents (timer, awaited_event, a handler's retry) need libholdfast.so beside
the binary, and are skipped without it."""
import json
import shlex
import sys
import tempfile
import threading
import time
import unittest
from datetime import datetime, timedelta

from harness import held, native, waiting
from harness.client import Unreachable, agent_path, quote
from harness.node import BINARY, Node
from harness.waiting import eventually


class Why(unittest.TestCase):
    has_native = True

    @classmethod
    def setUpClass(cls):
        cls.gate = held.Gate()
        cls.addClassCleanup(cls.gate.close)
        try:
            binary = native.build()
        except unittest.SkipTest as why:
            cls.has_native, binary = False, BINARY
            print(why, file=sys.stderr)
        folder = tempfile.mkdtemp(prefix="holdfast-why-")
        cls.node = Node(held.scripted_settings(folder), folder=folder, binary=binary)
        cls.addClassCleanup(cls.node.remove)
        cls.node.started()
        cls.node.apply(held.definitions(cls.gate))
        if cls.has_native:
            cls.node.apply(native.DEFINITIONS)
        cls.client = cls.node.client

    # ---- what they share
    def send(self, agent, data, event_type=None):
        body = {"data": data, **({"type": event_type} if event_type else {})}
        answer = self.client.post(agent_path(agent, "/events"), body)
        self.assertEqual(answer.status, 202, repr(answer))
        return answer.json()["run_id"]

    def waits_for(self, agent, kind, detail=""):
        """`why` says so, over HTTP and on the command line, and so does the agent's document. Gives the cause."""

        def found():
            causes = self.client.document(agent_path(agent, "/why"))["causes"]
            return next((one for one in causes if one["kind"] == kind and detail in one["detail"]), None)

        cause = eventually(lambda: f"{agent} waits for {kind}; it has {self.client.get(agent_path(agent, '/why'))!r}", found)
        self.assertTrue(cause["since"])
        told = self.node.cli("agent", "why", agent, "-o", "json")
        self.assertEqual(told.returncode, 0, told.stderr)
        document = json.loads(told.stdout)
        self.assertEqual(document["kind"], "why")
        self.assertIn(kind, [one["kind"] for one in document["causes"]])
        self.assertTrue(cause["unblock"]["command"].startswith("holdfast "), cause)
        people = self.node.cli("agent", "why", agent)
        self.assertIn(cause["unblock"]["command"], people.stdout + people.stderr)
        described = self.node.cli("agent", "describe", agent)
        self.assertIn(document["causes"][0]["unblock"]["command"], described.stdout + described.stderr,
                      "describe ends with the command that unblocks")
        return cause

    def by_command(self, cause, replace=()):
        """Runs the command of the cause, word for word but for what it leaves open."""
        words = shlex.split(cause["unblock"]["command"])
        self.assertEqual(words[0], "holdfast")
        for placeholder, given in replace:
            at = words.index(placeholder)
            words[at:at + 1] = given
        done = self.node.cli(*words[1:])
        self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")

    def by_http(self, cause, body=None):
        http = cause["unblock"]["http"]
        answer = self.client.request(http["method"], http["path"], body if body is not None else {})
        self.assertIn(answer.status, (200, 202), f"{http}: {answer!r}")

    def ends(self, run_id, status="completed"):
        run = eventually(lambda: f"{run_id} ends: {self.client.get('/v1/runs/' + run_id)!r}",
                         lambda: (lambda one: one if one["ended_at"] else None)(self.client.document(f"/v1/runs/{run_id}")))
        self.assertEqual(run["status"], status, run)
        return run

    def both_ways(self, name, start, kind, finish, replace=(), body=None, detail=""):
        """One agent is unblocked by the command, another by the request."""
        for way in ("command", "http"):
            agent = f"{name}-{way}"
            run = start(agent)
            cause = self.waits_for(agent, kind, detail)
            if way == "command":
                self.by_command(cause, replace)
            else:
                self.by_http(cause, body)
            finish(agent, run)

    # ---- the causes
    def test_an_idle_agent_waits_for_nothing(self):
        run = self.send("echo/idle", {"n": 1})
        self.ends(run)
        why = self.client.document(agent_path("echo/idle", "/why"))
        self.assertEqual((why["kind"], why["agent"], why["status"], why["causes"]), ("why", "echo/idle", "idle", []))

    def test_effect(self):
        def start(agent):
            return self.send(agent, {"path": f"held/{agent.replace('/', '-')}"})

        def finish(agent, run):
            self.gate.let_go(agent.replace("/", "-"))  # cancel lets the open call finish
            self.ends(run, "cancelled")

        self.both_ways("reads/effect", start, "effect", finish, detail="ask")

    def test_retry(self):
        def start(agent):
            return self.send(agent, {"path": f"busy/{agent.replace('/', '-')}"})

        for agent in ("writes/retry-command", "writes/retry-http"):
            run = start(agent)
            cause = self.waits_for(agent, "retry", "ask")
            self.assertGreater(cause["until"], cause["since"])
            timers = self.client.items(agent_path(agent, "/timers"))
            self.assertEqual([one["kind"] for one in timers], ["retry"])
            self.assertEqual(timers[0]["due_at"], cause["until"])
            self.gate.let_go(agent.replace("/", "-"))
            self.by_command(cause) if agent.endswith("command") else self.by_http(cause)
            self.ends(run)
            self.assertEqual(self.gate.count(f"/busy/{agent.replace('/', '-')}"), 2)

    def test_reconcile(self):
        for way, resolution, calls in (("command", "--retry", 2), ("command", "--failed", 1), ("command", "--succeeded", 1),
                                       ("http", "retry", 2)):
            agent = f"writes/reconcile-{way}{resolution}"
            what = agent.replace("/", "-")
            run = self.send(agent, {"path": f"break/{what}"})
            cause = self.waits_for(agent, "reconcile", "ask")
            self.gate.let_go(what)
            if way == "http":
                self.by_http(cause, {"resolve": resolution})
            else:
                given = ["--succeeded", '{"ok":true}'] if resolution == "--succeeded" else [resolution]
                words = shlex.split(cause["unblock"]["command"].replace(" --succeeded JSON|--retry|--failed", ""))
                done = self.node.cli(*words[1:], *given)
                self.assertEqual(done.returncode, 0, f"{words}: {done.stdout}{done.stderr}")
            self.ends(run)
            self.assertEqual(self.gate.count(f"/break/{what}"), calls)

    def test_paused_and_quarantined(self):
        for verb, kind in (("pause", "paused"), ("quarantine", "quarantined")):
            def start(agent, verb=verb):
                done = self.node.cli("agent", verb, agent, "--reason", "to look at it")
                self.assertEqual(done.returncode, 0, done.stderr)
                run = self.send(agent, {"n": 1})
                self.assertEqual(self.client.document(agent_path(agent))["mailbox"], 1)
                return run

            self.both_ways(f"echo/{kind}", start, kind, lambda agent, run: self.ends(run), detail="to look at it")

    def test_a_paused_agent_that_also_waits_names_both(self):
        agent = "writes/paused-and-unknown"
        run = self.send(agent, {"path": "break/two"})
        self.waits_for(agent, "reconcile")
        self.client.post(agent_path(agent, "/pause"), {"reason": "both"})
        causes = self.client.document(agent_path(agent, "/why"))["causes"]
        self.assertEqual([one["kind"] for one in causes], ["paused", "reconcile"])
        self.gate.let_go("two")
        self.by_command(causes[0])
        self.by_http(causes[1], {"resolve": "retry"})
        self.ends(run)

    def test_child(self):
        def start(agent):
            return self.send(agent, {"path": f"held/{agent.replace('/', '-')}"})

        def finish(agent, run):
            self.ends(run, "cancelled")
            self.gate.let_go(agent.replace("/", "-"))
            child = next(one["agent"] for one in self.client.items("/v1/agents?type=reads") if one["key"].startswith(run[4:]))
            (of_child,) = self.client.items(f"/v1/runs?agent={quote(child)}")
            self.ends(of_child["run_id"], "cancelled")

        self.both_ways("parent/child", start, "child", finish)

    def test_a_finished_child_wakes_its_parent(self):
        run = self.send("parent/finished", {"path": "held/child-finished"})
        self.waits_for("parent/finished", "child")
        self.gate.let_go("child-finished")
        self.ends(run)

    # ---- native agents
    def needs_native(self):
        if not self.has_native:
            self.skipTest("no libholdfast.so beside the binary")

    def test_timer(self):
        self.needs_native()
        self.both_ways("sleeper/timer", lambda agent: self.send(agent, {"ms": 3_600_000}), "timer",
                       lambda agent, run: self.ends(run, "cancelled"), detail="nap")
        run = self.send("sleeper/short", {"ms": 300})
        self.assertEqual(self.ends(run)["output"], {"woken_by": "nap"})

    def test_awaited_event(self):
        self.needs_native()
        self.both_ways("waiter/awaited", lambda agent: self.send(agent, {"timeout_ms": 3_600_000}, "go"), "awaited_event",
                       lambda agent, run: self.assertEqual(self.ends(run)["output"], {"n": 5}),
                       replace=(("JSON", ['{"n":5}']),), body={"type": "answer", "data": {"n": 5}}, detail="answer")
        run = self.send("waiter/timeout", {"timeout_ms": 200}, "go")
        self.assertEqual(self.ends(run)["output"], {"timed_out": "wait_for"})

    def test_an_event_that_is_not_the_awaited_one_waits_in_the_mailbox(self):
        self.needs_native()
        first = self.send("waiter/order", {"timeout_ms": 0}, "go")
        self.waits_for("waiter/order", "awaited_event")
        second = self.send("waiter/order", {"n": 1}, "answer")  # does not fit `where`
        self.assertNotEqual(first, second)
        self.assertEqual(self.client.document(agent_path("waiter/order"))["mailbox"], 1)
        merged = self.client.post(agent_path("waiter/order", "/events"), {"type": "answer", "data": {"n": 2}}).json()
        self.assertEqual((merged["run_id"], merged.get("merged")), (first, True))
        self.assertEqual(self.ends(first)["output"], {"n": 2})
        self.assertEqual(self.ends(second)["output"], {"n": 1})

    def test_a_handler_that_throws_is_called_again_and_then_its_event_is_a_dead_letter(self):
        self.needs_native()
        agent = "thrower/throws"
        run = self.send(agent, {"how": "throw"})

        def waits_long():
            """Its backoff has grown to seconds: there is time to look at it."""
            timers = self.client.items(agent_path(agent, "/timers"))
            since = self.client.document(agent_path(agent))["updated_at"]
            return [one for one in timers if one["kind"] == "handler"
                    and datetime.fromisoformat(one["due_at"]) - datetime.fromisoformat(since) > timedelta(seconds=2)]

        eventually("a long backoff", waits_long, 30)
        cause = self.waits_for(agent, "retry", "handler")
        self.by_command(cause)
        for _ in range(10):
            document = self.client.document(f"/v1/runs/{run}")
            if document["ended_at"]:
                break
            self.client.post(agent_path(agent, "/retry"))
        ended = self.ends(run, "failed")
        self.assertEqual(ended["error"]["code"], "poison_event")
        letters = [one for one in self.client.items("/v1/dlq") if one["agent"] == agent]
        self.assertEqual(len(letters), 1)
        self.assertIn("thrown on purpose", letters[0]["reason"])
        self.assertEqual(self.client.document(agent_path(agent, "/state"))["state"], {}, "the turn is discarded")

    def test_an_event_that_crashes_the_process_does_it_a_bounded_number_of_times(self):
        self.needs_native()
        with Node("node: n1\n", name="poison", binary=native.build()) as node:
            node.started()
            node.apply(native.DEFINITIONS)
            accepted = []

            def send():
                """Until it is acknowledged: the process may die before it answers."""
                while not accepted:
                    try:
                        answer = node.client.post("/v1/agents/breaker/poison/events", {"data": {"how": "crash"}},
                                                  headers={"Idempotency-Key": "poison"})
                        accepted.append(answer.json()["run_id"])
                    except Unreachable:
                        time.sleep(0.02)

            sender = threading.Thread(target=send, daemon=True)
            sender.start()
            run = None
            deaths = 0

            def settled():
                """The run when it is over, True when the process died."""
                if not node.is_alive():
                    return True
                try:
                    one = node.client.document(f"/v1/runs/{accepted[0]}") if accepted else None
                except Unreachable:
                    return None
                return one if one and one["ended_at"] else None

            while run is None:
                found = eventually("it dies, or the event is given up", settled, 60)
                if found is not True:
                    run = found
                    break
                node.reap()
                deaths += 1
                self.assertLessEqual(deaths, 5, f"it dies for ever\n{node.log()}")
                while not node.start():
                    deaths += 1
                    self.assertLessEqual(deaths, 5, f"it dies for ever\n{node.log()}")
            self.assertGreaterEqual(deaths, 1)
            self.assertEqual((run["status"], run["error"]["code"]), ("failed", "poison_event"), run)
            calm = node.client.post("/v1/agents/breaker/poison/events?wait=10s", {"data": {}})
            self.assertEqual(calm.json()["output"], {"calm": True})
            print(f" {deaths} deaths", end="", flush=True)


if __name__ == "__main__":
    waiting.overall_limit(300)
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
