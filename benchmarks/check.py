"""Correctness before any timing: every provider against the float64 reference.

Raises AssertionError, so a wrong kernel turns its row red and leaves no time behind.
"""

import numpy as np
from scipy import special

from tests.tolerances import NOISE, assert_close

# A right provider strays past this many standard errors about once in 1e8 statistics.
SIGMAS = 6
REPETITIONS = 3


def check(operation, run, shape, dtype="float32", noise=None):
    """Check `run(iterations, *inputs) -> outputs`, NumPy in and out, for one repetition and a few.

    Args:
        operation: an `Operation`.
        run: the very function that will be timed.
        shape: shape of mean.
        dtype: dtype of the inputs.
        noise: `noise(i)`, the standard normals of repetition i, for a provider whose draws can be
            had from elsewhere. The draws of the others must look the part and fit the gradients.
    """
    inputs = operation.make(shape, dtype)
    outputs = run(1, *inputs)
    _check_form(operation, inputs, outputs)
    drawn = recover(inputs, outputs) if operation.random else None
    _check_values(operation, outputs, _reference(operation, inputs, [drawn]), dtype, shape[-1])
    if operation.random:
        check_noise(drawn)
        if noise:
            _check_same_noise(drawn, noise(0), inputs, outputs)

    inputs = operation.make(shape, dtype, operation.upstream)
    outputs = run(REPETITIONS, *inputs)
    if noise or not operation.random:
        draws = [noise(i) if operation.random else None for i in range(REPETITIONS)]
        expected = _reference(operation, inputs, draws)
        _check_values(operation, outputs, expected, dtype, shape[-1] * REPETITIONS)
    else:
        _check_walk(inputs, outputs)


def recover(inputs, outputs):
    """The standard normals that the provider drew, from its z."""
    mean, log_var, z = (np.asarray(x, "float64") for x in (inputs[0], inputs[1], outputs[0]))
    return (z - mean) * np.exp(-log_var / 2)


def check_noise(noise):
    """Moments, distribution and independence of draws that should be standard normal."""
    flat, rows = noise.ravel(), noise.reshape(-1, noise.shape[-1])
    n = flat.size
    deviations = {
        "mean": np.mean(flat) * np.sqrt(n),
        "variance": (np.mean(flat**2) - 1) * np.sqrt(n / 2),
        # Kolmogorov and Smirnov's statistic passes 3 once in 3e7.
        "distribution": _distance(flat[:: n // 2**18 + 1]) * SIGMAS / 3,
        "neighbours": np.mean(flat[1:] * flat[:-1]) * np.sqrt(n),
        "rows": np.mean(rows[1:] * rows[:-1]) * np.sqrt(n),
        "halves": np.mean(flat[: n // 2] * flat[-(n // 2) :]) * np.sqrt(n / 2),
    }
    for name, deviation in deviations.items():
        assert abs(deviation) < SIGMAS, f"noise: {name} is {deviation:.1f} standard errors off"


def _distance(draws):
    n = draws.size
    ordered, steps = special.ndtr(np.sort(draws)), np.arange(n + 1) / n
    return np.sqrt(n) * max(np.max(ordered - steps[:-1]), np.max(steps[1:] - ordered))


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


def _check_same_noise(drawn, noise, inputs, outputs):
    """Within DESIGN.md's bound, and what rounding z to float32 takes from the recovery."""
    rounding = 2**-23 * (np.abs(outputs[0]) + np.abs(inputs[0])) * np.exp(-inputs[1] / 2)
    error = np.abs(drawn - noise) - NOISE * (1 + np.abs(noise)) - rounding
    assert np.max(error) <= 0, f"noise is {np.max(error):.2g} outside its bound"


def _check_walk(inputs, outputs):
    """Chained samples are a random walk: a skipped or repeated draw shows in its variance."""
    walk = np.asarray(outputs[0], "float64") - inputs[0]
    # After the first repetition log_var is about 1e-6, so that each further step has variance 1.
    variance = np.exp(inputs[1].astype("float64")) + REPETITIONS - 1
    deviation = np.mean(walk**2 / variance - 1) * np.sqrt(walk.size / 2)
    assert abs(deviation) < SIGMAS, f"{REPETITIONS} chained draws: {deviation:.1f} errors off"
