"""The generative adversarial network as a Keras model."""

import contextlib
import inspect
import numbers

import keras
import numpy as np
import tensorflow as tf

from fastgen import ops, optimizers
from fastgen.models.batches import InBatches
from fastgen.models.gan_arguments import build, refuse_targets, shares
from fastgen.models.gan_parts import check_dtype, check_networks, check_range, image_range
from fastgen.models.grouped_steps import GroupedSteps, steps_to_run
from fastgen.models.overrides import own_method
from fastgen.models.resident_images import ResidentImages, check_sizes
from fastgen.models.saved_seeds import SavedSeeds
from fastgen.models.telemetry import Telemetry, logged
from fastgen.models.update_noise import draw_seeds, targets
from fastgen.ops import adversary, players
from fastgen.ops.arguments import choice, count
from fastgen.ops.batch_norm import MODES
from fastgen.ops.gan_step import TELEMETRY

STEP = "train_step", "make_train_function"  # what a `fit` on arrays does the work of


@keras.saving.register_keras_serializable(package="fastgen")
class GAN(SavedSeeds, keras.Model):
    """A generator and a discriminator that are trained against each other.

    A step is that of `fastgen.ops.gan_step`: the discriminator learns to tell images from
    `generator(z)`, then the generator to be taken for an image. Two chains of dense layers take one
    kernel for many steps; other networks take stock operations. Called, it is its generator.

    Which layers are `trainable` changes nothing, whenever it is said: each network learns in its
    own phase and is left alone in the other.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> import fastgen
    >>> dense = keras.layers.Dense
    >>> generator = keras.Sequential([keras.Input((2,)), dense(8, "selu"), dense(6, "sigmoid")])
    >>> discriminator = keras.Sequential([keras.Input((6,)), dense(8, "selu"), dense(1, "sigmoid")])
    >>> gan = fastgen.GAN(generator, discriminator, seed=1)
    >>> gan.compile("rmsprop", "rmsprop")
    >>> history = gan.fit(np.random.default_rng(1).random((100, 6)), epochs=2, verbose=0)
    >>> len(history.history["generator_loss"]), gan.generate(3, seed=1).shape
    (2, (3, 6))

    Args:
        generator: `keras.Sequential` or functional `keras.Model`, codings → images.
        discriminator: the same, images → one logit, or a sigmoid of it, an image.
        seed: Python integer ≥ 0, of the noise and of the order of images, or None for a seed that
            `keras.utils.set_random_seed` determines.
        name: Name of the model.

    Attributes:
        generator, discriminator: The arguments.
        codings: Number of codings.
        image_shape: Shape of an image.
        generator_optimizer, discriminator_optimizer: As compiled. `optimizer` is the generator's:
            callbacks that change the learning rate change his.

    Raises:
        ValueError: if the networks do not fit each other.

    Source: Goodfellow et al. (2014), Generative Adversarial Nets, https://arxiv.org/abs/1406.2661.
    """

    fused_ops = ("gan_step",)

    def __init__(self, generator, discriminator, *, seed=None, name="gan", **kwargs):
        check_networks(generator, discriminator)
        super().__init__(name=name, **kwargs)
        self.generator, self.discriminator, self.seed = generator, discriminator, seed
        self.image_shape = tuple(discriminator.input_shape[1:])
        self.codings = generator.input_shape[-1]
        self.noise = keras.random.SeedGenerator(seed)
        self.telemetry = Telemetry()
        self._images = self._resident = None
        self(keras.Input(generator.input_shape[1:]))  # so that it can be exported

    def call(self, codings, training=None):
        """Images of codings."""
        return self.generator(codings, training=training)

    def compile(
        self,
        generator_optimizer="rmsprop",
        discriminator_optimizer="rmsprop",
        *,
        batch_norm="train",
        n_critic=1,
        label_smoothing=0.0,
        label_noise=0.0,
        metrics=None,
        jit_compile=False,
        steps_per_execution=None,
        run_eagerly=False,
    ):
        """Prepares the model for training.

        Args:
            generator_optimizer: As for `keras.Model.compile`; names are of `fastgen.optimizers`
                first.
            discriminator_optimizer: Another one.
            batch_norm: `"train"` or `"book"`: how BatchNormalization runs, see
                `fastgen.ops.gan_step`.
            n_critic: integer ≥ 1, updates of the discriminator in a step. In a `fit` on arrays each
                has images of its own; on other inputs, those of the step's batch.
            label_smoothing: number in [0, 1].
            label_noise: number in [0, 1 - label_smoothing]. Real images have the target
                `1 - label_smoothing - label_noise * u`, fake ones `label_noise * u`, u uniform in
                [0, 1), drawn for each image of each update as the codings' noise is.
            metrics: Name, or names, of what to log of what `fastgen.ops.gan_step` returns; None:
                all; of an empty list, the two losses.
            jit_compile: As for `keras.Model.compile`. XLA would keep the step from its kernel, so
                that it is off. There a phase whose loss is not finite is passed over in silence.
            steps_per_execution: As for `keras.Model.compile`. By default, and as `"auto"`, `fit`
                chooses it, if no callback has hooks on batches.
            run_eagerly: As for `keras.Model.compile`.

        Raises:
            ValueError: if an argument is out of its range, or an optimizer is that of something
                else.
        """
        choice("GAN", "batch_norm", batch_norm, MODES)
        n_critic = count("GAN", "n_critic", n_critic)
        own_steps = steps_to_run("GAN", steps_per_execution)
        self.label_smoothing, self.label_noise = shares(label_smoothing, label_noise)
        metrics = logged(metrics)
        both = [optimizers.get(x) for x in (generator_optimizer, discriminator_optimizer)]
        if both[0] is both[1]:
            raise ValueError(f"GAN: compile needs two optimizers. Received: {both[0]!r} twice")
        for model, optimizer in zip((self.generator, self.discriminator), both, strict=True):
            build(optimizer, model)
        super().compile(
            both[0],
            jit_compile=jit_compile,
            steps_per_execution=own_steps or 1,
            run_eagerly=run_eagerly,
            auto_scale_loss=False,
        )
        self.generator_optimizer, self.discriminator_optimizer = both
        self.batch_norm, self.n_critic = batch_norm, n_critic
        self.own_steps_per_execution = own_steps
        self.telemetry.names = metrics
        self._grouped, draws = GroupedSteps(self), self.n_critic + 1
        self._resident = ResidentImages(self, self.noise, self._grouped, self.n_critic, draws)

    def get_compile_config(self):
        """Arguments that compile this model anew."""
        if not self.compiled:
            return {}
        serialize = keras.saving.serialize_keras_object
        return {
            "generator_optimizer": serialize(self.generator_optimizer),
            "discriminator_optimizer": serialize(self.discriminator_optimizer),
            "batch_norm": self.batch_norm,
            "n_critic": self.n_critic,
            "label_smoothing": self.label_smoothing,
            "label_noise": self.label_noise,
            "metrics": list(self.telemetry.names),
            "jit_compile": self.jit_compile,
            "steps_per_execution": self.own_steps_per_execution,
            "run_eagerly": self.run_eagerly,
        }

    def compile_from_config(self, config):
        """Compiles the model as it was when it was saved."""
        load = keras.saving.deserialize_keras_object
        named = ("generator_optimizer", "discriminator_optimizer")
        self.compile(**{**config, **{name: load(config[name]) for name in named}})

    @property
    def optimizers(self):
        """The optimizers, all of whose state belongs to a training."""
        return self.generator_optimizer, self.discriminator_optimizer

    @property
    def value_range(self):
        """What is black and white in its images."""
        return image_range(self.generator)

    @property
    def metrics(self):
        """What is reset at the start of an epoch."""
        return [self.telemetry] if self.compiled else []

    @property
    def trainable_weights(self):
        """What is trained, whatever is frozen."""
        return [*adversary.weights(self.generator), *adversary.weights(self.discriminator)]

    @property
    def non_trainable_weights(self):
        """The others."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.weights if id(v) not in trained]

    @property
    def trainable_variables(self):
        """What is trained, whatever is frozen."""
        return self.trainable_weights

    @property
    def non_trainable_variables(self):
        """The others, states of metrics and of seeds among them."""
        trained = {id(v) for v in self.trainable_weights}
        return [v for v in self.variables if id(v) not in trained]

    def why_stock(self):
        """Why a step takes stock operations, with the layer that decides it; None for a kernel."""
        self._assert_compile_called("why_stock")
        if own := own_method(self, STEP):
            return own
        if self.jit_compile:
            return "inside XLA, which compiles stock ops only"
        networks = self.generator, self.discriminator
        return players.why_not("gan_step", *zip(networks, self.optimizers, strict=True))

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the model, as `keras.Model.fit` does.

        Images in an array stay one tensor, of which each step takes rows. uint8 images stand for
        255ths, where the generator makes images in [0, 1]; with a tanh at its end they are refused,
        as are floats of another range.

        Args:
            x: Images `(n, *image_shape)`, or a dataset of batches of them.
            y: Not to be given, nor what else is about targets or validation.
            *args: As for `keras.Model.fit`.
            **kwargs: As for `keras.Model.fit`. Of an array, `steps_per_epoch` goes through the
                images pass after pass, over epochs and calls, in groups of steps that divide both
                an epoch and a pass.

        Returns:
            `keras.callbacks.History`. Its logs are those of `fastgen.ops.gan_step`, means over the
            images of an epoch.

        Raises:
            ValueError: if an array has images of another shape, or in another range than those that
                the generator makes, or values that are not finite; if there are targets, weights or
                validation data.
            tf.errors.InvalidArgumentError: if the loss of a phase is not finite. The message counts
                the steps of one call of the kernel, the optimizers' `iterations` all.
        """
        self._assert_compile_called("fit")
        given = inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments
        refuse_targets(given)
        if isinstance(x, (list, tuple)) or tf.is_tensor(x):
            given["x"] = x = np.asarray(x)
        if isinstance(x, np.ndarray):
            check_sizes(given)
            check_range(self.generator, x)
            if self.distribute_strategy.num_replicas_in_sync == 1 and not own_method(self, STEP):
                return self._fit_resident(x, given)
        if isinstance(x, tf.data.Dataset):
            given["shuffle"] = False  # or Keras warns of its own default
        with self._grouped.in_use() if self._may_group(x, given) else contextlib.nullcontext():
            return super().fit(**given)

    def _fit_resident(self, x, given):
        dtype = x.dtype if x.dtype == np.uint8 else self.discriminator.variable_dtype
        images = tf.convert_to_tensor(x.astype(dtype, copy=False))
        with self._resident.in_use(images, given) as own:
            return super().fit(**own)

    def _may_group(self, x, given):
        """Whether to run a dataset by groups of steps."""
        return (
            isinstance(x, tf.data.Dataset)
            and self.own_steps_per_execution is None
            and not self.why_stock()
            and self._grouped.suit({**given, "x": np.empty(0)})
        )

    def evaluate(self, *args, **kwargs):
        """Refuses: the losses of a GAN say nothing of how good its images are."""
        raise ValueError(
            "GAN: there is no loss to evaluate; compare gan.generate(n) with images by "
            f"fastgen.evaluation. Received: {len(args) + len(kwargs)} arguments"
        )

    def make_train_function(self, force=False):
        """As Keras does; forced, `fit` on arrays traces anew, too."""
        if force and self._resident is not None:
            self._resident.traced.clear()
        return super().make_train_function(force)

    def train_step(self, data):
        """One step on a batch of images."""
        images, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        if y is not None or sample_weight is not None or not tf.is_tensor(images):
            raise ValueError(
                "GAN: a dataset must have batches of images alone; of pairs it may be made by "
                f"dataset.map(lambda x, y: x). Received: {keras.tree.map_structure(type, data)}"
            )
        check_dtype(self.generator, images.dtype.name)
        rows = tf.range(tf.shape(images, tf.int64)[0])
        rows = tf.tile(rows[None, None], (1, self.n_critic, 1))
        return self.train_rows(images, tf.ensure_shape(rows, (1, self.n_critic, None)))

    def train_rows(self, images, rows):
        """Steps on rows of images.

        Args:
            images: `(n, *image_shape)` tensor.
            rows: `(steps, n_critic, batch)` int64 tensor.

        Returns:
            The telemetry of the epoch so far, by name.
        """
        steps = rows.shape[0]
        seeds = draw_seeds(self.noise, steps, self.n_critic + 1)
        if steps > 1 and self.why_stock():
            telemetry = tf.map_fn(  # one trace for all
                lambda one: {
                    name: value[0]
                    for name, value in self._step(images, *(x[None] for x in one)).items()
                },
                (rows, seeds),
                fn_output_signature=dict.fromkeys(TELEMETRY, tf.float32),
                parallel_iterations=1,
            )
        else:
            telemetry = self._step(images, rows, seeds)
        self.telemetry.update_state(telemetry, tf.shape(rows)[2])
        return self.get_metrics_result()

    def _step(self, images, rows, seeds):
        return ops.gan_step(
            self.generator,
            self.discriminator,
            self.generator_optimizer,
            self.discriminator_optimizer,
            images,
            rows,
            seeds,
            targets=targets(rows, seeds, self.label_smoothing, self.label_noise),
            batch_norm=self.batch_norm,
        )

    def generate(self, n, seed=None):
        """Images of codings that are drawn from the normal distribution.

        Args:
            n: integer ≥ 1.
            seed: Python integer, or None for Keras' own.

        Returns:
            `(n, *image_shape)` array.

        Raises:
            ValueError: if `n` is not a positive integer.
        """
        seed = int(seed) if isinstance(seed, numbers.Integral) else seed
        n = count("GAN", "n", n)
        codings = keras.random.normal((n, *self.generator.input_shape[1:]), seed=seed)
        if self._images is None:
            self._images = InBatches(self.generator)
        return self._images(keras.ops.convert_to_numpy(codings), batch_size=256)

    def get_config(self):
        """Arguments that make this model anew."""
        return {
            "generator": keras.saving.serialize_keras_object(self.generator),
            "discriminator": keras.saving.serialize_keras_object(self.discriminator),
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of a `get_config`."""
        load = keras.saving.deserialize_keras_object
        parts = {key: load(config[key], custom_objects) for key in ("generator", "discriminator")}
        return cls(**{**config, **parts})
