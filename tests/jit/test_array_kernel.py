"""@kernel: rows, sizes, broadcasting, gradients, indices, noise, and the places it runs in."""

import re

import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import jit
from tests.tolerances import NOISE, assert_close

SEED = (11, -(2**40) + 3)
dtypes = pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])


def draw(*shape, dtype="float32", seed=0):
    return tf.constant(np.random.default_rng(seed + len(shape)).normal(size=shape), dtype)


@jit.kernel("(n),(m,n),(m)->(m),()")
def d_d_affine(x, kernel, d, y, total):
    """Something of the same sizes, for the second order to be tried on."""
    for j in range(kernel.shape[0]):
        y[j] = d[j]
    total[0] = x[0]


def d_affine(x, kernel, bias, d_y, d_norm, d_x, d_kernel, d_bias):
    for i in range(x.shape[0]):
        d_x[i] = 2 * d_norm * x[i]
    for j in range(kernel.shape[0]):
        d_bias[j] = d_y[j]
        for i in range(x.shape[0]):
            d_kernel[j, i] = d_y[j] * x[i]
            d_x[i] += d_y[j] * kernel[j, i]


def affine_in_stock_ops(x, kernel, bias):
    return tf.linalg.matvec(kernel, x) + bias, tf.reduce_sum(x**2, -1)


@jit.kernel("(n),(m,n),(m)->(m),()", gradient=d_affine, reference=affine_in_stock_ops)
def affine(x, kernel, bias, y, norm):
    for j in range(kernel.shape[0]):
        y[j] = bias[j]
        for i in range(x.shape[0]):
            y[j] += kernel[j, i] * x[i]
    norm[0] = 0.0
    for i in range(x.shape[0]):
        norm[0] += x[i] ** 2


@jit.kernel("(n)->()", dtypes=["int64"])
def argmax(x, y):
    best = 0
    for i in range(x.shape[0]):
        if x[i] > x[best]:
            best = i
    y[0] = best


@jit.kernel("(n),(m)->(m)")
def gather(x, index, y):
    for j in range(index.shape[0]):
        y[j] = x[index[j]]


def inputs_of(dtype="float32", rows=((5, 1), (3,), ()), n=4, m=6):
    shapes = [(*rows[0], n), (*rows[1], m, n), (*rows[2], m)]
    return [draw(*shape, dtype=dtype, seed=i) for i, shape in enumerate(shapes)]


def exact(inputs):
    return affine_in_stock_ops(*(tf.cast(x, tf.float64) for x in inputs))


@dtypes
def test_values(fused, dtype):
    inputs = inputs_of(dtype)
    y, norm = affine(*inputs)
    assert y.dtype == norm.dtype == dtype
    for one, other in zip((y, norm), exact(inputs), strict=True):
        assert_close(tf.cast(one, "float64"), tf.broadcast_to(other, one.shape), dtype, 8)


@pytest.mark.parametrize(
    ("rows", "n", "m"),
    [
        (((), (), ()), 1, 1),
        (((7,), (), ()), 65, 3),
        (((0,), (), ()), 3, 2),
        (((2,), (), ()), 0, 2),
        (((2, 3), (3,), (2, 1)), 5, 7),
        (((3000,), (), ()), 11, 2),
        (((2,), (), ()), 20_001, 1),
    ],
)
def test_rows_and_sizes(fused, rows, n, m):
    """Panels of many rows and of less than one; none, one, and rows that are broadcast."""
    inputs = inputs_of(rows=rows, n=n, m=m)
    for one, other in zip(affine(*inputs), exact(inputs), strict=True):
        assert one.shape[: len(other.shape)] == one.shape
        assert_close(one, tf.broadcast_to(other, one.shape), "float32", n + 1)


def test_whole_numbers_and_an_output_of_its_own_dtype():
    assert argmax([[1.0, 3.0, 2.0], [5.0, 0.0, 1.0]]).numpy().tolist() == [1, 0]
    assert gather([5, 6, 7], tf.constant([2, 0])).numpy().tolist() == [7, 5]


@dtypes
def test_gradients(fused, dtype):
    inputs = inputs_of(dtype)
    wide = [tf.cast(x, tf.float64) for x in inputs]
    with tf.GradientTape(persistent=True) as tape:
        tape.watch([*inputs, *wide])
        ours = sum(tf.reduce_sum(tf.cast(y, tf.float64)) for y in affine(*inputs))
        y, norm = affine_in_stock_ops(*wide)
        stock = tf.reduce_sum(y) + 3 * tf.reduce_sum(norm)  # one norm to each of three rows
    for x, one in zip(inputs, wide, strict=True):
        found = tape.gradient(ours, x)
        assert found.dtype == dtype and found.shape == x.shape
        assert_close(tf.cast(found, "float64"), tape.gradient(stock, one), dtype, 90)


