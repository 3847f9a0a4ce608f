"""@elementwise on the GPU gives what it gives on the CPU; how its code comes to the GPU."""

import numpy as np
import pytest
import tensorflow as tf

from fastgen import dispatch, jit
from tests.gpu.both import DTYPES, SEED, arrays, assert_close, on_both, with_gradient
from tests.jit.kernels import count_up, mix, several

WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"]


@jit.elementwise(noise="normal", gradient=lambda x, d, noise: d * noise)
def scaled_noise(x, noise):
    return x * noise


@jit.elementwise(noise="uniform")
def uniform(x, noise):
    return x + noise


@jit.elementwise
def swish(x):
    return x * jit.math.sigmoid(x)


def draw(*shape, dtype="float32"):
    return tf.cast(np.random.default_rng(len(shape)).normal(size=shape), dtype)


def same(gpu, function):
    """On the GPU as on the CPU, but for the last digit."""
    for ours, expected in on_both(gpu, function):
        assert (ours.dtype, ours.shape) == (expected.dtype, expected.shape)
        if ours.dtype.is_floating:
            assert_close(ours, expected)
        else:
            np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_values_of_any_size(gpu, dtype):
    for size in (0, 1, 7, 63, 1023, 1500):
        x = draw(size, dtype=dtype)
        same(gpu, lambda x=x: swish(x))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_16_bits_are_read_and_rounded_alike(gpu, dtype):
    """All that there are, and results between them; threads of TensorFlow flush the smallest."""
    x = tf.bitcast(tf.cast(tf.range(2**16), "uint16"), dtype)
    x = tf.where(tf.abs(tf.cast(x, "float32")) < 2**-100, tf.zeros_like(x), x)
    third = tf.constant(1 / 3)  # float32: what is narrowed is the gradient
    widened = jit.elementwise(lambda x, y: x * x * y, gradient=lambda x, y, d: (2 * x * y * d, d))

    def gradient():
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = widened(x, third)
        return mix(x, tf.cast(0.5, dtype), tf.cast(1.25, dtype)), tape.gradient(y, x)

    for ours, expected in on_both(gpu, gradient):
        ours, expected = (tf.cast(y, "float32").numpy() for y in (ours, expected))
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_the_ends_of_16_bits(gpu, dtype):
    """NaN of the last bit stays one, what is too large is infinite."""
    words = np.array([0x7F800001, 0xFFFFFFFF, 0x7F7FFFFF, 0xFF800000, 0x80000000], "uint32")
    handed_on = jit.elementwise(lambda x, y: x, gradient=lambda x, y, d: (y, d), name="handed_on")
    x, y = tf.zeros(5, dtype), tf.constant(words.view("float32"))
    for ours, _ in on_both(gpu, lambda: with_gradient(lambda x: handed_on(x, y), x)[1]):
        ours = tf.cast(ours, "float32").numpy()
        np.testing.assert_array_equal(ours, [np.nan, np.nan, np.inf, -np.inf, 0])
        assert np.signbit(ours[4])


@pytest.mark.parametrize(
    "shapes",
    [
        ((7, 1, 5), (3, 5), ()),
        ((33, 24), (24,), (33, 1)),
        ((3, 1, 5, 1, 7, 1), (1, 2, 1, 3, 1, 2), (1,)),  # more axes than a launch has
        ((2, 0, 3), (3,), ()),
        ((1,), (), (1, 1)),
    ],
    ids=str,
)
def test_inputs_are_broadcast(gpu, shapes):
    inputs = [draw(*shape) for shape in shapes]
    same(gpu, lambda: mix(*inputs))


@pytest.mark.parametrize("dtype", WHOLE)
def test_whole_numbers(gpu, dtype):
    a, b = np.array([1, 2, 100], dtype), np.array([[4], [105]], dtype)
    same(gpu, lambda: count_up(a, b))


