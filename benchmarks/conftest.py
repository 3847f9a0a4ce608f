"""Pins the threads, gathers the rows and writes the results when the last one is done."""

import os
from pathlib import Path

import pytest

from benchmarks import providers, results
from benchmarks.case import PEERS, STOCK
from benchmarks.cases import CASES


def _one_thread_a_core():
    """One CPU of each of the first THREADS cores this process may use."""
    cores = {}
    for cpu in sorted(os.sched_getaffinity(0)):
        topology = Path(f"/sys/devices/system/cpu/cpu{cpu}/topology")
        names = ("physical_package_id", "core_id")
        files = [topology / name for name in names]
        core = tuple(file.read_text() for file in files) if files[0].exists() else cpu
        cores.setdefault(core, cpu)
    return sorted(cores.values())[: providers.THREADS]


# TensorFlow, XLA and JAX size their pools by the CPUs they may use, when they are first imported.
os.sched_setaffinity(0, _one_thread_a_core())
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

_records = {}


@pytest.fixture
def record():
    """`record(case, figures, **details)` makes the case's row of the results."""

    def keep(case, figures, **details):
        _records[case.name] = results.record(case, figures, **details)

    return keep


@pytest.fixture(scope="session")
def roofline():
    from benchmarks.roofline import Roofline

    return Roofline()


def pytest_sessionfinish(session):
    if not _records:
        return
    loaded = [providers.load(name) for name in ("fused", *STOCK, "numba", *PEERS)]
    versions = ", ".join(dict.fromkeys(provider.version for provider in loaded if provider))
    environment = results.environment(versions, len(os.sched_getaffinity(0)))
    session.config.stash[_written] = results.write(_records, environment)


_written = pytest.StashKey()


def pytest_terminal_summary(terminalreporter, config):
    if not _records:
        return
    from benchmarks.report import summary

    terminalreporter.section("benchmarks")
    for line in summary(_records.values()):
        terminalreporter.write_line(line)
    written = config.stash.get(_written, None)
    terminalreporter.write_line(
        f"written to {os.path.relpath(written)}"
        if written
        else f"{len(_records)} of {len(CASES)} rows: the results on disk are left as they are"
    )
