"""Power cuts: the preload library of tests/integration/preload, built here with cc."""
import os
import struct
import subprocess
import tempfile

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "preload")


def build(into):
    """Gives (library, its check program)."""
    library, check = os.path.join(into, "unsynced.so"), os.path.join(into, "unsynced_check")
    flags = ["-O1", "-g", "-Wall", "-Wextra", "-Werror", "-Wno-nonnull-compare"]
    compiler = os.environ.get("CC", "cc")
    subprocess.run([compiler, *flags, "-shared", "-fPIC", os.path.join(SOURCES, "unsynced.c"), "-o", library, "-ldl",
                    "-lpthread"], check=True)
    subprocess.run([compiler, *flags, os.path.join(SOURCES, "unsynced_check.c"), "-o", check], check=True)
    return library, check


class Power:
    """The power of one folder. `env` goes to every process that writes to it, and to nobody else."""

    def __init__(self, library, folder, ignore=None, torn=False):
        handle, self.table = tempfile.mkstemp(prefix="unsynced-")
        os.close(handle)
        self.env = {"LD_PRELOAD": library, "UNSYNCED_DIR": folder, "UNSYNCED_TABLE": self.table}
        if ignore:
            self.env["UNSYNCED_IGNORE_FSYNC"] = ignore
        if torn:
            self.env["UNSYNCED_TAIL"] = "torn"

    def counts(self):
        with open(self.table, "rb") as table:
            names = ("magic", "syncs", "ignored", "overwrites", "cut_files", "cut_bytes", "cuts")
            return dict(zip(names, struct.unpack("<7Q", table.read(56))))

    def remove(self):
        os.unlink(self.table)
