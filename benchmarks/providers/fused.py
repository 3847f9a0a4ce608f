"""Ours: fastgen.ops, called as a model calls them."""

import os

import tensorflow as tf

import fastgen
from benchmarks.operations import OPERATIONS
from benchmarks.providers import Provider, repeat_calls, stock

SEED = 20


def seed(i):
    return tf.stack([SEED, i])


def gaussian_sample(i, mean, log_var, d_z):
    with tf.GradientTape() as tape:
        tape.watch((mean, log_var))
        z = fastgen.ops.gaussian_sample(mean, log_var, seed(i))
    return z, *tape.gradient(z, (mean, log_var), d_z)


def gaussian_kl(i, mean, log_var, d_kl):
    with tf.GradientTape() as tape:
        tape.watch((mean, log_var))
        kl = fastgen.ops.gaussian_kl(mean, log_var)
    return kl, *tape.gradient(kl, (mean, log_var), d_kl)


def gaussian_sample_kl(i, mean, log_var, d_z, d_kl):
    with tf.GradientTape() as tape:
        tape.watch((mean, log_var))
        outputs = fastgen.ops.gaussian_sample_kl(mean, log_var, seed(i))
    return *outputs, *tape.gradient(outputs, (mean, log_var), (d_z, d_kl))


STEPS = {
    "gaussian_sample": gaussian_sample,
    "gaussian_kl": gaussian_kl,
    "gaussian_sample_kl": gaussian_sample_kl,
}


def build(name, operation, measure):
    step = STEPS[operation]
    operation = OPERATIONS[operation]
    if measure == "graph":
        return stock.repeat_in_graph(step, operation)
    return repeat_calls(tf.function(step), operation, tf.constant)


def noise(i, shape):
    return tf.random.stateless_normal(shape, [SEED, i]).numpy()


def paths(operation):
    """Which paths the op and its gradient took so far, and how often."""
    counts = fastgen.stats()
    return {op: counts[op] for op in (operation, f"{operation}_grad") if op in counts}


def require_fused(before, after):
    """Fail unless every op traced in between ran its kernel.

    FASTGEN_BENCH_COMPOSITE=1 lets the composite be timed under our name, while a kernel is written.
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


PROVIDERS = {
    "fused": Provider(
        "fused", build, stock.put, stock.get, f"fastgen {fastgen.__version__}", noise=noise
    )
}
