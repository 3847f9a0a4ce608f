"""`fit` of autoencoders on arrays takes the kernel: the same training as by Keras' own steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.models import Autoencoder, Warmup
from fastgen.ops.autoencoder_step import OP
from tests.models.cases import PIXELS, SHAPE, images, own_model, small
from tests.tolerances import LOGGED

BATCH, N = 8, 50  # six batches and one of two images
Dense = keras.layers.Dense


def variational(steps_per_execution=None, **arguments):
    """A VAE for SGD, which does not amplify rounding as Nadam does."""
    vae = small(**arguments)
    optimizer = keras.optimizers.SGD(1e-3, momentum=0.5)
    vae.compile(optimizer, steps_per_execution=steps_per_execution)
    return vae


def plain(loss="mse", last="linear", optimizer=None, **how):
    """An autoencoder of a user's own encoder and decoder."""
    keras.utils.set_random_seed(4)
    flat, back = keras.layers.Flatten(), keras.layers.Reshape(SHAPE)
    encoder = keras.Sequential([keras.Input(SHAPE), flat, Dense(8, "selu"), Dense(3)])
    parts = [Dense(8, "selu"), Dense(PIXELS), back, keras.layers.Activation(last)]
    model = Autoencoder(encoder, keras.Sequential([keras.Input((3,)), *parts], name="decoder"))
    model.compile(optimizer or keras.optimizers.SGD(0.1, momentum=0.5), loss, **how)
    return model


def denoising():
    """Noise on what the encoder gets, dropout on what its last layer and the decoder's get."""
    keras.utils.set_random_seed(4)
    corrupt, flat = fastgen.layers.Corruption("gaussian", 0.3, seed=5), keras.layers.Flatten()
    layers = [flat, corrupt, Dense(8, "selu"), keras.layers.Dropout(0.2, seed=6), Dense(3)]
    encoder = keras.Sequential([keras.Input(SHAPE), *layers])
    parts = [Dense(8), keras.layers.LeakyReLU(0.1), keras.layers.Dropout(0.4), Dense(PIXELS)]
    layers = [keras.layers.GaussianNoise(0.1, seed=7), *parts, keras.layers.Reshape(SHAPE)]
    model = Autoencoder(encoder, keras.Sequential([keras.Input((3,)), *layers], name="decoder"))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.5), "mse")
    return model


def sparse():
    """Penalties in both of Keras' forms, one of what dropout drops."""
    keras.utils.set_random_seed(4)
    of_means = fastgen.layers.Sparsity(0.2, 0.1, name="sparsity")
    layers = [Dense(8, "tanh"), fastgen.layers.Sparsity(0.01, kind="l1", name="first")]
    layers = [keras.layers.Flatten(), *layers, Dense(5, "sigmoid"), of_means]
    encoder = keras.Sequential([keras.Input(SHAPE), *layers, keras.layers.Dropout(0.2, seed=6)])
    hidden = Dense(8, "selu", activity_regularizer=fastgen.regularizers.MSESparsity(0.3, 0.2))
    layers = [keras.Input((5,)), hidden, Dense(PIXELS), keras.layers.Reshape(SHAPE)]
    model = Autoencoder(encoder, keras.Sequential(layers, name="decoder"))
    model.compile(keras.optimizers.SGD(0.1, momentum=0.5), "mse")
    return model


def entropy(**options):
    return fastgen.losses.BinaryCrossentropy(**options)


KINDS = {
    "vae": variational,
    "mse": lambda: variational(reconstruction="mean_squared_error", reduction="mean"),
    "warmup": lambda: variational(beta=Warmup(9, beta=3.0)),
    "linear": plain,
    "denoising": denoising,
    "sparse": sparse,
    "entropy": lambda: plain(keras.losses.BinaryCrossentropy(), "sigmoid"),
    "logits": lambda: plain(entropy(from_logits=True)),
    "list": lambda: plain(["mse"]),
    "dict": lambda: plain({"decoder": keras.losses.MeanSquaredError()}),
    "squares": lambda: plain(keras.losses.MeanSquaredError(), "tanh"),
}
MORE_KINDS = [x for x in KINDS if x not in ("vae", "sparse", "entropy")]
FITS = {
    "validation": {"validation_data": images(20)},
    "split": {"validation_split": 0.2},
    "targets": {"y": images(N)[::-1].copy(), "validation_data": (images(20), images(20))},
}


