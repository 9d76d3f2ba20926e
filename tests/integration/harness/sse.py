"""Server-sent events as a client sees them: read with a cursor, lose the connection, resume."""
import collections
import http.client
import json
import time

from .client import Unreachable, connection_to

Event = collections.namedtuple("Event", "id name data")

ENDS = ("run.completed", "run.failed", "run.cancelled")


class Stream:
    """One connection. Iterating gives events; ends with StopIteration when the server closes in order."""

    def __init__(self, address, path, last_event_id=None, timeout=30.0, tls=None, token=None):
        self.connection = connection_to(address, timeout, tls)
        headers = {"Accept": "text/event-stream"}
        if token is not None:
            headers["Authorization"] = "Bearer " + token
        if last_event_id is not None:
            headers["Last-Event-ID"] = last_event_id
        try:
            self.connection.request("GET", path, headers=headers)
            self.response = self.connection.getresponse()
        except (OSError, http.client.HTTPException) as why:
            self.connection.close()
            raise Unreachable(f"{type(why).__name__}: {why}") from why
        self.status = self.response.status
        self.comments = 0
        self.retry_ms = None

    def read_body(self):
        """Of a refusal."""
        try:
            return self.response.read()
        finally:
            self.close()

    def close(self):
        self.response.close()
        self.connection.close()

    def __iter__(self):
        return self

    def __next__(self):
        cursor, name, data = None, "message", []
        while True:
            try:
                line = self.response.readline()
            except (OSError, http.client.HTTPException, ValueError) as why:
                raise Unreachable(f"{type(why).__name__}: {why}") from why
            if not line:
                self.close()
                raise StopIteration
            line = line.rstrip(b"\r\n").decode()
            if not line:
                if data:
                    return Event(cursor, name, json.loads("\n".join(data)))
                continue
            if line.startswith(":"):
                self.comments += 1
                continue
            field, _, value = line.partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "id":
                cursor = value
            elif field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "retry":
                self.retry_ms = int(value)


def follow(where, path, until=ENDS, seconds=60.0, stop=lambda: False, on_event=None, pause=0.02):
    """Every event until one of `until`, over as many connections as it takes. `where()`: the address or None."""
    deadline = time.monotonic() + seconds
    seen, cursor = [], None
    while time.monotonic() < deadline and not stop():
        address = where()
        if address is None:
            time.sleep(pause)
            continue
        stream = None
        try:
            stream = Stream(address, path, cursor, timeout=min(20.0, max(0.1, deadline - time.monotonic())))
            if stream.status != 200:
                body = stream.read_body()
                if stream.status in (503, 429):
                    time.sleep(pause)
                    continue
                raise AssertionError(f"GET {path} with cursor {cursor}: {stream.status} {body[:300]!r}")
            for event in stream:
                seen.append(event)
                if event.id is not None:
                    cursor = event.id
                if on_event is not None:
                    on_event(event)
                if event.name in until:
                    return seen
        except Unreachable:
            pass
        finally:
            if stream is not None:
                stream.close()
        time.sleep(pause)
    return seen


class Contradiction(AssertionError):
    """What a client was shown and what is true do not fit together."""


def texts_of(events):
    """The text of each step as a client builds it: deltas at their offsets, cut back by rewinds. Offsets are bytes."""
    out = {}
    for event in events:
        if event.name == "text.delta":
            step, offset = event.data["step"], event.data["offset"]
            text = out.setdefault(step, b"")
            if offset != len(text):
                raise Contradiction(f"step {step} has {len(text)} bytes and is continued at {offset}: {event}")
            out[step] = text + event.data["text"].encode()
        elif event.name == "step.rewound":
            step, to = event.data["step"], event.data["to"]
            text = out.get(step, b"")
            if to > len(text):
                raise Contradiction(f"step {step} has {len(text)} bytes and is rewound to {to}: {event}")
            out[step] = text[:to]
    return {step: text.decode() for step, text in out.items()}
