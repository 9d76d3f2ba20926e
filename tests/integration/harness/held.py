"""A sink whose answers a test holds back and lets go."""
import threading
import urllib.parse

from .server import Server


class Gate(Server):
    """GET or POST /held/X waits for `let_go(X)`; /busy/X is 429 until `let_go(X)`; /break/X drops the connection after it
    has performed; everything else is answered at once."""

    def __init__(self):
        self._lock = threading.Condition()
        self._free = set()
        self.arrived = []  # (path, Idempotency-Key)
        super().__init__()

    def let_go(self, what):
        with self._lock:
            self._free.add(what)
            self._lock.notify_all()

    def hold(self, what):
        with self._lock:
            self._free.discard(what)

    def count(self, path):
        with self._lock:
            return sum(1 for one, _ in self.arrived if one == path)

    def serve(self, request):
        path = urllib.parse.unquote(request.path)  # an input fills one segment: its slashes are encoded
        how, _, what = path.strip("/").partition("/")
        with self._lock:
            self.arrived.append((path, request.key))
            free = what in self._free
            if how == "held":
                self._lock.wait_for(lambda: what in self._free, 120)
        if how == "busy" and not free:
            return request.answer(429, b'{"error": "later"}', headers=[("Retry-After", "3600")])
        if how == "break" and not free:
            return request.reset()
        return request.answer(200, b'{"ok": true}')


def scripted_settings(folder):
    """A node's models: one that asks for the only tool with the event's data, then says what it gave. In the process."""
    path = f"{folder}/script.yaml"
    with open(path, "w", encoding="utf-8") as out:
        out.write("""
turns:
  - when: { after_tool: ask }
    text: "done"
  - when: { contains: "path" }
    call: [{ tool: ask, input: { path: "{{.path}}" } }]
  - text: "said: {{.content}}"
""")
    return f"node: n1\nmodels:\n  primary: {{ provider: scripted, file: {path} }}\n"


def definitions(gate):
    """reads, repeats, writes: LLM agents that call GATE/{path} with a tool of that class. parent: asks a `reads`."""
    out = ""
    for name, method, effect in (("reads", "GET", "read"), ("repeats", "POST", "idempotent"), ("writes", "POST", "write")):
        out += f"""---
kind: agent
type: {name}
behaviour: llm
model: {{ use: [primary] }}
input: .data
tools:
  - name: ask
    description: Ask.
    input: {{ type: object, properties: {{ path: {{ type: string }} }}, required: [path] }}
    http: {{ method: {method}, url: "http://{gate.address}/{{path}}", timeout: 2m }}
    effect: {effect}
    retry: {{ attempts: 20, backoff: 1h, max_backoff: 1h }}
egress: {{ allow: ["{gate.address}"] }}
"""
    return out + """---
kind: agent
type: parent
behaviour: llm
model: { use: [primary] }
input: .data
tools:
  - agent: { type: reads, name: ask, description: Ask another agent., input: { type: object, properties: { path: { type: string } }, required: [path] } }
---
kind: agent
type: echo
behaviour: native
---
kind: agent
type: loop
behaviour: native
"""
