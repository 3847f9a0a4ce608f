"""NVTX ranges, by a stand-in for NVIDIA's package that notes them."""

import contextlib
import sys
import types

import numpy as np
import pytest

import fastgen
from fastgen import dispatch, ops

X = np.zeros((3, 4), "float32")


@pytest.fixture
def seen(monkeypatch):
    """The ranges, as `name(` and `)`."""
    noted = []

    class Annotate(contextlib.ContextDecorator):
        def __init__(self, message, domain):
            assert domain == "fastgen"
            self.message = message

        def __enter__(self):
            noted.append(f"{self.message}(")

        def __exit__(self, *error):
            noted.append(")")

    monkeypatch.setitem(sys.modules, "nvtx", types.SimpleNamespace(annotate=Annotate))
    return noted


def test_ranges_around_calls(seen):
    with fastgen.profile(stock=False, quiet=True, nvtx=True):
        ops.gaussian_kl(X, X)
        with fastgen.portable():
            ops.gaussian_kl(X, X)
    assert "".join(seen) == "profile(gaussian_kl()gaussian_kl())"
    assert dispatch.ranges is None


@pytest.mark.parametrize(("value", "ranges"), [("1", True), ("0", False), ("", False)])
def test_the_environment_asks_for_them(seen, monkeypatch, value, ranges):
    monkeypatch.setenv("FASTGEN_NVTX", value)
    with fastgen.profile(stock=False, quiet=True):
        ops.gaussian_kl(X, X)
    assert bool(seen) == ranges
    seen.clear()
    with fastgen.profile(stock=False, quiet=True, nvtx=False):
        ops.gaussian_kl(X, X)
    assert not seen


def test_another_value(monkeypatch):
    monkeypatch.setenv("FASTGEN_NVTX", "yes")
    with pytest.raises(ValueError, match="FASTGEN_NVTX must be 0 or 1. Received: 'yes'"):
        fastgen.profile().__enter__()


def test_without_the_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvtx", None)
    with pytest.raises(ImportError, match=r"pip install 'fastgen\[nvtx\]'"):
        fastgen.profile(nvtx=True).__enter__()
    with fastgen.profile(stock=False, quiet=True) as p:  # the failed one has left nothing
        ops.gaussian_kl(X, X)
    assert p.rows
