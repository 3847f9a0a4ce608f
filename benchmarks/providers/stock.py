"""Stock TensorFlow and Keras: the sampling layer and the KL loss as their books write them."""

import keras
import tensorflow as tf

from benchmarks.operations import OPERATIONS
from benchmarks.providers import Provider, repeat_calls


def sample(mean, log_var):
    return mean + tf.exp(log_var / 2) * tf.random.normal(tf.shape(log_var))


def kl(mean, log_var):
    return -0.5 * tf.reduce_sum(1 + log_var - tf.exp(log_var) - tf.square(mean), axis=-1)


def gaussian_sample(i, mean, log_var, d_z):
    with tf.GradientTape() as tape:
        tape.watch((mean, log_var))
        z = sample(mean, log_var)
    return z, *tape.gradient(z, (mean, log_var), d_z)


def gaussian_kl(i, mean, log_var, d_kl):
    with tf.GradientTape() as tape:
        tape.watch((mean, log_var))
        divergence = kl(mean, log_var)
    return divergence, *tape.gradient(divergence, (mean, log_var), d_kl)


def gaussian_sample_kl(i, mean, log_var, d_z, d_kl):
    with tf.GradientTape() as tape:
        tape.watch((mean, log_var))
        outputs = sample(mean, log_var), kl(mean, log_var)
    return *outputs, *tape.gradient(outputs, (mean, log_var), (d_z, d_kl))


STEPS = {
    "gaussian_sample": gaussian_sample,
    "gaussian_kl": gaussian_kl,
    "gaussian_sample_kl": gaussian_sample_kl,
}


def repeat_in_graph(step, operation, jit_compile=False):
    """Chain repetitions in a loop inside one graph: what `measure="graph"` times.

    XLA gets the loop too: one executable for all repetitions is what it does best, faster at every
    shape than a compiled step called from a TensorFlow loop.
    """

    @tf.function(jit_compile=jit_compile)
    def run(iterations, *inputs):
        def body(i, *outputs):
            return i + 1, *step(i, *operation.next_inputs(inputs, outputs))

        state = 0, *operation.first_outputs(inputs)
        return tf.while_loop(lambda i, *_: i < iterations, body, state, parallel_iterations=1)[1:]

    return lambda iterations, *inputs: run(tf.constant(iterations), *inputs)


def build(name, operation, measure):
    step = STEPS[operation]
    operation = OPERATIONS[operation]
    if measure == "graph":
        return repeat_in_graph(step, operation, jit_compile=name == "keras_xla")
    if name != "eager":
        step = tf.function(step, jit_compile=name == "keras_xla")
    return repeat_calls(step, operation, tf.constant)


def put(arrays):
    return tuple(tf.constant(array) for array in arrays)


def get(outputs):
    return tuple(output.numpy() for output in outputs)


VERSION = f"tensorflow {tf.__version__}, keras {keras.__version__}"
PROVIDERS = {
    name: Provider(name, build, put, get, VERSION) for name in ("eager", "keras", "keras_xla")
}
