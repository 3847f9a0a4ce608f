import keras
import numpy as np
import pytest

import fastgen
from fastgen.profiling import session


@pytest.fixture(autouse=True)
def same_initial_weights():
    keras.utils.set_random_seed(1)


@pytest.fixture
def record(monkeypatch):
    """Records a function; returns the profile, with `trace`, the `Trace` of it, beside the rest."""
    kept = []

    def read(space):
        kept.append(trace_of(space))
        return kept[-1]

    trace_of = session.Trace
    monkeypatch.setattr(session, "Trace", read)

    def run(function, **options):
        with fastgen.profile(**{"stock": False, "quiet": True} | options) as p:
            function()
        p.trace = kept[-1]
        return p

    return run


@pytest.fixture
def images():
    return np.random.default_rng(0).random((96, 6, 5), "float32")


@pytest.fixture
def row():
    """The row of an op of a profile, on a path."""

    def find(profile, op, path="fused"):
        (found,) = [r for r in profile.rows if (r["op"], r["path"]) == (op, path)]
        return found

    return find
