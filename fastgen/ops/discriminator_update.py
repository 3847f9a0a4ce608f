"""One update of the discriminator of a GAN."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import adversary, arguments, players
from fastgen.ops.batch_norm import normalizing
from fastgen.ops.sigmoid_cross_entropy import sigmoid_cross_entropy

OP = "discriminator_update"
# In the order of csrc/kernels/discriminator_update.h.
TELEMETRY = (
    "loss",
    "real_accuracy",
    "fake_accuracy",
    "real_probability",
    "fake_probability",
    "gradient_norm",
)


def discriminator_update(
    discriminator, optimizer, real, fake, *, label_smoothing=0.0, targets=None
):
    """One step of a discriminator's optimizer on a batch of real and a batch of fake images.

    `loss = mean(softplus(l) - target * l)` for the logits `l` of all images; targets are 1 for real
    and 0 for fake images. Regularizers, and what layers add to the loss, count as in Keras.

    A chain of dense layers, ending in one unit, is updated by one kernel, which never joins the
    batches nor writes a gradient to memory. Other models take stock operations, one pass over the
    joined batch. All weights are updated, whatever `trainable` says.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from fastgen import ops
    >>> layers = [keras.layers.Dense(4, "selu"), keras.layers.Dense(1, "sigmoid")]
    >>> discriminator = keras.Sequential([keras.Input((6,)), *layers])
    >>> optimizer = keras.optimizers.RMSprop()
    >>> real, fake = np.ones((8, 6), "float32"), np.zeros((8, 6), "float32")
    >>> telemetry = ops.discriminator_update(discriminator, optimizer, real, fake)
    >>> sorted(telemetry)[:3]
    ['fake_accuracy', 'fake_probability', 'gradient_norm']

    Args:
        discriminator: built `keras.Model`, images → one logit, or a sigmoid of it, an image.
        optimizer: Keras optimizer, or one of ours, which keeps the discriminator's slots.
        real: `(m, ...)` images, m ≥ 1: float, or uint8, which stands for 255ths.
        fake: `(n, ...)` images, n ≥ 1, float.
        label_smoothing: number in [0, 1]: real images have the target `1 - label_smoothing`.
        targets: None, or `(m + n,)` targets in [0, 1], those of real images first.

    Returns:
        A dict of float32 scalars, from before the update: `loss`, mean over all images, and
        what is added to it; `real_accuracy` and `fake_accuracy`, shares of probabilities above 1/2
        and not above it; `real_probability` and `fake_probability`, means of them;
        `gradient_norm`, that of all gradients.

    Raises:
        ValueError: if images or targets do not fit, there are no images, both `label_smoothing` and
            `targets` are given, or the optimizer was built for other weights.
        tf.errors.InvalidArgumentError: if the loss is not finite; nothing is updated then, which is
            so inside XLA, too, where nothing is raised. On a GPU this is what a call waits for.

    Source: Goodfellow et al. (2014), Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661; one-sided label smoothing: Salimans et al. (2016),
    https://arxiv.org/abs/1606.03498.
    """
    real, fake = _images(discriminator, real, fake)
    targets = _targets(label_smoothing, targets, real, fake)
    found, op = players.players(OP, (discriminator, optimizer))
    if op is None:
        with dispatch.composite_scope(OP):
            telemetry = composite(OP, discriminator, optimizer, real, fake, targets)
    else:
        telemetry = _fused(op, found[0], real, fake, targets)
    telemetry = tf.stop_gradient(tf.cast(telemetry, tf.float32))
    return dict(zip(TELEMETRY, tf.unstack(telemetry), strict=True))


def _images(discriminator, real, fake):
    shape = adversary.check_discriminator(OP, discriminator)
    real, fake = tf.convert_to_tensor(real), tf.convert_to_tensor(fake)
    for name, images in (("real", real), ("fake", fake)):
        fits = images.shape.rank == len(shape) and images.shape[1:].is_compatible_with(shape[1:])
        fits = fits and images.shape[0] != 0
        if not fits or not (images.dtype.is_floating or (name, images.dtype) == ("real", tf.uint8)):
            raise ValueError(
                f"{OP}: {name} must be float images (n, *{shape[1:]}), n ≥ 1, "
                f"real ones may be uint8. Received: {images.shape} of {images.dtype.name}"
            )
    return real, fake


def _targets(label_smoothing, targets, real, fake):
    smoothing = arguments.number(OP, "label_smoothing", label_smoothing, 0.0, 1.0)
    rows = [x.shape[0] for x in (real, fake)]
    if targets is not None:
        if smoothing:
            raise ValueError(
                f"{OP}: targets must come without label_smoothing. "
                f"Received: label_smoothing={label_smoothing}"
            )
        targets = tf.convert_to_tensor(targets)
        wanted = None if None in rows else sum(rows)
        if not targets.shape.is_compatible_with([wanted]):
            raise ValueError(
                f"{OP}: targets must be one an image, ({wanted},). Received: {targets.shape}"
            )
        return targets
    if not smoothing:
        return None
    counts = tf.shape(real)[:1], tf.shape(fake)[:1]
    real_target = tf.constant(1 - smoothing, tf.float64)
    return tf.concat([tf.fill(counts[0], real_target), tf.zeros(counts[1], tf.float64)], 0)


def _fused(op, player, real, fake, targets):
    telemetry = op(
        **player.arguments("discriminator", 1, player.corruption_seeds(1)),
        real=adversary.rows(real, player.dtype),
        fake=adversary.rows(fake, player.dtype),
        targets=tf.zeros([0], player.dtype) if targets is None else tf.cast(targets, player.dtype),
        name=OP,
    )
    if not player.on_gpu:
        return telemetry
    message = f"{OP}: the loss is not finite: nothing was updated"
    return adversary.checked(telemetry, tf.math.is_finite(telemetry[0]), message)


def composite(op, discriminator, optimizer, real, fake, targets, before=None, **phase):
    """The update in stock operations; the telemetry as a vector."""
    before = before or adversary.kept(discriminator)
    counts = tf.shape(real)[0], tf.shape(fake)[0]
    dtype = adversary.dtype(discriminator)
    images = tf.concat([adversary.unit_range(real, dtype), adversary.unit_range(fake, dtype)], 0)
    if targets is None:
        targets = tf.concat([tf.ones(counts[:1]), tf.zeros(counts[1:])], 0)
    with tf.GradientTape() as tape, normalizing(discriminator):
        logits = adversary.logits_of(discriminator, discriminator(images, training=True))
        loss = sigmoid_cross_entropy(tf.cast(targets, logits.dtype), logits, reduction="mean")
        loss = adversary.penalized(loss, discriminator)
    norm = adversary.descend(op, tape, loss, discriminator, optimizer, before, **phase)
    real_part, fake_part = tf.split(tf.sigmoid(logits), counts)
    parts = [
        loss,
        tf.reduce_mean(tf.cast(real_part > 0.5, tf.float32)),
        tf.reduce_mean(tf.cast(fake_part <= 0.5, tf.float32)),
        tf.reduce_mean(real_part),
        tf.reduce_mean(fake_part),
        norm,
    ]
    return tf.stack([tf.cast(x, tf.float64) for x in parts])
