"""Runs rows in worker processes, each row within its time, and appends what they say to a file.

A worker that crashes or takes too long loses the provider it was at; the next one goes on with the
same row without that provider.
"""

import argparse
import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from benchmarks.gpu.rows import choose
from benchmarks.gpu.table import line_of

ROOT = Path(__file__).resolve().parents[2]
STARTING = 120  # seconds until the first row begins: imports, and ceilings
FALSE_STARTS = 2


class Lines:
    """A file of JSON lines, each on the disk before the next is made."""

    def __init__(self, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a", encoding="utf-8")

    def add(self, line):
        self._file.write(json.dumps(line, ensure_ascii=False) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


class Life:
    """A worker, from its start to its end."""

    def __init__(self, command, rows):
        self.limits = {row.name: row.seconds for row in rows}
        self.row = self.provider = None  # it is at
        self.why = ""  # it ended
        self._lines, self._until = queue.Queue(), time.monotonic() + STARTING
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for text in self._process.stdout:
            self._lines.put(text)
        self._lines.put(None)

    def lines(self, deadline):
        """What it says, until it ends or is ended."""
        while True:
            try:
                until = min(self._until, deadline)
                text = self._lines.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                self.why = "took too long"
                return self.end()
            if text is None:
                code = self._process.wait()
                self.why = self.why or f"ended with exit code {code}"
                return None
            line = json.loads(text)
            if line["kind"] == "begin":
                if line["row"] != self.row:
                    self._until = time.monotonic() + self.limits[line["row"]]
                self.row, self.provider = line["row"], line["provider"]
            elif line["kind"] == "fault":
                self.why = line["why"]
            else:
                yield line

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def run(rows, command, lines, deadline):
    """All rows, in as many lives as it takes; returns those that were left when time was up."""
    left, skips, false_starts = list(rows), [], 0
    while left and time.monotonic() < deadline and false_starts < FALSE_STARTS:
        life = Life([*command, *skips, *(row.name for row in left)], left)
        try:
            for line in life.lines(deadline):
                lines.add(line)
                if line["kind"] == "row":
                    left = [row for row in left if row.name != line["name"]]
                    print(line_of([line]), flush=True)
        finally:
            life.end()
        if not left or time.monotonic() >= deadline:
            break
        lost = {"kind": "lost", "row": life.row, "provider": life.provider, "why": life.why}
        lines.add(lost)
        print(f"lost {life.row} {life.provider}: {life.why}", flush=True)
        if life.row is None:
            false_starts += 1
        elif life.provider and life.row == left[0].name:
            skips += ["--skip", f"{life.row}:{life.provider}"]
        elif life.row == left[0].name:  # by turns: whose fault it was is not known
            left = left[1:]
        else:
            false_starts += 1
    return left


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="", help="names, by commas; default: all")
    parser.add_argument("--lines", type=Path, required=True, help="the file to append to")
    parser.add_argument("--seconds", type=float, default=540, help="for all of them")
    parser.add_argument("--runs", type=int, default=1, help="of all rows, one after the other")
    parser.add_argument("worker", nargs="*", help="after --: what its workers are told")
    options = parser.parse_args(arguments)
    # Ended by a signal, the worker must not outlive us.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    deadline, lines = time.monotonic() + options.seconds, Lines(options.lines)
    rows = choose([name for name in options.rows.split(",") if name])
    for number in range(1, options.runs + 1):
        command = [
            sys.executable,
            "-m",
            "benchmarks.gpu.worker",
            *options.worker,
            "--run",
            str(number),
        ]
        if left := run(rows, command, lines, deadline):
            late = time.monotonic() >= deadline
            why = "no time left" if late else "workers do not start"
            for row in left if number == 1 else []:
                lines.add({"kind": "lost", "row": row.name, "provider": None, "why": why})
            return 1 if number == 1 else 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
