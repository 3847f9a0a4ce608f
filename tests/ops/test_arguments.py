"""What the ops on mean and log_var reject, in Python and in C++, and what they convert."""

import functools

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastgen import native, ops
from tests.ops.cases import array, gradients
from tests.ops.gaussian import SEED, call, call_composite, each_gaussian, with_seed
from tests.tolerances import assert_close

FLOATS = ["float16", "bfloat16", "float32", "float64"]
SPECIALS = [np.nan, np.inf, -np.inf]
shapes_of_any_rank = hnp.array_shapes(min_dims=1, max_dims=4, min_side=0, max_side=9)


def array_dtype(name):
    return ml_dtypes.bfloat16 if name == "bfloat16" else np.dtype(name)


@each_gaussian
@settings(max_examples=25)
@given(
    shape=shapes_of_any_rank,
    dtype=st.sampled_from(FLOATS),
    key=st.integers(0, 2**32),
    specials=st.lists(st.tuples(st.integers(0, 2**16), st.sampled_from(SPECIALS)), max_size=4),
)
def test_any_shape_dtype_and_value(name, shape, dtype, key, specials):
    both = np.random.default_rng(key).normal(size=(2, *shape))
    for at, special in specials if both.size else []:
        both.flat[at % both.size] = special
    mean, log_var = map(tf.constant, both.astype(array_dtype(dtype)))
    plain = functools.partial(call_composite, name)
    outputs = *call(name, mean, log_var), *gradients(functools.partial(call, name), mean, log_var)
    stock = *plain(mean, log_var), *gradients(plain, mean, log_var)
    for out, right in zip(outputs, stock, strict=True):
        assert out.dtype == right.dtype and out.shape == right.shape
        assert_close(array(out), array(right), out.dtype, 9)  # NaN and inf in the same places


@each_gaussian
@given(shapes=st.tuples(shapes_of_any_rank, shapes_of_any_rank))
def test_shapes_that_differ(name, shapes):
    if shapes[0] == shapes[1]:
        return
    with pytest.raises(ValueError, match=f"{name}: mean and log_var must have the same shape.*Rec"):
        call(name, *map(tf.zeros, shapes))


@each_gaussian
@given(dtypes=st.tuples(st.sampled_from(FLOATS), st.sampled_from(FLOATS)))
def test_dtypes_that_differ(name, dtypes):
    if dtypes[0] == dtypes[1]:
        return
    with pytest.raises(ValueError, match=f"{name}: mean and log_var must have the same dtype.*Rec"):
        call(name, *(tf.zeros([2], dtype) for dtype in dtypes))


@each_gaussian
@pytest.mark.parametrize("dtype", ["int32", "bool", "complex64", "string", "uint8"])
def test_dtypes_that_are_none_of_ours(name, dtype):
    x = tf.zeros([2], dtype)
    with pytest.raises(ValueError, match=f"{name}: mean must be float16.*Received: .*{dtype}"):
        call(name, x, x)


@each_gaussian
def test_things_that_are_no_tensors(name):
    for bad in (None, "text", [[1.0], [1.0, 2.0]], object()):
        with pytest.raises(ValueError, match=f"{name}: mean .*Received: "):
            call(name, bad, [0.0])


@each_gaussian
def test_scalars(name):
    with pytest.raises(ValueError, match=f"{name}: mean must have rank 1 or more"):
        call(name, 0.0, 0.0)


@with_seed
@pytest.mark.parametrize(
    "seed",
    [
        3,
        (1,),
        (1, 2, 3),
        [[1, 2]],
        (1.0, 2.0),
        (1, 2**63),
        ("a", "b"),
        None,
        np.array([1, 2], "uint32"),
        np.array([1.0, 2.0]),
        np.array([True, False]),
    ],
    ids=str,
)
def test_bad_seeds(name, seed):
    with pytest.raises(ValueError, match=f"{name}: seed must be .*Received: "):
        call(name, [0.0], [0.0], seed)


@with_seed
@given(seed=st.tuples(*2 * [st.integers(-(2**63), 2**63 - 1)]))
def test_any_64_bit_seed(name, seed):
    zeros = tf.zeros([6])
    noise = tf.random.stateless_normal([6], tf.constant(seed, tf.int64))
    assert_close(call(name, zeros, zeros, seed)[0], noise, tf.float32)


