"""The programs under test: started on a free port with a folder of their own, sampled from outside, stopped."""

import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build" / "release"
HOLDFAST = BUILD / "tools" / "holdfast"
TICK = os.sysconf("SC_CLK_TCK")


class Failed(Exception):
    """A benchmark that could not be made; its text says why."""


def program(name):
    return BUILD / "tools" / f"bench_{name}"


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Folder:
    """A temporary folder on the disk that is built on: /tmp may be memory."""

    def __enter__(self):
        parent = BUILD / "bench"
        parent.mkdir(exist_ok=True)
        self.path = pathlib.Path(tempfile.mkdtemp(dir=parent))
        return self.path

    def __exit__(self, *_):
        shutil.rmtree(self.path, ignore_errors=True)


def machine_cpu_s():
    """What all processes used since the machine started: user, nice, system, interrupts."""
    parts = pathlib.Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    return sum(int(parts[i]) for i in (0, 1, 2, 5, 6)) / TICK


class Sample:
    """What a process used so far, and what a node counted."""

    def __init__(self, pid, metrics=None):
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(") ", 1)[1].split()
        self.cpu_s = (int(stat[11]) + int(stat[12])) / TICK
        self.switches = 0
        for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
            try:
                for line in (task / "status").read_text().splitlines():
                    if line.startswith("voluntary_ctxt_switches"):
                        self.switches += int(line.split()[1])
            except OSError:
                pass  # the thread ended
        self.metrics = metrics or {}
        self.machine_s = machine_cpu_s()
        self.at = time.monotonic()


def rss_mb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return None


class Node:
    """`holdfast serve`. `config` is the text of node.yaml."""

    def __init__(self, folder, config="", port=None):
        self.folder = pathlib.Path(folder)
        self.port = port or free_port()
        (self.folder / "node.yaml").write_text(config or "node: bench\n")
        self.started_at = time.monotonic()
        self.output = open(self.folder / "log", "ab")
        self.process = subprocess.Popen(
            [HOLDFAST, "serve", "--config", self.folder / "node.yaml", "--data", self.folder / "data",
             "--listen", f"127.0.0.1:{self.port}", "--log-level", "warn"],
            stdout=self.output, stderr=self.output, stdin=subprocess.DEVNULL)
        self.pid = self.process.pid

    def __enter__(self):
        return self.wait_ready()

    def __exit__(self, *_):
        self.stop()

    def why_dead(self):
        return (self.folder / "log").read_text(errors="replace")[-2000:]

    def wait_ready(self, limit=60):
        while time.monotonic() < self.started_at + limit:
            if self.process.poll() is not None:
                raise Failed(f"holdfast ended with {self.process.returncode}:\n{self.why_dead()}")
            try:
                if self.call("GET", "/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.01)
        raise Failed(f"holdfast was not ready after {limit} s")

    def call(self, method, path, body=None, content_type="application/json"):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            headers = {"Content-Type": content_type} if body is not None else {}
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()

    def document(self, method, path, body=None, content_type="application/json"):
        status, text = self.call(method, path, body, content_type)
        if status >= 300:
            raise Failed(f"{method} {path}: {status} {text[:500]}")
        return json.loads(text)

    def first_accepted_s(self, path, body="{\"data\":{}}", limit=60):
        """Seconds from the start of the process to the 202 of an event."""
        while time.monotonic() < self.started_at + limit:
            try:
                if self.call("POST", path, body)[0] == 202:
                    return time.monotonic() - self.started_at
            except OSError:
                if self.process.poll() is not None:
                    raise Failed(f"holdfast ended with {self.process.returncode}:\n{self.why_dead()}") from None
            time.sleep(0.001)
        raise Failed(f"no event was accepted within {limit} s")

    def metrics(self):
        out = {}
        for line in self.call("GET", "/metrics")[1].splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                out[name] = float(value)
        return out

    def sample(self):
        return Sample(self.pid, self.metrics())

    def rss_mb(self):
        return rss_mb(self.pid)

    def stop(self, kill=False):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.output.close()


class Stand:
    """`bench_http`: the server without a commit, or a sink for tools."""

    def __init__(self, *arguments):
        self.process = subprocess.Popen([program("http"), *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.pid = self.process.pid
        line = self.process.stdout.readline()
        if not line.startswith("port "):
            raise Failed("bench_http does not start")
        self.port = int(line.split()[1])

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        self.process.wait(30)
        self.process.stdout.close()

    def sample(self):
        return Sample(self.pid)

    def rss_mb(self):
        return rss_mb(self.pid)


class Watched:
    """A load program's result, with what the server used while its window was open."""

    def __init__(self, server, command):
        before = after = None
        with subprocess.Popen([str(part) for part in command], stdout=subprocess.PIPE, text=True) as load:
            for line in load.stdout:
                if line == "window open\n":
                    before = server.sample()
                elif line == "window closed\n":
                    after = server.sample()
                else:
                    self.result = json.loads(line)
        if load.returncode != 0:
            raise Failed(f"{pathlib.Path(command[0]).name} ended with {load.returncode}")
        if self.result.get("refused"):
            print(f"  {self.result['refused']} refused: {self.result.get('first_refusal')}", flush=True)
        self.operations = max(self.result["answered"], 1)
        self.seconds = after.at - before.at
        self.cpu_s = after.cpu_s - before.cpu_s
        self.switches = after.switches - before.switches
        client_s = self.result.get("client_cpu_us_per_op", 0) * self.operations / 1e6
        self.others = max(after.machine_s - before.machine_s - self.cpu_s - client_s, 0) / self.seconds
        self.counted = {name: value - before.metrics.get(name, 0) for name, value in after.metrics.items()}

    def count(self, name):
        return self.counted.get(f"holdfast_{name}", 0.0)

    def figures(self):
        """The fields that every measurement under load has."""
        operations = self.operations
        out = {"rate_per_s": self.result["rate_per_s"], "p50_ms": self.result["p50_ms"],
               "p99_ms": self.result["p99_ms"], "cpu_us_per_op": self.cpu_s * 1e6 / operations,
               "handoffs_per_op": self.switches / operations}
        if self.counted:
            out["commits_per_op"] = self.count("log_records_total") / operations
            out["reads_per_op"] = self.count("store_reads_total") / operations
            out["bytes_per_op"] = self.count("log_bytes_total") / operations
        return out

    def busy_note(self):
        """What other programs took of the machine meanwhile, when it matters."""
        return f"; other programs used {100 * self.others:.0f} % of a core" if self.others > 0.15 else ""

    def records_per_sync(self):
        return self.count("log_records_total") / max(self.count("log_commits_total"), 1)


def load(server, path, body, clients, seconds=5, agents=1000, expect=202, requests=0, first=0, warmup=0.5):
    return Watched(server, [program("load"), "--port", server.port, "--path", path, "--body", body, "--clients", clients,
                            "--seconds", seconds, "--agents", agents, "--expect", expect, "--requests", requests,
                            "--first", first, "--warmup", warmup])


def run_commit(what, folder, **options):
    command = [program("commit"), "--what", what, "--dir", folder]
    for name, value in options.items():
        command += [f"--{name}", value]
    done = subprocess.run([str(part) for part in command], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        raise Failed(f"bench_commit --what {what} ended with {done.returncode}")
    return json.loads(done.stdout)
