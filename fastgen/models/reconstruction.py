"""Reconstruction losses of images, one number for each image; and which of Keras' are such."""

import keras
import tensorflow as tf

from fastgen import losses
from fastgen.losses.binary_crossentropy import MEANS
from fastgen.ops import network

LOSSES = ("binary_crossentropy", "mean_squared_error")


def paired(data):
    """A batch of images, targets and weights; the images are their own targets by default."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    return x, x if y is None else y, sample_weight


def reconstruction_loss(kind, images, outputs):
    """The loss of each image, summed over its pixels.

    Binary cross-entropy `-x log y - (1 - x) log(1 - y)` is taken from the logits that a sigmoid
    leaves on its output, as Keras does: it stays finite, and has a gradient, however sure the
    decoder is. An output without logits is clipped by 1e-7, again as in Keras.

    Args:
        kind: One of `LOSSES`.
        images: `(batch, ...)` tensor.
        outputs: `(batch, ...)` tensor of the decoder.

    Returns:
        `(batch,)` tensor, float64 for float64 outputs and else float32.

    Raises:
        ValueError: if the shapes differ.
    """
    if not images.shape.is_compatible_with(outputs.shape):
        raise ValueError(
            "VariationalAutoencoder: targets must have the shape of the decoder's images, "
            f"{outputs.shape}. Received: {images.shape}"
        )
    logits = getattr(outputs, "_keras_logits", None)
    wide = tf.float64 if outputs.dtype == tf.float64 else tf.float32
    images, outputs = tf.cast(images, wide), tf.cast(outputs, wide)
    if kind == "mean_squared_error":
        each = tf.math.squared_difference(images, outputs)
    elif logits is not None:
        logits = tf.cast(logits, wide)
        each = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)
    else:
        y = tf.clip_by_value(outputs, 1e-7, 1 - 1e-7)
        each = -images * tf.math.log(y) - (1 - images) * tf.math.log(1 - y)
    return tf.reduce_sum(each, axis=list(range(1, each.shape.rank)))


def kernel_loss(model, loss, chain):
    """Which of `LOSSES`, as a mean over all elements, a loss of Keras is.

    Args:
        model: the model, whose last operation says whether there are logits.
        loss: what `keras.losses.get` gives.
        chain: the model's dense layers.

    Raises:
        network.NotDense: if it is none.
    """
    stock = keras.losses
    entropies = stock.BinaryCrossentropy, losses.BinaryCrossentropy
    plain = type(loss) in (stock.MeanSquaredError, *entropies)
    options = loss.get_config() if plain else {}
    if options.get("reduction", MEANS[0]) in MEANS:
        if loss is stock.mean_squared_error or type(loss) is stock.MeanSquaredError:
            return LOSSES[1]
        logits = options.get("from_logits")
        found = chain[-1].activation == "linear" if logits else network.has_logits(model)
        as_is = not options.get("label_smoothing") and options.get("axis", -1) == -1
        if (loss is stock.binary_crossentropy or type(loss) in entropies) and found and as_is:
            return LOSSES[0]
    name = getattr(loss, "name", None) or getattr(loss, "__name__", loss)
    raise network.NotDense(f"no kernel for the loss {name!r} of these outputs")
