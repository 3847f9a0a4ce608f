"""The plain autoencoder as a Keras model."""

import inspect
import math

import keras
import tensorflow as tf

from fastgen import optimizers
from fastgen.layers import DenseTranspose
from fastgen.models.batches import InBatches
from fastgen.models.grouped_steps import steps_to_run
from fastgen.models.images import check_images
from fastgen.models.kernel_fit import KernelFit, compile_as_saved, compile_config, log
from fastgen.models.reconstruction import kernel_loss, paired
from fastgen.models.saved_seeds import SavedSeeds
from fastgen.ops import network


@keras.saving.register_keras_serializable(package="fastgen")
class Autoencoder(SavedSeeds, keras.Model):
    """An autoencoder of any encoder and decoder, `decoder(encoder(x))`.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> import fastgen
    >>> dense = keras.layers.Dense
    >>> encoder = keras.Sequential([keras.Input((6,)), dense(8, "selu"), dense(2, "selu")])
    >>> decoder = keras.Sequential([keras.Input((2,)), dense(8, "selu"), dense(6, "sigmoid")])
    >>> model = fastgen.models.Autoencoder(encoder, decoder)
    >>> model.compile("nadam", "binary_crossentropy")
    >>> x = np.random.default_rng(1).random((64, 6))
    >>> history = model.fit(x, validation_data=x, verbose=0)
    >>> sorted(history.history), model.encode(x).shape
    (['loss', 'val_loss'], (64, 2))

    Args:
        encoder: `keras.Sequential` or functional `keras.Model`, inputs → codings.
        decoder: the same, codings → what the inputs are to be like.
        seed: Python integer ≥ 0, of the order of the inputs, or None for a seed that
            `keras.utils.set_random_seed` determines.
        name: Name of the model.

    Attributes:
        encoder, decoder: The arguments.

    Raises:
        ValueError: if the two are not as above.

    Source: Hinton & Salakhutdinov (2006), Reducing the Dimensionality of Data with Neural Networks,
    https://doi.org/10.1126/science.1127647.
    """

    fused_ops, in_kernel = ("autoencoder_step",), "fit on arrays"

    def __init__(self, encoder, decoder, *, seed=None, name="autoencoder", **kwargs):
        for part, model in (("encoder", encoder), ("decoder", decoder)):
            _check_part(part, model)
        inputs = keras.Input(encoder.input_shape[1:], dtype=encoder.inputs[0].dtype)
        super().__init__(inputs, decoder(encoder(inputs)), name=name, **kwargs)
        self.encoder, self.decoder, self.seed = encoder, decoder, seed
        layers = self._flatten_layers()
        for layer in layers:
            if isinstance(layer, DenseTranspose):  # of a config, perhaps
                layer.find_dense(layers)
        self.order = keras.random.SeedGenerator(seed)
        self._steps, self._encoder_batches, self._decoder_batches = None, None, None
        self._weighted = False

    def compile(
        self,
        optimizer="nadam",
        loss="mse",
        *,
        jit_compile=False,
        steps_per_execution=None,
        **kwargs,
    ):
        """Prepares the model for training.

        Args:
            optimizer: As for `keras.Model.compile`; names are of `fastgen.optimizers` first.
            loss: As for `keras.Model.compile`. `"mse"` and `"binary_crossentropy"`, of a sigmoid
                at the decoder's end or of logits, have a kernel.
            jit_compile: As for `keras.Model.compile`. XLA would keep the steps from their kernel,
                so that it is off.
            steps_per_execution: As for `keras.Model.compile`. By default, and as `"auto"`, `fit` on
                arrays runs many steps a call, if no callback has hooks on batches.
            **kwargs: As for `keras.Model.compile`.
        """
        own_steps = steps_to_run("Autoencoder", steps_per_execution)
        kwargs |= {"jit_compile": jit_compile, "steps_per_execution": own_steps or 1}
        super().compile(optimizers.get(optimizer), loss, **kwargs)
        self._weighted = kwargs.get("loss_weights") is not None
        self._steps = KernelFit(self, self.order, own_steps)

    def get_compile_config(self):
        """Arguments that compile this model anew."""
        return compile_config(self, super().get_compile_config())

    def compile_from_config(self, config):
        """Compiles the model as it was when it was saved."""
        compile_as_saved(self, config)

    def fit(self, x=None, y=None, *args, **kwargs):
        """Trains the model, as `keras.Model.fit` does.

        Inputs in arrays train dense layers, with dropout, Gaussian noise and sparsity penalties
        between them, by `fastgen.ops.autoencoder_step`, many steps a call: the losses are those of
        Keras' own steps, which take arrays in the same order, one that depends on `seed`. What
        takes Keras' own steps, and why, `fastgen.doctor(model)` says; so do datasets, weights of
        samples or classes, and `steps_per_epoch`.

        Args:
            x: Inputs `(n, ...)`; or a dataset, a `PyDataset` or a generator of batches of them, or
                of pairs.
            y: What the outputs are to be like, by default `x` itself.
            *args: As for `keras.Model.fit`.
            **kwargs: As for `keras.Model.fit`; `validation_data` is inputs, or a pair or triple.

        Returns:
            `keras.callbacks.History`.

        Raises:
            ValueError: if arrays have another shape, or values that are not finite.
            tf.errors.InvalidArgumentError: if the loss of a step of the kernel is not finite: it
                updates nothing, those before it stand. The message counts the steps of one call of
                the kernel, the optimizer's `iterations` all.
        """
        self._assert_compile_called("fit")
        given = self._checked(inspect.signature(super().fit).bind(x, y, *args, **kwargs).arguments)
        if given.get("validation_data") is not None:
            parts = keras.utils.unpack_x_y_sample_weight(given["validation_data"])
            named = dict(zip(("x", "y", "sample_weight"), parts, strict=True))
            given["validation_data"] = tuple(self._checked(named).values())
        return self._steps.fit(super().fit, given)

    def evaluate(self, x=None, y=None, *args, **kwargs):
        """The loss and metrics of inputs, as `keras.Model.evaluate` has them; `y` as for `fit`."""
        if kwargs.get("_use_cached_eval_dataset"):  # `fit` has looked at it
            return super().evaluate(x, y, *args, **kwargs)
        bound = inspect.signature(super().evaluate).bind(x, y, *args, **kwargs)
        return super().evaluate(**self._checked(bound.arguments))

    def make_train_function(self, force=False):
        """As Keras does; forced, `fit` on arrays traces anew, too."""
        if force and self._steps is not None:
            self._steps.forget()
        return super().make_train_function(force)

    def train_step(self, data):
        """One step of training."""
        return super().train_step(paired(data))

    def test_step(self, data):
        """One step of validation."""
        return super().test_step(paired(data))

    def why_stock(self):
        """Why no `fit` takes the kernel, with the layer or argument that decides it, or None."""
        self._assert_compile_called("why_stock")
        return self._steps.why_stock()

    def dense_layers(self):
        """The dense layers in order, and -1: none of them is that of a log variance.

        Raises:
            network.NotDense: says what the kernel does not take.
        """
        chain = network.dense_chain(self)
        self._kernel_loss(chain)
        return chain, -1

    def train_rows(self, data, rows):
        """Steps on rows of inputs.

        Args:
            data: Inputs and perhaps targets, tensors.
            rows: `(steps, 1, batch)` int64 tensor.

        Returns:
            The means of the epoch so far, by name.
        """
        self.order.state.assign_add([0, rows.shape[0]])
        if self.why_stock():
            return self._steps.stock_steps(data, rows)
        loss = self._kernel_loss(network.dense_chain(self))
        mean = 1 / math.prod(self.output_shape[1:])
        telemetry = self._steps.step(data, rows, loss=loss, reconstruction_scale=mean)
        log(self._loss_tracker, telemetry["loss"], tf.shape(rows)[2])
        return self.get_metrics_result()

    def encode(self, x, batch_size=256):
        """Codings of inputs `(n, ...)`, an array."""
        if self._encoder_batches is None:
            self._encoder_batches = InBatches(self.encoder)
        return self._encoder_batches(x, batch_size)

    def decode(self, codings, batch_size=256):
        """Outputs for codings `(n, ...)`, an array."""
        if self._decoder_batches is None:
            self._decoder_batches = InBatches(self.decoder)
        return self._decoder_batches(codings, batch_size)

    def get_config(self):
        """Arguments that make this model anew."""
        return {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "seed": self.seed,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        """The model of a `get_config`."""
        load = keras.saving.deserialize_keras_object
        parts = {key: load(config[key], custom_objects) for key in ("encoder", "decoder")}
        return cls(**{**config, **parts})

    def _kernel_loss(self, chain):
        if self._weighted:
            raise network.NotDense("the loss has weights")
        loss, several = self.loss, (list, tuple, dict)
        if isinstance(loss, several) and len(loss) == 1:  # that of the one output
            loss = loss.get(self.output_names[0]) if isinstance(loss, dict) else loss[0]
        if isinstance(loss, several):
            raise network.NotDense(f"no kernel for {len(loss)} losses")
        return kernel_loss(self, keras.losses.get(loss), chain)

    def _checked(self, arguments):
        """The arguments, whose arrays are looked at, and the targets that they leave out."""
        x = arguments.get("x")
        check_images("Autoencoder", "x", x, self.input_shape[1:])
        if arguments.get("y") is None and (isinstance(x, list) or hasattr(x, "__array__")):
            arguments["y"] = x  # of what comes in batches, the steps take the inputs
        return arguments


def _check_part(name, model):
    ready = isinstance(model, keras.Model) and getattr(model, "inputs", None)
    if not ready or len(model.inputs) != 1 or len(model.outputs) != 1:
        raise ValueError(
            f"Autoencoder: the {name} must be a keras.Sequential that begins with keras.Input, or "
            f"a functional keras.Model, of one input and one output. Received: {model!r}"
        )
