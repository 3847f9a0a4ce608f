"""A profile of a stretch of a program, by TensorFlow's profiler."""

import contextlib
import json
import tempfile
import threading
import time
from pathlib import Path

import tensorflow as tf

from fastgen.profiling import ceilings, memory, ranges, stock, table
from fastgen.profiling.rows import rows_of
from fastgen.profiling.trace import Trace, load

LOOK = 0.25  # seconds between looks at memory
GROWTH = 2**30  # bytes
_now = time.perf_counter


class Profile:
    """What `fastgen.profile` gives, and `with` opens; see there.

    Attributes:
        rows: list of dicts, one for each op at some shapes and on a path.
        seconds: how long was recorded.
        memory: most bytes by device, and of the process.
        ceilings: bytes and operations a second that the machine allows, or None.
        notes: lines that say what is missing.
    """

    _open = None

    def __init__(self, stock, quiet, seconds, trace, nvtx):
        self.rows, self.memory, self.notes = [], {}, []
        self.seconds, self.ceilings = 0.0, None
        self._stock, self._quiet, self._nvtx = stock, quiet, nvtx
        self._limit, self._trace = seconds, trace
        self._lock, self._recording = threading.Lock(), False
        self._ended, self._written = threading.Event(), False
        self._left = contextlib.ExitStack()

    def __enter__(self):
        if Profile._open is not None:
            raise RuntimeError(
                "fastgen.profile: a profile is open already, and profiles do not nest"
            )
        if self.seconds:
            raise RuntimeError("fastgen.profile: a profile is of one use: open another")
        with contextlib.ExitStack() as undo:
            if ranges.wanted(self._nvtx):
                undo.enter_context(ranges.ranges("profile"))
            self._folder = self._trace or undo.enter_context(tempfile.TemporaryDirectory())
            memory.reset()
            self._start()
            self._left = undo.pop_all()
        return self

    def _start(self):
        try:
            tf.profiler.experimental.start(str(self._folder))
        except tf.errors.AlreadyExistsError as error:
            raise RuntimeError(
                "fastgen.profile: TensorFlow's profiler is running already: stop it first, and "
                "give keras.callbacks.TensorBoard profile_batch=0"
            ) from error
        self._began, self._recording, Profile._open = _now(), True, self
        self._ended.clear()
        threading.Thread(target=self._watch, args=[memory.resident()], daemon=True).start()

    def _watch(self, resident):
        """End the recording where it takes too long, or too much: all of it is kept in memory."""
        while not self._ended.wait(min(LOOK, max(0, self._began + self._limit - _now()))):
            if _now() >= self._began + self._limit:
                seconds = f"{self._limit:g} seconds"
                return self._stop(f"the first {seconds} were recorded; seconds= sets how many")
            if memory.resident() - resident > GROWTH:
                grown = f"until the process had grown by {GROWTH / 2**30:g} GiB"
                return self._stop(f"what ran was recorded {grown}")

    def _stop(self, note=None):
        """End the recording, once."""
        with self._lock:
            if not self._recording:
                return
            self._recording = False
            self._ended.set()
            self.seconds = _now() - self._began
            if note:
                self.notes.append(note)
            try:
                tf.profiler.experimental.stop()
                self._written = True
            except tf.errors.UnavailableError:
                self.notes.append("TensorFlow's profiler was stopped inside: what it saw is lost")
            except tf.errors.OpError as error:  # no folder that can be written
                self.notes.append(f"the trace could not be written: {error.message}")

    def __exit__(self, kind, error, traceback):
        try:
            self._stop()
            self.memory = memory.peaks()
            space = load(self._folder) if self._written else None
            found = space and Trace(space)
        finally:
            Profile._open = None
            self._left.close()
        if found and found.calls:
            self.ceilings = ceilings.measure()
        if found:
            compare = stock.compare if self._stock and kind is None else None
            self.rows = rows_of(found, self.ceilings, compare)
        if not self._quiet:
            self.table()

    def table(self):
        """Print what was seen."""
        table.print_profile(self)

    def plot(self, path=None):
        """Draw it, as `fastgen.plots.profile` does.

        Args:
            path: `.png` to write.

        Returns:
            The `matplotlib.figure.Figure`.

        Raises:
            ImportError: without matplotlib; says how to install it.
        """
        from fastgen import plots

        return plots.profile(self.rows, path)

    def save(self, path):
        """Write rows, seconds, memory, ceilings and notes as JSON."""
        found = {
            "seconds": self.seconds,
            "memory": self.memory,
            "ceilings": self.ceilings and self.ceilings._asdict(),
            "notes": self.notes,
            "rows": self.rows,
        }
        Path(path).write_text(json.dumps(found, indent=1, ensure_ascii=False), encoding="utf-8")
