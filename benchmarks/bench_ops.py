"""Times the ops: our rounds are pytest-benchmark's, the others run between them."""

import numpy as np
import pytest

from benchmarks import c_abi, memory, providers, threads
from benchmarks.cases import cases
from benchmarks.measure import ROUNDS, Rounds, contenders, quantiles, rates_of, ratio


def parameters(*measures):
    return pytest.mark.parametrize("case", cases(*measures), ids=lambda case: case.name)


@parameters("graph", "call")
def test_time(benchmark, record, roofline, case):
    ours, others, paths = contenders(case)
    if case.measure == "graph":
        for contender in (ours, *others):
            contender.assert_every_repetition_runs()
    taken = roofline.taken()
    rounds = Rounds(ours, others, roofline.sample)
    benchmark.pedantic(ours.run, setup=rounds.before, rounds=case.rounds, iterations=1)

    mine = np.array(benchmark.stats.stats.data) / case.iterations
    times = {"fused": mine, **rounds.times}
    ceilings = roofline.figures(taken)
    figures = {name: ratio(mine, theirs) for name, theirs in rounds.times.items()}
    stock = [name for name in ("keras", "keras_xla") if name in figures]
    figures["stock"] = figures[min(stock, key=lambda name: np.median(times[name]))]
    rates = rates_of(case, mine)
    for name, rate in rates.items():
        ceiling = ceilings[f"{name}_{providers.THREADS}"]["median"]
        figures[name] = quantiles(rate / ceiling)
    details = {
        "iterations": case.iterations,
        "paths": paths,
        "seconds": {name: quantiles(values) for name, values in times.items()},
        "per_second": {name: quantiles(rate) for name, rate in rates.items()},
        "roofline": ceilings,
    }
    benchmark.extra_info.update(details, figures=figures)
    record(case, figures, **details)


@parameters("memory")
def test_memory(benchmark, record, case):
    shares = []
    benchmark.pedantic(lambda: shares.append(memory.peak_shares(case)), rounds=1)
    figures = {name: quantiles([share]) for name, share in shares[0].items()}
    figures["memory"] = figures.pop("fused")
    benchmark.extra_info.update(figures=figures)
    record(case, figures)


@parameters("threads")
def test_threads(benchmark, record, case):
    pairs = []
    numbers = (1, providers.THREADS)
    benchmark.pedantic(
        lambda: pairs.append([threads.seconds(case, n) for n in numbers]), rounds=case.rounds
    )
    one, all_of_them = zip(*pairs, strict=True)
    figures = {"threads": ratio(all_of_them, one)}
    seconds = {"1": quantiles(one), str(providers.THREADS): quantiles(all_of_them)}
    benchmark.extra_info.update(figures=figures)
    record(case, figures, seconds_by_threads=seconds)


@parameters("growth")
def test_growth(benchmark, record, case):
    core = c_abi.library(providers.THREADS)
    c_abi.check(core)
    rows, cols = case.shape
    small, large = c_abi.SampleKl(core, rows // 10, cols), c_abi.SampleKl(core, rows, cols)
    small.run()
    large.run()
    times = []
    benchmark.pedantic(
        large.run, setup=lambda: times.append(small.seconds_per_element()), rounds=ROUNDS
    )
    per_element = np.array(benchmark.stats.stats.data) / np.prod(case.shape)
    figures = {"growth": ratio(times, per_element)}
    seconds = {"1e7": quantiles(times), "1e8": quantiles(per_element)}
    benchmark.extra_info.update(figures=figures, seconds_per_element=seconds)
    record(case, figures, seconds_per_element=seconds)
