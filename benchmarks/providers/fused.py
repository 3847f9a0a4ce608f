"""Ours: fastgen.ops, called as a model calls them."""

import os

import tensorflow as tf

import fastgen
from benchmarks.providers import Provider, stock

SEED = 20


def gaussian_sample(i, mean, log_var):
    return (fastgen.ops.gaussian_sample(mean, log_var, tf.stack([SEED, i])),)


def gaussian_kl(i, mean, log_var):
    return (fastgen.ops.gaussian_kl(mean, log_var),)


def gaussian_sample_kl(i, mean, log_var):
    return fastgen.ops.gaussian_sample_kl(mean, log_var, tf.stack([SEED, i]))


def sigmoid_cross_entropy(i, targets, logits):
    return (fastgen.ops.sigmoid_cross_entropy(targets, logits, reduction="mean"),)


FORWARD = {
    "gaussian_sample": gaussian_sample,
    "gaussian_kl": gaussian_kl,
    "gaussian_sample_kl": gaussian_sample_kl,
    "sigmoid_cross_entropy": sigmoid_cross_entropy,
}


def build(name, operation, measure):
    return stock.build_step(FORWARD[operation], operation, measure)


def noise(i, shape):
    return tf.random.stateless_normal(shape, [SEED, i]).numpy()


def paths(operation):
    """Which paths the op and its gradient took so far, and how often."""
    ends = ("", "_grad", "_from_slope_grad")
    counts = fastgen.stats()
    return {op: counts[op] for op in (operation + end for end in ends) if op in counts}


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
        assert taken == {"fused"}, f"fused took the paths {sorted(taken)}, see fastgen.doctor()"
    return sorted(taken)


VERSION = f"fastgen {fastgen.__version__}"
PROVIDERS = {"fused": Provider("fused", build, stock.put, stock.get, VERSION, noise=noise)}
