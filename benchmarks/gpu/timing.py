"""One row: providers are checked against float64, and those that are right are timed by turns."""

import math

from benchmarks.gpu import work as works
from benchmarks.gpu.kernels import Missing
from benchmarks.gpu.row import ERRORS, GRAPH
from benchmarks.measure import quantiles, ratio

MOST_SETS = 16  # of inputs
IN_A_GRAPH = 64  # calls, at most


class Fault(Exception):
    """The GPU does no more for this process."""


class Trial:
    """A row on its way: status and errors of every provider, and the seconds of its rounds."""

    def __init__(self, row, device, kernels, small, only=None, announce=lambda provider: None):
        self.row, self.device, self._only, self._kernels = row, device, only, kernels
        self._announce = announce
        self.shape = row.small if small else row.shape
        self.work = works.load(row.work)(row, self.shape, device, kernels)
        self.status, self.errors, self.samples = {}, {}, {}

    def providers(self):
        found = [x for x in self.row.providers if self._only in (None, x.removesuffix(GRAPH))]
        return [x for x in found if self._kernels or not x.startswith("fastgen")]

    def check(self, provider, seed, skip=False):
        """Fresh inputs, poisoned outputs; nothing that is not right will be timed."""
        self._announce(provider)
        if skip:
            self.status[provider] = "killed: it crashed or took too long"
            return
        self._attempt(provider, lambda: self._check(provider, seed))

    def _check(self, provider, seed):
        inputs = self.work.draw(seed)
        run = self.work.build(provider, inputs)
        if provider.endswith(GRAPH) and run.finish:
            raise Missing("its calls cannot be captured")
        if provider.endswith(GRAPH) and self.work.checked == 1 and not self.work.stateful:
            replay = self.device.capture([run.once])
            for output in run.outputs():
                output[...] = math.nan
            replay()
        else:
            for _ in range(self.work.checked):
                run.once()
        (run.finish or self.device.wait)()
        outputs = [self.device.native(x) for x in run.outputs()]
        self.errors[provider] = self.work.check(provider, inputs, outputs)
        most = ERRORS[self.row.precision]
        for name, error in self.errors[provider].items():
            if not error < most:
                raise works.Wrong(f"{name} is {error:.2g} off, allowed {most:g}")

    def time(self, seed):
        """Rounds in which every provider runs, each time another one first."""
        least = self.device.least if self.row.rotates else 0
        sets = [self.work.draw(seed)]
        count = math.ceil(least / max(self.work.bytes_of(sets[0]), 1))
        sets += [self.work.draw(seed + 10 * i) for i in range(1, min(count, MOST_SETS))]
        ready = {}
        for provider in [x for x in self.status if self.status[x] == "right"]:
            self._announce(provider)
            self._attempt(provider, lambda: ready.update({provider: self._ready(provider, sets)}))  # noqa: B023
        self._announce("")
        for turn in range(1 if self.device.dry else self.row.rounds):
            order = list(ready)
            first = turn % max(1, len(order))
            for provider in order[first:] + order[:first]:
                self._attempt(provider, lambda: self._sample(provider, ready[provider]))  # noqa: B023
        for provider in ready:
            if self.status[provider] == "right":
                self.status[provider] = "timed"
        self.samples = {x: y for x, y in self.samples.items() if self.status[x] == "timed"}

    def _ready(self, provider, sets):
        """A call that does some repetitions, how many, how often, and what waits for its end."""
        runs = [self.work.build(provider, inputs) for inputs in sets]
        finish, device = runs[0].finish, self.device
        call, repetitions = in_turn([run.once for run in runs]), 1
        for _ in range(max(len(runs), device.trials)):
            call()
        (finish or device.wait)()
        each = max(device.seconds(call, device.trials, finish), 1e-7)
        if provider.endswith(GRAPH):
            repetitions = max(len(runs), min(IN_A_GRAPH, math.ceil(5e-4 / each)))
            calls = [runs[i % len(runs)].once for i in range(repetitions)]
            call = device.capture(calls)
            call()
            each = max(device.seconds(call, device.trials), 1e-7)
        # A few calls say nothing where each waits for those before it: as many as fill the target.
        count = max(1, min(2000, math.ceil(device.target / each)))
        return runs, call, repetitions, count, finish

    def _sample(self, provider, ready):
        _, call, repetitions, count, finish = ready
        call()
        seconds = self.device.seconds(call, count, finish) / repetitions
        self.samples.setdefault(provider, []).append(seconds)

    def _attempt(self, provider, action):
        if self.status.get(provider, "right") != "right":
            return
        try:
            action()
            self.device.wait()
            self.status[provider] = "right"
        except Missing as why:
            self.status[provider] = f"missing: {why}"
        except works.Wrong as why:
            self.status[provider] = f"wrong: {why}"
        except Exception as why:
            lines = str(why).strip().splitlines() or [""]
            self.status[provider] = f"failed: {type(why).__name__}: {lines[0]}"[:300]
            self._require_life()

    def _require_life(self):
        try:
            self.device.normal((4,), 0).sum()
            self.device.wait()
        except Exception as error:
            raise Fault(str(error).splitlines()[0]) from None

    def record(self, ceilings):
        """What `results.py` reads; of a dry run no time."""
        row = self.row
        known = {"name": row.name, "title": row.title, "shape": list(self.shape)}
        known |= {"precision": row.precision, "ours": row.ours, "floor": row.floor}
        known |= {"status": self.status, "errors": self.errors}
        figures = self._figures(ceilings)
        bars = [self._bar(bar, figures.get(bar.figure)) for bar in row.bars]
        seconds = {name: quantiles(values) for name, values in self.samples.items()}
        if self.device.dry:
            seconds, figures = {}, {}
            bars = [{**bar, "value": None, "met": None} for bar in bars]
        return {**known, "seconds": seconds, "figures": figures, "bars": bars}

    def _figures(self, ceilings):
        ours = self.samples.get(self.row.ours)
        if not ours:
            return {}
        found = {x: ratio(ours, y) for x, y in self.samples.items() if x != self.row.ours}
        found["microseconds"] = quantiles([1e6 * x for x in ours])
        if self.row.flops:
            found["teraflops"] = quantiles([self.row.flops / x / 1e12 for x in ours])
        if self.row.floor:
            found["share"] = quantiles([self.row.floor / x for x in ours])
        if self.row.bytes and ceilings.get("copy"):
            found["copy"] = quantiles([self.row.bytes / x / ceilings["copy"] for x in ours])
        return found

    def _bar(self, bar, figure):
        limits = {"at_least": bar.at_least, "at_most": bar.at_most, "stretch": bar.stretch}
        value = figure and figure["median"]
        met = None if value is None else bool(bar.met(value))
        limits = {name: limit for name, limit in limits.items() if limit is not None}
        return {"figure": bar.figure, **limits, "value": value, "met": met}


def in_turn(calls):
    """A function that makes the next of the calls, round and round."""
    if len(calls) == 1:
        return calls[0]
    at = 0

    def call():
        nonlocal at
        calls[at]()
        at = (at + 1) % len(calls)

    return call
