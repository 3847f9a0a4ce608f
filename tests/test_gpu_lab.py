"""benchmarks/gpu_lab.sh without a GPU: what it checks, what it survives, what it never claims."""

import ctypes
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gpu import kernels, lab, report, results, structures, table, timing, work
from benchmarks.gpu.device import DryRun
from benchmarks.gpu.row import Row
from benchmarks.gpu.rows import ROWS, choose
from benchmarks.report import insert
from tests.cuda import build

ROOT = Path(__file__).resolve().parent.parent
FORWARD = choose(["sample_kl_forward"])[0]


@pytest.fixture(scope="module")
def library():
    return build.plain()


@pytest.fixture
def trial(library):
    """A row on the CPU."""
    device = DryRun()
    return lambda row=FORWARD: timing.Trial(row, device, kernels.Kernels(library, device), True)


def start(out, *arguments, rows="sample_kl_backward,sample_kl_128x2_graph", **options):
    environment = {**os.environ, "PYTHON": sys.executable, "FASTGEN_LAB_ROWS": rows}
    command = [str(ROOT / "benchmarks/gpu_lab.sh"), "--dry-run", "--out", str(out), *arguments]
    return subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )


def records(out, stage="core"):
    return [json.loads(line) for line in (out / f"{stage}.jsonl").read_text().splitlines()]


# --- the script ---


def test_dry_run_checks_kernels_and_claims_no_time(library, tmp_path):
    process = start(tmp_path, "core", "tools")
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 0, said
    found = {line["name"]: line for line in records(tmp_path) if line["kind"] == "row"}
    assert set(found) == {"sample_kl_backward", "sample_kl_128x2_graph"}
    for row in found.values():
        assert row["status"][row["ours"]] == "timed"
        assert max(row["errors"][row["ours"]].values()) < 1e-6
    pieces = [x for x in records(tmp_path, "tools") if x["kind"] == "piece"]
    assert {"build", "memcheck", "racecheck", "ncu sample_kl_backward"} <= {
        x["name"] for x in pieces
    }
    assert {x["outcome"] for x in pieces} == {"ok"}
    for stage in ("core", "tools"):
        for line in records(tmp_path, stage):
            assert (line["dry_run"] and not line.get("seconds")) or line["kind"] == "piece"
            assert not line.get("figures") and not line.get("values")
            assert all(bar["met"] is None and bar["value"] is None for bar in line.get("bars", []))
    last = said[said.rindex("DRY RUN") :].splitlines()
    assert len(last) <= table.LINES and (tmp_path / "table.txt").read_text().splitlines() == last


def test_a_kill_leaves_what_was_done_and_the_table(library, tmp_path):
    process = start(tmp_path, rows="")
    deadline = time.monotonic() + 60
    lines = tmp_path / "core.jsonl"
    while not (lines.exists() and '"name": "sample_kl_forward"' in lines.read_text()):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 143
    assert "sample + KL, 1M×128, forward" in said[said.rindex("DRY RUN") :]
    found = [line["name"] for line in records(tmp_path) if line["kind"] == "row"]
    assert "sample_kl_forward" in found and len(found) < len(ROWS)


@pytest.mark.parametrize("ended_by", [signal.SIGINT, signal.SIGTERM])
def test_the_table_comes_after_ctrl_c(library, tmp_path, ended_by):
    """A terminal sends it to every process of the script, also to the one that writes the log."""
    process = start(tmp_path, "--seconds", "60", start_new_session=True)
    while "== build, at most" not in process.stdout.readline():
        assert process.poll() is None
    os.killpg(process.pid, ended_by)
    said = process.communicate(timeout=120)[0]
    assert process.returncode == 128 + ended_by and "DRY RUN" in said
    assert "DRY RUN" in (tmp_path / "log.txt").read_text()


def test_without_time_nothing_starts(tmp_path):
    process = start(tmp_path, "--seconds", "5", "core")
    said = process.communicate(timeout=120)[0]
    outcomes = {line["outcome"] for line in records(tmp_path) if line["kind"] == "piece"}
    assert outcomes == {"no time left"} and "DRY RUN" in said


