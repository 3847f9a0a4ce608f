"""Times a kernel's first call in fresh processes, with its code on the disk and without."""

import json
import os
import subprocess
import sys
import tempfile

import pytest

from benchmarks.cases import cases
from benchmarks.measure import quantiles

ROUNDS = 6
# From the import of Numba to the result.
PROGRAM = """
import json, time
import tensorflow as tf, fastgen
x = tf.ones([4, 3])
start = time.perf_counter()
from fastgen import jit
from fastgen.jit import math
imported = time.perf_counter()
swish = jit.elementwise(lambda x, steepness: x * math.sigmoid(steepness * x), name="swish")
assert abs(float(swish(x, 1.0)[0, 0]) - 0.7310586) < 1e-6
print(json.dumps([imported - start, time.perf_counter() - start]))
"""


def first_calls():
    """Seconds of the imports and of all: nothing on the disk, then what that has left there."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "FASTGEN_CACHE": folder}
        return [_run(environment) for _ in ("empty", "filled")]


def _run(environment):
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", cases("compile"), ids=lambda case: case.name)
def test_first_call(benchmark, record, case):
    times = []
    benchmark.pedantic(lambda: times.append(first_calls()), rounds=ROUNDS, warmup_rounds=1)
    empty, filled = zip(*times[-ROUNDS:], strict=True)
    imports = [seconds for each in times[-ROUNDS:] for seconds, _ in each]
    figures = {
        "seconds": quantiles([seconds for _, seconds in filled]),
        "compiled": quantiles([seconds for _, seconds in empty]),
        "import": quantiles(imports),
    }
    benchmark.extra_info.update(figures=figures)
    record(case, figures)
