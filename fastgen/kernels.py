"""The table of kernels: what each can do, and where stock ops are faster."""

from collections.abc import Callable
from typing import NamedTuple

FLOATS = ("float16", "bfloat16", "float32", "float64")
BOTH = ("CPU", "GPU")


class Bounds(NamedTuple):
    """Where stock ops are faster on a device, as measured, and taken unless FASTGEN_BACKEND=fused.

    In the dtypes of `slower`, and below `least` rows and weights of a matrix.
    """

    slower: tuple = ()
    least: tuple = (0, 0)


class Kernel(NamedTuple):
    """What a fused op can do; its gradient op, if it has one, can do the same.

    XLA can call it on the devices of `custom_call`. Where a device has no bounds, nothing has been
    measured: the kernel, if there is one, runs always.
    `why_not` says what keeps a user's kernel from being compiled for a GPU, or None; without
    `composite` it then runs on the CPU.
    """

    dtypes: tuple = FLOATS
    devices: tuple = ("CPU",)
    differentiable: bool = True
    bounds_on_cpu: Bounds = Bounds()
    bounds_on_gpu: Bounds | None = None
    op: str | None = None  # that runs it, where several kernels share one
    custom_call: tuple = ()
    why_not: Callable | None = None
    composite: bool = True

    def bounds(self, device):
        """The `Bounds` on a device; None where nothing has been measured."""
        return self.bounds_on_cpu if device == "CPU" else self.bounds_on_gpu


# Stock products of 16-bit floats run in the CPU's own instructions for them; ours in float32.
# Forward and gradients in a graph, two threads, times the better of stock ops: 1.2 at 4096 x 4096
# -> 512, 0.9 at 1024 x 784 -> 300, 0.9 to 1.1 at 64 x 784 -> 150 and 64 x 150 -> 784.
DENSE = Kernel(devices=BOTH, bounds_on_cpu=Bounds(("float16", "bfloat16"), (1024, 2**21)))
KERNELS = {
    "dense": DENSE,
    "dense_transpose": DENSE,
    "gaussian_sample": Kernel(devices=BOTH, custom_call=BOTH),
    "gaussian_kl": Kernel(devices=BOTH),
    "gaussian_sample_kl": Kernel(devices=BOTH, custom_call=BOTH),
    "sparsity": Kernel(devices=BOTH),
    "optimizer_update": Kernel(("float32", "float64"), BOTH, differentiable=False),
    "gaussian_noise": Kernel(),
    "dropout": Kernel(),
    "sigmoid_cross_entropy": Kernel(devices=BOTH, custom_call=BOTH),
    "discriminator_update": Kernel(("float32", "float64"), BOTH, differentiable=False),
    "autoencoder_step": Kernel(("float32", "float64"), differentiable=False),
    "gan_step": Kernel(("float32", "float64"), BOTH, differentiable=False),
}


# Likewise those of fastgen.jit, as they are defined.
USERS = {}


def kernel_of(op):
    """The `Kernel` of an op or of its gradient, or None."""
    return KERNELS.get(op.removesuffix("_grad").removesuffix("_from_slope")) or USERS.get(op)
