"""TensorFlow ops with kernels of their own, and the same formulas in stock ops beside them.

Importing this package registers the fused ops, so that a SavedModel that holds them loads.
"""

from fastgen import native

native.require_tensorflow("fastgen.ops")

from fastgen.ops import vectorize  # noqa: E402
from fastgen.ops.autoencoder_step import autoencoder_step  # noqa: E402
from fastgen.ops.dense import dense, dense_composite  # noqa: E402
from fastgen.ops.dense_transpose import dense_transpose, dense_transpose_composite  # noqa: E402
from fastgen.ops.discriminator_update import discriminator_update  # noqa: E402
from fastgen.ops.dropout import dropout, dropout_composite  # noqa: E402
from fastgen.ops.gan_step import gan_step  # noqa: E402
from fastgen.ops.gaussian_kl import gaussian_kl, gaussian_kl_composite  # noqa: E402
from fastgen.ops.gaussian_noise import gaussian_noise, gaussian_noise_composite  # noqa: E402
from fastgen.ops.gaussian_sample import gaussian_sample, gaussian_sample_composite  # noqa: E402
from fastgen.ops.gaussian_sample_kl import (  # noqa: E402
    gaussian_sample_kl,
    gaussian_sample_kl_composite,
)
from fastgen.ops.optimizer_update import optimizer_update  # noqa: E402
from fastgen.ops.sigmoid_cross_entropy import (  # noqa: E402
    sigmoid_cross_entropy,
    sigmoid_cross_entropy_composite,
)
from fastgen.ops.sparsity import (  # noqa: E402
    sparsity,
    sparsity_composite,
    sparsity_passthrough,
)

native.load_ops()
vectorize.register()

__all__ = [
    "autoencoder_step",
    "dense",
    "dense_composite",
    "dense_transpose",
    "dense_transpose_composite",
    "discriminator_update",
    "dropout",
    "dropout_composite",
    "gan_step",
    "gaussian_kl",
    "gaussian_kl_composite",
    "gaussian_noise",
    "gaussian_noise_composite",
    "gaussian_sample",
    "gaussian_sample_composite",
    "gaussian_sample_kl",
    "gaussian_sample_kl_composite",
    "optimizer_update",
    "sigmoid_cross_entropy",
    "sigmoid_cross_entropy_composite",
    "sparsity",
    "sparsity_composite",
    "sparsity_passthrough",
]
