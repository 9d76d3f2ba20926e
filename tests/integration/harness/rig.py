"""The load of the crash tests with the sink, the model and the checker around it, and a node under it that keeps being killed."""
import random
import threading
import time

from . import checker, sse
from .client import Unreachable, agent_path
from .ledger import Ledger
from .node import BINARY, Node
from .shop import Clerk, Shop, agent_of, data_of, definition, node_settings
from .waiting import eventually

KILLED = -9
DONE = ("completed", "failed", "cancelled")


class Workload:
    """Clients that place orders, what they were told, the sink and the model that are called, and a person who reconciles.
    `self.node`, of who derives: something with a `client`, an `address` for streams, and a `log()`."""

    KINDS = "sp"         # of orders, by their share
    NATIVE_KINDS = "ssppnq"
    FOLLOW_SECONDS = 90
    WAIT = "20s"
    THINK_SECONDS = 0.0  # of a client between two orders

    def __init__(self, refuses=None, seed=0, has_native=False):
        self.ledger = Ledger()
        self.shop = Shop(self.ledger, refuses) if refuses else Shop(self.ledger)
        self.clerk = Clerk(self.ledger)
        self.has_native = has_native
        self.random = random.Random(seed)
        self.report = checker.Report()
        self.acks = {}
        self.bodies = {}
        self.streams = {}           # order → (run, events)
        self.broken = None          # why it cannot go on
        self.ending = False
        self._lock = threading.Lock()
        self._threads = []

    def close(self):
        self.ending = True
        self._end_nodes()
        for one in self._threads:
            one.join(10)
        self._remove_nodes()
        self.shop.close()
        self.clerk.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def spawn(self, run, *arguments):
        def guarded():
            try:
                run(*arguments)
            except Exception as why:  # pylint: disable=broad-except
                if not self.ending and self.broken is None:
                    self.broken = f"{run.__name__}: {type(why).__name__}: {why}"

        thread = threading.Thread(target=guarded, daemon=True)
        thread.start()
        self._threads.append(thread)
        return thread

    def _reconcile(self):
        """A person who looks into the sink's books."""
        client = self.node.client
        while not self.ending and not self.broken:
            try:
                for one in client.items("/v1/reconcile"):
                    order = one["input"]["id"]
                    shipped = self.shop.shipped(order)
                    if not shipped and not self._all_is_seen(one["id"]):
                        continue
                    shipped = shipped or self.shop.shipped(order)
                    body = {"resolve": "succeeded", "result": {"order": order, "done": "ship"}} if shipped else {"resolve": "retry"}
                    answer = client.post(f"/v1/reconcile/{one['id']}", body)
                    self._told(one["id"])
                    if answer.status == 200:
                        self.report.counts[f"unknown writes that had {'' if shipped else 'not '}been performed"] += 1
                    elif answer.status not in (404, 409, 503):
                        self.report.break_promise("runs gone wrong", f"{order}: reconcile answers {answer!r}")
            except Unreachable:
                pass
            time.sleep(0.05)

    def _all_is_seen(self, _id):
        """Nothing that was sent for this effect can still come to the sink."""
        return True

    def _told(self, _id):
        """What came of it was told to a node, whatever that has answered."""

    # ---- clients
    def send(self, order, path, body):
        """The first answer that is neither a refusal to take more just now nor none at all."""
        self.bodies[order] = body
        while not self.ending and not self.broken:
            try:
                answer = self.node.client.post(path, body, headers={"Idempotency-Key": order})
            except Unreachable:
                time.sleep(0.01)
                continue
            if answer.status in (503, 429):
                time.sleep(0.02)
                continue
            if answer.status in (200, 202):
                return answer
            self.report.break_promise("runs gone wrong", f"{order}: refused with {answer!r}")
            return None
        return None

    def acknowledge(self, order, agent, wait=None):
        """Sends until it is acknowledged; with `wait` until the run ended."""
        path = agent_path(agent, "/events") + (f"?wait={wait}" if wait else "")
        body = {"type": "order.placed", "data": data_of(order)}
        while answer := self.send(order, path, body):
            document = answer.json()
            ack = {"agent": agent, "run_id": document["run_id"],
                   "event_id": document["event_id"] if answer.status == 202 else document["event_ids"][0]}
            with self._lock:
                first = self.acks.setdefault(order, ack)
            if first != ack:
                self.report.break_promise("events processed twice", f"{order}: acknowledged as {first} and {ack}")
            if answer.status == 200:
                self.ledger.note("end", "end", order)
                return ack
            if not wait:
                return ack
        return None

    def follow(self, order, ack, seconds=None):
        """A client that shows the stream to somebody, across every death."""

        def shown(event):
            if event.name in sse.ENDS:
                self.ledger.note("end", "end", order)

        seen = sse.follow(lambda: self.node.address, f"/v1/runs/{ack['run_id']}/stream", seconds=seconds or self.FOLLOW_SECONDS,
                          stop=lambda: self.ending or self.broken is not None, on_event=shown)
        self.streams[order] = (ack["run_id"], seen)

    def place(self, order, agent, how):
        """One order, one way: `ack` only, `wait` for its end, or follow its `stream`."""
        ack = self.acknowledge(order, agent, self.WAIT if how == "wait" else None)
        if ack is not None and how == "stream":
            self.follow(order, ack)

    def load(self, clients, agents, stop):
        """Starts clients that place orders until `stop()`; gives their threads."""

        def work(number):
            count = 0
            dice = random.Random(self.random.random())
            while not stop() and not self.ending and not self.broken:
                count += 1
                order = f"{dice.choice(self.NATIVE_KINDS if self.has_native else self.KINDS)}-{number}-{count}"
                self.place(order, agent_of(order, dice.randrange(agents)), dice.choice(("ack", "wait", "stream", "stream")))
                if self.THINK_SECONDS:
                    time.sleep(self.THINK_SECONDS)

        return [self.spawn(work, i) for i in range(clients)]

    # ---- the end
    def fail_if_broken(self):
        if self.broken:
            raise AssertionError(f"{self.broken}\n{self.report}")

    def drain(self, seconds=120):
        """Every acknowledged run is over."""
        open_runs = dict(self.acks)

        def over():
            if self.broken:
                return True
            for order, ack in list(open_runs.items()):
                try:
                    answer = self.node.client.get(f"/v1/runs/{ack['run_id']}")
                except Unreachable:
                    return False
                if answer.status == 404 or (answer.status == 200 and answer.json()["status"] in DONE):
                    del open_runs[order]
                else:
                    return False
            return True

        def where():
            order, ack = next(iter(open_runs.items()))
            return f"{len(open_runs)} runs are open, {order} is {self.node.client.get('/v1/runs/' + ack['run_id'])!r}, " \
                   f"why: {self.node.client.get(agent_path(ack['agent'], '/why'))!r}"

        eventually(where, over, seconds, poll=0.05)
        self.fail_if_broken()

    def check(self):
        """After the last start; the node must be up."""
        report = self.report
        client = self.node.client
        checker.check_calls(self.ledger, report)
        checker.check_runs(client, self.ledger, self.acks, report)
        checker.check_doctor(client, report)
        checker.check_memories(client, self.acks, report)
        checker.check_acks(client, self.acks, self.bodies, report)
        for order, (run, seen) in self.streams.items():
            checker.check_stream(order, run, seen, self.node.address, self.ledger, report)
        return report

    def count_power(self, power):
        counts = power.counts()
        self.report.counts["power cuts"] += counts["cuts"]
        self.report.counts["syncs noted"] += counts["syncs"]
        self.report.counts["syncs ignored"] += counts["ignored"]
        self.report.counts["synced bytes overwritten"] += counts["overwrites"]


