"""Correctness before any timing: every provider against the float64 reference.

Raises AssertionError, so a wrong kernel turns its row red and leaves no time behind.
"""

import numpy as np

from benchmarks.draws import assert_right
from tests.tolerances import NOISE, assert_close

REPETITIONS = 3


def check(operation, run, shape, dtype="float32", noise=None):
    """Check `run(iterations, *inputs) -> outputs`, NumPy in and out, for one repetition and a few.

    Args:
        operation: an `Operation`.
        run: the very function that will be timed.
        shape: shape of the case.
        dtype: dtype of the inputs.
        noise: `noise(i)`, the noise of repetition i, for a provider whose draws can be had from
            elsewhere. The draws of the others must look the part and fit the gradients.
    """
    inputs = operation.draw(shape, dtype)
    outputs = run(1, *inputs)
    _check_form(operation, inputs, outputs)
    drawn = operation.recover(inputs, outputs) if operation.recover else None
    terms = operation.terms(shape)
    _check_values(operation, outputs, _reference(operation, inputs, [drawn]), dtype, terms)
    if operation.recover:
        assert_right(operation.looks(drawn))
        if noise:
            _check_same_noise(operation, drawn, noise(0), inputs, outputs)

    inputs = operation.draw(shape, dtype, operation.upstream)
    outputs = run(REPETITIONS, *inputs)
    if noise or not operation.recover:
        draws = [noise(i) if operation.recover else None for i in range(REPETITIONS)]
        expected = _reference(operation, inputs, draws)
        _check_values(operation, outputs, expected, dtype, terms * REPETITIONS)
    else:  # a skipped or repeated draw shows in what becomes of their sum
        assert_right(operation.walk(inputs, outputs, REPETITIONS))


def _reference(operation, inputs, draws):
    inputs = tuple(np.asarray(x, "float64") for x in inputs)
    for noise in draws:
        noise = () if noise is None else (np.asarray(noise, "float64"),)
        outputs = operation.reference(*inputs, *noise)
        inputs = operation.next_inputs(inputs, outputs)
    return outputs


def _check_form(operation, inputs, outputs):
    likes = operation.first_outputs(inputs)
    for name, value, like in zip(operation.outputs, outputs, likes, strict=True):
        got, expected = (value.shape, str(value.dtype)), (like.shape, str(like.dtype))
        assert got == expected, f"{name} is {got}, expected {expected}"


def _check_values(operation, outputs, expected, dtype, terms):
    for name, value, reference in zip(operation.outputs, outputs, expected, strict=True):
        try:
            assert_close(value, reference, dtype, terms)
        except AssertionError as error:
            raise AssertionError(f"{name} is not the reference's: {error}") from None


def _check_same_noise(operation, drawn, noise, inputs, outputs):
    """Within DESIGN.md's bound, and what rounding the output takes from the recovery."""
    x, y = inputs[0], outputs[0]
    slope = np.abs(operation.recover(inputs, (y + 1, *outputs[1:])) - drawn)
    rounding = 2**-23 * (np.abs(x) + np.abs(y)) * slope
    error = np.abs(drawn - noise) - NOISE * (1 + np.abs(noise)) - rounding
    assert np.max(error) <= 0, f"noise is {np.max(error):.2g} outside its bound"
