#!/usr/bin/env python3
"""P1–P4 and P7 against real kills.

usage: crash_matrix_test.py [--rounds N] [--cells N] [--seed N] [--keep-going] [matrix] [random]

matrix  a run with model, read, idempotent and write tools, retry timers and a stream; the process dies at every commit
        in turn, before it and after it, and again inside the recovery that follows
random  kill -9 at random times, start included, under the load of many agents (--rounds, default 200)

The promises are checked from outside (harness/checker.py): nothing acknowledged is lost, no write is performed twice,
repeated idempotent calls carry the same key, no finished model call is repeated, streams never contradict themselves.
"""
import argparse
import sys
import unittest

from harness import crash, waiting

OPTIONS = argparse.Namespace(rounds=200, cells=0, seed=None)


class CrashMatrix(unittest.TestCase):
    def test_every_promise_holds_when_the_process_dies_at_any_commit_and_inside_recovery(self):
        outcome = crash.matrix(cells_max=OPTIONS.cells)
        print("\nkill points:\n" + "\n".join(outcome.lines()), flush=True)
        self.assertEqual(outcome.report.total(), 0, str(outcome.report))
        self.assertEqual(outcome.silent, [], "kill points that the process lived through")
        self.assertLessEqual(len(outcome.short), outcome.commits // 5, f"not reached: {outcome.short}")
        self.assertGreaterEqual(outcome.commits, OPTIONS.cells or 20)

    def test_every_promise_holds_through_random_kills_under_load(self):
        outcome = crash.random_kills(OPTIONS.rounds, seed=OPTIONS.seed)
        print(f"\nrandom kills (seed {outcome.seed}):\n" + "\n".join(outcome.lines()), flush=True)
        self.assertEqual(outcome.report.total(), 0, f"seed {outcome.seed}\n{outcome.report}")
        self.assertGreaterEqual(outcome.report.counts["kills"], OPTIONS.rounds)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="random kills")
    parser.add_argument("--cells", type=int, default=0, help="at most so many commits of the matrix; 0: all")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("which", nargs="*", choices=[[], "matrix", "random"])
    parser.parse_args(namespace=OPTIONS)
    waiting.overall_limit(580)
    tests = {"matrix": "test_every_promise_holds_when_the_process_dies_at_any_commit_and_inside_recovery",
             "random": "test_every_promise_holds_through_random_kills_under_load"}
    suite = unittest.TestSuite(CrashMatrix(tests[one]) for one in OPTIONS.which or tests)
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())


if __name__ == "__main__":
    main()