@each_gaussian
def test_conversions(name):
    expected = call(name, tf.constant([[1.0, 2.0]]), tf.constant([[0.0, 1.0]]))
    variables = keras.Variable([[1.0, 2.0]]), tf.Variable([[0.0, 1.0]])
    mixed = [[1, 2]], np.array([[0, 1]], "float32")
    for mean, log_var in [([[1, 2]], [[0, 1]]), variables, mixed, mixed[::-1]]:
        outputs = call(name, mean, log_var)
        assert outputs[-1].dtype == tf.float32 and outputs[0].shape[0] == 1
    for out, right in zip(call(name, *variables), expected, strict=True):
        np.testing.assert_array_equal(out, right)
    assert call(name, np.ones([1, 2]), [[0, 1]])[0].dtype == tf.float64


def test_gradient_through_variables():
    mean = tf.Variable([[1.0, 2.0]])
    with tf.GradientTape() as tape:
        kl = ops.gaussian_kl(mean, [[0.0, 0.0]])
    np.testing.assert_allclose(tape.gradient(kl, mean), [[1.0, 2.0]])


def raw(op, *inputs, **attributes):
    return getattr(native.load_ops(), f"fastgen_{op}")(*inputs, **attributes)


def test_second_wall():
    # What Python cannot know before the graph runs, or what calls the raw op.
    a, b, scalar = tf.zeros([2, 3]), tf.zeros([2, 4]), tf.zeros([])
    seed, rows = tf.constant(SEED, tf.int64), tf.zeros([2])
    same, rank = "must have the same shape", "rank 1 or more"
    both = "gaussian_sample_kl_grad"
    for message, op, *inputs in [
        (f"gaussian_sample: mean and log_var {same}", "gaussian_sample", a, b, seed),
        (f"gaussian_sample: mean must have {rank}", "gaussian_sample", scalar, scalar, seed),
        ("gaussian_sample: seed must have shape", "gaussian_sample", a, a, tf.constant([1, 2, 3])),
        (f"gaussian_sample_grad: log_var and d_z {same}", "gaussian_sample_grad", a, seed, b),
        (f"gaussian_kl_grad: mean and log_var {same}", "gaussian_kl_grad", a, b, rows),
        ("gaussian_kl_grad: d_kl must have the shape", "gaussian_kl_grad", a, a, a),
        (f"{both}: mean and d_z {same}", both, a, a, seed, b, rows),
        (f"{both}: d_kl must have the shape", both, a, a, seed, a, a),
    ]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"(?s){message}.*Received: "):
            raw(op, *inputs)
    for op, *inputs in [("gaussian_kl", a, b), ("gaussian_sample_kl", a, b, seed)]:
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"{op}: .*{same}.*Received: "):
            raw(op, *inputs, K=tf.float32)


def test_shapes_are_checked_while_tracing():
    def trace(op, *shapes, **attributes):
        specs = [tf.TensorSpec(shape, dtype) for shape, dtype in shapes]
        tf.function(lambda *x: raw(op, *x, **attributes)).get_concrete_function(*specs)

    a, b, none = ([2, 3], tf.float32), ([2, 4], tf.float32), ([], tf.float32)
    seed, long_seed, rows = ([2], tf.int64), ([3], tf.int64), ([3], tf.float32)
    for op, *shapes in [
        ("gaussian_sample", a, b, seed),
        ("gaussian_sample", none, none, seed),
        ("gaussian_sample", a, a, long_seed),
        ("gaussian_sample_grad", a, seed, b),
        ("gaussian_kl_grad", a, a, rows),
        ("gaussian_sample_kl_grad", a, a, seed, b, rows),
        ("gaussian_sample_kl_grad", a, a, seed, a, rows),
    ]:
        with pytest.raises(ValueError, match="[Ss]hape|[Dd]imension"):
            trace(op, *shapes)
    for op, *shapes in [("gaussian_kl", a, b), ("gaussian_sample_kl", a, b, seed)]:
        with pytest.raises(ValueError, match="[Ss]hape|[Dd]imension"):
            trace(op, *shapes, K=tf.float32)
