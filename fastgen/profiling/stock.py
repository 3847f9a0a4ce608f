"""How long stock ops take for what a kernel did: both timed here, in turns, at the same shapes."""

import time
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from fastgen import dispatch, ops
from fastgen.ops.dense import layer
from fastgen.ops.gaussian_kl import gaussian_kl_grad
from fastgen.ops.gaussian_sample import gaussian_sample_grad
from fastgen.ops.gaussian_sample_kl import gaussian_sample_kl_grad
from fastgen.ops.sigmoid_cross_entropy import (
    sigmoid_cross_entropy_from_slope_grad,
    sigmoid_cross_entropy_grad,
)
from fastgen.ops.sparsity import sparsity_grad
from fastgen.profiling import stock_steps

COPIES = 16  # at most, in a call: what a call costs beside them is measured and taken off
CALL_SECONDS = 2e-3  # what they are to take together
SECONDS, LEAST_ROUNDS, MOST_ROUNDS = 0.3, 3, 25
NO_STOCK = "stock ops have no gradient of it alone"
AMOUNT = 0.1  # of dropout and noise; mean activity that sparsity aims at


class Unlike(Exception):
    """Why nothing of stock ops is to be set beside a kernel."""


class Comparison(NamedTuple):
    """Their time over ours, the median of rounds; or why it is not known."""

    ratio: float | None
    why: str = ""


def _from_slope(slope, d_loss, reduction, **_):
    """Stock ops have no slope at hand, and make the gradient of targets and logits."""
    if not dispatch.unasked():
        return sigmoid_cross_entropy_from_slope_grad(slope, d_loss, reduction)
    smoothing = tf.constant(0.0, tf.float64)
    return sigmoid_cross_entropy_grad(slope, slope, smoothing, d_loss, reduction)


def _cross_entropy(targets, logits, _, reduction, slopes, **__):
    with tf.GradientTape() as tape:  # for which the kernel leaves the slope, if it did
        if slopes:
            tape.watch(logits)
        return ops.sigmoid_cross_entropy(targets, logits, reduction=reduction)


def _cross_entropy_grad(*inputs, reduction, **_):
    return sigmoid_cross_entropy_grad(*inputs, reduction)


def _sparsity(activations, _, kind, **__):
    return ops.sparsity(activations, None if kind == "l1" else AMOUNT, kind)


def _sparsity_grad(*inputs, kind, **_):
    return sparsity_grad(*inputs, kind=kind)


def _layer(op):
    return lambda x, kernel, bias=None, *, activation, **_: layer(op, x, kernel, bias, activation)


# op: a function of its inputs, and of its attributes by name, that takes the path of the situation.
RUNS = {
    "dense": _layer("dense"),
    "dense_transpose": _layer("dense_transpose"),
    "dropout": lambda x, _, seed: ops.dropout(x, AMOUNT, seed),
    "gaussian_kl": ops.gaussian_kl,
    "gaussian_kl_grad": gaussian_kl_grad,
    "gaussian_noise": lambda x, _, seed: ops.gaussian_noise(x, AMOUNT, seed),
    "gaussian_sample": ops.gaussian_sample,
    "gaussian_sample_grad": gaussian_sample_grad,
    "gaussian_sample_kl": ops.gaussian_sample_kl,
    "gaussian_sample_kl_grad": gaussian_sample_kl_grad,
    "sigmoid_cross_entropy": _cross_entropy,
    "sigmoid_cross_entropy_grad": _cross_entropy_grad,
    "sigmoid_cross_entropy_from_slope_grad": _from_slope,
    "sparsity": _sparsity,
    "sparsity_grad": _sparsity_grad,
}
STEPS = {
    "autoencoder_step": stock_steps.autoencoder,
    "discriminator_update": stock_steps.discriminator,
    "gan_step": stock_steps.gan,
    "optimizer_update": stock_steps.optimizer,
}


def compare(call):
    """Their time over ours, for the shapes, dtypes and attributes of a `trace.Call`."""
    try:
        with dispatch.uncounted():
            if call.device != "CPU":
                raise Unlike("kernels of a GPU are not timed again")
            if call.op in STEPS:
                return Comparison(_ratio_of_steps(*STEPS[call.op](call)))
            return Comparison(_ratio_of_copies(call))
    except (Unlike, stock_steps.NotRebuilt) as reason:
        return Comparison(None, str(reason))
    except (tf.errors.OpError, ValueError, MemoryError) as error:
        return Comparison(None, f"did not run again: {str(error).splitlines()[0]}")


def _ratio_of_steps(ours, stock):
    rounds = _rounds([lambda: ours().numpy(), lambda: stock().numpy()])
    return float(np.median(rounds[:, 1] / rounds[:, 0]))


def _ratio_of_copies(call):
    if call.op not in RUNS:
        of_jit = "a kernel of fastgen.jit: time it beside its reference"
        raise Unlike(NO_STOCK if call.op.startswith("dense") else of_jit)
    attributes, inputs = dict(call.attributes), [draw(x) for x in call.inputs]

    def ours(*inputs):
        return RUNS[call.op](*inputs, **attributes)

    def stock(*inputs):
        with dispatch.portable():
            return ours(*inputs)

    def ready(run, count):
        graph = _copies(run, count)
        return lambda: graph(*inputs)

    empty, *single = ready(ours, 0), ready(ours, 1), ready(stock, 1)
    quickest = _rounds([empty, *single]).min(axis=0)
    longest = quickest[1:].max() - quickest[0]
    count = int(np.clip(CALL_SECONDS / max(longest, 1e-6), 1, COPIES))
    both = single if count == 1 else [ready(ours, count), ready(stock, count)]
    beside, a, b = _rounds([empty, *both]).T
    beside = np.median(beside)  # what a call takes that does nothing
    if np.median(np.minimum(a, b)) <= beside:
        raise Unlike("too short to be told from a call")
    told = np.minimum(a, b) > beside
    return float(np.median((b - beside)[told] / (a - beside)[told]))


def draw(tensor):
    """Numbers that every op takes: uniform in (0, 1), a scalar 1, which is what a loss is sent."""
    random = np.random.default_rng(0)
    dtype = tf.as_dtype("float16" if tensor.dtype == "half" else tensor.dtype)
    if not dtype.is_floating:
        return tf.constant(random.integers(0, 200, tensor.shape), dtype)
    if not tensor.shape:
        return tf.ones([], dtype)
    return tf.cast(random.uniform(0.1, 0.9, tensor.shape).astype("float32"), dtype)


def _copies(run, count):
    """A function of the inputs that runs so often, one after the other."""

    @tf.function(autograph=False)
    def graph(*inputs):
        outputs, last = [], []
        for _ in range(count):
            with tf.control_dependencies(last):
                last = [x for x in tf.nest.flatten(run(*inputs)) if x is not None]
            outputs += last  # what nobody fetches would be taken out of the graph
        return outputs

    return graph


def _rounds(functions):
    """Seconds of each function, a row for each round, in which all run in turn."""
    for function in functions:
        function()  # traces, and makes what stays
    rounds, end = [], time.perf_counter() + SECONDS
    while len(rounds) < LEAST_ROUNDS or (time.perf_counter() < end and len(rounds) < MOST_ROUNDS):
        order = range(len(functions))
        times = {}
        for i in order if len(rounds) % 2 else reversed(order):
            start = time.perf_counter()
            functions[i]()
            times[i] = time.perf_counter() - start
        rounds.append([times[i] for i in order])
    return np.array(rounds)
