"""Waiting on conditions, each with a limit. Tests never sleep to be in step with something."""
import faulthandler
import os
import sys
import threading
import time

POLL_SECONDS = 0.01


class Late(AssertionError):
    """The condition did not come true in time."""


def eventually(what, condition, seconds=20.0, poll=POLL_SECONDS):
    """The first true value of `condition()`; fails, naming `what`, when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() >= deadline:
            raise Late(f"not within {seconds:g} s: {what() if callable(what) else what}")
        time.sleep(poll)


at_deadline = []  # called before the process gives up, to end what it started


def overall_limit(seconds):
    """Ends the test process with every thread's stack when it takes longer: ctest's own limit would leave nodes behind."""

    def give_up():
        print(f"the test took more than {seconds} s; its threads:", file=sys.stderr, flush=True)
        faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
        for end in list(at_deadline):
            end()
        os._exit(1)

    timer = threading.Timer(seconds, give_up)
    timer.daemon = True
    timer.start()
