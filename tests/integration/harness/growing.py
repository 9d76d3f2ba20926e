"""A cluster whose nodes come and go, the load on it, and what has to be true of it in the end."""
import argparse
import random
import sys
import threading
import time
import unittest

from . import waiting
from .client import Unreachable
from .cluster import AnyNode, Member, contents, free_ports
from .node import cli
from .waiting import eventually

GROUPS = 25
ECHO = "kind: agent\ntype: echo\nbehaviour: native\n"


class Nodes:
    """Nodes that come and go; those that are up take requests."""

    def __init__(self, test, seed):
        self.test, self.dice, self.members = test, random.Random(seed), {}

    def add(self, name, more=""):
        """`more`: of `cluster`, beside its name and the address; none: the node is alone."""
        port, link = free_ports(2)
        one = Member(name, "", port)
        self.test.addCleanup(one.remove)
        one.link, one.file = f"127.0.0.1:{link}", f"{one.folder}/node.yaml"
        one.alone = f"node: {name}\ndata: {one.data}\n"
        one.settings = (f"{one.alone}cluster:\n  name: grown\n  election_timeout: 300ms\n"
                        + (more or f'  advertise: "{one.link}"\n'))
        one.configure(one.settings)
        self.members[name] = one
        return one

    def __getitem__(self, name):
        return self.members[name]

    def up(self):
        return [one for one in self.members.values() if one.address is not None]

    def one_up(self):
        up = self.up()
        return self.dice.choice(up) if up else None

    def join(self, name, at):
        one = self.members.get(name) or self.add(name)
        return cli("cluster", "join", "--config", one.file, "--address", "http://%s:%d" % self[at].address, "-o", "json")

    def nodes_at(self, name):
        try:
            return {one["id"]: one for one in self[name].client.items("/v1/nodes")}
        except (Unreachable, AssertionError):
            return {}

    def partitions_at(self, name):
        try:
            return self[name].client.get("/v1/cluster").json()["partitions"]
        except (Unreachable, AssertionError, KeyError):
            return [{"settled": False}]

    def form(self, names, more="", start=Member.start):
        """All of them as peers, from the beginning."""
        links = {name: f"127.0.0.1:{port}" for name, port in zip(names, free_ports(len(names)))}
        peers = ", ".join(f'{name}: "{link}"' for name, link in links.items())
        for name in names:
            start(self.add(name, f"  peers: {{ {peers} }}\n{more}"))
        self.settled(names)

    def kill_some(self, names, count):
        """kill -9 of any of them at any moment, started again at once."""
        for _ in range(count):
            time.sleep(self.dice.uniform(0.02, 0.6))
            one = self[self.dice.choice(names)]
            one.kill()
            one.started()

    def settled(self, names, seconds=60):
        """Every one of them has everything, nobody else does, and each sees it."""

        def all_see_it():
            for name in names:
                seen = self.nodes_at(name)
                if sorted(seen) != sorted(names) or not self[name].is_ready():
                    return False
                if any(one["membership"] != "member" or one["replicas"] != GROUPS for one in seen.values()):
                    return False
                if not all(one["settled"] for one in self.partitions_at(name)):
                    return False
            return True

        def why():
            return f"{names} are the members: {[self.nodes_at(name) for name in names]}\n" + "\n".join(
                f"--- {one.name}\n{one.log(12)}" for one in self.members.values())

        eventually(why, all_see_it, seconds, poll=0.05)


class Load:
    """Clients that send events, each again under its key until it is taken."""

    def __init__(self, nodes, threads=4):
        self.client, self.acks, self.ended = AnyNode(nodes, timeout=15), {}, False
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._send, args=(number,), daemon=True) for number in range(threads)]
        for one in self._threads:
            one.start()

    def _send(self, number):
        try:
            self._send_until_ended(number)
        finally:
            self.client.close()

    def _send_until_ended(self, number):
        for count in range(1_000_000):
            if self.ended:
                return
            key = f"{number}-{count}"
            while not self.ended:
                try:
                    answer = self.client.post(f"/v1/agents/echo/c{number}-{count % 10}/events", {"data": key},
                                              headers={"Idempotency-Key": key})
                except Unreachable:
                    time.sleep(0.02)
                    continue
                if answer.status == 202:
                    with self._lock:
                        self.acks[key] = answer.json()["run_id"]
                    break
                assert answer.status in (503, 429), f"{key}: {answer!r}"
                time.sleep(0.02)
            time.sleep(0.005)

    def progress(self, count=20, seconds=60):
        before = len(self.acks)
        eventually(f"{count} more events are taken", lambda: len(self.acks) >= before + count, seconds)

    def end(self):
        self.ended = True
        for one in self._threads:
            one.join(30)
        return dict(self.acks)


class GrowingCase(unittest.TestCase):
    """Nodes of its own, and what is checked of them. A random seed, which it prints, or that of `--seed`."""

    seed_told = None

    def setUp(self):
        self.seed = self.seed_told if self.seed_told is not None else random.SystemRandom().randrange(1 << 30)
        print(f"seed {self.seed}", flush=True)
        self.nodes = Nodes(self, self.seed)

    def check_same(self, names):
        """Of dead nodes: where they have applied the same of a group's log, they hold the same."""
        held = {name: contents(self.nodes[name].data) for name in names}
        compared = 0
        for group in {group for of_node in held.values() for group in of_node}:
            by_index = {}
            for of_node in held.values():
                index, digest = of_node.get(group, (None, None))
                by_index.setdefault(index, []).append(digest)
            for index, digests in by_index.items():
                self.assertEqual(len(set(digests)), 1, f"group {group} at {index}")
                compared += len(digests) > 1
        self.assertGreater(compared, GROUPS // 2)
        for name in names:
            told = cli("doctor", "--data", self.nodes[name].data)
            self.assertEqual(told.returncode, 0, told.stdout + told.stderr)

    def end_all(self, names):
        for name in names:
            self.nodes[name].process.kill()
        for name in names:
            self.nodes[name].reap()

    def check_acks(self, acks, nodes=None):
        patient = AnyNode(nodes or self.nodes, patience=30)
        self.addCleanup(patient.close)

        def is_over(run):
            answer = patient.get(f"/v1/runs/{run}")
            self.assertNotEqual(answer.status, 404, f"{run} was acknowledged and is lost")
            return answer.status == 200 and answer.json()["status"] == "completed"

        for key, run in acks.items():
            eventually(f"{key} is completed", lambda run=run: is_over(run), 60)
        self.assertEqual(len(set(acks.values())), len(acks), "two events have one run")


def run(documentation):
    """The main program of a file with such test cases."""
    parser = argparse.ArgumentParser(description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int)
    told, rest = parser.parse_known_args()
    GrowingCase.seed_told = told.seed
    waiting.overall_limit(400)
    unittest.main(verbosity=2, argv=[sys.argv[0], *rest])
