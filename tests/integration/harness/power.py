"""Power cuts, by the preload library `unsynced.c`."""
import os
import struct
import tempfile

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
