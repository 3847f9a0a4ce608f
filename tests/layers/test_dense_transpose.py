"""DenseTranspose: one kernel in two layers, in memory, in files and in clones."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen.layers import DenseTranspose, FusedDense
from tests.tolerances import SAME_FORMULA

X = np.random.default_rng(0).random((5, 6), dtype="float32")


@keras.saving.register_keras_serializable(package="tests")
class Subclassed(keras.Model):
    """Tied layers as attributes; by the alphabet, Keras meets the decoder first."""

    def __init__(self, dense_class="Dense", **kwargs):
        super().__init__(**kwargs)
        self.dense_class = dense_class
        make = FusedDense if dense_class == "FusedDense" else keras.layers.Dense
        self.hidden, self.inner = make(4, "selu"), make(2, "selu")
        self.decoded = DenseTranspose(self.inner, "selu")
        self.decoded_last = DenseTranspose(self.hidden, "sigmoid")

    def call(self, inputs):
        return self.decoded_last(self.decoded(self.inner(self.hidden(inputs))))

    def get_config(self):
        return {**super().get_config(), "dense_class": self.dense_class}


def layers_of(make, hidden=4, codings=2):
    dense = make(hidden, "selu"), make(codings, "selu")
    return [*dense, DenseTranspose(dense[1], "selu"), DenseTranspose(dense[0], "sigmoid")]


def functional(make, inputs=6, **units):
    x = images = keras.Input((inputs,))
    for layer in layers_of(make, **units):
        x = layer(x)
    return keras.Model(images, x)


def sequential(make):
    model = keras.Sequential(layers_of(make))  # built when it is called
    model(X)
    return model


def nested_sequential(make):
    """The book's tied autoencoder."""
    layers = layers_of(make)
    encoder = keras.Sequential(layers[:2], name="encoder")
    decoder = keras.Sequential(layers[2:], name="decoder")
    model = keras.Sequential([encoder, decoder])
    model(X)
    return model


def nested_functional(make):
    layers = layers_of(make)
    images, codings = keras.Input((6,)), keras.Input((2,))
    encoder = keras.Model(images, layers[1](layers[0](images)), name="encoder")
    decoder = keras.Model(codings, layers[3](layers[2](codings)), name="decoder")
    return keras.Model(images, decoder(encoder(images)))


def subclassed(make):
    model = Subclassed(make.__name__)
    model(X)
    return model


each_model = pytest.mark.parametrize(
    "build", [functional, sequential, nested_sequential, nested_functional, subclassed]
)
each_dense = pytest.mark.parametrize("make", [keras.layers.Dense, FusedDense])
PARAMETERS = 6 * 4 + 4 + 4 * 2 + 2 + 4 + 6


def assert_tied(model, x=X):
    """Counted once, and the kernels are those of both sides."""
    assert model.count_params() == PARAMETERS and len(model.trainable_variables) == 6
    kernels = [v for v in model.trainable_variables if v.name == "kernel"]
    before = model(x).numpy()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(x) ** 2)
    found = tape.gradient(loss, [v.value for v in kernels])
    for kernel, gradient in zip(kernels, found, strict=True):
        # Untied, the decoder's contribution is missing: far more than the differences' error.
        direction = np.sign(gradient) * 1e-3
        losses = []
        for sign in (1, -1):
            kernel.assign_add(sign * direction)
            losses.append(float(tf.reduce_sum(model(x) ** 2)))
            kernel.assign_sub(sign * direction)
        expected = np.sum(gradient * direction)
        assert (losses[0] - losses[1]) / 2 == pytest.approx(expected, rel=2e-2)
    np.testing.assert_allclose(model(x), before, rtol=1e-4)


def test_parameters_of_the_books_model():
    assert functional(keras.layers.Dense, 784, hidden=100, codings=30).count_params() == 82_414
    untied = [keras.layers.Dense(units) for units in (100, 30, 100, 784)]
    assert keras.Sequential([keras.Input((784,)), *untied]).count_params() == 163_814


def test_both_contributions_to_the_gradient(path):
    model = functional(keras.layers.Dense, 784, hidden=100, codings=30)
    x = np.random.default_rng(1).random((32, 784), dtype="float32")
    w1, b1, w2, b2, c2, c1 = variables = [v.value for v in model.weights]

    def stock():
        z = tf.nn.selu(tf.nn.selu(x @ w1 + b1) @ w2 + b2)
        return tf.sigmoid(tf.nn.selu(z @ tf.transpose(w2) + c2) @ tf.transpose(w1) + c1)

    results = []
    for function in (lambda: model(x), stock):
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((function() - x) ** 2)
        results.append(tape.gradient(loss, variables))
    for ours, expected in zip(*results, strict=True):
        assert np.max(np.abs(expected)) > 0
        np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-5 * np.max(np.abs(expected)))


@each_model
@each_dense
def test_training_and_keras_file(build, make, tmp_path):
    model = build(make)
    assert_tied(model)
    model.compile("nadam", "mse", run_eagerly=True)
    model.train_on_batch(X, X)
    assert len(model.optimizer.variables) == 3 + 2 * 6  # Nadam's three scalars and two slots
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_allclose(loaded(X), model(X), rtol=SAME_FORMULA)
    assert_tied(loaded)
    loaded.train_on_batch(X, X)


