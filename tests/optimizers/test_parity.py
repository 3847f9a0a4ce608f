"""Steps equal to Keras': forced to its state at every step, and running free in float64."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen import dispatch
from tests.optimizers.cases import (
    GAN,
    OPTIMIZERS,
    SMALL,
    gradients,
    pair,
    path_of,
    state,
)
from tests.tolerances import FIRST_OPTIMIZER_STEP, OPTIMIZER_FLOAT64, OPTIMIZER_STEP

# The classes as they come on all variables of the GAN, the others on small ones.
FORCED = [
    *(pytest.param(name, GAN, id=name) for name in ("sgd", "rmsprop", "adam", "nadam")),
    pytest.param("adamw", GAN, id="adamw", marks=pytest.mark.slow),
    *(pytest.param(name, SMALL, id=f"{name}_small") for name in list(OPTIMIZERS)[4:]),
]
forced = pytest.mark.parametrize(("name", "shapes"), FORCED)
OPTIONS = {
    "clipvalue": {"clipvalue": 0.05},
    "clipnorm": {"clipnorm": 0.2},
    "global_clipnorm": {"global_clipnorm": 0.2},
    "weight_decay": {"weight_decay": 0.1},
    "ema": {"use_ema": True, "ema_momentum": 0.8},
    "overwritten": {"use_ema": True, "ema_momentum": 0.8, "ema_overwrite_frequency": 2},
    "accumulated": {"gradient_accumulation_steps": 3, "clipnorm": 0.2},
    "accumulated_ema": {
        "gradient_accumulation_steps": 2,
        "use_ema": True,
        "ema_overwrite_frequency": 2,
    },
    "loss_scale": {"loss_scale_factor": 256.0, "global_clipnorm": 1e-3},
    "schedule": {"learning_rate": keras.optimizers.schedules.ExponentialDecay(0.01, 3, 0.5)},
    "function": {"learning_rate": lambda: 0.003},
}


@forced
def test_teacher_forced(fused, name, shapes):
    """200 steps of float32, each from where stock Keras stands."""
    (ours, mine), (stock, theirs) = pair(name, shapes)
    states = list(zip(state(ours, mine), state(stock, theirs), strict=True))

    def step(i, worst):
        for a, b in states:
            a.assign(b)
        grads = gradients(shapes, i)
        ours.apply(grads, mine)
        stock.apply(grads, theirs)
        errors = [
            tf.reduce_max(tf.abs(a - b) / (1 + tf.abs(b))) for a, b in states if a.dtype.is_floating
        ]
        tf.debugging.assert_equal(ours._iterations.value, stock._iterations.value)
        return i + 1, tf.tensor_scatter_nd_update(worst, [[i]], [tf.reduce_max(errors)])

    @tf.function(autograph=False)
    def run():
        return tf.while_loop(lambda i, _: i < 200, step, (0, tf.zeros([200])))[1]

    worst = run().numpy()
    assert worst[0] <= FIRST_OPTIMIZER_STEP
    assert worst[1:].max() <= OPTIMIZER_STEP


@forced
def test_float64_running_free(fused, name, shapes):
    (ours, mine), (stock, theirs) = pair(name, shapes, "float64")

    @tf.function(autograph=False)
    def run():
        def step(i):
            grads = gradients(shapes, i, "float64")
            ours.apply(grads, mine)
            stock.apply(grads, theirs)
            return (i + 1,)

        tf.while_loop(lambda i: i < 100, step, (0,))

    run()
    same_state(ours, mine, stock, theirs)


def same_state(ours, mine, stock, theirs):
    for a, b in zip(state(ours, mine), state(stock, theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=OPTIMIZER_FLOAT64, atol=OPTIMIZER_FLOAT64)


@pytest.mark.parametrize("name", ["momentum", "nadam"])
@pytest.mark.parametrize("option", OPTIONS)
def test_options(fused, option, name):
    (ours, mine), (stock, theirs) = pair(name, SMALL, "float64", **OPTIONS[option])
    for step in range(7):
        grads = gradients(SMALL, step, "float64")
        assert path_of(lambda grads=grads: ours.apply(grads, mine)) == {dispatch.FUSED}
        stock.apply(grads, theirs)
        same_state(ours, mine, stock, theirs)
    ours.finalize_variable_values(mine)
    stock.finalize_variable_values(theirs)
    same_state(ours, mine, stock, theirs)


@pytest.mark.parametrize("more", [{}, {"use_ema": True, "gradient_accumulation_steps": 2}], ids=str)
def test_variables_without_a_gradient(fused, more):
    (ours, mine), (stock, theirs) = pair("adam", SMALL, "float64", **more)
    for step in range(4):
        grads = gradients(SMALL, step, "float64")
        grads[step % 2] = None
        for optimizer, variables in ((ours, mine), (stock, theirs)):
            with pytest.warns(UserWarning, match="Gradients do not exist"):
                optimizer.apply(grads, variables)
        same_state(ours, mine, stock, theirs)


def test_a_subset_of_the_variables(fused):
    (ours, mine), (stock, theirs) = pair("adam", SMALL, "float64", use_ema=True)
    for step in range(3):
        grads = gradients(SMALL, step, "float64")
        ours.apply(grads[1:], mine[1:])
        stock.apply(grads[1:], theirs[1:])
    same_state(ours, mine, stock, theirs)


def test_excluded_from_weight_decay(fused):
    made = pair("adamw", [], "float64", weight_decay=0.5)
    results = []
    for optimizer, _ in made:
        optimizer = type(optimizer)(weight_decay=0.5)
        variables = [
            keras.Variable(np.ones([3]), dtype="float64", name=n) for n in ("kernel", "bias", "g")
        ]
        optimizer.exclude_from_weight_decay(var_list=[variables[2]], var_names=["bias"])
        for step in range(3):
            optimizer.apply(gradients([(3,)] * 3, step, "float64"), variables)
        results.append((optimizer, variables))
    same_state(*results[0], *results[1])


def test_constraints(fused):
    results = []
    for optimizer, _ in pair("sgd", []):
        optimizer = type(optimizer)(1.0)
        variables = drawn_layer().trainable_variables
        optimizer.apply([tf.ones_like(v) for v in variables], variables)
        assert np.all(variables[0].numpy() >= 0) and np.any(variables[0].numpy() == 0)
        results.append((optimizer, variables))
    same_state(*results[0], *results[1])


def drawn_layer():
    layer = keras.layers.Dense(
        4,
        kernel_constraint="non_neg",
        kernel_initializer=keras.initializers.RandomNormal(seed=1),
        dtype="float64",
    )
    layer.build((None, 3))
    return layer


def test_variables_of_several_dtypes(fused):
    results = []
    for optimizer, _ in pair("nadam", []):
        optimizer = type(optimizer)(global_clipnorm=0.1)
        variables = [keras.Variable(np.ones([5]), dtype=d) for d in ("float32", "float64")]
        for step in range(3):
            # Gradients come in whatever dtype: they are cast.
            optimizer.apply(gradients([(5,), (5,)], step, "float32"), variables)
        results.append((optimizer, variables))
    (ours, mine), (stock, theirs) = results
    for a, b in zip(state(ours, mine), state(stock, theirs), strict=True):
        np.testing.assert_allclose(a, b, rtol=OPTIMIZER_STEP, atol=OPTIMIZER_STEP)
