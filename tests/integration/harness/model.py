"""An OpenAI-compatible model that does as it is told: answers, streams in pieces, counts, and misbehaves.

What a request gets depends on the `model` that it names.
"""
import hashlib
import json
import threading
from collections import Counter

from .server import Server, pause


def send_piece(request, delta, finish=None):
    request.chunk(b"data: " + json.dumps(
        {"id": "c", "object": "chat.completion.chunk", "model": "stand-in",
         "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}).encode() + b"\n\n")


def stream_answer(request, text, calls=(), pieces=4, seconds=0.0, usage=(10, 7)):
    """A whole answer. `calls`: (id, tool, input) each."""
    request.begin()
    size = max(1, -(-len(text) // pieces))
    for at in range(0, len(text), size):
        send_piece(request, {"content": text[at:at + size]})
        if seconds:
            pause(seconds)
    if calls:
        send_piece(request, {"tool_calls": [
            {"index": i, "id": name_of_call, "type": "function", "function": {"name": tool, "arguments": json.dumps(given)}}
            for i, (name_of_call, tool, given) in enumerate(calls)]})
    send_piece(request, {}, "tool_calls" if calls else "stop")
    usage = {"prompt_tokens": usage[0], "completion_tokens": usage[1], "total_tokens": sum(usage)}
    request.chunk(b"data: " + json.dumps({"id": "c", "object": "chat.completion.chunk", "model": "stand-in", "choices": [],
                                          "usage": usage}).encode() + b"\n\ndata: [DONE]\n\n")
    request.finish()


def last(body):
    """The last message: (role, content)."""
    return body["messages"][-1]["role"], body["messages"][-1]["content"]


class Model(Server):
    """`behaviours`: model → function(request, body). Counts what was asked and what was answered in full."""

    def __init__(self, behaviours):
        self.behaviours = behaviours
        self.lock = threading.Lock()
        self.asked = Counter()      # by model
        self.finished = Counter()   # by digest of the request
        self.bodies = []
        super().__init__()

    def serve(self, request):
        body = json.loads(request.body)
        with self.lock:
            self.asked[body["model"]] += 1
            self.bodies.append(body)
        self.behaviours[body["model"]](request, body)
        with self.lock:
            self.finished[hashlib.sha256(request.body).hexdigest()] += 1

    def settings(self):
        """The `models:` of a node's configuration: each under its own name."""
        return "models:\n" + "".join(
            f'  {name}: {{ provider: openai, base_url: "http://{self.address}/v1", model: {name},'
            f' price: {{ input: "1", output: "2" }} }}\n' for name in self.behaviours)


def says(text, **more):
    return lambda request, body: stream_answer(request, text, **more)


def echoes(request, body):
    """Says what it was told last."""
    stream_answer(request, last(body)[1])


def uses(tool, given=None, then="done: {}"):
    """Asks for one tool, then says what it gave."""

    def behave(request, body):
        role, content = last(body)
        if role == "tool":
            return stream_answer(request, then.format(content))
        arguments = given if given is not None else json.loads(content)
        return stream_answer(request, "", [(f"call_{len(body['messages'])}", tool, arguments)])

    return behave