def kernel_calls(function):
    """How often the op was traced in a call."""
    count = lambda: fastgen.stats().get(OP, {}).get("fused", 0)  # noqa: E731
    before = count()
    function()
    return count() - before


def both(make, monkeypatch, **how):
    """The logs and the model, by the kernel and by Keras' own steps."""
    found = []
    for backend in ("auto", "composite"):
        monkeypatch.setenv("FASTGEN_BACKEND", backend)
        model = make()
        how = {"batch_size": BATCH, "epochs": 2, "shuffle": False, "verbose": 0, **how}
        logs = []
        calls = kernel_calls(
            lambda model=model, how=how, logs=logs: logs.append(model.fit(images(N), **how).history)
        )
        assert (calls > 0) == (backend == "auto")
        found.append((logs[0], model))
    return found


@pytest.mark.parametrize(
    ("kind", "fit"),
    [
        *((kind, "validation") for kind in ("vae", "sparse", "entropy")),
        ("vae", "targets"),
        ("linear", "split"),
        *(pytest.param(kind, "validation", marks=pytest.mark.slow) for kind in MORE_KINDS),
    ],
)
def test_logs_and_weights_are_those_of_keras(kind, fit, monkeypatch):
    (logs, model), (expected, stock) = both(KINDS[kind], monkeypatch, **FITS[fit])
    assert list(logs) == list(expected)
    for name, values in expected.items():
        np.testing.assert_allclose(logs[name], values, rtol=LOGGED, err_msg=name)
    assert model.optimizer.iterations == stock.optimizer.iterations > 0
    for a, b in zip(model.get_weights(), stock.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=LOGGED, atol=LOGGED)
    for a, b in zip(model.optimizer.variables, stock.optimizer.variables, strict=True):
        assert a.name.split("_")[-1] == b.name.split("_")[-1] and a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=LOGGED, atol=LOGGED)


class Batches(keras.callbacks.Callback):
    """Notes steps, and stops at one."""

    def __init__(self, stop=None):
        super().__init__()
        self.steps, self.stop = [], stop

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(batch)
        assert np.isfinite(float(logs["loss"]))
        self.model.stop_training = batch == self.stop


@pytest.mark.parametrize("make", [variational, plain])
def test_who_looks_at_batches_sees_each(make):
    seen, models = Batches(), [make() for _ in range(3)]
    models[0].fit(images(N), batch_size=BATCH, verbose=0, callbacks=[seen])
    models[1].fit(images(N), batch_size=BATCH, verbose=0)
    assert seen.steps == [*range(7)] and models[0].steps_per_execution == 1
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
    models[2].fit(images(N), batch_size=BATCH, verbose=0, callbacks=[Batches(stop=2)])
    assert models[2].optimizer.iterations == 3


@pytest.mark.parametrize("make", [variational, plain])
def test_every_image_once_in_an_order_of_the_seed(make, monkeypatch):
    rows = []
    for _ in range(2):
        model, own = make(), []
        step = model._steps.step
        monkeypatch.setattr(
            model._steps,
            "step",
            lambda data, r, step=step, own=own, **how: (
                (tf.py_function(lambda x: own.append(x.numpy()), [r], []) and None)
                or step(data, r, **how)
            ),
        )
        model.fit(images(N), batch_size=BATCH, epochs=2, verbose=0)
        rows.append([row for part in own for step in part for row in step.ravel()])
    first, second = rows[0][:N], rows[0][N:]
    assert sorted(first) == sorted(second) == [*range(N)] and first != second
    assert rows[0] == rows[1]


def compiled_by(optimizer="nadam", **how):
    vae = small()
    vae.compile(optimizer, **how)
    return vae


def frozen():
    vae = variational()
    vae.encoder.get_layer("mean").trainable = False
    return vae


def dropped_twice():
    """One layer whose two calls drop different features for the mean and for the log variance."""
    inputs, drop = keras.Input((4,)), keras.layers.Dropout(0.5)
    mean, log_var = Dense(2)(drop(inputs)), Dense(2)(drop(inputs))
    codings = fastgen.layers.GaussianLatent()([mean, log_var])
    decoder = keras.Sequential([keras.Input((2,)), Dense(4, "sigmoid")])
    encoder = keras.Model(inputs, [mean, log_var, codings])
    vae = fastgen.models.VariationalAutoencoder(encoder, decoder)
    vae.compile("sgd")
    return vae


