"""Kernels of your own: Python functions that Numba compiles, as TensorFlow ops in the graph."""

import importlib.util

from fastgen import native

native.require_tensorflow("fastgen.jit")
if importlib.util.find_spec("numba") is None:
    raise ImportError("fastgen.jit needs Numba: pip install numba")

from fastgen.jit import math  # noqa: E402
from fastgen.jit.array_kernel import ArrayKernel, kernel  # noqa: E402
from fastgen.jit.elementwise import Elementwise, elementwise  # noqa: E402
from fastgen.jit.reduce import Reduction, reduce  # noqa: E402

__all__ = [
    "ArrayKernel",
    "Elementwise",
    "Reduction",
    "elementwise",
    "kernel",
    "math",
    "reduce",
]
