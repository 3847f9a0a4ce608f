"""Every public name has an example in its docstring, and it runs."""

import doctest

import pytest

import fastgen.training

PUBLIC = [getattr(fastgen.training, name) for name in fastgen.training.__all__]


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda x: x.__name__)
def test_example(thing, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (test,) = doctest.DocTestFinder(recurse=False).find(thing, thing.__name__, globs={})
    assert test.examples, f"{thing.__name__} has no example"
    assert not doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed
