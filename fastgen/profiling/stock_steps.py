"""The steps that kernels hold whole, beside stock Keras: networks built anew, of the same sizes.

Each function takes a `trace.Call` and returns two functions without arguments that train as many
steps, ours and that of stock ops, each in one call of a graph; ours take as many steps in a run of
the kernel as were seen.
"""

import keras
import numpy as np
import tensorflow as tf

from fastgen import dispatch, ops, optimizers
from fastgen.ops import activations, adversary, network
from fastgen.profiling.work import player

LEAST_STEPS, MOST_STEPS = 8, 16
RATE = 1e-4
RULES = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam", "nadam": "Nadam"}
VARIATIONS = {"sgd": "nesterov", "rmsprop": "centered", "adam": "amsgrad"}
CLIPS = {"value": "clipvalue", "norm": "clipnorm", "global_norm": "global_clipnorm"}
FLOATS = {"float": "float32", "double": "float64"}


class NotRebuilt(Exception):
    """What of a network or an optimizer is not built here."""


def optimizer(call):
    """An update of all variables, by our optimizer and by Keras'."""
    of, inputs = dict(call.attributes), call.inputs
    if of["num_averages"] or of["num_accumulators"]:
        raise NotRebuilt("moving averages and accumulated gradients are not timed again")
    weights = list(inputs[1 : 1 + of["N"]])

    def run(package):
        tensors = [tf.ones(x.shape, FLOATS[x.dtype]) for x in weights]
        variables = [keras.Variable(x) for x in tensors]
        found = _optimizer(of, package)
        found.build(variables)
        return _repeated(LEAST_STEPS, lambda i: found.apply(tensors, variables))

    return run(optimizers), run(keras.optimizers)


def discriminator(call):
    """An update of a discriminator, its composite beside it."""
    real, fake, _ = player(call, "discriminator_", call.inputs).rest

    def run():
        model, found = _network(call, "discriminator_", call.inputs)
        images = [tf.random.uniform(x.shape, dtype=FLOATS[fake.dtype]) for x in (real, fake)]
        return lambda i: ops.discriminator_update(model, found, *images)

    return _repeated(LEAST_STEPS, run()), _composite(LEAST_STEPS, run())


