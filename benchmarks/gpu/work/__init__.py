"""What rows compute: a class each, with inputs, truth in float64, and a way for every provider.

A `Work` has `draw(seed)`, the inputs; `fastgen(inputs)`, a `Run` of ours; `reference(...)`. Peers
are pure functions of their framework's arrays, `torch`, `jax` and `cupy`, or a `Run` by `triton`.
"""

import importlib
import importlib.util
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.gpu.kernels import Missing
from benchmarks.gpu.row import GRAPH

PACKAGES = {"torch": "torch", "torch_compile": "torch", "jax": "jax", "cupy": "cupy"}
PACKAGES |= {"triton": "triton", "fastgen_core": "cupy"}
PROVIDERS = ("fastgen", *PACKAGES)
# Those that a work has a method for; the others get a function.
OWN = ("fastgen", "fastgen_core", "triton")
# What JAX calls the precision of products.
MATMULS = {"float32": "highest", "tf32": "tensorfloat32", "bfloat16": "default"}


class Wrong(Exception):
    """An output that is not what it should be: nothing of it is timed."""


@dataclass
class Run:
    """A provider made ready: `once()` starts a repetition, `outputs()` has what the last one gave.

    `finish()`, if there is one, waits for work on streams that are not PyTorch's; it cannot be
    captured in a graph, then.
    """

    once: Callable
    outputs: Callable
    finish: Callable | None = None


class Work:
    """The base: a row at a shape, on a device, with our kernels."""

    outputs = ()  # their names
    checked = 1  # repetitions before outputs are compared
    stateful = False  # whether a repetition changes what the next one computes

    def __init__(self, row, shape, device, kernels):
        self.row, self.shape, self.device, self.kernels = row, shape, device, kernels

    def build(self, provider, inputs):
        """The `Run` of a provider, of which a name with `GRAPH` is the same one's."""
        name = provider.removesuffix(GRAPH)
        if package := PACKAGES.get(name):
            require(package, self.device)
        if name in OWN:
            return getattr(self, name)(inputs)
        return getattr(self, f"_{name}")(inputs)

    def check(self, provider, inputs, outputs):
        """Errors of the outputs by name, ‖out − float64‖ / ‖float64‖."""
        expected = self.reference(provider.removesuffix(GRAPH), inputs, outputs)
        pairs = zip(self.outputs, outputs, expected, strict=True)
        return {name: error(self.device, out, truth) for name, out, truth in pairs}

    def bytes_of(self, inputs):
        return sum(x.nbytes for x in inputs)

    def jax_more(self):
        """What its function takes after the inputs."""
        return ()

    def _torch(self, inputs, function=None):
        return hold(function or self.torch, [self.device.to_torch(x) for x in inputs])

    def _torch_compile(self, inputs):
        return self._torch(inputs, compiled(self))

    def _jax(self, inputs):
        import jax

        arrays = [*(self.device.to_jax(x) for x in inputs), *self.jax_more()]
        run = hold(jitted(self), arrays)
        run.finish = lambda: jax.block_until_ready(run.outputs())
        return run

    def _cupy(self, inputs):
        import cupy

        run = hold(self.cupy, [cupy.from_dlpack(x) for x in inputs])
        run.finish = cupy.cuda.get_current_stream().synchronize
        return run


def hold(function, arguments):
    """A `Run` of a function that returns new arrays."""
    kept = []

    def once():
        kept[:] = function(*arguments)

    return Run(once, lambda: list(kept))


# A work's function is compiled once, for all sets of its inputs.
_functions = {}


def compiled(work):
    """torch.compile's version of the work's function."""
    import torch

    key = "torch", work.row.name
    if key not in _functions:
        _functions[key] = torch.compile(work.torch, dynamic=False)
    return _functions[key]


def jitted(work):
    """JAX's version of the work's function."""
    import jax

    key = "jax", work.row.name
    if key not in _functions:
        precision = MATMULS[work.row.precision]

        def whole(*arrays):
            with jax.default_matmul_precision(precision):
                return work.jax(*arrays)

        _functions[key] = jax.jit(whole)
    return _functions[key]


def forget():
    """Drop what was compiled: PyTorch gives up on a function after a few versions of it."""
    _functions.clear()
    if "torch" in sys.modules:
        sys.modules["torch"].compiler.reset()


def require(package, device):
    """Raises Missing where a peer cannot be had."""
    if importlib.util.find_spec(package) is None:
        raise Missing(f"{package} is not installed")
    if device.dry and package == "cupy":
        raise Missing("cupy needs a GPU")
    if device.dry and package == "triton" and os.environ.get("TRITON_INTERPRET") != "1":
        raise Missing("triton needs a GPU, or TRITON_INTERPRET=1")


def error(device, array, truth):
    """‖array − truth‖ / ‖truth‖; infinite if anything is NaN, infinite or of another shape."""
    if tuple(array.shape) != tuple(truth.shape):
        raise Wrong(f"shape {tuple(array.shape)}, expected {tuple(truth.shape)}")
    away = device.wide(array) - truth
    total, whole = float((away * away).sum()), float((truth * truth).sum())
    found = (total / max(whole, 1e-300)) ** 0.5
    return found if found == found else float("inf")


def load(name):
    """The class of a row's work."""
    module, _, kind = name.partition(".")
    return getattr(importlib.import_module(f"{__name__}.{module}"), kind)
