"""Stock TensorFlow and Keras: layers and losses as Keras or the books have them."""

import keras
import tensorflow as tf

from benchmarks.operations import CORRUPTION, OPERATIONS, SPARSITY
from benchmarks.providers import Provider, repeat_calls


def gaussian_sample(i, mean, log_var):
    return (mean + tf.exp(log_var / 2) * tf.random.normal(tf.shape(log_var)),)


def gaussian_kl(i, mean, log_var):
    return (-0.5 * tf.reduce_sum(1 + log_var - tf.exp(log_var) - tf.square(mean), axis=-1),)


def gaussian_sample_kl(i, mean, log_var):
    return *gaussian_sample(i, mean, log_var), *gaussian_kl(i, mean, log_var)


def dense(i, x, kernel, bias, transposed=False):
    # As Keras' layer: the form that TensorFlow fuses.
    return (tf.nn.relu(tf.nn.bias_add(tf.matmul(x, kernel, transpose_b=transposed), bias)),)


def dense_transpose(i, x, kernel, bias):
    return dense(i, x, kernel, bias, transposed=True)


def sigmoid_cross_entropy(i, targets, logits):
    return (keras.losses.binary_crossentropy(targets, logits, from_logits=True),)


def sparsity(i, activations):
    p, q = SPARSITY, tf.reduce_mean(activations, axis=0)
    divergence = keras.losses.kl_divergence
    return (tf.reduce_sum(divergence(p, q[:, None]) + divergence(1 - p, 1 - q[:, None])),)


def swish(i, x, steepness):
    return (x * tf.sigmoid(steepness * x),)


def gaussian_noise(i, x):
    return (x + keras.random.normal(tf.shape(x), stddev=CORRUPTION),)


def dropout(i, x):
    return (tf.nn.dropout(x, CORRUPTION),)


FORWARD = {
    "gaussian_sample": gaussian_sample,
    "gaussian_kl": gaussian_kl,
    "gaussian_sample_kl": gaussian_sample_kl,
    "dense": dense,
    "dense_transpose": dense_transpose,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
    "sparsity": sparsity,
    "swish": swish,
    "swish_forward": swish,
    "gaussian_noise": gaussian_noise,
    "dropout": dropout,
}


def with_gradients(forward, operation):
    """The step that is timed: `forward(i, *inputs)` and the gradients of its leaves."""

    def step(i, *inputs):
        inputs, at, upstream = operation.split(inputs)
        if not at:
            return forward(i, *inputs)
        leaves = [inputs[j] for j in at]
        with tf.GradientTape() as tape:
            tape.watch(leaves)
            outputs = forward(i, *inputs)
        return *outputs, *tape.gradient(outputs, leaves, upstream)

    return step


# A while loop's own nodes cost TensorFlow some 12 µs a turn, which no training step pays.
UNROLLED = 10


def repeat_in_graph(step, operation, jit_compile=False):
    """Chain repetitions inside one graph, UNROLLED to a turn of a loop: `measure="graph"`.

    XLA gets the loop too. At 32×10 that is more than twice as fast as a compiled step called from a
    TensorFlow loop, which pays each time for entering XLA. Without gradients a turn is one
    repetition: of ten XLA would make one pass.
    """
    unrolled = UNROLLED if operation.leaves else 1

    @tf.function(jit_compile=jit_compile)
    def run(iterations, *inputs):
        def turns_of(steps):
            def body(i, *outputs):
                for j in range(steps):
                    outputs = step(i + j, *operation.next_inputs(inputs, outputs))
                return i + steps, *outputs

            return lambda state: tf.while_loop(
                lambda i, *_: i + steps <= iterations, body, state, parallel_iterations=1
            )

        state = turns_of(unrolled)((0, *operation.first_outputs(inputs)))
        return turns_of(1)(state)[1:]

    return lambda iterations, *inputs: run(tf.constant(iterations), *inputs)


def build(name, operation, measure):
    return build_step(FORWARD[operation], operation, measure, name != "eager", name == "keras_xla")


def build_step(forward, operation, measure, in_function=True, jit_compile=False):
    operation = OPERATIONS[operation]
    step = with_gradients(forward, operation)
    if measure == "graph" and in_function:
        return repeat_in_graph(step, operation, jit_compile)
    if in_function:
        step = tf.function(step, jit_compile=jit_compile)
    return repeat_calls(step, operation, tf.constant)


def put(arrays):
    return tuple(tf.constant(array) for array in arrays)


def get(outputs):
    return tuple(output.numpy() for output in outputs)


VERSION = f"tensorflow {tf.__version__}, keras {keras.__version__}"
PROVIDERS = {
    name: Provider(name, build, put, get, VERSION) for name in ("eager", "keras", "keras_xla")
}
