"""What was seen from outside the node, in the order in which it happened."""
import itertools
import threading
import time
from dataclasses import dataclass, field


@dataclass
class Entry:
    number: int        # order over everything in the ledger
    kind: str          # model, read, idempotent, write, end
    stage: str         # what of the order it was
    order: str
    key: str = ""      # Idempotency-Key; of a model call: the digest of its request
    performed: bool = False
    status: int = 0
    detail: dict = field(default_factory=dict)
    at: float = field(default_factory=time.monotonic)


class Ledger:
    """Shared by the sink, the model and the clients of one test."""

    def __init__(self):
        self._lock = threading.Lock()
        self._numbers = itertools.count()
        self._by_order = {}
        self._all = []

    def note(self, kind, stage, order, **more):
        with self._lock:
            entry = Entry(next(self._numbers), kind, stage, order, **more)
            self._all.append(entry)
            self._by_order.setdefault(order, []).append(entry)
            return entry

    def of(self, order):
        with self._lock:
            return list(self._by_order.get(order, ()))

    def orders(self):
        with self._lock:
            return list(self._by_order)

    def all(self):
        with self._lock:
            return list(self._all)
