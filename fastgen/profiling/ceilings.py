"""What this machine allows: bytes and operations a second, measured on the spot."""

import functools
import time
from typing import NamedTuple

import numpy as np

# 67 MB each, of which caches hold little. And 0.1 s of multiply-adds on a core.
ELEMENTS = 2**24
PANELS, ITERATIONS = 64, 20_000
ROUNDS = 5


class Ceilings(NamedTuple):
    """Bytes a second of the triad, and operations a second in float32, on all threads."""

    bandwidth: float
    flops: float

    def seconds(self, bytes_, flops, dtype="float32"):
        """What the roofline allows for some work, and what bounds it."""
        bounds = {
            "memory": bytes_ / self.bandwidth,
            "arithmetic": flops / (self.flops / (2 if dtype == "float64" else 1)),
        }
        bound = max(bounds, key=bounds.get)
        return bounds[bound], bound


@functools.cache
def measure():
    """The `Ceilings`, once in a process: the best of a few rounds; None without fastgen.core."""
    try:
        from fastgen import core
    except ImportError:
        return None
    a = np.zeros(ELEMENTS, "float32")
    b, c = np.ones_like(a), np.ones_like(a)
    core.triad(a, b, c, 3.0)  # untimed: pages and threads are made
    rounds = [(_triad(core, a, b, c), _multiply_adds(core)) for _ in range(ROUNDS)]
    return Ceilings(*map(float, np.max(rounds, axis=0)))


def _triad(core, a, b, c):
    start = time.perf_counter()
    core.triad(a, b, c, 3.0)
    return 3 * a.nbytes / (time.perf_counter() - start)


def _multiply_adds(core):
    start = time.perf_counter()
    flops = core.fma_peak(PANELS, ITERATIONS)
    return flops / (time.perf_counter() - start)
