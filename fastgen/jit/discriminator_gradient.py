"""Loss of a discriminator's logits and the gradient with which its backward pass begins.

What the steps of `fastgen.ops.discriminator_update` and `gan_step` begin with, to be read.
"""

import tensorflow as tf

from fastgen.jit.array_kernel import kernel
from fastgen.jit.math import sigmoid, softplus
from fastgen.ops import arguments

ANY_ORDER = {"reassoc", "nsz"}  # of sums, so that they become vectors


def discriminator_gradient(real, fake, label_smoothing=0.0):
    """Binary cross-entropy of a discriminator's logits, and its gradient by them.

    `loss = mean(softplus(l) - target * l)` and `d_l = (sigmoid(l) - target) / (m + n)` over the
    logits `l` of all images; targets are `1 - label_smoothing` for real and 0 for fake images.

    Example:
    >>> from fastgen import jit
    >>> loss, d_real, d_fake = jit.discriminator_gradient([0.0], [0.0])
    >>> d_real.numpy(), d_fake.numpy()
    (array([-0.25], dtype=float32), array([0.25], dtype=float32))

    Args:
        real: `(m, ...)` float16, bfloat16, float32 or float64, logits of real images.
        fake: `(n, ...)` of the dtype of `real`, logits of generated images.
        label_smoothing: Python number in [0, 1]: real images have the target `1 - label_smoothing`.

    Returns:
        loss: scalar, the mean over all images, of none 0: float64 for float64 input, else float32.
        d_real: tensor of the shape and dtype of `real`.
        d_fake: likewise of `fake`.

    Raises:
        ValueError: if dtypes differ, for a scalar, for other dtypes.

    Source: Goodfellow et al. (2014), Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661; one-sided label smoothing: Salimans et al. (2016),
    https://arxiv.org/abs/1606.03498.
    """
    op = "discriminator_gradient"
    real, fake = arguments.floats(op, "real", real), arguments.floats(op, "fake", fake)
    smoothing = arguments.number(op, "label_smoothing", label_smoothing, 0.0, 1.0)
    if real.dtype != fake.dtype:
        raise ValueError(
            f"{op}: real and fake must have the same dtype. "
            f"Received: real.dtype={real.dtype.name}, fake.dtype={fake.dtype.name}"
        )
    compute = arguments.wide(real.dtype)
    flat = [tf.reshape(tf.cast(x, compute), [-1]) for x in (real, fake)]
    share = 1 / tf.cast(tf.maximum(tf.size(real) + tf.size(fake), 1), compute)
    loss, *gradients = _forward(*flat, tf.constant(1 - smoothing, compute), share)
    d_real, d_fake = (
        tf.cast(tf.reshape(d, tf.shape(x)), x.dtype)
        for d, x in zip(gradients, (real, fake), strict=True)
    )
    return loss, d_real, d_fake


def _in_stock_ops(real, fake, target, share):
    total = tf.reduce_sum(tf.nn.softplus(real) - target * real)
    total += tf.reduce_sum(tf.nn.softplus(fake))
    return share * total, share * (tf.sigmoid(real) - target), share * tf.sigmoid(fake)


@kernel(
    "(m),(n),(),()->(),(m),(n)",
    reference=_in_stock_ops,
    fastmath=ANY_ORDER,
    name="discriminator_gradient",
)
def _forward(real, fake, target, share, loss, d_real, d_fake):
    total = 0.0
    for i in range(real.shape[0]):
        total += max(real[i], 0) - target * real[i] + softplus(-abs(real[i]))
        d_real[i] = share * (sigmoid(real[i]) - target)
    for i in range(fake.shape[0]):
        total += max(fake[i], 0) + softplus(-abs(fake[i]))
        d_fake[i] = share * sigmoid(fake[i])
    loss[0] = share * total
