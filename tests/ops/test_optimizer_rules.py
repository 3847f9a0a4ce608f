"""What kernels are told of an optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.ops import optimizer_rules
from tests.optimizers.cases import OPTIMIZERS, SMALL, drawn, make


@pytest.mark.parametrize("package", [fastgen.optimizers, keras.optimizers], ids=["ours", "keras"])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rules(package, name):
    optimizer = make(package, name)
    optimizer.build(drawn(SMALL))
    rule, why = optimizer_rules.of(optimizer)
    assert why is None
    found = rule(optimizer)
    kinds = found.pop("slots").values()
    count = sum(len(kind) for kind in kinds) + ("u_product" in found)
    assert count == len(optimizer.variables) - 2  # iterations and learning rate


class Own(keras.optimizers.Adam):
    pass


class OwnStep(fastgen.optimizers.Adam):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(2 * gradient, variable, learning_rate)


class OwnApply(fastgen.optimizers.SGD):
    def apply(self, grads, trainable_variables=None):
        super().apply([2 * g for g in grads], trainable_variables)


class Renamed(fastgen.optimizers.AdamW):
    """Nothing of its own."""


@pytest.mark.parametrize(
    ("optimizer", "reason"),
    [
        (Own, "no kernel for the optimizer Own"),
        (OwnStep, "no kernel for the optimizer OwnStep"),
        (OwnApply, "no kernel for the optimizer OwnApply"),
        (Renamed, None),
        (keras.optimizers.Lion, "no kernel for the optimizer Lion"),
        (lambda: keras.optimizers.SGD(use_ema=True), "SGD with moving averages"),
        (lambda: keras.optimizers.SGD(gradient_accumulation_steps=2), "accumulated gradients"),
        (lambda: fastgen.optimizers.SGD(loss_scale_factor=8.0), "SGD with a loss scale"),
        (lambda: keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD()), "no kernel"),
    ],
)
def test_refused(optimizer, reason):
    rule, why = optimizer_rules.of(optimizer())
    assert (rule is None) == (reason is not None)
    assert why == reason or reason in why


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, {}),
        ({"clipvalue": 0.5}, {"clip": "value", "clip_at": 0.5}),
        ({"clipnorm": 2.0}, {"clip": "norm", "clip_at": 2.0}),
        ({"global_clipnorm": 2.0}, {"clip": "global_norm", "clip_at": 2.0}),
    ],
)
def test_clip(arguments, expected):
    assert optimizer_rules.clip(keras.optimizers.SGD(**arguments)) == expected


def test_learning_rates():
    constant = keras.optimizers.SGD(0.25)
    np.testing.assert_array_equal(optimizer_rules.learning_rates(constant, 2), [0.25, 0.25])
    halves = keras.optimizers.schedules.ExponentialDecay(1.0, 1, 0.5)
    optimizer = keras.optimizers.SGD(halves)
    optimizer.build(drawn(SMALL))
    optimizer.iterations.assign(2)
    rates = optimizer_rules.learning_rates(optimizer, 3)
    assert rates.dtype == tf.float64
    np.testing.assert_array_equal(rates, [0.25, 0.125, 0.0625])
