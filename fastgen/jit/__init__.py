"""Kernels of your own: Python functions that Numba compiles, as TensorFlow ops in the graph."""

import importlib.util

from fastgen import native

native.require_tensorflow("fastgen.jit")
if importlib.util.find_spec("numba") is None:
    raise ImportError("fastgen.jit needs Numba: pip install numba")

from fastgen.jit import math  # noqa: E402
from fastgen.jit.array_kernel import ArrayKernel, kernel  # noqa: E402
from fastgen.jit.discriminator_gradient import discriminator_gradient  # noqa: E402
from fastgen.jit.elementwise import Elementwise, elementwise  # noqa: E402
from fastgen.jit.gaussian_sample_kl import gaussian_sample_kl  # noqa: E402
from fastgen.jit.reduce import Reduction, reduce  # noqa: E402
from fastgen.jit.sigmoid_cross_entropy import sigmoid_cross_entropy  # noqa: E402
from fastgen.jit.sparsity import sparsity  # noqa: E402

__all__ = [
    "ArrayKernel",
    "Elementwise",
    "Reduction",
    "discriminator_gradient",
    "elementwise",
    "gaussian_sample_kl",
    "kernel",
    "math",
    "reduce",
    "sigmoid_cross_entropy",
    "sparsity",
]
