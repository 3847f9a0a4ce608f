"""JAX: one jitted function, buffers donated."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.operations import CORRUPTION, OPERATIONS, SPARSITY
from benchmarks.providers import Provider, repeat_calls

KEY = jax.random.key(20)


def draw(i, shape):
    return jax.random.normal(jax.random.fold_in(KEY, i), shape)


def gaussian_sample(i, mean, log_var):
    return (mean + jnp.exp(0.5 * log_var) * draw(i, mean.shape),)


def gaussian_kl(i, mean, log_var):
    return (-0.5 * jnp.sum(1 + log_var - jnp.exp(log_var) - jnp.square(mean), axis=-1),)


def gaussian_sample_kl(i, mean, log_var):
    return *gaussian_sample(i, mean, log_var), *gaussian_kl(i, mean, log_var)


def dense(i, x, kernel, bias):
    return (jax.nn.relu(x @ kernel + bias),)


def dense_transpose(i, x, kernel, bias):
    return dense(i, x, kernel.T, bias)


def sigmoid_cross_entropy(i, targets, logits):
    return (jnp.mean(jax.nn.softplus(logits) - targets * logits, axis=-1),)


def sparsity(i, activations):
    p, q = SPARSITY, jnp.mean(activations, axis=0)
    return (jnp.sum(p * jnp.log(p / q) + (1 - p) * jnp.log((1 - p) / (1 - q))),)


def swish(i, x, steepness):
    return (x * jax.nn.sigmoid(steepness * x),)


def gaussian_noise(i, x):
    return (x + CORRUPTION * draw(i, x.shape),)


def keep(i, shape):
    return jax.random.bernoulli(jax.random.fold_in(KEY, i), 1 - CORRUPTION, shape)


def dropout(i, x):
    return (jnp.where(keep(i, x.shape), x / (1 - CORRUPTION), 0.0),)


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


def build(name, operation, measure):
    forward = FORWARD[operation]
    operation = OPERATIONS[operation]

    def step(i, *inputs):
        inputs, at, upstream = operation.split(inputs)
        if not at:
            return forward(i, *inputs)

        def of_leaves(*leaves):
            named = dict(zip(at, leaves, strict=True))
            return forward(i, *(named.get(j, x) for j, x in enumerate(inputs)))

        outputs, pull_back = jax.vjp(of_leaves, *(inputs[j] for j in at))
        return *outputs, *pull_back(tuple(upstream))

    def loop(iterations, *inputs):
        def body(i, outputs):
            return step(i, *operation.next_inputs(inputs, outputs))

        return jax.lax.fori_loop(0, iterations, body, operation.first_outputs(inputs))

    # An input that the next repetition reads again cannot be given away.
    given = [i for i, name in enumerate(operation.inputs, 1) if name in operation.feeds]
    if measure == "graph":
        run = jax.jit(loop, donate_argnums=given)
    else:
        run = repeat_calls(jax.jit(step, donate_argnums=given), operation, np.int32)
    return lambda iterations, *inputs: jax.block_until_ready(run(iterations, *inputs))


def put(arrays):
    return jax.block_until_ready(tuple(jnp.array(array, copy=True) for array in arrays))


def get(outputs):
    return tuple(np.asarray(output) for output in outputs)


def noise(operation, i, shape):
    return np.asarray((keep if operation == "dropout" else draw)(i, shape))


VERSION = f"jax {jax.__version__}"
PROVIDERS = {"jax": Provider("jax", build, put, get, VERSION, noise=noise, donates=True)}
