"""One object for each measurement (INTERFACE §5), as a table and as JSON."""

import json

FIELDS = ["bench", "clients", "rate_per_s", "p50_ms", "p99_ms", "cpu_us_per_op", "commits_per_op", "reads_per_op",
          "handoffs_per_op", "bytes_per_op", "rss_mb", "reference", "reference_rate_per_s", "ratio", "note"]
HEADS = {"rate_per_s": "rate/s", "p50_ms": "p50 ms", "p99_ms": "p99 ms", "cpu_us_per_op": "CPU us",
         "commits_per_op": "commits", "reads_per_op": "reads", "handoffs_per_op": "handoffs", "bytes_per_op": "bytes",
         "rss_mb": "RSS MB", "reference_rate_per_s": "ref/s"}
DIGITS = {"rate_per_s": 4, "p50_ms": 3, "p99_ms": 3, "cpu_us_per_op": 3, "commits_per_op": 3, "reads_per_op": 3,
          "handoffs_per_op": 3, "bytes_per_op": 4, "rss_mb": 3, "reference_rate_per_s": 4, "ratio": 3}


def rounded(value, digits):
    """To so many significant digits."""
    return float(f"{value:.{digits}g}")


def figure(bench, **fields):
    """Fields that are None are left out; a ratio is made where rate and reference are known."""
    unknown = set(fields) - set(FIELDS)
    assert not unknown, unknown
    rate, reference = fields.get("rate_per_s"), fields.get("reference_rate_per_s")
    if rate and reference and "ratio" not in fields:
        fields["ratio"] = rate / reference
    out = {"bench": bench}
    for name in FIELDS[1:]:
        value = fields.get(name)
        if value is not None:
            out[name] = rounded(value, DIGITS[name]) if name in DIGITS else value
    return out


def text_of(value):
    if isinstance(value, float):
        return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
    return str(value)


def print_table(figures):
    names = [name for name in FIELDS if any(name in one for one in figures)]
    rows = [[HEADS.get(name, name) for name in names]]
    rows += [[text_of(one.get(name, "")) for name in names] for one in figures]
    widths = [max(len(row[i]) for row in rows) for i in range(len(names))]
    words = {"bench", "reference", "note"}
    for row in rows:
        cells = [cell.ljust(width) if name in words else cell.rjust(width)
                 for name, cell, width in zip(names, row, widths)]
        print("  ".join(cells).rstrip())


def write_json(figures, path):
    with open(path, "w", encoding="utf-8") as file:
        json.dump(figures, file, indent=1)
        file.write("\n")
