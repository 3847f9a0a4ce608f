"""The variational autoencoder as a Keras model: its losses, its logs, and what it generates."""

import contextlib
import inspect
import math
import numbers

import keras
import numpy as np
import tensorflow as tf

from fastgen import optimizers
from fastgen.layers import GaussianLatent, StandardNormal
from fastgen.layers.gaussian_latent import weighing
from fastgen.models.batches import InBatches
from fastgen.models.grouped_steps import GroupedSteps
from fastgen.models.images import check_images
from fastgen.models.reconstruction import LOSSES, reconstruction_loss
from fastgen.models.schedules import Schedule


@keras.saving.register_keras_serializable(package="fastgen")
class VariationalAutoencoder(keras.Model):
    """A variational autoencoder of any encoder and decoder.

    `loss = reconstruction + beta * KL(q(z | x) || p(z))`, means over the batch.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> import fastgen
    >>> images = keras.Input((4, 4))
    >>> x = keras.layers.Flatten()(images)
    >>> mean, log_var = keras.layers.Dense(2)(x), keras.layers.Dense(2)(x)
    >>> z = fastgen.layers.GaussianLatent()([mean, log_var])
    >>> encoder = keras.Model(images, [mean, log_var, z])
    >>> dense = [keras.layers.Dense(16), keras.layers.Reshape((4, 4))]
    >>> decoder = keras.Sequential([keras.Input((2,)), *dense, keras.layers.Activation("sigmoid")])
    >>> vae = fastgen.models.VariationalAutoencoder(encoder, decoder)
    >>> vae.compile("nadam")
    >>> history = vae.fit(np.zeros((8, 4, 4)), verbose=0)
    >>> sorted(history.history)
    ['kl', 'loss', 'reconstruction_loss']
    >>> vae.generate(3, seed=1).shape
    (3, 4, 4)

    Args:
        encoder: functional `keras.Model`, images → `[mean, log_var, codings]`, the three of shape
            `(batch, codings)`, with one `fastgen.layers.GaussianLatent` of `kl_weight` 1 in it,
            which draws the codings and holds the prior and the free bits.
        decoder: `keras.Model`, codings → images. For binary cross-entropy its last operation is a
            sigmoid, after any Reshape.
        reconstruction: `"binary_crossentropy"`, of images in [0, 1], or `"mean_squared_error"`.
        reduction: `"sum"` of the pixels' losses, or `"mean"`, which divides both the
            reconstruction loss and the KL divergence by the number of pixels. The gradients are
            the same but for that factor, and so is a training with an optimizer that ignores the
            scale of gradients, as Adam does but for its epsilon.
        beta: number ≥ 0, or a `fastgen.models.Schedule` such as `Warmup`, a function of the
            optimizer's iterations. Validation has the schedule's last value.
        name: Name of the model.

    Attributes:
        encoder, decoder: The arguments.
        latent: The encoder's `GaussianLatent`.
        prior: The `fastgen.layers.Prior` of the codings.
        codings: Number of codings.
        image_shape: Shape of an image.

    Raises:
        ValueError: if the encoder, the decoder or another argument is not as above.

    Source: Kingma & Welling (2014), Auto-Encoding Variational Bayes,
    https://arxiv.org/abs/1312.6114; beta: Higgins et al. (2017), beta-VAE,
    https://openreview.net/forum?id=Sy2fzU9gl.
    """

    def __init__(
        self,
        encoder,
        decoder,
        *,
        reconstruction="binary_crossentropy",
        reduction="sum",
        beta=1.0,
        name="variational_autoencoder",
        **kwargs,
    ):
        latent = _find_latent(encoder)
        _check_parts(encoder, decoder)
        _check_choice("reconstruction", reconstruction, LOSSES)
        _check_choice("reduction", reduction, ("sum", "mean"))
        _check_beta(beta)
        images = keras.Input(encoder.input_shape[1:], name="images")
        super().__init__(images, decoder(encoder(images)[2]), name=name, **kwargs)
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.reconstruction, self.reduction, self.beta = reconstruction, reduction, beta
        self.image_shape = tuple(encoder.input_shape[1:])
        self.codings = encoder.output_shape[0][-1]
        latent.kl_tracker.name = "kl"  # the only one here, whatever the name of the layer
        self.prior = latent.prior or StandardNormal(self.codings)
        self._posterior = self._images = self._grouped = None
        self.loss_scale = 1 / math.prod(self.image_shape) if reduction == "mean" else 1.0
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        scheduled = isinstance(beta, Schedule)
        self.beta_tracker = keras.metrics.Mean(name="beta") if scheduled else None

    def compile(self, optimizer="nadam", loss=None, *, jit_compile=False, **kwargs):
        """Prepares the model for training.

        Args:
            optimizer: As for `keras.Model.compile`; names are of `fastgen.optimizers` first.
            loss: Not to be given: it is the model's own.
            jit_compile: As for `keras.Model.compile`. XLA would keep the latent layer from its
                kernel, so that it is off.
            **kwargs: `metrics` and others, as for `keras.Model.compile`. Unless
                `steps_per_execution` is given, `fit` on arrays runs groups of steps, if no callback
                has hooks on batches.

        Raises:
            ValueError: if a loss is given.
        """
        self._grouped = None if "steps_per_execution" in kwargs else GroupedSteps(self)
        weights = kwargs.pop("loss_weights", None)
        if loss is not None or weights is not None:
            raise ValueError(
                "VariationalAutoencoder: compile takes no loss, because the model has its own. "
                "Choose it by VariationalAutoencoder(reconstruction=..., reduction=..., beta=...). "
                f"Received: loss={loss!r}, loss_weights={weights!r}"
            )
        super().compile(optimizers.get(optimizer), jit_compile=jit_compile, **kwargs)

    def compile_from_config(self, config):
        """Compiles the model as it was when it was saved."""
        arguments = keras.saving.deserialize_keras_object(config)
        if arguments.get("steps_per_execution") == 1:  # Keras notes its default, too
            del arguments["steps_per_execution"]
        self.compile(**arguments)
        self.optimizer.build(self.trainable_variables)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the model, as `keras.Model.fit` does.

        Args:
            x: Images `(n, *image_shape)`, or a dataset of batches of them or of pairs.
            y: Images to reconstruct, by default `x` itself.
            *args: As for `keras.Model.fit`.
            **kwargs: As for `keras.Model.fit`; `validation_data` is images, or a pair or triple.

        Returns:
            `keras.callbacks.History`. Its logs are `loss`, `reconstruction_loss`, `kl`, which is in
            nats and before β and free bits, and with a schedule `beta`, the mean of the epoch.

        Raises:
            ValueError: if images in arrays have another shape, or values that are not finite or,
                with binary cross-entropy, not in [0, 1].
        """
        bound = inspect.signature(super().fit).bind(x, y, *args, **kwargs)
        given = self._checked(bound.arguments)
        if given.get("validation_data") is not None:
            parts = keras.utils.unpack_x_y_sample_weight(given["validation_data"])
            named = dict(zip(("x", "y", "sample_weight"), parts, strict=True))
            given["validation_data"] = tuple(self._checked(named, "validation ").values())
        grouped = self._grouped and self._grouped.suit(given)
        with self._grouped.in_use() if grouped else contextlib.nullcontext():
            return super().fit(**given)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Losses of images, as `keras.Model.evaluate` has them; images as for `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked it
            return super().evaluate(x, y, *args, **kwargs)
        bound = inspect.signature(super().evaluate).bind(x, y, *args, **kwargs)
        return super().evaluate(**self._checked(bound.arguments))

    def train_step(self, data):
        """One step of training."""
        x, y, sample_weight = _unpack(data)
        beta = self.beta
        if isinstance(beta, Schedule):
            beta = beta(self.optimizer.iterations)
        with self._weighing(beta, sample_weight):
            return super().train_step((x, y, sample_weight))

    def test_step(self, data):
        """One step of validation, with the final β."""
        x, y, sample_weight = _unpack(data)
        beta = self.beta.beta if isinstance(self.beta, Schedule) else self.beta
        with self._weighing(beta, sample_weight):
            return super().test_step((x, y, sample_weight))

    def _weighing(self, beta, sample_weight):
        if self.beta_tracker is not None:
            self.beta_tracker.update_state(beta)
        return weighing(beta * self.loss_scale, sample_weight)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """The loss of a batch; the KL divergence is among the losses of the encoder."""
        each = self.loss_scale * reconstruction_loss(self.reconstruction, y, y_pred)
        if sample_weight is not None:
            each *= tf.reshape(tf.cast(sample_weight, each.dtype), [-1])
        self.reconstruction_tracker.update_state(each)
        count = tf.cast(tf.size(each), each.dtype)
        own = tf.math.divide_no_nan(tf.reduce_sum(each), count)
        own = tf.cast(own, keras.config.floatx())
        return sum(self._aggregate_additional_loss(loss) for loss in (own, *self.losses))

    def posterior(self, x, batch_size=256):
        """Means and log variances of the codings, without a draw: the noise of a training stays.

        Args:
            x: Images `(n, *image_shape)`.
            batch_size: Images at a time.

        Returns:
            Two `(n, codings)` arrays.

        Raises:
            ValueError: as `fit`.
        """
        self._check(x)
        if self._posterior is None:
            self._posterior = InBatches(keras.Model(self.encoder.inputs, self.encoder.outputs[:2]))
        return self._posterior(x, batch_size)

    def encode(self, x, batch_size=256):
        """Means of the codings, `(n, codings)`; arguments and errors as for `posterior`."""
        return self.posterior(x, batch_size)[0]

    def decode(self, codings, batch_size=None):
        """Images of codings.

        Args:
            codings: `(n, codings)` array.
            batch_size: Images at a time, by default a million pixels.

        Returns:
            `(n, *image_shape)` array.

        Raises:
            ValueError: if the codings have another shape.
        """
        codings = np.asarray(codings)
        if codings.ndim != 2 or codings.shape[1] != self.codings:
            raise ValueError(
                f"VariationalAutoencoder: codings must be (n, {self.codings}). "
                f"Received: {codings.shape}"
            )
        if self._images is None:
            self._images = InBatches(self.decoder)
        return self._images(codings, batch_size or max(1, 2**20 // math.prod(self.image_shape)))

    def generate(self, n, seed=None):
        """Images of codings that are drawn from the prior.

        Args:
            n: integer ≥ 1.
            seed: Python integer, or None for Keras' own.

        Returns:
            `(n, *image_shape)` array.

        Raises:
            ValueError: if `n` is not a positive integer.
        """
        if not isinstance(n, numbers.Integral) or n < 1:
            raise ValueError(f"VariationalAutoencoder: n must be an integer ≥ 1. Received: {n!r}")
        seed = int(seed) if isinstance(seed, numbers.Integral) else seed
        return self.decode(keras.ops.convert_to_numpy(self.prior.sample(int(n), seed)))

    def get_config(self):
        """Arguments that make this model anew."""
        return {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "reconstruction": self.reconstruction,
            "reduction": self.reduction,
            "beta": keras.saving.serialize_keras_object(self.beta),
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of a `get_config`."""
        load = keras.saving.deserialize_keras_object
        parts = {key: load(config[key], custom_objects) for key in ("encoder", "decoder", "beta")}
        return cls(**{**config, **parts})

    def _checked(self, arguments, prefix=""):
        """The arguments, whose images are looked at, and targets where Keras needs them."""
        for name in ("x", "y"):
            if arguments.get(name) is not None:
                self._check(arguments[name], prefix + name)
        # Keras drops weights that come without targets.
        if arguments.get("sample_weight") is not None and arguments.get("y") is None:
            arguments["y"] = arguments["x"]
        return arguments

    def _check(self, images, name="x"):
        unit_range = self.reconstruction == "binary_crossentropy"
        check_images("VariationalAutoencoder", name, images, self.image_shape, unit_range)


