"""What a user could run instead of our ops, and our ops, behind one interface."""

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass

# Every provider gets as many threads as the machine of PERF's figures has cores.
THREADS = 2

_MODULES = {
    "fused": "benchmarks.providers.fused",
    "fused_xla": "benchmarks.providers.fused",
    "eager": "benchmarks.providers.stock",
    "keras": "benchmarks.providers.stock",
    "keras_xla": "benchmarks.providers.stock",
    "numba": "benchmarks.providers.numba_kernels",
    "py_function": "benchmarks.providers.callback",
    "torch": "benchmarks.peers.pytorch",
    "torch_compile": "benchmarks.peers.pytorch",
    "jax": "benchmarks.peers.jax_jit",
}


@dataclass(frozen=True)
class Provider:
    """One way to run the operations.

    `build(name, operation, measure)` returns `run(iterations, *inputs) -> outputs` on the
    provider's own tensors, which has finished when it returns. `put` and `get` convert from and
    to NumPy; with `donates`, a run consumes its inputs. `noise(operation, i, shape)` gives
    the noise of repetition i, where it can be had from elsewhere.
    """

    name: str
    build: Callable
    put: Callable
    get: Callable
    version: str
    noise: Callable | None = None
    donates: bool = False


@functools.cache
def load(name):
    """The provider, or None where its framework is not installed."""
    try:
        return importlib.import_module(_MODULES[name]).PROVIDERS[name]
    except ModuleNotFoundError as error:
        if error.name in ("torch", "jax"):
            return None
        raise


def repeat_calls(step, operation, index=lambda i: i):
    """Chain calls from Python, as a training loop does: what `measure="call"` times."""
    indices = [index(i) for i in range(1000)]

    def run(iterations, *inputs):
        for i in range(iterations):
            outputs = step(indices[i], *inputs)
            inputs = operation.next_inputs(inputs, outputs)
        return outputs

    return run
