"""The benchmarks refuse wrong kernels before timing them, and report what they measured."""

import json
import re
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import (
    adversaries,
    bench_ops,
    c_abi,
    measure,
    products,
    providers,
    report,
    results,
    trainers,
    updates,
)
from benchmarks.case import PEERS, STOCK, Bar, Case
from benchmarks.cases import CASES
from benchmarks.family import FAMILY
from benchmarks.operations import CORRUPTION, OPERATIONS

ROOT = Path(__file__).resolve().parent.parent
SHAPE = (33, 10)
SHAPES = {"dense": (33, 10, 7), "dense_transpose": (33, 10, 7)}
OWN = ("numba", "py_function")
TIMED = [case for case in CASES if case.measure in ("graph", "call")]


def ids(case):
    return case.name


def test_names_of_the_cases_are_unique():
    assert len({case.name for case in CASES}) == len(CASES)


@pytest.mark.parametrize("case", CASES, ids=ids)
def test_case_is_well_formed(case):
    known = {
        "fused",
        "fused_xla",
        *STOCK,
        *PEERS,
        *adversaries.MODULES,
        *trainers.MODULES,
        "openblas",
        *OWN,
    }
    assert set(case.providers) <= known - {"fused"}
    of_ops, of_models = {"graph", "call", "memory", "growth", "threads"}, {"fit", "generate"}
    of_gan = dict.fromkeys(("step", "sweep"), ("gan_step", "discriminator_update"))
    others = ("update", "product", "import", "compile")
    of_fit = {"fit": ("autoencoder_step",), "train": FAMILY}
    assert case.measure in {*of_ops, *of_models, *of_gan, *of_fit, *others}
    operations = {"update": updates.RULES, **of_gan, **of_fit}
    operations["product"] = ("dense", "dense_transpose")
    operations |= dict.fromkeys(of_ops, OPERATIONS)
    assert case.operation in operations.get(case.measure, [""])
    measured = {"stock", "triad", "fma", "memory", "growth", "seconds", "threads", *case.providers}
    for bar in case.bars:
        assert bar.figure in measured
        assert (bar.at_least is None) != (bar.at_most is None)
    if case.measure == "graph":
        assert case.iterations >= 3, "too few to see whether every repetition runs"


@pytest.mark.parametrize("case", [case for case in CASES if case.bytes_per_element], ids=ids)
def test_bytes_are_those_of_the_kernels_contract(case):
    header = (ROOT / "csrc" / "kernels" / f"{case.operation}.h").read_text()
    forward, backward = re.search(r"// Bytes: forward (\d+), backward (\d+) an", header).groups()
    assert case.bytes_per_element == int(forward) + int(backward)


class NumpyProvider:
    """The reference itself as a provider, right or made wrong by `spoil(i, outputs)`."""

    def __init__(self, spoil=lambda i, outputs: outputs, repeats=lambda iterations: iterations):
        self.spoil, self.repeats, self.known = spoil, repeats, True

    def draw(self, operation, i, shape):
        rng = np.random.default_rng(i)
        return (
            rng.random(shape) >= CORRUPTION if operation == "dropout" else self.normal(rng, shape)
        )

    def normal(self, rng, shape):
        return rng.standard_normal(shape)

    def build(self, name, operation, measure):
        name, operation = operation, OPERATIONS[operation]

        def run(iterations, *inputs):
            for i in range(self.repeats(iterations)):
                noise = (self.draw(name, i, inputs[0].shape),) if operation.recover else ()
                outputs = operation.reference(*(x.astype("float64") for x in inputs), *noise)
                outputs = [np.asarray(x, "float32") for x in self.spoil(i, outputs)]
                inputs = operation.next_inputs(inputs, outputs)
            return outputs

        return run

    def provider(self, known=True, name="fused"):
        same = lambda arrays: tuple(arrays)  # noqa: E731
        noise = self.draw if known else None
        return providers.Provider(name, self.build, same, same, "NumPy", noise)


def negate(output):
    def spoil(i, outputs):
        return [-x if at == output else x for at, x in enumerate(outputs)]

    return spoil


def case_of(operation, **changes):
    case = next(case for case in TIMED if case.operation == operation)
    shape = SHAPES.get(operation, SHAPE)
    return replace(case, shape=shape, providers=(), **changes)


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_check_accepts_the_reference(operation, known):
    measure.Contender(NumpyProvider().provider(known), case_of(operation)).check()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("operation", "output"),
    [(name, i) for name, op in OPERATIONS.items() for i in range(len(op.outputs))],
)
def test_check_refuses_a_wrong_sign(operation, output, known):
    contender = measure.Contender(NumpyProvider(negate(output)).provider(known), case_of(operation))
    with pytest.raises(AssertionError):
        contender.check()


class Repeating(NumpyProvider):
    def draw(self, operation, i, shape):
        return super().draw(operation, 0, shape)


class RepeatingRows(NumpyProvider):
    def draw(self, operation, i, shape):
        return np.broadcast_to(super().draw(operation, i, shape[1:]), shape)


