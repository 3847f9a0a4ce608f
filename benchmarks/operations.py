"""What is timed, without saying how: inputs, float64 reference and how runs are chained.

Repetitions are chained: the outputs of one are the inputs of the next. So no compiler can hoist
one out of the loop, merge two or skip one, no output is left unused, and making sure of that costs
no pass over memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class Operation:
    """A forward op with its gradients, upstream gradients given.

    `inputs` are the arguments of the forward op and then, named `d_`, the upstream gradients;
    `differentiated` those arguments by which gradients are taken, in the order of the outputs.
    `feeds` maps an input to the output that is that input in the next repetition; the other inputs
    stay. `stands_for` maps each remaining output to an input of its shape. `upstream` scales the
    upstream gradients of the timed runs, so that hundreds of chained repetitions stay finite and
    none meets a denormal.
    """

    inputs: tuple
    outputs: tuple
    feeds: dict
    reference: Callable
    stands_for: dict
    random: bool
    upstream: float = 1.0
    differentiated: tuple = ("mean", "log_var")

    def split(self, inputs):
        """Arguments of the forward op, and upstream gradients."""
        count = sum(not name.startswith("d_") for name in self.inputs)
        return tuple(inputs[:count]), tuple(inputs[count:])

    def leaves(self, arguments):
        """Those arguments by which gradients are taken."""
        return tuple(arguments[self.inputs.index(name)] for name in self.differentiated)

    def arguments(self, arguments, leaves):
        """The arguments with others in place of the leaves."""
        named = dict(zip(self.inputs, arguments, strict=False))
        return (named | dict(zip(self.differentiated, leaves, strict=True))).values()

    def next_inputs(self, inputs, outputs):
        named = dict(zip(self.outputs, outputs, strict=True))
        return tuple(
            named[self.feeds[name]] if name in self.feeds else value
            for name, value in zip(self.inputs, inputs, strict=True)
        )

    def first_outputs(self, inputs):
        """Outputs that a repetition before the first would have left: a loop's initial state."""
        named = dict(zip(self.inputs, inputs, strict=True))
        source = {output: name for name, output in self.feeds.items()} | self.stands_for
        return tuple(named[source[output]] for output in self.outputs)

    def make(self, shape, dtype="float32", upstream=1.0, seed=0):
        """Draw the inputs as NumPy arrays."""
        rng = np.random.default_rng(seed)
        draw = {
            "mean": lambda: rng.standard_normal(shape, "float32"),
            # Its chain in gaussian_kl, (e^log_var - 1) / 2, contracts on this interval.
            "log_var": lambda: rng.uniform(-1.5, 1.0, shape),
            "d_z": lambda: rng.standard_normal(shape, "float32") * upstream,
            "d_kl": lambda: rng.uniform(0.5, 1.0, shape[:-1]) * upstream,
            "targets": lambda: rng.uniform(0.0, 1.0, shape),
            "logits": lambda: 3 * rng.standard_normal(shape, "float32"),
            # What arrives at a loss that is minimised.
            "d_loss": lambda: np.ones([]),
        }
        return tuple(draw[name]().astype(dtype) for name in self.inputs)


def _sample(mean, log_var, d_z, noise):
    scaled = np.exp(log_var / 2) * noise
    return mean + scaled, d_z, d_z * scaled / 2


def _kl(mean, log_var, d_kl):
    variance, d_kl = np.exp(log_var), d_kl[..., None]
    kl = -np.sum(1 + log_var - variance - np.square(mean), axis=-1) / 2
    return kl, d_kl * mean, d_kl * (variance - 1) / 2


def _sample_kl(mean, log_var, d_z, d_kl, noise):
    z, d_mean, d_log_var = _sample(mean, log_var, d_z, noise)
    kl, kl_d_mean, kl_d_log_var = _kl(mean, log_var, d_kl)
    return z, kl, d_mean + kl_d_mean, d_log_var + kl_d_log_var


def _cross_entropy(targets, logits, d_loss):
    loss = np.mean(np.logaddexp(0, logits) - logits * targets)
    return loss, d_loss * (special.expit(logits) - targets) / logits.size


OPERATIONS = {
    "gaussian_sample": Operation(
        inputs=("mean", "log_var", "d_z"),
        outputs=("z", "d_mean", "d_log_var"),
        feeds={"mean": "z", "log_var": "d_log_var", "d_z": "d_mean"},
        stands_for={},
        reference=_sample,
        random=True,
        upstream=1e-6,
    ),
    "gaussian_kl": Operation(
        inputs=("mean", "log_var", "d_kl"),
        outputs=("kl", "d_mean", "d_log_var"),
        feeds={"mean": "d_mean", "log_var": "d_log_var"},
        stands_for={"kl": "d_kl"},
        reference=_kl,
        random=False,
    ),
    "gaussian_sample_kl": Operation(
        inputs=("mean", "log_var", "d_z", "d_kl"),
        outputs=("z", "kl", "d_mean", "d_log_var"),
        feeds={"mean": "z", "log_var": "d_log_var", "d_z": "d_mean"},
        stands_for={"kl": "d_kl"},
        reference=_sample_kl,
        random=True,
        upstream=1e-6,
    ),
    "sigmoid_cross_entropy": Operation(
        inputs=("targets", "logits", "d_loss"),
        outputs=("loss", "d_logits"),
        feeds={"logits": "d_logits"},
        stands_for={"loss": "d_loss"},
        reference=_cross_entropy,
        random=False,
        differentiated=("logits",),
    ),
}
