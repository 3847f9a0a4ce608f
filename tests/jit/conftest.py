"""What tests of kernels share."""

import pytest


@pytest.fixture
def nothing_on_the_disk(tmp_path, monkeypatch):
    """Kernels are compiled, not read from the disk: their code can be looked at."""
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path))
