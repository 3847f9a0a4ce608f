"""A frozen encoder does not move, an unfrozen one does; few labels do better than from scratch."""

import keras
import numpy as np
import pytest

import fastgen.data
from fastgen import models
from fastgen.training import train_classifier
from tests.tolerances import LOGGED

layers = keras.layers
X = np.random.default_rng(1).random((24, 6, 6), dtype="float32")
Y = np.arange(24) % 3
HOW = {"frozen_epochs": 2, "epochs": 2, "batch_size": 8, "verbose": 0, "seed": 1}


def autoencoder():
    """With all that makes training and inference differ."""
    stack = [layers.Flatten(), layers.Dense(8, "selu"), layers.BatchNormalization()]
    stack += [fastgen.layers.Corruption("dropout", 0.3, seed=1), layers.Dense(3, name="codings")]
    encoder = keras.Sequential([keras.Input((6, 6)), *stack], name="encoder")
    decoder = keras.Sequential([keras.Input((3,)), layers.Dense(36), layers.Reshape((6, 6))])
    return models.Autoencoder(encoder, decoder)


def moved(weights, before):
    return [not np.array_equal(v.numpy(), old) for v, old in zip(weights, before, strict=True)]


class Phases(keras.callbacks.Callback):
    """Which weights of an encoder each phase has moved."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder, self.moved = encoder, []

    def on_train_begin(self, logs=None):
        self.before = self.encoder.get_weights()

    def on_train_end(self, logs=None):
        self.moved.append(moved(self.encoder.weights, self.before))


def test_frozen_weights_do_not_move_and_then_do():
    keras.utils.set_random_seed(1)
    whole = autoencoder()
    before = whole.decoder.get_weights()
    phases = Phases(whole.encoder)
    found = train_classifier(whole, X, Y, copy=False, callbacks=[phases], **HOW)
    frozen, tuned = phases.moved
    assert len(frozen) == 8 and not any(frozen)  # moving averages are among them
    assert all(tuned)
    assert found.model.layers[1:-1] == whole.encoder.layers[:]  # the encoder's own
    assert not any(moved(whole.decoder.weights, before))
    for history in (found.frozen, found.tuned):
        assert set(history.history) == {"loss", "accuracy"} and len(history.epoch) == 2


def test_a_copy_leaves_the_autoencoder_alone():
    keras.utils.set_random_seed(1)
    whole = autoencoder()
    before, outputs = whole.get_weights(), whole.predict(X, verbose=0)
    model, frozen, tuned = train_classifier(whole.encoder, X, Y, **{**HOW, "epochs": 0})
    assert tuned is None and len(frozen.epoch) == 2
    same = model.get_weights()[: len(whole.encoder.weights)]  # phase 1 leaves the copy as it was
    assert all(map(np.array_equal, same, whole.encoder.get_weights()))
    model, frozen, tuned = train_classifier(whole.encoder, X, Y, **{**HOW, "frozen_epochs": 0})
    assert frozen is None and len(tuned.epoch) == 2
    assert not any(moved(whole.weights, before))
    np.testing.assert_array_equal(whole.predict(X, verbose=0), outputs)
    np.testing.assert_allclose(model.predict(X, verbose=0).sum(1), 1, rtol=LOGGED)


def test_layers_that_are_not_trainable_stay_in_both_phases():
    whole = autoencoder()
    whole.encoder.layers[1].trainable = False
    phases = Phases(whole.encoder)
    train_classifier(whole, X, Y, copy=False, callbacks=[phases], **HOW)
    assert phases.moved[1] == [False, False, *[True] * 6]
    assert [layer.trainable for layer in whole.encoder.layers] == [True, False, True, True, True]


def test_head_and_validation():
    model = models.convolutional_autoencoder((8, 8), 3, filters=(4,), seed=1)
    whole = keras.Sequential([*model.encoder.layers[:-1]])  # codings with a height and a width
    whole.build((None, 8, 8))
    x = np.pad(X, ((0, 0), (1, 1), (1, 1)))
    how = {**HOW, "hidden": (5,), "classes": 4, "validation_data": (x[:6], Y[:6])}
    found = train_classifier(whole, x, Y, **how)
    assert found.model.output_shape == (None, 4)
    for history in (found.frozen, found.tuned):
        assert {"val_loss", "val_accuracy"} < set(history.history)
    evaluated = found.model.evaluate(x[:6], Y[:6], verbose=0, return_dict=True)
    last = found.tuned.history["val_loss"][-1]
    np.testing.assert_allclose(evaluated["loss"], last, rtol=LOGGED)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"encoder": layers.Dense(2)}, "encoder must be a fastgen.models.Autoencoder, or a keras"),
        ({"x": X[:, :4]}, r"x must be images of shape \(n, 6, 6\)"),
        ({"x": X * np.nan}, "x must be finite"),
        ({"x": X[:0], "y": Y[:0]}, r"one at least\. Received: \(0,\) for 0"),
        ({"y": Y[:5]}, r"one class for each of the inputs.*Received: \(5,\) for 24"),
        ({"y": Y - 1}, r"y must be integers ≥ 0.* Received: int64 from -1 to 1"),
        ({"y": Y / 2}, "y must be integers"),
        ({"y": Y * 0}, "two classes at least"),
        ({"y": Y.astype(str)}, r"y must be integers ≥ 0.*Received: <U"),
        ({"learning_rate": 0}, r"learning_rate must be above 0\. Received: 0"),
        ({"validation_data": X}, r"must be a pair of inputs and classes\. Received: ndarray"),
        ({"classes": 2}, r"y must be integers in \[0, 2\)\. Received: int64 from 0 to 2"),
        ({"classes": 1}, "classes must be an integer ≥ 2"),
        ({"validation_data": (X, Y + 1)}, r"validation_data's y must be integers in \[0, 3\)"),
        ({"frozen_epochs": -1}, "frozen_epochs must be an integer ≥ 0"),
        ({"batch_size": 0}, "batch_size must be an integer ≥ 1"),
        ({"learning_rate": -1.0}, "learning_rate must be"),
        ({"hidden": (0,)}, "hidden must be"),
    ],
)
def test_refused_before_anything_is_trained(arguments, message):
    whole = autoencoder()
    before = whole.get_weights()
    with pytest.raises(ValueError, match=message):
        train_classifier(**{"encoder": whole, "x": X, "y": Y, **HOW, "copy": False, **arguments})
    assert not any(moved(whole.weights, before))


@pytest.mark.parametrize("seeds", [(1,), pytest.param(range(5), marks=pytest.mark.slow)])
def test_few_labels_do_better_than_from_scratch(seeds):
    """The same classifier, 784-200-30-10 of sigmoids, 30 labels, 600 steps.

    From scratch at the best of the rates 3e-4, 1e-3 and 3e-3. Means of five seeds: 0.756 and 0.730.
    """
    (x, y), (valid, classes) = fastgen.data.load("digits")
    accuracy = {"tuned": [], "scratch": []}
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        rows = np.random.RandomState(seed).permutation(len(x))[:30]
        rows = np.tile(rows, 16)  # an epoch of Keras takes longer than its two steps would
        how = {"classes": 10, "batch_size": 16, "seed": seed, "verbose": 0}
        kind = {"hidden": (200,), "activation": "sigmoid", "seed": seed}
        pretrained, fresh = (models.stacked_autoencoder(**kind) for _ in "12")
        pretrained.compile()
        pretrained.fit(x, epochs=60, verbose=0)
        phases = {"frozen_epochs": 10, "epochs": 10, "frozen_learning_rate": 1e-2}
        at_once = {"frozen_epochs": 0, "epochs": 20, "learning_rate": 3e-3}
        for name, encoder, told in (("tuned", pretrained, phases), ("scratch", fresh, at_once)):
            model = train_classifier(encoder, x[rows], y[rows], **how, **told).model
            accuracy[name].append(model.evaluate(valid, classes, verbose=0)[1])
    assert np.mean(accuracy["tuned"]) >= np.mean(accuracy["scratch"])