class Rig(Workload):
    """`plan(start_number)` → (environment, kill after seconds or None) of each start of the process, from 0.
    `program`: a binary with native agents besides (harness/native.py); without it there are no orders for those.
    `power(folder)` → harness.power.Power: what a dead process had not synced is gone."""

    def __init__(self, name, plan=None, power=None, refuses=None, seed=0, program=None):
        super().__init__(refuses, seed, program is not None)
        self.node = Node(node_settings(self.clerk), name=name, binary=program or BINARY)
        self.power = power(self.node.data) if power else None  # cuts what is not synced, between two starts
        if self.power:
            self.node.env.update(self.power.env)
        self.plan = plan or (lambda start: ({}, None))
        self.deaths = []            # the plan's environment of each start that was killed
        self.start_seconds = []

    def open(self):
        self._start()
        self.spawn(self._supervise)
        self.spawn(self._reconcile)
        self.node.apply_over_crashes(definition(self.shop, self.has_native))
        return self

    def _end_nodes(self):
        if self.node.process is not None and self.node.process.poll() is None:
            self.node.process.kill()

    def _remove_nodes(self):
        self.node.remove()
        if self.power:
            self.power.remove()

    def check(self):
        report = super().check()
        report.counts["kills"] += len(self.deaths)
        if self.power:
            self.count_power(self.power)
        return report

    def _start(self):
        """Until it listens. Every death on the way is looked at."""
        while not self.ending:
            env, kill_after = self.plan(self.node.starts)
            began = time.monotonic()
            timer = None
            if kill_after is not None:
                timer = threading.Timer(kill_after, self._kill_now, (self.node.starts + 1,))
                timer.daemon = True
                timer.start()
            if self.node.start(env):
                self.start_seconds.append(time.monotonic() - began)
                self._armed = env
                return
            self._died(env, self.node.process.returncode)
            if self.broken:
                return

    def _kill_now(self, start):
        process = self.node.process
        if self.node.starts == start and process is not None and process.poll() is None:
            process.kill()

    def _died(self, env, status):
        self.shop.quiesce()
        self.clerk.quiesce()
        if self.ending:
            return
        if status == KILLED:
            self.deaths.append(env)
            return
        self.report.break_promise("processes ended by themselves", f"exit {status}: {self.node.log(6)}")
        self.broken = f"the node ended with {status}:\n{self.node.log()}"

    def _supervise(self):
        while not self.ending:
            self.node.process.wait()
            if self.ending:
                return
            status = self.node.reap()
            self._died(self._armed, status)
            if self.broken or self.ending:
                return
            self._start()
