"""Memory and threads: the noise is never stored, and no result depends on the thread count."""

import functools
import hashlib
import os

import tensorflow as tf

from tests.ops.cases import array, gradients
from tests.ops.gaussian import GAUSSIAN, call, parameters

# TensorFlow counts whole chunks of its pool, up to twice what was asked for. In a process of its
# own, and with kl (128 KiB) too small for the pool, all chunks have the size of mean.
MEMORY = """
import tensorflow as tf
from tests.ops.gaussian import GAUSSIAN, call, parameters
info = tf.config.experimental.get_memory_info
mean, log_var = parameters((32768, 128), tf.float32)

def bytes_of(tensors):
    return sum(x.dtype.size * x.shape.num_elements() for x in tf.nest.flatten(tensors))

def step(name, mean, log_var, *upstream):
    with tf.GradientTape() as tape:
        tape.watch([mean, log_var])
        outputs = call(name, mean, log_var)
    return outputs, tape.gradient(outputs, [mean, log_var], upstream)

for name in GAUSSIAN:
    upstream = [tf.ones_like(x) for x in call(name, mean, log_var)]
    for function in (step, tf.function(step)):
        function(name, mean, log_var, *upstream)  # traces
        before = info("CPU:0")["current"]
        tf.config.experimental.reset_memory_stats("CPU:0")
        returned = function(name, mean, log_var, *upstream)
        peak = info("CPU:0")["peak"] - before
        # d_mean of gaussian_sample is the upstream gradient, which is there already.
        allowed = bytes_of(returned) - (bytes_of(mean) if name == "gaussian_sample" else 0)
        assert bytes_of(mean) < peak, "the measurement sees nothing"
        assert peak <= allowed + 2**16, (name, function, peak, allowed)
        del returned
"""


def test_memory_is_inputs_outputs_and_gradients(run_python):
    run_python(MEMORY, FASTGEN_BACKEND="fused")


THREADS = """
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads({threads})
from tests.ops.test_resources import digest
print(digest())
"""


def digest():
    """A hash of all results of the Gaussian ops."""
    found = hashlib.sha256()
    for dtype in (tf.float32, tf.bfloat16):  # tests/core has all dtypes and ISAs
        for shape in [(7, 10), (256, 65), (20001, 10), (2, 100003)]:
            mean, log_var = parameters(shape, dtype)
            for name in GAUSSIAN:
                function = functools.partial(call, name)
                for x in (*function(mean, log_var), *gradients(function, mean, log_var)):
                    found.update(array(x).tobytes())
    return found.hexdigest()


def test_any_number_of_threads_gives_the_same_bits(run_python, fused):
    """Three in a process of their own; in this one as many as there are cores."""
    threads = 3 if os.cpu_count() != 3 else 1
    assert run_python(THREADS.format(threads=threads)).strip() == digest()
