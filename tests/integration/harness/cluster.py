"""Several real nodes that agree, and what happens to nodes: killed, stopped, cut off, without power."""
import contextlib
import hashlib
import os
import random
import signal
import socket
import threading
import time

from . import checker, raft_log, rocks
from .client import Client, Unreachable
from .node import BINARY, Node, cli
from .rig import DONE, Workload
from .shop import LOOPS, kind_of, node_settings, routed_definition, wanting
from .waiting import Late, eventually

NAMES = ("n1", "n2", "n3")
READY_SECONDS = 60  # what a busy machine may take over an election and a start


def free_ports(count):
    """Below those that the kernel gives to outgoing connections, so that nobody gets one by chance before it is used."""
    dice, held = random.SystemRandom(), []
    while len(held) < count:
        raw = socket.socket()
        try:
            raw.bind(("127.0.0.1", dice.randrange(20000, 32000)))
            held.append(raw)
        except OSError:
            raw.close()
    ports = [raw.getsockname()[1] for raw in held]
    for raw in held:
        raw.close()
    return ports


class Member(Node):
    """One of the nodes. `wanted`: whether it ought to live."""

    def __init__(self, name, settings, port, **more):
        super().__init__(settings, name=name, port=port, **more)
        self.name = name
        self.wanted = False
        self.is_stopped = False

    def start(self, env=None):
        started = super().start(env)
        self.wanted = started
        return started

    def kill(self):
        self.wanted = False
        self.is_stopped = False
        return super().kill()

    def stop(self):
        self.wanted = False
        return super().stop()

    def freeze(self):
        self.is_stopped = True
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)
        self.is_stopped = False

    def configure(self, settings):
        """For the next start."""
        with open(os.path.join(self.folder, "node.yaml"), "w", encoding="utf-8") as out:
            out.write(settings)

    def is_ready(self):
        """It knows a leader of every partition."""
        try:
            return self.is_alive() and self.client.get("/readyz", timeout=5).status == 200
        except Unreachable:
            return False

    def said(self, *words):
        """A line of its log with all of these."""
        return next((line for line in self.lines() if all(word in line for word in words)), None)


class AnyNode(Client):
    """Each thread keeps to one node, and goes to another one when that fails. `patience`: for how many seconds reading
    is tried again."""

    def __init__(self, nodes, timeout=10.0, patience=0.0):
        super().__init__(self._choose, timeout)
        self._nodes = nodes
        self._mine = threading.local()
        self._patience = patience

    def _choose(self):
        mine = getattr(self._mine, "node", None)
        if mine is None or mine.address is None:
            mine = self._mine.node = self._nodes.one_up()
        return mine.address if mine else None

    def request(self, method, path, body=None, headers=None, timeout=None):
        deadline = time.monotonic() + (self._patience if method == "GET" else 0)
        while True:
            try:
                answer = super().request(method, path, body, headers, timeout)
                if answer.status == 503:
                    self._mine.node = None
                if answer.status != 503 or time.monotonic() >= deadline:
                    return answer
            except Unreachable:
                self._mine.node = None  # another one the next time
                if time.monotonic() >= deadline:
                    raise
            time.sleep(0.02)