@each_model
def test_weights_file(build, tmp_path):
    model, other = build(FusedDense), build(FusedDense)
    model.save_weights(tmp_path / "model.weights.h5")
    other.load_weights(tmp_path / "model.weights.h5")
    np.testing.assert_allclose(other(X), model(X), rtol=SAME_FORMULA)
    assert_tied(other)


@pytest.mark.parametrize("build", [nested_sequential, nested_functional])
@each_dense
def test_decoder_by_itself(build, make, tmp_path):
    model, codings = build(make), np.ones((3, 2))
    expected = model.get_layer("decoder")(codings)
    model.save(tmp_path / "model.keras")
    model.get_layer("decoder").save(tmp_path / "decoder.keras")
    decoder = keras.saving.load_model(tmp_path / "model.keras").get_layer("decoder")
    alone = keras.saving.load_model(tmp_path / "decoder.keras")
    for loaded in (decoder, alone):
        np.testing.assert_allclose(loaded(codings), expected, rtol=SAME_FORMULA)
        assert len(loaded.trainable_variables) == 4  # the kernels train with it


@pytest.mark.parametrize("build", [functional, sequential, nested_sequential, nested_functional])
@pytest.mark.parametrize("how", ["clone", "recursive", "json"])
def test_clones_are_tied(build, how):
    model = build(keras.layers.Dense)
    if how == "json":
        clone = keras.models.model_from_json(model.to_json())
    else:
        clone = keras.models.clone_model(model, recursive=how == "recursive")
    clone.set_weights(model.get_weights())
    np.testing.assert_allclose(clone(X), model(X), rtol=SAME_FORMULA)
    assert_tied(clone)
    for kernel in {id(v): v for v in clone.weights}.values():
        kernel.assign(tf.zeros_like(kernel))
    assert_tied(model)


def test_clones_of_models_that_are_not_built():
    clone = keras.models.clone_model(keras.Sequential(layers_of(keras.layers.Dense)))
    clone(X)
    assert clone.count_params() == PARAMETERS and len(clone.trainable_variables) == 6
    dense = keras.layers.Dense(2)
    decoder = keras.Sequential([DenseTranspose(dense)])
    nested = keras.Sequential([keras.Sequential([dense]), decoder])
    with pytest.raises(ValueError, match="Call the model, then clone it. Received: input_shape="):
        keras.models.clone_model(nested)(X)


def test_the_decoder_of_a_clone_waits_for_the_whole_model():
    clone = keras.models.clone_model(nested_sequential(keras.layers.Dense))
    with pytest.raises(ValueError, match="Call the model that has both layers.*Received: a call"):
        clone.get_layer("decoder")(np.ones((3, 2)))
    clone(X)
    assert clone.get_layer("decoder")(np.ones((3, 2))).shape == (3, 6)


def test_the_clone_of_a_decoder_alone_names_the_ways_out():
    model, codings = nested_sequential(keras.layers.Dense), np.ones((3, 2))
    clone = keras.models.clone_model(model.get_layer("decoder"))
    with pytest.raises(ValueError, match="clone the whole model and take .*save the decoder and"):
        clone(codings)
    # The first way; for the second one see test_decoder_by_itself.
    whole = keras.models.clone_model(model)
    whole(X)
    assert whole.get_layer("decoder")(codings).shape == (3, 6)


def test_freezing_either_layer_freezes_the_kernel():
    dense = keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((6,)), dense, DenseTranspose(dense, use_bias=False)])
    for layer in model.layers:
        layer.trainable = False
        assert "kernel" not in [v.name for v in model.trainable_variables]
        layer.trainable = True
        assert len(model.trainable_variables) == 2


def test_lora_of_the_dense_layer_is_seen():
    dense = keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((6,)), dense, DenseTranspose(dense)])
    dense.enable_lora(1)
    before = model(X).numpy()
    dense.lora_kernel_b.assign([[1.0, 2.0]])
    codings = X @ dense.kernel + dense.bias
    np.testing.assert_allclose(model(X), codings @ tf.transpose(dense.kernel), rtol=1e-4)
    assert not np.allclose(model(X), before)


def test_what_cannot_be_tied():
    with pytest.raises(ValueError, match="dense must be a keras.layers.Dense .*Received"):
        DenseTranspose("dense")
    with pytest.raises(ValueError, match="dense must be built.*Received: 'unbuilt'"):
        DenseTranspose(keras.layers.Dense(3, name="unbuilt"))(np.ones((2, 3)))
    dense = keras.layers.Dense(3)
    dense.build((None, 4))
    with pytest.raises(ValueError, match="must have the 3 units .*Received"):
        DenseTranspose(dense)(np.ones((2, 4)))
    with pytest.raises(ValueError, match="min_ndim=2"):
        DenseTranspose(dense)(np.ones(3))
    layer = DenseTranspose(dense)
    layer(np.ones((2, 3)))
    dense.quantize("int8")
    with pytest.raises(ValueError, match="must not be quantized.*Received"):
        layer(np.ones((2, 3)))
