#!/usr/bin/env python3
"""The checker of the crash tests sees every kind of broken promise, and says nothing when none is broken."""
import sys
import unittest

from harness import checker, raft_log, sse
from harness.ledger import Ledger

RUN = {"model-1": "model", "look_up": "read", "model-2": "model", "charge": "idempotent", "model-3": "model", "ship": "write",
       "model-4": "model"}


class Checker(unittest.TestCase):
    def run_of(self, order="s-1", stages=tuple(RUN), **keys):
        ledger = Ledger()
        for stage in stages:
            ledger.note(RUN.get(stage, "end"), stage, order, key=keys.get(stage, f"{order}-{stage}"), performed=True,
                        status=0 if stage.startswith("model") else 200, detail={"text": f"{order} {stage}"})
        return ledger

    def broken(self, ledger):
        report = checker.Report()
        checker.check_calls(ledger, report)
        return {promise for promise, found in report.broken.items() if found}

    def test_a_run_without_a_fault_and_calls_repeated_before_they_were_finished_break_nothing(self):
        self.assertEqual(self.broken(self.run_of()), set())
        again = ("model-1", "model-1", "look_up", "look_up", "model-2", "charge", "charge", "charge", "model-3", "ship", "model-4",
                 "model-4", "end")
        self.assertEqual(self.broken(self.run_of(stages=again)), set())

    def test_a_model_call_after_what_its_answer_led_to_is_a_finished_one_repeated(self):
        self.assertEqual(self.broken(self.run_of(stages=("model-1", "look_up", "model-1"))), {"finished model calls repeated"})
        self.assertEqual(self.broken(self.run_of(stages=(*RUN, "end", "model-4"))), {"finished model calls repeated"})

    def test_a_model_call_with_another_conversation_is_seen(self):
        ledger = self.run_of(stages=("model-1", "look_up", "model-2"))
        ledger.note("model", "model-2", "s-1", key="another digest", detail={"text": ""})
        self.assertEqual(self.broken(ledger), {"finished model calls repeated"})

    def test_a_tool_call_after_the_next_step_is_a_finished_one_repeated(self):
        self.assertEqual(self.broken(self.run_of(stages=("model-1", "look_up", "model-2", "look_up"))),
                         {"finished tool calls repeated"})

    def test_a_write_performed_twice_is_seen_and_one_refused_first_is_not(self):
        self.assertEqual(self.broken(self.run_of(stages=("model-3", "ship", "ship"))), {"effects of class write performed twice"})
        ledger = Ledger()
        for performed in (False, True):
            ledger.note("write", "ship", "s-1", key="k", performed=performed, status=200 if performed else 429)
        self.assertEqual(self.broken(ledger), set())

    def test_what_a_stopped_process_still_sends_when_it_goes_on_is_forgiven_once_it_has_its_key_and_only_then(self):
        for key, thawed, broken in (("s-1-look_up", [(0, float("inf"))], set()),
                                    ("s-1-look_up", [(0, 1)], {"finished tool calls repeated"}),
                                    ("another", [(0, float("inf"))], {"finished tool calls repeated"})):
            ledger = self.run_of()
            ledger.note("read", "look_up", "s-1", key=key, performed=True, status=200)
            report = checker.Report()
            checker.check_calls(ledger, report, thawed)
            self.assertEqual({promise for promise, found in report.broken.items() if found}, broken)
        twice = self.run_of()
        twice.note("write", "ship", "s-1", key="s-1-ship", performed=True, status=200)
        report = checker.Report()
        checker.check_calls(twice, report, [(0, float("inf"))])
        self.assertEqual(len(report.broken["effects of class write performed twice"]), 1)

    def test_an_idempotent_call_under_another_key_without_one_or_under_that_of_another_is_seen(self):
        changed = self.run_of(stages=("model-2", "charge"))
        changed.note("idempotent", "charge", "s-1", key="another", performed=True, status=200)
        self.assertEqual(self.broken(changed), {"idempotent calls repeated under another key"})
        self.assertEqual(self.broken(self.run_of(charge="")), {"idempotent calls repeated under another key"})
        self.assertEqual(self.broken(self.run_of(charge="same", ship="same")), {"idempotent calls repeated under another key"})


class Logs(unittest.TestCase):
    def broken(self, n1, n2):
        report = checker.Report()
        raft_log.compare({"n1": {"0001": n1}, "n2": {"0001": n2}}, report)
        return report.total(), report.counts["log entries compared"]

    def test_one_index_has_one_entry_of_one_term_and_terms_do_not_go_back(self):
        self.assertEqual(self.broken({4: (1, b"a"), 5: (2, b"b")}, {5: (2, b"b"), 6: (2, b"c")}), (0, 1))
        self.assertEqual(self.broken({5: (2, b"b")}, {5: (3, b"b")}), (1, 1))
        self.assertEqual(self.broken({5: (2, b"b")}, {5: (2, b"c")}), (1, 1))
        self.assertEqual(self.broken({4: (3, b"a"), 5: (2, b"b")}, {}), (1, 0))


class Texts(unittest.TestCase):
    @staticmethod
    def delta(offset, text):
        return sse.Event("1", "text.delta", {"step": 1, "offset": offset, "text": text})

    def test_a_text_with_a_gap_or_said_twice_without_a_rewind_contradicts_itself(self):
        rewound = sse.Event("2", "step.rewound", {"step": 1, "to": 0})
        self.assertEqual(sse.texts_of([self.delta(0, "ab"), self.delta(2, "c")]), {1: "abc"})
        self.assertEqual(sse.texts_of([self.delta(0, "ab"), rewound, self.delta(0, "xyz")]), {1: "xyz"})
        for events in ([self.delta(0, "ab"), self.delta(3, "c")], [self.delta(0, "ab"), self.delta(0, "ab")],
                       [sse.Event("2", "step.rewound", {"step": 1, "to": 5})]):
            with self.assertRaises(sse.Contradiction):
                sse.texts_of(events)


if __name__ == "__main__":
    unittest.main(argv=[sys.argv[0], "-v", *sys.argv[1:]])
