"""Times models: a training step through `fit`, or the peer's loop, and images generated."""

import time

import numpy as np
import pytest

from benchmarks import trainers, vae
from benchmarks.cases import cases
from benchmarks.family import FAMILY
from benchmarks.measure import Rounds, quantiles, ratio
from benchmarks.members import MEMBERS

ROUNDS = 20


class Contender:
    """A trainer made ready for one case, as `measure.Rounds` takes it."""

    def __init__(self, trainer, case):
        self.provider, self.case = trainer, case
        (self._batch,) = case.shape
        count = case.iterations // case.per_call * self._batch
        self._images = (MEMBERS.get(case.operation) or vae).make_images(count)

    def inputs(self):
        return ()

    def warm(self):
        """Nothing: a run is long, and begins with what lies in main memory."""

    def run(self, iterations):
        """Epochs of `iterations` steps in all, or as many calls that each generate a batch."""
        if self.case.measure == "train":
            return self.provider.epoch(self._images, self._batch, self.case.per_call)
        if self.case.measure == "fit":
            return self.provider.epoch(self._images, self._batch)
        for _ in range(iterations):
            images = self.provider.generate(self._batch)
        return images

    def time(self, iterations):
        """Seconds of one step or call."""
        start = time.perf_counter()
        self.run(iterations)
        return (time.perf_counter() - start) / iterations


def contenders(case):
    """Ours and the others: those that are installed, each checked before anything is timed."""
    found = []
    for trainer in _checked(MEMBERS.get(case.operation), ("fused", *case.providers)):
        found.append(Contender(trainer, case))
        found[-1].run(1)  # compiles
    return found[0], found[1:]


def _checked(member, names):
    """Trainers of the VAE or of a member of the family."""
    weights = vae.make_weights()
    for name in names:
        trainer = member.trainer(name) if member else trainers.load(name, weights)
        if trainer:
            member.check(trainer) if member else vae.check(trainer, weights)
            yield trainer


@pytest.mark.parametrize("case", cases("fit", "train", "generate"), ids=lambda case: case.name)
def test_model(benchmark, record, case):
    ours, others = contenders(case)
    rounds = Rounds(ours, others)
    benchmark.pedantic(ours.run, setup=rounds.before, rounds=ROUNDS, iterations=1)
    mine = np.array(benchmark.stats.stats.data) / case.iterations
    figures = {name: ratio(mine, theirs) for name, theirs in rounds.times.items()}
    seconds = {name: quantiles(x) for name, x in ({"fused": mine} | rounds.times).items()}
    benchmark.extra_info.update(seconds=seconds, figures=figures)
    record(case, figures, iterations=case.iterations, seconds=seconds, **_system(case))


def _system(case):
    """How large a member of the family is, and the losses of ours and of its twin, once."""
    member, batch = MEMBERS.get(case.operation), case.shape[0]
    if not member or batch != FAMILY[case.operation][1][0][0]:
        return {}
    found = {"parameters": member.model("fused").count_params(), "epoch": member.epoch}
    return {**found, "losses": member.final_losses(batch)}