def test_check_gradient():
    affine.check_gradient(*inputs_of())

    def wrong(x, y, d, d_x, d_y):
        for i in range(x.shape[0]):
            d_x[i] = d * y[i]
            d_y[i] = d * y[i]

    dot = jit.kernel("(n),(n)->()", dot_product, gradient=wrong, name="dot")
    with pytest.raises(ValueError, match="dot: the gradient of input 1 gives a slope of"):
        dot.check_gradient([1.0, 2.0], [3.0, 4.0])


def dot_product(x, y, out):
    out[0] = 0.0
    for i in range(x.shape[0]):
        out[0] += x[i] * y[i]


def scale(x, y, d, d_x, d_y):
    for i in range(x.shape[0]):
        d_x[i], d_y[i] = d * y[i], d * x[i]


def test_debug_mode_checks_gradients(monkeypatch):
    monkeypatch.setenv("FASTGEN_DEBUG", "1")
    right = jit.kernel("(n),(n)->()", dot_product, gradient=scale, name="right")
    assert right([1.0, 2.0], [3.0, 4.0]).numpy() == 11
    swapped = jit.kernel("(n),(n)->()", dot_product, gradient=swap, name="swapped")
    with pytest.raises(ValueError, match="swapped: the gradient of input 0"):
        swapped([1.0, 2.0], [3.0, 4.0])


def swap(x, y, d, d_x, d_y):
    for i in range(x.shape[0]):
        d_x[i], d_y[i] = d * x[i], d * y[i]


def test_in_debug_mode_what_is_left_unwritten_is_not_a_number(monkeypatch):
    def half(x, y, z):
        y[0] = x[0]
        for i in range(z.shape[0]):
            z[i] = x[i]

    monkeypatch.setenv("FASTGEN_DEBUG", "1")
    y, z = jit.kernel("(n)->(n),(n)", half, name="half")(tf.ones([2, 3]))
    assert np.isnan(y).tolist() == [[False, True, True]] * 2 and z.numpy().tolist() == [[1] * 3] * 2


def test_gradients_of_the_second_order():
    def second(x, y, d, g_x, g_y, d_x, d_y, d_d):
        d_d[0] = 0.0
        for i in range(x.shape[0]):
            d_x[i], d_y[i] = d * g_y[i], d * g_x[i]
            d_d[0] += g_x[i] * y[i] + g_y[i] * x[i]

    first = jit.kernel("(n),(n),()->(n),(n)", scale, gradient=second, name="first")
    dot = jit.kernel("(n),(n)->()", dot_product, gradient=first, name="dot")
    x, y = draw(3, 4, dtype="float64"), draw(4, dtype="float64")

    def penalty(function):
        with tf.GradientTape() as outer:
            outer.watch([x, y])
            with tf.GradientTape() as inner:
                inner.watch([x, y])
                total = tf.reduce_sum(function(x, y) ** 3)
            total = sum(tf.reduce_sum(d**2) for d in inner.gradient(total, [x, y]))
        return outer.gradient(total, [x, y])

    stock = penalty(lambda x, y: tf.reduce_sum(x * y, -1))
    for one, other in zip(penalty(dot), stock, strict=True):
        assert_close(one, other, "float64", 100)


def test_an_index_out_of_bounds_is_an_error():
    x, index = draw(3, 4), tf.constant([0, -1, 3])
    np.testing.assert_array_equal(gather(x, index), tf.gather(x, [0, 3, 3], axis=1))
    for bad in (4, -5, 2**31 - 1):
        with pytest.raises(tf.errors.InvalidArgumentError, match="gather: an index is out of b"):
            gather(x, tf.constant([0, bad]))
    with pytest.raises(tf.errors.InvalidArgumentError, match="Received: row 1"):
        gather(draw(2, 4), tf.constant([[0, 0], [0, 9]]))
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Received: row 0\b"):
        gather(draw(20_000, 4), tf.constant([9]))  # on several threads


def test_checks_that_can_be_proved_are_gone(nothing_on_the_disk):
    """Then inner loops become vectors, whole: else their last turns stay scalar."""

    def results(function):
        """What its code may return: 0, or the row that failed."""
        kernel = jit.kernel("(n),(m)->(m)", function, name="it")
        kernel(draw(3), tf.range(2))
        (compiled,) = kernel._calls.values()
        code = compiled.machine.library.get_llvm_str()
        return set(re.findall(r"store i64 ([^,]+), ptr %retptr", code))

    def within(x, index, y):
        for j in range(y.shape[0]):
            y[j] = index[j] * 2.0

    assert results(within) == {"0"} != results(gather.py_func)


def normal(x, y, noise):
    for i in range(x.shape[0]):
        y[i] = x[i] + noise[i]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(5,), (3, 7), (2, 0), (400, 10), (2, 3, 5000)])
def test_noise_is_that_of_tensorflow(fused, dtype, shape):
    kernel = jit.kernel("(n)->(n)", normal, noise="normal", name="normal")
    drawn = tf.random.stateless_normal(shape, SEED, dtype=dtype)
    y = kernel(tf.zeros(shape, dtype), seed=SEED)
    assert np.all(np.abs(y - drawn) <= NOISE * (1 + np.abs(drawn)))


