"""Sample and KL divergence of a diagonal Gaussian, and their gradient; csrc/kernels has the same.

z = mean + exp(log_var / 2) eps, kl = sum_cols(exp(log_var) - (log_var + 1) + mean^2) / 2
d_mean = d_z + d_kl mean, d_log_var = (d_z exp(log_var / 2) eps + d_kl (exp(log_var) - 1)) / 2
"""

import functools

from fastgen.jit.cuda import arguments, noise
from fastgen.jit.cuda.intrinsics import load_16_bytes, store_16_bytes
from fastgen.jit.cuda.rows import grid_of_rows, sum_of_row
from fastgen.jit.cuda.target import cuda, device, exp, kernel, launch


def gaussian_sample_kl(mean, log_var, seed):
    """Sample of a diagonal Gaussian and its KL divergence from the standard normal, in one pass.

    `z = mean + exp(log_var / 2) * tf.random.stateless_normal(shape, seed)` and
    `kl = -1/2 * sum(1 + log_var - exp(log_var) - mean**2, axis=-1)`

    Example:
    >>> import cupy
    >>> from fastgen.jit import cuda
    >>> mean, log_var = cupy.array([[1.0, 2.0]], "float32"), cupy.zeros([1, 2], "float32")
    >>> z, kl = cuda.gaussian_sample_kl(mean, log_var, seed=(1, 2))
    >>> kl
    array([2.5], dtype=float32)

    Args:
        mean: `(..., codings)` float32 or float64 array on the GPU.
        log_var: logarithm of the variance, of the shape and dtype of `mean`.
        seed: two integers, or `(2,)` int32 or int64 in NumPy. The same seed gives the same noise.

    Returns:
        z: `(..., codings)` array of the dtype of `mean`.
        kl: `(...)` array, likewise.

    Raises:
        ValueError: if shapes or dtypes differ, for a scalar, for other dtypes or seeds.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114.
    """
    op = "gaussian_sample_kl"
    mean, log_var = arguments.floats(op, mean=mean, log_var=log_var)
    words = noise.stream(op, seed)
    if mean.size == 0:
        return arguments.zeros(mean, mean.shape), arguments.zeros(mean, mean.shape[:-1])
    z, kl = arguments.empty(mean, mean.shape), arguments.empty(mean, mean.shape[:-1])
    grid = _grid(mean)
    launch(_forward(mean.dtype.name), grid, mean, log_var, mean.shape[-1], *words, z, kl)
    return z, kl


def gaussian_sample_kl_grad(mean, log_var, seed, d_z, d_kl):
    """Gradient of `gaussian_sample_kl`, with the noise of the same seed.

    `d_mean = d_z + d_kl * mean` and
    `d_log_var = (d_z * exp(log_var / 2) * noise + d_kl * (exp(log_var) - 1)) / 2`

    Example:
    >>> import cupy
    >>> from fastgen.jit import cuda
    >>> mean, log_var = cupy.array([[1.0, 2.0]], "float32"), cupy.zeros([1, 2], "float32")
    >>> d_z, d_kl = cupy.zeros([1, 2], "float32"), cupy.ones([1], "float32")
    >>> cuda.gaussian_sample_kl_grad(mean, log_var, (1, 2), d_z, d_kl)[0]
    array([[1., 2.]], dtype=float32)

    Args:
        mean: as for `gaussian_sample_kl`.
        log_var: likewise.
        seed: likewise.
        d_z: gradient of z, of the shape and dtype of `mean`.
        d_kl: gradient of kl, of its shape and dtype.

    Returns:
        d_mean: array of the shape and dtype of `mean`.
        d_log_var: likewise.

    Raises:
        ValueError: as `gaussian_sample_kl`.

    Source: as of `gaussian_sample_kl`.
    """
    op = "gaussian_sample_kl_grad"
    mean, log_var, d_z = arguments.floats(op, mean=mean, log_var=log_var, d_z=d_z)
    d_kl = arguments.shaped(op, "d_kl", d_kl, mean, mean.shape[:-1])
    words = noise.stream(op, seed)
    d_mean, d_log_var = arguments.empty(mean, mean.shape), arguments.empty(mean, mean.shape)
    if mean.size:
        inputs = mean, log_var, d_z, d_kl, mean.shape[-1]
        launch(_backward(mean.dtype.name), _grid(mean), *inputs, *words, d_mean, d_log_var)
    return d_mean, d_log_var


