"""What a run leaves behind: one JSON with the environment and a record per case."""

import json
import os
import platform
from pathlib import Path

from benchmarks.cases import CASES
from benchmarks.report import RESULTS


def environment(versions, threads):
    from fastgen import core

    return {
        "cpu": _cpu(),
        "isa": core.isa(),
        "threads": threads,
        "python": platform.python_version(),
        "system": platform.system(),
        "versions": versions,
    }


def _cpu():
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def record(case, figures, **details):
    """The row of one case: its figures, and its bars with whether they are met."""
    bars = []
    for bar in case.bars:
        value = figures[bar.figure]["median"]
        wanted = {"at_least": bar.at_least, "at_most": bar.at_most, "stretch": bar.stretch}
        wanted = {name: limit for name, limit in wanted.items() if limit is not None}
        bars.append({"figure": bar.figure, **wanted, "value": value, "met": bar.met(value)})
    return {
        "name": case.name,
        "title": case.title,
        "measure": case.measure,
        "shape": list(case.shape),
        "dtype": case.dtype,
        **details,
        "figures": figures,
        "bars": bars,
    }


def write(records, environment, path=None):
    """Write a complete run; an incomplete one only where FASTGEN_BENCH_RESULTS says.

    Returns:
        The path written, or None.
    """
    path = path or os.environ.get("FASTGEN_BENCH_RESULTS")
    rows = [records[case.name] for case in CASES if case.name in records]
    if not path and len(rows) < len(CASES):
        return None
    path = Path(path or RESULTS)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"environment": environment, "rows": rows}, indent=1) + "\n")
    return path
