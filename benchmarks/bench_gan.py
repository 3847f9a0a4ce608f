"""Times steps of the book's GAN, and updates of its discriminator."""

import numpy as np
import pytest

import fastgen
from benchmarks import adversaries, providers
from benchmarks.cases import cases
from benchmarks.measure import Ready, Rounds, quantiles, rates_of, ratio
from benchmarks.providers import fused


def ready(name, case):
    (batch,) = case.shape
    adversary = adversaries.load(name, case.operation, batch, case.per_call)
    made = Ready(adversary, case, adversary.run, few=adversary.per_call)
    made.warm()  # compiles
    return made


def contenders(case):
    """Ours, the others that are installed, each checked, and the paths that our op took."""
    before = fastgen.stats()
    ours = ready("fused", case)
    taken = [{op: s[op] for op in s if op == case.operation} for s in (before, fastgen.stats())]
    paths = fused.require_fused(*taken)
    others = [ready(name, case) for name in case.providers if adversaries.installed(name)]
    return ours, others, paths


@pytest.mark.parametrize("case", cases("step", "sweep"), ids=lambda case: case.name)
def test_gan(benchmark, record, roofline, case):
    ours, others, paths = contenders(case)
    taken = roofline.taken()
    rounds = Rounds(ours, others, roofline.sample)
    benchmark.pedantic(ours.run, setup=rounds.before, rounds=case.rounds, iterations=1)
    mine = np.array(benchmark.stats.stats.data) / case.iterations
    times = {"fused": mine, **rounds.times}
    ceilings = roofline.figures(taken)
    figures = {name: ratio(mine, theirs) for name, theirs in rounds.times.items()}
    stock = [name for name in ("keras", "keras_xla") if name in figures]  # a step a call
    if stock:
        figures["stock"] = figures[min(stock, key=lambda name: np.median(times[name]))]
    rate = rates_of(case, mine)["fma"]
    figures["fma"] = quantiles(rate / ceilings[f"fma_{providers.THREADS}"]["median"])
    details = {
        "iterations": case.iterations,
        "per_call": case.per_call,
        "paths": paths,
        "seconds": {name: quantiles(values) for name, values in times.items()},
        "per_second": {"fma": quantiles(rate)},
        "roofline": ceilings,
    }
    benchmark.extra_info.update(details, figures=figures)
    record(case, figures, **details)
