"""Times plain products on one thread: is OpenBLAS faster than the product in csrc/core?"""

from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import products
from benchmarks.cases import cases
from benchmarks.measure import Ready, Rounds, quantiles, rates_of, ratio


@pytest.fixture
def one_thread():
    from fastgen import core

    before = core.threads()
    core.set_threads(1)
    yield
    core.set_threads(before)


def ready(name, case):
    return Ready(SimpleNamespace(name=name), case, products.build(name, case.operation, case.shape))


@pytest.mark.parametrize("case", cases("product"), ids=lambda case: case.name)
def test_product(benchmark, record, roofline, one_thread, case):
    ours = ready("fused", case)
    others = [ready(name, case) for name in case.providers if products.installed()]
    taken, rounds = roofline.taken(), Rounds(ours, others, roofline.sample)
    benchmark.pedantic(ours.run, setup=rounds.before, rounds=case.rounds, iterations=1)
    mine = np.array(benchmark.stats.stats.data) / case.iterations
    figures = {name: ratio(mine, theirs) for name, theirs in rounds.times.items()}
    ceilings, rate = roofline.figures(taken), rates_of(case, mine)["fma"]
    figures["fma"] = quantiles(rate / ceilings["fma_1"]["median"])
    seconds = {name: quantiles(x) for name, x in ({"fused": mine} | rounds.times).items()}
    details = {"seconds": seconds, "per_second": {"fma": quantiles(rate)}, "roofline": ceilings}
    benchmark.extra_info.update(details, figures=figures)
    record(case, figures, iterations=case.iterations, **details)
