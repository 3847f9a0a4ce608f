"""fastgen.train_gan: the book's call, and the loop in which a discriminator never learns."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.ops.gan_step import TELEMETRY
from tests.models.gans import (
    CODINGS,
    book_loop,
    book_networks,
    compiled,
    images,
    networks,
    noise_of,
    policy,
    weights,
)
from tests.tolerances import OPTIMIZER_FLOAT64

X = images()
BATCH = 8


def dataset(x=X, **how):
    return tf.data.Dataset.from_tensor_slices(x).batch(BATCH, **how)


def moved(model, before):
    return [bool((a != b).any()) for a, b in zip(model.get_weights(), before, strict=True)]


def test_as_the_loop_of_the_second_edition():
    x = images(20, dtype="float64")
    with policy("float64"):
        ours, stock = (book_networks(dtype="float64") for _ in range(2))
        fastgen.train_gan(ours, dataset(x), BATCH, CODINGS, 20, seed=4, verbose=0)
        book_loop(stock, [*dataset(x)] * 20, noise_of(4, "float64"))
    for a, b in zip(ours.weights, stock.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=OPTIMIZER_FLOAT64, err_msg=a.path)
    # Each optimizer with its own slots, as stock Keras would have them.
    for a, b in ((ours, stock), (ours.layers[1], stock.layers[1])):
        assert int(a.optimizer.iterations) == int(b.optimizer.iterations) == 60
        for v, w in zip(a.optimizer.variables, b.optimizer.variables, strict=True):
            np.testing.assert_allclose(v, w, rtol=0, atol=OPTIMIZER_FLOAT64)


@pytest.mark.filterwarnings("ignore:The model does not have any trainable weights")
def test_the_loop_of_the_third_edition_never_trains_its_discriminator():
    """Its flag is False before the first trace, and Keras 3 never looks again."""
    stock = book_networks()
    before = stock.layers[1].get_weights()
    book_loop(stock, dataset(), noise_of(4), toggle=False)
    assert not any(moved(stock.layers[1], before)), "the trap is gone: DESIGN.md, trap 1"
    ours = book_networks()
    fastgen.train_gan(ours, dataset(), BATCH, CODINGS, 1, seed=4, verbose=0)
    assert all(moved(ours.layers[1], before))
    # After that loop, too, whose discriminator's optimizer knows no weights.
    fastgen.train_gan(stock, dataset(), BATCH, CODINGS, 1, verbose=0)
    assert all(moved(stock.layers[1], before))


def test_networks_without_an_input():
    """As the third edition writes them: nothing is built before train_gan."""
    gan, bare = book_networks(), keras.Sequential()
    for part in networks():
        layers = [type(layer).from_config(layer.get_config()) for layer in part.layers]
        bare.add(keras.Sequential(layers))
    for model in (bare.layers[1], bare):
        model.compile("rmsprop", "binary_crossentropy")
    assert not any(part.built for part in bare.layers)
    for model in (gan, bare):
        fastgen.train_gan(model, dataset(), BATCH, CODINGS, 1, seed=1, verbose=0)
    for a, b in zip(gan.layers, bare.layers, strict=True):
        for v, w in zip(a.get_weights(), b.get_weights(), strict=True):
            np.testing.assert_array_equal(v, w)


@pytest.mark.parametrize("when", ["before compile", "after training"])
def test_what_is_trainable_changes_nothing(when):
    found = []
    for toggle in (False, True):
        gan = book_networks()
        generator, discriminator = gan.layers
        if toggle and when == "before compile":
            generator.trainable = discriminator.trainable = False
        fastgen.train_gan(gan, dataset(), BATCH, CODINGS, 1, seed=1, verbose=0)
        if toggle and when == "after training":
            generator.trainable, discriminator.trainable = False, True
        fastgen.train_gan(gan, dataset(), BATCH, CODINGS, 1, seed=2, verbose=0)
        found.append(gan.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


def test_history_progress_and_callbacks(capsys):
    seen = []
    look = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: seen.append(epoch))
    history = fastgen.train_gan(
        book_networks(), dataset(), BATCH, CODINGS, n_epochs=2, callbacks=[look], verbose=2
    )
    assert seen == [0, 1] and set(history.history) == set(TELEMETRY)
    assert isinstance(history, keras.callbacks.History)
    printed = capsys.readouterr().out
    assert "5/5" in printed and all(name in printed for name in TELEMETRY)


def test_on_our_own_model():
    ours, other = compiled(seed=1), compiled(seed=2)
    fastgen.train_gan(ours, X, BATCH, CODINGS, 2, seed=2, verbose=0)
    other.fit(X, batch_size=BATCH, epochs=2, verbose=0)
    np.testing.assert_array_equal(weights(ours), weights(other))


def test_an_array_and_no_epoch():
    gan = book_networks()
    before = gan.get_weights()
    assert not fastgen.train_gan(gan, X, BATCH, CODINGS, 0, verbose=0).history
    assert not any(moved(gan, before))
    fastgen.train_gan(gan, X, BATCH, CODINGS, 1, verbose=0)
    assert all(moved(gan, before))
    assert int(gan.optimizer.iterations) == 5


def test_seed():
    found = []
    for seed in (1, 1, 2):
        gan = book_networks()
        fastgen.train_gan(gan, X, BATCH, CODINGS, 1, seed=seed, verbose=0)
        found.append(gan.get_weights()[0])
    np.testing.assert_array_equal(found[0], found[1])
    assert (found[0] != found[2]).any()


def with_losses(loss="binary_crossentropy", of_discriminator="binary_crossentropy", nets=None):
    gan = keras.Sequential(nets or networks())
    for model, its in ((gan.layers[1], of_discriminator), (gan, loss)):
        if its is not None:
            model.compile("rmsprop", its)
    return gan


def logits():
    generator, discriminator = networks()
    discriminator.layers[-1].activation = keras.activations.linear
    return generator, discriminator


BCE = keras.losses.BinaryCrossentropy


@pytest.mark.parametrize(
    "loss",
    ["bce", BCE(), [BCE()], keras.losses.binary_crossentropy, fastgen.losses.BinaryCrossentropy()],
    ids=["name", "loss", "list", "function", "ours"],
)
def test_names_of_the_loss(loss):
    with_loss = with_losses(loss)
    assert fastgen.train_gan(with_loss, X, BATCH, CODINGS, 1, verbose=0).history


def test_logits():
    gan = with_losses(*[BCE(from_logits=True)] * 2, nets=logits())
    assert fastgen.train_gan(gan, X, BATCH, CODINGS, 1, verbose=0).history


@pytest.mark.parametrize(
    ("gan", "message"),
    [
        (lambda: with_losses(None), "gan must be compiled. Received: <Sequential"),
        (lambda: with_losses(of_discriminator=None), "the discriminator must be compiled"),
        (lambda: with_losses("mse"), "loss of gan must be binary_crossentropy. Received: 'mse'"),
        (lambda: with_losses("bce", "hinge"), "loss of the discriminator must be"),
        (lambda: with_losses(BCE(from_logits=True)), "must have from_logits=False"),
        (lambda: with_losses(nets=logits()), "must have from_logits=True"),
        (lambda: with_losses(BCE(label_smoothing=0.1)), "compile.label_smoothing"),
        (lambda: networks()[0], r"must be keras.Sequential\(\[generator, discriminator\]\)"),
        (lambda: fastgen.GAN(*networks()), "gan must be compiled"),
        (lambda: None, "Received: None"),
    ],
)
def test_gans_that_it_refuses(gan, message):
    with pytest.raises(ValueError, match=f"train_gan: .*{message}"):
        fastgen.train_gan(gan(), X, BATCH, CODINGS)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((X, BATCH, CODINGS + 1), r"codings_size .* \(3,\). Received: 4"),
        ((X, 0, CODINGS), "batch_size must be an integer ≥ 1. Received: 0"),
        ((X, BATCH, CODINGS, -1), "n_epochs must be an integer ≥ 0. Received: -1"),
        ((dataset(), BATCH + 1, CODINGS), "that of the dataset, 8. Received: 9"),
        ((dataset(drop_remainder=True), 2, CODINGS), "that of the dataset, 8. Received: 2"),
        ((tf.data.Dataset.from_tensor_slices(X), BATCH, CODINGS), "batches of images of shape"),
        ((dataset((X, X)), BATCH, CODINGS), "and those alone"),
        (("images", BATCH, CODINGS), "tf.data.Dataset of batches, or an array. Received: str"),
    ],
)
def test_arguments_that_it_refuses(arguments, message):
    gan = book_networks()
    with pytest.raises(ValueError, match=f"train_gan: .*{message}"):
        fastgen.train_gan(gan, *arguments)


def test_a_ragged_last_batch():
    gan = book_networks()
    history = fastgen.train_gan(gan, dataset(X[:20]), BATCH, CODINGS, 2, verbose=0)
    assert int(gan.optimizer.iterations) == 6 and len(history.epoch) == 2
