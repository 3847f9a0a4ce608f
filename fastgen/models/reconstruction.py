"""Reconstruction losses of images, one number for each image."""

import tensorflow as tf

LOSSES = ("binary_crossentropy", "mean_squared_error")


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
