"""Times optimizers: a step on all variables of a model."""

from types import SimpleNamespace

import numpy as np
import pytest

import fastgen
from benchmarks import updates
from benchmarks.cases import cases
from benchmarks.measure import Ready, Rounds, quantiles, ratio
from benchmarks.providers import fused


def ready(name, case):
    optimizer = updates.build(name, case.operation, case.shape)
    return Ready(SimpleNamespace(name=name), case, optimizer.run, few=updates.UNROLLED)


@pytest.mark.parametrize("case", cases("update"), ids=lambda case: case.name)
def test_update(benchmark, record, case):
    before = fastgen.stats()
    ours = ready("fused", case)
    taken = [{op: s[op] for op in s if op == "optimizer_update"} for s in (before, fastgen.stats())]
    paths = fused.require_fused(*taken)
    others = [ready(name, case) for name in case.providers if updates.installed(name)]
    rounds = Rounds(ours, others)
    benchmark.pedantic(ours.run, setup=rounds.before, rounds=case.rounds, iterations=1)
    mine = np.array(benchmark.stats.stats.data) / case.iterations
    figures = {name: ratio(mine, theirs) for name, theirs in rounds.times.items()}
    seconds = {name: quantiles(x) for name, x in ({"fused": mine} | rounds.times).items()}
    benchmark.extra_info.update(seconds=seconds, figures=figures)
    record(case, figures, iterations=case.iterations, paths=paths, seconds=seconds)
