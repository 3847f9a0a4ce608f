"""What scripts on fastgen.core and CuPy's stand-in begin with."""

PROLOGUE = """
import ctypes, os, sys
import cupy, numpy as np, pytest
ctypes.CDLL(sys.argv[1] + "/libfastgen_core.so", ctypes.RTLD_GLOBAL)  # in the place of the other
from fastgen import core

class Interface:  # of another library
    def __init__(self, array):
        self.array, self.__cuda_array_interface__ = array, array.__cuda_array_interface__

class Dlpack:
    def __init__(self, array):
        self.on_cpu = array
    def __dlpack_device__(self):
        return 2, 0

rng = np.random.default_rng(0)
mean, log_var, d_z = (rng.standard_normal((5, 12)).astype("float32") for _ in range(3))
d_kl = rng.standard_normal(5).astype("float32")
z, kl = core.gaussian_sample_kl(mean, log_var, (1, 2))
grads = core.gaussian_sample_kl_grad(mean, log_var, (1, 2), d_z, d_kl)
close = lambda ours, numpys: np.testing.assert_allclose(ours.get(), numpys, rtol=1e-5, atol=1e-5)
"""
