"""The ceilings of the machine, sampled between the rounds of whatever is timed."""

import time

import numpy as np

from benchmarks.measure import quantiles
from benchmarks.providers import THREADS

# 134 MB each: no last-level cache in reach of two threads holds three of them.
TRIAD_SIZE = 2**25
FMA_PANELS, FMA_ITERATIONS = 64, 20_000


class Roofline:
    """STREAM triad in bytes/s (12 bytes an element) and FMA peak in FLOP/s, by thread count."""

    def __init__(self):
        from fastgen import core

        self._core = core
        self._a = np.zeros(TRIAD_SIZE, "float32")
        self._b = np.full(TRIAD_SIZE, 1.0, "float32")
        self._c = np.full(TRIAD_SIZE, 2.0, "float32")
        self.samples = {f"{what}_{n}": [] for what in ("triad", "fma") for n in (1, THREADS)}
        self._check()

    def _check(self):
        self._core.triad(self._a, self._b, self._c, 3.0)
        assert np.all(self._a == 7.0), "the triad's result is wrong, so is its bandwidth"

    def sample(self):
        before = self._core.threads()
        try:
            for threads in (1, THREADS):
                self._core.set_threads(threads)
                start = time.perf_counter()
                self._core.triad(self._a, self._b, self._c, 3.0)
                seconds = time.perf_counter() - start
                self.samples[f"triad_{threads}"].append(12 * TRIAD_SIZE / seconds)
                start = time.perf_counter()
                flops = self._core.fma_peak(FMA_PANELS, FMA_ITERATIONS)
                seconds = time.perf_counter() - start
                self.samples[f"fma_{threads}"].append(flops / seconds)
        finally:
            self._core.set_threads(before)

    def figures(self, since=0):
        """Quantiles of the samples from number `since` on."""
        return {name: quantiles(values[since:]) for name, values in self.samples.items()}

    def taken(self):
        return len(self.samples["triad_1"])
