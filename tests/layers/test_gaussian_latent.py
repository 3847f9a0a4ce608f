"""GaussianLatent: its loss, its weight, and what is logged of it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen import ops
from fastgen.layers import GaussianLatent
from tests.layers.cases import SEED, inputs_of, model_of
from tests.tolerances import LOGGED, SAME_FORMULA, assert_close


@pytest.mark.parametrize("shape", [(7, 10), (3, 4, 5), (10,)], ids=str)
def test_loss_is_the_mean_kl(path, shape):
    inputs = inputs_of(shape)
    layer = GaussianLatent(kl_weight=0.25, seed=SEED)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        z = layer(inputs)
        (loss,) = layer.losses
        stock = 0.25 * tf.reduce_mean(ops.gaussian_kl_composite(*inputs))
    assert loss.dtype == tf.float32 and z.shape == shape
    assert_close(loss, stock, "float32")
    for one, other in zip(tape.gradient(loss, inputs), tape.gradient(stock, inputs), strict=True):
        assert_close(one, other, "float32")


def test_each_call_has_its_own_loss(path):
    layer = GaussianLatent()
    for _ in range(2):
        layer([tf.ones([4, 2]), tf.zeros([4, 2])])
        assert layer.losses[-1].numpy() == 1.0


def test_empty_batch(path):
    layer = GaussianLatent()
    with tf.GradientTape() as tape:
        inputs = inputs_of((0, 10))
        tape.watch(inputs)
        loss = tf.reduce_sum(layer(inputs)) + layer.losses[0]
    assert loss.numpy() == 0
    assert [x.shape for x in tape.gradient(loss, inputs)] == [(0, 10), (0, 10)]


def test_mixed_precision_keeps_the_loss_in_float32(path):
    # 1e5 codings of mean 2: the KL, 2e5, is beyond float16.
    layer = GaussianLatent(dtype="mixed_float16")
    layer([tf.fill([1, 10**5], 2.0), tf.zeros([1, 10**5])])
    np.testing.assert_allclose(layer.losses[0], 2e5, rtol=SAME_FORMULA)


def test_weight_is_a_variable_that_is_not_trained(path):
    layer = GaussianLatent(kl_weight=0.5)
    layer.kl_weight.assign(0.125)  # before the layer is built
    model = model_of(layer)
    assert layer.trainable_weights == [] and layer.kl_weight in model.non_trainable_weights
    run = tf.function(lambda: (layer([tf.ones([4, 2]), tf.zeros([4, 2])]), layer.losses[-1])[1])
    assert run().numpy() == 0.125
    layer.kl_weight.assign(1.0)
    assert run().numpy() == 1.0, "the traced function must read the variable"
    assert layer.get_config()["kl_weight"] == 0.5


def test_weight_is_among_the_weights_of_the_model():
    layer = GaussianLatent(kl_weight=0.5)
    model = model_of(layer)
    at = [variable is layer.kl_weight for variable in model.weights].index(True)
    weights = model.get_weights()
    assert weights[at] == 0.5
    weights[at] = np.float32(0.25)
    model.set_weights(weights)
    assert layer.kl_weight.numpy() == 0.25
    with pytest.raises(ValueError, match="length"):
        model.set_weights(weights[:at] + weights[at + 1 :])


def test_warm_up(path):
    class WarmUp(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.get_layer("latent").kl_weight.assign(epoch / 2)

    layer = GaussianLatent(kl_weight=0.0, name="latent", seed=SEED)
    model = model_of(layer)
    model.compile(keras.optimizers.SGD(0.0), lambda y, z: 0 * keras.ops.mean(z, -1))
    x = np.ones([8, 10], "float32")
    logs = model.fit(x, x, epochs=3, verbose=0, callbacks=[WarmUp()]).history
    assert logs["loss"][0] == 0
    np.testing.assert_allclose(np.array(logs["loss"]) / logs["latent_kl"], [0, 0.5, 1], rtol=LOGGED)


def test_kl_is_logged():
    layer = GaussianLatent(kl_weight=3.0, name="gaussian_latent")  # Keras' name for the first
    model = model_of(layer)
    model.compile("nadam", "mse")
    x = np.random.default_rng(0).standard_normal([25, 10]).astype("float32")
    mean, log_var = model.get_layer("m")(x), model.get_layer("v")(x)
    expected = tf.reduce_mean(ops.gaussian_kl(mean, log_var))
    # Batches of 10, 10 and 5: a mean over examples, not over batches.
    logs = model.evaluate(x, x, batch_size=10, verbose=0, return_dict=True)
    np.testing.assert_allclose(logs["kl"], expected, rtol=LOGGED)
    history = model.fit(x, x, validation_data=(x, x), verbose=0).history
    assert {"kl", "val_kl"} <= set(history)


def test_two_layers_log_their_own_kl():
    keras.utils.clear_session()  # counts the layers of a class from 0 again
    inputs = keras.Input([2])
    zeros = keras.layers.Rescaling(0.0)(inputs)
    layers = [GaussianLatent(), GaussianLatent(), GaussianLatent(name="top")]
    model = keras.Model(inputs, [layer([inputs, zeros]) for layer in layers])
    for one in (model, keras.models.clone_model(model)):
        one.compile("sgd")
        logs = one.evaluate(np.ones([4, 2]), verbose=0, return_dict=True)
        assert {"kl", "gaussian_latent_1_kl", "top_kl"} <= set(logs)
        assert [logs[name] for name in ("kl", "gaussian_latent_1_kl", "top_kl")] == [1, 1, 1]
        assert logs["loss"] == 3


def test_weight_and_kl_survive_saving(path, tmp_path):
    layer = GaussianLatent(kl_weight=0.5, name="latent")
    model = model_of(layer)
    layer.kl_weight.assign(0.25)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.get_layer("latent").kl_weight.numpy() == 0.25
    assert loaded.get_layer("latent").get_config()["kl_weight"] == 0.5


@pytest.mark.parametrize("bad", [-1.0, "1", None, float("nan"), float("inf"), [1.0]], ids=str)
def test_bad_weight(bad):
    with pytest.raises(ValueError, match="GaussianLatent: kl_weight must be .*Received"):
        GaussianLatent(kl_weight=bad)
