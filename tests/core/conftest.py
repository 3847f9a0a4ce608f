import importlib.machinery
import importlib.util

import pytest

# Without a build fastgen/core.py stands in: the modules skip themselves. A build that does not
# load is a failure.
BUILT = isinstance(
    importlib.util.find_spec("fastgen.core").loader, importlib.machinery.ExtensionFileLoader
)
if BUILT:
    from fastgen import core


@pytest.fixture(params=core.isas() if BUILT else [])
def isa(request):
    """Each instruction set of this CPU in turn."""
    before = core.isa()
    core.set_isa(request.param)
    yield request.param
    core.set_isa(before)


@pytest.fixture
def threads():
    """Numbers of threads to try; the one before is restored."""
    before = core.threads()
    yield (1, 2, 3, 8)
    core.set_threads(before)
