"""What a launch needs beside its arrays is taken from whoever lends it memory, or from CUDA."""

import ctypes

import numpy as np
import pytest

from tests.core.cases import assert_same_bits
from tests.cuda import memory as of_kernels
from tests.cuda.conftest import ON_GPU
from tests.cuda.dense_layer import CudaLayer
from tests.cuda.memory import KernelError, at_offset

pytestmark = pytest.mark.skipif(ON_GPU, reason="lends memory of the CPU")
ALLOCATE = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Lender(ctypes.Structure):
    """An fg_cuda_memory."""

    _fields_ = [("owner", ctypes.c_void_p), ("allocate", ALLOCATE)]


def call_lending(library, memory, most, function, arguments):
    """The arrays that a kernel leaves, and how many bytes it took, `most` at a time."""
    taken = []

    def allocate(owner, size):
        if size > most:
            return None
        taken.append(at_offset(size, 0))
        taken[-1][:] = 0xFF  # NaN
        return taken[-1].ctypes.data

    lender = Lender(None, ALLOCATE(allocate))
    library.fg_cuda_lend_memory(ctypes.byref(lender))
    try:
        return of_kernels.call(library, memory, function, arguments), [x.size for x in taken]
    finally:
        library.fg_cuda_lend_memory(None)


def test_gradients_in_lent_memory(cuda, call):
    """d_z, and the sums of two panels of rows for d_bias."""
    took = []

    def lending(function, *arguments):
        results, sizes = cuda.run(call_lending, 1 << 20, function, arguments)
        took.extend(sizes)
        return results

    ours, expected = (CudaLayer(by, "dense") for by in (lending, call))
    x, kernel, _, d_y = ours.make("float32", 100, 12, 9)
    found = ours.backward(x, kernel, d_y, d_y, "tanh")
    assert took == [4 * 100 * 9, 4 * 2 * 9]
    for one, other in zip(found, expected.backward(x, kernel, d_y, d_y, "tanh"), strict=True):
        assert_same_bits(one, other)


def test_none_left(cuda, call):
    layer = CudaLayer(lambda *x: cuda.run(call_lending, 3599, x[0], x[1:]), "dense_transpose")
    x, kernel, _, d_y = layer.make("float32", 100, 12, 9)
    message = "dense_transpose_grad: CUDA failed with cudaErrorMemoryAllocation"
    with pytest.raises(KernelError, match=message):
        layer.backward(x, kernel, d_y, d_y, "tanh")
    found = CudaLayer(call, "dense_transpose").backward(x, kernel, d_y, d_y, "tanh")
    assert all(np.isfinite(gradient).all() for gradient in found)
