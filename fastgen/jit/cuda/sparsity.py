"""Sparsity penalties, the mean activities behind them, and their gradient.

Sums over rows have the dtype of the activations; what is made of them, a number a unit, is float64,
as in csrc/kernels: 1 - q must survive.
"""

import math

from fastgen.jit.cuda import arguments
from fastgen.jit.cuda.rows import least, one_block, sum_of_row
from fastgen.jit.cuda.target import cuda, device, kernel, launch, log

KINDS = ("kl", "l1", "mse")
KL, L1, MSE = range(3)
# Mean activities are clipped to [EPSILON, 1 - EPSILON] in the logarithms, as Keras clips them.
EPSILON = 1e-7
# Unmeasured: columns and rows of a block; rows that a strip has at least, strips at most.
WIDTH, HEIGHT = 32, 8
LEAST_ROWS, MOST_STRIPS = 64, 256


def sparsity(activations, target, kind):
    """Sparsity penalty of a batch of activations, and the mean activity of each unit.

    With q the mean activity of a unit, over all axes but the last, and p the target:

    - `"kl"`: `sum_units(p * log(p / q) + (1 - p) * log((1 - p) / (1 - q)))`, q clipped to
      `[1e-7, 1 - 1e-7]`, without a gradient where it is clipped;
    - `"l1"`: `sum_units(mean(abs(activations)))`;
    - `"mse"`: `sum_units((q - p)**2)`.

    Example:
    >>> import cupy
    >>> from fastgen.jit import cuda
    >>> activations = cupy.array([[0.0, 0.5], [0.5, 0.5]])
    >>> penalty, activity = cuda.sparsity(activations, target=0.25, kind="mse")
    >>> activity
    array([0.25, 0.5 ])
    >>> float(penalty)
    0.0625

    Args:
        activations: `(..., units)` float32 or float64 array on the GPU; for `"kl"` in [0, 1].
        target: Python number p; for `"kl"` in [0, 1], for `"l1"` None or 0.
        kind: `"kl"`, `"l1"` or `"mse"`.

    Returns:
        penalty: scalar of the dtype of `activations`. Of an empty batch it is 0.
        activity: `(units,)` float64, q, for `"l1"` that of the magnitudes.

    Raises:
        ValueError: for another kind or dtype, a scalar, a target out of its range.

    Source: Ng, Sparse autoencoder, CS294A lecture notes, 2011.
    """
    op = "sparsity"
    (activations,) = arguments.floats(op, activations=activations)
    target = _target(op, target, kind)
    cols = activations.shape[-1]
    if activations.size == 0:
        return arguments.zeros(activations, ()), arguments.zeros(activations, (cols,), "float64")
    count = activations.size // cols
    code = KINDS.index(kind)
    sums = _sums_of_columns(activations, count, cols, code)
    activity = arguments.empty(activations, (cols,), "float64")
    penalty = arguments.empty(activations, ())
    negative_entropy = _x_log_x(target) + _x_log_x(1 - target) if kind == "kl" else 0.0
    numbers = count, code, target, negative_entropy
    launch(penalties, one_block(), sums, *numbers, activity, penalty)
    return penalty, activity


def sparsity_grad(activations, target, activity, d_penalty, kind):
    """Gradient of `sparsity`'s penalty.

    `d_activations = d_penalty * slope(activity) / rows`, for `"l1"` times `sign(activations)`, with
    the slope `(q - p) / (q * (1 - q))`, 1 or `2 * (q - p)`.

    Example:
    >>> import cupy
    >>> from fastgen.jit import cuda
    >>> activations = cupy.array([[0.0, 0.5], [0.5, 0.5]])
    >>> penalty, activity = cuda.sparsity(activations, 0.25, "mse")
    >>> cuda.sparsity_grad(activations, 0.25, activity, cupy.ones([]), "mse")
    array([[0.  , 0.25],
           [0.  , 0.25]])

    Args:
        activations: as for `sparsity`.
        target: likewise.
        activity: what `sparsity` returned.
        d_penalty: gradient of the penalty, a scalar array of its dtype.
        kind: as for `sparsity`.

    Returns:
        Array of the shape and dtype of `activations`.

    Raises:
        ValueError: as `sparsity`.

    Source: as of `sparsity`.
    """
    op = "sparsity_grad"
    (activations,) = arguments.floats(op, activations=activations)
    target = _target(op, target, kind)
    cols = activations.shape[-1]
    shape = (cols,)
    activity = arguments.shaped(op, "activity", activity, activations, shape, dtypes=("float64",))
    d_penalty = arguments.shaped(op, "d_penalty", d_penalty, activations, ())
    d_activations = arguments.empty(activations, activations.shape)
    if activations.size:
        count, code = activations.size // cols, KINDS.index(kind)
        each = arguments.empty(activations, shape)
        launch(slopes, one_block(), activity, d_penalty, count, code, target, each)
        grid, strip = _grid(count, cols)
        launch(gradients, grid, activations, each, count, strip, code, d_activations)
    return d_activations


