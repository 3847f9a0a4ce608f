"""What the tests of dense and dense_transpose on CUDA share: calls, inputs, errors stated."""

import numpy as np

from tests.core.cases import numpy_dtype, unit
from tests.core.dense_layer import ACTIVATIONS, Layer, activation_of
from tests.core.reference import wide
from tests.cuda.cases import CODES, poisoned
from tests.cuda.memory import Out

STRICT, TF32 = 0, 1
# How a dtype is multiplied: the 16-bit ones on tensor cores, whatever is asked for.
WAYS = [*((dtype, STRICT) for dtype in CODES), ("float32", TF32)]
WITH_INPUT = ("gelu_tanh", "silu")  # activations whose derivative follows from z


def same(x):
    return x


class CudaLayer(Layer):
    """The functions of the library on arrays that `place` puts where a kernel finds them."""

    def __init__(self, call, name, precision=STRICT, place=same):
        super().__init__(name)
        self.call, self.precision, self.place = call, precision, place

    def arguments(self, x, kernel, activation):
        units = kernel.shape[0] if self.transposed else kernel.shape[1]
        sizes = CODES[x.dtype.name], len(x), x.shape[1], units
        return *sizes, ACTIVATIONS.index(activation), self.precision

    def out(self, shape, like):
        return Out(self.place(poisoned(shape, like.dtype)))

    def forward(self, x, kernel, bias, activation="linear", with_z=False):
        """y, or y and z."""
        head = self.arguments(x, kernel, activation)
        outs = [self.out((len(x), head[3]), x) for _ in range(1 + with_z)]
        bias = None if bias is None else self.place(bias)
        arrays = self.place(x), self.place(kernel), bias, *outs, *[None] * (not with_z)
        return self.call(f"fg_cuda_{self.name}", *head, *arrays)

    def backward(self, x, kernel, saved, d_y, activation="linear", wanted=(True, True, True)):
        """Those wanted of d_x, d_kernel and d_bias."""
        head = self.arguments(x, kernel, activation)
        shapes = x.shape, kernel.shape, d_y.shape[1:]
        outs = [self.out(s, x) if w else None for s, w in zip(shapes, wanted, strict=True)]
        arrays = *map(self.place, (x, kernel, saved, d_y)), *outs
        return self.call(f"fg_cuda_{self.name}_grad", *head, *arrays)

    def bounds(self, dtype, a, b):
        """Of the sums over products of |a| and |b|, as the header states them for a GPU."""
        exact = super().bounds(dtype, a, b)
        if dtype == "float64" or (dtype == "float32" and self.precision == STRICT):
            return exact
        a, b = np.abs(np.asarray(a, "float64")), np.abs(np.asarray(b, "float64"))
        return 2 * exact + (2.0**-10 * (a @ b) if dtype == "float32" else 0)

    def affine_bounds(self, x, kernel, bias):
        dtype = x.dtype.name
        bound = self.bounds(dtype, x, self.flat(kernel))
        return bound + 2 * unit(dtype) * np.abs(np.asarray(bias, "float64"))


def slope_of(name, z):
    """The activation's derivative at z, in long double, by its formula."""
    z = np.asarray(z).astype(np.longdouble)
    y, s = activation_of(name, z), 1 / (1 + np.exp(-z))
    inner = np.sqrt(2 / np.longdouble(np.pi)) * (z + np.longdouble(0.044715) * z**3)
    outer = np.sqrt(2 / np.longdouble(np.pi)) * (1 + 3 * np.longdouble(0.044715) * z**2)
    gate = (1 + np.tanh(inner)) / 2
    return {
        "linear": lambda: np.ones_like(z),
        "relu": lambda: (z > 0) * np.longdouble(1),
        "selu": lambda: np.where(
            z < 0, y + 1.0507009873554805 * 1.6732632423543772, 1.0507009873554805
        ),
        "elu": lambda: np.where(z < 0, y + 1, 1),
        "gelu_tanh": lambda: gate + z * 2 * gate * (1 - gate) * outer,
        "leaky_relu": lambda: np.where(z > 0, 1, float(np.float32(0.2))),
        "sigmoid": lambda: s * (1 - s),
        "tanh": lambda: 1 - y**2,
        "softplus": lambda: s,
        "silu": lambda: s + z * s * (1 - s),
    }[name]()


def relative_error(actual, exact):
    actual, exact = wide(actual, exact)
    return np.linalg.norm(actual - exact) / np.linalg.norm(exact)


def rounded(x, dtype):
    return np.asarray(np.asarray(x).astype(numpy_dtype(dtype)), "float64")
