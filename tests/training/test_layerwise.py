"""Each phase moves its own pair of layers and nothing else; all end where joint training does."""

import keras
import numpy as np
import pytest

import fastgen
import fastgen.data
from fastgen.models import Autoencoder
from fastgen.ops.autoencoder_step import OP
from fastgen.training import train_layerwise
from fastgen.training.stages import pairs

layers = keras.layers
Dense = layers.Dense
X = np.random.default_rng(1).random((21, 8, 8), dtype="float32")


def model(encoder, decoder, shape=(8, 8), loss="mse", seed=3):
    encoder = keras.Sequential([keras.Input(shape), *encoder], name="encoder")
    decoder = keras.Sequential([keras.Input(encoder.output_shape[1:]), *decoder], name="decoder")
    found = Autoencoder(encoder, decoder, seed=seed)
    found.compile("nadam", loss)
    return found


def stacked():
    decoder = [Dense(6, "selu", name="c"), Dense(64, "sigmoid", name="d"), layers.Reshape((8, 8))]
    encoder = [layers.Flatten(), Dense(6, "selu", name="a"), Dense(3, name="b")]
    return model(encoder, decoder, loss="binary_crossentropy")


def tied():
    encoder = [layers.Flatten(), Dense(6, "selu", name="a"), Dense(3, name="b")]
    keras.Sequential([keras.Input((8, 8)), *encoder])
    decoder = [fastgen.layers.DenseTranspose(encoder[2], "selu", name="c")]
    decoder += [fastgen.layers.DenseTranspose(encoder[1], name="d"), layers.Reshape((8, 8))]
    return model(encoder, decoder)


def convolutional():
    """The book's: what the innermost stage gives is not what its mirror image takes."""
    conv, transposed, same = layers.Conv2D, layers.Conv2DTranspose, {"padding": "same"}
    encoder = [layers.Reshape((8, 8, 1)), conv(3, 3, activation="relu", name="a", **same)]
    encoder += [layers.MaxPool2D(), conv(4, 3, activation="relu", name="b", **same)]
    encoder += [layers.MaxPool2D(), conv(3, 3, name="c", **same), layers.GlobalAvgPool2D()]
    decoder = [Dense(2 * 2 * 5, name="d"), layers.Reshape((2, 2, 5))]
    decoder += [transposed(3, 3, strides=2, activation="relu", name="e", **same)]
    decoder += [transposed(1, 3, strides=2, name="f", **same), layers.Reshape((8, 8))]
    return model(encoder, decoder)


def upsampling():
    """Layers without weights before those of the decoder; normalization and noise between."""
    conv, same = layers.Conv2D, {"padding": "same"}
    encoder = [conv(3, 3, name="a", **same), layers.BatchNormalization(name="n"), layers.ReLU()]
    encoder += [layers.MaxPool2D(), layers.GaussianNoise(0.1), conv(2, 3, name="b", **same)]
    encoder += [layers.MaxPool2D()]
    decoder = [layers.UpSampling2D(), conv(3, 3, activation="relu", name="c", **same)]
    decoder += [layers.Dropout(0.1), layers.UpSampling2D(), conv(1, 3, name="d", **same)]
    return model(encoder, decoder, (8, 8, 1))


def recurrent():
    encoder = [layers.LSTM(6, return_sequences=True, name="a"), layers.LSTM(3, name="b")]
    decoder = [layers.RepeatVector(8), layers.LSTM(6, return_sequences=True, name="c")]
    return model(encoder, [*decoder, Dense(8, name="d")])


class Moved(keras.callbacks.Callback):
    """Which layers of a model each training has moved."""

    def __init__(self, whole):
        super().__init__()
        self.layers = [*whole.encoder.layers, *whole.decoder.layers]
        self.phases = []

    def weights(self):
        return {layer.name: layer.get_weights() for layer in self.layers}

    def on_train_begin(self, logs=None):
        self.before = self.weights()

    def on_train_end(self, logs=None):
        same = lambda a, b: all(map(np.array_equal, a, b))  # noqa: E731
        now = self.weights()
        self.phases.append({name for name in now if not same(now[name], self.before[name])})


