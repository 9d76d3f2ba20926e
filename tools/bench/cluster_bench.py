"""Three nodes on this machine beside one: what agreement costs, and how long a dead leader is missed."""

import http.client
import statistics
import threading
import time

from figures import figure
from processes import Failed, Folder, Node, Sample, free_port, load, rss_mb

ELECTION_MS = 300


class Cluster:
    """Nodes n1, n2, n3, as one server: the load goes to the first, what is sampled is of all."""

    def __init__(self, folder, names=("n1", "n2", "n3"), script=None):
        """`script`: of the model `demo`."""
        self.folder = folder
        self.script = script
        self.links = {name: free_port() for name in names}
        self.ports = {name: free_port() for name in names}
        self.nodes = {}
        for name in names:
            (folder / name).mkdir()
            self.start(name)

    def start(self, name):
        peers = ", ".join(f'{other}: "127.0.0.1:{port}"' for other, port in self.links.items())
        config = f"node: {name}\ncluster: {{ name: bench, election_timeout: {ELECTION_MS}ms, peers: {{ {peers} }} }}\n"
        if self.script:
            (self.folder / name / "script.yaml").write_text(self.script)
            config += "models:\n  demo: { provider: scripted, file: script.yaml }\n"
        self.nodes[name] = Node(self.folder / name, config, port=self.ports[name])

    def __enter__(self):
        for node in self.nodes.values():
            node.wait_ready()
        time.sleep(3)  # leaders spread
        return self

    def __exit__(self, *_):
        for node in self.nodes.values():
            node.stop(kill=True)

    @property
    def port(self):
        return self.ports["n1"]

    def sample(self):
        samples = [node.sample() for node in self.nodes.values() if node.process.poll() is None]
        out = samples[0]
        for other in samples[1:]:
            out.cpu_s += other.cpu_s
            out.switches += other.switches
            for name, value in other.metrics.items():
                out.metrics[name] = out.metrics.get(name, 0) + value
        return out

    def document(self):
        """Of the first node that answers."""
        for node in self.nodes.values():
            try:
                return node.document("GET", "/v1/cluster")
            except (OSError, Failed):
                continue
        raise Failed("no node answers")

    def wait_whole(self, limit=60):
        """Every node is up, every partition has a leader, every replica has what the others have."""
        until = time.monotonic() + limit
        while time.monotonic() < until:
            try:
                now = self.document()
                if (all(node["state"] == "up" for node in now["nodes"]) and
                        all(one["leader"] and all(r["lag"] < 100 for r in one["replicas"])
                            for one in now["partitions"]) and
                        max(node["leaders"] for node in now["nodes"]) <= len(now["partitions"]) // 3 + 1):
                    return
            except (OSError, Failed):
                pass
            time.sleep(0.1)
        raise Failed("the cluster did not become whole again")


PATHS = {"echo": ("/v1/agents/echo/k{agent}/events?wait=30s", '{"data":{"text":"how are you today?","n":1}}', 200),
         "loop": ("/v1/agents/loop/k{agent}/events?wait=30s", '{"data":{"steps":10}}', 200),
         "accept": ("/v1/agents/echo/k{agent}/events", '{"data":{"text":"how are you today?","n":1}}', 202)}


def against_one_node(args, names=("n1", "n2", "n3"), prefix="cluster", note="all through n1; CPU and commits of all three nodes"):
    for bench, (path, body, expect) in PATHS.items():
        for clients in args.clients:
            with Folder() as folder, Node(folder) as node:
                alone = load(node, path, body, clients, args.seconds, expect=expect)
            with Folder() as folder, Cluster(folder, names) as cluster:
                ours = load(cluster, path, body, clients, args.seconds, expect=expect)
                rss = max(node.rss_mb() for node in cluster.nodes.values())
            yield figure(f"{prefix}-{bench}", clients=clients, **ours.figures(), rss_mb=rss, reference="one node",
                         reference_rate_per_s=alone.result["rate_per_s"],
                         note=f"{note}; alone p50 "
                              f"{alone.result['p50_ms']:.2g} ms, CPU {alone.figures()['cpu_us_per_op']:.2g} us"
                              + ours.busy_note())


def one_voter(args):
    """A cluster of one node beside the local log: what the log of a cluster costs when there is nobody to agree with."""
    yield from against_one_node(args, names=("n1",), prefix="one-voter", note="groups of one voter")


class Gaps(threading.Thread):
    """One client of one agent: an event after the other, at whatever node answers, with the same key until it is taken."""

    def __init__(self, cluster, agent):
        super().__init__(daemon=True)
        self.cluster, self.agent = cluster, agent
        self.stopping = False
        self.acked = 0
        self.answered_at = []

    def run(self):
        ports = list(self.cluster.ports.values())
        at, connection, number = hash(self.agent) % len(ports), None, 0
        while not self.stopping:
            number += 1
            while not self.stopping:
                try:
                    if connection is None:
                        connection = http.client.HTTPConnection("127.0.0.1", ports[at], timeout=5)
                    connection.request("POST", f"/v1/agents/echo/{self.agent}/events", '{"data":1}',
                                       {"Content-Type": "application/json", "Idempotency-Key": str(number)})
                    answer = connection.getresponse()
                    answer.read()
                    if answer.status == 202:
                        break
                except OSError:
                    connection.close()
                    connection = None
                    at = (at + 1) % len(ports)
                except http.client.HTTPException:
                    connection.close()
                    connection = None
                time.sleep(0.005)
            self.acked += 1
            self.answered_at.append(time.monotonic())
            time.sleep(0.01)

    def longest_gap(self, since, until):
        times = [t for t in self.answered_at if since - 1 <= t <= until]
        return max((b - a for a, b in zip(times, times[1:])), default=until - since)


def failover(args):
    gaps = []
    with Folder() as folder, Cluster(folder) as three:
        clients = [Gaps(three, f"gap-{number}") for number in range(24)]
        for client in clients:
            client.start()
        try:
            for _ in range(args.rounds):
                three.wait_whole()
                busiest = max(three.document()["nodes"], key=lambda node: node["leaders"])["id"]
                for client in clients:
                    client.answered_at = client.answered_at[-20:]
                time.sleep(0.3)
                killed = time.monotonic()
                three.nodes[busiest].stop(kill=True)
                time.sleep(3)
                gaps.append(max(client.longest_gap(killed, killed + 3) for client in clients))
                three.start(busiest)
        finally:
            for client in clients:
                client.stopping = True
        acked = sum(client.acked for client in clients)
    gaps.sort()
    yield figure("cluster-failover", clients=24, p50_ms=statistics.median(gaps) * 1e3,
                 p99_ms=gaps[min(len(gaps) - 1, int(len(gaps) * 0.99))] * 1e3,
                 note=f"longest gap of 24 clients after kill -9 of the node with most leaders, {len(gaps)} rounds, worst "
                      f"{gaps[-1] * 1e3:.0f} ms; election timeout {ELECTION_MS} ms; {acked:,} acknowledged meanwhile")


def idle(args):
    with Folder() as folder, Cluster(folder) as three:
        three.wait_whole()
        time.sleep(2)
        before = {name: Sample(node.pid) for name, node in three.nodes.items()}
        time.sleep(max(args.seconds, 5))
        shares = [(Sample(node.pid).cpu_s - before[name].cpu_s) / (time.monotonic() - before[name].at)
                  for name, node in three.nodes.items()]
        yield figure("cluster-idle", rss_mb=max(rss_mb(node.pid) for node in three.nodes.values()),
                     note=f"25 groups, heartbeats every {ELECTION_MS // 8} ms: {100 * max(shares):.1f} % of a core for each node")

