"""The autoencoders that builders make: their layers, shapes, dtypes, files and errors."""

import inspect

import keras
import numpy as np
import pytest

import fastgen
from fastgen import models
from fastgen.models import AUTOENCODERS, Autoencoder

OF_DENSE_LAYERS = ("linear", "stacked", "tied", "denoising", "sparse", "overcomplete", "hashing")
SHAPE = (9, 8)


def small(kind, shape=SHAPE, **arguments):
    build = AUTOENCODERS[kind]
    sizes = {"hidden": (6,), "filters": (2, 3)}
    sizes = {k: v for k, v in sizes.items() if k in inspect.signature(build).parameters}
    codings = None if kind == "overcomplete" else 3
    return build(shape, codings, **{**sizes, "seed": 1, **arguments})


def images(n=8, shape=SHAPE):
    return np.random.default_rng(0).random((n, *shape)).astype("float32")


def kinds(model):
    return [type(layer).__name__ for layer in model.layers]


def shapes(model):
    return [layer.output.shape[1:] for layer in model.layers]


def test_parameters_of_the_book():
    assert models.tied_autoencoder().count_params() == 82_414
    assert models.stacked_autoencoder().count_params() == 163_814
    assert models.linear_autoencoder().count_params() == 3 * 2 + 2 + 2 * 3 + 3


def test_layers_of_the_book():
    model = models.convolutional_autoencoder()
    pool = ["Conv2D", "MaxPooling2D"]
    assert kinds(model.encoder) == ["Reshape", *pool * 3, "Conv2D", "GlobalAveragePooling2D"]
    assert shapes(model.encoder)[2:8:2] == [(14, 14, 16), (7, 7, 32), (3, 3, 64)]
    images = [(28, 28, 1), (28, 28), (28, 28)]
    assert shapes(model.decoder) == [(144,), (3, 3, 16), (7, 7, 32), (14, 14, 16), *images]
    model = models.recurrent_autoencoder()
    assert shapes(model.encoder) == [(28, 100), (30,)]
    assert kinds(model.decoder) == ["RepeatVector", "LSTM", "Dense", "Activation"]
    model = models.sparse_autoencoder()
    assert kinds(model.encoder) == ["Flatten", "Dense", "Dense", "Sparsity"]
    assert shapes(model.encoder)[-1] == (300,)
    model = models.hashing_autoencoder()
    assert kinds(model.encoder) == ["Flatten", "Dense", "Corruption", "Dense"]
    assert model.encoder.layers[2].amount == 15 and model.encoder.output_shape == (None, 16)
    for corruption, amount in ("gaussian", 0.2), ("dropout", 0.5):
        first = models.denoising_autoencoder(corruption=corruption).encoder.layers[0]
        assert (first.kind, first.amount) == (corruption, amount)


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_builders_agree(kind):
    """On names and defaults of what they share."""
    arguments = inspect.signature(AUTOENCODERS[kind]).parameters
    names = list(arguments)
    assert names[:2] == ["input_shape", "codings"] and names[-2:] == ["seed", "name"]
    assert AUTOENCODERS[kind].__name__ == arguments["name"].default == f"{kind}_autoencoder"
    assert {arguments[name].kind for name in names[2:]} == {inspect.Parameter.KEYWORD_ONLY}
    model = small(kind)
    assert type(model) is Autoencoder and not model.compiled
    assert [model.encoder.name, model.decoder.name] == ["encoder", "decoder"]
    assert getattr(models, f"{kind}_autoencoder") is AUTOENCODERS[kind]


@pytest.mark.parametrize("kind", OF_DENSE_LAYERS)
def test_fit_takes_the_kernel(kind, fused):
    for loss, last in ("mse", {}), ("binary_crossentropy", {"output_activation": "sigmoid"}):
        model = small(kind, **({} if kind == "linear" else last))
        model.compile(loss="mse" if kind == "linear" else loss)
        row = fastgen.doctor(model)[0]
        assert (row["op"], row["path"], row["why"]) == ("autoencoder_step", "fused", "kernel")


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_training_and_files(kind, tmp_path):
    model = small(kind, (4, 4))
    x = images(shape=(4, 4))
    model.compile()
    model.fit(x, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert loaded.count_params() == model.count_params()
    np.testing.assert_array_equal(loaded(x), model(x))
    assert loaded.why_stock() == model.why_stock() and loaded.optimizer.iterations == 1


def test_the_clone_of_a_tied_one_is_tied():
    model = small("tied")
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(clone(images()), model(images()))
    assert clone.count_params() == model.count_params()
    clone.compile("sgd", "mse")
    clone.fit(images(), images(), verbose=0)
    encoder, decoder = clone.get_layer("encoder"), clone.get_layer("decoder")
    first, last = encoder.layers[1], decoder.layers[1]
    assert last.kernel is first.kernel and first.kernel is not model.encoder.layers[1].kernel


@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_a_seed_determines_the_initial_weights(kind):
    found = [small(kind, seed=seed)(images()) for seed in (1, 1, 2)]
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).numpy().any()


