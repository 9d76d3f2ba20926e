"""A real node: one process, killed for real."""
import atexit
import os
import re
import shutil
import signal
import subprocess
import tempfile
import threading

from . import waiting
from .client import Client, Unreachable

ROOT = os.path.abspath(os.path.join(os.path.dirname(__file__), "..", "..", ".."))
BINARY = os.path.abspath(os.environ.get("HOLDFAST_BIN") or os.path.join(ROOT, "build/dev/tools/holdfast"))
PEERS = os.path.abspath(os.environ.get("HOLDFAST_PEERS") or os.path.join(ROOT, ".peers"))

_running = set()


def _end_all():
    for process in list(_running):
        if process.poll() is None:
            process.kill()


atexit.register(_end_all)
waiting.at_deadline.append(_end_all)


def environment(extra=None):
    """The test's own variables, without any that would configure a node or a client."""
    env = {name: value for name, value in os.environ.items()
           if not name.startswith(("HOLDFAST_", "OPENAI_", "XDG_CONFIG"))}
    env["XDG_CONFIG_HOME"] = "/nonexistent"
    env.update(extra or {})
    return env


class Node:
    """`serve` with the given settings. The folder survives `kill`; `remove` takes it away."""

    START_SECONDS = 60

    def __init__(self, settings="", *, folder=None, name="node", env=None, dev=None, port=0, binary=BINARY):
        self.folder = folder or tempfile.mkdtemp(prefix=f"holdfast-{name}-")
        self.data = os.path.join(self.folder, "data")
        self.log_path = os.path.join(self.folder, "node.log")
        self.env = dict(env or {})
        self.dev = dev
        self.listen = f"127.0.0.1:{port}"
        self.binary = binary
        self.prefix = []  # of the command
        self.process = None
        self.address = None
        self.starts = 0
        self._log_lines = []
        self._settled = threading.Event()
        if dev is None:
            with open(os.path.join(self.folder, "node.yaml"), "w", encoding="utf-8") as out:
                out.write(settings)
        self.client = Client(lambda: self.address)

    # ---- life
    located = staticmethod(lambda host, port: (host, port))  # the address as clients reach it

    def start(self, env=None):
        """True when it listens; False when it died before that."""
        if self.dev is None:
            command = [self.binary, "serve", "--config", os.path.join(self.folder, "node.yaml"), "--data", self.data,
                       "--listen", self.listen]
        else:
            command = [self.binary, "dev", self.dev, "--data", self.data, "--listen", self.listen]
        self.starts += 1
        settled, lines = threading.Event(), []
        self._settled, self._log_lines = settled, lines
        process = subprocess.Popen(self.prefix + command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                   stderr=subprocess.PIPE, env=environment({**self.env, **(env or {})}))
        self.process = process
        _running.add(process)

        def read():
            with open(self.log_path, "ab") as log:
                for raw in process.stderr:
                    log.write(raw)
                    log.flush()
                    line = raw.decode(errors="replace").rstrip("\n")
                    lines.append(line)
                    found = re.search(r"listening on https?://([\d.]+):(\d+)", line)
                    if found:
                        self.address = self.located(found.group(1), int(found.group(2)))
                        settled.set()
            process.stderr.close()
            settled.set()

        self._reader = threading.Thread(target=read, daemon=True)
        self._reader.start()
        if not settled.wait(self.START_SECONDS):
            raise AssertionError(f"the node neither listened nor ended within {self.START_SECONDS} s\n{self.log()}")
        if self.address is None or process.poll() is not None:
            self.reap()
            return False
        return True

    def started(self, env=None):
        """Starts, or fails with the node's own words."""
        if not self.start(env):
            raise AssertionError(f"the node did not start (exit {self.process.returncode})\n{self.log()}")
        return self

    def is_alive(self):
        return self.process is not None and self.process.poll() is None

    def reap(self):
        """Waits for the end of a process that is about to end, and for its last words; its exit status, negative for a signal."""
        status = self.process.wait(30)
        self._reader.join(10)
        _running.discard(self.process)
        self.address = None
        return status

    def kill(self):
        """kill -9."""
        if self.is_alive():
            self.process.send_signal(signal.SIGKILL)
        return self.reap()

    def stop(self):
        """In order; the exit status."""
        if self.is_alive():
            self.process.send_signal(signal.SIGTERM)
        return self.reap()

    def remove(self):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.remove()

    # ---- what it says
    def log(self, lines=40):
        return "\n".join(self._log_lines[-lines:])

    def lines(self):
        return list(self._log_lines)

    def metric(self, name):
        for line in self.client.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        raise AssertionError(f"no metric {name}")

    # ---- definitions
    def apply(self, text, status=200):
        body = text.encode() if isinstance(text, str) else text
        answer = self.client.request("PUT", "/v1/definitions", body, {"Content-Type": "application/yaml"})
        assert answer.status == status, f"PUT /v1/definitions: {answer!r}"
        return answer.json()

    def apply_over_crashes(self, text, seconds=60):
        """Until it is acknowledged; a node that dies meanwhile is started again by somebody else."""

        def applied():
            try:
                self.apply(text)
                return True
            except Unreachable:
                return False

        waiting.eventually("the definitions are applied", applied, seconds)

    # ---- the command line
    def cli(self, *arguments, env=None, stdin=None, seconds=60):
        return cli(*arguments, server=f"http://{self.address[0]}:{self.address[1]}", env=env, stdin=stdin,
                   seconds=seconds)


def cli(*arguments, server=None, env=None, stdin=None, seconds=60):
    """Runs a verb; the completed process with text."""
    more = dict(env or {})
    if server is not None:
        more.setdefault("HOLDFAST_SERVER", server)
    return subprocess.run([BINARY, *arguments], input=stdin, capture_output=True, text=True, timeout=seconds,
                          env=environment(more), check=False)
