"""Extractors that several tests use, trained once, in a cache that is no user's."""

import os
from pathlib import Path

import pytest

import fastgen.data

ROOT = Path(__file__).resolve().parent.parent.parent


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


@pytest.fixture
def real_images():
    """Reads a file of real images by its name, or skips the test where the file is not at hand."""

    def read(name):
        own = os.environ.get("FASTGEN_DATA")
        folders = [*([Path(own)] if own else []), ROOT / "shared/data", ROOT.parent / "shared/data"]
        found = [folder / name for folder in folders if (folder / name).is_file()]
        if not found:
            pytest.skip(f"{name} is not at hand")
        return fastgen.data.load(found[0], validation_split=0.5)

    return read
