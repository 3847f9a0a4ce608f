"""What parity compares: models that take the same steps, each with all the numbers they write."""

import contextlib
import functools

import keras
import tensorflow as tf

from fastgen import dispatch, ops
from fastgen.models import Autoencoder, VariationalAutoencoder
from fastgen.ops import network
from fastgen.ops.adversary import weights
from fastgen.verification.twins import copy_of, default_dtype, optimizer_like

PLAYERS = ("generator", "discriminator")
OF_ROWS = Autoencoder, VariationalAutoencoder


class Trained:
    """A compiled model, trained by `train_on_batch`.

    Args:
        model: it.
        dtype: of its losses, by default Keras' own.
    """

    losses = ("loss",)

    def __init__(self, model, dtype=None):
        self.model, self.dtype = model, dtype
        if not model.optimizer.built:
            model.optimizer.build(model.trainable_variables)
        self.weights = [v.value for v in model.trainable_variables]
        others = (*model.non_trainable_variables, *model.optimizer.variables)
        self.state = [*self.weights, *(v.value for v in others)]
        self.optimizers = [model.optimizer]

    def copy(self, *, dtype=None, **how):
        """A new side: see `twins.copy_of`."""
        return Trained(copy_of(self.model, dtype=dtype, **how), dtype)

    def step(self, images, seeds):
        """Train on a batch; the losses."""
        x, y = images if isinstance(images, tuple) else (images, images)
        with default_dtype(self.dtype):
            logs = self.model.train_on_batch(x, y, return_dict=True)
        return [float(logs["loss"])]


class OfRows(Trained):
    """One of our autoencoders on rows of arrays: by the kernel of its `fit`, or by Keras' steps.

    Both draw the noise of the model's own seeds, which copies have with their states. In Keras'
    steps our layers take stock operations.
    """

    def __init__(self, model, dtype=None, stock=False):
        super().__init__(model, dtype)
        step = model._steps.stock_steps if stock else model.train_rows

        def run(data, rows):
            model.reset_metrics()
            with dispatch.portable() if stock else contextlib.nullcontext():
                return step(data, rows)["loss"]

        self.run = tf.function(run, autograph=False, jit_compile=model.jit_compile)

    def copy(self, *, stock=False, dtype=None, **how):
        """A new side: see `twins.copy_of`."""
        return OfRows(copy_of(self.model, stock=stock, dtype=dtype, **how), dtype, stock)

    def step(self, images, seeds):
        """Train on a batch; the losses."""
        data = images if isinstance(images, tuple) else (images,)
        data = tuple(tf.cast(x, self.model.variable_dtype) for x in data)
        rows = tf.range(len(data[0]), dtype=tf.int64)[None, None]
        with default_dtype(self.dtype):
            return [float(self.run(data, rows))]


class Pair:
    """Generator and discriminator, trained by `fastgen.ops.gan_step` or by stock operations."""

    losses = ("D loss", "G loss")

    def __init__(self, networks, optimizers, stock=False, jit_compile=False):
        self.networks, self.optimizers, self.stock = networks, optimizers, stock
        for model, optimizer in zip(networks, optimizers, strict=True):
            if not optimizer.built:
                optimizer.build(weights(model))
        self.weights = [v.value for m in networks for v in weights(m)]
        others = [v.value for m in networks for v in m.non_trainable_variables]
        known = {id(v) for v in self.weights}
        others = [v for v in others if id(v) not in known]
        slots = [v.value for optimizer in optimizers for v in optimizer.variables]
        self.state = [*self.weights, *others, *slots]
        step = _stock_step if stock else _gan_step
        self.run = tf.function(
            functools.partial(step, networks, optimizers),
            autograph=False,
            jit_compile=jit_compile,
        )

    def copy(self, *, stock=False, dtype=None, side=0, jit_compile=False):
        """A new side: see `twins.copy_of`."""
        networks = [copy_of(m, stock=stock, dtype=dtype, side=side) for m in self.networks]
        for layer in (layer for m in networks for layer in m._flatten_layers()):
            layer.trainable = True  # else Keras leaves out the regularizers of what is frozen
        optimizers = [optimizer_like(o, stock) for o in self.optimizers]
        return Pair(networks, optimizers, stock, jit_compile)

    def step(self, images, seeds):
        """Train on a batch; the losses."""
        dtype = self.weights[0].dtype
        images = tf.cast(images, dtype)
        if self.stock:  # the noise of a compiled function would be XLA's
            shape = (len(images), *self.networks[0].input_shape[1:])
            seeds = [tf.random.stateless_normal(shape, seed, dtype=dtype) for seed in seeds]
        return [float(x) for x in self.run(images, seeds)]


