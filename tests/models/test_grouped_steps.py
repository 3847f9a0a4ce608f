"""`fit` on arrays runs steps in groups: the same training, and nobody who looks misses a step."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen.models.grouped_steps import STEPS, GroupedSteps
from tests.models import cases
from tests.models.cases import images

BATCH = 4
# A whole group and one cut short, with a smaller batch; fewer steps than a group.
SIZES = [(STEPS + 5) * BATCH - 1, 3 * BATCH]


def small(**arguments):
    """A model that no kernel takes."""
    return cases.small(free_bits=0.01, **arguments)


def compiled():
    vae = small()
    vae.compile("nadam")
    return vae


@pytest.fixture
def groups(monkeypatch):
    """How many steps a call had each time that `fit` ran in groups."""
    used, own = [], GroupedSteps.in_use

    def in_use(self, steps=STEPS, **functions):
        used.extend([steps] * (steps > 1))
        return own(self, steps, **functions)

    monkeypatch.setattr(GroupedSteps, "in_use", in_use)
    return used


class Epochs(keras.callbacks.Callback):
    """Looks at epochs only."""

    def on_epoch_end(self, epoch, logs=None):
        pass


class Batches(keras.callbacks.Callback):
    """Counts steps."""

    def __init__(self):
        super().__init__()
        self.steps = []

    def on_train_batch_end(self, batch, logs=None):
        self.steps.append(batch)


@pytest.mark.parametrize("n", SIZES)
def test_the_same_bits_as_step_by_step(groups, n):
    x = images(n)
    models, logs = [], []
    for steps in ({}, {"steps_per_execution": 1}):
        keras.utils.set_random_seed(3)  # of the order
        models.append(small())
        models[-1].compile("nadam", **steps)
        how = {"batch_size": BATCH, "epochs": 3, "validation_data": images(9), "verbose": 0}
        logs.append(models[-1].fit(x, callbacks=[Epochs()], **how).history)
    assert len(groups) == 1
    assert logs[0] == logs[1]
    assert models[0].optimizer.iterations == 3 * -(-n // BATCH)
    for a, b in zip(models[0].get_weights(), models[1].get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_who_looks_at_batches_sees_each(groups):
    vae, seen = compiled(), Batches()
    vae.fit(images(20), batch_size=BATCH, verbose=0, callbacks=[seen])
    assert seen.steps == [0, 1, 2, 3, 4] and not groups


def test_hooks_of_an_instance_count(groups):
    vae, steps = compiled(), []
    look = keras.callbacks.LambdaCallback(
        on_train_batch_end=lambda batch, logs: steps.append(batch)
    )
    vae.fit(images(20), batch_size=BATCH, verbose=0, callbacks=[look])
    assert steps == [0, 1, 2, 3, 4] and not groups


@pytest.mark.parametrize("saver", ["ModelCheckpoint", "BackupAndRestore"])
def test_what_saves_by_epoch_sees_no_batch(groups, saver, tmp_path):
    for save_freq in ("epoch", 2):
        path = tmp_path / ("model.keras" if saver == "ModelCheckpoint" else "backup")
        saves = getattr(keras.callbacks, saver)(path, save_freq=save_freq)
        compiled().fit(images(20), batch_size=BATCH, verbose=0, callbacks=[saves])
    assert len(groups) == 1


def test_what_saves_in_ways_of_its_own_sees_batches(groups, tmp_path):
    own = type("Own", (keras.callbacks.ModelCheckpoint,), {})(tmp_path / "own.keras")
    compiled().fit(images(20), batch_size=BATCH, verbose=0, callbacks=[own])
    assert not groups


class Predicts(keras.callbacks.Callback):
    """Predicts after each epoch."""

    def on_epoch_end(self, epoch, logs=None):
        self.shape = self.model.predict(images(50), batch_size=BATCH, verbose=0).shape


def test_a_callback_may_predict(groups):
    vae, predicts = compiled(), Predicts()
    vae.predict(images(8), verbose=0)
    vae.fit(images(20), batch_size=BATCH, verbose=0, callbacks=[predicts])
    assert groups and predicts.shape[0] == 50
    assert vae.predict(images(50), batch_size=BATCH, verbose=0).shape[0] == 50


def test_a_model_made_to_trace_again_does(groups):
    vae = small(beta=0.0)
    vae.compile("sgd")
    vae.fit(images(8), verbose=0)
    vae.beta = 1.0
    vae.make_train_function(force=True)
    logs = vae.fit(images(8), batch_size=BATCH, verbose=0).history
    assert groups == [2] and logs["loss"][0] > logs["reconstruction_loss"][0]


@pytest.mark.parametrize(
    ("arguments", "expected"), [({"steps_per_execution": 3}, [3]), ({"run_eagerly": True}, [])]
)
def test_what_compile_says_holds(groups, arguments, expected):
    vae = small()
    vae.compile("nadam", **arguments)
    vae.fit(images(16), batch_size=BATCH, verbose=0)
    assert groups == expected and vae.steps_per_execution == arguments.get("steps_per_execution", 1)


def test_datasets_and_numbers_of_steps_are_left_to_keras(groups):
    vae = compiled()
    endless = tf.data.Dataset.from_tensors(images(BATCH)).repeat()
    vae.fit(endless, steps_per_epoch=3, verbose=0)
    vae.fit(images(40), batch_size=BATCH, steps_per_epoch=3, verbose=0)
    vae.fit(images(8), validation_data=(endless,), validation_steps=3, verbose=0)
    assert not groups
    assert vae.optimizer.iterations == 3 + 3 + 1


def test_what_comes_after_runs_as_before():
    vae, seen = compiled(), Batches()
    for _ in range(2):
        vae.fit(images(20), batch_size=BATCH, verbose=0)
        vae.fit(images(20), batch_size=BATCH, verbose=0, callbacks=[seen])
    assert vae.steps_per_execution == 1
    assert len(seen.steps) == 10 and vae.optimizer.iterations == 20


def test_a_loaded_model_runs_in_groups_too(groups, tmp_path):
    vae = compiled()
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    loaded.fit(images(8), batch_size=BATCH, verbose=0)
    assert groups
