"""Kernels of your own: Python functions that Numba compiles, as TensorFlow ops in the graph.

`fastgen.jit.cuda` has kernels of numba.cuda, for CuPy's arrays; it needs no TensorFlow.
"""

import importlib
import importlib.util

from fastgen import native

if importlib.util.find_spec("numba") is None:
    raise ImportError("fastgen.jit needs Numba: pip install numba")

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

if native.tensorflow_version() is not None and native.keras_backend() == "tensorflow":
    from fastgen.jit import math
    from fastgen.jit.array_kernel import ArrayKernel, kernel
    from fastgen.jit.discriminator_gradient import discriminator_gradient
    from fastgen.jit.elementwise import Elementwise, elementwise
    from fastgen.jit.gaussian_sample_kl import gaussian_sample_kl
    from fastgen.jit.reduce import Reduction, reduce
    from fastgen.jit.sigmoid_cross_entropy import sigmoid_cross_entropy
    from fastgen.jit.sparsity import sparsity


def __getattr__(name):
    if name == "cuda":
        return importlib.import_module("fastgen.jit.cuda")
    if name in __all__:
        native.require_tensorflow(f"fastgen.jit.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