class Cluster:
    """`settings(name)`: of a node, without `cluster`. `power(folder)` → harness.power.Power, of every node. `network`:
    harness.network.Network. `cluster`, or what it gives for a name: more of that part of the settings."""

    def __init__(self, settings, *, names=NAMES, election="500ms", cluster="name: chaos", binary=BINARY, power=None, network=None):
        ports = free_ports(2 * len(names))
        self.names = names
        self.links = network.links() if network else {name: f"127.0.0.1:{port}" for name, port in zip(names, ports)}
        self.members, self.powers = {}, {}
        self.dice = random.Random()
        self._text = lambda name, peers, cluster: settings(name) + self.section(cluster, election, peers)
        for name, port in zip(names, ports[len(names):]):
            one = Member(name, self._text(name, self.links, cluster(name) if callable(cluster) else cluster), port, binary=binary)
            if network:
                one.prefix, one.located = network.prefix(name), network.located(name)
            if power:
                self.powers[name] = power(one.data)
                one.env.update(self.powers[name].env)
            self.members[name] = one
        self.client = AnyNode(self)

    @staticmethod
    def section(more, election, peers):
        known = ", ".join(f'{name}: "{at}"' for name, at in peers.items())
        return f"cluster:\n  {more}\n  election_timeout: {election}\n  peers: {{ {known} }}\n"

    def settings(self, name, cluster="name: chaos", peers=None):
        """What a node is configured with, or would be."""
        return self._text(name, peers or self.links, cluster)

    def __getitem__(self, name):
        return self.members[name]

    def __iter__(self):
        return iter(self.members.values())

    def one_up(self):
        up = [one for one in self if one.address is not None]
        return self.dice.choice(up) if up else None

    @property
    def address(self):
        one = self.one_up()
        return one.address if one else None

    def log(self, lines=15):
        return "\n".join(f"--- {one.name} ({'lives' if one.is_alive() else 'dead'})\n{one.log(lines)}" for one in self)

    def start(self, names=None):
        for one in self:
            if (names is None or one.name in names) and not one.is_alive():
                one.started()
        return self

    def ready(self, names=None, seconds=READY_SECONDS):
        wanted = [self[name] for name in names or self.names]
        eventually(lambda: f"{[one.name for one in wanted]} are ready\n{self.log()}",
                   lambda: all(one.is_ready() for one in wanted), seconds, poll=0.02)
        return self

    def apply(self, text, seconds=READY_SECONDS):
        def applied():
            try:
                answer = self.client.request("PUT", "/v1/definitions", text.encode(), {"Content-Type": "application/yaml"})
            except Unreachable:
                return False
            assert answer.status in (200, 503), f"PUT /v1/definitions: {answer!r}"
            return answer.status == 200

        eventually("the definitions are applied", applied, seconds)

    def stop_in_order(self):
        """Exit statuses; all at once, as an operator would not."""
        for one in self:
            one.wanted = False
            if one.is_alive():
                one.process.send_signal(signal.SIGTERM)
        return {one.name: one.reap() for one in self}

    def busiest(self):
        """The node whose shards made most calls lately: that with most to lose."""

        def calls(one):
            try:
                return one.metric("holdfast_outgoing_calls_total")
            except (Unreachable, AssertionError):
                return 0.0

        before = {one.name: calls(one) for one in self}
        with contextlib.suppress(Late):
            eventually("it calls", lambda: sum(map(calls, self)) > sum(before.values()) + 20, 2.0, poll=0.05)
        return max(self, key=lambda one: calls(one) - before[one.name])

    def doctor(self):
        """Node → (exit status, words) about the stopped folders."""
        told = {one.name: cli("doctor", "--data", one.data) for one in self}
        return {name: (done.returncode, (done.stdout + done.stderr).strip()) for name, done in told.items()}

    def end(self):
        for one in self:
            one.wanted = False
            if one.is_alive():
                one.process.kill()  # a stopped one, too

    def remove(self):
        self.end()
        for one in self:
            one.remove()
        for one in self.powers.values():
            one.remove()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()


NOT_REPLICATED = ("log",)  # families: each node trims its own


def contents(data):
    """Group → (what was applied of its log, digest of everything that was made of it)."""
    out = {}
    with rocks.Folder(data) as folder:
        for family in folder.families:
            name = "meta" if family == "default" else family
            if name in NOT_REPLICATED:
                continue
            for key, value in folder.items(name):
                group = key[:2]
                if group == b"\xff\xff":
                    continue  # the node's own
                known = out.setdefault(group.hex(), [None, hashlib.sha256()])
                if name == "meta" and key[2:] in rocks.OF_THE_LOG:
                    if key[2:] == rocks.LOG_STATE:
                        known[0] = value.hex()
                    continue
                known[1].update(b"%d,%d," % (len(key), len(value)) + name.encode() + key + value)
    return {group: (applied, digest.hexdigest()) for group, (applied, digest) in out.items()}


