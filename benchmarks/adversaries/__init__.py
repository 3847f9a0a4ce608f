"""Who trains the GAN of `benchmarks.gan`: fastgen, the book's loop, Keras, and the peers.

An adversary is built from a list of weights, for an operation, `gan_step` or
`discriminator_update`. Names in _scan take `per_call` steps in a call, and so do we; others one.
"""

import importlib
import importlib.util

from benchmarks import gan

MODULES = {
    "fused": "fastgen_ops",
    "loop": "keras_loop",
    "keras": "keras_steps",
    "keras_scan": "keras_steps",
    "keras_xla": "keras_steps",
    "keras_xla_scan": "keras_steps",
    "torch": "torch_steps",
    "torch_compile": "torch_steps",
    "jax": "jax_steps",
    "jax_scan": "jax_steps",
}
# Those that take seconds to compile.
COMPILED = ("keras_xla", "keras_xla_scan", "torch_compile", "jax", "jax_scan")
NEEDS = {"torch_steps": "torch", "jax_steps": "jax"}


class Adversary:
    """Both networks of one provider, made ready.

    A provider has `run(steps)`, timed steps on shuffled images and noise of its own;
    `take(feed)`, the same steps on a `gan.Feed`; `weights()`, NumPy arrays; and `root_epsilon`,
    see `gan.Reference`. All return when the work is done.
    """

    root_epsilon = False

    def __init__(self, name, operation, weights, batch, per_call):
        self.name, self.operation, self.batch = name, operation, batch
        self.per_call = per_call if name == "fused" or name.endswith("_scan") else 1
        self.images = gan.make_images(gan.COUNT).reshape(-1, 28, 28)
        self.shuffle = gan.Shuffle(batch)
        self.taken = 0
        self.build(weights)

    def run(self, steps):
        assert steps % self.per_call == 0
        for _ in range(steps // self.per_call):
            self.call(self.shuffle(self.per_call))
        self.finish()

    def finish(self):
        """Wait for what was started."""


def installed(name):
    """Whether the provider's package is there."""
    package = NEEDS.get(MODULES[name])
    return package is None or importlib.util.find_spec(package) is not None


def load(name, operation, batch, per_call=1):
    """The adversary; checked against the reference before it is timed."""
    module = importlib.import_module(f"{__name__}.{MODULES[name]}")
    adversary = module.Provider(name, operation, gan.make_weights(), batch, per_call)
    gan.check(adversary, operation, batch)
    return adversary
