"""A program with native agents, built against the library that stands beside the binary."""
import os
import shlex
import subprocess
import tempfile
import unittest

from .node import BINARY, ROOT

SOURCE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "native", "agents.cpp")

DEFINITIONS = "".join(f"""---
kind: agent
type: {name}
behaviour: native
""" for name in ("sleeper", "waiter", "asker", "counter", "echo", "loop")) + """---
kind: agent
type: breaker
behaviour: native
limits: { handler_attempts: 3 }
---
kind: agent
type: thrower
behaviour: native
limits: { handler_attempts: 8 }
"""


def build():
    """The program, built anew when something is newer. Skips where the library was not built."""
    beside = os.path.dirname(BINARY)
    library = os.path.join(beside, "libholdfast.so")
    if not os.path.exists(library):
        raise unittest.SkipTest(f"no {library}: build the target holdfast_shared to run this")
    program = os.path.join(beside, "integration_agents")
    header = os.path.join(ROOT, "runtime/native/holdfast/agent.hpp")
    if os.path.exists(program) and os.path.getmtime(program) > max(os.path.getmtime(one) for one in (SOURCE, header, library)):
        return program
    handle, fresh = tempfile.mkstemp(dir=beside)
    os.close(handle)
    subprocess.run([*shlex.split(os.environ.get("CXX", "c++")), "-std=c++20", "-O0", "-I",
                    os.path.join(ROOT, "runtime/native"), SOURCE, "-o", fresh, "-L", beside, "-lholdfast",
                    "-Wl,-rpath,$ORIGIN"], check=True)
    os.replace(fresh, program)
    return program
