"""What is timed, without saying how: inputs, float64 reference and how runs are chained.

Repetitions are chained: the outputs of one are the inputs of the next. So no compiler can hoist
one out of the loop, merge two or skip one, no output is left unused, and making sure of that costs
no pass over memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks import draws

SPARSITY = 0.1  # mean activity that is aimed at
CORRUPTION = 0.2  # standard deviation, or rate of dropout


@dataclass(frozen=True)
class Operation:
    """A forward op with its gradients, upstream gradients given; without `leaves` it is alone.

    `inputs` are those of the op and then the upstream gradients, whose names begin with `d_`; the
    outputs are those of the op, then the gradients of `leaves`, the inputs it is differentiated in.
    `make(shape, rng, upstream)` draws the inputs. `reference(*inputs)`, with the noise after them
    if the op is random, gives the outputs in float64.

    `feeds` maps an input to the output that is that input in the next repetition; the other inputs
    stay. `stands_for` maps each remaining output to an input of its shape. `upstream` scales the
    upstream gradients of the timed runs, so that hundreds of chained repetitions stay finite and
    none meets a denormal. `terms(shape)` is how many terms an element of an output is a sum of.

    A random op has a `recover(inputs, outputs)`, the noise that a run has drawn, a `looks(noise)`
    and a `walk(inputs, outputs, repetitions)`: statistics of the noise, and of repetitions that
    were chained, in standard errors from what they should be, by name.
    """

    inputs: tuple
    outputs: tuple
    leaves: tuple
    feeds: dict
    stands_for: dict
    make: Callable
    reference: Callable
    upstream: float = 1.0
    terms: Callable = lambda shape: shape[-1]
    recover: Callable | None = None
    looks: Callable | None = None
    walk: Callable | None = None

    def split(self, inputs):
        """The inputs of the op, which of them are leaves, and the upstream gradients."""
        of_op = [name for name in self.inputs if not name.startswith("d_")]
        at = [of_op.index(name) for name in self.leaves]
        return inputs[: len(of_op)], at, inputs[len(of_op) :]

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

    def draw(self, shape, dtype="float32", upstream=1.0, seed=0):
        """Draw the inputs as NumPy arrays."""
        arrays = self.make(shape, np.random.default_rng(seed), upstream)
        return tuple(np.asarray(x, dtype) for x in arrays)


# --- inputs ---


def _gaussian(*names):
    def make(shape, rng, upstream):
        draw = {
            "mean": lambda: rng.standard_normal(shape, "float32"),
            # Its chain in gaussian_kl, (e^log_var - 1) / 2, contracts on this interval.
            "log_var": lambda: rng.uniform(-1.5, 1.0, shape),
            "d_z": lambda: rng.standard_normal(shape, "float32") * upstream,
            "d_kl": lambda: rng.uniform(0.5, 1.0, shape[:-1]) * upstream,
        }
        return [draw[name]() for name in names]

    return make


def _dense_inputs(shape, rng, upstream, transposed=False):
    batch, inputs, units = shape
    x = rng.standard_normal((batch, inputs), "float32")
    kernel = rng.standard_normal((units, inputs), "float32") / np.float32(np.sqrt(inputs))
    # Its largest singular value is about 1: chained gradients neither grow nor vanish.
    d_y = rng.standard_normal((batch, units), "float32") / np.float32(batch**0.5 + units**0.5)
    return x, kernel if transposed else kernel.T.copy(), rng.uniform(-1, 1, units), d_y


def _entropy_inputs(shape, rng, upstream):
    logits = 3 * rng.standard_normal(shape, "float32")
    return rng.random(shape, "float32"), logits, rng.uniform(0.5, 1.0, shape[:-1]) * upstream


def _activities(shape, rng, upstream):
    # d_activations of these lie in (0, 1), and so do those of some ten repetitions.
    return rng.uniform(0.3, 0.7, shape), np.float32(0.3 * shape[0])


def _steep(shape, rng, upstream):
    d_y = rng.standard_normal(shape, "float32") * upstream
    return rng.standard_normal(shape, "float32"), rng.uniform(0.5, 2.0, shape[1:]), d_y


def _signal(shape, rng, upstream):
    return rng.uniform(0.5, 1.5, shape), rng.standard_normal(shape, "float32") * upstream


# --- references in float64 ---


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


def _normals(inputs, outputs):
    mean, log_var, z = (np.asarray(x, "float64") for x in (inputs[0], inputs[1], outputs[0]))
    return (z - mean) * np.exp(-log_var / 2)


def _sample_walk(inputs, outputs, repetitions):
    # After the first repetition log_var is about 1e-6, so that each further step has variance 1.
    variance = np.exp(inputs[1].astype("float64")) + repetitions - 1
    return draws.variance((outputs[0] - inputs[0].astype("float64")) / np.sqrt(variance))


def _dense(x, kernel, bias, d_y):
    y = x @ kernel + bias
    d_y = d_y * (y > 0)
    return np.maximum(y, 0), d_y @ kernel.T, x.T @ d_y, d_y.sum(axis=0)


def _dense_transpose(x, kernel, bias, d_y):
    y, d_x, d_kernel, d_bias = _dense(x, kernel.T, bias, d_y)
    return y, d_x, d_kernel.T, d_bias


def _entropy(targets, logits, d_loss):
    loss = np.mean(np.logaddexp(0, logits) - targets * logits, axis=-1)
    sigmoid = 1 / (1 + np.exp(-logits))
    return loss, d_loss[..., None] * (sigmoid - targets) / logits.shape[-1]


def _sparsity(activations, d_penalty):
    p, q = SPARSITY, activations.mean(axis=0)
    penalty = np.sum(p * np.log(p / q) + (1 - p) * np.log((1 - p) / (1 - q)))
    d_q = d_penalty * ((1 - p) / (1 - q) - p / q)
    return penalty, np.broadcast_to(d_q / len(activations), activations.shape)


def _noisy(x, d_y, noise):
    return x + CORRUPTION * noise, d_y


def _noise_added(inputs, outputs):
    return (np.asarray(outputs[0], "float64") - inputs[0]) / CORRUPTION


def _kept(inputs, outputs):
    return (outputs[0] != 0).astype("float64")


def _dropped(x, d_y, kept):
    return x * kept / (1 - CORRUPTION), d_y * kept / (1 - CORRUPTION)


def _swish(x, steepness, d_y):
    sigmoid = 1 / (1 + np.exp(-steepness * x))
    slope = x * sigmoid * (1 - sigmoid)
    return x * sigmoid, d_y * (sigmoid + steepness * slope), np.sum(d_y * x * slope, axis=0)


_DENSE = {
    "inputs": ("x", "kernel", "bias", "d_y"),
    "outputs": ("y", "d_x", "d_kernel", "d_bias"),
    "leaves": ("x", "kernel", "bias"),
    "feeds": {"x": "d_x", "kernel": "d_kernel", "bias": "d_bias"},
    "stands_for": {"y": "d_y"},
    "terms": max,
}
_CORRUPTION = {
    "inputs": ("x", "d_y"),
    "outputs": ("y", "d_x"),
    "leaves": ("x",),
    "feeds": {"x": "y", "d_y": "d_x"},
    "stands_for": {},
    "make": _signal,
    "upstream": 1e-6,
}
_LATENT = ("mean", "log_var")

OPERATIONS = {
    "gaussian_sample": Operation(
        inputs=(*_LATENT, "d_z"),
        outputs=("z", "d_mean", "d_log_var"),
        leaves=_LATENT,
        feeds={"mean": "z", "log_var": "d_log_var", "d_z": "d_mean"},
        stands_for={},
        make=_gaussian(*_LATENT, "d_z"),
        reference=_sample,
        recover=_normals,
        looks=draws.normal,
        walk=_sample_walk,
        upstream=1e-6,
    ),
    "gaussian_kl": Operation(
        inputs=(*_LATENT, "d_kl"),
        outputs=("kl", "d_mean", "d_log_var"),
        leaves=_LATENT,
        feeds={"mean": "d_mean", "log_var": "d_log_var"},
        stands_for={"kl": "d_kl"},
        make=_gaussian(*_LATENT, "d_kl"),
        reference=_kl,
    ),
    "gaussian_sample_kl": Operation(
        inputs=(*_LATENT, "d_z", "d_kl"),
        outputs=("z", "kl", "d_mean", "d_log_var"),
        leaves=_LATENT,
        feeds={"mean": "z", "log_var": "d_log_var", "d_z": "d_mean"},
        stands_for={"kl": "d_kl"},
        make=_gaussian(*_LATENT, "d_z", "d_kl"),
        reference=_sample_kl,
        recover=_normals,
        looks=draws.normal,
        walk=_sample_walk,
        upstream=1e-6,
    ),
    # Both with a ReLU, which stock TensorFlow fuses with the product, too.
    "dense": Operation(**_DENSE, make=_dense_inputs, reference=_dense),
    "dense_transpose": Operation(
        **_DENSE,
        make=lambda *x: _dense_inputs(*x, transposed=True),
        reference=_dense_transpose,
    ),
    "sigmoid_cross_entropy": Operation(
        inputs=("targets", "logits", "d_loss"),
        outputs=("loss", "d_logits"),
        leaves=("logits",),
        feeds={"logits": "d_logits", "d_loss": "loss"},
        stands_for={},
        make=_entropy_inputs,
        reference=_entropy,
    ),
    "sparsity": Operation(
        inputs=("activations", "d_penalty"),
        outputs=("penalty", "d_activations"),
        leaves=("activations",),
        feeds={"activations": "d_activations"},
        stands_for={"penalty": "d_penalty"},
        make=_activities,
        reference=_sparsity,
        terms=lambda shape: shape[0],
    ),
    # Shrinks from one repetition to the next: in some ten, the squares in exp stay normal.
    "swish": Operation(
        inputs=("x", "steepness", "d_y"),
        outputs=("y", "d_x", "d_steepness"),
        leaves=("x", "steepness"),
        feeds={"x": "y", "steepness": "d_steepness", "d_y": "d_x"},
        stands_for={},
        make=_steep,
        reference=_swish,
        upstream=0.1,
        terms=lambda shape: shape[0],
    ),
    "swish_forward": Operation(
        inputs=("x", "steepness"),
        outputs=("y",),
        leaves=(),
        feeds={"x": "y"},
        stands_for={},
        make=lambda *x: _steep(*x)[:2],
        reference=lambda x, steepness: _swish(x, steepness, 0)[:1],
    ),
    "gaussian_noise": Operation(
        **_CORRUPTION,
        reference=_noisy,
        recover=_noise_added,
        looks=draws.normal,
        walk=lambda inputs, outputs, n: draws.variance(_noise_added(inputs, outputs) / n**0.5),
    ),
    "dropout": Operation(
        **_CORRUPTION,
        reference=_dropped,
        recover=_kept,
        looks=lambda kept: draws.bernoulli(kept, 1 - CORRUPTION),
        walk=lambda inputs, outputs, n: draws.bernoulli(
            _kept(inputs, outputs), (1 - CORRUPTION) ** n
        ),
    ),
}