def of_decoder(decoder, **how):
    model = Autoencoder(keras.Sequential([keras.Input((4,)), Dense(2)]), decoder)
    model.compile("sgd", **how)
    return model


def clipped():
    """A sigmoid before the last operation: Keras clips it."""
    layers = [Dense(4, "sigmoid"), keras.layers.Reshape((2, 2))]
    return of_decoder(keras.Sequential([keras.Input((2,)), *layers]), loss="binary_crossentropy")


def normalized():
    layers = [keras.layers.BatchNormalization(), Dense(4)]
    return of_decoder(keras.Sequential([keras.Input((2,)), *layers]))


def sparse_vae():
    """A VAE with a penalty in its decoder."""
    inputs = keras.Input((4,))
    mean, log_var = Dense(2)(inputs), Dense(2)(inputs)
    encoder = keras.Model(inputs, [mean, log_var, fastgen.layers.GaussianLatent()([mean, log_var])])
    layers = [Dense(3, "sigmoid"), fastgen.layers.Sparsity(0.5, 0.1), Dense(4, "sigmoid")]
    decoder = keras.Sequential([keras.Input((2,)), *layers])
    vae = fastgen.models.VariationalAutoencoder(encoder, decoder)
    vae.compile("sgd")
    return vae


STOCK = {
    "has a sparsity penalty, and": sparse_vae,
    "'gaussian_latent' has free bits": lambda: variational(free_bits=0.1),
    "(Reshape)|(Conv2D)": lambda: variational(kind="convolutional", hidden=(2, 2)),
    "a prior": lambda: variational(prior=fastgen.layers.GaussianMixture(2, 3)),
    "compiled metrics": lambda: compiled_by(metrics=["mse"]),
    "run_eagerly": lambda: compiled_by(run_eagerly=True),
    "XLA": lambda: compiled_by(jit_compile=True),
    "no kernel for the optimizer Lion": lambda: compiled_by(keras.optimizers.Lion()),
    "moving averages": lambda: compiled_by(keras.optimizers.SGD(use_ema=True)),
    "some layers are frozen": frozen,
    "may draw for the mean and for the log variance": dropped_twice,
    "does not end in a sigmoid": lambda: own_model_compiled("linear"),
    "no kernel for the loss 'binary_crossentropy'": clipped,
    "no kernel for the loss 'mean_absolute_error'": lambda: plain("mae"),
    "no kernel for the loss 'huber'": lambda: plain(keras.losses.Huber(name="huber")),
    "no kernel for the loss 'smooth'": lambda: plain(
        entropy(label_smoothing=0.1, name="smooth"), "sigmoid"
    ),
    "no kernel for 2 losses": lambda: plain(["mse", "mse"]),
    "no kernel for the loss None": lambda: plain({"encoder": "mse"}),
    "the loss has weights": lambda: plain(loss_weights=[2.0]),
    "(BatchNormalization)": normalized,
}


def own_model_compiled(activation):
    vae = own_model(activation)
    vae.compile("sgd")
    return vae


@pytest.mark.parametrize("why", STOCK)
def test_doctor_names_what_keeps_fit_from_the_kernel(why, monkeypatch, capsys):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    model = STOCK[why]()
    row = fastgen.doctor(model)[0]
    assert (row["part"], row["path"]) == ("fit on arrays", "composite")
    assert any(word in row["why"] for word in why.split("|")), row["why"]


@pytest.mark.parametrize("why", ["'gaussian_latent' has free bits", "(BatchNormalization)"])
def test_what_no_kernel_takes_is_trained_by_keras(why):
    model = STOCK[why]()
    x = images(16, model.input_shape[1:])
    before = model.get_weights()
    assert kernel_calls(lambda: model.fit(x, verbose=0)) == 0
    assert any(np.any(a != b) for a, b in zip(model.get_weights(), before, strict=True))


@pytest.mark.parametrize(
    "how",
    [
        {"sample_weight": np.ones((N, 1))},
        {"steps_per_epoch": 3},
        {"shuffle": "batch"},
        {"x": tf.data.Dataset.from_tensor_slices(images(N)).batch(BATCH)},
    ],
    ids=lambda how: next(iter(how)),
)
@pytest.mark.parametrize("make", [variational, plain])
def test_what_takes_the_steps_of_keras(make, how):
    model = make()
    assert kernel_calls(lambda: model.fit(**{"x": images(N), "verbose": 0, **how})) == 0
    assert model.optimizer.iterations > 0


