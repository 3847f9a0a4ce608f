"""A tied layer, sigmoid(x kernelᵀ + bias): shape (rows, inputs, units)."""

from benchmarks.gpu.kernels import CODES
from benchmarks.gpu.work import Run, Work

# csrc/cuda/precision.h; other dtypes than float32 have one way each.
PRECISIONS = {"float32": 0, "bfloat16": 0, "tf32": 1}
SIGMOID = 6  # csrc/core/activation.h


class Tied(Work):
    outputs = ("y",)

    def draw(self, seed):
        rows, inputs, units = self.shape
        dtype = self.row.dtype
        kernel = self.device.normal((units, inputs), seed + 1) / inputs**0.5
        x = self.device.normal((rows, inputs), seed, dtype)
        cast = kernel.astype(x.dtype) if self.device.dry else kernel.to(x.dtype)
        return x, cast, self.device.normal((units,), seed + 2, dtype)

    def fastgen(self, inputs):
        rows, width, units = self.shape
        x, kernel, bias = inputs
        y = self.device.poisoned((rows, units), self.row.dtype)
        precision = PRECISIONS[self.row.precision]
        may_lack = () if self.row.precision == "tf32" else ("precision",)
        once = self.kernels.bind(
            "fg_cuda_dense_transpose", may_lack, dtype=CODES[self.row.dtype], precision=precision,
            rows=rows, inputs=width, units=units, activation=SIGMOID, x=x, kernel=kernel,
            bias=bias, y=y, z=None,
        )  # fmt: skip
        return Run(once, lambda: [y])

    def reference(self, provider, inputs, outputs):
        x, kernel, bias = map(self.device.wide, inputs)
        return (1 / (1 + self.device.xp.exp(-(x @ kernel.T + bias))),)

    def torch(self, x, kernel, bias):
        import torch
        from torch.nn.functional import linear

        return (torch.sigmoid(linear(x, kernel, bias)),)

    def jax(self, x, kernel, bias):
        import jax

        return (jax.nn.sigmoid(x @ kernel.T + bias),)
