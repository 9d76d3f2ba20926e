"""The two ways of killing a node that the crash tests share: at every commit in turn, and at random under load."""
import concurrent.futures
import functools
import random
import sys
import threading
import time
import unittest

from . import checker, native
from .rig import Rig
from .shop import agent_of
from .waiting import eventually

# Where the restart after a kill is killed again. Recovery commits: the partitions' new terms, then what they find open.
INSIDE_RECOVERY = ("recovery.before:1", "recovery.after:1", "commit.before:1", "commit.after:1", "commit.before:2",
                   "commit.after:2", "commit.before:3", "commit.after:3")


@functools.cache
def program():
    """The binary with native agents, or None where the library for them was not built."""
    try:
        return native.build()
    except unittest.SkipTest as why:
        print(f"without native agents: {why}", file=sys.stderr)
        return None


class Outcome:
    def __init__(self):
        self.report = checker.Report()
        self.commits = 0
        self.cells = 0
        self.silent = []  # points that a process passed and lived through
        self.short = []  # points that no run came to: it needed fewer commits
        self.recovery_deaths = {}
        self.seconds = 0.0
        self.seed = None

    def lines(self):
        out = []
        if self.cells:
            out.append(f"  {self.commits:7d}  commits in the run, each with a kill before and a kill after it")
            out.append(f"  {self.cells:7d}  cells")
            out.append(f"  {len(self.short):7d}  points that three runs did not come to, having fewer commits")
            for point, times in sorted(self.recovery_deaths.items()):
                out.append(f"  {times:7d}  deaths inside recovery at {point}")
        return out + self.report.lines() + [f"  {self.seconds:7.1f}  seconds"]


def _one_run(rig, seconds=60):
    """The reference run: two orders of one agent, the second with parallel calls, then one of each native agent; all
    streams are followed. Always acknowledged in this order, so that commit N is about the same in every cell."""
    clients = []
    for order in ("s-1", "p-2") + (("n-3", "q-4") if rig.has_native else ()):
        ack = rig.acknowledge(order, agent_of(order, 0))
        rig.fail_if_broken()
        clients.append(rig.spawn(rig.follow, order, ack))
    for one in clients:
        one.join(seconds)
        if one.is_alive():
            raise AssertionError(f"a client still waits after {seconds} s\n{rig.report}\n{rig.node.log()}")
    rig.fail_if_broken()
    rig.drain(seconds)


def _always_refuses(_order):
    return True


def count_commits(power=None):
    """Commits of the reference run, from the start of an empty node to the end of the second run."""
    with Rig("reference", power=power, refuses=_always_refuses, program=program()) as rig:
        rig.open()
        _one_run(rig)
        commits = int(rig.node.metric("holdfast_log_commits_total"))
        report = rig.check()
    if report.total():
        raise AssertionError(f"the reference run, which nobody kills, breaks promises\n{report}")
    return commits


def cell(point, inside, power=None):
    """One run through a kill at `point` and one at `inside` during the restart. Gives report, deaths, and the commits
    of the run when nothing killed it."""
    kills = [point] + ([inside] if inside else [])

    def plan(start):
        return ({"HOLDFAST_KILL_POINT": kills[start]} if start < len(kills) else {}), None

    with Rig("cell", plan, power, refuses=_always_refuses, program=program()) as rig:
        rig.open()
        _one_run(rig)
        commits = None if rig.deaths else int(rig.node.metric("holdfast_log_commits_total"))
        if len(rig.deaths) < len(kills) and rig.node.starts <= len(kills):
            # The last armed process lived on: end it, so that what it committed last is checked after a restart too.
            deaths = [one.get("HOLDFAST_KILL_POINT") for one in rig.deaths]
            rig.plan = lambda start: ({}, None)
            starts = rig.node.starts
            rig.node.process.kill()
            eventually("it is up again", lambda: rig.node.starts > starts and rig.node.address, 60)
        else:
            deaths = [one.get("HOLDFAST_KILL_POINT") for one in rig.deaths]
        report = rig.check()
        return report, deaths, commits


def matrix(cells_max=0, workers=5, power=None, stride=1):
    """Every commit of the run: a process that dies right before it, and one that dies right after it."""
    outcome = Outcome()
    program()
    began = time.monotonic()
    # Commits group what is waiting, so their number differs a little from run to run: the least of three is reached.
    outcome.commits = min(count_commits(power) for _ in range(3)) - 1
    if cells_max:
        outcome.commits = min(outcome.commits, cells_max)
    points = [f"{point}:{n}" for n in range(1, outcome.commits + 1, stride) for point in ("commit.before", "commit.after")]
    points += ["recovery.before:1", "recovery.after:1"]
    lock = threading.Lock()

    def run(number):
        point = points[number]
        name, count = point.split(":")
        passed = False
        inside = INSIDE_RECOVERY[number // 2 % len(INSIDE_RECOVERY)]
        for _ in range(3):
            report, deaths, commits = cell(point, inside, power)
            # The log counts the write of the terms, too.
            passed = passed or not name.startswith("commit") or commits is None or commits > int(count)
            with lock:
                outcome.cells += 1
                for key, found in report.broken.items():
                    report.broken[key] = [f"[{point}, then {inside}] {one}" for one in found]
                outcome.report.merge(report)
                for one in deaths[1:]:
                    outcome.recovery_deaths[one] = outcome.recovery_deaths.get(one, 0) + 1
            if deaths and deaths[0] == point:
                return
        with lock:
            (outcome.silent if passed else outcome.short).append(point)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for done in [pool.submit(run, i) for i in range(len(points))]:
            done.result()
    outcome.seconds = time.monotonic() - began
    return outcome


def random_kills(rounds, seed=None, nodes=2, clients=6, agents=10, power=None):
    """kill -9 at random times, start included, while clients place orders with many agents."""
    outcome = Outcome()
    outcome.seed = seed if seed is not None else random.SystemRandom().randrange(1 << 30)
    with_native = program()  # on every other node; the rest run the binary itself
    began = time.monotonic()

    def one_node(number, share):
        dice = random.Random(f"{outcome.seed}-{number}")
        typical = [0.3]

        def plan(_start):
            if rig.starts_killed >= share:
                return {}, None
            rig.starts_killed += 1
            return {}, dice.uniform(0.4, 1.0) * typical[0] if dice.random() < 0.15 else typical[0] + dice.uniform(0.0, 0.45)

        with Rig(f"random{number}", plan, power, seed=dice.random(), program=with_native if number % 2 else None) as rig:
            rig.starts_killed = share  # the first start lives until the definitions are there
            rig.open()
            typical[0] = rig.start_seconds[0]
            rig.starts_killed = 0
            threads = rig.load(clients, agents, stop=lambda: len(rig.deaths) > share)
            rig.node.process.kill()  # the first of them; the next start is killed by plan
            eventually(lambda: f"{share} kills after the first, there were {len(rig.deaths) - 1}",
                       lambda: len(rig.deaths) > share or rig.broken, 60 + 3 * share, poll=0.05)
            rig.fail_if_broken()
            for one in threads:
                one.join(120)
            rig.drain()
            return rig.check()

    shares = [rounds // nodes + (1 if i < rounds % nodes else 0) for i in range(nodes)]
    with concurrent.futures.ThreadPoolExecutor(nodes) as pool:
        for done in [pool.submit(one_node, i, share) for i, share in enumerate(shares)]:
            outcome.report.merge(done.result())
    outcome.seconds = time.monotonic() - began
    return outcome


def one_power_cut(power, orders=12):
    """Orders are acknowledged and carried out, the process dies, and the checker looks at what came back."""
    outcome = Outcome()
    began = time.monotonic()
    with Rig("cut", power=power, program=program()) as rig:
        rig.open()
        threads = [rig.spawn(rig.place, order, agent_of(order, i % 3), "stream") for i, order in enumerate(
            f"{('spnq' if rig.has_native else 'sp')[i % (4 if rig.has_native else 2)]}-{i}" for i in range(orders))]
        for one in threads:
            one.join(60)
        rig.fail_if_broken()
        starts = rig.node.starts
        rig.node.process.kill()
        eventually("it is up again", lambda: rig.node.starts > starts and rig.node.address or rig.broken, 60)
        rig.fail_if_broken()
        rig.drain()
        outcome.report.merge(rig.check())
    outcome.seconds = time.monotonic() - began
    return outcome