@pytest.mark.parametrize("make", [variational, pytest.param(plain, marks=pytest.mark.slow)])
def test_tensors_and_other_dtypes(make):
    found = []
    x = np.float32(images(N).round())
    for given in (x, tf.constant(x), x.astype("float64"), x.astype("uint8"), x.astype(bool)):
        model = make()
        assert kernel_calls(lambda m=model, g=given: m.fit(g, epochs=2, verbose=0)) > 0
        found.append(model.get_weights())
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [variational, plain])
def test_a_loss_that_is_not_finite_is_an_error(make):
    model = make()
    model.optimizer.learning_rate = 1e30
    with pytest.raises(tf.errors.InvalidArgumentError, match="the loss is not finite in step"):
        model.fit(images(N), batch_size=BATCH, epochs=5, verbose=0)


def test_compiled_anew_or_made_to_trace_again():
    model = plain(optimizer=keras.optimizers.SGD(0.0))
    model.fit(images(N), verbose=0)
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(images(N), verbose=0)
    assert any(np.any(a != b) for a, b in zip(model.get_weights(), before, strict=True))
    vae = variational(beta=0.0)
    vae.fit(images(8), verbose=0)
    vae.beta = 1.0
    vae.make_train_function(force=True)
    logs = vae.fit(images(8), verbose=0).history
    assert logs["loss"][0] > logs["reconstruction_loss"][0]


@pytest.mark.parametrize("make", [variational, plain])
def test_a_layer_frozen_between_two_fits_stays(make):
    model = make()
    layers = [x for x in model.encoder.layers if isinstance(x, Dense)]
    for frozen in (False, True):
        layers[0].trainable = not frozen
        before = [x.get_weights()[0] for x in layers]
        model.fit(images(N), batch_size=BATCH, verbose=0, callbacks=[keras.callbacks.Callback()])
        still = [np.array_equal(x.get_weights()[0], w) for x, w in zip(layers, before, strict=True)]
        assert still == [frozen] + [False] * (len(layers) - 1)


@pytest.mark.parametrize("make", [variational, pytest.param(plain, marks=pytest.mark.slow)])
def test_the_split_of_tensors_is_that_of_arrays(make):
    found = []
    for x in (images(N), tf.constant(images(N))):
        for y in (None, x):
            model = make()
            logs = model.fit(x, y, validation_split=0.2, verbose=0).history
            found.append((logs, model.get_weights()))
    assert "val_loss" in found[0][0]
    for logs, weights in found[1:]:
        assert logs == found[0][0]
        for a, b in zip(weights, found[0][1], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("make", [variational, plain])
def test_numbers_of_images_and_steps(make):
    model = make()
    model.fit(images(N), batch_size=np.int64(BATCH), verbose=0)
    for how in ({"batch_size": -1}, {"batch_size": 2.5}, {"steps_per_epoch": 3.0}):
        with pytest.raises(ValueError, match="fit: .* must be an integer ≥ 1. Received: "):
            model.fit(images(N), verbose=0, **how)


def test_a_saved_autoencoder_goes_on(tmp_path):
    model = plain("binary_crossentropy", "sigmoid", "nadam")
    model.fit(images(N), verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert type(loaded) is Autoencoder and loaded.why_stock() == model.why_stock()
    x = images(9)
    np.testing.assert_array_equal(loaded.encode(x), model.encode(x))
    np.testing.assert_array_equal(loaded.decode(model.encode(x)), model.decode(model.encode(x)))
    for each in (model, loaded):
        each.fit(images(N), verbose=0)
    assert loaded.optimizer.iterations == model.optimizer.iterations == 4
    for a, b in zip(model.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_parts_that_fit_no_autoencoder():
    pair = keras.Model(x := keras.Input((4,)), [Dense(2)(x), Dense(2)(x)])
    for encoder in (pair, Dense(2), keras.Sequential([Dense(2)])):
        with pytest.raises(ValueError, match="Autoencoder: the encoder must be.*Received"):
            Autoencoder(encoder, keras.Sequential([keras.Input((2,)), Dense(4)]))
    with pytest.raises(ValueError, match=r"Autoencoder: x must be images of shape .*\(50, 6, 4\)"):
        plain().fit(images(N)[..., 1:])
