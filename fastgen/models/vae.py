"""The variational autoencoder as a Keras model: its losses, its logs, and what it generates."""

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
from fastgen.models.grouped_steps import steps_to_run
from fastgen.models.images import check_images
from fastgen.models.kernel_fit import KernelFit, compile_as_saved, compile_config, log
from fastgen.models.reconstruction import LOSSES, paired, reconstruction_loss
from fastgen.models.saved_seeds import SavedSeeds
from fastgen.models.schedules import Schedule
from fastgen.models.vae_arguments import check_beta, check_parts, find_latent
from fastgen.ops import network
from fastgen.ops.arguments import choice, count


@keras.saving.register_keras_serializable(package="fastgen")
class VariationalAutoencoder(SavedSeeds, keras.Model):
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

    fused_ops, in_kernel = ("autoencoder_step",), "fit on arrays"

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
        latent = find_latent(encoder)
        check_parts(encoder, decoder)
        choice("VariationalAutoencoder", "reconstruction", reconstruction, LOSSES)
        choice("VariationalAutoencoder", "reduction", reduction, ("sum", "mean"))
        check_beta(beta)
        images = keras.Input(encoder.input_shape[1:], name="images")
        super().__init__(images, decoder(encoder(images)[2]), name=name, **kwargs)
        self.encoder, self.decoder, self.latent = encoder, decoder, latent
        self.reconstruction, self.reduction, self.beta = reconstruction, reduction, beta
        self.image_shape = tuple(encoder.input_shape[1:])
        self.codings = encoder.output_shape[0][-1]
        latent.kl_tracker.name = "kl"  # the only one here, whatever the name of the layer
        self.prior = latent.prior or StandardNormal(self.codings)
        self._posterior = self._images = self._steps = None
        self.loss_scale = 1 / math.prod(self.image_shape) if reduction == "mean" else 1.0
        self.reconstruction_tracker = keras.metrics.Mean(name="reconstruction_loss")
        scheduled = isinstance(beta, Schedule)
        self.beta_tracker = keras.metrics.Mean(name="beta") if scheduled else None

    def compile(
        self,
        optimizer="nadam",
        loss=None,
        *,
        jit_compile=False,
        steps_per_execution=None,
        **kwargs,
    ):
        """Prepares the model for training.

        Args:
            optimizer: As for `keras.Model.compile`; names are of `fastgen.optimizers` first.
            loss: Not to be given: it is the model's own.
            jit_compile: As for `keras.Model.compile`. XLA would keep the steps from their kernel,
                so that it is off.
            steps_per_execution: As for `keras.Model.compile`. By default, and as `"auto"`, `fit` on
                arrays runs many steps a call, if no callback has hooks on batches.
            **kwargs: `metrics` and others, as for `keras.Model.compile`.

        Raises:
            ValueError: if a loss is given.
        """
        weights = kwargs.pop("loss_weights", None)
        if loss is not None or weights is not None:
            raise ValueError(
                "VariationalAutoencoder: compile takes no loss, because the model has its own. "
                "Choose it by VariationalAutoencoder(reconstruction=..., reduction=..., beta=...). "
                f"Received: loss={loss!r}, loss_weights={weights!r}"
            )
        own_steps = steps_to_run("VariationalAutoencoder", steps_per_execution)
        kwargs |= {"jit_compile": jit_compile, "steps_per_execution": own_steps or 1}
        super().compile(optimizers.get(optimizer), **kwargs)
        self._steps = KernelFit(self, self.latent.seed_generator, own_steps)

    def get_compile_config(self):
        """Arguments that compile this model anew."""
        return compile_config(self, super().get_compile_config())

    def compile_from_config(self, config):
        """Compiles the model as it was when it was saved."""
        compile_as_saved(self, config)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the model, as `keras.Model.fit` does.

        Images in arrays train dense layers, with dropout and Gaussian noise between them, by
        `fastgen.ops.autoencoder_step`, many steps a call: the losses are those of Keras' own steps,
        and so are the noise and the order of arrays, which depends on the seed of the latent layer.
        What takes Keras' own steps, and why, `fastgen.doctor(model)` says; so do datasets, weights
        of samples or classes, and `steps_per_epoch`.

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
            tf.errors.InvalidArgumentError: if the loss of a step of the kernel is not finite: it
                updates nothing, those before it stand. The message counts the steps of one call of
                the kernel, the optimizer's `iterations` all.
        """
        self._assert_compile_called("fit")
        bound = inspect.signature(super().fit).bind(x, y, *args, **kwargs)
        given = self._checked(bound.arguments)
        if given.get("validation_data") is not None:
            parts = keras.utils.unpack_x_y_sample_weight(given["validation_data"])
            named = dict(zip(("x", "y", "sample_weight"), parts, strict=True))
            given["validation_data"] = tuple(self._checked(named, "validation ").values())
        return self._steps.fit(super().fit, given)

    def make_train_function(self, force=False):
        """As Keras does; forced, `fit` on arrays traces anew, too."""
        if force and self._steps is not None:
            self._steps.forget()
        return super().make_train_function(force)

    def why_stock(self):
        """Why no `fit` takes the kernel, with the layer or argument that decides it, or None."""
        self._assert_compile_called("why_stock")
        return self._steps.why_stock()

    def dense_layers(self):
        """The dense layers in order, and the place of the log variance's.

        Raises:
            network.NotDense: says what the kernel does not take.
        """
        latent = self.latent
        if latent.free_bits or not latent.closed_form or type(latent) is not GaussianLatent:
            what = "free bits" if latent.free_bits else "a prior, or a method, of its own"
            raise network.NotDense(f"{latent.name!r} has {what}")
        chain = network.variational_chain(self, self.encoder, latent, self.decoder)
        if self.reconstruction == "binary_crossentropy" and not network.has_logits(self.decoder):
            raise network.NotDense(f"{self.decoder.name!r} does not end in a sigmoid")
        return chain

    def train_rows(self, data, rows):
        """Steps on rows of images.

        Args:
            data: Images `(n, *image_shape)` and perhaps targets, tensors.
            rows: `(steps, 1, batch)` int64 tensor.

        Returns:
            The means of the epoch so far, by name.
        """
        if self.why_stock():
            return self._steps.stock_steps(data, rows)
        steps, batch_size = rows.shape[0], tf.shape(rows)[2]
        beta = self._betas(steps)
        telemetry = self._steps.step(
            data,
            rows,
            loss=self.reconstruction,
            reconstruction_scale=self.loss_scale,
            seeds=self.latent.draw_seeds(steps),
            kl_scales=beta * self.loss_scale * tf.cast(self.latent.kl_weight, tf.float64),
        )
        log(self._loss_tracker, telemetry["loss"], batch_size)
        log(self.reconstruction_tracker, telemetry["reconstruction_loss"], batch_size)
        log(self.latent.kl_tracker, telemetry["kl"], batch_size)
        if self.beta_tracker is not None:
            log(self.beta_tracker, beta, 1)
        return self.get_metrics_result()

    def _betas(self, steps):
        """The β of the next steps, `(steps,)` float64."""
        if not isinstance(self.beta, Schedule):
            return tf.fill([steps], tf.constant(self.beta, tf.float64))
        first = self.optimizer.iterations.value
        return tf.stack([tf.cast(self.beta(first + i), tf.float64) for i in range(steps)])

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """Losses of images, as `keras.Model.evaluate` has them; images as for `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # `fit` has checked it
            return super().evaluate(x, y, *args, **kwargs)
        bound = inspect.signature(super().evaluate).bind(x, y, *args, **kwargs)
        return super().evaluate(**self._checked(bound.arguments))

    def train_step(self, data):
        """One step of training."""
        x, y, sample_weight = paired(data)
        beta = self.beta
        if isinstance(beta, Schedule):
            beta = beta(self.optimizer.iterations)
        with self._weighing(beta, sample_weight):
            return super().train_step((x, y, sample_weight))

    def test_step(self, data):
        """One step of validation, with the final β."""
        x, y, sample_weight = paired(data)
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
        n = count("VariationalAutoencoder", "n", n)
        seed = int(seed) if isinstance(seed, numbers.Integral) else seed
        return self.decode(keras.ops.convert_to_numpy(self.prior.sample(n, seed)))

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
        needs = self.reconstruction if self.reconstruction == "binary_crossentropy" else None
        check_images("VariationalAutoencoder", name, images, self.image_shape, needs)
