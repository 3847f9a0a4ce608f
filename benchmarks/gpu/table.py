"""What a lab run prints last, 30 lines at most: `python -m benchmarks.gpu.table FOLDER`."""

import sys

from benchmarks.gpu import results
from benchmarks.gpu.row import GRAPH
from benchmarks.report import duration, times

LINES, WIDTH = 30, 160
SHORT = {"torch_compile": "compile", "torch_compile_graph": "compile+graph"}
SHORT |= {"torch_graph": "torch+graph", "triton_graph": "triton+graph", "fastgen": "by ctypes"}
SHORT |= {f"fastgen{GRAPH}": "our graph"}
RATES = {"copy": (1e12, "TB/s copied"), "float32": (1e12, "TFLOP/s float32")}
RATES |= {"tf32": (1e12, "tf32"), "bfloat16": (1e12, "bfloat16")}
TIMES = {"node": "an empty kernel in a graph", "launch": "launched"}


def line_of(records):
    """A row in one line: our time, shares, peers, bars met or not, what is missing."""
    row = records[0]
    ours = row["seconds"].get(row["ours"])
    if row["dry_run"]:
        right = sum(status == "timed" for status in row["status"].values())
        what = [f"{right} of {len(row['status'])} providers right"]
    else:
        what = [duration(ours["median"]) if ours else "unmeasured"]
        apart = results.spread(records)
        what += [f"±{apart:.0%}"] if apart is not None else []
        shares = {"copy": "of copy", "share": "of floor"}
        figures = row["figures"]
        what += [f"{figures[x]['median']:.0%} {shares[x]}" for x in shares if x in figures]
        what += [f"{SHORT.get(x, x)} {_ratio(row, x)}" for x in row["seconds"] if x != row["ours"]]
        marks = {None: "?", True: "✓", False: "✗"}
        what.append("".join(marks[bar["met"]] for bar in row["bars"]))
    status = row["status"].get(row["ours"], "was not run")
    what += [f"ours {status}"] if status != "timed" else []
    wrong = [x for x, y in row["status"].items() if y.startswith(("wrong", "failed", "killed"))]
    what += [f"{SHORT.get(x, x)}: {row['status'][x][:40]}" for x in wrong if x != row["ours"]]
    return f"{row['title'][:42]:42} {'  '.join(filter(None, what))}"[:WIDTH]


def _ratio(row, provider):
    figure = row["figures"].get(provider)
    return times(figure["median"]) if figure else duration(row["seconds"][provider]["median"])


def ceilings_line(ceilings):
    found = [f"{ceilings[x] / by:.2f} {unit}" for x, (by, unit) in RATES.items() if ceilings.get(x)]
    found += [f"{TIMES[x]} {duration(ceilings[x])}" for x in TIMES if ceilings.get(x)]
    return ", ".join(found)


def lost_lines(lost):
    """A line for each reason."""
    reasons = {}
    for one in lost:
        place = " ".join(filter(None, (one["row"], one["provider"])))
        reasons.setdefault(one["why"], []).append(place or "a worker")
    return [f"lost, {why}: {', '.join(places)}"[:WIDTH] for why, places in reasons.items()]


def lines(lab):
    """At most LINES of them."""
    head = ["DRY RUN: nothing here is a measurement"] if lab.dry_run else []
    place = lab.environment
    gpu, driver = place.get("gpu") or "no GPU", place.get("driver") or "unknown"
    head += [f"{gpu}, driver {driver}"[:WIDTH]]
    head += [ceilings_line(lab.ceilings)] if lab.ceilings else []
    pieces = [f"{x['name']} {x['outcome']} ({x['seconds']} s)" for x in lab.pieces]
    head += ["; ".join(pieces)[: 2 * WIDTH]] if pieces else []
    rows = [line_of(records) for records in lab.rows.values()]
    found = [*head, *rows, *lost_lines(lab.lost)]
    if len(found) > LINES:
        found = [*found[: LINES - 1], f"... and {len(found) - LINES + 1} lines more in the files"]
    return found


if __name__ == "__main__":
    print("\n".join(lines(results.read(sys.argv[1]))))
