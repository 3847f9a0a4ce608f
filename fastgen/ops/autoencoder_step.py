"""Steps of an autoencoder of dense layers, variational or not."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import adversary, players

OP = "autoencoder_step"
# In the order of csrc/kernels/autoencoder_step.h.
TELEMETRY = ("loss", "reconstruction_loss", "kl", "penalty", "gradient_norm")
LOSSES = ("binary_crossentropy", "mean_squared_error")


def autoencoder_step(
    model,
    optimizer,
    images,
    rows,
    *,
    loss="binary_crossentropy",
    reconstruction_scale=1.0,
    targets=None,
    log_variance=-1,
    seeds=None,
    kl_scales=None,
):
    """Steps of an optimizer on the loss of an autoencoder.

    `loss = reconstruction_scale * mean(sum(each pixel's loss)) + kl_scale * mean(kl) + penalty`,
    the last the sum of the sparsity penalties of its layers.

    There is no composite: where the kernel cannot be had, the models of `fastgen.models` take
    Keras' own steps.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from fastgen import ops
    >>> layers = [keras.layers.Dense(2, "selu"), keras.layers.Dense(6, "sigmoid")]
    >>> model = keras.Sequential([keras.Input((6,)), *layers])
    >>> images, rows = np.ones((20, 6), "float32"), np.arange(16).reshape(2, 8)
    >>> telemetry = ops.autoencoder_step(model, keras.optimizers.Nadam(), images, rows)
    >>> telemetry["loss"].shape
    TensorShape([2])

    Args:
        model: built `keras.Model`, images → images, a chain of dense layers; or these layers, as
            `ops.network` finds them in the model of a variational autoencoder.
        optimizer: Keras optimizer, or one of ours.
        images: `(n, ...)` images: float, or uint8, which stands for 255ths.
        rows: `(steps, batch)` integers in [0, n): the images of each step.
        loss: `"binary_crossentropy"`, of a sigmoid at the end of the network or of logits, or
            `"mean_squared_error"`.
        reconstruction_scale: number.
        targets: `(n, ...)` images to reconstruct, by default `images`.
        log_variance: place of the layer of a variational autoencoder's log variance, which follows
            that of the mean; -1 for none.
        seeds: `(steps, 2)` integers: of the codings' noise, that of
            `tf.random.stateless_normal((batch, codings), seed)`.
        kl_scales: `(steps,)` numbers, by default 1.

    Returns:
        A dict of float64 `(steps,)` tensors: `loss`; `reconstruction_loss`, that part of it; `kl`,
        the mean divergence, not scaled; `penalty`, weighted; `gradient_norm`; and `activity`, a
        `(steps, layers with a penalty)` tensor, the mean of all activations of each, for `"l1"` of
        their magnitudes. None, and nothing was done, where the kernel cannot be had.

    Raises:
        ValueError: if shapes do not fit, or the optimizer was built for other weights.
        network.NotDense: names the layer or the optimizer that the kernel does not take.
        tf.errors.InvalidArgumentError: if a row is out of range; if a step's loss is not finite:
            that step updates nothing, those before it stand, the message names it.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114.
    """
    rows = tf.cast(rows, tf.int64)
    _check(rows, loss, seeds, log_variance)
    player = players.Player(OP, model, optimizer)
    op = dispatch.fused_op(OP, player.dtype)
    if op is None:
        return None
    dtype, steps = player.dtype, rows.shape[0]
    targets = tf.zeros([0], dtype) if targets is None else tf.convert_to_tensor(targets)
    telemetry, activity = op(
        **player.arguments("autoencoder", steps, player.corruption_seeds(steps)),
        autoencoder_log_variance=log_variance,
        images=adversary.rows(tf.convert_to_tensor(images), dtype),
        targets=targets if targets.shape.rank == 1 else adversary.rows(targets, dtype),
        rows=rows,
        seeds=tf.zeros([steps, 2], tf.int64) if seeds is None else tf.cast(seeds, tf.int64),
        kl_scales=tf.ones([steps], tf.float64) if kl_scales is None else kl_scales,
        reconstruction_scale=tf.constant(reconstruction_scale, tf.float64),
        loss=loss,
        T=dtype,
        name=OP,
    )
    by_name = dict(zip(TELEMETRY, tf.unstack(telemetry, axis=1), strict=True))
    return {**by_name, "activity": activity}


def _check(rows, loss, seeds, log_variance):
    if rows.shape.rank != 2 or rows.shape[0] is None:
        raise ValueError(f"{OP}: rows must be (steps, batch), steps known. Received: {rows.shape}")
    if loss not in LOSSES:
        raise ValueError(f"{OP}: loss must be one of {LOSSES}. Received: {loss!r}")
    if log_variance >= 0 and seeds is None:
        raise ValueError(f"{OP}: a layer that draws needs seeds. Received: seeds=None")
