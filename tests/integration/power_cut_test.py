#!/usr/bin/env python3
"""The same promises when the power goes: kill -9 leaves the page cache, so here every file of the node is cut back to its
last synced length at every kill (preload/unsynced.c).

usage: power_cut_test.py [--rounds N] [--stride N] [--seed N] [library] [matrix] [random] [without_fsync]

library        what the library leaves of files written in known ways
matrix         the crash matrix, every --stride-th commit (default 1: all)
random         random kills under load (--rounds, default 200), half of them with torn tails
without_fsync  the proof that the others prove something: without the fsync of the commit, the checker finds losses
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from harness import crash, preload, waiting
from harness.node import environment
from harness.power import Power

OPTIONS = argparse.Namespace(rounds=200, stride=1, seed=None)


class PowerCut(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.mkdtemp(prefix="holdfast-preload-")
        cls.addClassCleanup(shutil.rmtree, cls.folder, ignore_errors=True)
        cls.library = preload.library("unsynced.c", cls.folder)
        cls.check = preload.compiled("unsynced_check.c", cls.folder)

    def power(self, **options):
        return lambda folder: Power(self.library, folder, **options)

    def test_the_library_leaves_what_was_synced_and_nothing_else(self):
        kept = {"never-synced": "", "synced": "kept", "wal.log": "kept,also kept,", "renamed": "kept", "truncated": "0123",
                "emptied": "", "overwritten": "012x456789"}
        self.assertEqual(self.files_left(), (kept, {"overwrites": 1, "ignored": 0}))
        self.assertEqual(self.files_left(ignore=".log"), ({**kept, "wal.log": ""}, {"overwrites": 1, "ignored": 2}))
        left, counts = self.files_left(ignore="1")
        self.assertEqual(set(left.values()), {""})
        self.assertEqual(counts["ignored"], 7)

    def files_left(self, ignore=None):
        folder = tempfile.mkdtemp(dir=self.folder)
        power = Power(self.library, folder, ignore)
        died = subprocess.run([self.check, folder], env=environment(power.env), check=False)
        self.assertEqual(died.returncode, -9)
        self.assertEqual(power.counts()["cuts"], 0)
        subprocess.run([self.check], env=environment(power.env), check=True)
        counts = power.counts()
        self.assertEqual(counts["cuts"], 1)
        power.remove()
        left = {}
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                left[name] = file.read()
        return left, {name: counts[name] for name in ("overwrites", "ignored")}

    def test_every_promise_holds_when_the_power_goes_at_any_commit_and_inside_recovery(self):
        outcome = crash.matrix(power=self.power(), stride=OPTIONS.stride)
        print("\nkill points, power cut:\n" + "\n".join(outcome.lines()), flush=True)
        self.assertEqual(outcome.report.total(), 0, str(outcome.report))
        self.assertEqual(outcome.silent, [], "kill points that the process lived through")
        self.assertLessEqual(len(outcome.short), outcome.commits // 5, f"not reached: {outcome.short}")
        self.holds_for_the_model(outcome.report)

    def test_every_promise_holds_when_the_power_goes_at_random_under_load(self):
        for torn, rounds in ((False, OPTIONS.rounds - OPTIONS.rounds // 2), (True, OPTIONS.rounds // 2)):
            outcome = crash.random_kills(rounds, seed=OPTIONS.seed, power=self.power(torn=torn))
            print(f"\nrandom power cuts{', torn tails' * torn} (seed {outcome.seed}):\n" + "\n".join(outcome.lines()), flush=True)
            self.assertEqual(outcome.report.total(), 0, f"seed {outcome.seed}\n{outcome.report}")
            self.holds_for_the_model(outcome.report)

    def holds_for_the_model(self, report):
        """The library was at work, and nothing happened that it does not model."""
        self.assertGreater(report.counts["power cuts"], 0)
        self.assertGreater(report.counts["syncs noted"], 0)
        self.assertEqual(report.counts["syncs ignored"], 0)
        self.assertEqual(report.counts["synced bytes overwritten"], 0)

    def test_without_the_fsync_of_the_commit_acknowledged_events_are_lost_and_the_checker_sees_it(self):
        outcome = crash.one_power_cut(self.power(ignore=".log"))
        print("\nwithout the fsync of the commit:\n" + "\n".join(outcome.lines()), flush=True)
        self.assertGreater(outcome.report.counts["syncs ignored"], 0)
        self.assertGreater(len(outcome.report.broken["acknowledged events lost"]), 0, "the checker has seen nothing")
        outcome = crash.one_power_cut(self.power())
        self.assertEqual(outcome.report.total(), 0, f"the same run with the fsync\n{outcome.report}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=200, help="random power cuts")
    parser.add_argument("--stride", type=int, default=1, help="the matrix takes every so many-th commit")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("which", nargs="*", choices=[[], "library", "matrix", "random", "without_fsync"])
    parser.parse_args(namespace=OPTIONS)
    waiting.overall_limit(580)
    tests = {"library": "test_the_library_leaves_what_was_synced_and_nothing_else",
             "matrix": "test_every_promise_holds_when_the_power_goes_at_any_commit_and_inside_recovery",
             "random": "test_every_promise_holds_when_the_power_goes_at_random_under_load",
             "without_fsync": "test_without_the_fsync_of_the_commit_acknowledged_events_are_lost_and_the_checker_sees_it"}
    suite = unittest.TestSuite(PowerCut(tests[one]) for one in OPTIONS.which or tests)
    sys.exit(not unittest.TextTestRunner(verbosity=2).run(suite).wasSuccessful())


if __name__ == "__main__":
    main()
