"""What a cluster's users notice while a node is drained, and how long a node takes that missed much."""

import json
import selectors
import socket
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


class Listener:
    """One run's stream. What comes is kept with its time and looked at later, so that listening costs little."""

    def __init__(self, run, at):
        self.run_id, self.at = run, at
        self.socket = None
        self.received = b""   # in this connection
        self.text_at = []     # when words came
        self.past = []        # connections that have ended
        self.cursor = None

    def connect(self, ports):
        port = ports[self.at % len(ports)]
        self.at += 1
        self.received = b""
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)
        resume = f"Last-Event-ID: {self.cursor}\r\n" if self.cursor else ""
        self.socket.sendall(f"GET /v1/runs/{self.run_id}/stream HTTP/1.1\r\nHost: localhost\r\n{resume}\r\n".encode())
        self.socket.setblocking(False)

    def take(self):
        """False: the connection has ended, or was refused."""
        block = self.socket.recv(65536)
        if not self.received and b" 200 " not in block[:16]:
            return False
        if b"event: text.delta" in block:
            self.text_at.append(time.monotonic())
        self.received += block
        return block != b"" and not self.received.endswith(b"\r\n0\r\n\r\n")

    def ended(self):
        self.socket.close()
        self.socket = None
        whole = self.received.rfind(b"\n\n")  # the end of the last event; each is in one chunk
        at = self.received.rfind(b"\nid: ", 0, max(whole, 0))
        if at >= 0:
            self.cursor = self.received[at + 5:self.received.index(b"\n", at + 5)].decode()
        self.past.append(self.received)
        self.received = b""

    def events(self):
        for connection in [*self.past, self.received]:
            body, text = connection.partition(b"\r\n\r\n")[2], b""
            while body:
                size, _, body = body.partition(b"\r\n")
                length = int(size or b"0", 16)
                text, body = text + body[:length], body[length + 2:]
            for one in text.decode().split("\n\n")[:-1]:
                fields = dict(line.split(": ", 1) for line in one.split("\n") if ": " in line)
                if "data" in fields:
                    yield fields.get("event"), json.loads(fields["data"])

    def story(self):
        """What contradicts what came before, and how often text was taken back."""
        texts, wrong, rewinds = {}, [], 0  # of each step, in bytes
        for name, data in self.events():
            if name == "text.delta":
                known = texts.get(data["step"], "")
                if data["offset"] != len(known):
                    wrong.append(f"step {data['step']} has {len(known)} bytes and goes on at {data['offset']}")
                texts[data["step"]] = known + data["text"]
            elif name == "step.rewound":
                rewinds += 1
                texts[data["step"]] = texts.get(data["step"], "")[:data["to"]]
            elif name in ("run.failed", "run.cancelled"):
                wrong.append(name)
        return wrong, rewinds

    def longest_silence_ms(self, since, until):
        times = [t for t in list(self.text_at) if since - 1 <= t <= until]
        return 1e3 * max((b - a for a, b in zip(times, times[1:])), default=until - since)


class Listening(threading.Thread):
    """Clients of many streams, that resume by their cursor at the next node when a stream ends."""

    def __init__(self, cluster, runs):
        super().__init__(daemon=True)
        self.ports = list(cluster.ports.values())
        self.all = [Listener(run, number) for number, run in enumerate(runs)]
        self.stopping = False

    def run(self):
        ready = selectors.DefaultSelector()
        waiting = list(self.all)  # for a connection
        while not self.stopping:
            for one in list(waiting):
                try:
                    one.connect(self.ports)
                    waiting.remove(one)
                    ready.register(one.socket, selectors.EVENT_READ, one)
                except OSError:
                    pass
            for key, _ in ready.select(timeout=0.005 if waiting else 0.1):
                try:
                    goes_on = key.data.take()
                except BlockingIOError:
                    continue
                except OSError:
                    goes_on = False
                if not goes_on:
                    ready.unregister(key.fileobj)
                    key.data.ended()
                    waiting.append(key.data)


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
        listening = Listening(three, runs)
        listeners = listening.all
        clients = [Gaps(three, f"gap-{number}") for number in range(24)]
        try:
            for one in [listening, *clients]:
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
            silent = sum(1 for one in listeners if not one.text_at or one.text_at[-1] < stopping + 1)
        finally:
            for one in [listening, *clients]:
                one.stopping = True
        listening.join()
        stories = [one.story() for one in listeners]
        wrong = [text for contradictions, _ in stories for text in contradictions]
        if silent or wrong:
            raise Failed(f"{silent} streams were not resumed, {len(wrong)} contradict themselves: {wrong[:3]}")
        yield figure("cluster-drain", clients=streams, p50_ms=took * 1e3, p99_ms=gap * 1e3,
                     note=f"p50: until {name} led none of its {led} groups, with {agents * led // 25:,} agents; p99: longest gap of "
                          f"24 clients ({before_gap * 1e3:.0f} ms in the seconds before); {streams} streams: longest silence "
                          f"{moved:+.0f} ms beyond their pace of {PACE_MS} ms ({before:+.0f} ms before), {resumed:+.0f} ms when the "
                          f"node then ends, {sum(rewinds for _, rewinds in stories)} rewound, all resumed, nothing shown twice")


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
