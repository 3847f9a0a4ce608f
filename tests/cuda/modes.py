"""The two ways in which kernels on networks run their phases."""

from contextlib import contextmanager

import pytest

from tests.cuda import networks

MODES = ["persistent", "graph"]
modes = pytest.mark.parametrize("mode", MODES)


@contextmanager
def run_by(cuda, mode):
    cuda.run(networks.set_mode, mode)
    try:
        yield
    finally:
        cuda.run(networks.set_mode, "")
