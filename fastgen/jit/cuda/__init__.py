"""The hot paths as kernels of numba.cuda, for CuPy's arrays: no TensorFlow, no compiler of C++.

Speed on a GPU is unmeasured. 16-bit floats are refused: cast them, noise and sums are float32's.
"""

from fastgen.jit.cuda.discriminator_gradient import discriminator_gradient
from fastgen.jit.cuda.gaussian_sample_kl import gaussian_sample_kl, gaussian_sample_kl_grad
from fastgen.jit.cuda.sigmoid_cross_entropy import (
    sigmoid_cross_entropy,
    sigmoid_cross_entropy_grad,
)
from fastgen.jit.cuda.sparsity import sparsity, sparsity_grad

__all__ = [
    "discriminator_gradient",
    "gaussian_sample_kl",
    "gaussian_sample_kl_grad",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_grad",
    "sparsity",
    "sparsity_grad",
]
