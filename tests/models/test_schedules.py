import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen.models import Cyclic, Schedule, Warmup
from tests.models.cases import own_model, small


def values(schedule, steps):
    return [float(schedule(step)) for step in steps]


def test_warm_up():
    assert values(Warmup(4), range(7)) == [0, 0.25, 0.5, 0.75, 1, 1, 1]
    assert values(Warmup(0.5, beta=3), (0, 1)) == [0, 3]


def test_cyclic():
    assert values(Cyclic(8, beta=2.0), range(10)) == [0, 0.5, 1, 1.5, 2, 2, 2, 2, 0, 0.5]
    assert values(Cyclic(4, ratio=1.0), range(5)) == [0, 0.25, 0.5, 0.75, 0]


@pytest.mark.parametrize("schedule", [Warmup(10), Cyclic(10)])
def test_steps_are_tensors_in_a_graph(schedule):
    traced = tf.function(schedule)
    for step in (0, 3, 25):
        result = traced(tf.constant(step, tf.int64))
        assert result.dtype == tf.float32 and result.shape == ()
        np.testing.assert_array_equal(result, schedule(step))


def test_cycles_stay_exact_after_many_steps():
    # float32 would round 2^25 + 1 to 2^25.
    assert values(Cyclic(2, ratio=1.0), (2**25, 2**25 + 1)) == [0, 0.5]


@pytest.mark.parametrize("schedule", [Warmup(10, beta=2.0), Cyclic(10, 0.25, 3.0)])
def test_serialization(schedule):
    serialized = keras.saving.serialize_keras_object(schedule)
    again = keras.saving.deserialize_keras_object(serialized)
    assert type(again) is type(schedule) and again.get_config() == schedule.get_config()
    assert serialized["registered_name"].startswith("fastgen>")


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (lambda bad: Warmup(bad), "Warmup: steps"),
        (lambda bad: Warmup(1, bad), "Warmup: beta"),
        (lambda bad: Cyclic(bad), "Cyclic: period"),
        (lambda bad: Cyclic(1, bad), "Cyclic: ratio"),
        (lambda bad: Schedule(bad), "Schedule: beta"),
        (lambda bad: small(beta=bad), "VariationalAutoencoder: beta"),
        (lambda bad: own_model(beta=bad), "VariationalAutoencoder: beta"),
    ],
)
@pytest.mark.parametrize("bad", [-1, "1", None, float("nan"), float("inf"), [1.0], True], ids=str)
def test_bad_arguments(make, name, bad):
    with pytest.raises(ValueError, match=rf"{name} must be .* Received: "):
        make(bad)


def test_other_bad_arguments():
    for make in (lambda: Warmup(0), lambda: Cyclic(2.5), lambda: Cyclic(4, ratio=1.5)):
        with pytest.raises(ValueError, match="Received"):
            make()
