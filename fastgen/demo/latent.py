"""Times the latent layer by itself: what a training step runs of it, forward and gradients."""

import time

import numpy as np
import tensorflow as tf

from fastgen.demo.comparison import Entrant

ROUNDS = 30
RUN_SECONDS = 0.02  # of the slower layer
# A while loop's own nodes cost TensorFlow some 12 µs a turn, which no training step pays.
UNROLLED = 10
# Upstream gradients of the timed runs: so small that a thousand chained steps stay finite.
UPSTREAM = 1e-6


def time_in_turns(layers, shape, seed):
    """Checks that two latent layers agree, then times them in turns.

    Args:
        layers: `{name: layer}`, both new and with the same seed.
        shape: `(batch, codings)`.
        seed: Of the inputs.

    Returns:
        An `Entrant` for each, with seconds per step; the first of them is not to be counted.
    """
    inputs = np.random.RandomState(seed).normal(size=(3, *shape)).astype("float32")
    check(layers.values(), inputs)
    inputs[2] *= UPSTREAM
    entrants = [Entrant(name, layer) for name, layer in layers.items()]
    clocks = [_clock(chain(layer, UNROLLED), inputs) for layer in layers.values()]
    # A large batch gets fewer turns; both layers get the same number.
    turns = max(1, round(RUN_SECONDS / max(clock(3) / 3 for clock in clocks)))
    pairs = list(zip(entrants, clocks, strict=True))
    for number in range(1 + ROUNDS):
        for entrant, clock in pairs if number % 2 else reversed(pairs):
            entrant.seconds.append(clock(turns) / (turns * UNROLLED))
    return entrants


def chain(layer, steps):
    """A function `(turns, mean, log_var, d_z, d_loss)` that runs `turns * steps` steps in a graph.

    In a graph, because calling a `tf.function` for each step would hide the layer, as no training
    step does. The outputs of a step are the inputs of the next, and its losses are added up, so
    that nothing is pruned. The seed is drawn and the KL tracker updated in each, as in `fit`.
    """

    @tf.function
    def run(turns, mean, log_var, d_z, d_loss):
        def body(turn, mean, log_var, d_z, total):
            for _ in range(steps):
                with tf.GradientTape() as tape:
                    tape.watch((mean, log_var))
                    z = layer([mean, log_var])
                    (loss,) = layer.losses
                gradients = tape.gradient((z, loss), (mean, log_var), (d_z, d_loss))
                mean, (d_z, log_var), total = z, gradients, total + loss
            return turn + 1, mean, log_var, d_z, total

        state = 0, mean, log_var, d_z, tf.zeros(())
        return tf.while_loop(lambda turn, *_: turn < turns, body, state, parallel_iterations=1)[1:]

    return run


def check(layers, inputs):
    """Raises AssertionError unless two layers have the same z, gradients and loss in a step."""
    inputs = [tf.constant(x) for x in (1, *inputs, np.float32(1))]
    stock, ours = (chain(layer, 1)(*inputs) for layer in layers)
    for name, a, b in zip(("z", "d_log_var", "d_mean", "loss"), stock, ours, strict=True):
        np.testing.assert_allclose(
            b, a, rtol=1e-5, atol=1e-5, err_msg=f"The layers differ in {name}"
        )


def _clock(run, inputs):
    inputs = [tf.constant(x) for x in (*inputs, np.float32(UPSTREAM))]
    run(tf.constant(1), *inputs)  # compiles

    def seconds(turns):
        start = time.perf_counter()
        run(tf.constant(turns), *inputs)[0].numpy()
        return time.perf_counter() - start

    return seconds
