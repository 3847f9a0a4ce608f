"""fastgen.GAN saved and resumed bit for bit, and what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.training import Checkpoints
from tests.models.gans import SHAPE, compiled, images, networks, weights
from tests.tolerances import SAME_FORMULA

X = images()
KINDS = {
    "dense": {},
    "stock": {"nets": lambda: networks(batch_norm=True, dropout=0.5)},
    "adam": {
        "generator_optimizer": "adam",
        "discriminator_optimizer": lambda: keras.optimizers.SGD(0.1, momentum=0.9),
        "n_critic": 2,
        "label_smoothing": 0.1,
        "label_noise": 0.2,
        "batch_norm": "book",
        "metrics": ["generator_loss"],
    },
}


def make(kind, **more):
    arguments = {k: v() if callable(v) else v for k, v in KINDS[kind].items()}
    return compiled(**{**arguments, **more})


@pytest.mark.parametrize("kind", KINDS)
def test_keras_file(kind, tmp_path):
    gan = make(kind)
    gan.fit(X, batch_size=20, verbose=0)
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert isinstance(loaded, fastgen.GAN) and loaded.seed == 1
    np.testing.assert_array_equal(loaded.generate(3, seed=1), gan.generate(3, seed=1))
    assert loaded.get_compile_config() == gan.get_compile_config()
    np.testing.assert_array_equal(weights(loaded), weights(gan))  # slots and iterations, too
    logs = [model.fit(X, batch_size=20, verbose=0).history for model in (gan, loaded)]
    assert logs[0] == logs[1]
    np.testing.assert_array_equal(weights(loaded), weights(gan))


def test_uncompiled(tmp_path):
    gan = fastgen.GAN(*networks())
    gan.save(tmp_path / "gan.keras")
    loaded = keras.saving.load_model(tmp_path / "gan.keras")
    assert not loaded.compiled
    np.testing.assert_array_equal(loaded.generate(3, seed=1), gan.generate(3, seed=1))
    with pytest.raises(ValueError, match=r"call `compile\(\)` before"):
        loaded.fit(X)


def test_weights_file(tmp_path):
    gan, other, bare = compiled(), compiled(seed=2), fastgen.GAN(*networks())
    gan.fit(X, verbose=0)
    gan.save_weights(tmp_path / "gan.weights.h5")
    for model in (other, bare):
        model.load_weights(tmp_path / "gan.weights.h5")
        np.testing.assert_array_equal(model.generate(3, seed=1), gan.generate(3, seed=1))


def test_config():
    gan = compiled()
    again = fastgen.GAN.from_config(gan.get_config())
    assert again.get_config() == gan.get_config()
    assert keras.models.clone_model(gan).count_params() == gan.count_params()


@pytest.mark.parametrize("kind", ["dense", pytest.param("stock", marks=pytest.mark.slow)])
def test_resumed_bit_for_bit(kind, tmp_path):
    whole = make(kind)
    whole.fit(X, batch_size=20, epochs=3, verbose=0)
    first = make(kind)
    first.fit(X, batch_size=20, epochs=1, verbose=0)
    Checkpoints(tmp_path, first).save(1)
    second = make(kind, seed=77)
    assert Checkpoints(tmp_path, second).restore() == 1
    second.fit(X, batch_size=20, initial_epoch=1, epochs=3, verbose=0)
    np.testing.assert_array_equal(weights(second), weights(whole))


def test_export(tmp_path):
    gan = compiled()
    gan.fit(X, verbose=0)
    gan.export(tmp_path / "gan", verbose=False)
    codings = np.ones((2, gan.codings), "float32")
    loaded = tf.saved_model.load(tmp_path / "gan")
    np.testing.assert_allclose(
        loaded.serve(codings), gan.predict(codings, verbose=0), rtol=SAME_FORMULA
    )


def last(units, activation):
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(units, activation)])


def tanh_gan():
    stack = [keras.Input((3,)), keras.layers.Dense(12, "tanh"), keras.layers.Reshape(SHAPE)]
    gan = fastgen.GAN(keras.Sequential(stack), networks()[1])
    gan.compile()
    return gan


@pytest.mark.parametrize(
    ("gan", "x", "message"),
    [
        (compiled, 2 * X - 1, r"in \[0, 1\], as the sigmoid .* from -0\.99"),
        (compiled, 255 * X, r"in \[0, 1\].* to 25"),
        (tanh_gan, X, r"in \[-1, 1\], as the tanh .* from 0\.0"),
        (tanh_gan, (255 * X).astype("uint8"), r"127\.5 - 1.*uint8"),
        (compiled, X[:, 1:], r"shape \(n, 4, 3\). Received: \(40, 3, 3\)"),
        (compiled, np.where(X > 0.9, np.nan, X), "finite"),
        (compiled, X[:0], "one image at least"),
    ],
)
def test_images_that_the_generator_cannot_make(gan, x, message):
    gan = gan()
    before = weights(gan)
    with pytest.raises(ValueError, match=f"GAN: x must .*{message}"):
        gan.fit(x, verbose=0)
    np.testing.assert_array_equal(weights(gan), before)


def test_images_of_a_tanh():
    assert tanh_gan().fit(2 * X - 1, verbose=0).history


def test_bytes_in_a_dataset_for_a_tanh():
    batches = tf.data.Dataset.from_tensor_slices((255 * X).astype("uint8")).batch(8)
    with pytest.raises(ValueError, match=r"127\.5 - 1"):
        tanh_gan().fit(batches, verbose=0)


@pytest.mark.parametrize(
    "arguments",
    [
        {"y": X},
        {"validation_data": X},
        {"validation_split": 0.1},
        {"sample_weight": np.ones(40)},
    ],
    ids=lambda x: next(iter(x)),
)
def test_fit_takes_images_alone(arguments):
    with pytest.raises(ValueError, match=f"no {next(iter(arguments))}. Received"):
        compiled().fit(X, **arguments)


def test_no_pairs_and_no_evaluation():
    pairs = tf.data.Dataset.from_tensor_slices((X, X)).batch(8)
    with pytest.raises(ValueError, match="batches of images alone"):
        compiled().fit(pairs, verbose=0)
    with pytest.raises(ValueError, match="no loss to evaluate"):
        compiled().evaluate(X)


@pytest.mark.parametrize(
    ("generator", "discriminator", "message"),
    [
        (keras.Sequential([keras.layers.Dense(3)]), last(1, "sigmoid"), "generator must be a"),
        (last(3, None), keras.layers.Dense(1), "discriminator must be a"),
        (last(4, None), last(1, "sigmoid"), r"input shape. Received: \(4,\) and \(3,\)"),
        (last(3, None), last(2, "sigmoid"), "one number an image"),
        (last(3, None), last(1, "tanh"), "Received: tanh"),
        (
            last(3, None),
            keras.Sequential([last(1, "sigmoid"), keras.layers.Flatten()]),
            "then a change of shape",
        ),
    ],
)
def test_networks_that_do_not_fit(generator, discriminator, message):
    with pytest.raises(ValueError, match=f"GAN: the .*{message}"):
        fastgen.GAN(generator, discriminator)


@pytest.mark.parametrize(
    "arguments",
    [
        {"batch_norm": "test"},
        {"n_critic": 0},
        {"n_critic": True},
        {"label_smoothing": 1.5},
        {"metrics": ["loss"]},
        {"steps_per_execution": 0},
    ],
    ids=str,
)
def test_compile_checks(arguments):
    with pytest.raises(ValueError, match=f"GAN: {next(iter(arguments))} must.*Received: "):
        compiled(**arguments)


def test_optimizers_of_something_else():
    one = keras.optimizers.Adam()
    with pytest.raises(ValueError, match="two optimizers"):
        compiled(generator_optimizer=one, discriminator_optimizer=one)
    gan = compiled()
    with pytest.raises(ValueError, match="must be new, or built for all weights"):
        compiled(generator_optimizer=gan.generator_optimizer)
    with pytest.raises(ValueError, match="moving averages"):
        compiled(generator_optimizer=keras.optimizers.Adam(use_ema=True))


def test_generate_checks():
    with pytest.raises(ValueError, match="n must be an integer ≥ 1. Received: 0"):
        compiled().generate(0)