class Uniform(NumpyProvider):
    def normal(self, rng, shape):
        return rng.uniform(-np.sqrt(3), np.sqrt(3), shape)


@pytest.mark.parametrize("wrong", [Repeating, RepeatingRows, Uniform])
def test_check_refuses_noise_that_is_not_noise(wrong):
    case = replace(case_of("gaussian_sample_kl"), shape=(300, 10))
    with pytest.raises(AssertionError):
        measure.Contender(wrong().provider(known=False), case).check()


def test_check_refuses_nan_and_wrong_dtypes():
    for spoil in (lambda i, x: [x[0] * np.nan, *x[1:]], lambda i, x: [x[1], *x[1:]]):
        contender = measure.Contender(
            NumpyProvider(spoil).provider(), case_of("gaussian_sample_kl")
        )
        with pytest.raises(AssertionError):
            contender.check()


@pytest.mark.parametrize("known", [True, False])
def test_check_refuses_skipped_repetitions(known):
    provider = NumpyProvider(repeats=lambda iterations: 1).provider(known)
    with pytest.raises(AssertionError):
        measure.Contender(provider, case_of("gaussian_sample_kl")).check()


@pytest.mark.parametrize("honest", [True, False])
def test_repetitions_that_take_no_time_are_found(honest):
    def run(iterations, *inputs):
        time.sleep(0.002 * (iterations if honest else 1))

    contender = measure.Contender(
        replace(NumpyProvider().provider(), build=lambda *_: run),
        case_of("gaussian_kl", iterations=8),
    )
    if honest:
        contender.assert_every_repetition_runs()
    else:
        with pytest.raises(AssertionError, match="8 repetitions take"):
            contender.assert_every_repetition_runs(attempts=1)


class Stopwatch:
    """Stands in for pytest-benchmark's fixture: being started is a failure."""

    def pedantic(self, *_, **__):
        raise RuntimeError("the clock was started")


@pytest.mark.parametrize(("spoil", "error"), [(negate(3), AssertionError), (None, RuntimeError)])
def test_a_wrong_kernel_is_red_before_it_is_timed(monkeypatch, spoil, error):
    provider = (NumpyProvider(spoil) if spoil else NumpyProvider()).provider()
    monkeypatch.setenv("FASTGEN_BENCH_COMPOSITE", "1")
    monkeypatch.setattr(providers, "load", lambda name: provider)
    records = []
    case = case_of("gaussian_sample_kl", measure="call")
    roofline = type("Roofline", (), {"taken": lambda self: 0, "sample": None})()
    with pytest.raises(error):
        bench_ops.test_time(Stopwatch(), records.append, roofline, case)
    assert records == []


COMBINATIONS = sorted(
    {(name, case.operation, case.measure) for case in TIMED for name in ("fused", *case.providers)}
)


@pytest.mark.parametrize(
    ("name", "operation", "how"),
    [pytest.param(*row, marks=pytest.mark.slow if row[0] in PEERS else []) for row in COMBINATIONS],
)
def test_every_provider_passes_its_check(name, operation, how):
    provider = providers.load(name)
    if provider is None:
        pytest.skip(f"{name} is not installed")
    measure.Contender(provider, case_of(operation, measure=how)).check()


@pytest.mark.parametrize("rule", updates.RULES)
@pytest.mark.parametrize("name", ["fused", "keras", "torch", "jax"])
def test_every_optimizer_passes_its_check(name, rule):
    if not updates.installed(name):
        pytest.skip(f"{name} is not installed")
    updates.build(name, rule, ((3, 7), (7,)))


@pytest.mark.parametrize("name", ["fused", "openblas"])
@pytest.mark.parametrize("operation", ["dense", "dense_transpose"])
def test_every_product_passes_its_check(name, operation):
    products.build(name, operation, (33, 10, 7))(1)


@pytest.mark.parametrize("name", ["_fastgen", "_openblas"])
def test_a_wrong_product_is_red_before_it_is_timed(monkeypatch, name):
    right = getattr(products, name)
    monkeypatch.setattr(products, name, lambda x, w, t: right(x, -w, t))
    with pytest.raises(AssertionError):
        products.build({"_fastgen": "fused", "_openblas": "openblas"}[name], "dense", (33, 10, 7))


def test_a_wrong_optimizer_is_red_before_it_is_timed(monkeypatch):
    monkeypatch.setitem(updates.CLASSES, "adam", "Nadam")
    with pytest.raises(AssertionError, match="keras: adam is not the reference's"):
        updates.build("keras", "adam", ((3, 7), (7,)))


def test_a_composite_is_not_timed_as_fused(monkeypatch):
    from benchmarks.providers import fused

    monkeypatch.setenv("FASTGEN_BACKEND", "composite")
    with pytest.raises(AssertionError, match="composite"):
        measure.contenders(case_of("gaussian_kl"))
    monkeypatch.setenv("FASTGEN_BENCH_COMPOSITE", "1")
    assert measure.contenders(case_of("gaussian_kl"))[2] == ["composite"]
    assert fused.require_fused({}, {"op": {"fused": 1}}) == ["fused"]


