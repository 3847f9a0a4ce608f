"""Extractors that several tests use, trained once, in a cache that is no user's."""

import pytest

import fastgen.data


@pytest.fixture(autouse=True)
def cache_folder(tmp_path, monkeypatch):
    """An empty cache for each test."""
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="session")
def digits():
    """One half of the digits, and the other."""
    return fastgen.data.load("digits", validation_split=0.5)


@pytest.fixture(scope="session")
def cache_of_digits(tmp_path_factory):
    """A cache that `extractor` is in."""
    return tmp_path_factory.mktemp("classifiers")


@pytest.fixture(scope="session")
def extractor(cache_of_digits):
    """The default one."""
    from fastgen.evaluation import feature_extractor

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("FASTGEN_CACHE", str(cache_of_digits))
        return feature_extractor()
