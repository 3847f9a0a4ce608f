import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import assert_same_bits, assert_within, unit
from tests.cuda.cases import CODES, SEED, SIZES, draw, dtypes, poisoned, seed, shifted
from tests.cuda.memory import KernelError, Out

WORDS = [(0, 0), (2**63 - 1, -(2**63)), (-1, 2**32)]


def forward(call, mean, log_var, words=SEED, place=lambda x: x):
    dtype = mean.dtype.name
    out = Out(place(poisoned(mean.shape, dtype)))
    arrays = place(mean), place(log_var), out
    return call("fg_cuda_gaussian_sample", CODES[dtype], mean.size, seed(words), *arrays)


def backward(call, log_var, d_z, place=lambda x: x):
    dtype = log_var.dtype.name
    out = Out(place(poisoned(log_var.shape, dtype)))
    arrays = place(log_var), place(d_z), out
    return call("fg_cuda_gaussian_sample_grad", CODES[dtype], log_var.size, seed(), *arrays)


def spread(log_var, words=SEED):
    eps = reference.noise_like(log_var, words)
    return np.exp(log_var.astype("float64") / 2) * (1 + np.abs(eps))


def assert_forward(z, mean, log_var, words=SEED):
    exact, m = reference.sample(mean, log_var, words), mean.astype("float64")
    bound = 8 * unit(mean.dtype.name) * (np.abs(m) + spread(log_var, words))
    assert_within(z, exact, bound, mean.dtype.name)


@dtypes
@pytest.mark.parametrize("size", SIZES)
def test_errs_as_stated(call, dtype, size):
    mean, log_var = draw(dtype, size, size)
    log_var *= 4
    assert_forward(forward(call, mean, log_var), mean, log_var)


@dtypes
@pytest.mark.parametrize("size", SIZES)
def test_gradient_errs_as_stated(call, dtype, size):
    log_var, d_z = draw(dtype, size, size)
    bound = 8 * unit(dtype) * np.abs(d_z.astype("float64")) * spread(log_var)
    exact = reference.sample_grad(log_var, SEED, d_z)
    assert_within(backward(call, log_var, d_z), exact, bound, dtype)


@dtypes
def test_arrays_that_16_bytes_do_not_divide(call, dtype):
    mean, log_var = draw(dtype, 1027, 1027)
    assert_same_bits(forward(call, mean, log_var, place=shifted), forward(call, mean, log_var))
    assert_same_bits(backward(call, log_var, mean, shifted), backward(call, log_var, mean))


@pytest.mark.parametrize("words", WORDS)
def test_noise_of_any_seed(call, words):
    mean, log_var = draw("float32", 100, 100)
    assert_forward(forward(call, mean, log_var, words), mean, log_var, words)


@dtypes
@pytest.mark.parametrize("words", WORDS)
def test_a_seed_on_the_device_gives_the_same_bits(call, dtype, words):
    mean, log_var = draw(dtype, 1027, 1027)
    name, first = "fg_cuda_gaussian_sample", (CODES[dtype], mean.size)
    there = np.array(words, np.int64)
    for function, arrays in ((name, (mean, log_var)), (f"{name}_grad", (log_var, mean))):
        outs = [Out(poisoned(mean.shape, dtype)) for _ in range(2)]
        by_value = call(function, *first, seed(words), *arrays, outs[0])
        assert_same_bits(call(f"{function}_device_seed", *first, there, *arrays, outs[1]), by_value)
        with pytest.raises(KernelError, match="seed must be on the device. Received: NULL"):
            call(f"{function}_device_seed", *first, None, *arrays, outs[1])


@dtypes
def test_in_place(call, dtype):
    mean, log_var = draw(dtype, 1027, 1027)
    z, d_log_var = forward(call, mean, log_var), backward(call, log_var, mean)
    name, first = "fg_cuda_gaussian_sample", (CODES[dtype], mean.size, seed())
    for out in (mean, log_var):
        assert_same_bits(call(name, *first, mean, log_var, Out(out)), z)
        assert_same_bits(call(f"{name}_grad", *first, log_var, mean, Out(out)), d_log_var)


@dtypes
def test_nan_and_inf(call, dtype):
    """Each reaches its own element and no other."""
    mean, log_var = draw(dtype, 200, 200)
    clean = forward(call, mean, log_var)
    mean[3], mean[50], log_var[64], log_var[101] = np.nan, np.inf, np.nan, -np.inf
    z = forward(call, mean, log_var)
    assert np.isnan(z[[3, 64]]).all() and z[50] == np.inf and z[101] == mean[101]
    others = np.delete(np.arange(200), [3, 50, 64, 101])
    assert_same_bits(z[others], clean[others])
    d = backward(call, log_var, np.ones_like(mean))
    assert np.flatnonzero(np.isnan(d)).tolist() == [64] and d[101] == 0


def test_refuses_sizes_and_dtypes(call):
    for name in ("fg_cuda_gaussian_sample", "fg_cuda_gaussian_sample_grad"):
        with pytest.raises(KernelError, match="must not be negative"):
            call(name, 0, -1, seed(), None, None, None)
        with pytest.raises(KernelError, match="dtype must be float32.*Received: code 9"):
            call(name, 9, 1, seed(), None, None, None)
