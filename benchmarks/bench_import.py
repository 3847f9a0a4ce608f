"""Times `import fastgen` on top of TensorFlow and Keras, in fresh processes."""

import json
import subprocess
import sys

import pytest

from benchmarks.cases import cases
from benchmarks.measure import quantiles

ROUNDS = 20
# Both are timed in one process, so that every round compares them on the same state of the machine.
PROGRAM = """
import json, time
start = time.perf_counter()
import tensorflow, keras
stock = time.perf_counter()
import fastgen, fastgen.ops, fastgen.layers
added = time.perf_counter()
assert fastgen.ops.gaussian_sample_kl and fastgen.layers.GaussianLatent
print(json.dumps([stock - start, added - stock]))
"""


def import_seconds():
    """Seconds for TensorFlow and Keras, and seconds added by fastgen."""
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("case", cases("import"), ids=lambda case: case.name)
def test_import(benchmark, record, case):
    times = []
    benchmark.pedantic(lambda: times.append(import_seconds()), rounds=ROUNDS, warmup_rounds=1)
    stock, added = zip(*times[-ROUNDS:], strict=True)
    figures = {"seconds": quantiles(added)}
    seconds = {"tensorflow, keras": quantiles(stock), "fastgen": quantiles(added)}
    benchmark.extra_info.update(figures=figures, seconds=seconds)
    record(case, figures, seconds=seconds)