def gan(call):
    """Steps of a GAN, their composite beside them."""
    generator = player(call, "generator_", call.inputs)
    images, rows, *_ = player(call, "discriminator_", generator.rest).rest
    steps, updates, batch = rows.shape
    count = min(max(steps, LEAST_STEPS), MOST_STEPS)

    def run(steps):
        pairs = (
            _network(call, "generator_", call.inputs),
            _network(call, "discriminator_", generator.rest),
        )
        (models, found), x = zip(*pairs, strict=True), _images(images, batch)
        picked = tf.zeros([steps, updates, batch], tf.int64) + tf.range(batch, dtype=tf.int64)
        seeds = tf.reshape(tf.range(steps * (updates + 1) * 2), [steps, updates + 1, 2])
        return lambda i: ops.gan_step(*models, *found, x, picked, seeds + i)

    at_once = min(steps, count)
    return _repeated(count // at_once, run(at_once)), _composite(count // at_once * at_once, run(1))


def autoencoder(call):
    """Steps of an autoencoder, variational or not; a tape and Keras' layers beside them."""
    found = player(call, "autoencoder_", call.inputs)
    images, _, rows, *_ = found.rest
    steps, batch = rows.shape
    attributes = dict(call.attributes)
    at, loss = attributes["autoencoder_log_variance"], attributes["loss"]
    at_once = min(steps, MOST_STEPS)
    repeats = 1 if at_once >= LEAST_STEPS else LEAST_STEPS // at_once

    def ours():
        layers, rule = _layers(call, "autoencoder_", call.inputs)
        names = attributes["autoencoder_activations"]
        pairs = zip(layers, names, strict=True)
        chain = [network.Dense(x.kernel, x.bias, name, False) for x, name in pairs]
        x = _images(images, batch)
        picked = tf.zeros([at_once, batch], tf.int64) + tf.range(batch, dtype=tf.int64)
        seeds = tf.reshape(tf.range(2 * at_once), [at_once, 2])
        how = {"loss": loss, "log_variance": at, "seeds": seeds}
        return lambda i: ops.autoencoder_step(chain, rule, x, picked, **how)

    def stock():
        layers, rule = _layers(call, "autoencoder_", call.inputs)
        x = adversary.unit_range(_images(images, batch), layers[0].dtype)
        pixel_loss = keras.losses.get(loss)

        def step(i):
            with tf.GradientTape() as tape:
                y, added = _reconstruct(layers, at, x, tf.stack([i, i]))
                total = tf.reduce_mean(pixel_loss(x, y)) * x.shape[1] + added
            variables = [v for layer in layers for v in layer.trainable_variables]
            rule.apply(tape.gradient(total, [v.value for v in variables]), variables)

        return step

    return _repeated(repeats, ours()), _repeated(repeats * at_once, stock())


def _reconstruct(layers, at, x, seed):
    """What comes out of the layers, and the divergence that a variational one adds."""
    added = 0.0
    for i, layer in enumerate(layers):
        if i == at - 1:
            mean, log_var = layer(x), layers[at](x)
            noise = tf.random.stateless_normal(tf.shape(mean), seed, dtype=mean.dtype)
            x = mean + tf.exp(log_var / 2) * noise
            divergences = tf.exp(log_var) + tf.square(mean) - 1 - log_var
            added = 0.5 * tf.reduce_mean(tf.reduce_sum(divergences, -1))
        elif i != at:
            x = layer(x)
    return x, added


def _layers(call, prefix, inputs):
    """Built dense layers of a player's sizes, and its optimizer, built for them."""
    found = player(call, prefix, inputs)
    of = _own(call, prefix)
    if any(of["transposed"]) or len(set(of["kernels"])) < len(of["kernels"]):
        raise NotRebuilt("tied layers are not built again")
    if set(of["corruptions"]) != {"none"} or set(of["sparsities"]) != {"none"}:
        raise NotRebuilt("noise, dropout and penalties are not built again")
    dtype, layers = FLOATS[inputs[1].dtype], []
    for (inputs_, units), name, bias in zip(
        found.layers, of["activations"], of["biases"], strict=True
    ):
        function = activations.resolve(call.op, name)[1]
        layer = keras.layers.Dense(units, function, use_bias=bias >= 0, dtype=dtype)
        layer.build((None, inputs_))
        layers.append(layer)
    rule = _optimizer(of, keras.optimizers)
    rule.build([v for layer in layers for v in layer.trainable_variables])
    return layers, rule


def _network(call, prefix, inputs):
    """A player as a Keras model, and its optimizer."""
    layers, rule = _layers(call, prefix, inputs)
    return keras.Sequential([keras.Input((layers[0].kernel.shape[0],)), *layers]), rule


def _own(call, prefix):
    return {k.removeprefix(prefix): v for k, v in call.attributes if k.startswith(prefix)}


def _optimizer(of, package):
    """The optimizer of a rule, with Keras' defaults for its numbers."""
    rule, places = of["rule"], of["slot_places"]
    options = {CLIPS[of["clip"]]: 1.0} if of["clip"] in CLIPS else {}
    if rule in VARIATIONS:
        options[VARIATIONS[rule]] = bool(of["variation"])
    if (rule == "sgd" and places) or (rule == "rmsprop" and 1 in places):
        options["momentum"] = 0.9
    return getattr(package, RULES[rule])(RATE, **options)


def _images(tensor, count):
    values = np.random.default_rng(0).random((count, tensor.shape[-1]), "float32")
    if tensor.dtype == "uint8":
        return tf.constant(255 * values, tf.uint8)
    return tf.constant(values, FLOATS[tensor.dtype])


def _composite(count, body):
    with dispatch.portable():
        function = _repeated(count, body)
        function()  # traced here
    return function


def _repeated(count, body):
    """A function that runs a body so often, one after the other."""

    def step(i):
        made = body(i)
        with tf.control_dependencies([x for x in tf.nest.flatten(made) if tf.is_tensor(x)]):
            return (i + 1,)

    @tf.function(autograph=False)
    def function():
        loop = tf.while_loop(lambda i: i < count, step, (tf.constant(0),), parallel_iterations=1)
        return loop[0]

    return function
