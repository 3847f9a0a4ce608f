"""JAX: one jitted step, its state donated."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import selu

from benchmarks.trainers import Trainer
from benchmarks.vae import CODINGS, LEARNING_RATE

BETA_1, BETA_2, EPSILON, DECAY = 0.9, 0.999, 1e-7, 0.96


def decode(w, z):
    return selu(selu(z @ w[8] + w[9]) @ w[10] + w[11]) @ w[12] + w[13]


def vae_loss(w, x, key):
    hidden = selu(selu(x @ w[0] + w[1]) @ w[2] + w[3])
    mean, log_var = hidden @ w[4] + w[5], hidden @ w[6] + w[7]
    z = mean + jnp.exp(log_var / 2) * jax.random.normal(key, mean.shape)
    kl = -0.5 * jnp.sum(1 + log_var - jnp.exp(log_var) - mean**2)
    logits = decode(w, z)
    return (jnp.sum(jnp.logaddexp(0, logits) - x * logits) + kl) / len(x)


@functools.partial(jax.jit, donate_argnums=0)
def train_step(state, images, rows):
    """Nadam in Keras' formulas (Dozat, 2016)."""
    w, m, v, step, product, key = state
    key, noise = jax.random.split(key)
    loss, gradients = jax.value_and_grad(vae_loss)(w, images[rows], noise)
    step = step + 1
    now, later = (BETA_1 * (1 - 0.5 * DECAY**t) for t in (step, step + 1))
    product = product * now
    m = [BETA_1 * a + (1 - BETA_1) * g for a, g in zip(m, gradients, strict=True)]
    v = [BETA_2 * a + (1 - BETA_2) * g * g for a, g in zip(v, gradients, strict=True)]

    def updated(w, m, v, g):
        m_hat = later * m / (1 - product * later) + (1 - now) * g / (1 - product)
        return w - LEARNING_RATE * m_hat / (jnp.sqrt(v / (1 - BETA_2**step)) + EPSILON)

    w = [updated(*leaf) for leaf in zip(w, m, v, gradients, strict=True)]
    return (w, m, v, step, product, key), loss


@functools.partial(jax.jit, static_argnums=2)
def draw(w, key, count):
    return jax.nn.sigmoid(decode(w, jax.random.normal(key, (count, CODINGS))))


def build(name, weights):
    w = [jnp.array(value) for value in weights]
    zeros = [[jnp.zeros_like(value) for value in w] for _ in range(2)]
    state = (w, *zeros, jnp.float32(0), jnp.float32(1), jax.random.key(0))
    keys = iter(range(1, 1 << 30))
    evaluate = jax.jit(vae_loss)
    shuffle = np.random.default_rng(0).permutation

    def epoch(images, batch_size):
        nonlocal state
        x, losses, sizes = jnp.asarray(images), [], []
        order = shuffle(len(x))
        for first in range(0, len(x), batch_size):
            rows = order[first : first + batch_size]
            state, loss = train_step(state, x, rows)
            losses.append(loss)
            sizes.append(len(rows))
        return float(np.average(jax.device_get(losses), weights=sizes))

    def loss(images):
        return float(evaluate(state[0], jnp.asarray(images), jax.random.key(next(keys))))

    def generate(count):
        return np.asarray(draw(state[0], jax.random.key(next(keys)), count))

    return Trainer(name, epoch, loss, generate)
