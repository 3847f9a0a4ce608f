"""`fit` whose epochs nobody looks at runs many in a call: the same bits and the same History."""

import keras
import numpy as np
import pytest

from fastgen.models import Warmup, unwatched_epochs
from tests.models.cases import images
from tests.models.test_kernel_fit import plain, variational

MODELS = {
    "vae": variational,
    "warmup": lambda: variational(beta=Warmup(9, beta=3.0)),
    "plain": lambda: plain(optimizer=keras.optimizers.Nadam()),
}


@pytest.fixture
def calls(monkeypatch):
    """How many epochs each call ran."""
    found, own = [], unwatched_epochs.UnwatchedEpochs._function

    def look(self, data, rows):
        found.append(len(rows[0]))
        return own(self, data, rows)

    monkeypatch.setattr(unwatched_epochs.UnwatchedEpochs, "_function", look)
    return found


@pytest.mark.parametrize(
    ("name", "n", "shuffle"),
    [
        *(("vae", *how) for how in ((16, True), (20, True), (20, False), (5, True))),
        ("warmup", 20, True),
        ("plain", 20, True),
        ("plain", 5, True),
    ],
)
def test_same_bits_as_epoch_by_epoch(calls, name, n, shuffle):
    results = []
    for callbacks in ([], [keras.callbacks.Callback()]):
        model = MODELS[name]()
        how = {"batch_size": 8, "shuffle": shuffle, "verbose": 0, "callbacks": callbacks}
        logs = []
        for first, last in ((0, 20), (20, 21), (3, 30)):
            history = model.fit(images(n), epochs=last, initial_epoch=first, **how)
            assert history is model.history
            logs.append((history.epoch, history.history))
        results.append((logs, [v.numpy() for v in model.variables + model.optimizer.variables]))
    assert sum(calls) == 20 + 1 + 27 and max(calls) == min(27, 50 // -(-n // 8))
    (a, mine), (b, theirs) = results
    assert a == b and [list(x[1]) for x in a] == [list(x[1]) for x in b]
    for x, y in zip(mine, theirs, strict=True):
        np.testing.assert_array_equal(x, y)


@pytest.mark.parametrize(
    ("how", "compiled"),
    [
        ({"verbose": 2}, {}),
        ({"validation_split": 0.5}, {}),
        ({"callbacks": [keras.callbacks.TerminateOnNaN()]}, {}),
        ({"batch_size": 1}, {}),  # 26 steps: a call has not two epochs of them
        ({"x": images(801), "batch_size": 801}, {}),  # nor 1,602 images
        ({}, {"steps_per_execution": 2}),
    ],
    ids=["verbose", "validation", "callback", "steps", "images", "steps_per_execution"],
)
def test_somebody_looks(calls, how, compiled):
    plain(**compiled).fit(**{"x": images(26), "epochs": 2, "verbose": 0, **how})
    assert not calls


def test_a_call_has_no_more_images_than_elsewhere(calls):
    plain().fit(images(500), batch_size=100, epochs=7, verbose=0)
    assert calls == [3, 3, 1]  # of 10 that have 50 steps: 1,600 images at most


def test_traced_once_for_a_shape():
    model = plain()
    for _ in range(2):
        model.fit(images(20), epochs=3, verbose=0)
    assert len(model._steps.unwatched.traced) == 1
    model.make_train_function(force=True)
    assert not model._steps.unwatched.traced
