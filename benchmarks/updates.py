"""Optimizer steps: variables, gradients, rules in float64, and everyone's way of taking them."""

import functools
import importlib
import importlib.util

import numpy as np

from tests.tolerances import assert_close

LEARNING_RATE = 1e-3
# Steps in one turn of a loop in a graph, whose own nodes cost TensorFlow some 12 µs.
UNROLLED = 4


def make(shapes, seed=0):
    """Variables and their gradients, float32 arrays.

    No gradient is near 0, where it would matter on which side of the root epsilon stands.
    """
    rng = np.random.default_rng(seed)
    variables = [np.float32(0.1) * rng.standard_normal(shape, "float32") for shape in shapes]
    sizes = [rng.uniform(0.5, 2.0, shape).astype("float32") for shape in shapes]
    return variables, [g * rng.choice(np.float32([-1, 1]), g.shape) for g in sizes]


# --- Keras' rules; state is theirs to fill, t counts from 1 ---


def rmsprop(w, g, state, t, rho=0.9, epsilon=1e-7):
    state["v"] = rho * state.get("v", 0) + (1 - rho) * g**2
    return w - LEARNING_RATE * g / (state["v"] + epsilon) ** 0.5


def adam(w, g, state, t, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    m = state["m"] = state.get("m", 0) + (1 - beta_1) * (g - state.get("m", 0))
    v = state["v"] = state.get("v", 0) + (1 - beta_2) * (g**2 - state.get("v", 0))
    rate = LEARNING_RATE * (1 - beta_2**t) ** 0.5 / (1 - beta_1**t)
    return w - rate * m / (v**0.5 + epsilon)


def nadam(w, g, state, t, beta_1=0.9, beta_2=0.999, epsilon=1e-7):
    now, then = (beta_1 * (1 - 0.5 * 0.96**step) for step in (t, t + 1))
    product = state["u"] = state.get("u", 1) * now
    m = state["m"] = state.get("m", 0) + (1 - beta_1) * (g - state.get("m", 0))
    v = state["v"] = state.get("v", 0) + (1 - beta_2) * (g**2 - state.get("v", 0))
    step = then * m / (1 - product * then) + (1 - now) * g / (1 - product)
    return w - LEARNING_RATE * step / ((v / (1 - beta_2**t)) ** 0.5 + epsilon)


RULES = {"rmsprop": rmsprop, "adam": adam, "nadam": nadam}
CLASSES = {"rmsprop": "RMSprop", "adam": "Adam", "nadam": "Nadam"}


def reference(rule, variables, gradients, steps):
    """The variables after some steps, in float64."""
    found = []
    for w, g in zip(variables, gradients, strict=True):
        w, g, state = w.astype("float64"), g.astype("float64"), {}
        for t in range(1, steps + 1):
            w = RULES[rule](w, g, state, t)
        found.append(w)
    return found


# --- providers: run(steps) and values() on state of their own ---


class Keras:
    """An optimizer of Keras' or ours, its steps in one graph."""

    def __init__(self, optimizers, rule, variables, gradients, jit_compile=False):
        import keras
        import tensorflow as tf

        self._variables = [keras.Variable(w) for w in variables]
        optimizer = getattr(optimizers, CLASSES[rule])(LEARNING_RATE)
        optimizer.build(self._variables)
        gradients = [tf.constant(g) for g in gradients]

        @tf.function(jit_compile=jit_compile)
        def run(turns):
            for _ in tf.range(turns):
                for _ in range(UNROLLED):
                    optimizer.apply(gradients, self._variables)

        self._run, self._constant = run, tf.constant

    def run(self, steps):
        assert steps % UNROLLED == 0
        self._run(self._constant(steps // UNROLLED))

    def values(self):
        return [w.numpy() for w in self._variables]


class Torch:
    """PyTorch's fused optimizer where it has one, else the one over lists of tensors."""

    def __init__(self, rule, variables, gradients):
        import torch

        from benchmarks.providers import THREADS

        torch.set_num_threads(THREADS)
        self._variables = [torch.from_numpy(w.copy()).requires_grad_() for w in variables]
        for w, g in zip(self._variables, gradients, strict=True):
            w.grad = torch.from_numpy(g.copy())
        cls = {"rmsprop": "RMSprop", "adam": "Adam", "nadam": "NAdam"}[rule]
        how = {"fused": True} if rule == "adam" else {"foreach": True}
        betas = {"alpha": 0.9} if rule == "rmsprop" else {"betas": (0.9, 0.999)}
        decay = {"momentum_decay": 1.0} if rule == "nadam" else {}  # Keras' 0.96 ** t
        self._optimizer = getattr(torch.optim, cls)(
            self._variables, lr=LEARNING_RATE, eps=1e-7, **betas, **how, **decay
        )

    def run(self, steps):
        for _ in range(steps):
            self._optimizer.step()

    def values(self):
        return [w.detach().numpy() for w in self._variables]


class Jax:
    """One jitted loop over the pytree, its state donated."""

    def __init__(self, rule, variables, gradients):
        import jax
        import jax.numpy as jnp

        gradients = [jnp.array(g) for g in gradients]
        names = {"rmsprop": "v", "adam": "mv", "nadam": "mv"}[rule]

        def step(t, carry):
            variables, states, product = carry
            found = []
            for w, g, state in zip(variables, gradients, states, strict=True):
                named = dict(state, **({"u": product} if rule == "nadam" else {}))
                found.append((RULES[rule](w, g, named, t), named))
            product = found[0][1].get("u", product)
            states = [{name: state[name] for name in names} for _, state in found]
            return [w for w, _ in found], states, product

        def loop(first, steps, carry):
            return jax.lax.fori_loop(first, first + steps, step, carry)

        self._loop, self._block = jax.jit(loop, donate_argnums=2), jax.block_until_ready
        variables = [jnp.array(w) for w in variables]
        states = [{name: jnp.zeros_like(w) for name in names} for w in variables]
        self._carry, self._next = (variables, states, jnp.float32(1)), 1

    def run(self, steps):
        self._carry = self._block(self._loop(self._next, steps, self._carry))
        self._next += steps

    def values(self):
        return [np.asarray(w) for w in self._carry[0]]


def _keras(module, **options):
    return lambda *arguments: Keras(importlib.import_module(module), *arguments, **options)


PROVIDERS = {
    "fused": ("fastgen", _keras("fastgen.optimizers")),
    "keras": ("keras", _keras("keras.optimizers")),
    "keras_xla": ("keras", _keras("keras.optimizers", jit_compile=True)),
    "torch": ("torch", Torch),
    "jax": ("jax", Jax),
}


@functools.cache
def installed(name):
    """Whether the provider's package is there."""
    return importlib.util.find_spec(PROVIDERS[name][0]) is not None


def build(name, rule, shapes):
    """The provider's optimizer, made ready; checked against the reference before it is timed."""
    variables, gradients = make(shapes)
    provider = PROVIDERS[name][1](rule, variables, gradients)
    provider.run(UNROLLED)
    expected = reference(rule, variables, gradients, UNROLLED)
    for value, w in zip(provider.values(), expected, strict=True):
        try:
            assert_close(value, w, "float32")
        except AssertionError as error:
            raise AssertionError(f"{name}: {rule} is not the reference's: {error}") from None
    return provider