def test_dry_runs_stay_out_of_the_results():
    process = start(results.FOLDER / "some")
    said = process.communicate(timeout=120)[0]
    (results.FOLDER / "some").rmdir()
    assert process.returncode == 2 and "a dry run measures nothing" in said


def test_unknown_arguments_are_refused(tmp_path):
    process = start(tmp_path, "everything")
    assert "Received: everything" in process.communicate(timeout=120)[0]
    assert process.returncode == 2


@pytest.mark.parametrize("seconds", ["x", "0", "-3", "1.5", ""])
def test_seconds_that_are_none_are_refused(tmp_path, seconds):
    process = start(tmp_path, "--seconds", seconds)
    assert f"a whole number above 0. Received: {seconds}" in process.communicate(timeout=120)[0]
    assert process.returncode == 2


def test_unknown_rows_are_refused_before_the_build(tmp_path):
    process = start(tmp_path, rows="adam_gan,nope")
    said = process.communicate(timeout=120)[0]
    assert "no rows ['nope']" in said and "build" not in said
    assert process.returncode == 2


def test_keras_rows_wait_for_the_gpu(monkeypatch):
    tf = pytest.importorskip("tensorflow")
    from benchmarks.gpu import keras_rows

    monkeypatch.setattr(tf.test.experimental, "sync_devices", lambda: time.sleep(0.05))
    case = dataclasses.replace(keras_rows.chosen(dry_run=True)[0], rounds=1, iterations=2)
    record = keras_rows.measure(case, dry_run=False)
    assert record["status"] == {"fastgen": "timed", "keras": "timed"}
    assert all(found["median"] >= 0.025 for found in record["seconds"].values())


# --- a row ---


def test_a_missing_peer_is_said_and_passed_by(trial, monkeypatch):
    monkeypatch.setitem(work.PACKAGES, "torch", "no_such_package")
    row = trial()
    row.check("torch", 1)
    row.check("fastgen", 1)
    row.time(2)
    assert row.status == {"torch": "missing: no_such_package is not installed", "fastgen": "timed"}


def test_a_kernel_that_is_not_there_is_missing(trial):
    row = dataclasses.replace(FORWARD, work="tied.Tied", shape=(4, 3, 5), small=(4, 3, 5))
    tried = trial(row)
    tried.work.kernels.has = lambda name: False
    tried.check("fastgen", 1)
    assert tried.status["fastgen"] == "missing: fg_cuda_dense_transpose is not in the library"


def test_a_failing_kernel_leaves_the_others(trial, monkeypatch):
    def fail(self, inputs):
        raise kernels.KernelError("gaussian_sample_kl: CUDA failed")

    row = trial()
    row.check("fastgen_graph", 1)
    monkeypatch.setattr(type(row.work), "fastgen", fail)
    row.check("fastgen", 1)
    row.time(2)
    assert row.status["fastgen"] == "failed: KernelError: gaussian_sample_kl: CUDA failed"
    assert "fastgen" not in row.samples


def write_nothing(z, kl):
    pass


def write_all_but_one(z, kl):
    z.ravel()[:-1] = 0
    kl[...] = 0


def write_a_wrong_sign(z, kl):
    kl *= -1


@pytest.mark.parametrize("spoil", [write_nothing, write_all_but_one, write_a_wrong_sign])
def test_what_is_wrong_is_not_timed(trial, monkeypatch, spoil):
    tried = trial()
    right = type(tried.work).fastgen

    def fastgen(self, inputs):
        run = right(self, inputs)
        if any(np.any(x) for x in inputs):  # not where the noise is asked for
            once = run.once if spoil is write_a_wrong_sign else lambda: None
            run.once = lambda: (once(), spoil(*run.outputs()))
        return run

    tried.check("fastgen", 1)
    assert tried.status["fastgen"] == "right"
    monkeypatch.setattr(type(tried.work), "fastgen", fastgen)
    tried = trial()
    tried.check("fastgen", 1)
    tried.time(2)
    assert tried.status["fastgen"].startswith("wrong") and not tried.samples


def test_a_row_without_ours_has_no_verdict(trial):
    bars = trial().record({})["bars"]
    assert len(bars) == len(FORWARD.bars) and all(bar["met"] is None for bar in bars)


# --- workers that end ---