def test_several_outputs_of_several_dtypes(gpu):
    same(gpu, lambda: several(tf.constant([-1.0, 0.5, np.nan], "float16")))
    same(gpu, lambda: count_up(tf.constant([True, False]), tf.constant([[2.0], [3.0]])))


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_two_orders(gpu, dtype):
    inputs = [draw(7, 1, 5, dtype=dtype), draw(3, 5, dtype=dtype), draw(dtype=dtype)]

    def gradients():
        with tf.GradientTape() as outer:
            outer.watch(inputs)
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                total = tf.reduce_sum(mix(*inputs) ** 2)
            first = tape.gradient(total, inputs)
            again = sum(tf.reduce_sum(tf.sin(d)) for d in first)
        return first, outer.gradient(again, inputs)

    with tf.device("/CPU:0"):
        expected = gradients()
    before = dispatch.stats()["jit.mix"]["fused"]
    with tf.device(gpu):
        ours = gradients()
    assert dispatch.stats()["jit.mix"]["fused"] > before
    for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True):
        assert one.shape == other.shape
        assert_close(one / 100, other / 100)  # sums of 105 squares


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("size", [1, 5, 1023, 70_001])
def test_noise_is_that_of_the_seed(gpu, dtype, size):
    x = arrays(dtype, (size,))[0]
    both = on_both(gpu, lambda: with_gradient(lambda x: scaled_noise(x, seed=SEED), x))
    for ours, expected in both:
        assert_close(ours / size, expected / size)  # weights of up to the size arrive at the values


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_uniform_noise_has_the_same_bits(gpu, dtype):
    x = tf.zeros([3, 1, 5, 1, 7, 1], dtype)
    y = tf.zeros([1, 3, 1, 3, 1, 3], dtype)  # groups of noise that two launches share
    two = jit.elementwise(lambda x, y, noise: x + y + noise, noise="uniform", name="two")
    for ours, expected in on_both(gpu, lambda: [uniform(x, seed=SEED), two(x, y, seed=SEED)]):
        np.testing.assert_array_equal(ours, expected)


def test_in_a_graph(gpu):
    @tf.function
    def step(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = mix(x, 0.0, x[:, :1])
        return y, tape.gradient(y, x)

    x = draw(7, 5)
    with tf.device("/CPU:0"):
        expected = step(x)
    with tf.device(gpu):
        ours = step(x)
    for one, other in zip(ours, expected, strict=True):
        assert_close(one, other)


@pytest.mark.parametrize(
    ("size", "dtype", "blocks"),
    [
        (263, "int32", 2),
        (300_000, "int32", 1056),  # as many as an H200 runs at once, then the rest
        (5_000_003, "int32", 4883),  # four elements for each thread
        (17_000_003, "int8", 16384),  # and again
    ],
)
def test_elements_of_a_thread(gpu, driver, size, dtype, blocks):
    x = tf.cast(tf.range(size) % 100, dtype)
    same(gpu, lambda: count_up(x, 7))
    if driver:
        assert driver.last_launch()[:2] == (blocks, 256)


@pytest.mark.parametrize("shape", [(1301, 1, 211), (1301, 3, 211)], ids=str)
def test_elements_of_a_thread_that_are_broadcast(gpu, shape):
    same(gpu, lambda: mix(draw(*shape), draw(3, 211), draw(1301, 1, 1)))


@pytest.mark.parametrize("inputs", [5, 8, 14])
def test_many_inputs(gpu, inputs):
    """Of which a thread has fewer elements under way."""
    names = "abcdefghijklmn"[:inputs]
    total = jit.elementwise(eval(f"lambda {', '.join(names)}: {' + '.join(names)}"), name="total")
    same(gpu, lambda: total(*(draw(*shape) for shape in [(1023,), (3, 1)] + [()] * (inputs - 2))))


def test_inputs_are_not_written_over(gpu):
    x = draw(33, 24)
    with tf.device(gpu):
        x = tf.identity(x)
        before = x.numpy()
        mix(x, 0.0, 2.0)
    np.testing.assert_array_equal(x, before)


def test_shapes_that_do_not_broadcast_are_refused_there_too(gpu):
    with tf.device(gpu), pytest.raises(tf.errors.InvalidArgumentError, match="mix: inputs must"):
        mix(tf.zeros(3), tf.zeros(4), 1.0)