class ClusterRig(Workload):
    """Clients over all nodes of a cluster, to which things happen."""

    KINDS = "eeerrtsp"
    NATIVE_KINDS = "eeerrtspnq"
    FOLLOW_SECONDS = 120
    WAIT = "4s"
    THINK_SECONDS = 0.06
    READERS = 24  # that wait for the end of a run at a time
    SETTLED_SECONDS = 1.5  # a call that a live node was about to make has been made by then

    def __init__(self, seed, program=None, **of_cluster):
        super().__init__(seed=seed, has_native=program is not None)
        self.dice = random.Random(f"faults {seed}")
        self.node = self.cluster = Cluster(lambda name: node_settings(self.clerk, name), binary=program or BINARY, **of_cluster)
        for namespace in network.namespaces() if (network := of_cluster.get("network")) else ():
            self.shop.listen_in(namespace)
            self.clerk.listen_in(namespace)
        self.routed = {}
        self.thawed = []
        self._calm_since = time.monotonic()
        self._readers = threading.BoundedSemaphore(self.READERS)
        self._unknown = {}  # effect → when it was first seen in the inbox

    def open(self):
        self.cluster.start().ready()
        self.cluster.apply(routed_definition(self.shop, self.has_native))
        self.spawn(self._watch)
        self.spawn(self._reconcile)
        return self

    def _end_nodes(self):
        self.cluster.end()

    def _remove_nodes(self):
        self.cluster.remove()

    def _watch(self):
        """Nobody ends by himself."""
        while not self.ending and not self.broken:
            for one in self.cluster:
                if one.wanted and one.process.poll() is not None:
                    time.sleep(0.2)
                    if not one.wanted or self.ending:
                        continue
                    self.report.break_promise("processes ended by themselves", f"{one.name}: exit {one.process.returncode}")
                    self.broken = f"{one.name} ended with {one.process.returncode}:\n{one.log()}"
            time.sleep(0.05)

    # ---- faults
    @contextlib.contextmanager
    def fault(self, name):
        self._calm_since = None
        try:
            yield
        finally:
            self._calm_since = time.monotonic()
        self.report.counts[name] += 1

    def kill(self, *names):
        """kill -9, and everything that the dead have sent is looked at."""
        for name in names:
            self.cluster[name].wanted = False
            self.cluster[name].process.kill()
        for name in names:
            self.cluster[name].kill()
        self.shop.settle()
        self.clerk.settle()
        self.report.counts["kills"] += len(names)

    def freeze(self, name, seconds):
        one = self.cluster[name]
        one.freeze()
        time.sleep(seconds)  # how long it is away
        one.thaw()
        self.thawed.append((time.monotonic(), time.monotonic() + self.SETTLED_SECONDS))

    def progress(self, count=3, seconds=READY_SECONDS):
        """So many more events are acknowledged."""
        before = len(self.acks) + len(self.routed)
        eventually(lambda: f"{count} events are acknowledged\n{self.probe()}\n{self.cluster.log()}",
                   lambda: len(self.acks) + len(self.routed) >= before + count or self.broken, seconds)
        self.fail_if_broken()

    def probe(self):
        """For people: what each node says to a simple request."""
        out = []
        for one in self.cluster:
            try:
                out.append(f"{one.name}: {one.client.get('/readyz', timeout=3)!r} "
                           f"{one.client.post('/v1/agents/echo/probe/events?wait=2s', {'data': {}}, timeout=8)!r}")
            except Unreachable as why:
                out.append(f"{one.name}: {why}")
        return "\n".join(out)

    def settled(self, seconds=READY_SECONDS):
        """The inbox of the person who reconciles is empty."""
        client = AnyNode(self.cluster, patience=seconds)
        eventually(lambda: f"everything is reconciled: {client.items('/v1/reconcile')}",
                   lambda: self.broken or not client.items("/v1/reconcile"), seconds, poll=0.05)
        self.fail_if_broken()

    def _all_is_seen(self, effect):
        now = time.monotonic()
        first = self._unknown.setdefault(effect, now)
        calm = self._calm_since
        if calm is None or now < max(first, calm) + self.SETTLED_SECONDS:
            return False
        self.shop.settle()
        return self._calm_since == calm

    def _told(self, effect):
        self._unknown.pop(effect, None)

    # ---- clients
    def place(self, order, agent, how):
        """Does not wait for the end of a run itself: what is not known of a write holds it up until the faults are over."""
        if kind_of(order) not in "rt":
            ack = self.acknowledge(order, agent)
            if ack and how != "ack" and self._readers.acquire(blocking=False):
                self.spawn(self._read, order, ack, how)
            return None
        number = agent.rpartition("/a")[2]
        body = {"specversion": "1.0", "id": order, "source": "/chaos", "type": "order.routed",
                "data": {"order": order, "to": f"r{number}", "steps": LOOPS}}
        answer = self.send(order, "/v1/events", body)
        if answer is None:
            return None
        event = answer.json()["events"][0]
        wanted = wanting(order, number)
        if sorted(event["agents"]) != sorted(wanted):
            self.report.break_promise("runs gone wrong", f"{order}: routed to {event['agents']}, wanted by {wanted}")
        with self._lock:
            self.routed[order] = {"event_id": event["event_id"], "wanted": wanted}
        return None

    def _read(self, order, ack, how):
        try:
            if how == "stream":
                self.follow(order, ack)
            else:
                self.acknowledge(order, ack["agent"], self.WAIT)
        finally:
            self._readers.release()

    # ---- the end
    def drain(self, seconds=120):
        patient = AnyNode(self.cluster, patience=30)
        self.settled(seconds)
        left = dict(self.acks)

        def over(run):
            answer = patient.get(f"/v1/runs/{run}")
            return answer.status == 404 or (answer.status == 200 and answer.json()["status"] in DONE)

        def where():
            order, ack = next(iter(left.items()))
            return f"{len(left)} runs are open, {order} is {patient.get('/v1/runs/' + ack['run_id'])!r}\n{self.cluster.log()}"

        def all_over():
            for order, ack in list(left.items()):
                if self.broken:
                    return True
                if not over(ack["run_id"]):
                    return False
                del left[order]
            return True

        eventually(where, all_over, seconds, poll=0.05)
        began = time.monotonic()
        eventually(lambda: f"nothing is under way: {self._under_way()}\n{self.cluster.log()}",
                   lambda: self.broken or not self._under_way(), seconds, poll=0.1)
        self.report.counts["ms until the last routed event had come and ended"] += int(1000 * (time.monotonic() - began))
        self.fail_if_broken()

    def _under_way(self):
        """Of every node, as it sees it: runs that are open, and messages that are in an outbox."""
        out = {}
        for one in self.cluster:
            open_runs = [run["run_id"] for status in ("queued", "running", "waiting")
                         for run in one.client.items(f"/v1/runs?status={status}")]
            messages = one.client.document("/v1/doctor", timeout=60)["checked"]["messages"]
            if open_runs or messages:
                out[one.name] = {"runs": open_runs[:5], "messages": messages}
        return out

    def compare_folders(self):
        """When nothing was going on and every node is dead: what their folders hold of a group is the same when they have applied the same
        of its log."""
        held = {one.name: contents(one.data) for one in self.cluster}
        for group in sorted({group for of_node in held.values() for group in of_node}):
            by_index = {}
            for name, of_node in held.items():
                index, digest = of_node.get(group, (None, None))
                by_index.setdefault(index, {}).setdefault(digest, []).append(name)
            for index, digests in by_index.items():
                alike = max(len(names) for names in digests.values())
                self.report.counts["replicas compared"] += sum(len(names) for names in digests.values()) if alike > 1 else 0
                if len(digests) > 1:
                    self.report.break_promise("nodes that tell different things", f"group {group} at index {index}: {digests}")
        raft_log.compare({one.name: raft_log.entries(one.data) for one in self.cluster}, self.report)

    def check(self):
        """After the last start; every node must be up, and nothing be going on."""
        report, patient = self.report, AnyNode(self.cluster, patience=30)
        checker.check_calls(self.ledger, report, self.thawed)
        checker.check_runs(patient, self.ledger, self.acks, report)
        checker.check_routed(patient, self.ledger, self.routed, report)
        for one in self.cluster:
            checker.check_doctor(one.client, report)
        checker.check_memories(patient, self.acks, report)
        agents = {ack["agent"] for ack in self.acks.values()} | {one for ack in self.routed.values() for one in ack["wanted"]}
        checker.check_histories({one.name: one.client for one in self.cluster}, agents, report)
        checker.check_acks(patient, self.acks, self.bodies, report)
        for order, (run, seen) in self.streams.items():
            checker.check_stream(order, run, seen, self.cluster.address, self.ledger, report)
        for power in self.cluster.powers.values():
            self.count_power(power)
        return report
