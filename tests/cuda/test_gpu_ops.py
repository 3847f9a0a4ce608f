"""The GPU half of the op library in TensorFlow, on a device of our own: plugin/device.cc."""

import os
import subprocess
import sys
from ctypes.util import find_library

import pytest

from fastgen import native
from tests.cuda import build

try:
    built = native.build_info()
except native.UnfitError as error:
    pytest.skip(str(error), allow_module_level=True)
if not built.get("tensorflow") or not built.get("cuda"):
    pytest.skip("the op library was built without CUDA", allow_module_level=True)


# Code of a user's kernel that no driver sees.
WITHOUT_A_DRIVER = """
import os
from tests.cuda import build
os.environ["FASTGEN_LIB_DIR"] = str(build.tensorflow_device())
from tensorflow.python.framework import load_library
from fastgen import native
load_library.load_pluggable_device_library(str(native.library_folder() / "libfastgen_core.so"))
import tensorflow as tf
from fastgen import jit
from fastgen.jit import device_code
device_code.capability, device_code._missing_compiler = lambda: (8, 0), lambda: None
device_code.of_nothing = lambda: ("entry", ".version 8.0")
try:
    jit.elementwise(lambda x: 2 * x, name="twice")([1.0])
except tf.errors.FailedPreconditionError as error:
    print(error.message)
"""


def run(*command):
    """A device is of a whole process, so that these tests need their own."""
    environment = {**os.environ, "FASTGEN_GPU_ON_CPU": "1", "PYTHONPATH": str(build.ROOT)}
    done = subprocess.run(
        [sys.executable, *command],
        cwd=build.ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_ops_run_on_a_gpu_of_tensorflow():
    said = run("-m", "pytest", "tests/gpu", "-q", "-p", "no:cacheprovider")
    assert "skipped" not in said


@pytest.mark.skipif(bool(find_library("cuda")), reason="this machine has a driver")
def test_without_a_driver():
    said = run("-c", WITHOUT_A_DRIVER)
    assert "PTX of numba.cuda: no CUDA driver: libcuda.so.1: cannot open" in said