def test_kernels_called_through_the_c_abi():
    c_abi.check(c_abi.library(providers.THREADS))


def test_rounds_run_the_others_in_turn_and_ours_last():
    order = []

    def build(name, operation, measure):
        return lambda iterations, *inputs: order.append((name, iterations))

    def contender(name):
        provider = replace(NumpyProvider().provider(name=name), build=build)
        return measure.Contender(provider, case_of("gaussian_kl", iterations=5))

    rounds = measure.Rounds(contender("fused"), [contender("a"), contender("b")])
    rounds.before()
    assert order == [("a", 1), ("a", 5), ("b", 1), ("b", 5), ("fused", 1)]
    rounds.before()
    assert [name for name, _ in order[5:]] == ["b", "b", "a", "a", "fused"]
    assert {name: len(times) for name, times in rounds.times.items()} == {"a": 2, "b": 2}


def some_results(ratio=6.5):
    spread = measure.quantiles([0.9, 1.0, 1.1])
    scaled = lambda by: measure.quantiles([0.9 * by, by, 1.1 * by])  # noqa: E731
    case = Case(
        "op", "op, 7×3", "graph", shape=(7, 3), bars=(Bar("keras", at_least=6), Bar("triad", 0.5))
    )
    figures = {"keras": scaled(ratio), "triad": scaled(0.6), "stock": scaled(ratio)}
    seconds = {"fused": spread, "keras": scaled(ratio)}
    roofline = dict.fromkeys(("triad_1", "triad_2", "fma_1", "fma_2"), spread)
    model = Case("fit", "a step, batch 7", "fit", shape=(7,))
    other = Case("memory", "peak", "memory", bars=(Bar("memory", at_most=1.0),))
    return {
        "environment": {"cpu": "CPU", "isa": "avx2", "threads": 2, "versions": "fastgen 0"},
        "rows": [
            results.record(case, figures, seconds=seconds, roofline=roofline),
            results.record(model, {"keras": scaled(ratio)}, seconds=seconds),
            results.record(other, {"memory": scaled(1.0), "keras": scaled(1.7)}),
        ],
    }


@pytest.mark.parametrize(("ratio", "missed"), [(6.5, 0), (5.5, 1)])
def test_report_fills_the_readme(tmp_path, ratio, missed):
    path, readme = tmp_path / "results" / "ops.json", tmp_path / "README.md"
    path.parent.mkdir()
    path.write_text(json.dumps(some_results(ratio)))
    readme.write_text(f"# Title\n{report.BEGIN}\nold\n{report.END}\nrest\n")
    arguments = ["--results", str(path), "--readme", str(readme)]
    assert report.main(arguments) == 0
    assert report.main([*arguments, "--check"]) == missed
    text = readme.read_text()
    assert text.startswith("# Title\n") and text.endswith("\nrest\n") and "old" not in text
    assert f"{'✗' if missed else '✓'} ≥ 6× Keras, ✓ ≥ 50% of triad" in text
    assert f"| {report.MODEL}, float32 | fastgen | Keras |" in text and "a step, batch 7" in text
    assert "![Speed relative to Keras](results/ops.png)" in text
    assert (tmp_path / "results" / "ops.png").stat().st_size > 10_000


def test_report_needs_the_markers():
    with pytest.raises(SystemExit, match="README"):
        report.insert("# Title", "table")


def test_an_incomplete_run_leaves_the_results_alone(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTGEN_BENCH_RESULTS", raising=False)
    monkeypatch.setattr(results, "RESULTS", tmp_path / "cpu" / "ops.json")
    rows = {case.name: {"name": case.name} for case in CASES}
    assert results.write({CASES[0].name: {}}, {}) is None
    assert results.write(rows, {"cpu": "CPU"}) == tmp_path / "cpu" / "ops.json"
    written = json.loads((tmp_path / "cpu" / "ops.json").read_text())
    assert [row["name"] for row in written["rows"]] == [case.name for case in CASES]


def test_committed_results_have_the_rows_of_the_table():
    if not report.RESULTS.exists():
        pytest.skip("no run has been committed")
    rows = [row["name"] for row in json.loads(report.RESULTS.read_text())["rows"]]
    assert rows == [case.name for case in CASES]


def test_the_readme_shows_the_committed_results():
    if not report.RESULTS.exists():
        pytest.skip("no run has been committed")
    found = json.loads(report.RESULTS.read_text(encoding="utf-8"))
    text = report.block(found, report.RESULTS.with_suffix(".png"), report.README)
    readme = report.README.read_text(encoding="utf-8")
    assert readme == report.insert(readme, text), "benchmarks/report.py makes it anew"
    text = report.system_table(found)
    assert readme == report.insert(readme, text, *report.SYSTEMS), "benchmarks/report.py again"
