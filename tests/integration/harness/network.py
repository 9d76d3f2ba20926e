"""A network namespace for each node, joined pair by pair, so that each direction between two can be cut by itself. What a
node says to its clients and to the sink goes over the loopback of its namespace and is never cut."""
import ctypes
import itertools
import os
import socket
import subprocess
import unittest

_libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000
LINK_PORT = 7071


def _ip(*arguments, inside=None):
    command = ["ip", "-n", inside] if inside else ["ip"]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise OSError(f"{' '.join([*command, *arguments])}: {done.stderr.strip()}")


def _enter(handle):
    if _libc.setns(handle, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


class Namespace:
    """Sockets that are made here belong here, whoever uses them afterwards."""

    def __init__(self, name):
        self.name = name

    def _socket(self):
        mine = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open(f"/run/netns/{self.name}", os.O_RDONLY)
        try:
            _enter(there)
            try:
                return socket.socket()
            finally:
                _enter(mine)
        finally:
            os.close(there)
            os.close(mine)

    def connect(self, address, timeout=None, _source=None):
        raw = self._socket()
        try:
            raw.settimeout(timeout)
            raw.connect(tuple(address))
        except OSError:
            raw.close()
            raise
        return raw

    def bound(self, address):
        raw = self._socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        raw.bind(address)
        return raw


class Inside(tuple):
    """(host, port) in a namespace."""

    def __new__(cls, namespace, host, port):
        made = super().__new__(cls, (host, port))
        made.connect = namespace.connect
        return made


class Network:
    def __init__(self, names):
        self._prefix = f"hf{os.getpid()}"
        self.names = list(names)
        self._made = []
        self._cut = set()
        try:
            self._build()
        except OSError as why:
            self.remove()
            raise unittest.SkipTest(f"this machine does not let a test make network namespaces: {why}") from why

    def _of(self, name):
        return f"{self._prefix}{name}"

    def _address(self, name):
        return f"10.77.0.{self.names.index(name) + 1}"

    def _build(self):
        for name in self.names:
            _ip("netns", "add", self._of(name))
            self._made.append(self._of(name))
            _ip("link", "set", "lo", "up", inside=self._of(name))
            _ip("addr", "add", self._address(name) + "/32", "dev", "lo", inside=self._of(name))
            # What is sent into it is lost silently: it comes out for a hardware address that nobody has.
            _ip("link", "add", "nowhere", "type", "veth", "peer", "name", "void", inside=self._of(name))
            for end in ("nowhere", "void"):
                _ip("link", "set", end, "arp", "off", "up", inside=self._of(name))
        for a, b in itertools.combinations(self.names, 2):
            _ip("link", "add", f"to-{b}", "netns", self._of(a), "type", "veth", "peer", "name", f"to-{a}", "netns", self._of(b))
            for here, there in ((a, b), (b, a)):
                _ip("link", "set", f"to-{there}", "up", inside=self._of(here))
                self._route(here, there, f"to-{there}")

    # ---- for harness/cluster.py
    def links(self):
        return {name: f"{self._address(name)}:{LINK_PORT}" for name in self.names}

    def prefix(self, name):
        return ["ip", "netns", "exec", self._of(name)]

    def located(self, name):
        return lambda host, port: Inside(Namespace(self._of(name)), host, port)

    def namespaces(self):
        return [Namespace(self._of(name)) for name in self.names]

    # ---- faults
    def cut(self, pairs):
        """What `a` sends to `b` is lost, of each (a, b)."""
        for a, b in pairs:
            if (a, b) not in self._cut:
                self._cut.add((a, b))
                self._route(a, b, "nowhere")

    def _route(self, a, b, device):
        _ip("route", "replace", self._address(b) + "/32", "dev", device, "src", self._address(a), inside=self._of(a))

    def heal(self):
        for a, b in self._cut:
            self._route(a, b, f"to-{b}")
        self._cut.clear()

    def around(self, name, out=True, into=True):
        others = [one for one in self.names if one != name]
        return [(name, one) for one in others if out] + [(one, name) for one in others if into]

    def remove(self):
        for name in self._made:
            subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)
        self._made.clear()
