"""Which layers are replaced; which are left, and why; which models cannot be converted."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import layers
from tests.conversion import models
from tests.conversion.models import X


def sequence(*parts, shape=(6,)):
    return keras.Sequential([keras.Input(shape), *parts])


def why(model):
    """The reason for each layer that was left."""
    fast = fastgen.convert(model, verbose=False)
    assert [type(x) for x in fast.layers] == [type(x) for x in model.layers]
    return [row["why"] for row in fast.conversion]


class Custom(keras.layers.Dense):
    pass


def with_lora():
    model = sequence(keras.layers.Dense(3))
    model.layers[0].enable_lora(1)
    model.layers[0].lora_kernel_b.assign([[1.0, 2.0, 3.0]])
    return model


def quantized():
    model = sequence(keras.layers.Dense(3))
    model.quantize("int8")
    return model


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (lambda: sequence(keras.layers.ReLU()), "fastgen has none"),
        (lambda: sequence(keras.layers.GaussianNoise(0.1)), "only with corruption=True"),
        (lambda: sequence(Custom(3)), "a subclass of Dense, with code of its own"),
        (lambda: sequence(keras.layers.Lambda(lambda x: 2 * x)), "code of its own"),
        (
            lambda: sequence(keras.layers.TimeDistributed(keras.layers.Dense(3)), shape=(2, 6)),
            "the Dense inside it is its own",
        ),
        (quantized, "quantized"),
    ],
)
def test_what_is_left(model, reason):
    assert why(model()) == [reason]


def test_noise_where_it_is_asked_for():
    parts = [keras.layers.GaussianNoise(0.1), keras.layers.Dropout(0.5, seed=3)]
    model = sequence(*parts, keras.layers.Dropout(0.5, noise_shape=(None, 1)))
    model(X, training=True)
    fast = fastgen.convert(model, corruption=True, verbose=False)
    assert [type(x) for x in fast.layers] == [layers.Corruption] * 2 + [keras.layers.Dropout]
    assert fast.conversion[2]["why"] == "has a noise_shape"
    ours, theirs = fast(X, training=True), model(X, training=True)
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(fast(X), model(X))


def test_lora_is_left_and_merged_as_keras_saves_it():
    model = with_lora()
    fast = fastgen.convert(model, verbose=False)
    np.testing.assert_allclose(fast(X), model(X), rtol=1e-5)
    assert type(fast.layers[0]) is keras.layers.Dense


def test_activations_and_arguments_of_dense():
    def doubled(x):
        return 2 * x

    regularized = {"kernel_regularizer": "l2", "bias_constraint": "non_neg"}
    model = sequence(
        keras.layers.Dense(3, activation=lambda x: x + 1, **regularized),
        keras.layers.Dense(3, activation=doubled, use_bias=False),
        keras.layers.Dense(3, activation=keras.layers.LeakyReLU(0.3)),
    )
    fast = fastgen.convert(model, verbose=False)
    np.testing.assert_allclose(fast(X), model(X), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(fast.losses, model.losses, rtol=1e-5)
    assert isinstance(fast.layers[0].bias.constraint, keras.constraints.NonNeg)
    assert all(type(layer) is layers.FusedDense for layer in fast.layers)


def test_adapted_layers_keep_their_statistics():
    normalization = keras.layers.Normalization()
    normalization.adapt(X)
    model = sequence(normalization, keras.layers.BatchNormalization())
    fast = fastgen.convert(model, verbose=False)
    np.testing.assert_allclose(fast(X), model(X), rtol=1e-5, atol=1e-6)


class Draws(keras.layers.Layer):
    """Sampling in other ways."""

    def __init__(self, how, **kwargs):
        super().__init__(**kwargs)
        self.how = how
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, inputs, training=None):
        mean, log_var = inputs
        shape = tf.shape(mean)
        seed, half = self.seed_generator, keras.ops.exp(log_var / 2)
        noise = keras.random.normal(shape, seed=seed)
        if self.how == "loss":
            self.add_loss(tf.reduce_mean(log_var))
        return {
            "book": lambda: mean + half * noise,
            "loss": lambda: mean + half * noise,
            "training": lambda: mean + half * noise if training else mean,
            "variance": lambda: mean + keras.ops.exp(log_var) * noise,
            "scaled": lambda: mean + 0.95 * half * noise,
            "uniform": lambda: (
                mean + half * keras.random.uniform(shape, -(3**0.5), 3**0.5, seed=seed)
            ),
            "one for a batch": lambda: mean + half * noise[:1],
            "one for all codings": lambda: mean + half * noise[:, :1],
            "swapped": lambda: log_var + keras.ops.exp(mean / 2) * noise,
            "shifted": lambda: mean + half * noise + 0.1,
        }[self.how]()

    def get_config(self):
        return {**super().get_config(), "how": self.how}


OTHER = "its results are not mean + exp(log_var / 2) * normal noise"


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("book", ""),
        ("loss", "code of its own"),
        *[
            (how, OTHER)
            for how in ("training", "variance", "scaled", "uniform", "swapped", "shifted")
        ],
        ("one for a batch", OTHER),
        ("one for all codings", OTHER),
    ],
)
def test_layers_that_draw(how, reason):
    model = models.vae(Draws(how, name="draws"))
    layer = model.get_layer("draws")
    before = layer.seed_generator.state.numpy()
    fast = fastgen.convert(model, verbose=False)
    (row,) = [row for row in fast.conversion if row["part"] == "draws"]
    assert row["why"] == reason
    assert isinstance(fast.get_layer("draws"), Draws if reason else layers.Sampling)
    np.testing.assert_array_equal(layer.seed_generator.state.numpy(), before)
    if how == "book":  # with the same seed even the same noise
        np.testing.assert_allclose(fast(X), model(X), rtol=1e-4)


def test_the_books_sampling_layers():
    def sample(inputs):
        mean, log_var = inputs
        return mean + keras.ops.exp(0.5 * log_var) * keras.random.normal(keras.ops.shape(mean))

    for layer in (models.Sampling(name="z"), keras.layers.Lambda(sample, name="z")):
        fast = fastgen.convert(models.vae(layer), verbose=False)
        assert type(fast.get_layer("z")) is layers.Sampling
        assert fast(X).shape == X.shape


def test_the_books_dense_transpose():
    model = models.tied()
    for layer in model.layers[1].layers:
        layer.biases.assign(np.linspace(-1, 1, layer.biases.shape[0]))
    fast = fastgen.convert(model, verbose=False)
    np.testing.assert_allclose(fast(X), model(X), rtol=1e-5)
    assert fast.count_params() == model.count_params()
    decoder = fastgen.convert(model.layers[1], verbose=False)  # by itself
    for one in (fast.layers[1], decoder):
        assert all(type(layer) is layers.DenseTranspose for layer in one.layers)
        np.testing.assert_allclose(one(X[:, :2]), model.layers[1](X[:, :2]), rtol=1e-5)


class Doubled(models.DenseTranspose):
    """Looks like the book's layer and is not."""

    def call(self, inputs):
        return 2 * super().call(inputs)

    def get_config(self):
        dense = keras.saving.serialize_keras_object(self.dense)
        return {"dense": dense, "activation": "selu", "name": self.name}

    @classmethod
    def from_config(cls, config):
        dense = keras.saving.deserialize_keras_object(config["dense"])
        return cls(**{**config, "dense": dense})


