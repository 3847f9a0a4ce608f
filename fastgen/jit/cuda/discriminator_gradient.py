"""Loss of a discriminator's logits, and the gradient with which its backward pass begins.

loss = mean(softplus(l) - target l) over all images, real and fake; d_l = (sigmoid(l) - target) / n
"""

from fastgen.jit.cuda import arguments
from fastgen.jit.cuda.rows import one_block, sum_of_row
from fastgen.jit.cuda.sigmoid_cross_entropy import loss_of, slope_of
from fastgen.jit.cuda.target import cuda, device, kernel, launch


def discriminator_gradient(real, fake, label_smoothing=0.0):
    """Binary cross-entropy of a discriminator's logits, and its gradient by them.

    `loss = mean(softplus(l) - target * l)` and `d_l = (sigmoid(l) - target) / (m + n)` over the
    logits `l` of all images; targets are `1 - label_smoothing` for real and 0 for fake images.

    Example:
    >>> import cupy
    >>> from fastgen.jit import cuda
    >>> loss, d_real, d_fake = cuda.discriminator_gradient(cupy.zeros([1]), cupy.zeros([1]))
    >>> d_real, d_fake
    (array([-0.25]), array([0.25]))

    Args:
        real: `(m, ...)` float32 or float64 array on the GPU, logits of real images.
        fake: `(n, ...)` array of the dtype of `real`, logits of generated images.
        label_smoothing: Python number in [0, 1]: real images have the target `1 - label_smoothing`.

    Returns:
        loss: scalar of the dtype of `real`, the mean over all images; of none it is 0.
        d_real: array of the shape and dtype of `real`.
        d_fake: likewise of `fake`.

    Raises:
        ValueError: if dtypes differ, for a scalar, for other dtypes.

    Source: Goodfellow et al. (2014), Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661; one-sided label smoothing: Salimans et al. (2016),
    https://arxiv.org/abs/1606.03498.
    """
    op = "discriminator_gradient"
    (real,), (fake,) = arguments.floats(op, real=real), arguments.floats(op, fake=fake)
    smoothing = arguments.number(op, "label_smoothing", label_smoothing, 0, 1)
    if real.dtype != fake.dtype:
        raise ValueError(
            f"{op}: real and fake must have the same dtype. "
            f"Received: real.dtype={real.dtype}, fake.dtype={fake.dtype}"
        )
    d_real, d_fake = (arguments.empty(x, x.shape) for x in (real, fake))
    count, kind = real.size + fake.size, real.dtype.type
    if count == 0:
        return arguments.zeros(real, ()), d_real, d_fake
    loss, numbers = arguments.empty(real, ()), (kind(1 - smoothing), kind(1 / count))
    launch(gradients, one_block(), real, fake, *numbers, loss, d_real, d_fake)
    return loss, d_real, d_fake


@device
def judge(logits, target, weight, d_logits):
    """A thread's share of the losses; writes its share of the gradients."""
    total = type(weight)(0)
    i = cuda.threadIdx.x
    while i < logits.size:
        total += loss_of(logits[i], target)
        d_logits[i] = slope_of(logits[i], target) * weight
        i += cuda.blockDim.x
    return total


@kernel
def gradients(real, fake, target, weight, loss, d_real, d_fake):
    """One block: a batch is some hundred logits, and a second launch would cost more than it."""
    total = judge(real, target, weight, d_real)
    total = sum_of_row(total + judge(fake, type(target)(0), weight, d_fake))
    if cuda.threadIdx.x == 0:
        loss[0] = total * weight
