"""What a cluster's users notice while a node is drained, and how long a node takes that missed much."""

import http.client
import json
import threading
import time

from cluster_bench import Cluster, Gaps
from figures import figure
from processes import Failed, Folder, load

PACE_MS = 100
SPEAKER = """
kind: agent
type: speaker
behaviour: llm
model: { use: [demo] }
instructions: Speak.
"""


class Listener(threading.Thread):
    """One client of one run's stream, that resumes by its cursor at the next node when a stream ends."""

    def __init__(self, cluster, at, run):
        super().__init__(daemon=True)
        self.ports = list(cluster.ports.values())
        self.at, self.run_id = at, run
        self.cursor = None
        self.texts = {}  # of each step, in bytes
        self.heard_at = []
        self.wrong = []
        self.rewinds = self.connections = 0
        self.stopping = False

    def run(self):
        while not self.stopping:
            connection = http.client.HTTPConnection("127.0.0.1", self.ports[self.at % len(self.ports)], timeout=20)
            try:
                headers = {"Last-Event-ID": self.cursor} if self.cursor else {}
                connection.request("GET", f"/v1/runs/{self.run_id}/stream", headers=headers)
                answer = connection.getresponse()
                if answer.status == 200:
                    self.connections += 1
                    self.read(answer)
            except (OSError, http.client.HTTPException):
                pass
            finally:
                connection.close()
            self.at += 1
            time.sleep(0.005)

    def read(self, answer):
        cursor, name = None, None
        while not self.stopping:
            line = answer.readline()
            if not line:
                return
            field, _, value = line.decode().rstrip("\n").partition(": ")
            if field == "id":
                cursor = value
            elif field == "event":
                name = value
            elif field == "data":
                self.take(name, json.loads(value))
                self.cursor = cursor or self.cursor

    def take(self, name, data):
        if name == "text.delta":
            self.heard_at.append(time.monotonic())
            known = self.texts.get(data["step"], "")
            if data["offset"] != len(known):
                self.wrong.append(f"step {data['step']} has {len(known)} bytes and goes on at {data['offset']}")
            self.texts[data["step"]] = known + data["text"]
        elif name == "step.rewound":
            self.rewinds += 1
            self.texts[data["step"]] = self.texts.get(data["step"], "")[:data["to"]]
        elif name in ("run.failed", "run.cancelled"):
            self.wrong.append(name)

    def longest_silence_ms(self, since, until):
        times = [t for t in list(self.heard_at) if since - 1 <= t <= until]
        return 1e3 * max((b - a for a, b in zip(times, times[1:])), default=until - since)


def worst(listeners, since, until):
    """Beyond the pace at which words come."""
    return max(one.longest_silence_ms(since, until) for one in listeners) - PACE_MS


def drain(args):
    agents, streams = 30_000, 200
    words = " ".join(f"word{i}" for i in range(1_200))
    script = f'turns:\n  - text: "{words}"\n    chunk_delay: {PACE_MS}ms\n'
    with Folder() as folder, Cluster(folder, script=script) as three:
        three.wait_whole()
        first = three.nodes["n1"]
        first.document("PUT", "/v1/definitions", SPEAKER, "application/yaml")
        load(three, "/v1/agents/echo/k{agent}/events", '{"data":1}', 64, agents=agents, requests=agents)
        runs = [first.document("POST", f"/v1/agents/speaker/s{i}/events", '{"data":"speak"}')["run_id"] for i in range(streams)]
        listeners = [Listener(three, i, run) for i, run in enumerate(runs)]
        clients = [Gaps(three, f"gap-{number}") for number in range(24)]
        try:
            for one in listeners + clients:
                one.start()
            time.sleep(6)
            busiest = max(three.document()["nodes"], key=lambda node: node["leaders"])
            name, led = busiest["id"], busiest["leaders"]
            until = time.monotonic()
            before = worst(listeners, until - 3, until)
            before_gap = max(one.longest_gap(until - 3, until) for one in clients)
            began = time.monotonic()
            three.nodes[name].document("POST", f"/v1/nodes/{name}/drain?wait=30s", "{}")
            took = time.monotonic() - began
            time.sleep(2)
            moved = worst(listeners, began, began + took + 2)
            gap = max(one.longest_gap(began, began + took + 2) for one in clients)
            stopping = time.monotonic()
            three.nodes[name].stop()
            time.sleep(3)
            resumed = worst(listeners, stopping, stopping + 3)
            silent = sum(1 for one in listeners if not one.heard_at or one.heard_at[-1] < stopping + 1)
        finally:
            for one in listeners + clients:
                one.stopping = True
        wrong = [text for one in listeners for text in one.wrong]
        if silent or wrong:
            raise Failed(f"{silent} streams were not resumed, {len(wrong)} contradict themselves: {wrong[:3]}")
        yield figure("cluster-drain", clients=streams, p50_ms=took * 1e3, p99_ms=gap * 1e3,
                     note=f"p50: until {name} led none of its {led} groups, with {agents * led // 25:,} agents; p99: longest gap of "
                          f"24 clients ({before_gap * 1e3:.0f} ms in the seconds before); {streams} streams: longest silence "
                          f"{moved:+.0f} ms beyond their pace of {PACE_MS} ms ({before:+.0f} ms before), {resumed:+.0f} ms when the "
                          f"node then ends, {sum(one.rewinds for one in listeners)} rewound, all resumed, nothing shown twice")


def catch_up(args):
    blob, events = "x" * 60_000, 17_500
    with Folder() as folder, Cluster(folder) as three:
        three.wait_whole()
        three.nodes["n3"].stop(kill=True)
        missed = load(three, "/v1/agents/echo/k{agent}/events", '{"data":{"blob":"' + blob + '"}}', 32, agents=events,
                      requests=events)
        clients = [Gaps(three, f"gap-{number}") for number in range(24)]
        for one in clients:
            one.start()
        time.sleep(2)
        started, peak = time.monotonic(), 0
        three.start("n3")
        try:
            until = started + 300
            while time.monotonic() < until:
                peak = max(peak, three.nodes["n3"].rss_mb() or 0)
                nodes = {node["id"]: node["state"] for node in three.document()["nodes"]}
                lags = [r["lag"] for one in three.document()["partitions"] for r in one["replicas"] if r["node"] == "n3"]
                if nodes["n3"] == "up" and len(lags) == len(three.document()["partitions"]) and max(lags) < 100:
                    break
                time.sleep(0.05)
            else:
                raise Failed("it did not catch up within 300 s")
            took = time.monotonic() - started
            gap = max(one.longest_gap(started, time.monotonic()) for one in clients)
            installed = three.nodes["n3"].metrics().get("holdfast_cluster_snapshots_installed_total", 0)
        finally:
            for one in clients:
                one.stopping = True
        yield figure("cluster-catch-up", rate_per_s=events / took, p50_ms=took * 1e3, p99_ms=gap * 1e3, rss_mb=peak,
                     note=f"p50: from the start of a node that missed {events:,} events of 60 kB ({events * 0.06:,.0f} MB, taken at "
                          f"{missed.result['rate_per_s']:,.0f}/s) until it lags nowhere, {installed:.0f} of 25 groups by their whole "
                          f"state; p99: longest gap of 24 clients meanwhile; RSS: of that node at most")
