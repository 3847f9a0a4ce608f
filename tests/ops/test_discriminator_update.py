"""The op: against Keras' step, both paths alike, what it refuses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import native, ops
from fastgen.ops import players
from tests.ops import gan
from tests.tolerances import OPTIMIZER_FLOAT64, OPTIMIZER_STEP, TOLERANCES, assert_close


def setting(dtype="float32", optimizer=keras.optimizers.RMSprop, counts=(8, 5)):
    """A discriminator, its optimizer, real and fake images."""
    rng = np.random.default_rng(0)
    real, fake = (rng.random((n, 3, 3)).astype(dtype) for n in counts)
    return gan.small(dtype)[1], optimizer(), real, fake


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("optimizer", [keras.optimizers.RMSprop, fastgen.optimizers.Nadam])
def test_step_of_keras(path, optimizer, smoothing):
    model, ours, real, fake = setting("float64", optimizer)
    twin, stock = gan.small("float64")[1], optimizer()
    labels = np.concatenate([np.full((8, 1), 1 - smoothing), np.zeros((5, 1))])
    bce = keras.losses.BinaryCrossentropy(dtype="float64")
    for _ in range(3):
        found = ops.discriminator_update(model, ours, real, fake, label_smoothing=smoothing)
        values = [v.value for v in twin.trainable_variables]
        with tf.GradientTape() as tape:
            loss = bce(labels, twin(tf.concat([real, fake], 0)))
        gradients = tape.gradient(loss, values)
        stock.apply(gradients, twin.trainable_variables)
        rtol = TOLERANCES["float32"][0]
        np.testing.assert_allclose(found["loss"], loss, rtol=rtol)
        np.testing.assert_allclose(
            found["gradient_norm"], tf.linalg.global_norm(gradients), rtol=rtol
        )
    for a, b in zip(gan.state([model], [ours]), gan.state([twin], [stock]), strict=True):
        np.testing.assert_allclose(a, b, rtol=OPTIMIZER_FLOAT64, atol=OPTIMIZER_FLOAT64)
    assert int(ours.iterations) == 3


def test_targets_and_smoothing_are_alike(path):
    results = []
    targets = np.concatenate([np.full(8, 0.75), np.zeros(5)])
    for more in ({"label_smoothing": 0.25}, {"targets": targets}):
        model, optimizer, real, fake = setting()
        ops.discriminator_update(model, optimizer, real, fake, **more)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bytes_are_255ths(path):
    results = []
    for scale in (False, True):
        model, optimizer, _, fake = setting()
        real = np.random.default_rng(1).integers(0, 256, (8, 3, 3)).astype("uint8")
        ops.discriminator_update(model, optimizer, real / np.float32(255) if scale else real, fake)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("graph", [False, True])
def test_loss_that_is_not_finite(path, graph):
    model, optimizer, real, fake = setting()
    real[3, 1, 1] = np.nan
    before = model.get_weights()
    step = tf.function(ops.discriminator_update) if graph else ops.discriminator_update
    with pytest.raises(tf.errors.InvalidArgumentError, match="discriminator_update: the loss is"):
        step(model, optimizer, real, fake)
    assert int(optimizer.iterations) == 0
    for a, b in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_sigmoid_before_a_change_of_shape(monkeypatch):
    """Keras' logits are not to be had there: the composite makes them of the probabilities."""
    results = []
    for backend in ("fused", "composite"):
        monkeypatch.setenv("FASTGEN_BACKEND", backend)
        small, optimizer, real, fake = setting()
        model = keras.Sequential([*small.layers, keras.layers.Reshape((1, 1))])
        model.build((None, 3, 3))
        ops.discriminator_update(model, optimizer, real, fake)
        results.append(model.get_weights())
    for a, b in zip(*results, strict=True):
        np.testing.assert_allclose(a, b, rtol=10 * OPTIMIZER_STEP, atol=10 * OPTIMIZER_STEP)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"real": np.ones((8, 4), "f")}, r"real must be float images \(n, \*\(3, 3\)\)"),
        ({"real": np.ones((8, 3, 3), int)}, "of int64"),
        ({"fake": np.ones((5, 3, 3), "uint8")}, "fake must be .* of uint8"),
        ({"real": np.ones((0, 3, 3), "f")}, r"real must be .* n ≥ 1.*Received: \(0, 3, 3\)"),
        ({"fake": np.ones((0, 3, 3), "f")}, r"fake must be .* n ≥ 1"),
        ({"label_smoothing": 1.5}, "label_smoothing must be a number"),
        ({"label_smoothing": 0.5, "targets": np.ones(13)}, "targets must come without"),
        ({"targets": np.ones(12)}, r"targets must be one an image, \(13,\)"),
        ({"discriminator": keras.Sequential()}, "discriminator must be a built keras.Model"),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_refused(path, change, message):
    names = ("discriminator", "optimizer", "real", "fake")
    given = dict(zip(names, setting(), strict=True))
    with pytest.raises(ValueError, match=f"discriminator_update: .*{message}|{message}"):
        ops.discriminator_update(**{**given, **change})
    assert int(given["optimizer"].iterations) == 0


@pytest.mark.parametrize(
    "scaled",
    [
        lambda: keras.optimizers.SGD(0.1, loss_scale_factor=1024.0),
        lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), 1024.0),
    ],
    ids=["factor", "dynamic"],
)
def test_loss_scales(scaled):
    results = []
    for optimizer in (lambda: keras.optimizers.SGD(0.1), scaled):
        model, optimizer, real, fake = setting(optimizer=optimizer)
        found = ops.discriminator_update(model, optimizer, real, fake)
        results.append([*model.get_weights(), found["gradient_norm"]])
    for a, b in zip(*results, strict=True):
        assert_close(a, b, "float32")


def test_in_a_graph_and_in_xla(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    model, optimizer, real, fake = setting()
    tf.function(lambda: ops.discriminator_update(model, optimizer, real, fake))()
    tf.function(
        lambda: ops.discriminator_update(model, optimizer, real, fake),
        autograph=False,
        jit_compile=True,
    )()
    assert int(optimizer.iterations) == 2


def test_loss_that_is_not_finite_in_xla():
    model, optimizer, real, fake = setting(optimizer=keras.optimizers.Adam)
    real[3, 1, 1] = np.nan
    optimizer.build(model.trainable_variables)
    before = gan.copies(gan.state([model], [optimizer]))
    step = tf.function(
        lambda: ops.discriminator_update(model, optimizer, real, fake),
        autograph=False,
        jit_compile=True,
    )
    assert np.isnan(step()["loss"])
    for a, b in zip(gan.state([model], [optimizer]), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_product_of_momenta_that_is_no_real_number(fused):
    model, optimizer, _, _ = setting(optimizer=keras.optimizers.Nadam)
    player = players.Player("discriminator_update", model, optimizer)
    arguments = player.arguments("discriminator", 1, player.corruption_seeds(1))
    before = gan.state([model], [optimizer])
    values = gan.copies(before)
    count, images = tf.Variable(1, dtype="int64"), tf.zeros((3, 9))
    arguments["discriminator_u_products"] = [count.handle]
    with pytest.raises(tf.errors.InvalidArgumentError, match="u_product must be one real number"):
        native.load_ops().fastgen_discriminator_update(
            **arguments, real=images, fake=images, targets=tf.zeros([0])
        )
    for a, b in zip(values, before, strict=True):
        np.testing.assert_array_equal(a, b)
