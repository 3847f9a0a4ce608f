"""Binary cross-entropy of logits with its gradient, alone and at the end of a tied layer."""

from benchmarks.gpu.kernels import CODES
from benchmarks.gpu.work import Run, Work
from benchmarks.gpu.work.tied import PRECISIONS


class CrossEntropy(Work):
    """The mean of each row's losses and its slope in the logits."""

    outputs = ("loss", "slope")

    def draw(self, seed):
        return self.device.uniform(self.shape, seed), self.device.normal(self.shape, seed + 1)

    def _poisoned(self):
        return [self.device.poisoned(self.shape[:1]), self.device.poisoned(self.shape)]

    def fastgen(self, inputs):
        (rows, cols), code = self.shape, CODES["float32"]
        loss, slope = self._poisoned()
        once = self.kernels.bind(
            "fg_cuda_sigmoid_cross_entropy", dtype=code, targets_dtype=code, rows=rows, cols=cols,
            targets=inputs[0], logits=inputs[1], label_smoothing=0.0, loss=loss, slope=slope,
        )  # fmt: skip
        return Run(once, lambda: [loss, slope])

    def reference(self, provider, inputs, outputs):
        targets, logits = map(self.device.wide, inputs)
        return cross_entropy(self.device.xp, targets, logits)

    def torch(self, targets, logits):
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits

        loss = binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=-1)
        return loss, (torch.sigmoid(logits) - targets) / logits.shape[-1]

    def jax(self, targets, logits):
        import jax

        loss = jax.nn.softplus(logits) - logits * targets
        return loss.mean(axis=-1), (jax.nn.sigmoid(logits) - targets) / logits.shape[-1]

    def cupy(self, targets, logits):
        from benchmarks.gpu import cupy_kernels

        cols = logits.shape[-1]
        loss = cupy_kernels.cross_entropy(targets, logits, cols, axis=1)
        return loss, cupy_kernels.cross_entropy_slope(targets, logits, cols)

    def triton(self, inputs):
        from benchmarks.gpu import triton_kernels

        targets, logits = map(self.device.to_torch, inputs)
        outputs = [self.device.to_torch(x) for x in self._poisoned()]
        return Run(triton_kernels.cross_entropy(targets, logits, *outputs), lambda: outputs)


class TiedCrossEntropy(Work):
    """The same of logits that are a tied layer's, x kernelᵀ + bias: shape (rows, inputs, units)."""

    outputs = ("loss", "slope")

    def draw(self, seed):
        rows, inputs, units = self.shape
        x, bias = self.device.normal((rows, inputs), seed), self.device.normal((units,), seed + 1)
        kernel = self.device.normal((units, inputs), seed + 2) / inputs**0.5
        return x, kernel, bias, self.device.uniform((rows, units), seed + 3)

    def fastgen(self, inputs):
        rows, width, units = self.shape
        x, kernel, bias, targets = inputs
        loss, slope = self.device.poisoned((rows,)), self.device.poisoned((rows, units))
        code, precision = CODES["float32"], PRECISIONS[self.row.precision]
        given = {"dtype": code, "targets_dtype": code, "label_smoothing": 0.0, "z": None}
        given |= {"y": None, "logits": None}
        once = self.kernels.bind(
            "fg_cuda_dense_transpose_cross_entropy", given, **given, precision=precision,
            rows=rows, inputs=width, units=units, x=x, kernel=kernel, bias=bias, targets=targets,
            loss=loss, slope=slope,
        )  # fmt: skip
        return Run(once, lambda: [loss, slope])

    def reference(self, provider, inputs, outputs):
        x, kernel, bias, targets = map(self.device.wide, inputs)
        return cross_entropy(self.device.xp, targets, x @ kernel.T + bias)

    def torch(self, x, kernel, bias, targets):
        import torch
        from torch.nn.functional import binary_cross_entropy_with_logits, linear

        logits = linear(x, kernel, bias)
        loss = binary_cross_entropy_with_logits(logits, targets, reduction="none").mean(dim=-1)
        return loss, (torch.sigmoid(logits) - targets) / logits.shape[-1]

    def jax(self, x, kernel, bias, targets):
        import jax

        logits = x @ kernel.T + bias
        loss = jax.nn.softplus(logits) - logits * targets
        return loss.mean(axis=-1), (jax.nn.sigmoid(logits) - targets) / logits.shape[-1]


def cross_entropy(xp, targets, logits):
    """In float64."""
    loss = xp.logaddexp(logits, xp.zeros_like(logits)) - logits * targets
    return loss.mean(-1), (1 / (1 + xp.exp(-logits)) - targets) / logits.shape[-1]