def _gan_step(networks, optimizers, images, seeds):
    rows = tf.range(tf.shape(images)[0])[None, None]
    telemetry = ops.gan_step(*networks, *optimizers, images, rows, seeds[None])
    return [telemetry[f"{name}_loss"][0] for name in ("discriminator", "generator")]


def _stock_step(networks, optimizers, images, noise):
    generator, discriminator = networks
    bce = keras.losses.BinaryCrossentropy(
        not network.ends_in_sigmoid(discriminator), dtype=images.dtype.name
    )

    def judged(images, *labels):
        found = discriminator(images, training=True)
        counts = tf.shape(found)[0] // len(labels)
        targets = tf.repeat(tf.constant(labels, found.dtype), counts)
        return bce(tf.reshape(targets, tf.shape(found)), found)

    fake = generator(noise[0], training=True)
    with tf.GradientTape() as tape:
        loss = judged(tf.concat([images, fake], 0), 1, 0) + _total(discriminator.losses, images)
    _descend(tape, loss, discriminator, optimizers[1])
    with tf.GradientTape() as tape:
        generator_loss = judged(generator(noise[1], training=True), 1)
        added = [x for layer in discriminator._flatten_layers() for x in layer._losses]
        generator_loss += _total([*generator.losses, *added], images)
    _descend(tape, generator_loss, generator, optimizers[0])
    return loss, generator_loss


def _total(losses, like):
    return sum(tf.reduce_sum(tf.cast(x, like.dtype)) for x in losses)


def _descend(tape, loss, model, optimizer):
    trained = weights(model)
    optimizer.apply(tape.gradient(loss, [v.value for v in trained]), trained)


def _check_own_steps(op, model):
    """Refuses what a copy would not keep, because it is of Keras' class: the loss would be lost."""
    for name in ("train_step", "compute_loss"):
        if getattr(type(model), name) is not getattr(keras.Model, name):
            raise TypeError(
                f"{op}: model must have the {name} of keras.Model, or be one of our autoencoders "
                "itself, no subclass. "
                f"Received: {model!r}"
            )


def _check_steps(op, gan):
    plain = {"n_critic": 1, "label_smoothing": 0, "label_noise": 0, "batch_norm": "train"}
    for name, value in plain.items():
        if (found := getattr(gan, name, value)) != value:
            raise ValueError(f"{op}: a GAN must have {name}={value!r}. Received: {found!r}")


def side_of(op, model):
    """The side of a model, a pair of networks, or a GAN.

    Raises:
        TypeError: if it is none of them, or takes steps of its own.
        ValueError: if a GAN's steps are not those of one critic, with targets of 1 and 0.
    """
    if isinstance(model, tuple):
        return Pair(*model)
    parts = [getattr(model, name, None) for name in PLAYERS]
    optimizers = [getattr(model, f"{name}_optimizer", None) for name in PLAYERS]
    if all(isinstance(x, keras.Model) for x in parts) and all(optimizers):
        _check_steps(op, model)
        return Pair(parts, optimizers)
    compiled = getattr(model, "compiled", False) and getattr(model, "optimizer", None)
    parts = model.layers if isinstance(model, keras.Sequential) else ()
    if len(parts) == 2 and all(isinstance(x, keras.Model) for x in parts):  # as in the book
        discriminator = getattr(parts[1], "optimizer", None)
        if compiled and discriminator:
            return Pair(parts, (model.optimizer, discriminator))
    elif compiled and type(model) in OF_ROWS:
        return OfRows(model)
    elif compiled:
        _check_own_steps(op, model)
        return Trained(model)
    raise TypeError(
        f"{op}: model must be a compiled Keras model, a GAN, or ((generator, discriminator), "
        f"(generator_optimizer, discriminator_optimizer)). Received: {model!r}"
    )
