"""The preload libraries of tests/integration/preload, built here with cc."""
import os
import subprocess
import unittest

from .node import BINARY, environment

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "preload")
FLAGS = ["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-nonnull-compare"]


def compiled(source, into, *flags):
    """Gives the path of what was made of the source: `NAME.so` with -shared, else the program `NAME`."""
    made = os.path.join(into, source.removesuffix(".c") + (".so" if "-shared" in flags else ""))
    subprocess.run([os.environ.get("CC", "cc"), *FLAGS, *flags, os.path.join(SOURCES, source), "-o", made, "-ldl", "-lpthread"],
                   check=True)
    return made


def library(source, into):
    """Skips the test where the node cannot be run with it."""
    made = compiled(source, into, "-shared", "-fPIC")
    tried = subprocess.run([BINARY, "version"], env=environment({"LD_PRELOAD": made}), capture_output=True, text=True, check=False)
    if "runtime does not come first" in tried.stderr:
        raise unittest.SkipTest("a sanitizer's runtime does not go together with a preload library")
    if tried.returncode != 0:
        raise AssertionError(f"{BINARY} does not run under {source}: {tried.stderr}")
    return made
