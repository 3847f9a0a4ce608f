"""Optimizers in checkpoints and files, ours and Keras' for each other."""

import copy
import doctest
import pickle

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from tests.optimizers.cases import CLASSES, SMALL, drawn, gradients, pair, state
from tests.tolerances import SAME_FORMULA

optimizers = pytest.mark.parametrize("cls", CLASSES)
PACKAGES = {"ours": fastgen.optimizers, "keras": keras.optimizers}
both_ways = pytest.mark.parametrize("source", PACKAGES)


def trained(package, cls):
    """A compiled model whose optimizer has made two steps."""
    keras.utils.set_random_seed(1)
    model = keras.Sequential([keras.Input([4]), keras.layers.Dense(3)])
    model.compile(getattr(package, cls)(0.01), "mse")
    for step in range(2):
        model.optimizer.apply(gradients([(4, 3), (3,)], step), model.trainable_variables)
    return model


def assert_same(a, b):
    for x, y in zip(a, b, strict=True):
        np.testing.assert_array_equal(x, y)


@optimizers
@both_ways
def test_a_keras_file(cls, source, tmp_path):
    """A file of ours loads as ours; of Keras, as Keras'; the state is the same in either."""
    model = trained(PACKAGES[source], cls)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is getattr(PACKAGES[source], cls)
    assert_same(loaded.optimizer.variables, model.optimizer.variables)
    assert loaded.optimizer.get_config() == model.optimizer.get_config()


@optimizers
def test_a_file_of_ours_without_fastgen(cls, tmp_path, monkeypatch):
    model = trained(fastgen.optimizers, cls)
    model.save(tmp_path / "model.keras")
    monkeypatch.delitem(keras.saving.get_custom_objects(), cls)
    loaded = keras.models.load_model(tmp_path / "model.keras")
    assert type(loaded.optimizer) is getattr(keras.optimizers, cls)
    assert_same(loaded.optimizer.variables, model.optimizer.variables)


@pytest.mark.slow
def test_a_new_process_loads_ours_after_importing_fastgen(tmp_path, run_python):
    trained(fastgen.optimizers, "Adam").save(tmp_path / "model.keras")
    code = "keras.models.load_model('model.keras').optimizer"
    start = f"import os; os.chdir({str(tmp_path)!r}); import keras"
    assert "fastgen" in run_python(f"{start}, fastgen; print(repr({code}))")
    assert "fastgen" not in run_python(f"{start}; print(repr({code}))")


@optimizers
@both_ways
def test_a_checkpoint(cls, source, tmp_path):
    made = [(trained(package, cls)) for package in PACKAGES.values()]
    model, other = made if source == "ours" else made[::-1]
    other.optimizer.iterations.assign(99)
    path = tf.train.Checkpoint(model=model, optimizer=model.optimizer).save(tmp_path / "state")
    status = tf.train.Checkpoint(model=other, optimizer=other.optimizer).restore(path)
    status.assert_consumed()
    assert_same(other.optimizer.variables, model.optimizer.variables)


@optimizers
def test_from_keras_takes_the_state_over(cls):
    stock = trained(keras.optimizers, cls).optimizer
    ours = fastgen.optimizers.from_keras(stock)
    assert type(ours) is getattr(fastgen.optimizers, cls)
    assert ours.get_config() == stock.get_config()
    assert_same(ours.variables, stock.variables)
    assert fastgen.optimizers.from_keras(ours) is ours


def test_from_keras_keeps_schedules_and_what_does_not_decay():
    schedule = keras.optimizers.schedules.CosineDecay(0.1, 10)
    (_, _), (_, theirs) = pair("adam", SMALL)
    stock = keras.optimizers.AdamW(schedule, weight_decay=0.5)
    stock.exclude_from_weight_decay(var_list=theirs[:1])
    ours = fastgen.optimizers.from_keras(stock)
    values = []
    for optimizer in (ours, stock):
        variables = [keras.Variable(v) for v in theirs]
        for old, new in zip(theirs, variables, strict=True):
            new.assign(old)
        optimizer.apply(gradients(SMALL, 0), theirs)
        values.append([v.numpy() for v in theirs])
        for old, new in zip(theirs, variables, strict=True):
            old.assign(new)
    for a, b in zip(*values, strict=True):
        np.testing.assert_allclose(a, b, rtol=SAME_FORMULA, atol=SAME_FORMULA)


@pytest.mark.parametrize("thing", ["adam", None, keras.optimizers.Adam], ids=str)
def test_from_keras_wants_an_optimizer(thing):
    message = "from_keras: optimizer must be .*fastgen.optimizers.get takes names.*Received: opt"
    with pytest.raises(TypeError, match=message):
        fastgen.optimizers.from_keras(thing)


def test_what_we_have_not_stays_stock():
    lion = keras.optimizers.Lion()
    assert fastgen.optimizers.from_keras(lion) is lion
    assert type(fastgen.optimizers.get("lion")) is keras.optimizers.Lion
    assert fastgen.optimizers.get(lion) is lion and fastgen.optimizers.get(None) is None
    adam = keras.optimizers.Adam()
    assert fastgen.optimizers.get(adam) is adam
    with pytest.raises(ValueError):
        fastgen.optimizers.get("no such optimizer")


@optimizers
def test_names_of_keras_mean_keras(cls):
    """Importing fastgen changes nothing for those who do not ask for it."""
    stock = getattr(keras.optimizers, cls)
    assert type(keras.optimizers.get(cls)) is stock
    assert type(keras.optimizers.get(cls.lower())) is stock
    assert type(keras.optimizers.deserialize(keras.optimizers.serialize(stock()))) is stock
    assert type(fastgen.optimizers.get(cls)) is getattr(fastgen.optimizers, cls)


@optimizers
def test_copies_and_pickles(cls):
    optimizer, variables = getattr(fastgen.optimizers, cls)(0.02), drawn(SMALL)
    assert type(pickle.loads(pickle.dumps(optimizer))) is type(optimizer)
    assert copy.deepcopy(optimizer).get_config() == optimizer.get_config()
    optimizer.apply(gradients(SMALL, 0), variables)
    assert len(state(optimizer, variables)) > len(SMALL)
    assert repr(optimizer).startswith(f"<fastgen.optimizers.{cls}")


PUBLIC = [getattr(fastgen.optimizers, name) for name in fastgen.optimizers.__all__]


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda x: x.__name__)
def test_example(thing):
    (test,) = doctest.DocTestFinder(recurse=False).find(thing, thing.__name__, globs={})
    assert test.examples
    assert not doctest.DocTestRunner().run(test).failed