def test_a_tie_that_a_copy_would_lose():
    with pytest.raises(ValueError, match="Doubled.*cannot be copied.*shares a variable.*Received"):
        fastgen.convert(models.tied(Doubled), verbose=False)


class Wrapped(keras.Model):
    def __init__(self, units, **kwargs):
        super().__init__(**kwargs)
        self.units = units
        self.inner = keras.Sequential([keras.layers.Dense(units)])

    def call(self, inputs):
        return self.inner(inputs)

    def get_config(self):
        return {"units": self.units, "name": self.name}


def test_subclassed_models():
    model = Wrapped(6)
    model.compile("rmsprop", "binary_crossentropy", run_eagerly=True)
    model.train_on_batch(X, X)
    fast = fastgen.convert(model, verbose=False)
    np.testing.assert_allclose(fast(X), model(X), rtol=1e-5)
    assert fast.conversion[0]["why"] == "a subclass of Model, with code of its own"
    assert {row["part"] for row in fast.conversion[1:]} == {"optimizer", "loss"}
    inside = fastgen.convert(sequence(model, keras.layers.Dense(2)), verbose=False)
    assert [row["becomes"] for row in inside.conversion[:2]] == ["", "fastgen.layers.FusedDense"]


class Step(keras.Model):
    """A functional model with a step of its own."""

    def train_step(self, data):
        return {"step": 1.0}


def test_functional_models_of_another_class():
    inputs = keras.Input((6,))
    fast = fastgen.convert(Step(inputs, keras.layers.Dense(2)(inputs)), verbose=False)
    assert type(fast) is Step or isinstance(fast, Step)
    fast.compile("sgd")
    assert fast.train_on_batch(X, X, return_dict=True) == {"step": 1.0}


class Unnamed(keras.layers.Layer):
    def __init__(self, function):
        super().__init__(name="unnamed")
        self.function = function

    def call(self, inputs):
        return inputs


def test_what_cannot_be_converted():
    with pytest.raises(TypeError, match="model must be a Keras model.*Received"):
        fastgen.convert(keras.layers.Dense(3))
    with pytest.raises(ValueError, match="'unnamed' .Unnamed. cannot be copied by its.*Received"):
        fastgen.convert(sequence(Unnamed(object())), verbose=False)


def test_a_model_that_is_not_built():
    fast = fastgen.convert(keras.Sequential([keras.layers.Dense(3)]), verbose=False)
    assert not fast.built and fast(X).shape == (12, 3)


@pytest.mark.parametrize(
    "loss",
    [
        "binary_crossentropy",
        "BinaryCrossentropy",
        keras.losses.binary_crossentropy,
        keras.losses.BinaryCrossentropy(label_smoothing=0.1, name="smooth"),
    ],
    ids=["name", "class", "function", "instance"],
)
def test_binary_cross_entropy(loss):
    model = sequence(keras.layers.Dense(6, "sigmoid"))
    model.compile("sgd", loss, run_eagerly=True)
    fast = fastgen.convert(model, verbose=False)
    assert type(fast.loss) is fastgen.losses.BinaryCrossentropy
    assert fast.loss.label_smoothing == getattr(loss, "label_smoothing", 0)
    np.testing.assert_allclose(*(m.evaluate(X, X, verbose=0) for m in (fast, model)), rtol=1e-5)


def test_dtype_of_a_loss():
    model = sequence(keras.layers.Dense(6, "sigmoid"))
    model.compile("sgd", keras.losses.BinaryCrossentropy(dtype="float64"))
    assert fastgen.convert(model, verbose=False).loss.dtype == "float64"


def test_losses_of_several_outputs():
    model = models.branches()
    model.compile("sgd", {"c": "mse", "d": "bce"}, loss_weights={"c": 1.0, "d": 2.0})
    fast = fastgen.convert(model, verbose=False)
    assert fast.loss["c"] == "mse" and type(fast.loss["d"]) is fastgen.losses.BinaryCrossentropy
    found = {row["type"]: row["becomes"] for row in fast.conversion if row["part"] == "loss"}
    assert found == {"mse": "", "bce": "fastgen.losses.BinaryCrossentropy"}
