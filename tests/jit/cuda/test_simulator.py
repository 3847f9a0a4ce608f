"""Runs simulated_kernels.py with the simulator, which has to be on before Numba is imported."""

from pathlib import Path

TESTS = Path(__file__).parent / "simulated_kernels.py"
# Where there is a GPU there need not be TensorFlow.
RUN = f"""
import sys, pytest
sys.modules["tensorflow"] = None
options = "-q", "-n", "0", "-p", "no:cacheprovider", "-W", "ignore::RuntimeWarning"
sys.exit(pytest.main([*options, {str(TESTS)!r}]))
"""


def test_kernels_in_the_simulator(start_python):
    process = start_python(RUN, NUMBA_ENABLE_CUDASIM="1")
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, output[-8000:] + errors[-2000:]
    assert " passed" in output