def _unpack(data):
    """Images, targets and weights of a batch; the images are their own targets by default."""
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    return x, x if y is None else y, sample_weight


def _find_latent(encoder):
    layers = encoder._flatten_layers() if isinstance(encoder, keras.Model) else ()
    found = [layer for layer in layers if isinstance(layer, GaussianLatent)]
    if len(found) != 1:
        raise ValueError(
            "VariationalAutoencoder: the encoder must be a keras.Model with one GaussianLatent in "
            f"it. Received: {encoder!r} with {len(found)}"
        )
    if found[0].initial_kl_weight != 1:
        raise ValueError(
            "VariationalAutoencoder: the encoder's GaussianLatent must have kl_weight 1, because "
            f"beta weighs its loss. Received: kl_weight={found[0].initial_kl_weight}"
        )
    return found[0]


def _check_parts(encoder, decoder):
    outputs = getattr(encoder, "output_shape", None)
    ranks = [len(shape) for shape in outputs] if isinstance(outputs, list) else None
    if ranks != [2, 2, 2] or len(set(outputs)) != 1:
        raise ValueError(
            "VariationalAutoencoder: the encoder must return [mean, log_var, codings], the three "
            f"of shape (batch, codings). Received: {outputs}"
        )
    if not isinstance(decoder, keras.Model):
        raise ValueError(
            f"VariationalAutoencoder: the decoder must be a keras.Model. Received: {decoder!r}"
        )


def _check_choice(name, value, choices):
    if value not in choices:
        raise ValueError(
            f"VariationalAutoencoder: {name} must be one of {choices}. Received: {value!r}"
        )


def _check_beta(beta):
    real = isinstance(beta, numbers.Real) and not isinstance(beta, bool)
    if not isinstance(beta, Schedule) and not (real and 0 <= beta < math.inf):
        raise ValueError(
            "VariationalAutoencoder: beta must be a number ≥ 0 or a fastgen.models.Schedule. "
            f"Received: {beta!r}"
        )
