"""Memory and threads: the noise is never stored, and no result depends on the thread count."""

import functools

import pytest
import tensorflow as tf

from tests.ops.cases import call, each_op, parameters

CPU = "CPU:0"


def peak_bytes(function, *arguments):
    """Most memory held at once while function runs, beyond what was held before."""
    function(*arguments)  # traces, and lets TensorFlow allocate what it keeps
    before = tf.config.experimental.get_memory_info(CPU)["current"]
    tf.config.experimental.reset_memory_stats(CPU)
    outputs = function(*arguments)
    peak = tf.config.experimental.get_memory_info(CPU)["peak"] - before
    returned = sum(x.dtype.size * x.shape.num_elements() for x in tf.nest.flatten(outputs))
    return peak, returned


@each_op
@pytest.mark.parametrize("graph", [True, False], ids=["graph", "eager"])
def test_memory_is_inputs_outputs_and_gradients(monkeypatch, name, graph):
    mean, log_var = parameters((65536, 64), tf.float32)
    upstream = [tf.ones_like(out) for out in call(name, mean, log_var)]

    def step(mean, log_var, *upstream):
        with tf.GradientTape() as tape:
            tape.watch([mean, log_var])
            outputs = call(name, mean, log_var)
        return outputs, tape.gradient(outputs, [mean, log_var], upstream)

    measure = functools.partial(
        peak_bytes, tf.function(step) if graph else step, mean, log_var, *upstream
    )
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")
    peak, returned = measure()
    # d_mean of gaussian_sample is the upstream gradient itself. 64 KiB: bookkeeping.
    assert peak <= returned + 2**16
    monkeypatch.setenv("FASTGEN_BACKEND", "composite")
    if graph:
        measure = functools.partial(peak_bytes, tf.function(step), mean, log_var, *upstream)
    assert measure()[0] > returned + 2**20, "the measurement sees nothing"


SCRIPT = """
import hashlib
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(THREADS)
from tests.ops.cases import array, call, gradients, parameters, OPS
digest = hashlib.sha256()
for dtype in (tf.float32, tf.float64, tf.bfloat16):
    for shape in [(7, 10), (32, 10), (33, 10), (256, 65), (20001, 10), (2, 100003)]:
        mean, log_var = parameters(shape, dtype)
        for name in OPS:
            function = lambda *x: call(name, *x)
            for x in (*function(mean, log_var), *gradients(function, mean, log_var)):
                digest.update(array(x).tobytes())
print(digest.hexdigest())
"""


def test_any_number_of_threads_gives_the_same_bits(start_python):
    processes = {
        threads: start_python(f"THREADS = {threads}\n{SCRIPT}", FASTGEN_BACKEND="fused")
        for threads in (1, 2, 3, 8)
    }
    digests = {}
    for threads, process in processes.items():
        output, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-4000:]
        digests[threads] = output.strip()
    assert len(set(digests.values())) == 1, digests
