"""Every public name has an example in its docstring, and it runs."""

import doctest

import pytest

import fastgen.interrupt
import fastgen.layers
import fastgen.losses
import fastgen.ops
import fastgen.regularizers

OTHERS = [
    fastgen.convert,
    fastgen.doctor,
    fastgen.parity,
    fastgen.portable,
    fastgen.profile,
    fastgen.stats,
    fastgen.interrupt.StopOnInterrupt,
]
PUBLIC = OTHERS + [
    getattr(package, name)
    for package in (fastgen.layers, fastgen.losses, fastgen.ops, fastgen.regularizers)
    for name in package.__all__
    if not name.endswith("_composite")
]


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda x: x.__name__)
def test_example(thing, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (test,) = doctest.DocTestFinder(recurse=False).find(thing, thing.__name__, globs={})
    assert test.examples, f"{thing.__name__} has no example"
    assert not doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed
