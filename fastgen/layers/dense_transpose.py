"""A dense layer with the kernel of another one, transposed."""

import keras

from fastgen import dispatch, ops
from fastgen.layers import tie
from fastgen.layers.fused_dense import beside_kernel, with_logits


@keras.saving.register_keras_serializable(package="fastgen")
class DenseTranspose(keras.layers.Layer):
    """A dense layer tied to another one: with its kernel, transposed, and a bias of its own.

    `y = activation(x @ dense.kernel.T + bias)`

    The kernel is one variable in both layers: a model counts it once, the optimizer updates it once
    by the sum of both gradients, and freezing either layer freezes it. Saving and loading keeps the
    tie, and so does `keras.models.clone_model`, which knows layers by their names: the clone of a
    model with further models in it is tied when it is first called as a whole.

    Example:
    >>> import keras
    >>> import fastgen
    >>> dense = keras.layers.Dense(2, activation="selu")
    >>> model = keras.Sequential([keras.Input((3,)), dense, fastgen.layers.DenseTranspose(dense)])
    >>> model.count_params()  # 3 * 2 + 2 + 3
    11

    Args:
        dense: `keras.layers.Dense` or `fastgen.layers.FusedDense`, built before this layer is.
        activation: as of `fastgen.layers.FusedDense`.
        use_bias: whether to add a bias of as many elements as `dense` has inputs.
        bias_initializer: as of `keras.layers.Dense`.
        bias_regularizer: likewise.
        bias_constraint: likewise.

    Call arguments:
        inputs: `(batch, ..., dense.units)` tensor.

    Returns:
        `(batch, ..., inputs of dense)` tensor of the layer's compute dtype.

    Raises:
        ValueError: if `dense` is not a dense layer, is quantized, has not been built when this
            layer is, or has other units than the input.

    Source: tied weights, chapter 17 of Géron (2022), Hands-On Machine Learning, 3rd edition.
    """

    fused_ops = ("dense_transpose",)

    @property
    def beside_kernel(self):
        """What of the layer stock ops do where the kernel runs, for `fastgen.doctor`."""
        return beside_kernel(self.activation)

    def __init__(
        self,
        dense,
        activation=None,
        use_bias=True,
        bias_initializer="zeros",
        bias_regularizer=None,
        bias_constraint=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self._tie = tie.Tie(dense)
        self.activation = keras.activations.get(activation)
        self.use_bias = use_bias
        self.bias_initializer = keras.initializers.get(bias_initializer)
        self.bias_regularizer = keras.regularizers.get(bias_regularizer)
        self.bias_constraint = keras.constraints.get(bias_constraint)
        self.bias = None
        self.input_spec = keras.InputSpec(min_ndim=2)
        self.supports_masking = True

    @property
    def dense(self):
        """The dense layer whose kernel this is; None in a clone that has not found it yet."""
        return self._tie.dense

    @property
    def kernel(self):
        """The kernel of the dense layer, `(units of this layer, inputs of this layer)`."""
        return self._tie.kernel()

    def build(self, input_shape):
        """Make the bias, and count the kernel among the weights."""
        outputs, units = self._tie.shape()
        if outputs is None:
            raise ValueError(
                f"DenseTranspose: {self.name!r} is a clone, made before the layer "
                f"{self._tie.name!r} that it is tied to was built, and not in one model with it. "
                f"Call the model, then clone it. Received: input_shape={input_shape}"
            )
        if input_shape[-1] != units:
            raise ValueError(
                f"DenseTranspose: the last axis of the input must have the {units} units of "
                f"{self._tie.name!r}. Received: input_shape={input_shape}"
            )
        self.input_spec = keras.InputSpec(min_ndim=2, axes={-1: units})
        if self.use_bias:
            self.bias = self.add_weight(
                name="bias",
                shape=(outputs,),
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )
        self._count_kernel()

    def __call__(self, inputs, **kwargs):
        """Find the dense layer, if this is a clone, and call the layer."""
        self.find_dense(tie.upstream(inputs))
        return super().__call__(inputs, **kwargs)

    def call(self, inputs):
        """Apply the layer."""
        if self.dense is None:
            model = self._get_call_context().entry_layer
            if not self.find_dense(model._flatten_layers()):
                raise ValueError(
                    f"DenseTranspose: {self.name!r} is a clone, tied to a layer "
                    f"{self._tie.name!r} that {model.name!r} has not. Call the model that has both "
                    "layers first. If nothing but the decoder was cloned, no model has both: clone "
                    "the whole model and take its decoder, or save the decoder and load it, which "
                    f"copies the kernel, too. Received: a call of {model.name!r}"
                )
        dispatch.note_xla(self)
        return with_logits(ops.dense_transpose, inputs, self.kernel, self.bias, self.activation)

    def find_dense(self, layers):
        """Tie the layer, if it is a clone that is not yet, to the dense layer among some.

        Args:
            layers: iterable of operations and layers.

        Returns:
            Whether the layer is tied.
        """
        if self.dense is None and self._tie.find(layers) and self.built:
            self._count_kernel()
        return self.dense is not None

    def _count_kernel(self):
        # With LoRA the kernel is a sum, whose terms are the dense layer's alone.
        if self.dense is not None and isinstance(self.kernel, keras.Variable):
            self._tracker.unlock()
            self._kernel = self.kernel
            self._tracker.lock()

    def compute_output_shape(self, input_shape):
        """Shape of the input, with the inputs of the dense layer on the last axis."""
        return (*input_shape[:-1], self._tie.shape()[0])

    def save_own_variables(self, store):
        """Save the bias: the kernel is saved with the dense layer."""
        if self.bias is not None:
            store["0"] = self.bias

    def load_own_variables(self, store):
        """Load the bias."""
        wanted = [] if self.bias is None else ["0"]
        if list(store.keys()) != wanted:
            raise ValueError(
                f"DenseTranspose: {self.name!r} loads {len(wanted)} variables, the bias. "
                f"Received: {len(store.keys())} variables"
            )
        if self.bias is not None:
            self.bias.assign(store["0"])

    def get_config(self):
        """Arguments that make this layer anew."""
        own = {
            "dense": self._tie.get_config(),
            "activation": keras.activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "bias_initializer": keras.initializers.serialize(self.bias_initializer),
            "bias_regularizer": keras.regularizers.serialize(self.bias_regularizer),
            "bias_constraint": keras.constraints.serialize(self.bias_constraint),
        }
        return {**super().get_config(), **own}

    @classmethod
    def from_config(cls, config):
        """The layer of a `get_config`."""
        return cls(**{**config, "dense": tie.from_config(config["dense"])})
