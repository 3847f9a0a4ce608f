"""Times optimizers: a step on all variables of a model."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

import fastgen
from benchmarks import updates
from benchmarks.cases import cases
from benchmarks.measure import Rounds, quantiles, ratio
from benchmarks.providers import fused


class Contender:
    """An optimizer made ready for one case, as `measure.Rounds` takes it."""

    def __init__(self, name, case):
        self.provider, self.case = SimpleNamespace(name=name), case
        self._optimizer = updates.build(name, case.operation, case.shape)

    def inputs(self):
        return ()

    def warm(self):
        """A few steps untimed, so that none pays for what its predecessor left in the caches."""
        self.run(updates.UNROLLED)

    def run(self, iterations):
        self._optimizer.run(iterations)

    def time(self, iterations):
        """Seconds of one step."""
        start = time.perf_counter()
        self.run(iterations)
        return (time.perf_counter() - start) / iterations


@pytest.mark.parametrize("case", cases("update"), ids=lambda case: case.name)
def test_update(benchmark, record, case):
    before = fastgen.stats()
    ours = Contender("fused", case)
    taken = [{op: s[op] for op in s if op == "optimizer_update"} for s in (before, fastgen.stats())]
    paths = fused.require_fused(*taken)
    others = [Contender(name, case) for name in case.providers if updates.installed(name)]
    rounds = Rounds(ours, others)
    benchmark.pedantic(ours.run, setup=rounds.before, rounds=case.rounds, iterations=1)
    mine = np.array(benchmark.stats.stats.data) / case.iterations
    figures = {name: ratio(mine, theirs) for name, theirs in rounds.times.items()}
    seconds = {name: quantiles(x) for name, x in ({"fused": mine} | rounds.times).items()}
    benchmark.extra_info.update(seconds=seconds, figures=figures)
    record(case, figures, iterations=case.iterations, paths=paths, seconds=seconds)
