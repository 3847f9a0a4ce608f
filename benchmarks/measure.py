"""How times are taken: providers interleaved, every one warmed the same way."""

import time

import numpy as np

from benchmarks import providers
from benchmarks.check import check
from benchmarks.operations import OPERATIONS

ROUNDS = 24


def quantiles(values):
    p20, median, p80 = np.quantile(values, (0.2, 0.5, 0.8))
    return {"median": float(median), "p20": float(p20), "p80": float(p80), "rounds": len(values)}


def ratio(ours, theirs):
    """Their time over ours, round by round, so that a drift of the machine cancels."""
    return quantiles(np.divide(theirs, ours))


def rates_of(case, seconds):
    """Bytes and floating-point operations a second, by the name of their ceiling."""
    work = {"triad": case.bytes_per_element, "fma": case.flops_per_element}
    size = np.prod(case.shape)
    return {name: size * per_element / seconds for name, per_element in work.items() if per_element}


class Contender:
    """A provider made ready for one case."""

    def __init__(self, provider, case):
        operation = OPERATIONS[case.operation]
        self.provider, self.case = provider, case
        self.run = provider.build(provider.name, case.operation, case.measure)
        arrays = operation.draw(case.shape, case.dtype, operation.upstream)
        self._arrays, self._inputs = arrays, provider.put(arrays)

    def run_numpy(self, iterations, *inputs):
        """The timed function with NumPy in and out, for the check."""
        return self.provider.get(self.run(iterations, *self.provider.put(inputs)))

    def check(self):
        case, known = self.case, self.provider.noise
        noise = known and (lambda i: known(case.operation, i, case.shape))
        check(OPERATIONS[case.operation], self.run_numpy, case.shape, case.dtype, noise)

    def inputs(self):
        return self.provider.put(self._arrays) if self.provider.donates else self._inputs

    def warm(self):
        """One repetition untimed, so that none pays for what its predecessor left in the caches."""
        self.run(1, *self.inputs())

    def time(self, iterations):
        """Seconds of one repetition."""
        inputs = self.inputs()
        start = time.perf_counter()
        self.run(iterations, *inputs)
        return (time.perf_counter() - start) / iterations

    def assert_every_repetition_runs(self, attempts=3):
        """Twice the repetitions must take about twice as long, or a compiler has dropped some."""
        many = self.case.iterations
        few = many // 2
        for _ in range(attempts):
            self.warm()
            short = min(self.time(few) for _ in range(3)) * few
            long = min(self.time(many) for _ in range(3)) * many
            if long > short * (1 + 0.5 * (many - few) / few):
                return
        raise AssertionError(
            f"{self.provider.name}: {many} repetitions take {long:.3g} s and {few} {short:.3g} s"
        )


class Ready:
    """Something that runs a number of steps on state of its own, as `Rounds` takes it."""

    def __init__(self, provider, case, run, few=1):
        self.provider, self.case, self.run, self._few = provider, case, run, few

    def inputs(self):
        return ()

    def warm(self):
        """A few steps untimed, so that none pays for what its predecessor left in the caches."""
        self.run(self._few)

    def time(self, iterations):
        """Seconds of one step."""
        start = time.perf_counter()
        self.run(iterations)
        return (time.perf_counter() - start) / iterations


class Rounds:
    """Runs and times the other providers before each of our rounds, in turning order."""

    def __init__(self, ours, others, sample=lambda: None):
        self.ours, self.others, self.sample = ours, others, sample
        self.times = {other.provider.name: [] for other in others}
        self._turn = 0

    def before(self):
        """`setup` of pytest-benchmark's pedantic: its time is not ours."""
        self.sample()
        start = self._turn % max(1, len(self.others))
        self._turn += 1
        for other in self.others[start:] + self.others[:start]:
            other.warm()
            self.times[other.provider.name].append(other.time(self.ours.case.iterations))
        self.ours.warm()
        return (self.ours.case.iterations, *self.ours.inputs()), {}


def contenders(case):
    """Ours and the others, each checked against the reference before anything is timed.

    Returns:
        Our contender, the others that are installed, and the paths our ops took.
    """
    from benchmarks.providers import fused

    before = fused.paths(case.operation)
    found = []
    for name in ("fused", *case.providers):
        if provider := providers.load(name):
            with fused.backend("fused" if case.forced else None):
                found.append(Contender(provider, case))
                found[-1].check()  # traces, so that the path is chosen
    paths = fused.require_fused(before, fused.paths(case.operation))
    return found[0], found[1:], paths
