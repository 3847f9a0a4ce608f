"""Tensor cores and asynchronous copies as CUDA on the CPU has them; the kernels of products alone.

On a GPU they are tested by way of the kernels that use them.
"""

import ctypes

import numpy as np
import pytest

from tests.core.cases import assert_within, draw, numpy_dtype, poisoned, unit
from tests.core.reference import wide
from tests.cuda.cases import CODES, shifted
from tests.cuda.conftest import ON_GPU
from tests.cuda.memory import Out

pytestmark = pytest.mark.skipif(ON_GPU, reason="the library for a GPU has no functions for tests")
tensor_dtypes = pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])


def words(matrix):
    """A matrix [lines, depth] as words of 32 bits [lines, 8]."""
    return np.ascontiguousarray(matrix).view(np.uint32)


def fragments_of(a, b):
    """The words of PTX's tables for mma.m16n8k8 .tf32 and m16n8k16 .bf16: [32, 4] and [32, 2]."""
    of_a, of_b = np.empty((32, 4), np.uint32), np.empty((32, 2), np.uint32)
    for lane in range(32):
        group, thread = divmod(lane, 4)
        for i in range(4):
            of_a[lane, i] = a[group + 8 * (i % 2), thread + 4 * (i // 2)]
        for i in range(2):
            of_b[lane, i] = b[group, thread + 4 * i]
    return of_a, of_b


def sums_of(fragments):
    sums = np.empty((16, 8), np.float32)
    for lane in range(32):
        group, thread = divmod(lane, 4)
        for i in range(4):
            sums[group + 8 * (i // 2), 2 * thread + i % 2] = fragments[lane, i]
    return sums


def truncated(x):
    """What tensor cores read of a float32."""
    return (x.view(np.uint32) & ~np.uint32(0x1FFF)).view(np.float32) if x.dtype == "float32" else x


@tensor_dtypes
def test_fragments_multiply_to_a_tile(call, dtype):
    depth = 8 if dtype == "float32" else 16
    a, b = draw(dtype, (16, depth), (8, depth))
    before = np.full((32, 4), 0.5, np.float32)
    got = call("on_cpu_mma", CODES[dtype], *fragments_of(words(a), words(b)), Out(before))
    exact = 0.5 + np.matmul(*wide(truncated(a), truncated(b).T))
    np.testing.assert_allclose(sums_of(got), exact, rtol=1e-6, atol=1e-6)


def test_copies_arrive_when_they_are_waited_for(call):
    source = np.arange(64 * 4, dtype=np.uint32).reshape(64, 4)
    for count in (0, 4, 12, 16):
        got = call("on_cpu_copy", count, 1, source, Out(np.full((64, 4), 7, np.uint32)))
        expected = np.where(np.arange(4) * 4 < count, source, 0)
        np.testing.assert_array_equal(got, np.roll(expected, 1, axis=0))
    late = call("on_cpu_copy", 16, 0, source, Out(np.full((64, 4), 7, np.uint32)))
    assert (late == 0xFFFFFFFF).all()


across = pytest.mark.parametrize("across", [(0, 0), (0, 1), (1, 1)], ids=["NT", "NN", "TN"])


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", pytest.param("float16", marks=pytest.mark.slow)]
)
@across
@pytest.mark.parametrize(
    ("threads", "resident", "sharing"), [(128, 1, 2), (256, 1, 1), (128, 0, 2)]
)
def test_blocks_of_many_tiles(call, dtype, across, threads, resident, sharing):
    """Copies run ahead over the ends of depth and of rows, in a ring or beside what stays."""
    rows, cols, depth = 3 * threads + 5, 70, 136
    a, b = draw(dtype, (rows, depth), (cols, depth))
    laid = [
        np.ascontiguousarray(x.T if turned else x) for x, turned in zip((a, b), across, strict=True)
    ]
    tiling = threads, 64, resident, sharing
    for place in (np.ascontiguousarray, shifted):
        arrays = *map(place, laid), Out(poisoned((rows, cols), dtype))
        got = call(
            "on_cpu_tensor_product", CODES[dtype], rows, cols, depth, *across, *tiling, *arrays
        )
        exact = np.matmul(*wide(a, b.T))
        error = np.linalg.norm(np.asarray(got, "float64") - exact) / np.linalg.norm(exact)
        assert error < {"float32": 1e-3, "bfloat16": 1e-2, "float16": 1e-3}[dtype]
    assert got.dtype == numpy_dtype(dtype)


@across
@pytest.mark.parametrize(("dtype", "side"), [("float32", 128), ("float32", 64), ("float64", 64)])
def test_tiles_of_multiply_adds(call, dtype, side, across):
    """More than one of each size, depth in steps and parts, anyhow in memory."""
    rows, cols, depth, part = side + 12, 2 * side + 7, 84, 48
    a, b = draw(dtype, (rows, depth), (cols, depth))
    laid = [
        np.ascontiguousarray(x.T if turned else x) for x, turned in zip((a, b), across, strict=True)
    ]
    sizes = rows, cols, depth, *across, side, part
    for place in (np.ascontiguousarray, shifted):
        parts = Out(poisoned((2, rows, cols), dtype))
        got = call("on_cpu_fma_product", CODES[dtype], *sizes, *map(place, laid), parts)
        for found, at in zip(got, (slice(part), slice(part, depth)), strict=True):
            x, y = wide(a[:, at], b[:, at].T)
            error = unit(dtype) * (depth + 2) * (np.abs(x) @ np.abs(y))
            assert_within(found, x @ y, error, dtype)


# dtype, rows, cols, depth, whether it may be cut: the side.
SIDES = {
    ("float32", 128, 512, 784, 0): 64,  # 4 tiles of 128
    ("float32", 65536, 784, 100, 0): 128,
    ("float32", 1024, 1024, 64, 0): 64,
    ("float32", 1100, 1024, 64, 0): 128,  # 72
    ("float32", 784, 100, 65536, 1): 128,  # 7, each in 32 parts of depth
    ("float32", 784, 100, 65536, 0): 64,
    ("float64", 65536, 784, 100, 0): 64,
}


@pytest.mark.parametrize("size", SIDES)
def test_tiles_are_large_where_they_fill_the_gpu(cuda, size):
    assert cuda.run(side_of, *size) == SIDES[size]


def side_of(library, memory, dtype, *sizes):
    return library.on_cpu_fma_side(*map(ctypes.c_int64, (CODES[dtype], *sizes)))
