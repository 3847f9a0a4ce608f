"""Sampling and KL on the GPU give what they give on the CPU."""

import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import dispatch
from tests.gpu.both import DTYPES, SEED, arrays, assert_close, on_both, with_gradient


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("seed_dtype", ["int32", "int64"])
def test_sample_kl(gpu, dtype, seed_dtype):
    mean, log_var = arrays(dtype)
    seed = tf.constant([3, -4], seed_dtype)
    for ours, expected in on_both(gpu, lambda: fastgen.ops.gaussian_sample_kl(mean, log_var, seed)):
        assert_close(ours, expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_sample_and_kl_apart(gpu, dtype):
    mean, log_var = arrays(dtype)

    def apart():
        sampled = with_gradient(lambda x: fastgen.ops.gaussian_sample(mean, x, SEED), log_var)
        return sampled, with_gradient(lambda x: fastgen.ops.gaussian_kl(mean, x), log_var)

    for ours, expected in on_both(gpu, apart):
        assert_close(ours / 800, expected / 800)  # weights of up to 792 arrive at the values


@pytest.mark.parametrize("dtype", DTYPES)
def test_gradients_of_any_order(gpu, dtype, monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")  # the second order of KL is of stock ops
    mean, log_var = arrays(dtype)

    def gradients():
        with tf.GradientTape() as outer:
            outer.watch([mean, log_var])
            with tf.GradientTape() as tape:
                tape.watch([mean, log_var])
                z, kl = fastgen.ops.gaussian_sample_kl(mean, log_var, SEED)
                loss = tf.reduce_sum(z * z) + tf.reduce_sum(tf.cast(kl, z.dtype))
            first = tape.gradient(loss, [mean, log_var])
            total = sum(tf.reduce_sum(g * g) for g in first)
        return first, outer.gradient(total, [mean, log_var])

    with tf.device("/CPU:0"):
        expected = gradients()
    with tf.device(gpu):
        ours = gradients()
    for one, other in zip(tf.nest.flatten(ours), tf.nest.flatten(expected), strict=True):
        assert_close(one, other)


def test_inputs_are_not_written_over(gpu):
    mean, log_var = arrays("float32")
    with tf.device(gpu):
        mean, log_var = tf.identity(mean), tf.identity(log_var)
        before = mean.numpy(), log_var.numpy()
        fastgen.ops.gaussian_sample_kl(mean, log_var, SEED)
    np.testing.assert_array_equal(mean, before[0])
    np.testing.assert_array_equal(log_var, before[1])


@pytest.mark.parametrize("shape", [(0, 8), (5, 0), (7, 3, 5)], ids=str)
def test_empty_and_of_any_rank(gpu, shape):
    mean, log_var = arrays("float32", shape)
    for ours, expected in on_both(gpu, lambda: fastgen.ops.gaussian_sample_kl(mean, log_var, SEED)):
        assert ours.shape == expected.shape
        assert_close(ours, expected)


def train(device):
    import keras

    keras.utils.set_random_seed(1)
    with tf.device(device):
        inputs = keras.Input((12,))
        mean, log_var = keras.layers.Dense(8)(inputs), keras.layers.Dense(8)(inputs)
        z = fastgen.layers.GaussianLatent(kl_weight=1 / 12, seed=1)([mean, log_var])
        model = keras.Model(inputs, keras.layers.Dense(12)(z))
        model.compile("sgd", "mse", jit_compile=False)
        x = np.random.default_rng(0).standard_normal((64, 12)).astype("float32")
        return model.fit(x, x, batch_size=16, epochs=3, verbose=0).history["loss"]


def test_training_takes_the_same_way(gpu, unguarded):
    expected = train("/CPU:0")
    before = dispatch.stats()["gaussian_sample_kl_grad"]["fused"]
    np.testing.assert_allclose(train(gpu), expected, rtol=1e-4)
    assert dispatch.stats()["gaussian_sample_kl_grad"]["fused"] > before


def test_wrong_shapes_are_refused_there_too(gpu):
    from fastgen import native

    ops = native.load_ops()
    with tf.device(gpu), pytest.raises(tf.errors.InvalidArgumentError, match="d_kl must have"):
        ops.fastgen_gaussian_sample_kl_grad(
            mean=tf.zeros((2, 3)),
            log_var=tf.zeros((2, 3)),
            seed=SEED,
            d_z=tf.zeros((2, 3)),
            d_kl=tf.zeros((5,)),
        )
