"""fastgen.GAN: the steps of its `fit` against stock loops, whatever is frozen, and what it logs."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.ops import adversary
from fastgen.ops.gan_step import TELEMETRY
from tests.models.gans import (
    CODINGS,
    SHAPE,
    book_loop,
    book_networks,
    compiled,
    images,
    networks,
    noise_of,
    policy,
    weights,
)
from tests.tolerances import LOGGED, OPTIMIZER_FLOAT64

X = images()
BATCH = 8


def train_loop(generator, discriminator, batches, noise):
    """A step as users write it: all in training mode."""
    optimizers = [keras.optimizers.RMSprop() for _ in range(2)]
    bce = keras.losses.BinaryCrossentropy()
    for batch in batches:
        n = len(batch)
        labels = tf.concat([tf.ones((n, 1)), tf.zeros((n, 1))], 0)
        with tf.GradientTape() as tape:
            both = tf.concat([batch, generator(noise(n), training=True)], 0)
            loss = bce(labels, discriminator(both, training=True))
        gradients = tape.gradient(loss, discriminator.trainable_weights)
        optimizers[1].apply(gradients, discriminator.trainable_weights)
        with tf.GradientTape() as tape:
            fake = generator(noise(n), training=True)
            loss = bce(tf.ones((n, 1)), discriminator(fake, training=True))
        gradients = tape.gradient(loss, generator.trainable_weights)
        optimizers[0].apply(gradients, generator.trainable_weights)


@pytest.mark.parametrize(("batch_norm", "frozen"), [("train", True), ("book", False)])
def test_batch_normalization_runs_as_in_a_stock_loop(batch_norm, frozen):
    x = images(16, dtype="float64")
    batches = [x[:BATCH], x[BATCH:]] * 5
    with policy("float64"):
        nets = networks(batch_norm=True, dtype="float64")
        nets[1].trainable = not frozen
        gan = compiled(seed=5, nets=nets, batch_norm=batch_norm)
        gan.fit(x, batch_size=BATCH, epochs=5, shuffle=False, verbose=0)
        noise = noise_of(5, "float64")
        if batch_norm == "train":
            stock = networks(batch_norm=True, dtype="float64")
            train_loop(*stock, batches, noise)
        else:
            book = book_networks(batch_norm=True, dtype="float64")
            book_loop(book, batches, noise)
            stock = book.layers
    for ours, theirs in zip(nets, stock, strict=True):
        for a, b in zip(ours.weights, theirs.weights, strict=True):
            np.testing.assert_allclose(a, b, rtol=0, atol=OPTIMIZER_FLOAT64, err_msg=a.path)


@pytest.mark.parametrize(
    ("backend", "arguments"),
    [("fused", {}), ("fused", {"n_critic": 2, "label_smoothing": 0.1}), ("composite", {})],
)
def test_fit_on_an_array_is_gan_step(monkeypatch, backend, arguments):
    monkeypatch.setenv("FASTGEN_BACKEND", backend)
    gan, other = compiled(seed=3, **arguments), compiled(seed=3, **arguments)
    logs = gan.fit(X[:20], batch_size=BATCH, shuffle=False, verbose=0).history
    n_critic, by_hand = arguments.get("n_critic", 1), []
    for step, rows in enumerate((range(8), range(8, 16), range(16, 20))):
        rows = np.tile(rows, (1, n_critic, 1))
        drawn = step * (n_critic + 1) + np.arange(n_critic + 1)
        seeds = np.stack([np.full_like(drawn, 3), drawn], 1)[None]
        smooth = 1 - arguments.get("label_smoothing", 0.0)
        targets = np.stack([np.full(rows.shape, smooth), np.zeros(rows.shape)], 2).astype("float32")
        nets = other.generator, other.discriminator
        by_hand.append(
            fastgen.ops.gan_step(*nets, *other.optimizers, X, rows, seeds, targets=targets)
        )
    np.testing.assert_allclose(weights(gan), weights(other), rtol=LOGGED, atol=LOGGED)
    for name in TELEMETRY:
        mean = np.average([float(x[name][0]) for x in by_hand], weights=[8, 8, 4])
        np.testing.assert_allclose(logs[name], [mean], rtol=LOGGED)


def toggled(gan, when, x):
    """The weights after two epochs, with everything frozen or thawed at some time."""
    changes = {
        "never": (),
        "before": [(0, gan.discriminator, False), (0, gan.generator, False)],
        "between": [(1, gan.discriminator, False), (1, gan.generator.layers[0], False)],
        "whole": [(0, gan, False), (1, gan, True)],
    }[when]
    for epoch in range(2):
        for at, layer, value in changes:
            if at == epoch:
                layer.trainable = value
        gan.fit(x, batch_size=BATCH, verbose=0)
    return weights(gan)


@pytest.mark.parametrize(
    ("when", "nets"),
    [
        ("before", {}),
        ("between", {}),
        ("whole", {}),
        pytest.param("before", {"batch_norm": True, "dropout": 0.5}, marks=pytest.mark.slow),
    ],
)
def test_what_is_trainable_changes_nothing(when, nets):
    found = [toggled(compiled(nets=networks(**nets)), how, X) for how in ("never", when)]
    np.testing.assert_array_equal(*found)


def test_frozen_before_compile_too():
    nets = networks()
    nets[1].trainable = False
    gan, other = compiled(nets=nets), compiled()
    for model in (gan, other):
        model.fit(X, verbose=0)
    np.testing.assert_array_equal(weights(gan), weights(other))


def test_each_phase_moves_its_own_network():
    gan = compiled(generator_optimizer=keras.optimizers.SGD(0.0), discriminator_optimizer="sgd")
    before = [model.get_weights() for model in (gan.generator, gan.discriminator)]
    gan.fit(X, verbose=0)
    after = [model.get_weights() for model in (gan.generator, gan.discriminator)]
    for a, b in zip(before[0], after[0], strict=True):
        np.testing.assert_array_equal(a, b)
    assert any((a != b).any() for a, b in zip(before[1], after[1], strict=True))


def test_summary_counts_every_weight_once():
    gan = compiled()
    gan.discriminator.trainable = False
    text = io.StringIO()
    gan.summary(print_fn=lambda line: text.write(line + "\n"))
    count = sum(model.count_params() for model in (gan.generator, gan.discriminator))
    assert f"Trainable params: {count} " in text.getvalue()
    assert "Non-trainable params: 0 " in text.getvalue()
    assert gan.count_params() == count and gan.layers == [gan.generator, gan.discriminator]


def test_logs():
    history = compiled().fit(X, epochs=3, initial_epoch=1, verbose=0)
    assert history.epoch == [1, 2] and set(history.history) == set(TELEMETRY)
    some = compiled(metrics=["generator_loss", "pairwise_distance"]).fit(X, verbose=0)
    one = compiled(metrics="generator_loss").fit(X, verbose=0)
    assert [*one.history] == ["generator_loss"]
    losses = compiled(metrics=[]).fit(X, verbose=0)
    assert [*losses.history] == ["discriminator_loss", "generator_loss"]
    assert set(some.history) == {"generator_loss", "pairwise_distance"}


def test_progress_counts_steps(capsys):
    compiled().fit(X, batch_size=BATCH - 1, verbose=2)
    printed = capsys.readouterr().out
    assert "6/6" in printed and "generator_loss" in printed


def test_dataset_of_batches():
    batches = tf.data.Dataset.from_tensor_slices(X).batch(BATCH - 1)
    whole = compiled(n_critic=2), compiled(n_critic=2)
    logs = [
        whole[0].fit(X, batch_size=BATCH - 1, epochs=2, shuffle=False, verbose=0).history,
        whole[1].fit(batches, epochs=2, verbose=0).history,
    ]
    np.testing.assert_array_equal(*map(weights, whole))
    for name in TELEMETRY:
        np.testing.assert_allclose(logs[0][name], logs[1][name], rtol=LOGGED)


@pytest.mark.parametrize(
    "x", [images(20, dtype="float64"), tf.constant(X), X.tolist()], ids=["double", "tensor", "list"]
)
def test_other_arrays(x):
    logs = compiled().fit(x, verbose=0).history
    assert np.isfinite(logs["discriminator_loss"]).all()


def test_bytes_stand_for_255ths():
    x = np.random.default_rng(1).integers(0, 256, (20, *SHAPE), "uint8")
    found = []
    for these in (x, (x / 255).astype("float32")):
        gan = compiled()
        gan.fit(these, shuffle=False, verbose=0)
        found.append(weights(gan))
    np.testing.assert_allclose(*found, rtol=LOGGED, atol=LOGGED)


def test_eagerly():
    gan, other = compiled(run_eagerly=True), compiled()
    for model in (gan, other):
        model.fit(X, batch_size=20, verbose=0)
    np.testing.assert_array_equal(weights(gan), weights(other))


@pytest.mark.slow
def test_stock_steps_in_one_call():
    found = []
    for steps in (1, 3):
        gan = compiled(nets=networks(batch_norm=True, dropout=0.3), steps_per_execution=steps)
        gan.fit(X, batch_size=BATCH, verbose=0)
        found.append(weights(gan))
    np.testing.assert_allclose(*found, rtol=LOGGED, atol=LOGGED)


@pytest.mark.slow
def test_xla():
    gan, other = compiled(jit_compile=True), compiled()
    assert "XLA" in gan.why_stock()
    for model in (gan, other):
        logs = model.fit(X, batch_size=BATCH, verbose=0).history
        assert np.isfinite(logs["generator_loss"]).all()


def test_nothing_but_noise_and_weights_moves_on():
    gan = compiled(seed=11, n_critic=2)
    gan.fit(X, batch_size=BATCH - 1, epochs=2, verbose=0)
    np.testing.assert_array_equal(gan.noise.state, [11, 2 * 6 * 3])
    assert [int(x.iterations) for x in gan.optimizers] == [12, 24]


def test_generate_and_predict():
    gan = compiled()
    made = gan.generate(5, seed=1)
    assert made.shape == (5, *SHAPE) and made.dtype == "float32"
    np.testing.assert_array_equal(made, gan.generate(5, seed=1))
    assert (made != gan.generate(5, seed=2)).any() and (gan.generate(2) != gan.generate(2)).any()
    codings = np.ones((2, CODINGS), "float32")
    np.testing.assert_allclose(gan.predict(codings, verbose=0), gan.generator(codings), rtol=LOGGED)


def test_doctor_says_which_layer_decides(capsys):
    rows = fastgen.doctor(compiled())
    assert [(row["op"], row["path"], row["why"]) for row in rows] == [
        ("gan_step", "fused", "kernel")
    ]
    rows = fastgen.doctor(compiled(nets=networks(batch_norm=True, dropout=0.5)))
    assert rows[0]["path"] == "composite" and len(rows) > 5
    assert "BatchNormalization" in rows[0]["why"]
    assert "XLA" in fastgen.doctor(compiled(jit_compile=True))[0]["why"]


@pytest.mark.parametrize("nets", [{}, {"batch_norm": True}])
def test_doctor_of_the_books_gan(nets, capsys):
    gan = book_networks(**nets)
    step, *parts = fastgen.doctor(gan)
    assert (step["part"], step["op"]) == ("step of train_gan", "gan_step") and parts
    assert not gan.optimizer.built and not gan.layers[1].optimizer.built
    assert step["path"] == ("composite" if nets else "fused")
    assert ("BatchNormalization" in step["why"]) == bool(nets)
    before = fastgen.stats().get("gan_step", {}).get(step["path"], 0)
    fastgen.train_gan(gan, X, BATCH, CODINGS, n_epochs=1, verbose=0)
    assert fastgen.stats()["gan_step"][step["path"]] > before


@pytest.mark.parametrize("which", ["discriminator", "gan"])
def test_doctor_of_two_models_that_are_no_gan(which, capsys):
    generator, discriminator = networks()
    model = keras.Sequential([generator, discriminator])
    {"discriminator": discriminator, "gan": model}[which].compile("sgd", "binary_crossentropy")
    assert "gan_step" not in {row["op"] for row in fastgen.doctor(model)}


def test_all_weights_are_trained():
    gan = compiled(nets=networks(batch_norm=True))
    gan.trainable = False
    own = [adversary.weights(model) for model in (gan.generator, gan.discriminator)]
    assert gan.trainable_variables == [*own[0], *own[1]] == gan.trainable_weights
    assert len(gan.non_trainable_weights) == 4
    assert {id(v) for v in gan.variables} == {
        id(v) for v in (*gan.trainable_variables, *gan.non_trainable_variables)
    }
