"""How kernels are launched: what CUDA would refuse, and what threads and calls share."""

import numpy as np
import pytest

from tests.cuda.cases import CODES, draw, poisoned
from tests.cuda.conftest import ON_GPU
from tests.cuda.dense_layer import CudaLayer
from tests.cuda.memory import KernelError, Out

pytestmark = pytest.mark.skipif(ON_GPU, reason="the library for a GPU has no functions for tests")
USUAL, MOST = 48 << 10, 227 << 10  # bytes of shared memory: unasked for, and on a GPU of sm_90


@pytest.mark.parametrize(
    ("blocks", "threads", "shared", "allowed", "error"),
    [
        (1, 1024, USUAL, 0, None),
        (1, 1025, 0, 0, "cudaErrorInvalidConfiguration"),
        (0, 32, 0, 0, None),  # nothing is started
        (1, 32, MOST + 1, 1, "cudaErrorInvalidValue"),
        (1, 32, MOST, 1, None),
    ],
)
def test_what_a_launch_may_have(call, blocks, threads, shared, allowed, error):
    given = "on_cpu_launch", blocks, threads, shared, allowed
    if error is None:
        call(*given, Out(np.zeros(1)))
    else:
        with pytest.raises(KernelError, match=f"launch: CUDA failed with {error}"):
            call(*given, Out(np.zeros(1)))


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_no_launch_lowers_what_others_may_have(call, dtype):
    """A kernel's limit of shared memory is one for all threads of a process."""
    layer = CudaLayer(call, "dense_transpose")
    for units in (128, 8, 128):
        x, kernel, bias, _ = layer.make(dtype, 4, 24, units)
        assert layer.forward(x, kernel, bias).shape == (4, units)


def test_memory_of_calls_is_kept_for_the_next(call):
    """A pool gives all of it back to the driver whenever somebody waits, unless it is told."""
    (x,) = draw("float32", (2, 5))
    sums = Out(poisoned((1,), "float32")), Out(poisoned((5,), "float64"))
    call("fg_cuda_sparsity", CODES["float32"], 2, 5, 1, 0.1, np.abs(x), *sums)
    assert call("on_cpu_kept", Out(np.zeros(1, np.uint64))) == 64 << 20
