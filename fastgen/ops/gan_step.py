"""Steps of a GAN: updates of its discriminator, then one of its generator."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import adversary, players
from fastgen.ops.batch_norm import MODES, normalizing
from fastgen.ops.discriminator_update import composite as update_discriminator
from fastgen.ops.sigmoid_cross_entropy import sigmoid_cross_entropy

OP = "gan_step"
# In the order of csrc/kernels/gan_step.h.
TELEMETRY = (
    "discriminator_loss",
    "real_accuracy",
    "fake_accuracy",
    "real_probability",
    "fake_probability",
    "discriminator_gradient_norm",
    "generator_loss",
    "generator_gradient_norm",
    "pairwise_distance",
)


def gan_step(
    generator,
    discriminator,
    generator_optimizer,
    discriminator_optimizer,
    images,
    rows,
    seeds,
    *,
    targets=None,
    batch_norm="train",
):
    """Steps of a GAN, each of both phases.

    Phase 1, `n_critic` times: `fastgen.ops.discriminator_update` on fresh images and on
    `generator(z)`, `z` normal noise. Phase 2: a step of the generator's optimizer on the mean of
    `softplus(-l)`, `l` the logits of `discriminator(generator(z))` with fresh noise. In each phase
    its network's regularizers, and what the called layers add to the loss, count as in Keras.

    Two chains of dense layers take one kernel for all steps. Other models take stock operations.
    All weights are trained in their phase, whatever `trainable` says.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> from fastgen import ops
    >>> generator = keras.Sequential([keras.Input((2,)), keras.layers.Dense(6, "sigmoid")])
    >>> discriminator = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1, "sigmoid")])
    >>> images, rows = np.ones((20, 6), "float32"), np.arange(16).reshape(2, 1, 8)
    >>> optimizers = keras.optimizers.RMSprop(), keras.optimizers.RMSprop()
    >>> seeds = np.arange(8).reshape(2, 2, 2)
    >>> telemetry = ops.gan_step(generator, discriminator, *optimizers, images, rows, seeds)
    >>> telemetry["generator_loss"].shape
    TensorShape([2])

    Args:
        generator: built `keras.Model`, codings `(n, codings)` → images.
        discriminator: built `keras.Model`, images → one logit, or a sigmoid of it, an image.
        generator_optimizer: Keras optimizer, or one of ours.
        discriminator_optimizer: another one.
        images: `(n, ...)` images: float, or uint8, which stands for 255ths.
        rows: `(steps, n_critic, batch)` integers in [0, n): the images of each update.
        seeds: `(steps, n_critic + 1, 2)` integers: of the noise of each update, that of
            `tf.random.stateless_normal((batch, codings), seed)`.
        targets: None, or `(steps, n_critic, 2, batch)` targets of the discriminator in [0, 1], of
            real images and of fake ones. By default 1 and 0.
        batch_norm: `"train"`: both networks run in training mode; or `"book"`, as in a loop of
            `generator(noise)` and `train_on_batch`: what the discriminator learns from is generated
            in inference mode, and where the generator learns, the discriminator's
            BatchNormalization takes its moving averages.

    Returns:
        A dict of float32 `(steps,)` tensors. `discriminator_loss`, `real_accuracy`,
        `fake_accuracy`, `real_probability`, `fake_probability` and `discriminator_gradient_norm`
        are means over a step's `n_critic` updates of what `discriminator_update` returns.
        `generator_loss`, with what is added to it, and `generator_gradient_norm` are from before
        the generator's update.
        `pairwise_distance` is the root of the mean of the squared distance of two different images
        that the generator made for the last update of the discriminator.

    Raises:
        ValueError: if shapes do not fit, an optimizer was built for other weights, or `batch_norm`
            is none of the two.
        tf.errors.InvalidArgumentError: if a row is out of range; if the loss of a phase is not
            finite: that phase updates nothing, those before it stand, the message names step and
            phase. Inside XLA such a phase updates nothing, but nothing is raised, and the next one
            begins. On a GPU, where networks of more than 12 layers take stock operations, this is
            what a call of the kernel waits for, and a row out of range is such a loss.

    Source: Goodfellow et al. (2014), Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661.
    """
    images = tf.convert_to_tensor(images)
    rows, seeds = tf.cast(rows, tf.int64), tf.cast(seeds, tf.int64)
    targets = None if targets is None else tf.convert_to_tensor(targets)
    _check(generator, discriminator, images, rows, seeds, targets)
    if batch_norm not in MODES:
        raise ValueError(f"{OP}: batch_norm must be one of {MODES}. Received: {batch_norm!r}")
    pairs = (generator, generator_optimizer), (discriminator, discriminator_optimizer)
    found, op = players.players(OP, *pairs)
    if op is None:
        with dispatch.composite_scope(OP):
            telemetry = Composite(*pairs, images, batch_norm).run(rows, seeds, targets)
    else:
        telemetry = _fused(op, *found, images, rows, seeds, targets, batch_norm)
    telemetry = tf.stop_gradient(tf.cast(telemetry, tf.float32))
    return dict(zip(TELEMETRY, tf.unstack(telemetry, axis=1), strict=True))


def _fused(op, generator, discriminator, images, rows, seeds, targets, batch_norm):
    dtype = generator.dtype
    steps, n_critic = rows.shape[:2]
    # As the composite runs the generator for the discriminator's updates: in training mode or not.
    by_batch = batch_norm == "train"
    of_fakes = n_critic if by_batch else 0
    of_generator = generator.corruption_seeds(steps * (of_fakes + 1))
    if not by_batch and of_generator.shape.rank == 3:  # of these passes nothing is drawn
        of_generator = tf.pad(of_generator[:, None], [[0, 0], [n_critic, 0], [0, 0], [0, 0]])
    of_discriminator = discriminator.corruption_seeds(steps * (n_critic + 1))
    telemetry = op(
        **generator.arguments("generator", steps, of_generator),
        **discriminator.arguments("discriminator", steps * n_critic, of_discriminator),
        corrupts_fakes=by_batch,
        images=adversary.rows(images, dtype),
        rows=rows,
        seeds=seeds,
        targets=tf.zeros([0], dtype) if targets is None else tf.cast(targets, dtype),
        name=OP,
    )
    return _checked(telemetry, steps) if generator.on_gpu and steps else telemetry


def _checked(telemetry, steps):
    """The telemetry of a GPU, where the kernel stops in silence: the error that the CPU's makes."""
    with tf.device("/CPU:0"):
        losses = tf.gather(telemetry, [0, TELEMETRY.index("generator_loss")], axis=1)
        finite = tf.reshape(tf.math.is_finite(losses), [-1])
        first = tf.argmin(tf.cast(finite, tf.int32))
        phase = tf.gather(["discriminator", "generator"], first % 2)
        step = tf.strings.as_string(first // 2)
        message = _not_finite("{}", "{} of " + str(steps)).split("{}")
        text = tf.strings.join([f"{OP}: {message[0]}", phase, message[1], step, message[2]])
        return adversary.checked(telemetry, tf.reduce_all(finite), text)


def _check(generator, discriminator, images, rows, seeds, targets):
    wanted = adversary.check_discriminator(OP, discriminator)[1:]
    _, outputs = adversary.shapes(OP, "generator", generator)
    for name, shape in (("images", images.shape), ("generator", tf.TensorShape(outputs))):
        if not shape[1:].is_compatible_with(wanted):
            raise ValueError(
                f"{OP}: {name} must be of the discriminator's input shape {wanted}. "
                f"Received: {shape}"
            )
    if not (images.dtype.is_floating or images.dtype == tf.uint8):
        raise ValueError(f"{OP}: images must be float or uint8. Received: {images.dtype.name}")
    shape = rows.shape
    static = shape.rank == 3 and None not in shape[:2] and shape[1] >= 1 and shape[2] != 0
    if not static or not seeds.shape.is_compatible_with((shape[0], shape[1] + 1, 2)):
        raise ValueError(
            f"{OP}: rows must be (steps, n_critic, batch), seeds (steps, n_critic + 1, 2), with "
            f"n_critic and batch at least 1. Received: {shape}, {seeds.shape}"
        )
    batch = (*shape[:2], 2, shape[2])
    if targets is not None and not targets.shape.is_compatible_with(batch):
        raise ValueError(f"{OP}: targets must be None or {batch}. Received: {targets.shape}")


class Composite:
    """Steps in stock operations."""

    def __init__(self, generator, discriminator, images, batch_norm):
        self.generator, self.generator_optimizer = generator
        self.discriminator, self.discriminator_optimizer = discriminator
        self.images = images
        self.by_batch = batch_norm == "train"

    def run(self, rows, seeds, targets):
        """The telemetry of all steps, a row each."""
        steps, made = rows.shape[0], []
        for i in range(steps):
            of_step = None if targets is None else targets[i]
            with tf.control_dependencies(made[-1:]):
                made.append(self.step(rows[i], seeds[i], of_step, f"{i} of {steps}"))
        return tf.stack(made) if made else tf.zeros([0, len(TELEMETRY)], tf.float64)

    def step(self, rows, seeds, targets, which):
        """The telemetry of a step, a vector: rows (n_critic, batch), seeds (n_critic + 1, 2).

        A phase begins when the loss of the one before it is known to be finite.
        """
        critic = []
        for i in range(rows.shape[0]):
            of_update = None if targets is None else tf.reshape(targets[i], [-1])
            with tf.control_dependencies(critic[-1:]):
                found, fake = self.update_discriminator(rows, i, seeds[i], of_update, which)
            critic.append(found)
        with tf.control_dependencies(critic[-1:]):
            own = self.update_generator(rows, seeds[-1], which)
        last = [*own, _distance(fake)]
        return tf.concat(
            [tf.reduce_mean(tf.stack(critic), 0), [tf.cast(x, tf.float64) for x in last]], 0
        )

    def update_discriminator(self, rows, i, seed, targets, which):
        """Phase 1: the telemetry, and the generated images."""
        before = adversary.kept(self.generator, self.discriminator)
        fake = self.imagine(rows, seed, training=self.by_batch)
        found = update_discriminator(
            OP,
            self.discriminator,
            self.discriminator_optimizer,
            tf.gather(self.images, rows[i]),
            fake,
            targets,
            before,
            phase=_not_finite("discriminator", which),
        )
        return found, fake

    def imagine(self, rows, seed, training=True):
        """The generator's images for a seed."""
        shape = (tf.shape(rows)[1], *self.generator.input_shape[1:])
        noise = tf.random.stateless_normal(shape, seed, dtype=adversary.dtype(self.generator))
        with normalizing(self.generator):
            return self.generator(noise, training=training)

    def update_generator(self, rows, seed, which):
        """Phase 2: the loss and the norm of the gradients."""
        before = adversary.kept(self.generator, self.discriminator)
        with tf.GradientTape() as tape:
            images = self.imagine(rows, seed)
            with normalizing(self.discriminator, self.by_batch):
                output = self.discriminator(images, training=True)
            logits = adversary.logits_of(self.discriminator, output)
            loss = sigmoid_cross_entropy(tf.ones_like(logits), logits, reduction="mean")
            loss = adversary.penalized(loss, self.generator, self.discriminator)
        norm = adversary.descend(
            OP,
            tape,
            loss,
            self.generator,
            self.generator_optimizer,
            before,
            phase=_not_finite("generator", which),
        )
        return loss, norm


def _not_finite(phase, step):
    return (
        f"the loss of the {phase} is not finite in step {step}: its phase updated nothing, what "
        "came before stands"
    )


def _distance(images):
    x = tf.cast(tf.reshape(images, [tf.shape(images)[0], -1]), tf.float64)
    n = tf.cast(tf.shape(x)[0], tf.float64)
    squares = tf.reduce_sum(tf.square(x - tf.reduce_mean(x, 0)))
    return tf.sqrt(tf.math.divide_no_nan(2 * squares, n - 1))
