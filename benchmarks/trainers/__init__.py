"""Who trains the VAE: stock Keras, fastgen, and the peers installed.

A trainer is built from a list of weights (see `benchmarks.vae`), so that all start alike.
"""

import importlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass

MODULES = {
    "fused": "keras_fit",
    "keras": "keras_fit",
    "keras_20": "keras_fit",
    "keras_xla": "keras_fit",
    "torch": "torch_loop",
    "torch_compile": "torch_loop",
    "jax": "jax_loop",
}
NEEDS = {"torch_loop": "torch", "jax_loop": "jax"}


@dataclass(frozen=True)
class Trainer:
    """One model, made ready.

    `epoch(images, batch_size)` trains on every image once, in shuffled batches, and returns the
    mean loss; `loss(images)` is the mean loss with fresh noise; `generate(count)` returns decoded
    draws from a VAE's prior as NumPy `[count, 784]`. All three return when the work is done.
    """

    name: str
    epoch: Callable
    loss: Callable
    generate: Callable | None = None


def load(name, weights):
    """The trainer, or None where its package is not installed."""
    module = MODULES[name]
    if module in NEEDS and importlib.util.find_spec(NEEDS[module]) is None:
        return None
    return importlib.import_module(f"{__name__}.{module}").build(name, weights)
