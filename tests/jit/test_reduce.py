"""@reduce: values, axes, folds, gradients, and the places it runs in."""

import doctest
import hashlib

import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import jit
from tests.tolerances import assert_close

dtypes = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
AXES = (-1, 0, None)
axes = pytest.mark.parametrize("axis", AXES)
SHAPES = [
    ((7,), ()),
    ((5, 3), (3,)),
    ((5, 3), (5, 1)),
    ((1, 4), (6, 1)),
    ((4, 1, 3), (2, 1)),
    ((3, 0), (3, 1)),
    ((2100, 70), (70,)),
    ((40_001,), (40_001,)),
    ((1500, 2, 3), ()),
]


def draw(*shape, dtype="float32", seed=0):
    return tf.constant(np.random.default_rng(seed + len(shape)).normal(size=shape), dtype)


def term(x, y):
    return x * x + 2 * x * y


def d_term(x, y, d):
    return d * (2 * x + 2 * y), d * 2 * x


def of(axis, fold="sum"):
    """Kernels of a stock twin as their reference."""
    combine = {"sum": tf.reduce_sum, "mean": tf.reduce_mean, "max": tf.reduce_max}

    def stock(x, y):
        x, y = tf.cast(x, tf.float64), tf.cast(y, tf.float64)
        return combine.get(fold, tf.reduce_min)(x * x + 2 * x * y, axis=axis)

    gradient = d_term if fold in ("sum", "mean") else None
    name = f"{fold}_{axis}".replace("-", "last")
    kernel = jit.reduce(
        term,
        axis=axis,
        fold=fold,
        gradient=gradient,
        name=name,
        reference=lambda x, y: tf.cast(stock(x, y), x.dtype),
    )
    return kernel, stock


SUMS = {axis: of(axis) for axis in AXES}


@pytest.mark.parametrize("name", ["reduce", "Reduction"])
def test_example(name):
    (test,) = doctest.DocTestFinder(recurse=False).find(getattr(jit, name), name, globs={})
    assert test.examples and not doctest.DocTestRunner().run(test).failed


@axes
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_values(fused, axis, shapes):
    """Broadcasting, none, one, and more than is folded at a time."""
    kernel, stock = SUMS[axis]
    x, y = draw(*shapes[0]), draw(*shapes[1], seed=1)
    ours, theirs = kernel(x, y), stock(x, y)
    assert ours.dtype == "float32" and ours.shape == theirs.shape
    terms = np.broadcast_shapes(*shapes)
    size = int(np.prod(terms)) if axis is None else terms[axis]
    assert_close(ours, theirs, "float32", max(4 * size, 4))


@axes
@dtypes
def test_gradients(fused, axis, dtype):
    kernel, stock = of(axis, "mean")
    x, y = draw(6, 1, 4, dtype=dtype), draw(5, 1, dtype=dtype, seed=1)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([x, y])
        ours, theirs = kernel(x, y), stock(x, y)
    assert ours.dtype == dtype
    assert_close(tf.cast(ours, "float64"), theirs, dtype, 8)
    weights = tf.cos(tf.reshape(tf.range(tf.size(theirs), dtype=tf.float64), theirs.shape))
    weights = tf.cast(weights, dtype)
    for z in (x, y):
        found = tape.gradient(ours, z, weights)
        assert found.dtype == dtype and found.shape == z.shape
        expected = tape.gradient(theirs, z, tf.cast(weights, tf.float64))
        assert_close(tf.cast(found, "float64"), tf.cast(expected, "float64"), dtype, 40)


@axes
@pytest.mark.parametrize("fold", ["max", "min"])
def test_largest_and_least(axis, fold):
    kernel, stock = of(axis, fold)
    x = draw(2000, 9)
    assert_close(kernel(x, 0.5), stock(x, 0.5), "float32")
    whole = tf.cast(10 * x, tf.int16)
    np.testing.assert_array_equal(kernel(whole, tf.constant(0, tf.int16)), stock(whole, 0))
    with_nan = tf.where(tf.range(9) == 3, np.nan, x)
    assert np.isnan(kernel(with_nan, 0.0)).sum() == {-1: 2000, 0: 1, None: 1}[axis]


def test_of_nothing():
    x = tf.zeros([0, 3])
    assert SUMS[0][0](x, 1.0).numpy().tolist() == [0, 0, 0]
    assert np.isnan(of(None, "mean")[0](x, 1.0))
    assert of(0, "max")[0](x, 1.0).numpy().tolist() == [-np.inf] * 3
    assert SUMS[-1][0](x, 1.0).shape == (0,)


