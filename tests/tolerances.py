"""The one table of tolerances, and the two gates every kernel passes."""

import ml_dtypes
import numpy as np

# dtype: (rtol, atol). Reductions over n elements scale atol by sqrt(n).
TOLERANCES = {
    "float64": (1e-7, 1e-9),
    "float32": (1.3e-6, 1e-5),
    "float16": (1e-3, 1e-3),
    "bfloat16": (1.6e-2, 1e-2),
}
# |noise - stateless_normal's| <= NOISE * (1 + |noise|), on every ISA and device.
NOISE = 2e-6
# Losses of two trainings with the same noise, step by step.
TRAINING = 1e-5
# Of the distance that a few steps of training move a tensor: an activation that float32 has on the
# other side of selu's kink moves its unit's weights by about half of this.
MOVEMENT = 1e-2
# Fréchet distance of a set to itself, relative to the trace of its covariance.
FRECHET = 1e-6
# float64 central differences with this step: truncation and rounding are both about 1e-10.
NUMERIC_STEP = 1e-5
NUMERIC = (1e-6, 1e-8)
# rtol of float32 results of the same formula, compiled or saved another way: a few roundings.
SAME_FORMULA = 1e-6
# |w - Keras' w| <= this (1 + |w|) after one float32 step of an optimizer from the same state; the
# first one of Adam and Nadam divides by 1 - beta_2, which has lost four digits.
OPTIMIZER_STEP = 1e-6
FIRST_OPTIMIZER_STEP = 1e-4
# The same in float64 after 100 steps of their own.
OPTIMIZER_FLOAT64 = 1e-9
# rtol of what Keras logs: float32 running means over batches.
LOGGED = 1e-5
# rtol of a float64 mean over some hundred terms that are added up in another order.
REORDERED_FLOAT64 = 1e-12
# Of 255 levels of grey: a float32 on the edge between two, computed in another order.
GREY_LEVEL = 1
# Standard errors that a statistic of random numbers may stray: by chance once in 16,000. The seeds
# are fixed, so what passes once always passes.
SIGMAS = 4
# The same where a test has six statistics in all.
SIGMAS_OF_SIX = 3
# Likewise for the p-value of a Kolmogorov-Smirnov test.
P_VALUE = 1e-3


def dtype_name(dtype):
    """Name in the table of a NumPy dtype, a TensorFlow dtype or a string."""
    name = getattr(dtype, "name", None) or str(np.dtype(dtype))
    return {"half": "float16"}.get(name, name)


def assert_close(actual, expected, dtype, n=1):
    """First gate: within the table against a float64 reference."""
    rtol, atol = TOLERANCES[dtype_name(dtype)]
    np.testing.assert_allclose(
        np.asarray(actual, "float64"),
        np.asarray(expected, "float64"),
        rtol=rtol,
        atol=atol * np.sqrt(n),
        equal_nan=True,
    )


def ulp(x, dtype):
    """Distance between neighbours of `dtype` at the size of x."""
    info = ml_dtypes.finfo(dtype_name(dtype))
    size = np.maximum(np.abs(np.asarray(x, "float64")), float(info.tiny))
    return float(info.eps) * np.exp2(np.floor(np.log2(size)))


def assert_as_exact_as(actual, stock, reference, dtype):
    """Second gate: error at most twice plain TensorFlow's at that dtype, plus 1 ulp."""
    reference = np.asarray(reference, "float64")
    if not reference.size:
        return
    error = np.max(np.abs(np.asarray(actual, "float64") - reference))
    allowed = 2 * np.max(np.abs(np.asarray(stock, "float64") - reference))
    allowed += np.max(ulp(reference, dtype))
    assert error <= allowed, f"error {error:.3g}, allowed {allowed:.3g} ({dtype_name(dtype)})"