def _target(op, target, kind):
    """Check a kind of penalty and its target; the target as a float, 0 for `"l1"`."""
    if kind not in KINDS:
        raise ValueError(f"{op}: kind must be one of {KINDS}. Received: kind={kind!r}")
    if kind != "l1":
        return arguments.number(op, "target", target, *((0, 1) if kind == "kl" else ()))
    if target not in (None, 0):
        raise ValueError(
            f"{op}: target must be None for kind='l1', which has none. Received: target={target!r}"
        )
    return 0.0


def _x_log_x(x):
    return x * math.log(x) if x > 0 else 0.0


def _grid(count, cols):
    """Blocks of columns and of strips, each with its threads, and the rows of a strip."""
    strip = max(LEAST_ROWS, -(-count // MOST_STRIPS))
    return ((-(-cols // WIDTH), -(-count // strip)), (WIDTH, HEIGHT)), strip


def _sums_of_columns(x, count, cols, code):
    """Of strips of rows, then of strips of those sums, until there is one of each column."""
    while True:
        grid, strip = _grid(count, cols)
        strips = grid[0][1]
        sums = arguments.empty(x, (strips, cols))
        launch(column_sums, grid, x, cols, count, strip, code, sums)
        if strips == 1:
            return sums
        x, count = sums, strips


@kernel
def column_sums(x, cols, count, strip, code, sums):
    """Sums of the columns of a strip, for l1 of the magnitudes: `sums[strips, cols]`."""
    col = cuda.blockIdx.x * WIDTH + cuda.threadIdx.x
    begin = cuda.blockIdx.y * strip
    real = type(x[0])
    total = real(0)
    if col < cols:
        for row in range(begin + cuda.threadIdx.y, least(begin + strip, count), HEIGHT):
            value = x[row * cols + col]
            total += abs(value) if code == L1 else value
    parts = cuda.shared.array((HEIGHT, WIDTH), type(total))
    parts[cuda.threadIdx.y, cuda.threadIdx.x] = total
    cuda.syncthreads()
    if cuda.threadIdx.y == 0 and col < cols:
        for part in range(1, HEIGHT):
            total += parts[part, cuda.threadIdx.x]
        sums[cuda.blockIdx.y * cols + col] = total


@device
def term(q, code, target, negative_entropy):
    """A unit's penalty."""
    if code == L1:
        return q
    if code == MSE:
        return (q - target) ** 2
    # Comparisons that a NaN passes by.
    inside = EPSILON if q < EPSILON else 1 - EPSILON if q > 1 - EPSILON else q
    return negative_entropy - target * log(inside) - (1 - target) * log(1 - inside)


@device
def slope(q, code, target):
    """Derivative of `term`."""
    if code == L1:
        return 1.0
    if code == MSE:
        return 2 * (q - target)
    if q < EPSILON or q > 1 - EPSILON:
        return 0.0
    return (q - target) / (q * (1 - q))


@kernel
def penalties(sums, count, code, target, negative_entropy, activity, penalty):
    """One block: activity of each unit, and the sum of their penalties."""
    total = 0.0
    col = cuda.threadIdx.x
    while col < sums.size:
        q = float(sums[col]) / count
        activity[col] = q
        total += term(q, code, target, negative_entropy)
        col += cuda.blockDim.x
    total = sum_of_row(total)
    if cuda.threadIdx.x == 0:
        penalty[0] = total


@kernel
def slopes(activity, d_penalty, count, code, target, each):
    """One block: what each unit's activations share, in their dtype."""
    col = cuda.threadIdx.x
    while col < activity.size:
        each[col] = slope(activity[col], code, target) * float(d_penalty[0]) / count
        col += cuda.blockDim.x


@kernel
def gradients(activations, each, count, strip, code, d_activations):
    """Each column's slope to all its rows, for l1 with the sign of the activation."""
    col = cuda.blockIdx.x * WIDTH + cuda.threadIdx.x
    begin = cuda.blockIdx.y * strip
    if col < each.size:
        of_column = each[col]
        for row in range(begin + cuda.threadIdx.y, least(begin + strip, count), HEIGHT):
            index = row * each.size + col
            d_activations[index] = of_column
            if code == L1:
                d_activations[index] = of_column * sign(activations[index])


@device
def sign(x):
    """Of 0 and NaN, themselves."""
    real = type(x)
    return real(1) if x > real(0) else real(-1) if x < real(0) else x
