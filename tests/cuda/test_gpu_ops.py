"""The GPU half of the op library in TensorFlow, on a device of our own: plugin/device.cc."""

import os
import subprocess
import sys

import pytest

from fastgen import native
from tests.cuda import build

try:
    built = native.build_info()
except native.UnfitError as error:
    pytest.skip(str(error), allow_module_level=True)
if not built.get("tensorflow") or not built.get("cuda"):
    pytest.skip("the op library was built without CUDA", allow_module_level=True)


def test_ops_run_on_a_gpu_of_tensorflow():
    """A device is of a whole process, so that these tests need their own."""
    environment = {**os.environ, "FASTGEN_GPU_ON_CPU": "1", "PYTHONPATH": str(build.ROOT)}
    command = [sys.executable, "-m", "pytest", "tests/gpu", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        command, cwd=build.ROOT, env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "skipped" not in done.stdout
