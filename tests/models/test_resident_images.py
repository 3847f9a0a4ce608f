"""The rows that the steps of a GAN's `fit` on an array take, and in how many calls."""

import itertools
import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen.models import resident_images
from fastgen.models.resident_images import row_blocks
from tests.models import cases as autoencoders
from tests.models.gans import compiled, images, networks, weights

BATCH = 4


def steps(n, batch_size, n_critic=1, group=3, order=(1, 0), shuffle=True, passes=2):
    """The rows of each step of some passes."""
    blocks = row_blocks(n, batch_size, n_critic, group, order, shuffle, n_critic + 1)
    calls = math.ceil(math.ceil(n / batch_size) / group)
    found = [part.numpy() for block in itertools.islice(blocks, passes * calls) for part in block]
    return [step for part in found for step in part]


@pytest.mark.parametrize(("n", "batch_size"), [(12, 4), (14, 4), (3, 4), (4, 4), (25, 4)])
@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("group", [1, 3, 50])
def test_a_pass_has_every_image_once(n, batch_size, n_critic, group):
    found = steps(n, batch_size, n_critic, group)
    per_pass = -(-n // batch_size)
    assert len(found) == 2 * per_pass
    for i in range(2):
        one = found[i * per_pass : (i + 1) * per_pass]
        assert [step.shape[1] for step in one[:-1]] == [batch_size] * (per_pass - 1)
        for rows in np.concatenate(one, axis=1):
            np.testing.assert_array_equal(np.sort(rows), np.arange(n))


def test_the_group_changes_no_order():
    found = [steps(25, 4, 2, group) for group in (1, 2, 7, 50)]
    for other in found[1:]:
        for a, b in zip(found[0], other, strict=True):
            np.testing.assert_array_equal(a, b)


def test_every_order_differs():
    one, another = steps(40, 40, n_critic=2)
    orders = [*one, *another, *steps(40, 40, order=(2, 0), passes=1)[0]]
    assert len({tuple(order) for order in orders}) == 5
    # As many draws later, the next pass: 1 step of 2 phases.
    np.testing.assert_array_equal(steps(40, 40)[1], steps(40, 40, order=(1, 2))[0])


def test_without_shuffling():
    for step, rows in zip(
        steps(10, 4, 2, shuffle=False), [(0, 4), (4, 8), (8, 10)] * 2, strict=True
    ):
        np.testing.assert_array_equal(step, [range(*rows)] * 2)


class Batches(keras.callbacks.Callback):
    """Notes steps."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(batch)
        assert np.isfinite(float(logs["generator_loss"]))


class Calls:
    """How many steps each call ran."""

    def __init__(self, gan):
        self.gan, self.sizes, self.rows = gan, [], []
        self.own = gan._resident._function
        gan._resident._function = self.look

    def look(self, images, parts):
        self.sizes += [len(rows) for rows in parts]
        self.rows += [rows.numpy() for rows in parts]
        return self.own(images, parts)


def test_steps_in_a_call(monkeypatch):
    monkeypatch.setattr(resident_images, "IMAGES", 3 * BATCH)
    calls = Calls(compiled())
    calls.gan.fit(images(5 * BATCH + 1), batch_size=BATCH, epochs=2, verbose=0)
    assert calls.sizes == [3, 2, 1] * 2  # the last on one image
    calls = Calls(compiled())
    calls.gan.fit(images(2 * BATCH), batch_size=BATCH, verbose=0)
    assert calls.sizes == [2]


def test_the_same_bits_as_step_by_step():
    found = []
    for arguments in ({}, {"steps_per_execution": 1}, {"steps_per_execution": 4}):
        gan = compiled(**arguments)
        gan.fit(images(30), batch_size=BATCH, epochs=2, verbose=0)
        found.append(weights(gan))
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_who_looks_at_batches_sees_each():
    gan, seen, other = compiled(), Batches(), compiled()
    gan.fit(images(22), batch_size=BATCH, verbose=0, callbacks=[seen])
    other.fit(images(22), batch_size=BATCH, verbose=0)
    assert seen.steps == [0, 1, 2, 3, 4, 5] and gan.steps_per_execution == 1
    np.testing.assert_array_equal(weights(gan), weights(other))


def test_steps_of_stock_operations_come_one_by_one():
    calls = Calls(compiled(nets=networks(batch_norm=True)))
    calls.gan.fit(images(12), batch_size=BATCH, verbose=0)
    assert calls.sizes == [1, 1, 1]


def test_steps_per_epoch_goes_through_the_images():
    calls, whole = Calls(compiled()), Calls(compiled())
    for _ in range(2):  # 3 epochs of 4 steps: 2 passes of 6
        calls.gan.fit(images(22), batch_size=BATCH, steps_per_epoch=4, epochs=2, verbose=0)
    calls.gan.fit(images(22), batch_size=BATCH, steps_per_epoch=4, epochs=2, verbose=0)
    whole.gan.fit(images(22), batch_size=BATCH, epochs=4, verbose=0)
    assert calls.sizes[:6] == [2, 2, 1, 1, 2, 2]  # a pass has 6 steps, the last on two images
    found, expected = ([step for block in x.rows for step in block] for x in (calls, whole))
    assert len(found) == 24 == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(("epoch", "expected"), [(4, [2, 2]), (6, [2, 2, 2]), (3, [1] * 3)])
def test_steps_per_epoch_in_the_groups_that_were_compiled(epoch, expected):
    gan = compiled(steps_per_execution=2)
    calls = Calls(gan)
    gan.fit(images(8 * BATCH), batch_size=BATCH, steps_per_epoch=epoch, verbose=0)
    assert calls.sizes == expected


def test_auto_is_the_choice_of_fit():
    gan = compiled(steps_per_execution="auto")
    calls = Calls(gan)
    gan.fit(images(5 * BATCH), batch_size=BATCH, verbose=0)
    assert calls.sizes == [5] and "steps_per_execution" in gan.get_compile_config()


@pytest.mark.parametrize("name", ["batch_size", "steps_per_epoch"])
def test_numbers_of_images_and_steps(name):
    gan = compiled()
    gan.fit(images(12), verbose=0, **{name: np.int64(4)})
    for value in (-1, 0, 2.5, 4.0, True):
        with pytest.raises(ValueError, match=f"fit: {name} must be an integer ≥ 1. Received: "):
            gan.fit(images(12), verbose=0, **{name: value})


def test_no_warning_of_traces(caplog):
    tf.get_logger().propagate = True
    for n in range(7):
        compiled().fit(images(20 + n), batch_size=BATCH, verbose=0)
    assert "retracing" not in caplog.text


def test_steps_per_epoch_may_be_the_whole_epoch():
    calls = Calls(compiled())
    history = calls.gan.fit(images(22), batch_size=BATCH, steps_per_epoch=6, epochs=2, verbose=0)
    assert len(history.epoch) == 2 and calls.sizes == [5, 1] * 2


def test_another_fit_has_another_order():
    calls = Calls(compiled())
    for _ in range(2):
        calls.gan.fit(images(20), batch_size=20, verbose=0)
    assert (calls.rows[0] != calls.rows[1]).any()


def test_other_images_are_seen():
    """Nothing of the first images stays in what was traced for them."""
    gan, other = compiled(), compiled()
    gan.fit(images(20), shuffle=False, verbose=0)
    other.fit(images(20), shuffle=False, verbose=0)
    gan.fit(images(33, seed=1), shuffle=False, verbose=0)
    other.fit(images(33, seed=2), shuffle=False, verbose=0)
    assert (weights(gan) != weights(other)).any()


def test_what_comes_after_runs_as_before():
    gan = compiled()
    gan.fit(images(20), batch_size=BATCH, verbose=0)
    assert gan.steps_per_execution == 1 and gan.train_function is None


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({}, id="kernel"),
        pytest.param({"free_bits": 0.01}, id="stock", marks=pytest.mark.slow),
    ],
)
def test_a_training_that_goes_on_from_a_file_sees_the_same_images(arguments, tmp_path):
    """Validation draws noise, too, which moves the state that determines the order."""
    how = {"batch_size": BATCH, "validation_data": autoencoders.images(9), "verbose": 0}
    whole, broken = (autoencoders.compiled(**arguments) for _ in range(2))
    whole.fit(autoencoders.images(23), epochs=3, **how)
    broken.fit(autoencoders.images(23), epochs=1, **how)
    broken.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    assert bool(loaded.why_stock()) == bool(arguments)
    loaded.fit(autoencoders.images(23), epochs=3, initial_epoch=1, **how)
    for a, b in zip(whole.get_weights(), loaded.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)
