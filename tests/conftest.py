"""Settings and fixtures of all tests. TensorFlow is imported by the tests that need it."""

import gc
import os
import signal
import subprocess
import sys
from pathlib import Path

import hypothesis
import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# NumPy computes references: its threads would wait, spinning, for cores that other tests use.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# A GPU of this machine multiplies in tf32, which the CPU's bounds do not allow: for tests of it
# alone, which are told so.
if not {"FASTGEN_GPU", "FASTGEN_CUDA_TEST"} & set(os.environ):
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
# Kernels that Numba compiles, for all processes of a run and for the next.
os.environ["FASTGEN_CACHE"] = str(Path(__file__).resolve().parent.parent / ".pytest_cache/kernels")
# Shared cores: a slow example says nothing.
hypothesis.settings.register_profile("fastgen", deadline=None, derandomize=True, max_examples=60)
hypothesis.settings.load_profile("fastgen")
# What a script starts in the background is born deaf to Ctrl-C, and so are its children.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent


def pytest_collection_finish():
    """What imports made lives to the end: collections need not visit it, nor come after each 700.

    Traces make millions of objects: collections would take a tenth to a fifth of a run.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


@pytest.fixture(params=["fused", "composite"])
def path(request, monkeypatch):
    """Each path of an op in turn; where the fused one cannot be had, the test fails."""
    monkeypatch.setenv("FASTGEN_BACKEND", request.param)
    return request.param


@pytest.fixture
def fused(monkeypatch):
    """The fused path, or failure."""
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")


@pytest.fixture
def stock_xla(monkeypatch):
    """XLA that cannot call our kernels."""
    from fastgen import dispatch

    monkeypatch.setattr(dispatch, "_missing_custom_calls", lambda op: "not built")


@pytest.fixture
def start_python():
    """Start Python on code, with variables added to the environment; returns the Popen."""
    started = []

    def start(code, **environment):
        environment = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
        process = subprocess.Popen(
            [sys.executable, "-c", code],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def run_python(start_python):
    """Run Python on code to its end; returns what it printed, and fails if it fails."""

    def run(code, **environment):
        process = start_python(code, **environment)
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-4000:]
        return output

    return run
