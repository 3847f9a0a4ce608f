"""Keras regularizers on top of fastgen.ops, for `activity_regularizer=`."""

from fastgen import native

native.require_tensorflow("fastgen.regularizers")

from fastgen.regularizers.sparsity import KLSparsity, L1Sparsity, MSESparsity  # noqa: E402

__all__ = ["KLSparsity", "L1Sparsity", "MSESparsity"]
