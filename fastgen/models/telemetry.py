"""What the steps of a GAN report, averaged over an epoch."""

import keras
import tensorflow as tf

from fastgen.ops.arguments import choice
from fastgen.ops.gan_step import TELEMETRY

LOSSES = ("discriminator_loss", "generator_loss")


def logged(metrics):
    """The names of what to log: all for None, the losses for an empty list."""
    if metrics is None:
        return TELEMETRY
    names = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    for name in names:
        choice("GAN", "metrics", name, TELEMETRY)
    return names or LOSSES


class Telemetry(keras.metrics.Metric):
    """Means over the images of an epoch of what `fastgen.ops.gan_step` returns.

    One metric for all, because nine would take longer than they should.

    Args:
        names: which to report.
    """

    def __init__(self, names=TELEMETRY, name="telemetry"):
        super().__init__(name=name, dtype="float64")
        self.names = tuple(names)
        # float32, Keras' default whatever the metric's dtype, would lose digits over an epoch: the
        # means would depend on how many steps a call runs.
        self.total = self.add_variable((len(TELEMETRY),), "zeros", "float64", name="total")
        self.count = self.add_variable((), "zeros", "float64", name="count")

    def update_state(self, telemetry, batch_size):
        """Add steps: a dict of `(steps,)` tensors, and how many images each step saw."""
        steps = tf.stack([telemetry[name] for name in TELEMETRY], axis=1)
        weight = tf.cast(batch_size, tf.float64)
        self.total.assign_add(weight * tf.reduce_sum(tf.cast(steps, tf.float64), axis=0))
        self.count.assign_add(weight * tf.cast(tf.shape(steps)[0], tf.float64))

    def result(self):
        """The means, by name."""
        means = tf.math.divide_no_nan(self.total.value, self.count.value)
        by_name = zip(TELEMETRY, tf.unstack(tf.cast(means, tf.float32)), strict=True)
        return {name: mean for name, mean in by_name if name in self.names}
