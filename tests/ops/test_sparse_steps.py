"""Steps of autoencoders with sparsity penalties: the kernel against models of Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import ops
from fastgen.layers import Sparsity
from fastgen.ops import players
from tests.models.gans import policy
from tests.ops import gan
from tests.tolerances import LOGGED, OPTIMIZER_FLOAT64, OPTIMIZER_STEP

L, R = keras.layers, fastgen.regularizers
SIZE, BATCH = 6, 7


def stock_kl(a, p=0.1):
    q = tf.reduce_mean(a, axis=0)
    return tf.reduce_sum(p * tf.math.log(p / q) + (1 - p) * tf.math.log((1 - p) / (1 - q)))


# Of a layer's activation: the layer that penalises it, and the same by stock operations.
PENALTIES = {
    "kl": ("sigmoid", lambda: Sparsity(0.5, 0.1), lambda a: 0.5 * stock_kl(a)),
    "l1": (
        "tanh",
        lambda: Sparsity(0.25, kind="l1"),
        lambda a: 0.25 * tf.reduce_sum(tf.reduce_mean(tf.abs(a), axis=0)),
    ),
    "mse": (
        "selu",
        lambda: Sparsity(2.0, -0.3, "mse"),
        lambda a: 2.0 * tf.reduce_sum((tf.reduce_mean(a, axis=0) + 0.3) ** 2),
    ),
}


def stack(activation, penalty=()):
    keras.utils.set_random_seed(2)
    layers = [L.Dense(4, "selu"), L.Dense(5, activation), *penalty, L.Dense(SIZE)]
    return keras.Sequential([keras.Input((SIZE,)), *layers])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("name", PENALTIES)
def test_a_step_is_that_of_autodiff(fused, name, dtype):
    """Of a stock model, whose penalty is written down: a step of SGD shows the gradient."""
    activation, penalty, stock_penalty = PENALTIES[name]
    with policy(dtype):
        model, stock = stack(activation, [penalty()]), stack(activation)
    images = np.random.default_rng(1).random((20, SIZE)).astype(dtype)
    rows = np.arange(BATCH)[None]
    told = ops.autoencoder_step(
        model, keras.optimizers.SGD(0.5), images, rows, loss="mean_squared_error"
    )
    with tf.GradientTape() as tape:
        a = stock.layers[1](stock.layers[0](images[:BATCH]))
        errors = tf.reduce_sum((stock.layers[2](a) - images[:BATCH]) ** 2, axis=1)
        of_penalty = stock_penalty(a)
        loss = tf.reduce_mean(errors) + of_penalty
    values = [v.value for v in stock.trainable_variables]
    gradients = tape.gradient(loss, values)
    tolerance = OPTIMIZER_FLOAT64 if dtype == "float64" else OPTIMIZER_STEP
    for one, w, g in zip(model.trainable_variables, values, gradients, strict=True):
        assert tf.reduce_any(g != 0)
        np.testing.assert_allclose(one, w - 0.5 * g, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(told["loss"], [loss], rtol=tolerance)
    np.testing.assert_allclose(told["penalty"], [of_penalty], rtol=tolerance)
    size = tf.reduce_mean(tf.abs(a) if name == "l1" else a)
    np.testing.assert_allclose(told["activity"], [[size]], rtol=tolerance, atol=tolerance)


FORMS = {
    "layer": lambda: [L.Dense(5, "sigmoid"), Sparsity(0.5, 0.1), L.Dropout(0.3, seed=4)],
    "after": lambda: [L.Dense(5), L.Activation("sigmoid"), Sparsity(0.5, 0.1)],
    "regularizer": lambda: [L.Dense(5, "sigmoid", activity_regularizer=R.KLSparsity(0.5, 0.1))],
    "l1": lambda: [L.Dense(5, "sigmoid", activity_regularizer=R.L1Sparsity(0.5))],
    "mse": lambda: [L.Dense(5), L.ReLU(activity_regularizer=R.MSESparsity(0.5, 0.3))],
    "stock": lambda: [L.Dense(5, "relu", activity_regularizer="l1")],
    "stock_layer": lambda: [L.Dense(5, "relu"), L.ActivityRegularization(l1=0.5)],
}
MORE_FORMS = [x for x in FORMS if x not in ("layer", "mse", "stock")]


@pytest.mark.parametrize(
    "form",
    ["layer", "mse", "stock", *(pytest.param(x, marks=pytest.mark.slow) for x in MORE_FORMS)],
)
def test_many_steps_are_those_of_keras(fused, form):
    """On their own in float64, with batches of several sizes."""
    loss = lambda y, p: SIZE * tf.reduce_mean((y - p) ** 2, -1)  # noqa: E731
    images, losses, told = np.random.default_rng(1).random((20, SIZE)), [], []
    with policy("float64"):
        keras.utils.set_random_seed(2)
        first = L.Dense(5, "relu", activity_regularizer=R.L1Sparsity(0.01))
        model = keras.Sequential([keras.Input((SIZE,)), first, *FORMS[form](), L.Dense(SIZE)])
        twin = keras.models.clone_model(model)
        twin.set_weights(model.get_weights())
        twin.compile(keras.optimizers.Nadam(0.01), loss)
        optimizer = keras.optimizers.Nadam(0.01)
        for batch in (3, 16):
            rows = np.random.default_rng(batch).integers(0, 20, (5, batch))
            each = [twin.train_on_batch(images[r], images[r]) for r in rows]
            losses += [np.ravel(logs)[0] for logs in each]
            made = ops.autoencoder_step(model, optimizer, images, rows, loss="mean_squared_error")
            told += [*made["loss"].numpy()]
    np.testing.assert_allclose(told, losses, rtol=LOGGED)
    for one, two in zip(model.get_weights(), twin.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=OPTIMIZER_FLOAT64, atol=OPTIMIZER_FLOAT64)


def test_a_gan_takes_stock_operations(monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    generator = keras.Sequential(
        [keras.Input((2,)), L.Dense(3), Sparsity(0.5, 0.1, "mse", name="s")]
    )
    generator.add(L.Dense(SIZE, "sigmoid"))
    discriminator = keras.Sequential([keras.Input((SIZE,)), L.Dense(1, "sigmoid")])
    of_models = gan.optimizers(keras.optimizers.SGD)
    pairs = zip((generator, discriminator), of_models, strict=True)
    assert players.why_not("gan_step", *pairs) == "'s' has a sparsity penalty"
