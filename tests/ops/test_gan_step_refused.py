"""What gan_step refuses: in Python, and in the raw op behind it."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import native, ops
from tests.ops import gan


def refused(change):
    models, optimizers = gan.small("float32"), gan.optimizers(keras.optimizers.SGD)
    images = gan.images_of(models)
    rows, seeds = gan.feed(2, images)
    given = {
        "generator": models[0],
        "discriminator": models[1],
        "generator_optimizer": optimizers[0],
        "discriminator_optimizer": optimizers[1],
        "images": images,
        "rows": rows,
        "seeds": seeds,
    }
    given |= {name: value(given) for name, value in change.items()}
    before = gan.copies(gan.state(models, ()))
    try:
        ops.gan_step(**given)
    finally:
        for a, b in zip(gan.state(models, ()), before, strict=True):
            np.testing.assert_array_equal(a, b)


def two_outputs(given):
    return keras.Sequential([keras.Input((3, 3)), keras.layers.Flatten(), keras.layers.Dense(2)])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": lambda x: x["images"][:, :2]}, r"gan_step: images must be of .*\(40, 2, 3\)"),
        ({"images": lambda x: x["images"].astype("int32")}, "float or uint8. Received: int32"),
        ({"rows": lambda x: x["rows"][0]}, r"rows must be .*Received: \(1, 8\)"),
        ({"rows": lambda x: x["rows"][:, :0]}, "n_critic and batch at least 1"),
        ({"rows": lambda x: x["rows"][..., :0]}, r"Received: \(2, 1, 0\)"),
        ({"seeds": lambda x: x["seeds"][:, :1]}, r"Received: \(2, 1, 8\), \(2, 1, 2\)"),
        ({"targets": lambda x: np.ones((2, 1, 8))}, r"targets must be None or \(2, 1, 2, 8\)"),
        ({"discriminator": two_outputs}, r"one output an image. Received: \(None, 2\)"),
        ({"generator": lambda x: x["discriminator"]}, "generator must be of .*shape"),
        ({"generator": lambda x: keras.Sequential()}, "generator must be a built keras.Model"),
        ({"generator_optimizer": lambda x: x["discriminator_optimizer"]}, "must be new, or built"),
        (
            {"discriminator_optimizer": lambda x: gan.built(x["discriminator_optimizer"], [])},
            "Received: SGD, built for 0 others",
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_refused(path, change, message):
    with pytest.raises(ValueError, match=message):
        refused(change)


@pytest.mark.parametrize("row", [-1, 40])
def test_rows_out_of_range(path, row):
    def change(given):
        given["rows"][0, 0, 0] = row
        return given["rows"]

    with pytest.raises(tf.errors.InvalidArgumentError, match=f"{row}"):
        refused({"rows": change})


class Recorder:
    """The fused op's place: keeps what it is given."""

    def __call__(self, **given):
        self.given = given
        return tf.zeros([1, 9], tf.float64)


@pytest.fixture
def raw(monkeypatch, fused):
    """Calls the raw op with changed arguments, which the Python function would not let pass."""
    recorder = Recorder()
    op = native.load_ops().fastgen_gan_step
    monkeypatch.setattr(fastgen.dispatch, "fused_op", lambda *a, **k: recorder)
    models, optimizers = gan.small("float32"), gan.optimizers(keras.optimizers.Adam)
    images = gan.images_of(models)
    ops.gan_step(*models, *optimizers, images, *gan.feed(1, images))
    values = gan.state(models, optimizers)
    before = gan.copies(values)

    def call(**change):
        changed = {k: v(recorder.given) if callable(v) else v for k, v in change.items()}
        op(**{**recorder.given, **changed})

    yield call
    for a, b in zip(values, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": tf.ones([40, 8])}, "images must have the discriminator's 9 inputs"),
        ({"images": tf.ones([40, 3, 3])}, r"images must be \[n, features\]"),
        ({"images": tf.ones([40, 9], tf.float64)}, "images must be uint8 or of the network's"),
        ({"seeds": tf.ones([1, 2, 3], tf.int64)}, "seeds"),
        ({"targets": tf.ones([5])}, "targets"),
        ({"rows": tf.ones([1, 0, 8], tf.int64)}, "seeds"),
        ({"generator_learning_rates": tf.ones([2], tf.float64)}, "learning_rates must be one"),
        ({"generator_numbers": tf.ones([2], tf.float64)}, "numbers must be 5"),
        ({"generator_kernels": [0, 9]}, "kernels must be matrices"),
        ({"generator_kernels": [0]}, "what is said of the layers must be of all"),
        ({"generator_biases": [1, 0]}, "a bias must have a number for every unit"),
        ({"discriminator_decayed": [True]}, "a slot of each kind and a decayed"),
        ({"discriminator_slot_places": [0, 3]}, "slots must have"),
        ({"discriminator_rule": "nadam"}, "every variable must have a slot"),
        ({"discriminator_activations": ["linear", "tanh"]}, "must end in one unit"),
        ({"discriminator_activations": ["linear", "wave"]}, "activation"),
        (
            {"discriminator_iterations": lambda x: x["generator_iterations"]},
            "a variable was given twice",
        ),
        ({"generator_iterations": lambda x: x["generator_variables"][0]}, "given twice"),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_the_second_wall(raw, change, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        raw(**change)


class Noisy(keras.layers.Layer):
    """Normalizes by the batch, with moving averages, and drops some."""

    def __init__(self):
        super().__init__()
        self.normalize, self.drop = keras.layers.BatchNormalization(), keras.layers.Dropout(0.5)

    def call(self, x, training=None):
        return self.drop(self.normalize(x, training=training), training=training)


@pytest.mark.parametrize("phase", ["discriminator", "generator"])
@pytest.mark.parametrize("graph", [False, True])
def test_a_failed_phase_leaves_moving_averages_and_seeds(phase, graph):
    models = [
        keras.Sequential([keras.Input(m.input_shape[1:]), m.layers[0], Noisy(), *m.layers[1:]])
        for m in gan.small("float32")
    ]
    rates = (1.0, 1.0) if phase == "discriminator" else (1.0, 3e38)  # no weight survives that
    optimizers = [keras.optimizers.SGD(rate) for rate in rates]
    images = gan.images_of(models)
    if phase == "discriminator":
        images[:] = np.nan
    for model, optimizer in zip(models, optimizers, strict=True):
        optimizer.build(model.trainable_variables)
    moving = [v for m in models for v in m.non_trainable_variables]
    assert len(moving) == 6  # two moving averages and a seed each
    step = tf.function(ops.gan_step) if graph else ops.gan_step
    arguments = [tf.constant(x) for x in gan.feed(1, images)]
    before = gan.copies(v.value for v in moving)
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"loss of the {phase} is not finite"):
        step(*models, *optimizers, tf.constant(images), *arguments)
    after = gan.copies(v.value for v in moving)
    same = [np.array_equal(a, b) for a, b in zip(before, after, strict=True)]
    assert all(same) if phase == "discriminator" else not any(same)
    assert all(np.all(np.isfinite(v)) for v in after)
