"""What the tests of dense and dense_transpose share: inputs, the formulas in float64, bounds."""

import numpy as np

from tests.core.cases import core, numpy_dtype, unit
from tests.core.reference import wide

ACTIVATIONS = [
    "linear",
    "relu",
    "selu",
    "elu",
    "gelu_tanh",
    "leaky_relu",
    "sigmoid",
    "tanh",
    "softplus",
    "silu",
]
# One number; fewer than a tile; more than a vector, a tile, a step of depth, a block; lines 4 KiB
# apart, which no tile reads where they lie; more rows than are read so.
SIZES = [
    *((1, 1, 1), (5, 3, 2), (15, 33, 34), (13, 600, 70), (130, 40, 600)),
    *((18, 1024, 64), (33, 48, 1024), (530, 129, 33)),
]
# An operand of 18 MiB, packed: by each task for itself where it is a, in two rounds where it is b.
LARGE = (4096, 1100, 33)


def activated(activation, z):
    """The activation of a vector by a layer of one input: one product, which is exact."""
    return core.dense(np.ones((1, 1), z.dtype), z[None], None, activation)[0]


def activation_of(name, z):
    """As Keras defines it, in long double."""
    z = np.asarray(z).astype(np.longdouble)
    sigmoid = np.exp(np.minimum(z, 0)) / (1 + np.exp(-np.abs(z)))
    cubic = np.sqrt(2 / np.longdouble(np.pi)) * (z + np.longdouble(0.044715) * z**3)
    return {
        "linear": lambda: z,
        "relu": lambda: np.maximum(z, 0),
        "selu": lambda: 1.0507009873554805 * np.where(z < 0, 1.6732632423543772 * np.expm1(z), z),
        "elu": lambda: np.where(z < 0, np.expm1(z), z),
        "gelu_tanh": lambda: z / 2 * (1 + np.tanh(cubic)),
        "leaky_relu": lambda: np.where(z < 0, float(np.float32(0.2)) * z, z),
        "sigmoid": lambda: sigmoid,
        "tanh": lambda: np.tanh(z),
        "softplus": lambda: np.maximum(z, 0) + np.log1p(np.exp(-np.abs(z))),
        "silu": lambda: z * sigmoid,
    }[name]()


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