def test_noise_of_a_gradient_is_that_of_the_output():
    """Also where the first output of the gradient has another shape."""

    def forward(x, scales, y, noise):
        for i in range(y.shape[0]):
            y[i] = x[0] + scales[0] * noise[i] + scales[1]

    def backward(x, scales, d_y, d_x, d_scales, noise):
        d_x[0] = 0.0
        d_scales[0] = 0.0
        for i in range(d_y.shape[0]):
            d_x[0] += d_y[i]
            d_scales[0] += d_y[i] * noise[i]
        d_scales[1] = d_x[0]

    kernel = jit.kernel("(1),(2)->(5)", forward, gradient=backward, noise="normal", name="noisy")
    kernel.check_gradient(draw(3, 1), draw(2))


def test_in_a_function_of_unknown_shapes():
    @tf.function(input_signature=[tf.TensorSpec(None), tf.TensorSpec([None, None, 4])])
    def step(x, kernel):
        with tf.GradientTape() as tape:
            tape.watch([x, kernel])
            y, _ = affine(x, kernel, 0.0 * kernel[0, :, 0])
        return y, tape.gradient(y, [x, kernel])

    x, kernel, _ = inputs_of()
    y, gradients = step(x, kernel)
    assert_close(y, exact([x, kernel, tf.zeros(6)])[0], "float32", 8)
    assert [d.shape for d in gradients] == [x.shape, kernel.shape]
    known = tf.function(affine).get_concrete_function(*inputs_of())
    assert [y.shape for y in known.structured_outputs] == [(5, 3, 6), (5, 3)]


def test_in_a_vectorized_map():
    x, kernel, bias = inputs_of(rows=((5, 2), (2,), ()))
    ours = tf.vectorized_map(lambda each: affine(each, kernel, bias)[0], x)
    assert_close(ours, exact([x, kernel, bias])[0], "float32", 8)
    ours = tf.vectorized_map(lambda each: affine(x, each, bias)[0], tf.stack([kernel, -kernel]))
    assert_close(ours[1], exact([x, -kernel, bias])[0], "float32", 8)


def test_under_xla_its_reference_runs():
    inputs = inputs_of()
    compiled = tf.function(affine, jit_compile=True)(*inputs)
    assert_close(compiled[0], exact(inputs)[0], "float32", 8)
    with fastgen.portable(), pytest.raises(RuntimeError, match="give @kernel a reference="):
        gather([1.0], tf.constant([0]))


@pytest.mark.parametrize(
    ("signature", "function", "why"),
    [
        ("(n)", dot_product, "a signature is of the form"),
        ("n->n", dot_product, "a signature is of the form"),
        (7, dot_product, "a signature is of the form.*Received: 7"),
        ("(n),(n-1)->()", dot_product, "a name or a number. Received: 'n-1'"),
        ("(n),(n)->(k)", dot_product, "must be numbers or sizes of inputs. Received: k"),
        ("(n)->()", dot_product, "must take 2 arguments.*Received: 3"),
    ],
)
def test_refused_at_decoration(signature, function, why):
    with pytest.raises(ValueError, match=f"it: .*{why}"):
        jit.kernel(signature, function, name="it")


def rebinds(x, y):
    y = x  # noqa: F841


def test_refused_where_an_output_is_lost():
    with pytest.raises(ValueError, match="kernel: a signature is .* Received: <function rebinds"):
        jit.kernel(rebinds)
    with pytest.raises(ValueError, match="rebinds: outputs are written .* assignment to y"):
        jit.kernel("(n)->(n)", rebinds)


def test_refused_at_the_first_call():
    def returns(x, y):
        return x

    def writes_an_input(x, y):
        x[0] = 1.0

    def allocates(x, y):
        z = np.empty(x.shape[0])
        y[0] = z[0] + x[0]

    for bad, why in (
        (returns, "writes its outputs"),
        (writes_an_input, "readonly|read-only|Numba cannot"),
        (allocates, "allocate"),
    ):
        with pytest.raises(ValueError, match=f"it: .*({why})"):
            jit.kernel("(n)->(n)", bad, name="it")([1.0, 2.0])
    for dtypes in (["complex64"], "int32", ["int32"] * 2):
        with pytest.raises(ValueError, match="it: dtypes must be .* of 1 outputs"):
            jit.kernel("(n)->(n)", returns, name="it", dtypes=dtypes)


def test_sizes_that_do_not_fit():
    x, kernel, bias = inputs_of()
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"affine: axis -1 of input 1 must be"):
        affine(x[..., :3], kernel, bias)
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"affine: .* broadcast"):
        affine(tf.ones([4, 4]), kernel, bias)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="rank|axes"):
        affine(x, kernel[0, 0], bias)
    with pytest.raises(ValueError, match="Dimension"):
        tf.function(affine)(x[..., :3], kernel, bias)


def test_doctor_lists_it():
    gather([1.0], tf.constant([0]))
    rows = [row for row in fastgen.doctor() if row["op"] == "jit.gather"]
    assert {row["path"] for row in rows} == {"fused"}
