"""Schedules of β, the weight of the KL divergence, over the steps of a training."""

import math
import numbers

import keras
import tensorflow as tf


class Schedule:
    """Base class of a function of `optimizer.iterations`, which a checkpoint holds anyway.

    A subclass has `__call__(step)`, in TensorFlow ops, and `get_config()`, and is registered with
    `keras.saving.register_keras_serializable`.

    Example:
    >>> import keras, fastgen
    >>> import tensorflow as tf
    >>> @keras.saving.register_keras_serializable()
    ... class Switch(fastgen.models.Schedule):
    ...     def __call__(self, step):
    ...         return tf.where(step < 100, 0.0, self.beta)
    >>> Switch(beta=2.0).beta
    2.0

    Args:
        beta: number ≥ 0, the weight in the end, with which validation is done.

    Raises:
        ValueError: if an argument is out of its range.
    """

    def __init__(self, beta=1.0):
        self.beta = _number(self, "beta", beta, 0 <= _real(beta) < math.inf, "a number ≥ 0")

    def __call__(self, step):
        """The weight at a step.

        Args:
            step: integer or integer tensor, the number of steps done before.

        Returns:
            float32 scalar tensor.
        """
        raise NotImplementedError

    def get_config(self):
        """Arguments that make this schedule anew."""
        return {"beta": self.beta}

    @classmethod
    def from_config(cls, config):
        """The schedule of a `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="fastgen")
class Warmup(Schedule):
    """Rises from 0 to `beta` in a straight line, and stays there.

    `beta * min(1, step / steps)`

    Example:
    >>> import fastgen
    >>> warmup = fastgen.models.Warmup(steps=100, beta=4.0)
    >>> [float(warmup(step)) for step in (0, 50, 100, 1000)]
    [0.0, 2.0, 4.0, 4.0]

    Args:
        steps: number > 0 of training steps until `beta` is reached.
        beta: number ≥ 0.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Sønderby et al. (2016), Ladder Variational Autoencoders,
    https://arxiv.org/abs/1602.02282, section 2.3.
    """

    def __init__(self, steps, beta=1.0):
        super().__init__(beta)
        self.steps = _number(self, "steps", steps, 0 < _real(steps) < math.inf, "a number > 0")

    def __call__(self, step):
        """The weight at a step, a float32 scalar tensor."""
        return self.beta * tf.minimum(1.0, tf.cast(step, tf.float32) / self.steps)

    def get_config(self):
        """Arguments that make this schedule anew."""
        return {**super().get_config(), "steps": self.steps}


@keras.saving.register_keras_serializable(package="fastgen")
class Cyclic(Schedule):
    """Rises from 0 to `beta` in the first part of each period, and stays there for the rest of it.

    `beta * min(1, (step mod period) / (ratio * period))`

    Example:
    >>> import fastgen
    >>> cyclic = fastgen.models.Cyclic(period=100, ratio=0.5)
    >>> [float(cyclic(step)) for step in (0, 25, 50, 99, 100)]
    [0.0, 0.5, 1.0, 1.0, 0.0]

    Args:
        period: integer ≥ 1, training steps in a period.
        ratio: number in (0, 1], the part of a period in which the weight rises.
        beta: number ≥ 0.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Fu et al. (2019), Cyclical Annealing Schedule, https://arxiv.org/abs/1903.10145,
    equation 6.
    """

    def __init__(self, period, ratio=0.5, beta=1.0):
        super().__init__(beta)
        whole = isinstance(period, numbers.Integral) and _real(period) >= 1
        self.period = int(_number(self, "period", period, whole, "an integer ≥ 1"))
        self.ratio = _number(self, "ratio", ratio, 0 < _real(ratio) <= 1, "a number in (0, 1]")

    def __call__(self, step):
        """The weight at a step, a float32 scalar tensor."""
        # The remainder of integers: float32 cannot tell steps beyond 2^24 apart.
        within = tf.cast(tf.math.floormod(tf.cast(step, tf.int64), self.period), tf.float32)
        return self.beta * tf.minimum(1.0, within / (self.ratio * self.period))

    def get_config(self):
        """Arguments that make this schedule anew."""
        return {**super().get_config(), "period": self.period, "ratio": self.ratio}


def _real(value):
    """The value, or NaN, which is in no range, for what is no number."""
    real = isinstance(value, numbers.Real) and not isinstance(value, bool)
    return value if real else math.nan


def _number(owner, name, value, good, expected):
    if not good:
        raise ValueError(f"{type(owner).__name__}: {name} must be {expected}. Received: {value!r}")
    return float(value)
