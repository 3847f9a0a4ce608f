"""A process that runs the kernels compiled for the CPU under AddressSanitizer, and its client.

Python itself is not built with the sanitizer, so that its library must be there before all others:
hence a process of its own, which NumPy is enough for. A report of the sanitizer ends it, and is the
error of the test that asked.
"""

import ctypes
import importlib
import io
import os
import pickle
import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[2]
SERVE = "import sys; from tests.cuda.worker import serve; serve(sys.argv[1])"


class Pickler(pickle.Pickler):
    """Arrays keep the last bits of their address."""

    def reducer_override(self, value):
        if type(value) is not np.ndarray:
            return NotImplemented
        offset = value.ctypes.data % 16
        return _array, (value.tobytes(), value.dtype, value.shape, offset)


def _array(data, dtype, shape, offset):
    from tests.cuda.memory import at_offset

    place = at_offset(len(data), offset)
    place[:] = np.frombuffer(data, np.uint8)
    return place.view(dtype).reshape(shape) if len(data) else np.empty(shape, dtype)


def _send(stream, value):
    text = io.BytesIO()
    Pickler(text).dump(value)
    stream.write(struct.pack("q", text.tell()) + text.getvalue())
    stream.flush()


def _receive(stream):
    size = stream.read(8)
    if len(size) < 8:
        raise EOFError
    return pickle.loads(stream.read(struct.unpack("q", size)[0]))


class Worker:
    """Runs functions `(library, memory, *arguments)` in the process, one at a time."""

    def __init__(self, library):
        self._library = library
        self._process = None

    def run(self, function, *arguments):
        """The function's result; its exception; or RuntimeError with the sanitizer's report."""
        if self._process is None:
            self._start()
        try:
            _send(self._process.stdin, (function.__module__, function.__name__, arguments))
            good, result = _receive(self._process.stdout)
        except (EOFError, BrokenPipeError):
            report = self.close()
            raise RuntimeError(f"CUDA on the CPU ended with:\n{report}") from None
        if not good:
            raise result
        return result

    def _start(self):
        sanitizer = subprocess.run(
            [os.environ.get("CXX", "g++"), "-print-file-name=libasan.so"],
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115, close() does
        self._process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(self._library)],
            cwd=ROOT,
            env={
                **os.environ,
                "LD_PRELOAD": sanitizer,
                "ASAN_OPTIONS": "detect_leaks=0:detect_stack_use_after_return=0",
                "UBSAN_OPTIONS": "print_stacktrace=1",
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
        )

    def close(self):
        """End the process; what it said on stderr."""
        if self._process is None:
            return ""
        process, self._process = self._process, None
        process.stdin.close()
        process.wait()
        process.stdout.close()
        self._errors.seek(0)
        with self._errors as errors:
            return errors.read()


def serve(path):
    from tests.cuda.memory import Heap

    requests, answers = os.fdopen(0, "rb"), os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever prints goes to the report
    library, memory = ctypes.CDLL(path), Heap()
    while True:
        try:
            module, name, arguments = _receive(requests)
        except EOFError:
            return
        try:
            answer = (
                True,
                getattr(importlib.import_module(module), name)(library, memory, *arguments),
            )
        except Exception as error:
            answer = False, error
        _send(answers, answer)
