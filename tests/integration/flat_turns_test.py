#!/usr/bin/env python3
"""What a turn writes does not grow with the conversation: a run of 500 model calls and as many tool calls writes as many
bytes per commit at its end as at its beginning."""
import tempfile
import unittest

from harness.client import agent_path
from harness.node import Node
from harness.waiting import eventually

STEPS = 1_000
SCRIPT = """
turns:
  - text: "Another look, to be sure of it."
    call: [{ tool: look, input: { at: "the thing" } }]
    usage: { input_tokens: 40, output_tokens: 12 }
"""
AGENT = """
kind: agent
type: looker
behaviour: llm
model: { use: [primary] }
instructions: Look until you are told to stop.
tools:
  - agent: { type: echo, name: look, description: Looks. }
limits: { steps: %d }
""" % STEPS


class FlatTurns(unittest.TestCase):
    def test_a_turn_writes_as_much_after_500_model_calls_as_before(self):
        folder = tempfile.mkdtemp(prefix="holdfast-flat-")
        with open(f"{folder}/script.yaml", "w", encoding="utf-8") as script:
            script.write(SCRIPT)
        settings = f"models:\n  primary: {{ provider: scripted, file: {folder}/script.yaml }}\n"
        with Node(settings, folder=folder) as node:
            node.started()
            node.apply(AGENT)
            samples = []
            answer = node.client.post(agent_path("looker/one", "/events"), {"data": {}})
            self.assertEqual(answer.status, 202, repr(answer))
            run = answer.json()["run_id"]

            def sampled():
                document = node.client.document(f"/v1/runs/{run}")
                samples.append((document["steps"], node.metric("holdfast_log_bytes_total"),
                                node.metric("holdfast_log_records_total")))
                return document["ended_at"]

            eventually("the run reaches its limit of steps", sampled, seconds=240)
            document = node.client.document(f"/v1/runs/{run}")
            self.assertEqual(document["error"]["code"], "limit_exceeded", document)
            self.assertEqual(document["steps"], STEPS)
        early = self.bytes_per_record([one for one in samples if one[0] <= STEPS // 5])
        late = self.bytes_per_record([one for one in samples if one[0] >= STEPS * 4 // 5])
        print(f"bytes per record: {early:.0f} in the first fifth, {late:.0f} in the last")
        self.assertLess(late, early * 1.15)

    def bytes_per_record(self, samples):
        (_, first_bytes, first_records), (_, last_bytes, last_records) = samples[0], samples[-1]
        self.assertGreater(last_records - first_records, 100, "too few samples to compare")
        return (last_bytes - first_bytes) / (last_records - first_records)


if __name__ == "__main__":
    unittest.main(verbosity=2)