@pytest.mark.parametrize(
    ("kind", "expected", "in_kernel"),
    [
        (stacked, ["ad", "bc"], True),
        (tied, ["ad", "bc"], True),
        (convolutional, ["af", "bcde"], False),
        pytest.param(upsampling, ["and", "bc"], False, marks=pytest.mark.slow),
        pytest.param(recurrent, ["ad", "bc"], False, marks=pytest.mark.slow),
    ],
)
def test_each_phase_moves_its_pair_alone(kind, expected, in_kernel):
    keras.utils.set_random_seed(1)
    whole = kind()
    x = X.reshape(-1, *whole.input_shape[1:])
    moved = Moved(whole)
    kernel = fastgen.stats().get(OP, {}).get("fused", 0)
    phases = train_layerwise(
        whole, x, epochs=3, batch_size=8, validation_data=x[:5], callbacks=[moved], verbose=0
    )
    assert moved.phases == [{*pair} for pair in expected]
    assert [{*phase.layers} for phase in phases] == [{*pair} for pair in expected]
    for phase in phases:
        logs = phase.history.history
        assert len(logs["loss"]) == len(logs["val_loss"]) == 3 and np.isfinite(logs["loss"]).all()
    assert (fastgen.stats().get(OP, {}).get("fused", 0) > kernel) == in_kernel


def test_the_rest_of_the_model_is_as_before():
    keras.utils.set_random_seed(1)
    whole = stacked()
    whole.fit(X, verbose=0)
    whole.encoder.layers[1].trainable = False
    whole.compile("nadam", "mse")
    whole.optimizer.build(whole.trainable_variables)
    state = lambda: [v.numpy() for v in whole.optimizer.variables]  # noqa: E731
    optimizer, before, frozen = whole.optimizer, state(), whole.encoder.layers[1].get_weights()
    trainable = [layer.trainable for layer in whole._flatten_layers()]
    train_layerwise(whole, X, epochs=[1, 2], optimizer="sgd", verbose=0)
    assert whole.optimizer is optimizer and all(map(np.array_equal, state(), before))
    assert [layer.trainable for layer in whole._flatten_layers()] == trainable
    assert all(map(np.array_equal, whole.encoder.layers[1].get_weights(), frozen))
    (*_, tuned) = train_layerwise(whole, X, epochs=1, fine_tune_epochs=2, verbose=0)
    assert tuned.layers == ("a", "d", "b", "c") and len(tuned.history.history["loss"]) == 2
    assert int(whole.optimizer.iterations) == 2  # those of `fit`: 21 of 32 inputs are one step


def test_inputs_in_lists_and_a_whole_that_is_fine_tuned():
    whole = stacked()
    how = {"validation_data": X[:3].tolist(), "epochs": 1, "fine_tune_epochs": 1, "verbose": 0}
    *_, tuned = train_layerwise(whole, X.tolist(), **how)
    assert "val_loss" in tuned.history.history


def test_noise_goes_with_the_layer_behind_it():
    """Each phase has the noise of the inputs that it trains on; its codings have none."""
    whole = upsampling()
    outer, inner = pairs("test", whole.encoder, whole.decoder)
    names = [[type(layer).__name__ for layer in part] for pair in (outer, inner) for part in pair]
    assert names == [
        ["Conv2D", "BatchNormalization", "ReLU", "MaxPooling2D"],
        ["Dropout", "UpSampling2D", "Conv2D"],
        ["GaussianNoise", "Conv2D", "MaxPooling2D"],
        ["UpSampling2D", "Conv2D"],
    ]


def test_training_is_determined_by_the_seed():
    weights = []
    for _ in range(2):
        keras.utils.set_random_seed(1)
        whole = stacked()
        train_layerwise(whole, X, batch_size=4, verbose=0)
        weights.append(whole.get_weights())
    assert all(map(np.array_equal, *weights))


def test_interrupted_in_the_second_phase():
    keras.utils.set_random_seed(1)
    whole = stacked()

    class Press(Moved):
        def on_epoch_end(self, epoch, logs=None):
            if self.phases:
                raise KeyboardInterrupt

    press = Press(whole)
    with pytest.raises(KeyboardInterrupt):
        train_layerwise(whole, X, epochs=3, callbacks=[press], verbose=0)
    assert press.phases == [{"a", "d"}] and press.before["b"][0].shape == (6, 3)
    assert not np.array_equal(press.weights()["b"][0], press.before["b"][0])  # one epoch of three
    assert np.isfinite(whole.fit(X, verbose=0).history["loss"]).all()
    assert whole.decode(whole.encode(X)).shape == X.shape


