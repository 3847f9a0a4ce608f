"""Steps of a GAN: updates of its discriminator, then one of its generator."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import adversary, players
from fastgen.ops.discriminator_update import composite as update_discriminator
from fastgen.ops.sigmoid_cross_entropy import sigmoid_cross_entropy

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
):
    """Steps of a GAN, each of both phases.

    Phase 1, `n_critic` times: `fastgen.ops.discriminator_update` on fresh images and on
    `generator(z)`, `z` normal noise. Phase 2: a step of the generator's optimizer on the mean of
    `softplus(-l)`, `l` the logits of `discriminator(generator(z))` with fresh noise.

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

    Returns:
        A dict of float32 `(steps,)` tensors. `discriminator_loss`, `real_accuracy`,
        `fake_accuracy`, `real_probability`, `fake_probability` and `discriminator_gradient_norm`
        are means over a step's `n_critic` updates of what `discriminator_update` returns.
        `generator_loss` and `generator_gradient_norm` are from before the generator's update.
        `pairwise_distance` is the root of the mean of the squared distance of two different images
        that the generator made for the last update of the discriminator.

    Raises:
        ValueError: if shapes do not fit.
        tf.errors.InvalidArgumentError: if a row is out of range; if the loss of a phase is not
            finite: that phase updates nothing, those before it stand, the message names both.

    Source: Goodfellow et al. (2014), Generative Adversarial Nets,
    https://arxiv.org/abs/1406.2661.
    """
    images = tf.convert_to_tensor(images)
    rows, seeds = tf.cast(rows, tf.int64), tf.cast(seeds, tf.int64)
    _check(generator, discriminator, images, rows, seeds)
    found, why = players.players(
        "gan_step", (generator, generator_optimizer), (discriminator, discriminator_optimizer)
    )
    if why is None:
        dtype = found[0].dtype
        op = dispatch.fused_op("gan_step", dtype)
        steps, n_critic = rows.shape[:2]
        telemetry = op(
            **found[0].arguments("generator", steps),
            **found[1].arguments("discriminator", steps * n_critic),
            images=adversary.rows(images, dtype),
            rows=rows,
            seeds=seeds,
            targets=tf.zeros([0], dtype) if targets is None else tf.cast(targets, dtype),
        )
    else:
        step = Composite(
            generator, discriminator, generator_optimizer, discriminator_optimizer, images
        )
        telemetry = tf.stack(
            [
                step(rows[i], seeds[i], None if targets is None else targets[i])
                for i in range(rows.shape[0])
            ]
        )
    by_name = tf.unstack(tf.cast(telemetry, tf.float32), axis=1)
    return dict(zip(TELEMETRY, by_name, strict=True))


def _check(generator, discriminator, images, rows, seeds):
    wanted = discriminator.input_shape[1:]
    for name, shape in (
        ("images", images.shape),
        ("generator", tf.TensorShape(generator.output_shape)),
    ):
        if not shape[1:].is_compatible_with(wanted):
            raise ValueError(
                f"gan_step: {name} must be of the discriminator's input shape {wanted}. "
                f"Received: {tuple(shape[1:])}"
            )
    static = rows.shape.rank == 3 and None not in rows.shape[:2]
    if not static or not seeds.shape.is_compatible_with((rows.shape[0], rows.shape[1] + 1, 2)):
        raise ValueError(
            "gan_step: rows must be (steps, n_critic, batch), seeds (steps, n_critic + 1, 2). "
            f"Received: {rows.shape}, {seeds.shape}"
        )


class Composite:
    """A step in stock operations."""

    def __init__(
        self, generator, discriminator, generator_optimizer, discriminator_optimizer, images
    ):
        self.generator, self.discriminator = generator, discriminator
        self.generator_optimizer = generator_optimizer
        self.discriminator_optimizer = discriminator_optimizer
        self.images = images

    def __call__(self, rows, seeds, targets):
        """The telemetry of a step, a vector: rows (n_critic, batch), seeds (n_critic + 1, 2)."""
        critic = []
        for i in range(rows.shape[0]):
            fake = self.imagine(rows, seeds[i])
            of_rows = None if targets is None else tf.reshape(targets[i], [-1])
            real = tf.gather(self.images, rows[i])
            optimizer = self.discriminator_optimizer
            critic.append(update_discriminator(self.discriminator, optimizer, real, fake, of_rows))
        own = self.update_generator(rows, seeds[-1])
        last = [*own, _distance(fake)]
        return tf.concat(
            [tf.reduce_mean(tf.stack(critic), 0), [tf.cast(x, tf.float64) for x in last]], 0
        )

    def imagine(self, rows, seed):
        """The generator's images for a seed."""
        shape = (tf.shape(rows)[1], *self.generator.input_shape[1:])
        noise = tf.random.stateless_normal(shape, seed, dtype=self.generator.compute_dtype)
        return self.generator(noise, training=True)

    def update_generator(self, rows, seed):
        """Phase 2: the loss and the norm of the gradients."""
        with tf.GradientTape() as tape:
            output = self.discriminator(self.imagine(rows, seed), training=True)
            logits = adversary.logits_of(output)
            loss = sigmoid_cross_entropy(tf.ones_like(logits), logits, reduction="mean")
        return loss, adversary.descend(tape, loss, self.generator, self.generator_optimizer)


def _distance(images):
    x = tf.cast(tf.reshape(images, [tf.shape(images)[0], -1]), tf.float64)
    n = tf.cast(tf.shape(x)[0], tf.float64)
    squares = tf.reduce_sum(tf.square(x - tf.reduce_mean(x, 0)))
    return tf.sqrt(tf.math.divide_no_nan(2 * squares, n - 1))