WORKER = """
import json, os, signal, sys, time
skipped = [x for x in sys.argv if ":" in x]
for row in [x for x in sys.argv[1:] if x in ("a", "b")]:
    for provider in ("fastgen", "torch"):
        if f"{row}:{provider}" in skipped:
            continue
        print(json.dumps({"kind": "begin", "row": row, "provider": provider}), flush=True)
        if row == "a" and provider == "torch":
            HOW
    print(json.dumps({"kind": "row", "dry_run": True, "name": row, "title": row, "seconds": {},
          "status": {}, "ours": "fastgen"}), flush=True)
"""


@pytest.mark.parametrize(
    ("how", "why"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "ended with exit code -11"),
        ("time.sleep(600)", "took too long"),
        ('print(\'{"kind": "fault", "why": "illegal address"}\', flush=True); os._exit(3)', "ill"),
    ],
)
def test_a_worker_that_ends_loses_one_provider(tmp_path, how, why):
    rows = [Row(name, name, "", (), (), (), seconds=2) for name in ("a", "b")]
    command = [sys.executable, "-c", WORKER.replace("HOW", how)]
    lines = lab.Lines(tmp_path / "rows.jsonl")
    assert lab.run(rows, command, lines, time.monotonic() + 60) == []
    found = [json.loads(x) for x in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert [x["name"] for x in found if x["kind"] == "row"] == ["a", "b"]
    (lost,) = [x for x in found if x["kind"] == "lost"]
    assert (lost["row"], lost["provider"]) == ("a", "torch") and lost["why"].startswith(why)


def test_workers_that_never_start_end_it(tmp_path):
    lines = lab.Lines(tmp_path / "rows.jsonl")
    left = lab.run([FORWARD], [sys.executable, "-c", "1/0"], lines, time.monotonic() + 60)
    assert left == [FORWARD] and len((tmp_path / "rows.jsonl").read_text().splitlines()) == 2


# --- the tables that it goes by ---


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_is_well_formed(row):
    assert row.ours in row.providers and len(row.title) <= 42
    assert {x.removesuffix("_graph") for x in row.providers} <= set(work.PROVIDERS)
    known = {*row.providers, "microseconds"} | ({"share"} if row.floor else set())
    known |= {"copy"} if row.bytes else set()
    assert {bar.figure for bar in row.bars} <= known
    assert issubclass(work.load(row.work), work.Work)
    notes = (results.FOLDER / "NOTES.md").read_text(encoding="utf-8")
    assert f"| `{row.name}`: {row.title} |" in notes


def test_launchers_are_read_from_their_headers():
    names = [name for name, _ in kernels.declarations()["fg_cuda_gaussian_sample_kl"]]
    assert names == ["stream", "dtype", "rows", "cols", "seed", "mean", "log_var", "z", "kl"]
    kinds = dict(kernels.declarations()["fg_cuda_gaussian_sample_kl"])
    assert kinds["rows"] is ctypes.c_int64 and kinds["dtype"] is ctypes.c_int
    assert kinds["seed"] is kinds["z"] is ctypes.c_void_p


def test_arguments_are_those_of_the_header(library):
    ours = kernels.Kernels(library, DryRun())
    with pytest.raises(kernels.Missing, match="has no cost"):
        ours.bind("fg_cuda_gaussian_sample_kl", cost=1)
    with pytest.raises(kernels.Missing, match="wants dtype, rows"):
        ours.bind("fg_cuda_gaussian_sample_kl")
    given = {"seed": kernels.words(1, 2), **dict.fromkeys(["mean", "log_var", "z", "kl"])}
    launch = ours.bind("fg_cuda_gaussian_sample_kl", dtype=9, rows=1, cols=1, **given)
    with pytest.raises(kernels.KernelError, match="Received: code 9"):
        launch()


def test_structures_are_those_of_the_headers(tmp_path):
    asked = [
        f'printf("{name} {field[0]} %zu\\n", offsetof({name}, {field[0]}));'
        for name, kind in structures.C_NAMES.items()
        for field in kind._fields_
    ]
    asked += [f'printf("{name} sizeof %zu\\n", sizeof({name}));' for name in structures.C_NAMES]
    source, program = tmp_path / "offsets.cc", tmp_path / "offsets"
    source.write_text(
        '#include <stddef.h>\n#include <stdio.h>\n#include "kernels/gan_step.h"\n'
        f"int main() {{ {' '.join(asked)} }}\n"
    )
    command = [os.environ.get("CXX", "g++"), f"-I{ROOT / 'csrc'}", str(source), "-o", str(program)]
    subprocess.run(command, check=True)
    for line in subprocess.run([program], capture_output=True, text=True).stdout.splitlines():
        name, field, number = line.split()
        kind = structures.C_NAMES[name]
        ours = ctypes.sizeof(kind) if field == "sizeof" else getattr(kind, field).offset
        assert ours == int(number), line


# --- what is shown ---


def some_row(name, ours=4e-4, dry_run=False, run=1):
    seconds = {
        x: {"median": y, "p20": y, "p80": y} for x, y in (("fastgen", ours), ("torch", 2e-3))
    }
    figures = {"torch": {"median": 2e-3 / ours}, "copy": {"median": 0.9}}
    bar = {"figure": "torch", "at_least": 4, "value": 2e-3 / ours, "met": ours < 5e-4}
    return {
        "kind": "row",
        "dry_run": dry_run,
        "run": run,
        "name": name,
        "title": f"row {name}",
        "shape": [8],
        "precision": "float32",
        "ours": "fastgen",
        "floor": 3e-4,
        "status": {"fastgen": "timed", "torch": "timed", "jax": "failed: X: broke"},
        "errors": {"fastgen": {"z": 1e-7}},
        "seconds": seconds,
        "figures": figures,
        "bars": [bar],
    }


def written(folder, *lines):
    folder.mkdir(exist_ok=True)
    head = {"kind": "environment", "dry_run": False, "gpu": "a GPU", "driver": "1", "versions": {}}
    ceilings = {"kind": "ceilings", "dry_run": False, "values": {"copy": 4e12, "node": 1.2e-6}}
    text = "".join(json.dumps(x) + "\n" for x in (head, ceilings, *lines))
    (folder / "core.jsonl").write_text(text + '{"kind": "row", "na')  # cut off by a kill
    return folder


def test_report_shows_two_runs(tmp_path):
    folder = written(tmp_path / "h200", some_row("a"), some_row("b", 6e-4), some_row("a", 4.2e-4))
    readme = tmp_path / "README.md"
    before = f"top\n{report.MARKERS[0]}\nunmeasured\n{report.MARKERS[1]}\nend\n"
    after = report.fill(before, readme, folder)
    assert "**400 µs** ±5%" in after and "PyTorch 5.0×" in after and "unmeasured\n" not in after
    assert "✓ ≥ 4× PyTorch" in after and "✗ ≥ 4× PyTorch" in after and "a GPU, driver 1" in after
    assert "4.00 TB/s copied" in after and "![GPU](h200/gpu.png)" in after
    assert (folder / "gpu.png").stat().st_size > 10_000


def test_report_leaves_the_readme_without_results(tmp_path):
    before = f"{report.MARKERS[0]}\nunmeasured\n{report.MARKERS[1]}"
    assert report.fill(before, tmp_path / "README.md", tmp_path) == before


def test_report_refuses_a_dry_run(tmp_path):
    lab_of = results.read(written(tmp_path / "h200", some_row("a", dry_run=True)))
    with pytest.raises(ValueError, match="Received: those of a dry run"):
        report.text(lab_of)


def test_table_has_thirty_lines_at_most(tmp_path):
    lines = table.lines(results.read(written(tmp_path, *(some_row(str(i)) for i in range(40)))))
    assert len(lines) == table.LINES and lines[-1] == "... and 13 lines more in the files"
    assert "row 0" in lines[2] and "400 µs" in lines[2] and "torch 5.0×" in lines[2]
    assert "jax: failed: X: broke" in lines[2] and max(map(len, lines)) <= table.WIDTH


def test_the_readme_shows_the_results_of_the_gpu():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = results.read(results.FOLDER)
    if not found.rows:
        assert re.search(r"<!-- gpu:begin -->\n.*unmeasured.*\n<!-- gpu:end -->", readme)
        return
    picture = "benchmarks/results/h200/gpu.png"
    assert readme == insert(readme, report.text(found, picture), *report.MARKERS)
