"""Ours: fastgen.ops, called as a model calls them."""

import contextlib
import functools
import os
import runpy
from pathlib import Path

import tensorflow as tf

import fastgen
from benchmarks.operations import CORRUPTION, SPARSITY
from benchmarks.providers import Provider, stock
from fastgen import ops

SEED = 20
EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "custom_kernel.py"


@functools.cache
def example():
    return runpy.run_path(str(EXAMPLE))


def seed(i):
    return tf.stack([SEED, i])


FORWARD = {
    "gaussian_sample": lambda i, *x: (ops.gaussian_sample(*x, seed(i)),),
    "gaussian_kl": lambda i, *x: (ops.gaussian_kl(*x),),
    "gaussian_sample_kl": lambda i, *x: ops.gaussian_sample_kl(*x, seed(i)),
    "dense": lambda i, *x: (ops.dense(*x, activation="relu"),),
    "dense_transpose": lambda i, *x: (ops.dense_transpose(*x, activation="relu"),),
    "sigmoid_cross_entropy": lambda i, *x: (ops.sigmoid_cross_entropy(*x, reduction="row"),),
    "sparsity": lambda i, x: (ops.sparsity(x, SPARSITY, "kl"),),
    "swish": lambda i, *x: (example()["swish"](*x),),
    "swish_forward": lambda i, *x: (example()["swish"](*x),),
    "gaussian_noise": lambda i, x: (ops.gaussian_noise(x, CORRUPTION, seed(i)),),
    "dropout": lambda i, x: (ops.dropout(x, CORRUPTION, seed(i)),),
}


def build(name, operation, measure):
    return stock.build_step(FORWARD[operation], operation, measure, jit_compile=name == "fused_xla")


def noise(operation, i, shape):
    if operation == "dropout":
        return tf.random.stateless_uniform(shape, seed(i)).numpy() >= CORRUPTION
    return tf.random.stateless_normal(shape, seed(i)).numpy()


@contextlib.contextmanager
def backend(name):
    """FASTGEN_BACKEND for a while; None leaves it as it is."""
    before = os.environ.get("FASTGEN_BACKEND")
    os.environ["FASTGEN_BACKEND"] = name or before or "auto"
    try:
        yield
    finally:
        os.environ["FASTGEN_BACKEND"] = before or "auto"


def paths(operation):
    """Which paths the op and its gradient took so far, and how often."""
    counts = fastgen.stats()
    ends = ("", "_grad", "_from_slope_grad")
    names = [operation + end for end in ends]
    if operation.startswith("swish"):
        names = ["jit.swish", "jit.swish.gradient"]
    return {op: counts[op] for op in names if op in counts}


def require_fused(before, after):
    """Fail unless every op traced in between ran its kernel.

    FASTGEN_BENCH_COMPOSITE=1 lets the composite be timed under our name, while a kernel is written.

    Returns:
        The paths taken.
    """
    taken = {
        path
        for op, counts in after.items()
        for path, count in counts.items()
        if count > before.get(op, {}).get(path, 0)
    }
    if os.environ.get("FASTGEN_BENCH_COMPOSITE") != "1":
        others = sorted(taken - {"fused", "custom call"})
        assert "fused" in taken and not others, f"fused took {others}, see fastgen.doctor()"
    return sorted(taken)


VERSION = f"fastgen {fastgen.__version__}"
PROVIDERS = {
    name: Provider(name, build, stock.put, stock.get, VERSION, noise=noise)
    for name in ("fused", "fused_xla")
}
