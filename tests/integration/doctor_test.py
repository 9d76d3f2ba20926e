#!/usr/bin/env python3
"""P5, proved for all at once: 100,000 agents in every state there is, and `doctor` finds nothing, on the running node and
in the stopped folder; then damage is done, one kind for each wake cause, and it names each agent.

usage: doctor_test.py [--agents N]
"""
import argparse
import json
import shutil
import sys
import tempfile
import time
import unittest

from harness import held, loader, native, rocks, waiting
from harness.node import BINARY, Node, cli
from harness.waiting import eventually

OPTIONS = argparse.Namespace(agents=100_000)
HOURS = 6 * 3_600_000


class Doctor(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.gate = held.Gate()
        cls.addClassCleanup(cls.gate.close)
        cls.has_native = True
        try:
            cls.binary = native.build()
        except unittest.SkipTest as why:
            cls.has_native, cls.binary = False, BINARY
            print(f"without native agents: {why}", file=sys.stderr)
        cls.folder = tempfile.mkdtemp(prefix="holdfast-doctor-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.node = Node(held.scripted_settings(cls.folder), folder=cls.folder, binary=cls.binary)
        cls.addClassCleanup(cls.node.remove)
        cls.node.started()
        cls.node.apply(held.definitions(cls.gate))
        if cls.has_native:
            cls.node.apply(native.DEFINITIONS)
        cls.fill(OPTIONS.agents)

    @classmethod
    def fill(cls, count):
        """`count` agents: most idle, the rest in each state that has a wake cause."""
        began = time.monotonic()
        share = {"held": min(64, count // 100), "unknown": count // 500, "retry": count // 200, "queued": count // 25,
                 "paused": count // 50, "quarantined": count // 50, "child": min(32, count // 200)}
        if cls.has_native:
            share.update({"timer": count // 50, "awaited": count // 50})
        cls.share = share

        def events(agent_type, name, data, event_type=None, times=1):
            body = {"data": data, **({"type": event_type} if event_type else {})}
            return [loader.request("POST", f"/v1/agents/{agent_type}/{name}{i}/events", body) for i in range(share[name])
                    for _ in range(times)]

        def verbs(agent_type, name, verb):
            return [loader.request("POST", f"/v1/agents/{agent_type}/{name}{i}/{verb}", {"reason": "the test"})
                    for i in range(share[name])]

        load = verbs("echo", "paused", "pause") + verbs("echo", "quarantined", "quarantine") + verbs("echo", "queued", "pause")
        loader.send_all(cls.node.address, load)
        load = events("reads", "held", {"path": "held/doctor"}) + events("writes", "unknown", {"path": "break/doctor"})
        load += events("repeats", "retry", {"path": "busy/doctor"}) + events("echo", "queued", 1, times=3)
        load += events("parent", "child", {"path": "held/doctor"})
        if cls.has_native:
            load += events("sleeper", "timer", {"ms": HOURS}) + events("waiter", "awaited", {"timeout_ms": HOURS}, "go")
        loader.send_all(cls.node.address, load)
        idle = count - sum(share.values()) - share["child"]
        cls.share["idle"] = idle
        loader.send_all(cls.node.address, [loader.request("POST", f"/v1/agents/echo/idle{i}/events", {"data": i})
                                           for i in range(idle)])
        eventually("the writes are unknown", lambda: len(cls.node.client.items("/v1/reconcile")) == share["unknown"], 120, 0.2)
        eventually("the retries wait", lambda: cls.gate.count("/busy/doctor") == share["retry"], 120, 0.2)
        eventually("the children hang", lambda: cls.gate.count("/held/doctor") == share["held"] + share["child"], 120, 0.2)
        print(f"\n{count} agents in {time.monotonic() - began:.1f} s: {share}", flush=True)

    @classmethod
    def examine(cls, folder=None):
        """(exit code, document)"""
        began = time.monotonic()
        done = cli("doctor", *(["--data", folder] if folder else []), "-o", "json",
                   server=None if folder else f"http://{cls.node.address[0]}:{cls.node.address[1]}", seconds=120)
        cls.seconds = time.monotonic() - began
        try:
            return done.returncode, json.loads(done.stdout)
        except json.JSONDecodeError:
            raise AssertionError(f"exit {done.returncode}: {done.stdout[:500]} {done.stderr[:2000]}") from None

    def test_1_a_running_node_is_clean(self):
        code, document = self.examine()
        self.assertEqual((code, document["findings"]), (0, []))
        self.counted(document)
        print(f"\nrunning: {document['checked']} in {self.seconds:.1f} s", flush=True)
        over_http = self.node.client.document("/v1/doctor", timeout=120)
        self.assertEqual(over_http["kind"], "doctor")
        self.assertEqual(over_http["findings"], [])

    def counted(self, document):
        checked = document["checked"]
        self.assertGreaterEqual(checked["agents"], OPTIONS.agents)
        self.assertGreaterEqual(checked["waiting_events"], 3 * self.share["queued"])
        timers = self.share["retry"] + self.share.get("timer", 0) + self.share.get("awaited", 0)
        self.assertGreaterEqual(checked["timers"], timers)
        self.assertGreaterEqual(checked["open_effects"], self.share["held"] + self.share["unknown"] + self.share["retry"])

    def test_2_a_folder_after_kill_9_is_clean(self):
        self.node.kill()
        code, document = self.examine(self.node.data)
        self.assertEqual((code, document["findings"]), (0, []), "the stopped folder")
        self.counted(document)
        print(f"\nstopped: {document['checked']} in {self.seconds:.1f} s", flush=True)

    def test_3_every_damage_is_named(self):
        done = []  # (what, agent, one of these codes)

        def damage(folder, what, agent, codes, act):
            group = folder.group_of(agent)
            act(group, rocks.name(agent))
            done.append((what, agent, codes))

        with rocks.Folder(self.node.data) as folder:
            snapshots = {key[2:-1].decode(): value for key, value in folder.items("snapshot")}
            def no_timer(agent):
                for key in [one for one, _ in folder.items("timer") if rocks.name(agent) in one]:
                    folder.delete("timer", key)

            damage(folder, "effect: not ready", "reads/held0", {"ready_missing"},
                   lambda group, name: folder.delete("index", group + rocks.READY + name))
            damage(folder, "effect: its request is gone", "reads/held1", {"effect_fact_missing", "event_missing"},
                   lambda group, name: [folder.delete("journal", key) for key, _ in folder.items("journal", group + name)])
            damage(folder, "retry: no timer", "repeats/retry0", {"timer_missing"}, lambda group, name: no_timer("repeats/retry0"))
            damage(folder, "mailbox: an entry is gone", "echo/queued0", {"mailbox_missing"},
                   lambda group, name: folder.delete("mailbox", folder.items("mailbox", group + name)[0][0]))
            damage(folder, "mailbox: its event is gone", "echo/queued1", {"event_missing"},
                   lambda group, name: [folder.delete("journal", key) for key, _ in folder.items("journal", group + name)])
            damage(folder, "mailbox: an entry that nobody knows", "echo/idle0", {"mailbox_orphan"},
                   lambda group, name: folder.put("mailbox", group + name + rocks.number(77), b"\x01"))
            damage(folder, "reconcile: not listed", "writes/unknown0", {"reconcile_missing"},
                   lambda group, name: [folder.delete("index", key) for key, value in folder.items("index", group + rocks.RECONCILE)
                                        if value == name[:-1]])
            damage(folder, "reconcile: listed under another name", "writes/unknown1", {"reconcile_missing"},
                   lambda group, name: [folder.put("index", key, b"echo/idle1") for key, value in
                                        folder.items("index", group + rocks.RECONCILE) if value == name[:-1]])
            damage(folder, "ready: named, but there is nothing", "echo/idle2", {"ready_orphan"},
                   lambda group, name: folder.put("index", group + rocks.READY + name, b""))
            damage(folder, "paused: the snapshot is cut", "echo/paused0", {"unreadable"},
                   lambda group, name: folder.put("snapshot", group + name, snapshots["echo/paused0"][:9]))
            damage(folder, "quarantined: the snapshot is empty", "echo/quarantined0", {"unreadable"},
                   lambda group, name: folder.put("snapshot", group + name, b""))
            damage(folder, "timer: an orphan", "echo/idle3", {"timer_orphan"},
                   lambda group, name: folder.put("timer", group + b"\x80" + b"\0" * 7 + name + rocks.number(5), b""))
            damage(folder, "mailbox: the agent is gone, its queue is not", "echo/queued2", {"mailbox_orphan"},
                   lambda group, name: folder.delete("snapshot", group + name))
            damage(folder, "child: the run is gone", "parent/child0", {"run_missing"},
                   lambda group, name: [folder.delete("index", key) for key, _ in
                                        folder.items("index", group + rocks.AGENT_RUN + name)])
            if self.has_native:
                damage(folder, "timer: no key", "sleeper/timer0", {"timer_missing"}, lambda group, name: no_timer("sleeper/timer0"))
                damage(folder, "awaited_event: no timer for its end", "waiter/awaited0", {"timer_missing"},
                       lambda group, name: no_timer("waiter/awaited0"))
        code, document = self.examine(self.node.data)
        self.assertEqual(code, 1)
        found = {}
        for one in document["findings"]:
            found.setdefault(one["subject"], set()).add(one["code"])
            self.assertTrue(one["detail"] and one["unblock"]["command"], one)
        missed = [(what, agent, sorted(codes), sorted(found.get(agent, ()))) for what, agent, codes in done
                  if not codes & found.get(agent, set())]
        self.assertEqual(missed, [], "damage that doctor does not name")
        accused = set(found) - {agent for _, agent, _ in done}
        self.assertEqual(accused, set(), f"named without damage: {[one for one in document['findings'] if one['subject'] in accused]}")
        people = cli("doctor", "--data", self.node.data)
        self.assertEqual(people.returncode, 1)
        for _, agent, _ in done:
            self.assertIn(agent, people.stdout + people.stderr)
        print(f"\n{len(done)} damages, each named", flush=True)

    def test_4_a_parent_whose_child_is_gone_without_a_trace_is_named(self):
        parent = "parent/child1"
        with rocks.Folder(self.node.data) as folder:
            group = folder.group_of(parent)
            run = folder.items("index", group + rocks.AGENT_RUN + rocks.name(parent))[0][0][-16:]
            child = next(key[2:-1].decode() for key, _ in folder.items("snapshot") if self.is_child_of(run, key))
            group = folder.group_of(child)
            runs = [key[-16:] for key, _ in folder.items("index", group + rocks.AGENT_RUN + rocks.name(child))]
            for family, prefixes in (("index", [rocks.AGENT_RUN + rocks.name(child), rocks.READY + rocks.name(child)]),
                                     ("run", runs), *((one, [rocks.name(child)]) for one in
                                                      ("snapshot", "journal", "message", "mailbox", "stream", "memory"))):
                for prefix in prefixes:
                    for key, _ in folder.items(family, group + prefix):
                        folder.delete(family, key)
        _, document = self.examine(self.node.data)
        self.assertIn(parent, [one["subject"] for one in document["findings"]], "it waits for ever, and nobody says so")

    @staticmethod
    def is_child_of(run, key):
        """A child's key is the text of its parent's run id, and the effect's number."""
        alphabet = "0123456789abcdefghjkmnpqrstvwxyz"
        bits = int.from_bytes(run, "big")
        text = "".join(alphabet[bits >> shift & 31] for shift in range(125, -5, -5)) if len(run) == 16 else ""
        return key[2:].startswith(b"reads/" + text.encode())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agents", type=int, default=100_000)
    _, rest = parser.parse_known_args(namespace=OPTIONS)
    waiting.overall_limit(580)
    unittest.main(argv=[sys.argv[0], "-v", *rest])


if __name__ == "__main__":
    main()