def test_several_outputs_of_several_dtypes():
    @jit.reduce(axis=0, gradient=lambda x, d, d_square: d + 2 * x * d_square)
    def moments(x):
        return x, x * x, x > 0, int(x)

    x = tf.constant([[1.5, -2.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        tape.watch(x)
        total, square, positive, whole = moments(x)
    assert [y.numpy().tolist() for y in (total, square, positive, whole)] == [
        [4.5, 2.0],
        [11.25, 20.0],
        [2, 1],
        [4, 2],
    ]
    assert positive.dtype == whole.dtype == "int64"
    assert tape.gradient(square, x).numpy().tolist() == [[3, -4], [6, 8]]


def test_check_gradient(monkeypatch):
    for axis in AXES:
        SUMS[axis][0].check_gradient(draw(4, 3), draw(3))
    monkeypatch.setenv("FASTGEN_DEBUG", "1")
    wrong = jit.reduce(lambda x: x * x, gradient=lambda x, d: 3 * x * d, name="wrong")
    with pytest.raises(ValueError, match="wrong: the gradient of input 0 gives a slope of"):
        wrong([1.0, 2.0])


def digests():
    x = draw(3001, 70)
    return [hashlib.sha256(kernel(x, 0.5).numpy()).hexdigest() for kernel, _ in SUMS.values()]


def test_sums_do_not_depend_on_the_number_of_threads(run_python):
    code = """
import tensorflow as tf
tf.config.threading.set_intra_op_parallelism_threads(1)
from tests.jit.test_reduce import digests
print(digests())
"""
    assert run_python(code) == f"{digests()}\n"


@axes
def test_in_a_function_of_unknown_shapes(axis):
    kernel, stock = SUMS[axis]

    @tf.function(input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None])])
    def step(x, y):
        with tf.GradientTape() as tape:
            tape.watch([x, y])
            z = kernel(x, y)
        return z, tape.gradient(z, [x, y])

    x, y = draw(300, 70), draw(70)
    z, (d_x, d_y) = step(x, y)
    assert_close(z, stock(x, y), "float32", 90_000)
    assert_close(d_x, 2 * (x + y), "float32", 4)
    assert_close(d_y, 2 * tf.reduce_sum(x, 0), "float32", 300)
    np.testing.assert_array_equal(step(x[:, :1], y[:1])[0], kernel(x[:, :1], y[:1]))
    with pytest.raises(ValueError, match="inputs must be of known rank"):
        tf.function(kernel).get_concrete_function(tf.TensorSpec(None), tf.TensorSpec([]))


@pytest.mark.parametrize("axis", [0, None])
def test_unknown_sizes_that_repeat(axis):
    """As many elements in another shape are not those of the other input."""
    kernel, stock = SUMS[axis]
    unknown = tf.TensorSpec([None, None])
    step = tf.function(kernel).get_concrete_function(unknown, unknown)
    for rows, cols in ((5, 1), (1, 5), (5, 7)):
        x, y = draw(rows, cols), draw(1, 5 if cols == 1 else cols)
        assert_close(step(x, y), stock(x, y), "float32", 35)
    with pytest.raises(tf.errors.InvalidArgumentError):
        step(draw(2, 3), draw(3, 2))


def test_without_a_gradient_that_of_the_reference():
    largest = jit.reduce(
        lambda x, n: x * x + n,
        fold="max",
        reference=lambda x, n: tf.reduce_max(x * x + tf.cast(n, x.dtype), -1),
    )
    x, n = draw(4, 5), tf.constant([1, 0, 2, 0, 0])
    with tf.GradientTape() as outer:
        outer.watch(x)
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = largest(x, n)
        slope = tape.gradient(y, x)
    kept = tf.cast(x * x + tf.cast(n, x.dtype) == y[:, tf.newaxis], "float32")
    assert_close(slope, 2 * x * kept, "float32", 4)
    assert_close(outer.gradient(slope, x), 2 * kept, "float32", 4)


@axes
def test_in_a_vectorized_map(axis):
    kernel, stock = SUMS[axis]
    x, y = draw(3, 4, 5), draw(5)
    ours = tf.vectorized_map(lambda each: kernel(each, y), x)
    assert_close(ours, tf.stack([stock(each, y) for each in x]), "float32", 80)


def test_under_xla_its_reference_runs():
    kernel, stock = SUMS[0]
    x, y = draw(4, 5), draw(5)
    assert_close(tf.function(kernel, jit_compile=True)(x, y), stock(x, y), "float32", 20)
    plain = jit.reduce(term, name="plain")
    with fastgen.portable(), pytest.raises(RuntimeError, match="give @reduce a reference="):
        plain(x, y)


def test_refused():
    for wrong, why in (
        ({"axis": 1}, "axis must be one of"),
        ({"axis": True}, "axis must be one of"),
        ({"fold": "median"}, "fold must be one of.*'median'"),
        ({"fold": "max", "gradient": d_term}, "a gradient needs a sum or a mean"),
    ):
        with pytest.raises(ValueError, match=f"it: {why}"):
            jit.reduce(term, name="it", **wrong)
    with pytest.raises(ValueError, match="it: inputs must have shapes that broadcast.*3,.*2,"):
        jit.reduce(term, name="it")(tf.ones([3]), tf.ones([2]))
    with pytest.raises(ValueError, match="last: inputs must be of known rank, and have an axis"):
        jit.reduce(term, name="last")(1.0, 2.0)
    with pytest.raises(ValueError, match="it: .*(returns numbers|Numba cannot)"):
        jit.reduce(lambda x: "text", name="it")([1.0])
    for axis in AXES:
        with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="roadcast|must be"):
            SUMS[axis][0](tf.ones([2, 3]), tf.ones([4]))
