"""What stopped folders hold of the groups' logs, against each other."""
import struct

from . import rocks

LOG_RANGE = b"\x06"  # of a group in `meta`: what the log is while entries that are out of it are erased


def _varints(message):
    """Number → value of the varint fields of a Protobuf message; those of other kinds are none here."""
    out, at = {}, 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7f) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        tag = varint()
        if tag & 7:
            raise ValueError(f"field {tag >> 3} is no varint: {message!r}")
        out[tag >> 3] = varint()
    return out


def entries(data):
    """Group → index → (term, the entry's bytes) of what is committed: applied, and not trimmed."""
    out = {}
    with rocks.Folder(data) as folder:
        applied, bounds = {}, {}
        for key, value in folder.items("meta"):
            if key[2:] == rocks.LOG_STATE:
                applied[key[:2]] = struct.unpack(">QQ", value[1:])[1]
            elif key[2:] == LOG_RANGE:
                fields = _varints(value[1:])
                bounds[key[:2]] = (fields.get(1, 0), fields.get(2, 0))
        for key, value in folder.items("log"):
            group, index = key[:2], struct.unpack(">Q", key[2:])[0]
            first, last = bounds.get(group, (0, index))
            if first <= index <= min(last, applied.get(group, 0)):
                head = int.from_bytes(value[1:5], "big")
                out.setdefault(group.hex(), {})[index] = (_varints(value[5:5 + head])[1], value)
    return out


def compare(held, report):
    """`held`: name of a node → its `entries`. An index has one entry, of one term, on every node; and terms do not go back."""
    for group in sorted({group for of_node in held.values() for group in of_node}):
        known = {}
        for name, of_node in held.items():
            newest = 0
            for index, (term, entry) in sorted(of_node.get(group, {}).items()):
                if term < newest:
                    report.break_promise("steps of two terms", f"{name}, group {group}: term {term} at {index} after {newest}")
                newest = term
                if index not in known:
                    known[index] = (term, entry, name)
                    continue
                report.counts["log entries compared"] += 1
                if known[index][:2] != (term, entry):
                    report.break_promise("steps of two terms", f"group {group} at {index}: term {term} on {name}, "
                                                               f"{known[index][0]} on {known[index][2]}")
