"""The workload of the crash tests: orders of several kinds, told apart by the first letter of their name.

s, p   a model works on the order with a read, an idempotent and a write tool, one after the other; in a `p` order it asks
       for the first two at once. The model never says the same twice: every answer carries its own number, so that a
       text put together from two attempts shows.
n      a native agent counts the order in its memory, sleeps, and ships it with a write tool
q      a native agent asks another one, in another partition, which counts in its memory what it was asked
e      an agent says what it was told
r, t   an event that is routed: two agents want an `r`, and a third one, which works as on an `s`, wants a `t`, too

Every order is the business of one run. Its steps, in order, are its stages.
"""
import hashlib
import json
import threading

from .model import stream_answer
from .server import Server, pause

TOOLS = {"look_up": "read", "charge": "idempotent", "ship": "write"}

STAGES = {  # stage → place; equal places may come in any order
    "s": {"model-1": 0, "look_up": 1, "model-2": 2, "charge": 3, "model-3": 4, "ship": 5, "model-4": 6, "end": 7},
    "p": {"model-1": 0, "look_up": 1, "charge": 1, "model-2": 2, "ship": 3, "model-3": 4, "end": 5},
    "n": {"ship": 0, "end": 1},
    "q": {"end": 0},
    "e": {"end": 0},
}
STAGES["t"] = {stage: place for stage, place in STAGES["s"].items() if stage != "end"}
LOOPS = 3  # steps of the `loop` agent that wants a routed order
EFFECTS = {"s": 7, "p": 6, "n": 1, "q": 1, "e": 0}  # that a run of the kind comes to
COUNTER = "counter/all"


def kind_of(order):
    return order[0]


def agent_of(order, number):
    """One of the agents that take orders of this kind."""
    return {"n": "courier", "q": "asker", "e": "echo"}.get(kind_of(order), "fulfilment") + f"/a{number}"


def wanting(order, number):
    """The agents that get a routed order."""
    return [f"{name}/r{number}" for name in ("echo", "loop") + (("fulfilment",) if kind_of(order) == "t" else ())]


def data_of(order):
    if kind_of(order) == "q":
        return {"order": order, "agent": COUNTER, "question": {"order": order}}
    return {"order": order}


def refuses_first(order):
    """Whether the sink refuses the first charge (503) and the first shipping (429) of this order: retry timers."""
    return int(hashlib.sha256(order.encode()).hexdigest()[:4], 16) % 2 == 0


class Shop(Server):
    """The sink: GET /orders/ID (read), POST /orders/ID/charge (idempotent), POST /orders/ID/ship (write)."""

    def __init__(self, ledger, refuses=refuses_first, seconds=0.005):
        self.ledger = ledger
        self.refuses = refuses
        self.seconds = seconds
        self._lock = threading.Lock()
        self._refused = set()
        super().__init__()

    def serve(self, request):
        parts = request.path.strip("/").split("/")
        order = parts[1] if len(parts) > 1 else ""
        stage = parts[2] if len(parts) > 2 else "look_up"
        if parts[0] != "orders" or stage not in TOOLS:
            return request.answer(404, b'{"error": "no such path"}')
        refuse = False
        if stage != "look_up" and self.refuses(order):
            with self._lock:
                refuse = (order, stage) not in self._refused
                self._refused.add((order, stage))
        status = {"charge": 503, "ship": 429}[stage] if refuse else 200
        self.ledger.note(TOOLS[stage], stage, order, key=request.key, performed=not refuse, status=status)
        if refuse:
            return request.answer(status, b'{"error": "not now"}', headers=[("Retry-After", "0")])
        pause(self.seconds)
        request.answer(200, json.dumps({"order": order, "done": stage}).encode())

    def shipped(self, order):
        return any(one.performed for one in self.ledger.of(order) if one.kind == "write")


