"""The kernels of libfastgen_core called as C functions, in place, on arrays of any size."""

import ctypes
import time

import numpy as np

from benchmarks.draws import assert_right, normal
from benchmarks.operations import OPERATIONS
from fastgen import native
from tests.tolerances import assert_close

FLOAT32 = 0
SEED = (20, 0)


def library(threads):
    core = native.core_library()
    core.fg_last_error.restype = ctypes.c_char_p
    core.fg_pool.restype = ctypes.c_void_p
    _call(core, core.fg_set_pool_size, threads)
    return core


def _call(core, function, *arguments):
    if function(*arguments):
        raise RuntimeError(core.fg_last_error().decode())


class SampleKl:
    """gaussian_sample_kl and its gradients over [rows, cols], each output over an input.

    So 1e8 elements take 1.2 GB; a run leaves the inputs of another as finite as its own.
    """

    def __init__(self, core, rows, cols, upstream=OPERATIONS["gaussian_sample_kl"].upstream):
        self._core, self._rows, self._cols = core, rows, cols
        operation = OPERATIONS["gaussian_sample_kl"]
        drawn = operation.draw((min(rows, 4096), cols), upstream=upstream)
        self.arrays = [np.resize(x, (rows, *x.shape[1:])) for x in drawn]
        self.kl = np.empty(rows, "float32")

    def run(self):
        """Gradients over log_var and d_z, then the forward pass, of the new log_var, over mean."""
        core = self._core
        mean, log_var, d_z, d_kl, kl = (
            ctypes.c_void_p(x.ctypes.data) for x in (*self.arrays, self.kl)
        )
        rows, cols = ctypes.c_int64(self._rows), ctypes.c_int64(self._cols)
        seed = (ctypes.c_int64 * 2)(*SEED)
        inputs = ctypes.c_void_p(core.fg_pool()), FLOAT32, rows, cols, seed, mean, log_var
        _call(core, core.fg_gaussian_sample_kl_grad, *inputs, d_z, d_kl, d_z, log_var)
        _call(core, core.fg_gaussian_sample_kl, *inputs, mean, kl)

    def seconds_per_element(self):
        start = time.perf_counter()
        self.run()
        return (time.perf_counter() - start) / (self._rows * self._cols)


def check(core):
    """One run against the float64 reference."""
    operation = OPERATIONS["gaussian_sample_kl"]
    job = SampleKl(core, 1000, 64, upstream=1.0)
    mean, log_var, d_z, d_kl = (x.astype("float64") for x in job.arrays)
    noise = np.empty(mean.shape, "float32")
    pool, out = ctypes.c_void_p(core.fg_pool()), ctypes.c_void_p(noise.ctypes.data)
    seed = (ctypes.c_int64 * 2)(*SEED)
    _call(core, core.fg_random_normal, pool, FLOAT32, ctypes.c_int64(noise.size), seed, out)
    assert_right(normal(noise.astype("float64")))
    job.run()
    _, _, d_mean, d_log_var = operation.reference(mean, log_var, d_z, d_kl, noise)
    z, kl, _, _ = operation.reference(mean, d_log_var, d_z, d_kl, noise)
    for value, expected in zip((*job.arrays[:3], job.kl), (z, d_log_var, d_mean, kl), strict=True):
        assert_close(value, expected, "float32", mean.shape[-1])
