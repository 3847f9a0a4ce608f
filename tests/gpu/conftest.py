"""TensorFlow's GPU: one of the machine's or, with FASTGEN_GPU_ON_CPU=1, the tests' own on the CPU.

`tests/cuda/test_gpu_ops.py` runs the tests here on the latter, in a process of its own. Without
either they are skipped.
"""

import contextlib
import ctypes
import os

import pytest

ON_CPU = os.environ.get("FASTGEN_GPU_ON_CPU") == "1"
if ON_CPU:  # before anything loads the libraries that are installed
    from tests.cuda import build

    folder = build.tensorflow_device()
    os.environ["FASTGEN_LIB_DIR"] = str(folder)
    ctypes.CDLL(folder / "libfastgen_core.so")


@pytest.fixture(scope="session", autouse=True)
def gpu():
    """The device's name."""
    if ON_CPU:
        from tensorflow.python.framework import load_library

        from fastgen import native

        core = native.library_folder() / "libfastgen_core.so"
        load_library.load_pluggable_device_library(str(core))
    elif "FASTGEN_GPU" not in os.environ:
        pytest.skip("FASTGEN_GPU=1 runs these on a GPU, tests/cuda/test_gpu_ops.py without one")
    import tensorflow as tf

    devices = tf.config.list_logical_devices("GPU")
    assert devices, "TensorFlow sees no GPU"
    return devices[0].name


@pytest.fixture(scope="session", autouse=True)
def driver(gpu):
    """The stand-in of CUDA's driver, for users' kernels, or None on a GPU."""
    if not ON_CPU:
        return None
    from fastgen import native
    from fastgen.jit import device_code
    from tests.cuda.driver import Driver

    made = Driver(native.core_library())
    device_code.capability, device_code._missing_compiler = lambda: (8, 0), lambda: None
    device_code.code_of, device_code.of_nothing = made.code_of, made.of_nothing
    return made


@pytest.fixture(autouse=True)
def fused(monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")


@contextlib.contextmanager
def _unguarded():
    if not ON_CPU:
        yield
        return
    from fastgen import native

    core = native.core_library()
    core.on_cpu_guard(0)
    try:
        yield
    finally:
        core.on_cpu_guard(1)


@pytest.fixture
def unguarded(gpu):
    """Lets TensorFlow's own kernels touch the tests' device: see tests/cuda/plugin/device.cc."""
    with _unguarded():
        yield


@pytest.fixture
def open_memory(gpu):
    """A context that does so for a part of a test."""
    return _unguarded
