"""Cross-entropy of Bernoulli targets and logits, and its gradient.

loss = max(l, 0) - l y + log(1 + exp(-|l|)), d_logits = d_loss (sigmoid(l) - y)
with y = targets (1 - label_smoothing) + label_smoothing / 2
"""

from fastgen.jit.cuda import arguments
from fastgen.jit.cuda.rows import grid_of_elements, grid_of_rows, least, one_block, sum_of_row
from fastgen.jit.cuda.target import cuda, device, exp, kernel, launch, log1p

REDUCTIONS = ("none", "row", "mean")
# Elements that a block takes where there are no rows: a mean over all adds up means of so many.
CHUNK = 4096


def sigmoid_cross_entropy(targets, logits, label_smoothing=0.0, reduction="none"):
    """Cross-entropy between targets in [0, 1] and the sigmoid of logits.

    `loss = max(logits, 0) - logits * y + log(1 + exp(-abs(logits)))` with
    `y = targets * (1 - label_smoothing) + label_smoothing / 2`

    Example:
    >>> import cupy
    >>> from fastgen.jit import cuda
    >>> cuda.sigmoid_cross_entropy(cupy.array([[0.0, 1.0]]), cupy.array([[-999.0, 999.0]]))
    array([[0., 0.]])

    Args:
        targets: `(..., features)` array on the GPU in [0, 1], of the dtype of `logits`; or uint8,
            which is divided by 255, for images.
        logits: `(..., features)` float32 or float64 array on the GPU.
        label_smoothing: Python number in [0, 1]: how far targets are moved towards 1/2.
        reduction: `"none"`, `"row"` for the mean over the last axis, or `"mean"` over all axes.

    Returns:
        Array of the dtype of `logits` and of their shape, the same without its last axis, or a
        scalar. A mean of nothing is 0.

    Raises:
        ValueError: if shapes or dtypes do not fit, for a scalar, for another reduction.

    Source: section 6.2.2.2 of Goodfellow, Bengio & Courville (2016), Deep Learning.
    """
    op = "sigmoid_cross_entropy"
    targets, logits, scale, shift = _arguments(op, targets, logits, label_smoothing, reduction)
    shape = _shape_of_loss(logits, reduction)
    if logits.size == 0:
        return arguments.zeros(logits, shape)
    loss = arguments.empty(logits, shape)
    if reduction == "none":
        launch(losses, grid_of_elements(logits.size), targets, logits, scale, shift, loss)
        return loss
    count = logits.shape[-1] if reduction == "row" else logits.size
    cols = min(count, CHUNK) if reduction == "mean" else count
    rows = -(-logits.size // cols)
    means = loss if rows == loss.size else arguments.empty(logits, (rows,))
    real = logits.dtype.type
    grid = grid_of_rows(rows, cols)
    launch(means_of_rows, grid, targets, logits, cols, scale, shift, real(1 / count), means)
    if means is not loss:
        launch(sum_of_all, one_block(), means, loss)
    return loss


def sigmoid_cross_entropy_grad(targets, logits, label_smoothing, d_loss, reduction):
    """Gradient of `sigmoid_cross_entropy` by the logits.

    `d_logits = d_loss * (sigmoid(logits) - y)`, divided by how many are averaged.

    Example:
    >>> import cupy
    >>> from fastgen.jit import cuda
    >>> targets, logits = cupy.array([[0.0, 1.0]]), cupy.zeros([1, 2])
    >>> cuda.sigmoid_cross_entropy_grad(targets, logits, 0.0, cupy.ones([]), "mean")
    array([[ 0.25, -0.25]])

    Args:
        targets: as for `sigmoid_cross_entropy`.
        logits: likewise.
        label_smoothing: likewise.
        d_loss: gradient of the loss, of its shape and dtype.
        reduction: as for `sigmoid_cross_entropy`.

    Returns:
        Array of the shape and dtype of `logits`.

    Raises:
        ValueError: as `sigmoid_cross_entropy`.

    Source: as of `sigmoid_cross_entropy`.
    """
    op = "sigmoid_cross_entropy_grad"
    targets, logits, scale, shift = _arguments(op, targets, logits, label_smoothing, reduction)
    d_loss = arguments.shaped(op, "d_loss", d_loss, logits, _shape_of_loss(logits, reduction))
    d_logits = arguments.empty(logits, logits.shape)
    if logits.size:
        real, cols = logits.dtype.type, logits.shape[-1] if reduction == "row" else CHUNK
        count = {"none": 1, "row": cols, "mean": logits.size}[reduction]
        # Where an element's d_loss lies: in steps for elements and for rows.
        steps = int(reduction == "none"), int(reduction == "row")
        grid = grid_of_rows(-(-logits.size // cols), cols)
        numbers = cols, scale, shift, real(1 / count)
        launch(gradients, grid, targets, logits, *numbers, d_loss, *steps, d_logits)
    return d_logits


def _arguments(op, targets, logits, label_smoothing, reduction):
    """Checked, with the factor and the summand that make y of a target."""
    (logits,) = arguments.floats(op, logits=logits)
    dtypes = logits.dtype.name, "uint8"
    targets = arguments.shaped(op, "targets", targets, logits, logits.shape, "logits", dtypes)
    smoothing = arguments.number(op, "label_smoothing", label_smoothing, 0, 1)
    if reduction not in REDUCTIONS:
        raise ValueError(
            f"{op}: reduction must be one of {REDUCTIONS}. Received: reduction={reduction!r}"
        )
    real, whole = logits.dtype.type, 255 if targets.dtype.name == "uint8" else 1
    return targets, logits, real((1 - smoothing) / whole), real(smoothing / 2)


def _shape_of_loss(logits, reduction):
    return {"none": logits.shape, "row": logits.shape[:-1], "mean": ()}[reduction]


@device
def loss_of(logit, y):
    """Finite for all finite logits."""
    real = type(logit)
    positive = logit if logit > real(0) else real(0)
    return positive - logit * y + log1p(exp(-abs(logit)))


@device
def slope_of(logit, y):
    """sigmoid(logit) - y, exact to its last places where y is 0 or 1."""
    real = type(logit)
    small = exp(-abs(logit))
    small = small / (real(1) + small)
    return small - y if logit < real(0) else (real(1) - y) - small


@kernel
def losses(targets, logits, scale, shift, loss):
    """Of each element."""
    i = cuda.grid(1)
    while i < logits.size:
        loss[i] = loss_of(logits[i], type(scale)(targets[i]) * scale + shift)
        i += cuda.gridsize(1)


@kernel
def means_of_rows(targets, logits, cols, scale, shift, weight, means):
    """Sums over rows, times the weight. The last row may be shorter."""
    first_row = cuda.blockIdx.x * cuda.blockDim.y
    while first_row < means.size:  # as often in all threads of a block: they meet in sum_of_row
        row = first_row + cuda.threadIdx.y
        end = least((row + 1) * cols, logits.size)
        total = type(weight)(0)
        i = row * cols + cuda.threadIdx.x
        while i < end:
            total += loss_of(logits[i], type(scale)(targets[i]) * scale + shift)
            i += cuda.blockDim.x
        total = sum_of_row(total)
        if cuda.threadIdx.x == 0 and row < means.size:
            means[row] = total * weight
        first_row += cuda.gridDim.x * cuda.blockDim.y


@kernel
def sum_of_all(parts, total):
    """One block."""
    value = type(parts[0])(0)
    i = cuda.threadIdx.x
    while i < parts.size:
        value += parts[i]
        i += cuda.blockDim.x
    value = sum_of_row(value)
    if cuda.threadIdx.x == 0:
        total[0] = value


@kernel
def gradients(targets, logits, cols, scale, shift, weight, d_loss, by_element, by_row, d_logits):
    """Each element's slope times what arrives at its loss."""
    row = cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y
    while row * cols < logits.size:
        end = least((row + 1) * cols, logits.size)
        i = row * cols + cuda.threadIdx.x
        while i < end:
            slope = slope_of(logits[i], type(scale)(targets[i]) * scale + shift)
            d_logits[i] = d_loss[i * by_element + row * by_row] * weight * slope
            i += cuda.blockDim.x
        row += cuda.gridDim.x * cuda.blockDim.y
