import numpy as np
import pytest

from tests.core import reference
from tests.core.cases import assert_same_bits, assert_within, unit
from tests.cuda.cases import CODES, MATRICES, draw, dtypes, kl_dtype, poisoned, shifted
from tests.cuda.memory import KernelError, Out


def inputs(dtype, shape):
    """mean, log_var and d_kl."""
    return (*draw(dtype, shape, shape), *draw(kl_dtype(dtype).name, shape[0]))


def forward(call, mean, log_var, place=lambda x: x):
    dtype = mean.dtype.name
    kl = Out(place(poisoned(mean.shape[0], kl_dtype(dtype))))
    return call("fg_cuda_gaussian_kl", CODES[dtype], *mean.shape, place(mean), place(log_var), kl)


def backward(call, mean, log_var, d_kl, place=lambda x: x):
    dtype = mean.dtype.name
    outs = [Out(place(poisoned(mean.shape, dtype))) for _ in range(2)]
    arrays = place(mean), place(log_var), place(d_kl), *outs
    return call("fg_cuda_gaussian_kl_grad", CODES[dtype], *mean.shape, *arrays)


def assert_forward(kl, mean, log_var):
    dtype = mean.dtype.name
    m, v = reference.wide(mean, log_var)
    bound = 8 * unit(dtype) * (1 + np.abs(v) + np.exp(v) + m**2).sum(-1)
    assert_within(kl, reference.kl(mean, log_var), bound + 1e-300, kl_dtype(dtype))


@dtypes
@pytest.mark.parametrize("shape", MATRICES, ids=str)
def test_errs_as_stated(call, dtype, shape):
    mean, log_var, _ = inputs(dtype, shape)
    assert_forward(forward(call, mean, log_var), mean, log_var)


@dtypes
@pytest.mark.parametrize("shape", [(2, 1024), (1, 16384 + 24)], ids=str)
def test_equal_terms_err_as_stated(call, dtype, shape):
    """They round alike, which is the worst for a long sum."""
    mean, log_var, _ = inputs(dtype, shape)
    mean[:], log_var[:] = mean[:, :1], log_var[:, :1]
    assert_forward(forward(call, mean, log_var), mean, log_var)


@dtypes
@pytest.mark.parametrize("shape", MATRICES, ids=str)
def test_gradients_err_as_stated(call, dtype, shape):
    mean, log_var, d_kl = inputs(dtype, shape)
    m, v, d = reference.wide(mean, log_var, d_kl[:, None])
    ours, exact = backward(call, mean, log_var, d_kl), reference.kl_grad(mean, log_var, d_kl)
    u = unit(dtype)
    assert_within(ours[0], exact[0], 2 * u * np.abs(m * d), dtype)
    assert_within(ours[1], exact[1], 8 * u * (1 + np.exp(v)) * np.abs(d), dtype)


@dtypes
@pytest.mark.parametrize("shape", [(9, 16), (3, 1040)], ids=str)
def test_arrays_that_16_bytes_do_not_divide(call, dtype, shape):
    mean, log_var, d_kl = inputs(dtype, shape)
    assert_forward(forward(call, mean, log_var, shifted), mean, log_var)
    grads = backward(call, mean, log_var, d_kl, shifted)
    for ours, aligned in zip(grads, backward(call, mean, log_var, d_kl), strict=True):
        assert_same_bits(ours, aligned)


@dtypes
def test_the_same_bits_again(call, dtype):
    """Threads run in another order each time: see on_cpu/block.h."""
    mean, log_var, _ = inputs(dtype, (3, 16384 + 24))
    assert len({forward(call, mean, log_var).tobytes() for _ in range(3)}) == 1


@dtypes
def test_gradients_in_place(call, dtype):
    mean, log_var, d_kl = inputs(dtype, (9, 16))
    expected = backward(call, mean, log_var, d_kl)
    for outs in ((mean, log_var), (log_var, mean)):
        arrays = mean, log_var, d_kl, *map(Out, outs)
        ours = call("fg_cuda_gaussian_kl_grad", CODES[dtype], 9, 16, *arrays)
        for one, other in zip(ours, expected, strict=True):
            assert_same_bits(one, other)


@dtypes
def test_not_negative_and_zero_at_the_prior(call, dtype):
    near = np.concatenate([[0.0], np.geomspace(1e-30, 1, 200), -np.geomspace(1e-30, 1, 200)])
    # One column, so that no other term hides a negative one.
    log_var = near[:, None].astype(draw(dtype, 1)[0].dtype)
    assert forward(call, np.zeros_like(log_var), log_var).min() >= 0
    zero = np.zeros_like(log_var[:9])
    assert (forward(call, zero, zero) == 0).all()
    for grad in backward(call, zero, zero, np.ones(9, kl_dtype(dtype))):
        assert (grad == 0).all()


@dtypes
def test_nan_reaches_its_row_alone(call, dtype):
    mean, log_var, d_kl = inputs(dtype, (6, 8))
    mean[3, 0], log_var[1, 2] = np.nan, np.nan
    kl = forward(call, mean, log_var)
    assert list(np.isnan(kl)) == [False, True, False, True, False, False]
    d_mean, d_log_var = backward(call, mean, log_var, d_kl)
    assert np.argwhere(np.isnan(d_mean)).tolist() == [[3, 0]]
    assert np.argwhere(np.isnan(d_log_var)).tolist() == [[1, 2]]


def test_refuses_sizes_and_dtypes(call):
    for name, more in (("fg_cuda_gaussian_kl", 0), ("fg_cuda_gaussian_kl_grad", 2)):
        with pytest.raises(KernelError, match="must not be negative"):
            call(name, 0, -1, 2, *[None] * (3 + more))
        with pytest.raises(KernelError, match="dtype must be float32.*Received: code 9"):
            call(name, 9, 1, 2, *[None] * (3 + more))
