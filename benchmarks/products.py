"""Products of matrices on one thread: ours, and OpenBLAS as scipy-openblas32 ships it."""

import ctypes
import importlib.util
from pathlib import Path

import numpy as np

from tests.tolerances import assert_close

ROW_MAJOR, AS_IT_LIES, TRANSPOSED = 101, 111, 112


def build(name, operation, shape, seed=0):
    """`run(iterations)` of x @ w, or of x @ w.T for "dense_transpose"; checked in float64."""
    rows, inputs, units = shape
    transposed = operation == "dense_transpose"
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((rows, inputs), "float32")
    w = rng.standard_normal((units, inputs) if transposed else (inputs, units), "float32")
    once = {"fused": _fastgen, "openblas": _openblas}[name](x, w, transposed)
    wide = x[:64].astype("float64") @ (w.T if transposed else w).astype("float64")
    assert_close(once()[:64], wide, "float32", inputs)

    def run(iterations):
        for _ in range(iterations):
            once()

    return run


def _fastgen(x, w, transposed):
    from fastgen import core

    multiply = core.dense_transpose if transposed else core.dense
    return lambda: multiply(x, w)


def _openblas(x, w, transposed):
    (rows, inputs), units = x.shape, w.shape[0 if transposed else 1]
    y = np.empty((rows, units), "float32")
    blas = _library()
    blas.scipy_openblas_set_num_threads(1)
    gemm = blas.scipy_cblas_sgemm
    gemm.restype = None
    number, pointer, scalar = ctypes.c_int, ctypes.c_void_p, ctypes.c_float
    gemm.argtypes = [*[number] * 6, scalar, *[pointer, number] * 2, scalar, pointer, number]
    flag = TRANSPOSED if transposed else AS_IT_LIES
    a, b, c = (array.ctypes.data_as(pointer) for array in (x, w, y))  # they keep the arrays alive
    arguments = (ROW_MAJOR, AS_IT_LIES, flag, rows, units, inputs, 1.0, a, inputs)
    arguments += (b, w.shape[1], 0.0, c, units)

    def once():
        gemm(*arguments)
        return y

    return once


def installed():
    return importlib.util.find_spec("scipy_openblas32") is not None


def _library():
    import scipy_openblas32

    folder = Path(scipy_openblas32.get_lib_dir())
    return ctypes.CDLL(str(folder / scipy_openblas32.get_library(fullname=True)))
