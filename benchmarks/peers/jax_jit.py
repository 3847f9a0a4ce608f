"""JAX: one jitted function, buffers donated."""

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.operations import OPERATIONS
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


def sigmoid_cross_entropy(i, targets, logits):
    return (jnp.mean(jnp.logaddexp(0, logits) - logits * targets),)


FORWARD = {
    "gaussian_sample": gaussian_sample,
    "gaussian_kl": gaussian_kl,
    "gaussian_sample_kl": gaussian_sample_kl,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
}


def build(name, operation, measure):
    forward = FORWARD[operation]
    operation = OPERATIONS[operation]

    def step(i, *inputs):
        arguments, upstream = operation.split(inputs)
        outputs, pull_back = jax.vjp(
            lambda *leaves: forward(i, *operation.arguments(arguments, leaves)),
            *operation.leaves(arguments),
        )
        return *outputs, *pull_back(upstream)

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


def noise(i, shape):
    return np.asarray(draw(i, shape))


VERSION = f"jax {jax.__version__}"
PROVIDERS = {"jax": Provider("jax", build, put, get, VERSION, noise=noise, donates=True)}
