"""Every public name has an example in its docstring, and it runs."""

import doctest

import pytest

import fastgen.models
from fastgen.models import latent_space

NAMES = [getattr(fastgen.models, name) for name in fastgen.models.__all__]
PUBLIC = [
    *filter(callable, NAMES),
    latent_space.interpolate,
    latent_space.interpolation_grid,
    latent_space.attribute_vector,
]


@pytest.mark.parametrize("thing", PUBLIC, ids=lambda x: x.__name__)
def test_example(thing):
    (test,) = doctest.DocTestFinder(recurse=False).find(thing, thing.__name__, globs={})
    assert test.examples, f"{thing.__name__} has no example"
    assert not doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(test).failed
