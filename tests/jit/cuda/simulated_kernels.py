"""Kernels of numba.cuda in its simulator; tests/jit/cuda/test_simulator.py runs this file.

Each thread is one of Python: blocks, strips and chunks are made small, so that shapes can be, too.
"""

import doctest
import sys
import types

import numpy as np
import pytest

from fastgen.jit import cuda
from fastgen.jit.cuda import arguments, rows
from fastgen.jit.cuda.sigmoid_cross_entropy import sum_of_all
from fastgen.jit.cuda.target import launch
from tests.core import reference
from tests.tolerances import NOISE, assert_close

SHAPES = [(7, 10), (3, 65), (2, 3, 2), (5,), (0, 4), (5, 0)]
CASES = [*(("float32", shape) for shape in SHAPES), ("float64", (3, 11)), ("float64", (0, 4))]
KINDS = [("kl", 0.3), ("l1", None), ("mse", 0.2)]

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
cases = pytest.mark.parametrize("dtype, shape", CASES, ids=str)


@pytest.fixture(autouse=True)
def small(monkeypatch):
    sparsity, cross_entropy = (
        sys.modules[f"fastgen.jit.cuda.{name}"] for name in ("sparsity", "sigmoid_cross_entropy")
    )
    for module, name, value in [
        (rows, "THREADS", 32),
        (rows, "MOST_BLOCKS", 2),
        (sparsity, "WIDTH", 4),
        (sparsity, "HEIGHT", 2),
        (sparsity, "LEAST_ROWS", 8),
        (cross_entropy, "CHUNK", 40),
    ]:
        monkeypatch.setattr(module, name, value)


@pytest.fixture
def three_warps_a_row(monkeypatch):
    monkeypatch.setattr(rows, "THREADS", 96)
    monkeypatch.setattr(rows, "MOST_STEPS", 0)


@pytest.fixture(autouse=True)
def poisoned(monkeypatch):
    """What a kernel does not write is NaN."""

    def empty(like, shape, dtype=None):
        return np.full(shape, np.nan, dtype or like.dtype)

    monkeypatch.setattr(arguments, "empty", empty)


def normal(dtype, *shapes):
    rng = np.random.default_rng(len(shapes))
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


def check_sample_kl(dtype, shape):
    mean, log_var, d_z, d_kl = normal(dtype, shape, shape, shape, shape[:-1])
    z, kl = cuda.gaussian_sample_kl(mean, log_var, (1, 2))
    expected = reference.sample_kl(mean, log_var, (1, 2))
    assert z.dtype == kl.dtype == dtype
    assert_close(z, expected[0], dtype)
    assert_close(kl, expected[1], dtype, n=shape[-1])
    gradients = cuda.gaussian_sample_kl_grad(mean, log_var, (1, 2), d_z, d_kl)
    expected = reference.sample_kl_grad(mean, log_var, (1, 2), d_z, d_kl)
    for gradient, exact in zip(gradients, expected, strict=True):
        assert gradient.dtype == dtype
        assert_close(gradient, exact, dtype)


@cases
def test_gaussian_sample_kl(dtype, shape):
    check_sample_kl(dtype, shape)


@dtypes
def test_gaussian_sample_kl_of_rows_that_a_block_shares(three_warps_a_row, dtype):
    check_sample_kl(dtype, (3, 301))


@dtypes
def test_divergence_is_never_negative(dtype):
    (log_var,) = normal(dtype, (64, 1))
    log_var *= 4 * np.sqrt(np.finfo(dtype).eps)  # where what is left of 1 + x - exp(x) is rounding
    kl = cuda.gaussian_sample_kl(np.zeros_like(log_var), log_var, (1, 2))[1]
    assert (kl >= 0).all()


@dtypes
@pytest.mark.parametrize("seed", [(0, 0), (-1, 2**40)], ids=str)
def test_noise(dtype, seed):
    zeros = np.zeros([3, 17], dtype)
    z, kl = cuda.gaussian_sample_kl(zeros, zeros, np.array(seed))
    noise = reference.normal(51, seed, dtype).reshape(3, 17)
    assert (np.abs(z - noise) <= NOISE * (1 + np.abs(noise))).all()
    assert_close(z, noise, dtype)
    assert (kl == 0).all()


@dtypes
def test_the_least_uniform_gives_a_finite_number(dtype):
    from fastgen.jit.cuda import noise

    real = np.dtype(dtype).type
    assert_close(noise.box_muller(real(0), real(0.25))[0], np.sqrt(-2 * np.log(1e-7)), dtype)


@dtypes
def test_nan_stays_where_it_is(dtype):
    mean, log_var = np.zeros([3, 6], dtype), np.zeros([3, 6], dtype)
    mean[1, 2] = np.nan
    z, kl = cuda.gaussian_sample_kl(mean, log_var, (1, 2))
    assert np.isnan(z).sum() == 1 and np.isnan(z[1, 2])
    np.testing.assert_array_equal(np.isnan(kl), [False, True, False])
    d_mean, d_log_var = cuda.gaussian_sample_kl_grad(mean, log_var, (1, 2), log_var, log_var[:, 0])
    assert np.isnan(d_mean).sum() == 1 and not np.isnan(d_log_var).any()
    assert np.isnan(cuda.gaussian_sample_kl(log_var, mean, (1, 2))[1][1])
    for kind, target in KINDS:
        penalty, activity = cuda.sparsity(mean, target, kind)
        d_activations = cuda.sparsity_grad(mean, target, activity, np.ones([], dtype), kind)
        assert np.isnan(penalty) and np.isnan(d_activations[1, 2])
        np.testing.assert_array_equal(np.isnan(activity), np.arange(6) == 2)


def check_sparsity(activations, kind, target):
    dtype, shape = activations.dtype, activations.shape
    penalty, activity = cuda.sparsity(activations, target, kind)
    expected, q = reference.sparsity(activations, target, kind)
    count = max(activations.size // max(shape[-1], 1), 1)
    assert (penalty.dtype, activity.dtype) == (dtype, "float64")
    assert_close(penalty, expected, dtype, n=activations.size)
    assert_close(activity, q, dtype, n=count)
    d_penalty = np.array(1.5, dtype)
    gradient = cuda.sparsity_grad(activations, target, activity, d_penalty, kind)
    exact = reference.sparsity_grad(activations, target, kind, activity, d_penalty)
    assert gradient.dtype == dtype
    assert_close(gradient, exact, dtype)


@pytest.mark.parametrize("kind, target", KINDS)
@pytest.mark.parametrize(
    "dtype, shape", [("float32", (31, 5)), ("float32", (2, 33)), *CASES[2:]], ids=str
)
def test_sparsity(dtype, kind, target, shape):
    (activations,) = normal(dtype, shape)
    check_sparsity(np.abs(activations) % 1 if kind == "kl" else activations, kind, target)


@dtypes
@pytest.mark.parametrize("target", [0.0, 0.3, 1.0])
def test_sparsity_clips(dtype, target):
    units = [0.0, 1.0, 2e-7, 0.999999, 0.5]
    check_sparsity(np.tile(np.array(units, dtype), [4, 1]), "kl", target)


def check_cross_entropy(targets, logits, label_smoothing):
    dtype = logits.dtype
    each, slope = reference.cross_entropy(targets[..., None], logits[..., None], label_smoothing)
    slope = slope[..., 0]
    for reduction, counts in {"none": (), "row": (-1,), "mean": range(logits.ndim)}.items():
        count = max(np.prod([logits.shape[axis] for axis in counts], dtype=int), 1)
        expected = np.sum(each, axis=tuple(counts)) / count
        loss = cuda.sigmoid_cross_entropy(targets, logits, label_smoothing, reduction)
        assert (loss.dtype, loss.shape) == (dtype, expected.shape)
        assert_close(loss, expected, dtype, n=count)
        d_loss = np.asarray(normal(dtype, expected.shape)[0])
        arriving = np.expand_dims(d_loss, tuple(counts)) / count
        gradient = cuda.sigmoid_cross_entropy_grad(
            targets, logits, label_smoothing, d_loss, reduction
        )
        assert (gradient.dtype, gradient.shape) == (dtype, logits.shape)
        assert_close(gradient, arriving * slope, dtype)


@cases
def test_sigmoid_cross_entropy(dtype, shape):
    targets, logits = normal(dtype, shape, shape)
    check_cross_entropy(np.abs(targets) % 1, 4 * logits, 0.1)


@dtypes
def test_sigmoid_cross_entropy_with_images(dtype):
    targets, logits = normal(dtype, (2, 7), (2, 7))
    check_cross_entropy((np.abs(targets) % 1 * 255).astype("uint8"), logits, 0.1)


@dtypes
def test_sigmoid_cross_entropy_of_many(three_warps_a_row, dtype):
    targets, logits = normal(dtype, (2, 33), (2, 33))
    check_cross_entropy(np.abs(targets) % 1, logits, 0.0)


def test_sum_of_more_chunks_than_threads():
    parts, total = np.arange(70.0), np.zeros([])
    launch(sum_of_all, rows.one_block(), parts, total)
    assert total == parts.sum()


@dtypes
def test_sigmoid_cross_entropy_of_extremes(dtype):
    logits = np.tile(np.array([-1000.0, -30, 0, 30, 1000, np.nan], dtype), [3, 1])
    check_cross_entropy(np.repeat(np.array([[0], [0.5], [1]], dtype), 6, axis=1), logits, 0.0)


@dtypes
@pytest.mark.parametrize("target, sign", [(0, -1), (1, 1)])
def test_small_slopes_keep_their_digits(dtype, target, sign):
    logits = sign * np.linspace(1, 60, 8, dtype=dtype)
    one, targets = np.ones([], dtype), np.full_like(logits, target)
    slopes = cuda.sigmoid_cross_entropy_grad(targets, logits, 0.0, one, "mean") * logits.size
    small = np.exp(-np.abs(logits).astype(float))
    assert_close(slopes / small, -sign / (1 + small), dtype)


@dtypes
@pytest.mark.parametrize(
    "real, fake", [((6, 1), (4, 1)), ((70,), (3,)), ((0, 1), (2, 1)), ((0,), (0,))]
)
def test_discriminator_gradient(dtype, real, fake):
    logits = normal(dtype, real, fake)
    smoothing, count = 0.1, logits[0].size + logits[1].size
    loss, *gradients = cuda.discriminator_gradient(*logits, smoothing)
    total = 0
    for x, target, gradient in zip(logits, (1 - smoothing, 0), gradients, strict=True):
        each, slope = reference.cross_entropy(np.full([x.size, 1], target), x.reshape(-1, 1))
        total += np.sum(each)
        assert (gradient.dtype, gradient.shape) == (dtype, x.shape)
        assert_close(gradient, slope.reshape(x.shape) / max(count, 1), dtype)
    assert loss.dtype == dtype
    assert_close(loss, total / max(count, 1), dtype, n=max(count, 1))


def test_arrays_with_gaps_or_between_vectors():
    mean = np.zeros([4, 9], "float32")
    whole = cuda.gaussian_sample_kl(mean[:, :4].copy(), mean[:, :4].copy(), (1, 2))
    for other in (mean[:, :4], mean.ravel()[1:17].reshape(4, 4)):
        (taken,) = arguments.floats("op", x=other)
        assert taken.flags.c_contiguous and taken.ctypes.data % 16 == 0
        for ours, theirs in zip(cuda.gaussian_sample_kl(other, other, (1, 2)), whole, strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_cupys_arrays_give_cupys(monkeypatch):
    class ndarray(np.ndarray):
        __module__ = "cupy._core"

    def make(function):
        return lambda shape, dtype: function(shape, dtype).view(ndarray)

    stand_in = types.SimpleNamespace(empty=make(np.empty), zeros=make(np.zeros))
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    for shape in [(2, 3), (2, 0)]:
        mean = stand_in.zeros(shape, "float32")
        assert {type(x) for x in cuda.gaussian_sample_kl(mean, mean, (1, 2))} == {ndarray}


F, D = np.zeros([2, 3], "float32"), np.zeros([2, 3])
REFUSED = [
    (cuda.gaussian_sample_kl, ([1.0], F, (1, 2)), "gaussian_sample_kl: mean must be an array on"),
    (
        cuda.gaussian_sample_kl,
        (F, D, (1, 2)),
        "log_var must be float32. Received: log_var.dtype=fl",
    ),
    (
        cuda.gaussian_sample_kl,
        (F.astype("float16"),) * 2 + ((1, 2),),
        "float32 or float64. Received",
    ),
    (
        cuda.gaussian_sample_kl,
        (F, F[:1], (1, 2)),
        r"log_var must have the shape of mean, \(2, 3\). R",
    ),
    (
        cuda.gaussian_sample_kl,
        (F[0, 0, ...].reshape([]),) * 2 + ((1, 2),),
        "rank 1 or more. Received",
    ),
    (cuda.gaussian_sample_kl, (F, F, (1, 2, 3)), "seed must be two integers of 64 bits"),
    (cuda.gaussian_sample_kl, (F, F, ([1], [2, 3])), "seed must be two integers of 64 bits"),
    (cuda.gaussian_sample_kl, (F, F, (0.5, 2)), "seed must be two integers of 64 bits"),
    (cuda.gaussian_sample_kl, (F, F, (1, 2**64)), "seed must be two integers of 64 bits"),
    (
        cuda.gaussian_sample_kl_grad,
        (F, F, (1, 2), F, F),
        r"d_kl must have the shape \(2,\). Receiv",
    ),
    (
        cuda.sparsity,
        (F, 0.1, "l2"),
        r"sparsity: kind must be one of \('kl', 'l1', 'mse'\). Received",
    ),
    (cuda.sparsity, (F, 1.5, "kl"), r"target must be a number in \[0, 1\]. Received: target=1.5"),
    (cuda.sparsity, (F, float("nan"), "mse"), "target must be a number in"),
    (cuda.sparsity, (F, 0.1, "l1"), "target must be None for kind='l1'"),
    (cuda.sparsity_grad, (F, 0.1, F[0], F[0, 0], "mse"), "activity must be float64. Received"),
    (cuda.sigmoid_cross_entropy, (F.astype("int32"), F), "targets must be float32 or uint8. Rece"),
    (cuda.sigmoid_cross_entropy, (F, F, 2), "label_smoothing must be a number in"),
    (
        cuda.sigmoid_cross_entropy,
        (F, F, 0, "sum"),
        "reduction must be one of .* Received: reduction",
    ),
    (cuda.sigmoid_cross_entropy_grad, (F, F, 0, F, "row"), r"d_loss must have the shape \(2,\)"),
    (cuda.discriminator_gradient, (F, D), "real and fake must have the same dtype. Received"),
]


@pytest.mark.parametrize("function, given, message", REFUSED)
def test_refusals(function, given, message):
    with pytest.raises(ValueError, match=message):
        function(*given)


@pytest.mark.parametrize("name", cuda.__all__)
def test_examples(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", np)
    function = getattr(cuda, name)
    (test,) = doctest.DocTestFinder(recurse=False).find(function, name, globs={})
    assert test.examples and not doctest.DocTestRunner().run(test).failed
