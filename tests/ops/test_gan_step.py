"""The op: parity with the book's loop in stock Keras, both paths alike, what it leaves alone."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import ops
from fastgen.ops import players
from tests.ops import gan
from tests.tolerances import (
    FIRST_OPTIMIZER_STEP,
    OPTIMIZER_FLOAT64,
    OPTIMIZER_STEP,
    TOLERANCES,
)

STEPS, BATCH = 100, 32
KINDS = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam}


def twins(make, dtype):
    """Ours and the reference, alike: (models, optimizers) each."""
    made = []
    for _ in range(2):
        models, optimizers = gan.book(dtype), gan.optimizers(make)
        for model, optimizer in zip(models, optimizers, strict=True):
            optimizer.build(model.trainable_variables)
        made.append((models, optimizers))
    return made


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_from_the_state_of_keras(fused, kind):
    """Parity (a): teacher-forced, float32."""
    (models, optimizers), (theirs, their_optimizers) = twins(KINDS[kind], "float32")
    mine, stock = gan.state(models, optimizers), gan.state(theirs, their_optimizers)
    weights = len(models[0].weights) + len(models[1].weights)
    images = tf.constant(gan.digits())
    reference = gan.stock_step(*theirs, *their_optimizers)

    @tf.function(autograph=False)
    def step(rows, seeds):
        for a, b in zip(mine, stock, strict=True):
            a.assign(b)
        ops.gan_step(*models, *optimizers, images, rows[None, None], seeds[None])
        reference(tf.gather(images, rows), seeds)
        gaps = [
            tf.reduce_max(tf.abs(a - b) / (1 + tf.abs(b)))
            for a, b in zip(mine[:weights], stock[:weights], strict=True)
        ]
        return tf.reduce_max(gaps)

    rows, seeds = gan.feed(STEPS, images, batch=BATCH, key=1)
    before = gan.copies(stock[:weights])
    gaps = [step(*map(tf.constant, x)).numpy() for x in zip(rows[:, 0], seeds, strict=True)]
    first = OPTIMIZER_STEP if kind == "rmsprop" else FIRST_OPTIMIZER_STEP
    # Where a sum is 0 but for rounding, the two may stand on either side of selu's kink, a slope of
    # 1.05 or of 1.76: a step in a hundred or so, here none, on another CPU perhaps.
    assert gaps[0] <= first and np.sort(gaps[1:])[-3] <= OPTIMIZER_STEP
    assert max(gaps) <= FIRST_OPTIMIZER_STEP
    assert max(gaps) > 0  # two computations, not one
    for a, b in zip(before, stock, strict=False):
        assert np.all(np.any(a != b))


@pytest.mark.parametrize("kind", KINDS)
def test_float64_on_its_own(fused, kind):
    """Parity (b)."""
    (models, optimizers), (theirs, their_optimizers) = twins(KINDS[kind], "float64")
    images = tf.constant(gan.digits(), tf.float64)
    reference = tf.function(gan.stock_step(*theirs, *their_optimizers), autograph=False)
    rows, seeds = gan.feed(STEPS, images, batch=BATCH)
    telemetry = ops.gan_step(*models, *optimizers, images, rows, seeds)
    for i in range(STEPS):
        losses = reference(tf.gather(images, rows[i, 0]), tf.constant(seeds[i]))
    for name, loss in zip(("discriminator_loss", "generator_loss"), losses, strict=True):
        np.testing.assert_allclose(telemetry[name][-1], loss, rtol=TOLERANCES["float32"][0])
    mine, stock = gan.state(models, optimizers), gan.state(theirs, their_optimizers)
    for a, b in zip(mine, stock, strict=True):
        np.testing.assert_allclose(a, b, rtol=OPTIMIZER_FLOAT64, atol=OPTIMIZER_FLOAT64)
    assert [int(o.iterations) for o in optimizers] == [STEPS, STEPS]


def adamw():
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


def decaying(cls, **more):
    schedule = keras.optimizers.schedules.ExponentialDecay(0.02, 2, 0.5)
    return cls(schedule, **more)


ours = fastgen.optimizers
OPTIMIZERS = {
    "sgd": keras.optimizers.SGD,
    "nesterov": lambda: keras.optimizers.SGD(0.1, momentum=0.9, nesterov=True),
    "centered": lambda: keras.optimizers.RMSprop(centered=True, momentum=0.5),
    "amsgrad": lambda: ours.Adam(0.01, amsgrad=True),
    "nadam": lambda: decaying(keras.optimizers.Nadam),
    "our_nadam": ours.Nadam,
    "adamw": adamw,
    "value": lambda: keras.optimizers.SGD(0.5, clipvalue=0.01),
    "norm": lambda: ours.RMSprop(0.01, clipnorm=0.02),
    "global_norm": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.03),
    "decay": lambda: keras.optimizers.SGD(0.1, momentum=0.9, weight_decay=0.2),
}


def trained(backend, make, monkeypatch, steps=3, **more):
    """What a few steps of the small GAN come to: the telemetry and all variables."""
    monkeypatch.setenv("FASTGEN_BACKEND", backend)
    models, optimizers = gan.small(), gan.optimizers(make)
    images = gan.images_of(models)
    arguments = gan.feed(steps, images, more.pop("n_critic", 1))
    telemetry = ops.gan_step(*models, *optimizers, images, *arguments, **more)
    return [*telemetry.values()], gan.copies(gan.state(models, optimizers))


def assert_same(one, other):
    for a, b in zip(one[0], other[0], strict=True):
        np.testing.assert_allclose(a, b, rtol=TOLERANCES["float32"][0], atol=1e-7)
    for a, b in zip(one[1], other[1], strict=True):
        np.testing.assert_allclose(a, b, rtol=OPTIMIZER_FLOAT64, atol=OPTIMIZER_FLOAT64)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_both_paths_are_alike(name, monkeypatch):
    one, other = (
        trained(backend, OPTIMIZERS[name], monkeypatch) for backend in ("fused", "composite")
    )
    assert_same(one, other)


def test_targets_and_critics(monkeypatch):
    targets = np.random.default_rng(4).random((3, 2, 2, 8))
    one, other, plain = (
        trained(backend, keras.optimizers.Adam, monkeypatch, n_critic=2, targets=given)
        for backend, given in [("fused", targets), ("composite", targets), ("fused", None)]
    )
    assert_same(one, other)
    assert not np.allclose(one[0][0], plain[0][0])
    default = np.broadcast_to([[[[1.0]], [[0.0]]]], (3, 2, 2, 8)).reshape(3, 2, 2, 8)
    default = np.stack([np.ones((3, 2, 8)), np.zeros((3, 2, 8))], axis=2)
    given = trained("fused", keras.optimizers.Adam, monkeypatch, n_critic=2, targets=default)
    for a, b in zip(given[0] + given[1], plain[0] + plain[1], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("cls", ["SGD", "Nadam"])
def test_k_steps_in_one_call_are_k_calls(path, cls, n_critic):
    make = getattr(keras.optimizers, cls)
    results = []
    for calls in (1, 4):
        models = gan.small("float32")
        optimizers = gan.optimizers(lambda: decaying(make))
        images = gan.images_of(models)
        rows, seeds = gan.feed(4, images, n_critic)
        for part in np.split(np.arange(4), calls):
            ops.gan_step(*models, *optimizers, images, rows[part], seeds[part])
        assert [int(o.iterations) for o in optimizers] == [4, 4 * n_critic]
        results.append(gan.copies(gan.state(models, optimizers)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bytes_are_255ths(path):
    results = []
    for scale in (False, True):
        models, optimizers = gan.small("float32"), gan.optimizers(keras.optimizers.RMSprop)
        images = np.random.default_rng(0).integers(0, 256, (40, 3, 3)).astype("uint8")
        given = images / np.float32(255) if scale else images
        ops.gan_step(*models, *optimizers, given, *gan.feed(2, images))
        results.append(gan.copies(gan.state(models, optimizers)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_each_phase_moves_its_network(path):
    def run(generator_rate, discriminator_rate):
        models = gan.small("float32")
        optimizers = [keras.optimizers.SGD(x) for x in (generator_rate, discriminator_rate)]
        before = [m.get_weights() for m in models]
        images = gan.images_of(models)
        ops.gan_step(*models, *optimizers, images, *gan.feed(1, images))
        moved = [
            [np.any(a != b) for a, b in zip(m.get_weights(), w, strict=True)]
            for m, w in zip(models, before, strict=True)
        ]
        return moved, [m.get_weights() for m in models]

    (generator, discriminator), after = run(0.0, 0.5)
    assert not any(generator) and all(discriminator)
    (generator, discriminator), _ = run(0.5, 0.0)
    assert all(generator) and not any(discriminator)
    _, both = run(0.5, 0.5)
    for a, b in zip(after[1], both[1], strict=True):  # phase 2 leaves what phase 1 has made
        np.testing.assert_array_equal(a, b)


def freeze_networks(models):
    for model in models:
        model.trainable = False


def freeze_a_layer(models):
    models[1].layers[-1].trainable = models[0].layers[0].trainable = False


def freeze_discriminator(models):
    models[1].trainable = False


def test_trainable_changes_nothing(path):
    def trained(freeze=None, moment=None):
        models, optimizers = gan.small("float32"), gan.optimizers(keras.optimizers.Adam)
        images = gan.images_of(models)
        arguments = [tf.constant(x) for x in gan.feed(2, images)]
        if moment == "before":
            freeze(models)
        step = tf.function(lambda *x: ops.gan_step(*models, *optimizers, images, *x))
        step(*arguments)
        if moment == "after":
            freeze(models)
        step(*arguments)
        return gan.copies(gan.state(models, optimizers))

    expected, freezes = trained(), [freeze_networks, freeze_a_layer, freeze_discriminator]
    for freeze in freezes if path == "fused" else freezes[:1]:
        for moment in ("before", "after"):
            for a, b in zip(trained(freeze, moment), expected, strict=True):
                np.testing.assert_array_equal(a, b)


def test_loss_of_the_discriminator_that_is_not_finite(path):
    results = []
    for rows_of_nan in (False, True):
        models, optimizers = gan.small("float32"), gan.optimizers(keras.optimizers.Nadam)
        images = gan.images_of(models)
        rows, seeds = gan.feed(3, images)
        rows[rows == 7] = 8
        if rows_of_nan:
            images[7], rows[1, 0, 3] = np.nan, 7
            message = "gan_step: the loss of the discriminator is not finite in step 1 of 3"
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                ops.gan_step(*models, *optimizers, images, rows, seeds)
        else:
            ops.gan_step(*models, *optimizers, images, rows[:1], seeds[:1])
        assert [int(o.iterations) for o in optimizers] == [1, 1]
        results.append(gan.copies(gan.state(models, optimizers)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("graph", [False, True])
def test_loss_of_the_generator_that_is_not_finite(path, graph):
    models = gan.small("float32")
    optimizers = keras.optimizers.SGD(0.1), keras.optimizers.SGD(3e38)  # no weight survives it
    before, images = models[0].get_weights(), gan.images_of(models)
    step = tf.function(ops.gan_step) if graph else ops.gan_step
    message = "the loss of the generator is not finite in step 0 of 2"
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        step(*models, *optimizers, images, *gan.feed(2, images))
    assert [int(o.iterations) for o in optimizers] == [0, 1]
    for a, b in zip(models[0].get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_steps(path):
    models, optimizers = gan.small("float32"), gan.optimizers(keras.optimizers.SGD)
    images = gan.images_of(models)
    telemetry = ops.gan_step(*models, *optimizers, images, *gan.feed(0, images))
    assert {x.shape for x in telemetry.values()} == {(0,)}


def path_of(function):
    """The paths that `gan_step` takes in a call."""
    before = fastgen.stats().get("gan_step", {})
    function()
    return {p for p, n in fastgen.stats()["gan_step"].items() if n > before.get(p, 0)}


def step_of(models, optimizers):
    images = gan.images_of(models)
    arguments = [tf.constant(x) for x in gan.feed(2, images)]
    return lambda: ops.gan_step(*models, *optimizers, images, *arguments)


def test_xla_and_portable_take_the_composite(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    models, optimizers = gan.small("float32"), gan.optimizers(keras.optimizers.RMSprop)
    step = step_of(models, optimizers)
    assert path_of(step) == {"fused"}
    assert path_of(tf.function(step)) == {"fused"}
    assert path_of(tf.function(step, jit_compile=True, autograph=False)) == {"composite"}
    with fastgen.portable():
        graph = tf.function(step, autograph=False).get_concrete_function().graph
        assert path_of(step) == {"composite"}
    assert not any(op.type.startswith("FastgenGan") for op in graph.get_operations())
    assert [int(o.iterations) for o in optimizers] == [8, 8]
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")
    with pytest.raises(RuntimeError, match="gan_step: FASTGEN_BACKEND=fused.*XLA.*Received"):
        tf.function(step, jit_compile=True, autograph=False)()


def convolutional():
    layers = [keras.layers.Reshape((3, 3, 1)), keras.layers.Conv2D(2, 2), keras.layers.Flatten()]
    return keras.Sequential(
        [keras.Input((3, 3)), *layers, keras.layers.Dense(1, activation="sigmoid")]
    )


def test_a_convolutional_discriminator(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    models = gan.small("float32")[0], convolutional()
    before = [m.get_weights() for m in models]
    step = step_of(models, gan.optimizers(keras.optimizers.RMSprop))
    assert path_of(step) == {"composite"}
    for model, weights in zip(models, before, strict=True):
        assert all(np.any(a != b) for a, b in zip(model.get_weights(), weights, strict=True))
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")
    message = r"gan_step: FASTGEN_BACKEND=fused asks for the kernel, .*'conv2d.*' \(Conv2D\)"
    with pytest.raises(RuntimeError, match=message):
        step()


def test_one_optimizer_for_both(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    models = gan.small("float32")
    variables = [v for m in models for v in m.trainable_variables]
    optimizer = gan.built(keras.optimizers.SGD(), variables)
    assert path_of(step_of(models, [optimizer, optimizer])) == {"composite"}
    assert int(optimizer.iterations) == 4


def test_networks_of_two_dtypes(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    models = gan.small("float32")[0], gan.small("float64")[1]
    optimizers = gan.optimizers(keras.optimizers.RMSprop)
    assert path_of(step_of(models, optimizers)) == {"composite"}
    assert [int(o.iterations) for o in optimizers] == [2, 2]
    why = players.why_not("gan_step", *zip(models, optimizers, strict=True))
    assert why == "generator and discriminator have weights of float32 and float64"


def test_a_tape_around_sees_nothing(path):
    models, optimizers = gan.small("float32"), gan.optimizers(keras.optimizers.SGD)
    step = step_of(models, optimizers)
    with tf.GradientTape() as tape:
        total = tf.add_n([tf.reduce_sum(x) for x in step().values()])
    values = gan.state(models, ())
    assert tape.gradient(total, values) == [None] * len(values)


def test_what_was_read_before_stays(fused):
    models, optimizers = gan.small("float32"), gan.optimizers(keras.optimizers.SGD)
    step = step_of(models, optimizers)
    step()
    values = gan.state(models, optimizers)
    read = [v.read_value() for v in values]
    kept = [x.numpy().copy() for x in read]
    step()
    for x, value, v in zip(read, kept, values, strict=True):
        np.testing.assert_array_equal(x, value)
        assert np.any(v.numpy() != value) or (v.shape == [] and "rate" in v.name)


def test_telemetry_by_hand(path):
    """Of one step, against NumPy on what the networks return."""
    models, optimizers = gan.small(), gan.optimizers(keras.optimizers.SGD)
    images = gan.images_of(models)
    rows, seeds = gan.feed(1, images)
    z = tf.random.stateless_normal((8, 2), seeds[0, 0], dtype="float64")
    fake, real = models[0](z), images[rows[0, 0]]
    p = [models[1](x).numpy().ravel() for x in (real, fake)]
    step = ops.gan_step(*models, *optimizers, images, rows, seeds)
    pairs = itertools.permutations(fake.numpy().reshape(8, -1), 2)
    expected = {
        "discriminator_loss": -np.mean(np.log([p[0], 1 - p[1]])),
        "real_accuracy": np.mean(p[0] > 0.5),
        "fake_accuracy": np.mean(p[1] <= 0.5),
        "real_probability": np.mean(p[0]),
        "fake_probability": np.mean(p[1]),
        "pairwise_distance": np.sqrt(np.mean([np.sum((a - b) ** 2) for a, b in pairs])),
    }
    for name, value in expected.items():
        np.testing.assert_allclose(step[name], [value], rtol=TOLERANCES["float32"][0])
