"""Priors of a latent space: what the codings of a variational autoencoder are drawn towards."""

import math
import numbers

import keras
import tensorflow as tf

LOG_2_PI = math.log(2 * math.pi)


class Prior(keras.Layer):
    """Base class of a distribution over codings.

    A subclass has `log_prob(codings)`, in stock TensorFlow or Keras ops, and
    `sample(n, seed=None)`; weights that it makes in its constructor are trained with the model.
    `fastgen.layers.GaussianLatent(prior=...)` then estimates the KL divergence by one draw,
    `log q(z | x) - log p(z)`.

    Example:
    >>> import keras
    >>> import tensorflow as tf
    >>> import fastgen
    >>> @keras.saving.register_keras_serializable()
    ... class UnitBox(fastgen.layers.Prior):
    ...     def log_prob(self, codings):
    ...         inside = tf.reduce_all(abs(codings) < 0.5, axis=-1)
    ...         return tf.where(inside, 0.0, -100.0)
    ...
    ...     def sample(self, n, seed=None):
    ...         return keras.random.uniform((n, self.codings), -0.5, 0.5, seed=seed)
    >>> UnitBox(codings=3).sample(5, seed=1).shape
    TensorShape([5, 3])

    Args:
        codings: integer ≥ 1, the number of codings of a draw.

    Raises:
        ValueError: if `codings` is not a positive integer.
    """

    def __init__(self, codings, **kwargs):
        super().__init__(**kwargs)
        self.codings = _positive(type(self).__name__, "codings", codings)
        self.wide = "float64" if self.variable_dtype == "float64" else "float32"

    def build(self, input_shape=None):
        """Nothing to build: weights are made in the constructor."""

    def log_prob(self, codings):
        """Logarithm of the density.

        Args:
            codings: `(batch, codings)` float32 or float64 tensor.

        Returns:
            `(batch,)` tensor.
        """
        raise NotImplementedError

    def sample(self, n, seed=None):
        """Draws codings.

        Args:
            n: Number of draws.
            seed: Python integer, `keras.random.SeedGenerator`, or None for Keras' own.

        Returns:
            `(n, codings)` tensor.
        """
        raise NotImplementedError

    def call(self, codings):
        """The logarithm of the density."""
        return self.log_prob(codings)

    def compute_output_shape(self, input_shape):
        """One number for each draw."""
        return tuple(input_shape)[:-1]

    def get_config(self):
        """Arguments that make this prior anew."""
        return {**super().get_config(), "codings": self.codings}


@keras.saving.register_keras_serializable(package="fastgen")
class StandardNormal(Prior):
    """Independent codings of mean 0 and standard deviation 1: the usual prior.

    `log p(z) = -1/2 * sum(z**2 + log(2π), axis=-1)`

    `fastgen.layers.GaussianLatent` has its KL divergence in closed form, in one pass with the
    sample, and never calls `log_prob`.

    Example:
    >>> import fastgen
    >>> prior = fastgen.layers.StandardNormal(codings=2)
    >>> prior.sample(5, seed=1).shape
    TensorShape([5, 2])

    Args:
        codings: integer ≥ 1.

    Raises:
        ValueError: if `codings` is not a positive integer.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114.
    """

    def log_prob(self, codings):
        """Logarithm of the density, `(batch, codings)` → `(batch,)`."""
        return -0.5 * tf.reduce_sum(tf.square(codings) + LOG_2_PI, axis=-1)

    def sample(self, n, seed=None):
        """Draws `(n, codings)`."""
        return keras.random.normal((n, self.codings), dtype=self.wide, seed=seed)


@keras.saving.register_keras_serializable(package="fastgen")
class GaussianMixture(Prior):
    """A mixture of diagonal Gaussians, whose weights, means and variances are trained.

    `log p(z) = log sum_k(softmax(logits)[k] * N(z; means[k], exp(log_vars[k])))`

    Example:
    >>> import fastgen
    >>> prior = fastgen.layers.GaussianMixture(components=3, codings=2)
    >>> prior.log_prob(prior.sample(5, seed=1)).shape
    TensorShape([5])

    Args:
        components: integer ≥ 1.
        codings: integer ≥ 1.
        seed: Python integer for the initial means, or None for a seed that
            `keras.utils.set_random_seed` determines.

    Raises:
        ValueError: if `components` or `codings` is not a positive integer.

    Source: Tomczak & Welling (2018), VAE with a VampPrior, https://arxiv.org/abs/1705.07120,
    section 2.
    """

    def __init__(self, components, codings, seed=None, **kwargs):
        super().__init__(codings, **kwargs)
        self.components = _positive("GaussianMixture", "components", components)
        self.seed = seed
        # Drawn apart, because equal components would have equal gradients and stay equal.
        normal = keras.initializers.RandomNormal(stddev=1.0, seed=seed)
        self.logits = self._weight("logits", (components,), "zeros")
        self.means = self._weight("means", (components, codings), normal)
        self.log_vars = self._weight("log_vars", (components, codings), "zeros")

    def log_prob(self, codings):
        """Logarithm of the density, `(batch, codings)` → `(batch,)`."""
        means, log_vars = (
            tf.cast(tf.convert_to_tensor(x), codings.dtype) for x in (self.means, self.log_vars)
        )
        log_weights = tf.nn.log_softmax(tf.cast(tf.convert_to_tensor(self.logits), codings.dtype))
        squares = tf.square(codings[..., None, :] - means) * tf.exp(-log_vars)
        each = -0.5 * tf.reduce_sum(squares + log_vars + LOG_2_PI, axis=-1)
        return tf.reduce_logsumexp(log_weights + each, axis=-1)

    def sample(self, n, seed=None):
        """Draws `(n, codings)`."""
        # One integer would give both draws the same numbers.
        seed = keras.random.SeedGenerator(seed) if isinstance(seed, int) else seed
        logits = tf.convert_to_tensor(self.logits)[None]
        chosen = keras.random.categorical(logits, n, seed=seed)[0]
        noise = keras.random.normal((n, self.codings), dtype=self.wide, seed=seed)
        means, log_vars = (tf.gather(tf.convert_to_tensor(x), chosen) for x in self._moments())
        return means + tf.exp(log_vars / 2) * noise

    def _moments(self):
        return self.means, self.log_vars

    def _weight(self, name, shape, initializer):
        return self.add_weight(
            shape=shape, initializer=initializer, dtype=self.wide, autocast=False, name=name
        )

    def get_config(self):
        """Arguments that make this prior anew."""
        return {**super().get_config(), "components": self.components, "seed": self.seed}


def _positive(owner, name, value):
    if isinstance(value, bool) or not isinstance(value, numbers.Integral) or value < 1:
        raise ValueError(f"{owner}: {name} must be an integer ≥ 1. Received: {name}={value!r}")
    return int(value)
