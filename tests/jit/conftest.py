"""A cache of compiled kernels that is no user's, and one for all tests of a run."""

import pytest


@pytest.fixture(scope="session")
def cache_of_kernels(tmp_path_factory):
    return tmp_path_factory.mktemp("kernels")


@pytest.fixture(autouse=True)
def cache_folder(cache_of_kernels, monkeypatch):
    monkeypatch.setenv("FASTGEN_CACHE", str(cache_of_kernels))
    return cache_of_kernels
