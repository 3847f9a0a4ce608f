"""CUDA kernels on the CPU under AddressSanitizer or, with FASTGEN_CUDA_TEST=gpu, on a GPU."""

import ctypes
import os
import subprocess
import sys

import pytest

from fastgen import native
from tests.cuda import build, core_on_gpu, memory, worker

ON_GPU = os.environ.get("FASTGEN_CUDA_TEST") == "gpu"


class OnCpu:
    """Calls in the worker."""

    def __init__(self):
        self._worker = worker.Worker(build.sanitized())
        self.run = self._worker.run
        self.close = self._worker.close


class OnGpu:
    """Calls in this process, of the library that was built for the GPU."""

    def __init__(self):
        self._library, self._memory = ctypes.CDLL(native.core_library()._name), memory.Gpu()

    def run(self, function, *arguments):
        return function(self._library, self._memory, *arguments)

    def close(self):
        pass


@pytest.fixture(scope="session")
def cuda():
    """Has `run(function, *arguments)` for functions `(library, memory, *arguments)`."""
    device = OnGpu() if ON_GPU else OnCpu()
    yield device
    device.close()


@pytest.fixture
def call(cuda):
    """Calls a kernel by its C name: see `tests.cuda.memory.call`."""

    def call(function, *arguments):
        results = cuda.run(memory.call, function, arguments)
        return results[0] if len(results) == 1 else results

    return call


@pytest.fixture(scope="session")
def run_core():
    """Runs code on fastgen.core and CuPy's stand-in, after the prologue; its output."""
    if ON_GPU:
        pytest.skip("CuPy's stand-in is for machines without a GPU")
    try:
        built = native.build_info()
    except native.UnfitError as error:
        pytest.skip(str(error))
    if not built.get("cuda"):
        pytest.skip("fastgen.core was built without CUDA")
    folder = build.tensorflow_device()

    def run(code, **environment):
        path = os.pathsep.join([str(build.ROOT / "tests/cuda/stand_in"), str(build.ROOT)])
        command = [sys.executable, "-c", core_on_gpu.PROLOGUE + code, str(folder)]
        environment = {**os.environ, "PYTHONPATH": path, **environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run
