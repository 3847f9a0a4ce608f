"""What pytest collects: tests, or with --benchmark-only the benchmarks."""

import os
import runpy
import subprocess
import sys
import types
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize(
    ("source", "only", "collected"),
    [("TESTPATHS", False, "tests"), ("TESTPATHS", True, "benchmarks"), ("ARGS", True, "tests")],
)
def test_what_pytest_is_told_to_collect(source, only, collected):
    source = pytest.Config.ArgsSource[source]
    config = types.SimpleNamespace(
        args_source=source, args=["tests"], ArgsSource=pytest.Config.ArgsSource
    )
    options = {"benchmark_only": True} if only else {}  # without pytest-benchmark there is none
    config.getoption = options.get
    runpy.run_path(str(ROOT / "conftest.py"))["pytest_configure"](config)
    assert config.args == [collected]


@pytest.mark.slow
@pytest.mark.parametrize(("flags", "folder"), [([], "tests"), (["--benchmark-only"], "benchmarks")])
def test_what_pytest_collects(flags, folder):
    command = [sys.executable, "-m", "pytest", "-n", "0", "--collect-only", "-q", *flags]
    # pytest-benchmark turns itself off where it sees that it is in a worker of pytest-xdist.
    alone = {name: value for name, value in os.environ.items() if "XDIST" not in name}
    done = subprocess.run(command, cwd=ROOT, env=alone, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    folders = {line.partition("/")[0] for line in done.stdout.splitlines() if "::" in line}
    assert folders == {folder}
