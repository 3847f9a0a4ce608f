import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import assert_same_bits, assert_within, unit
from tests.cuda.cases import CODES, MATRICES, SEED, draw, dtypes, kl_dtype, poisoned, seed, shifted
from tests.cuda.memory import KernelError, Out


def inputs(dtype, shape):
    """mean, log_var, d_z and d_kl."""
    return (*draw(dtype, shape, shape, shape), *draw(kl_dtype(dtype).name, shape[0]))


def forward(call, mean, log_var, place=lambda x: x, words=SEED):
    dtype = mean.dtype.name
    z, kl = place(poisoned(mean.shape, dtype)), place(poisoned(mean.shape[0], kl_dtype(dtype)))
    arrays = place(mean), place(log_var), Out(z), Out(kl)
    return call("fg_cuda_gaussian_sample_kl", CODES[dtype], *mean.shape, seed(words), *arrays)


def backward(call, mean, log_var, d_z, d_kl, place=lambda x: x):
    dtype = mean.dtype.name
    outs = [Out(place(poisoned(mean.shape, dtype))) for _ in range(2)]
    arrays = *map(place, (mean, log_var, d_z)), d_kl, *outs
    return call("fg_cuda_gaussian_sample_kl_grad", CODES[dtype], *mean.shape, seed(), *arrays)


def assert_forward(z, kl, mean, log_var, words=SEED):
    dtype = mean.dtype.name
    m, v = reference.wide(mean, log_var)
    u, eps = unit(dtype), reference.noise_like(mean, words)
    exact_z, exact_kl = reference.sample_kl(mean, log_var, words)
    assert_within(z, exact_z, 8 * u * (np.abs(m) + np.exp(v / 2) * (1 + np.abs(eps))), dtype)
    terms = 1 + np.abs(v) + np.exp(v) + m**2
    assert_within(kl, exact_kl, 8 * u * terms.sum(-1) + 1e-300, kl_dtype(dtype))


@dtypes
@pytest.mark.parametrize("shape", MATRICES, ids=str)
def test_errs_as_stated(call, dtype, shape):
    mean, log_var, _, _ = inputs(dtype, shape)
    assert_forward(*forward(call, mean, log_var), mean, log_var)


@dtypes
@pytest.mark.parametrize("shape", MATRICES, ids=str)
def test_gradients_err_as_stated(call, dtype, shape):
    mean, log_var, d_z, d_kl = inputs(dtype, shape)
    m, v, g, d = reference.wide(mean, log_var, d_z, d_kl[:, None])
    eps, u = reference.noise_like(mean, SEED), unit(dtype)
    ours = backward(call, mean, log_var, d_z, d_kl)
    exact = reference.sample_kl_grad(mean, log_var, SEED, d_z, d_kl)
    sample = 8 * u * np.abs(g) * np.exp(v / 2) * (1 + np.abs(eps))
    assert_within(ours[0], exact[0], 2 * u * np.abs(m * d) + u * np.abs(g), dtype)
    assert_within(ours[1], exact[1], sample + 8 * u * (1 + np.exp(v)) * np.abs(d), dtype)


@dtypes
@pytest.mark.parametrize("shape", [(9, 16), (3, 1040)], ids=str)
def test_arrays_that_16_bytes_do_not_divide(call, dtype, shape):
    mean, log_var, d_z, d_kl = inputs(dtype, shape)
    z, kl = forward(call, mean, log_var, shifted)
    assert_forward(z, kl, mean, log_var)
    assert_same_bits(z, forward(call, mean, log_var)[0])
    grads = backward(call, mean, log_var, d_z, d_kl, shifted)
    for ours, aligned in zip(grads, backward(call, mean, log_var, d_z, d_kl), strict=True):
        assert_same_bits(ours, aligned)


@pytest.mark.parametrize("words", [(0, 0), (2**63 - 1, -(2**63)), (-1, 2**32)])
def test_noise_of_any_seed(call, words):
    mean, log_var, _, _ = inputs("float32", (40, 12))
    assert_forward(*forward(call, mean, log_var, words=words), mean, log_var, words)


@dtypes
@pytest.mark.parametrize("shape", [(9, 16), (3, 7), (2, 1040)], ids=str)
def test_a_seed_on_the_device_gives_the_same_bits(call, dtype, shape):
    mean, log_var, d_z, d_kl = inputs(dtype, shape)
    there = np.array(SEED, np.int64)
    name, first = "fg_cuda_gaussian_sample_kl", (CODES[dtype], *shape)
    outs = Out(poisoned(shape, dtype)), Out(poisoned(shape[0], kl_dtype(dtype)))
    ours = call(f"{name}_device_seed", *first, there, mean, log_var, *outs)
    for one, other in zip(ours, forward(call, mean, log_var), strict=True):
        assert_same_bits(one, other)
    arrays = mean, log_var, d_z, d_kl, *(Out(poisoned(shape, dtype)) for _ in range(2))
    ours = call(f"{name}_grad_device_seed", *first, there, *arrays)
    for one, other in zip(ours, backward(call, mean, log_var, d_z, d_kl), strict=True):
        assert_same_bits(one, other)
    with pytest.raises(KernelError, match="seed must be on the device. Received: NULL"):
        call(f"{name}_grad_device_seed", *first, None, *arrays)


@dtypes
def test_the_same_bits_again(call, dtype):
    """Threads run in another order each time: see on_cpu/block.h."""
    mean, log_var, _, _ = inputs(dtype, (3, 16384 + 24))
    results = {b"".join(x.tobytes() for x in forward(call, mean, log_var)) for _ in range(3)}
    assert len(results) == 1


@dtypes
def test_in_place(call, dtype):
    mean, log_var, d_z, d_kl = inputs(dtype, (9, 16))
    z, kl = forward(call, mean, log_var)
    outs = Out(mean), Out(poisoned(9, kl_dtype(dtype)))
    ours = call("fg_cuda_gaussian_sample_kl", CODES[dtype], 9, 16, seed(), mean, log_var, *outs)
    assert_same_bits(ours[0], z), assert_same_bits(ours[1], kl)
    grads = backward(call, mean, log_var, d_z, d_kl)
    arrays = mean, log_var, d_z, d_kl, Out(log_var), Out(d_z)
    ours = call("fg_cuda_gaussian_sample_kl_grad", CODES[dtype], 9, 16, seed(), *arrays)
    for one, other in zip(ours, grads, strict=True):
        assert_same_bits(one, other)


@dtypes
def test_nan_reaches_its_row_alone(call, dtype):
    mean, log_var, _, _ = inputs(dtype, (6, 8))
    mean[3, 0] = np.nan
    z, kl = forward(call, mean, log_var)
    assert np.isnan(z.astype("float64")).sum() == 1 and np.isnan(z[3, 0])
    assert list(np.isnan(kl)) == [False, False, False, True, False, False]


def test_refuses_sizes_and_dtypes(call):
    with pytest.raises(KernelError, match="must not be negative"):
        call("fg_cuda_gaussian_sample_kl", 0, -1, 2, seed(), None, None, None, None)
    with pytest.raises(KernelError, match="dtype must be float32.*Received: code 9"):
        call("fg_cuda_gaussian_sample_kl", 9, 1, 2, seed(), None, None, None, None)