@pytest.mark.parametrize("kind", ["denoising", "hashing"])
def test_a_seed_determines_noise_and_order(kind):
    weights = small(kind).get_weights()
    found = []
    for seed in (1, 1, 2):
        model = small(kind, seed=seed)
        model.set_weights(weights)
        model.compile()
        model.fit(images(), batch_size=4, verbose=0)
        found.append(model.predict(images(), verbose=0))
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


SHAPES = [(kind, (6,)) for kind in OF_DENSE_LAYERS]
SHAPES += [("stacked", shape) for shape in [(1,), (4, 5, 3), (2, 2, 2, 2)]]
SHAPES += [("convolutional", shape) for shape in [(4, 4), (5, 8), (7, 6, 3), (11, 13), (4, 9)]]
SHAPES += [("recurrent", shape) for shape in [(5, 2), (1, 1), (4, 3, 2)]]


@pytest.mark.parametrize(("kind", "shape"), SHAPES)
def test_outputs_have_the_shape_of_inputs(kind, shape):
    model = small(kind, shape)
    assert model.input_shape == model.output_shape == (None, *shape)
    assert model(images(2, shape)).shape == (2, *shape)


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize("dtype", ["float64", "mixed_float16"])
@pytest.mark.parametrize("kind", AUTOENCODERS)
def test_dtype_policies(kind, dtype, policy):
    policy(dtype)
    model = small(kind)
    model.compile()
    wide = "float64" if dtype == "float64" else "float32"
    assert model(images()).dtype == wide
    assert {v.dtype for v in model.trainable_variables} == {wide}
    if dtype == "mixed_float16" and kind in ("stacked", "convolutional"):
        assert np.isfinite(model.fit(images(), verbose=0).history["loss"]).all()


WRONG = {
    "stacked_autoencoder: input_shape must be integers ≥ 1.*(8, 0)": ("stacked", {"shape": (8, 0)}),
    "hashing_autoencoder: input_shape must be integers ≥ 1.*()": ("hashing", {"shape": ()}),
    "tied_autoencoder: hidden must be integers ≥ 1.*2.5": ("tied", {"hidden": 2.5}),
    "recurrent_autoencoder: hidden must be integers ≥ 1.*()": ("recurrent", {"hidden": ()}),
    r"recurrent_autoencoder: input_shape must be \(steps, f": ("recurrent", {"shape": (9,)}),
    r"convolutional_autoencoder: input_shape must be \(height, width\) or .* 4 at least for 2": (
        "convolutional",
        {"shape": (3, 9)},
    ),
    r"for 2 poolings. Received: \(9,\)": ("convolutional", {"shape": (9,)}),
    "denoising_autoencoder: corruption must be one of .*'salt'": (
        "denoising",
        {"corruption": "salt"},
    ),
    "amount must be a number in .*-1": ("denoising", {"amount": -1}),
    "sparse_autoencoder: penalty must be one of .*'l2'": ("sparse", {"penalty": "l2"}),
    "target must be a number in .*1.5": ("sparse", {"target": 1.5}),
    "stacked_autoencoder: seed must be an integer ≥ 0": ("stacked", {"seed": -1}),
    "recurrent_autoencoder: seed must be an integer ≥ 0.*'one'": ("recurrent", {"seed": "one"}),
    "weight must be a number in .*-1": ("sparse", {"weight": -1}),
    "hashing_autoencoder: noise must be a number in .*'loud'": ("hashing", {"noise": "loud"}),
}


@pytest.mark.parametrize("message", WRONG)
def test_arguments_out_of_range(message):
    kind, arguments = WRONG[message]
    with pytest.raises(ValueError, match=f"{message}.*Received|{message}"):
        small(kind, **arguments)


def test_codings_out_of_range():
    for codings in (0, 2.5, True, "3"):
        with pytest.raises(ValueError, match="codings must be an integer ≥ 1. Received"):
            models.stacked_autoencoder((4,), codings)
    with pytest.raises(ValueError, match="codings must be an integer ≥ 12. Received: 11"):
        models.overcomplete_autoencoder((3, 4), 11)
    assert models.overcomplete_autoencoder((3, 4), 12).encoder.output_shape == (None, 12)
