"""JAX: one jitted step, or a scan over some, its state donated."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.nn import selu, sigmoid, softplus

from benchmarks import gan
from benchmarks.adversaries import Adversary

KEY = jax.random.key(gan.SEED)


def network(w, x):
    return selu(selu(x @ w[0] + w[1]) @ w[2] + w[3]) @ w[4] + w[5]


def imagine(g, noise):
    return sigmoid(network(g, noise))


def discriminator_loss(d, images, labels):
    logits = network(d, images)
    return jnp.mean(softplus(logits) - labels * logits)


def generator_loss(g, d, noise):
    return jnp.mean(softplus(-network(d, imagine(g, noise))))


def descend(gradients, w, v):
    """RMSprop in Keras' formula."""
    v = [gan.RHO * a + (1 - gan.RHO) * g * g for a, g in zip(v, gradients, strict=True)]
    found = zip(w, gradients, v, strict=True)
    return [x - gan.LEARNING_RATE * g / jnp.sqrt(a + gan.EPSILON) for x, g, a in found], v


def update(state, real, fake):
    g, g_v, d, d_v = state
    images = jnp.concatenate([fake, real])
    labels = jnp.concatenate([jnp.zeros((len(fake), 1)), jnp.ones((len(real), 1))])
    return g, g_v, *descend(jax.grad(discriminator_loss)(d, images, labels), d, d_v)


def step(state, real, i, noise):
    """Both phases; draws the noise of step i where none is given."""
    if noise is None:
        noise = jax.random.normal(jax.random.fold_in(KEY, i), (2, len(real), gan.CODINGS))
    state = update(state, real, imagine(state[0], noise[0]))
    g, g_v, d, d_v = state
    return *descend(jax.grad(generator_loss)(g, d, noise[1]), g, g_v), d, d_v


def updates(state, real, fake):
    if len(real) == 1:
        return update(state, real[0], fake[0])
    return jax.lax.scan(lambda state, x: (update(state, *x), None), state, (real, fake))[0]


def steps(state, images, rows, first, noise):
    if len(rows) == 1:
        return step(state, images[rows[0]], first, None if noise is None else noise[0])
    xs = images[rows], first + jnp.arange(len(rows)), noise
    return jax.lax.scan(lambda state, x: (step(state, *x), None), state, xs)[0]


class Provider(Adversary):
    def build(self, weights):
        w = [jnp.array(value) for value in weights]
        g, d = w[: gan.GENERATOR_VARIABLES], w[gan.GENERATOR_VARIABLES :]
        self._state = g, [jnp.zeros_like(x) for x in g], d, [jnp.zeros_like(x) for x in d]
        self._updates = jax.jit(updates, donate_argnums=0)
        self._steps = jax.jit(steps, donate_argnums=0)
        self.images = jnp.asarray(self.images.reshape(-1, gan.PIXELS))
        rows = self.shuffle(2 * self.per_call).reshape(2, self.per_call, -1)
        self._pair = [self.images[x] for x in rows]

    def call(self, rows):
        if self.operation == "discriminator_update":
            self._state = self._updates(self._state, *self._pair)
            return
        self._state = self._steps(self._state, self.images, rows, np.int32(self.taken), None)
        self.taken += self.per_call

    def finish(self):
        jax.block_until_ready(self._state)

    def take(self, feed):
        real, fake = (x.reshape(*x.shape[:2], -1) for x in (feed.real, feed.fake))
        # In calls of the size that is timed, or of all there is.
        size = min(self.per_call, len(real))
        for i in range(0, len(real), size):
            part = slice(i, i + size)
            if self.operation == "discriminator_update":
                self._state = self._updates(self._state, real[part], fake[part])
                continue
            images = np.concatenate(real[part])
            rows = np.arange(len(images)).reshape(size, -1)
            noise = feed.noise[part]
            self._state = self._steps(self._state, images, rows, np.int32(0), noise)

    def weights(self):
        g, _, d, _ = self._state
        return [np.asarray(x) for x in g + d]