class Clerk(Server):
    """The model, OpenAI-compatible and streaming. Reads the order from the conversation and asks for the next tool."""

    def __init__(self, ledger, pieces=5, seconds=0.012):
        self.ledger = ledger
        self.pieces = pieces
        self.seconds = seconds
        self._lock = threading.Lock()
        self._number = 0
        super().__init__()

    @staticmethod
    def read(body):
        """The order, the names of the tools whose results are there, and which model call this is."""
        order, results, calls = None, [], 1
        names = {}
        for message in body["messages"]:
            if message["role"] == "user":
                order, results, calls = json.loads(message["content"])["order"], [], 1
            elif message["role"] == "assistant":
                calls += 1
                for call in message.get("tool_calls") or ():
                    names[call["id"]] = call["function"]["name"]
            elif message["role"] == "tool":
                results.append(names[message["tool_call_id"]])
        return order, results, calls

    @staticmethod
    def wanted(order, results):
        if not results:
            return ["look_up", "charge"] if kind_of(order) == "p" else ["look_up"]
        if "charge" not in results:
            return ["charge"]
        return [] if "ship" in results else ["ship"]

    def serve(self, request):
        body = json.loads(request.body)
        order, results, call = self.read(body)
        with self._lock:
            self._number += 1
            number = self._number
        tools = self.wanted(order, results)
        text = f"[{number}] order {order}, step {call}: " + (", then ".join(tools) or "all is done") + f" [{number}]"
        digest = hashlib.sha256(request.body).hexdigest()
        entry = self.ledger.note("model", f"model-{call}", order, key=digest, detail={"text": text, "number": number})
        calls = [(f"call_{order}_{call}_{i}", name, {"id": order}) for i, name in enumerate(tools)]
        stream_answer(request, text, calls, self.pieces, self.seconds)
        entry.performed = True


def node_settings(clerk, name="n1"):
    return f"""
node: {name}
log: {{ level: info, format: text }}
models:
  primary: {{ provider: openai, base_url: "http://{clerk.address}/v1", model: clerk, price: {{ input: "1", output: "2" }} }}
"""


ROUTED = """on:
  - event: order.routed
    key: .data.to
"""


def routed_definition(shop, with_native):
    """With agents that want what is routed, beside the others."""
    out = definition(shop, with_native)
    wants_some = ROUTED + '    where: .data.order | startswith("t")\n'
    out = out.replace("tools:\n", wants_some + "tools:\n", 1)
    return out + "".join(f"---\nkind: agent\ntype: {name}\nbehaviour: native\n{ROUTED}" for name in ("echo", "loop"))


def definition(shop, with_native):
    ship = f"""
  - name: ship
    description: Ship it.
    input: {{ type: object, properties: {{ id: {{ type: string }} }}, required: [id] }}
    http: {{ method: POST, url: "http://{shop.address}/orders/{{id}}/ship", timeout: 20s }}
    effect: write
    retry: {{ attempts: 100, backoff: 20ms, max_backoff: 50ms }}
limits: {{ steps: 50, wall: 1h, mailbox: 1000 }}
egress: {{ allow: ["{shop.address}"] }}
"""
    out = f"""
kind: agent
type: fulfilment
description: Ships what was ordered.
behaviour: llm
model: {{ use: [primary], temperature: 0, max_output_tokens: 200 }}
instructions: Look the order up, charge it, ship it.
input: .data
memory: {{ scope: run }}
tools:
  - name: look_up
    description: Look an order up.
    input: {{ type: object, properties: {{ id: {{ type: string }} }}, required: [id] }}
    http: {{ method: GET, url: "http://{shop.address}/orders/{{id}}", timeout: 20s }}
    retry: {{ attempts: 100, backoff: 20ms, max_backoff: 50ms }}
  - name: charge
    description: Charge it.
    input: {{ type: object, properties: {{ id: {{ type: string }} }}, required: [id] }}
    http: {{ method: POST, url: "http://{shop.address}/orders/{{id}}/charge", timeout: 20s }}
    effect: idempotent
    retry: {{ attempts: 100, backoff: 20ms, max_backoff: 50ms }}{ship}"""
    if with_native:
        out += f"---\nkind: agent\ntype: courier\nbehaviour: native\ntools:{ship}"
        out += "".join(f"---\nkind: agent\ntype: {name}\nbehaviour: native\n" for name in ("asker", "counter"))
    return out