def test_one_callback_or_none():
    ended = []
    press = keras.callbacks.LambdaCallback(on_train_end=lambda logs: ended.append(1))
    assert len(train_layerwise(stacked(), X, epochs=1, callbacks=press, verbose=0)) == 2
    assert len(ended) == len(train_layerwise(stacked(), X, epochs=1, callbacks=None, verbose=0))


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2, 3))])
def test_ends_within_5_percent_of_joint_training(seed):
    """The same epochs in all; 0.6 to 0.9 of the joint loss with these and other seeds."""
    (x, _), (valid, _) = fastgen.data.load("digits")
    losses = []
    for joint in (False, True):
        keras.utils.set_random_seed(seed)
        relu = {"activation": "relu", "kernel_initializer": "he_normal"}
        encoder = [layers.Flatten(), Dense(100, **relu), Dense(30, **relu)]
        decoder = [Dense(100, **relu), Dense(784), layers.Reshape((28, 28))]
        whole = model(encoder, decoder, (28, 28))
        if joint:
            whole.fit(x, epochs=40, verbose=0)
        else:
            train_layerwise(whole, x, epochs=10, fine_tune_epochs=20, verbose=0)
        losses.append(whole.evaluate(valid, verbose=0))
    assert losses[0] <= 1.05 * losses[1]


def shared():
    encoder = [layers.Flatten(), Dense(64, name="a"), Dense(64, name="b")]
    decoder = [encoder[1], Dense(64, name="d"), layers.Reshape((8, 8))]
    return model(encoder, decoder)


def branched():
    inputs = keras.Input((8, 8))
    x = layers.Flatten()(inputs)
    encoder = keras.Model(inputs, layers.Add(name="sum")([Dense(3)(x), Dense(3)(x)]))
    decoder = keras.Sequential([keras.Input((3,)), Dense(64), layers.Reshape((8, 8))])
    found = Autoencoder(encoder, decoder)
    found.compile()
    return found


def uneven():
    return model([layers.Flatten(), Dense(6, name="a"), Dense(3, name="b")], [Dense(64, name="c")])


def unfit():
    decoder = [Dense(5, name="c"), Dense(64, name="d"), layers.Reshape((8, 8))]
    return model([layers.Flatten(), Dense(6), Dense(3)], decoder)


def uncompiled():
    whole = stacked()
    return Autoencoder(whole.encoder, whole.decoder)


@pytest.mark.parametrize(
    ("whole", "arguments", "message"),
    [
        (shared, {}, r"tied ones within a pair\. Received: '.*a/kernel', which 'a' and 'b' share"),
        (branched, {}, r"must follow one another\. Received: 'sum', with several inputs"),
        (uneven, {}, r"as many layers .* Received: \['a', 'b'\] and \['c'\]"),
        (unfit, {}, r"the decoder's take\. Received: \(.*6\) and \(.*5\) of the outermost"),
        (uncompiled, {}, "must be compiled"),
        (lambda: stacked().encoder, {}, "must be a fastgen.models.Autoencoder"),
        (stacked, {"x": X[:, :4]}, r"x must be images of shape \(n, 8, 8\)"),
        (stacked, {"x": X[:0]}, r"x must hold one input at least\. Received: \(0, 8, 8\)"),
        (stacked, {"x": X * np.nan}, "x must be finite"),
        (stacked, {"validation_data": X[:, :4]}, "validation_data must be images of shape"),
        (stacked, {"epochs": 0}, r"epochs must be an integer ≥ 1\. Received: 0"),
        (stacked, {"epochs": [1, 2, 3]}, r"one for each of the 2 phases\. Received: \[1, 2, 3\]"),
        (stacked, {"fine_tune_epochs": -1}, "fine_tune_epochs must be an integer ≥ 0"),
        (stacked, {"batch_size": 0}, "batch_size must be an integer ≥ 1"),
    ],
)
def test_refused_before_anything_is_trained(whole, arguments, message):
    whole = whole()
    before = whole.get_weights()
    with pytest.raises(ValueError, match=message):
        train_layerwise(whole, **{"x": X, "verbose": 0, **arguments})
    assert all(map(np.array_equal, whole.get_weights(), before))
