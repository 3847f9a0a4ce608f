"""The benchmarks of the GAN refuse wrong steps before timing them."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import adversaries, bench_gan, gan, measure, report, results
from benchmarks.cases import CASES
from tests.tolerances import NUMERIC, NUMERIC_STEP

OPERATIONS = ("gan_step", "discriminator_update")
BATCH = 8
PHASES = [("gan_step", "generator"), *((name, "discriminator") for name in OPERATIONS)]
TENSORS = gan.GENERATOR_VARIABLES  # of either network


@pytest.mark.parametrize("operation", OPERATIONS)
def test_check_accepts_the_reference(operation):
    gan.check(gan.Reference(operation, gan.make_weights()), operation, BATCH)


@pytest.mark.parametrize("tensor", range(TENSORS))
@pytest.mark.parametrize(("operation", "phase"), PHASES)
def test_check_refuses_a_wrong_sign(operation, phase, tensor):
    def spoil(now, gradients):
        wrong = [-g if i == tensor else g for i, g in enumerate(gradients)]
        return wrong if now == phase else gradients

    with pytest.raises(AssertionError, match="reference: tensor"):
        gan.check(gan.Reference(operation, gan.make_weights(), spoil=spoil), operation, BATCH)


@pytest.mark.parametrize("field", ["real", "noise", "nothing"])
def test_check_refuses_other_images_noise_and_a_step_less(field):
    class Wrong(gan.Reference):
        def take(self, feed):
            arrays = dict(vars(feed))
            if field == "nothing":
                arrays = {name: x[:-1] for name, x in arrays.items()}
            elif field == "noise":  # both phases the same
                arrays["noise"] = arrays["noise"][:, [0, 0]]
            else:
                arrays["real"] = arrays["real"][::-1]
            super().take(gan.Feed(**arrays))

    wrong = Wrong("gan_step", gan.make_weights())
    with pytest.raises(AssertionError, match="reference: tensor"):
        gan.check(wrong, "gan_step", BATCH)


def test_the_references_gradients_are_those_of_its_losses():
    """Against differences of the losses, along the gradients."""
    found = {}
    keep = lambda phase, g: found.setdefault(phase, g)  # noqa: E731
    weights, feed = gan.make_weights(), gan.make_feed(BATCH, steps=1)
    reference = gan.Reference("gan_step", weights, spoil=keep)
    w = [x.astype("float64") for x in weights]
    g, d = w[: gan.GENERATOR_VARIABLES], w[gan.GENERATOR_VARIABLES :]
    reference.take(feed)
    moved = reference.weights()[gan.GENERATOR_VARIABLES :]

    def imagine(g, noise):
        return 1 / (1 + np.exp(-gan._forward(g, noise.astype("float64"))[1]))

    def discriminator_loss(d):
        fake, real = imagine(g, feed.noise[0, 0]), feed.real[0].reshape(BATCH, -1)
        signed = gan._forward(d, fake)[1], -gan._forward(d, real.astype("float64"))[1]
        return np.mean(np.logaddexp(0, signed))

    def generator_loss(g):
        return np.mean(np.logaddexp(0, -gan._forward(moved, imagine(g, feed.noise[0, 1]))[1]))

    for phase, loss, at in (
        ("discriminator", discriminator_loss, d),
        ("generator", generator_loss, g),
    ):
        ends = [
            loss([x + step * y for x, y in zip(at, found[phase], strict=True)])
            for step in (NUMERIC_STEP, -NUMERIC_STEP)
        ]
        slope = np.subtract(*ends) / (2 * NUMERIC_STEP)
        expected = sum(np.sum(x**2) for x in found[phase])
        np.testing.assert_allclose(slope, expected, rtol=NUMERIC[0])


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=pytest.mark.slow if name in adversaries.COMPILED else [])
        for name in adversaries.MODULES
    ],
)
def test_every_provider_passes_its_check(name, operation):
    if not adversaries.installed(name):
        pytest.skip(f"{name} is not installed")
    if (name, operation) == ("loop", "discriminator_update"):
        pytest.skip("the book's loop has no such step")
    adversary = adversaries.load(name, operation, BATCH, per_call=2)
    adversary.run(4)
    assert all(np.isfinite(w).all() for w in adversary.weights())


def test_a_composite_is_not_timed_as_fused(monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "composite")
    case = next(case for case in CASES if case.name == "gan_step_32_call")
    with pytest.raises(AssertionError, match="fused took .'composite'., see fastgen.doctor"):
        bench_gan.contenders(replace(case, shape=(BATCH,), providers=()))


def test_flops_are_those_of_the_book():
    assert gan.flops("gan_step") * 32 == pytest.approx(87.5e6, rel=0.002)  # PERF.md's
    macs = 784 * 150 + 150 * 100 + 100
    assert gan.flops("discriminator_update") == 2 * 2 * (macs + macs + 150 * 100 + 100)


def test_shuffled_rows_visit_all_images_before_any_twice():
    rows = gan.Shuffle(batch=3, count=12)(8).reshape(2, -1)
    assert [sorted(epoch) for epoch in rows.tolist()] == [list(range(12))] * 2
    assert rows[0].tolist() != rows[1].tolist()


def test_report_has_the_steps_and_the_sweep():
    spread = measure.quantiles([1e-3, 2e-3, 3e-3])
    chosen = [case for case in CASES if case.name in ("gan_step_32", "gan_step_sweep_64")]
    rows = [
        results.record(
            case,
            dict.fromkeys(("fma", *case.providers), spread),
            seconds=dict.fromkeys(("fused", *case.providers), spread),
            per_second={"fma": measure.quantiles([5e10])},
            roofline={"triad_1": spread, "fma_1": spread},
        )
        for case in chosen
    ]
    environment = {"cpu": "CPU", "isa": "avx2", "threads": 2, "versions": "fastgen 0"}
    text = report.table({"environment": environment, "rows": rows})
    assert "| the book's GAN, float32 | fastgen | Keras | Keras XLA |" in text
    assert f"| {chosen[0].title} | **2.0 ms**" in text
    assert (
        f"| {chosen[1].title} | **2.0 ms** (1.4 – 2.6 ms) | 31 µs | 50 | 0% of FMA peak |" in text
    )
    assert len(list(report.summary(rows))) > 10
