"""What the tests of dense and dense_transpose share: inputs, the formulas in float64, bounds."""

import numpy as np

from tests.core.cases import core, numpy_dtype, unit
from tests.core.reference import wide

# One number; fewer than a tile; more than a vector, a tile, a step of depth, a block.
SIZES = [(1, 1, 1), (5, 3, 2), (15, 33, 34), (13, 600, 70), (130, 40, 600), (300, 129, 33)]


class Layer:
    """The two functions of fastgen.core, and the same in float64."""

    def __init__(self, name):
        self.name, self.transposed = name, name == "dense_transpose"
        self.run, self.grad = getattr(core, name), getattr(core, f"{name}_grad")

    def make(self, dtype, rows, inputs, units, key=0):
        """x, kernel, bias and d_y."""
        rng = np.random.default_rng([key, rows, inputs, units])
        kernel = (units, inputs) if self.transposed else (inputs, units)
        shapes = (rows, inputs), kernel, (units,), (rows, units)
        return [rng.standard_normal(shape).astype(numpy_dtype(dtype)) for shape in shapes]

    def flat(self, kernel):
        return kernel.T if self.transposed else kernel

    def affine(self, x, kernel, bias):
        x, kernel, bias = wide(x, kernel, bias)
        return x @ self.flat(kernel) + bias

    def gradients(self, x, kernel, d_z):
        x, kernel, d_z = wide(x, kernel, d_z)
        return d_z @ self.flat(kernel).T, self.flat(x.T @ d_z), d_z.sum(0)

    def bounds(self, dtype, a, b):
        """Of the sums over products of |a| and |b|, as the header states them."""
        a, b = np.abs(np.asarray(a, "float64")), np.abs(np.asarray(b, "float64"))
        return unit(dtype) * (a.shape[-1] + 2) * (a @ b)
