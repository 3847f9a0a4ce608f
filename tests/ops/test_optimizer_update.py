"""The op: variables in place, copies on write, what it refuses.

The rules are tested in tests/core and tests/optimizers.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from fastgen import core, native, ops

SHAPES = [(3, 4), (4,)]


def adam(shapes=SHAPES, **more):
    """Arguments of a step of Adam."""
    variables = [tf.Variable(tf.ones(s)) for s in shapes]
    return {
        "rule": "adam",
        "iterations": tf.Variable(0, dtype=tf.int64),
        "variables": variables,
        "gradients": [tf.fill(s, 0.5) for s in shapes],
        "slots": [[tf.Variable(tf.zeros(s)) for s in shapes] for _ in range(2)],
        "slot_places": (0, 1),
        "learning_rate": 0.25,
        "momentum": 0.9,
        "rho": 0.999,
        **more,
    }


def written(step):
    lists = [step["variables"], *step["slots"], [step["iterations"]]]
    return [v.numpy() for each in lists for v in each]


def test_same_bits_as_the_kernel(fused):
    step = adam()
    arrays = adam()
    for name in ("variables", "gradients"):
        arrays[name] = [x.numpy().copy() for x in arrays[name]]
    arrays["slots"] = [[x.numpy().copy() for x in kind] for kind in arrays["slots"]]
    for i in range(3):
        assert ops.optimizer_update(**step)
        assert core.optimizer_update(**{**arrays, "iterations": i})
        for a, b in zip(step["variables"], arrays["variables"], strict=True):
            np.testing.assert_array_equal(a.numpy(), b)
    assert step["iterations"].numpy() == 3


def test_what_was_read_before_stays(fused):
    step = adam()
    w = step["variables"][0]
    before = w.read_value()
    tf.gather(step["variables"][1], [0])  # from now on copied on reads
    kept = before.numpy().copy()
    assert ops.optimizer_update(**step)
    np.testing.assert_array_equal(before, kept)
    assert np.all(w.numpy() != kept) and np.all(step["variables"][1].numpy() != 1)


def test_steps_of_several_threads_are_whole(fused):
    """Variables are locked in one order: no step is lost, none waits for ever."""
    variables = [tf.Variable(tf.zeros([50])) for _ in range(4)]
    steps = tf.Variable(0, dtype=tf.int64)

    def run(order):
        for _ in range(40):
            ops.optimizer_update("sgd", steps, order, [-tf.ones([50])] * 4, [], 1.0)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(run, [variables, variables[::-1]] * 2))
    assert steps.numpy() == 160
    for v in variables:
        np.testing.assert_array_equal(v.numpy(), 160)


def raw(**change):
    """The raw op with arguments that the Python function would not let pass."""
    step = adam()
    inputs = {
        "iterations": step["iterations"].handle,
        "variables": [v.handle for v in step["variables"]],
        "slots": [v.handle for kind in step["slots"] for v in kind],
        "averages": [],
        "accumulators": [],
        "u_products": [],
        "gradients": step["gradients"],
        "learning_rate": tf.constant(0.1),
        "numbers": tf.zeros([7], tf.float64),
        "rule": "adam",
        "slot_places": [0, 1],
        "decayed": [True, True],
    }
    changed = {name: value(step) if callable(value) else value for name, value in change.items()}
    try:
        native.load_ops().fastgen_optimizer_update(**{**inputs, **changed})
    finally:
        for value in written(step)[:2]:
            np.testing.assert_array_equal(value, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"variables": lambda s: [s["variables"][0].handle] * 2}, "given twice"),
        ({"gradients": [tf.ones([4]), tf.ones([4])]}, "gradient 0 must have the shape"),
        ({"gradients": [tf.ones([3, 4]), tf.ones([4], tf.float64)]}, "gradient 1 must have"),
        ({"slots": lambda s: [v.handle for v in s["slots"][0]]}, "expected a slot of each kind"),
        ({"slot_places": [0, 3]}, "slot_places must be 0 to 2"),
        ({"decayed": [True]}, "a decayed for every gradient"),
        ({"numbers": tf.zeros([3], tf.float64)}, "numbers must be 7"),
        ({"rule": "nadam"}, "u_products"),
        ({"iterations": lambda s: tf.Variable(0.0).handle}, "iterations must be one int64"),
        ({"accumulation_steps": 2}, "accumulator"),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_refused(fused, change, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        raw(**change)


def test_gradient_of_another_shape(fused):
    step = adam()
    step["gradients"][1] = tf.ones([5])
    before = written(step)
    with pytest.raises(ValueError, match=r"^optimizer_update: .*Received: \(5,\)"):
        ops.optimizer_update(**step)
    for a, b in zip(written(step), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_nothing_is_done_where_there_is_no_kernel(monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "composite")
    step = adam()
    assert not ops.optimizer_update(**step)
    assert step["iterations"].numpy() == 0


def test_no_elements(fused):
    step = adam([(0, 4), (4,)])
    assert ops.optimizer_update(**step)
    assert np.all(step["variables"][1].numpy() != 1)
