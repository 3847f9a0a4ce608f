"""Keras layers on top of fastgen.ops: drop-ins for stock ones, without mathematics of their own."""

from fastgen import native

native.require_tensorflow("fastgen.layers")

from fastgen.layers.corruption import Corruption  # noqa: E402
from fastgen.layers.dense_transpose import DenseTranspose  # noqa: E402
from fastgen.layers.fused_dense import FusedDense  # noqa: E402
from fastgen.layers.gaussian_latent import GaussianLatent  # noqa: E402
from fastgen.layers.prior import GaussianMixture, Prior, StandardNormal  # noqa: E402
from fastgen.layers.sampling import Sampling  # noqa: E402
from fastgen.layers.sparsity import Sparsity  # noqa: E402

__all__ = [
    "Corruption",
    "DenseTranspose",
    "FusedDense",
    "GaussianLatent",
    "GaussianMixture",
    "Prior",
    "Sampling",
    "Sparsity",
    "StandardNormal",
]