def _grid(mean):
    cols, (size, _, _) = mean.shape[-1], noise.GROUPS[mean.dtype.name]
    return grid_of_rows(mean.size // cols, -(-cols // size))


@device
def divergence(mean, log_var, variance):
    """An element's share of the KL divergence: never negative, 0 of zeros."""
    real = type(mean)
    rest = variance - (log_var + real(1))
    return ((real(0) if rest < real(0) else rest) + mean * mean) * real(0.5)


# Of groups that two rows share, each row's threads make the noise and take their own elements.


@device
def load(array, group, begin, end, values):
    """A group's elements in [begin, end), zeros for the others."""
    first = group * len(values)
    if begin <= first and first + len(values) <= end:
        load_16_bytes(array, first, values)
    else:
        for k in range(len(values)):
            values[k] = 0
            if begin <= first + k and first + k < end:
                values[k] = array[first + k]


@device
def store(values, group, begin, end, array):
    """The way back, nothing for the others."""
    first = group * len(values)
    if begin <= first and first + len(values) <= end:
        store_16_bytes(array, first, values)
    else:
        for k in range(len(values)):
            if begin <= first + k and first + k < end:
                array[first + k] = values[k]


# A range with a step that is known at run time alone would begin with a division of 64 bits.


@functools.cache
def _forward(dtype):
    size, real, normal = noise.GROUPS[dtype]

    @kernel
    def gaussian_sample_kl(mean, log_var, cols, key0, key1, counter2, counter3, z, kl):
        m = cuda.local.array(size, real)
        v = cuda.local.array(size, real)
        eps = cuda.local.array(size, real)
        first_row = cuda.blockIdx.x * cuda.blockDim.y
        while first_row < kl.size:  # as often in all threads of a block: they meet in sum_of_row
            row = first_row + cuda.threadIdx.y
            begin = row * cols
            end = begin + cols if row < kl.size else begin
            total = real(0)
            group = begin // size + cuda.threadIdx.x
            while group * size < end:
                normal(group, key0, key1, counter2, counter3, eps)
                load(mean, group, begin, end, m)
                load(log_var, group, begin, end, v)
                for k in range(size):
                    std_dev = exp(real(0.5) * v[k])
                    total += divergence(m[k], v[k], std_dev * std_dev)
                    m[k] += std_dev * eps[k]
                store(m, group, begin, end, z)
                group += cuda.blockDim.x
            total = sum_of_row(total)
            if cuda.threadIdx.x == 0 and row < kl.size:
                kl[row] = total
            first_row += cuda.gridDim.x * cuda.blockDim.y

    return gaussian_sample_kl


@functools.cache
def _backward(dtype):
    size, real, normal = noise.GROUPS[dtype]

    @kernel
    def gaussian_sample_kl_grad(
        mean, log_var, d_z, d_kl, cols, key0, key1, counter2, counter3, d_mean, d_log_var
    ):
        m = cuda.local.array(size, real)
        v = cuda.local.array(size, real)
        d = cuda.local.array(size, real)
        eps = cuda.local.array(size, real)
        row = cuda.blockIdx.x * cuda.blockDim.y + cuda.threadIdx.y
        while row < d_kl.size:
            begin, end = row * cols, (row + 1) * cols
            group = begin // size + cuda.threadIdx.x
            while group * size < end:
                normal(group, key0, key1, counter2, counter3, eps)
                load(mean, group, begin, end, m)
                load(log_var, group, begin, end, v)
                load(d_z, group, begin, end, d)
                for k in range(size):
                    std_dev = exp(real(0.5) * v[k])
                    of_kl = d_kl[row] * (std_dev * std_dev - real(1))
                    v[k] = (d[k] * (std_dev * eps[k]) + of_kl) * real(0.5)
                    m[k] = d[k] + d_kl[row] * m[k]
                store(m, group, begin, end, d_mean)
                store(v, group, begin, end, d_log_var)
                group += cuda.blockDim.x
            row += cuda.gridDim.x * cuda.blockDim.y

    return gaussian_sample_kl_grad
