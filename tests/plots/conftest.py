"""Digits, and a model of them."""

import pytest

import fastgen.data
from tests.plots.cases import PrincipalComponents


@pytest.fixture(scope="session")
def digits():
    """Held-out images and labels, `[180, 28, 28]` and `[180]`."""
    return fastgen.data.load("digits")[1]


@pytest.fixture(scope="session")
def model(digits):
    return PrincipalComponents(digits[0], codings=5)
