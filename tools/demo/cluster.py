#!/usr/bin/env python3
"""Shows three nodes under load that go on when one of them dies.

usage: cluster.py BINARY [--keep]

Starts three nodes with certificates for their links, sends events to all of them without a pause, kills the one that
leads most with kill -9, starts it again, drains another, lets a fourth join, and checks at the end that every event that
was acknowledged is there, once.
"""
import collections
import http.client
import json
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
LIMIT_SECONDS = 60
NAMES = ("n1", "n2", "n3")
NEWCOMER = "n4"  # joins later
CLIENTS = 8
AGENTS_PER_CLIENT = 4
PAUSE_SECONDS = 0.04  # of a client, between two events


def tint(code, text):
    return f"\033[{code}m{text}\033[0m" if COLOUR else text


def say(text):
    print(tint("1;36", f"\n── {text}"), flush=True)


def fail(text):
    print(tint("1;31", f"demo failed: {text}"), file=sys.stderr, flush=True)
    sys.exit(1)


def free_ports(count):
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


def wait_for(what, condition, seconds=LIMIT_SECONDS):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.05)
    fail(f"waited {seconds} s for {what}")


class Cluster:
    def __init__(self, binary):
        self.binary = os.path.abspath(binary)
        self.folder = tempfile.mkdtemp(prefix="holdfast-demo-")
        all_names = (*NAMES, NEWCOMER)
        ports = free_ports(2 * len(all_names))
        self.ports = dict(zip(all_names, ports))
        self.links = dict(zip(all_names, ports[len(all_names):]))
        self.processes = {}

    def path(self, name):
        return os.path.join(self.folder, name)

    def prepare(self):
        certs = self.path("certs")
        self.cli("cluster", "certs", certs, "--nodes", ",".join(NAMES), quiet=True)
        peers = ", ".join(f'{name}: "127.0.0.1:{self.links[name]}"' for name in NAMES)
        for name in NAMES:
            self.configure(name, f"peers: {{ {peers} }}")
        with open(self.path("echo.yaml"), "w", encoding="utf-8") as out:
            out.write("kind: agent\ntype: echo\nbehaviour: native\n")

    def configure(self, name, among):
        with open(self.path(name + ".yaml"), "w", encoding="utf-8") as out:
            out.write(f"node: {name}\n"
                      f"data: {name}-data\n"
                      f"listen: 127.0.0.1:{self.ports[name]}\n"
                      "cluster:\n"
                      "  name: demo\n"
                      "  election_timeout: 300ms\n"
                      f"  {among}\n"
                      f"  tls: {{ ca: certs/ca.pem, cert: certs/{name}.pem, key: certs/{name}.key }}\n")

    def join(self, name):
        self.cli("cluster", "certs", self.path("certs"), "--nodes", name, quiet=True)
        self.configure(name, f'advertise: "127.0.0.1:{self.links[name]}"')
        self.cli("cluster", "join", "--config", self.path(name + ".yaml"), "--address", f"http://127.0.0.1:{self.ports[self.up()[0]]}")

    def start(self, name):
        log = open(self.path(name + ".log"), "ab")
        self.processes[name] = subprocess.Popen(
            [self.binary, "serve", "--config", self.path(name + ".yaml"), "--data", self.path(name + "-data")],
            stdout=log, stderr=log, cwd=self.folder)

    def wait_ready(self, name):
        def ready():
            if self.processes[name].poll() is not None:
                with open(self.path(name + ".log"), encoding="utf-8") as log:
                    fail(f"{name} ended:\n" + log.read()[-2000:])
            return self.get(name, "/readyz") is not None

        wait_for(f"{name} to be ready", ready)

    def kill(self, name):
        os.kill(self.processes[name].pid, signal.SIGKILL)
        self.processes[name].wait()

    def stop(self):
        running = [one for one in self.processes.values() if one.poll() is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()

    def up(self):
        return [name for name in self.ports if name in self.processes and self.processes[name].poll() is None]

    def get(self, name, path):
        """The document, or None."""
        connection = http.client.HTTPConnection("127.0.0.1", self.ports[name], timeout=5)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            body = answer.read()
            return json.loads(body) if answer.status == 200 else None
        except (OSError, http.client.HTTPException, ValueError):
            return None
        finally:
            connection.close()

    def nodes(self):
        document = self.get(self.up()[0], "/v1/cluster") or {}
        return {one["id"]: one for one in document.get("nodes", [])}

    def busiest(self):
        nodes = self.nodes()
        return max(nodes, key=lambda name: nodes[name]["leaders"])

    def cli(self, *arguments, quiet=False):
        environment = dict(os.environ)
        if self.up():
            environment["HOLDFAST_SERVER"] = f"http://127.0.0.1:{self.ports[self.up()[0]]}"
        shown = " ".join(arguments).replace(self.folder + "/", "")
        print(tint("2", f"   $ holdfast {shown}"), flush=True)
        done = subprocess.run([self.binary, *arguments], env=environment, capture_output=True, text=True, timeout=60)
        if not quiet:
            for line in (done.stdout + done.stderr).rstrip().splitlines():
                print("   " + line)
        if done.returncode != 0:
            fail(f"holdfast {shown} ended with {done.returncode}: {done.stderr}")
        return done.stdout


class Load:
    """Clients that send one event after the other, each until it is acknowledged, to whichever node answers."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.stopping = threading.Event()
        self.lock = threading.Lock()
        self.waits = []  # (when it was acknowledged, seconds since it was first sent)
        self.acknowledged = collections.defaultdict(dict)  # agent → run → what was sent
        self.tries_failed = 0
        self.problems = []
        self.began = time.monotonic()
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(CLIENTS)]
        for thread in self.threads:
            thread.start()
        self.shower = threading.Thread(target=self.show, daemon=True)
        self.shower.start()

    def run(self, number):
        connections = {}
        chance = random.Random(number)
        sent = 0
        while not self.stopping.is_set():
            agent = f"client-{number}-{sent % AGENTS_PER_CLIENT}"
            data = {"client": number, "number": sent}
            key = f"demo-{number}-{sent}"
            sent += 1
            began = time.monotonic()
            answer = None
            while answer is None:
                if time.monotonic() - began > LIMIT_SECONDS:
                    self.problems.append(f"{key} was not acknowledged within {LIMIT_SECONDS} s")
                    return
                answer = self.send(connections, chance.choice(list(self.cluster.processes)), agent, key, data)
            now = time.monotonic()
            with self.lock:
                self.waits.append((now, now - began))
                self.acknowledged[agent][answer["run_id"]] = data
            time.sleep(PAUSE_SECONDS)

    def send(self, connections, name, agent, key, data):
        """One try at one node. The key makes the event the same one, however often it is sent."""
        try:
            connection = connections.get(name)
            if connection is None:
                connection = http.client.HTTPConnection("127.0.0.1", self.cluster.ports[name], timeout=8)
                connection.connect()
                connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connections[name] = connection
            connection.request("POST", f"/v1/agents/echo/{agent}/events", json.dumps({"data": data}),
                               {"Content-Type": "application/json", "Idempotency-Key": key})
            answer = connection.getresponse()
            body = answer.read()
            if answer.status in (200, 202):
                return json.loads(body)
            if answer.status < 500 and answer.status != 429:
                self.problems.append(f"{key} at {name}: {answer.status} {body[:200]!r}")
        except (OSError, http.client.HTTPException, ValueError):
            broken = connections.pop(name, None)
            if broken:
                broken.close()
        with self.lock:
            self.tries_failed += 1
        time.sleep(0.02)
        return None

    def show(self):
        """A line in a second: how many, how long, who is there."""
        while not self.stopping.wait(1.0):
            with self.lock:
                recent = [wait for at, wait in self.waits if at > time.monotonic() - 1.0]
                total = len(self.waits)
            alive = self.cluster.up()
            marks = " ".join(tint("32", name) if name in alive else tint("31", name + "†") for name in list(self.cluster.processes))
            if recent:
                longest = max(recent)
                text = (f"{len(recent):4d} events/s   median {statistics.median(recent) * 1000:6.1f} ms   longest "
                        + tint("33" if longest > 0.2 else "0", f"{longest * 1000:6.0f} ms"))
            else:
                text = tint("33", "   nothing was acknowledged in this second          ")
            print(tint("2", f"   {time.monotonic() - self.began:5.1f} s ") + f"{text}   {total:5d} in all   {marks}", flush=True)

    def longest_since(self, moment):
        with self.lock:
            return max((wait for at, wait in self.waits if at > moment), default=0.0)

    def stop(self):
        self.stopping.set()
        for thread in self.threads:
            thread.join(LIMIT_SECONDS + 10)
        self.shower.join(5)


def runs_of(cluster, agent):
    """What the cluster has of the agent: run → run document."""
    found, cursor = {}, ""
    for _ in range(100):
        page = wait_for("a list of runs", lambda: cluster.get(cluster.up()[0], f"/v1/runs?agent=echo%2F{agent}&limit=500{cursor}"), 10)
        for run in page["items"]:
            found[run["run_id"]] = run
        if not page["next"]:
            return found
        cursor = "&cursor=" + page["next"]
    return found


def check(cluster, load):
    if load.problems:
        fail("; ".join(load.problems[:5]))
    lost, wrong, extra, total = [], [], [], 0
    for agent, acknowledged in load.acknowledged.items():
        def settled():
            found = runs_of(cluster, agent)
            return found if all(run["status"] == "completed" for run in found.values()) else None

        found = wait_for(f"the runs of {agent} to end", settled, 20)
        total += len(acknowledged)
        lost += [run for run in acknowledged if run not in found]
        extra += [run for run in found if run not in acknowledged]
        wrong += [run for run, data in acknowledged.items() if run in found and found[run]["output"] != data]
    if lost or wrong or extra:
        fail(f"of {total} acknowledged events {len(lost)} are lost, {len(wrong)} have another outcome, "
             f"{len(extra)} runs are there that nobody was told of")
    return total


def tell(cluster, keep):
    say("certificates for the links, and three nodes")
    cluster.prepare()
    for name in NAMES:
        cluster.start(name)
    for name in NAMES:
        cluster.wait_ready(name)
    wait_for("leaders to spread", lambda: len(cluster.nodes()) == 3 and min(n["leaders"] for n in cluster.nodes().values()) >= 8, 20)
    cluster.cli("apply", "-f", cluster.path("echo.yaml"))
    cluster.cli("cluster", "status")

    say(f"{CLIENTS} clients send events to all three, each until it is acknowledged")
    load = Load(cluster)
    gaps = []
    time.sleep(4)
    gaps.append(("nothing happens", load.longest_since(load.began)))

    victim = cluster.busiest()
    say(f"kill -9 {victim}, which leads {cluster.nodes()[victim]['leaders']} partitions")
    moment = time.monotonic()
    cluster.kill(victim)
    time.sleep(4)
    gaps.append((f"kill -9 of {victim}", load.longest_since(moment)))
    cluster.cli("cluster", "status")

    say(f"{victim} starts again, catches up, and gets its partitions back")
    moment = time.monotonic()
    cluster.start(victim)
    cluster.wait_ready(victim)
    wait_for("it to lead again", lambda: cluster.nodes().get(victim, {}).get("leaders", 0) >= 8, 30)
    print(f"   after {time.monotonic() - moment:.1f} s")
    time.sleep(2)
    gaps.append((f"start of {victim}", load.longest_since(moment)))

    drained = next(name for name in NAMES if name != victim)
    say(f"{drained} is drained, as before an upgrade: it gives its partitions away first")
    moment = time.monotonic()
    cluster.cli("node", "drain", drained)
    time.sleep(2)
    gaps.append((f"drain of {drained}", load.longest_since(moment)))
    moment = time.monotonic()
    cluster.cli("node", "uncordon", drained)
    cluster.cli("cluster", "rebalance")
    time.sleep(1)
    gaps.append((f"uncordon of {drained}", load.longest_since(moment)))

    say(f"{NEWCOMER} joins, while everybody works")
    moment = time.monotonic()
    cluster.join(NEWCOMER)
    cluster.start(NEWCOMER)
    cluster.wait_ready(NEWCOMER)
    wait_for("it to be a member of every partition",
             lambda: cluster.nodes().get(NEWCOMER, {}).get("membership") == "member" and cluster.nodes()[NEWCOMER]["leaders"] >= 6, 30)
    print(f"   after {time.monotonic() - moment:.1f} s it has every partition, votes in its part of them and leads its share")
    cluster.cli("node", "list")
    time.sleep(1)
    gaps.append((f"join of {NEWCOMER}", load.longest_since(moment)))

    load.stop()
    say("is everything there that was acknowledged?")
    total = check(cluster, load)
    print(f"   {total} events acknowledged, {load.tries_failed} tries that had to be repeated")
    print("   the longest that a client waited for one event, tries included:")
    for what, gap in gaps:
        print(f"     {what:18} {gap * 1000:6.0f} ms")
    print(tint("1;32", f"   {total} runs, one per event, each with its own outcome: nothing lost, nothing twice"))
    if keep:
        invite(cluster)


def invite(cluster):
    say("the nodes stay up; try")
    print(f"   export HOLDFAST_SERVER=http://127.0.0.1:{cluster.ports['n1']}")
    for line in ("cluster status -o wide", "node list -w", "agent list", "audit list"):
        print(f"   {cluster.binary} {line}")
    for name in cluster.processes:
        print(f"   kill -9 {cluster.processes[name].pid}    # {name}")
    print("   Ctrl-C ends them", flush=True)
    try:
        while cluster.up():
            time.sleep(1)
    except KeyboardInterrupt:
        pass


def main():
    if len(sys.argv) < 2 or sys.argv[1] in ("-h", "--help"):
        print(__doc__)
        return 2
    cluster = Cluster(sys.argv[1])
    began = time.monotonic()
    try:
        tell(cluster, "--keep" in sys.argv[2:])
    finally:
        cluster.stop()
        shutil.rmtree(cluster.folder, ignore_errors=True)
    print(tint("2", f"\n   {time.monotonic() - began:.1f} s in all"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
