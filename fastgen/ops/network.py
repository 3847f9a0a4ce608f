"""Keras models that are chains of dense layers, as the kernels take them."""

from typing import Any, NamedTuple

from fastgen.ops import activations
from fastgen.ops.activity_penalty import ActivityPenalty, passes_on, penalty_of

# Keras is imported where it is needed: it imports TensorFlow, and that imports fastgen.ops.


LEAKY_SLOPE = 0.2  # keras.activations.leaky_relu's


class Corruption(NamedTuple):
    """What the inputs of a layer go through in training."""

    kind: str  # "dropout" or "gaussian"
    amount: float  # the share that is dropped, or the noise's standard deviation
    seeds: Any  # keras.random.SeedGenerator
    dtype: str


class Dense(NamedTuple):
    """One layer: `activation(x @ kernel + bias)`, with `kernel.T` where it is transposed."""

    kernel: Any  # keras.Variable
    bias: Any  # keras.Variable or None
    activation: str  # one of activations.NAMES
    transposed: bool
    slope: float = LEAKY_SLOPE
    corruption: Corruption | None = None
    penalty: ActivityPenalty | None = None  # of its activations


class NotDense(Exception):
    """Says which layer of a model no kernel takes, and why."""


def dense_chain(model):
    """The dense layers of a model, in order.

    Args:
        model: built `keras.Sequential` or functional `keras.Model` of `Dense` layers, ours too,
            one after the other, and of activations, changes of shape, dropout, Gaussian noise and
            sparsity penalties between them.

    Returns:
        A list of `Dense`.

    Raises:
        NotDense: names the layer that stands in the way.
    """
    return _checked(model, _chain(_layers(model)))


def variational_chain(model, encoder, latent, decoder):
    """The dense layers of a variational autoencoder, and the place of the log variance's.

    Args:
        model: the whole, for messages.
        encoder: functional `keras.Model`, images → `[mean, log_var, codings]`.
        latent: the layer that draws codings of a mean and a log variance.
        decoder: as for `dense_chain`.

    Returns:
        A list of `Dense`, the mean's layer followed by that of the log variance, and the place of
        this one.

    Raises:
        NotDense: names the layer that stands in the way.
    """
    mean, log_var, codings = encoder.outputs
    history = codings._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    if history.operation is not latent or [*map(id, node.input_tensors)] != [id(mean), id(log_var)]:
        raise NotDense(f"{encoder.name!r} draws its codings of something else than its outputs")
    heads = [list(_path(encoder, x)) for x in (mean, log_var)]
    if [id(layer) for layer, _ in heads[0][:-1]] != [id(layer) for layer, _ in heads[1][:-1]]:
        raise NotDense(f"{encoder.name!r} has no layers that mean and log variance share")
    reads = [_reads(layers[-1][0], x) for layers, x in zip(heads, (mean, log_var), strict=True)]
    if reads[0] is None or reads[0] is not reads[1]:  # perhaps the same layers, called twice
        for layer, _ in heads[0][:-1]:
            if _corruption_of(layer) and not _shapes_only(layer):
                raise NotDense(f"{layer.name!r} may draw for the mean and for the log variance")
    before, drawn = _chain(heads[0]), _dense(*heads[1][-1])
    for head in (before[-1], drawn):
        if head.activation != "linear" or head.transposed:
            raise NotDense(f"{encoder.name!r} has a mean or a log variance that is not linear")
    chain = [*before, drawn, *_chain(_layers(decoder))]
    if found := [entry.penalty.layer.name for entry in chain if entry.penalty]:
        raise NotDense(f"{found[0]!r} has a sparsity penalty, and the model is variational")
    return _checked(model, chain), len(before)


def _reads(layer, output):
    """The tensor of which a layer makes an output; None if a model around it does."""
    history = output._keras_history
    if history.operation is not layer:
        return None
    return layer._inbound_nodes[history.node_index].input_tensors[0]


def _chain(layers):
    chain, corruption = [], None  # of what the next layer gets
    for layer, shape in layers:
        if _shapes_only(layer):
            continue
        found, activation = _corruption_of(layer), _activation_of(layer)
        penalises = passes_on(layer)
        if corruption and (found or activation or penalises):
            raise NotDense(f"{layer.name!r} ({type(layer).__name__}) follows dropout or noise")
        if found:
            corruption = found
        elif activation:
            _activate(chain, layer, *activation)
        elif not penalises:
            chain.append(_dense(layer, shape)._replace(corruption=corruption))
            corruption = None
        if not found and (penalty := penalty_of(layer)):
            _penalise(chain, shape, penalty)
    if corruption:
        raise NotDense(f"{layer.name!r} ({type(layer).__name__}) at the end")
    return chain


def _checked(model, chain):
    if not chain:
        raise NotDense(f"{model.name!r} has no dense layer")
    dtypes = {entry.kernel.dtype for entry in chain}
    dtypes |= {entry.corruption.dtype for entry in chain if entry.corruption}
    penalties = [entry.penalty for entry in chain if entry.penalty]
    dtypes |= {penalty.layer.compute_dtype for penalty in penalties}
    if len(dtypes) > 1 or not dtypes <= {"float32", "float64"}:
        raise NotDense(f"{model.name!r} has layers of {', '.join(sorted(dtypes))}")
    known = {id(penalty.layer) for penalty in penalties}
    for layer in model._flatten_layers():  # models within, and layers that change the shape, too
        if layer.activity_regularizer is not None and id(layer) not in known:
            raise NotDense(f"{layer.name!r} has an activity_regularizer")
    biases = [id(entry.bias) for entry in chain if entry.bias is not None]
    if len(set(biases)) < len(biases):
        raise NotDense(f"{model.name!r} has a bias in two places")
    if chain[-1].penalty:
        raise NotDense(f"{chain[-1].penalty.layer.name!r} penalises the outputs")
    return chain


def ends_in_sigmoid(model):
    """Whether the last layer of a model, but for changes of shape, is known to be a sigmoid."""
    try:
        found = [layer for layer, _ in _layers(model) if not _shapes_only(layer)]
    except NotDense:
        return False
    activation = getattr(found[-1], "activation", None) if found else None
    return callable(activation) and activations.resolve(model.name, activation)[0] == "sigmoid"


def has_logits(model):
    """Whether the last operation of a functional model is a sigmoid, so that Keras finds logits."""
    import keras

    x = model.outputs[0]
    while isinstance(layer := x._keras_history.operation, keras.Model):
        x = layer.outputs[0]
    return activations.resolve(layer.name, getattr(layer, "activation", None))[0] == "sigmoid"


def variables(chain):
    """The variables of a chain, each once: of each layer the kernel, then the bias."""
    found = {}
    for layer in chain:
        for variable in (layer.kernel, layer.bias):
            if variable is not None:
                found.setdefault(id(variable), variable)
    return list(found.values())


def _layers(model):
    """The layers of a model in the order of data, those of models within in their place.

    With each the shape of its inputs.
    """
    import keras

    own_call = not type(model).call.__module__.startswith("keras.")
    if not isinstance(model, keras.Model) or own_call or not getattr(model, "inputs", None):
        raise NotDense(f"{model.name!r} ({type(model).__name__}) is no chain of layers")
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise NotDense(f"{model.name!r} has several inputs or outputs")
    yield from _path(model, model.outputs[0])


def _path(model, x):
    """The layers from a model's input to one of its tensors, likewise."""
    import keras

    layers, inputs = [], {id(tensor) for tensor in model.inputs}
    while id(x) not in inputs:
        node = x._keras_history.operation._inbound_nodes[x._keras_history.node_index]
        if len(node.input_tensors) != 1 or len(node.output_tensors) != 1:
            raise NotDense(f"{node.operation.name!r} has several inputs or outputs")
        layers.append((node.operation, node.input_tensors[0].shape))
        x = node.input_tensors[0]
    for layer, shape in reversed(layers):
        if isinstance(layer, keras.Model):
            yield from _layers(layer)
        else:
            yield layer, shape


def _shapes_only(layer):
    import keras

    if type(layer) is keras.layers.Dropout:
        return layer.rate == 0
    if type(layer) is keras.layers.GaussianNoise:
        return layer.stddev == 0
    if vars(type(layer)).get("corrupts"):
        return layer.amount == 0
    if type(layer) is keras.layers.Flatten:
        return layer.data_format == "channels_last"
    return type(layer) in (keras.layers.InputLayer, keras.layers.Reshape)


def _corruption_of(layer):
    """What a layer does to its inputs in training, and nothing else, or None."""
    import keras

    kind = type(layer)
    if layer.compute_dtype != layer.variable_dtype:
        return None
    # Keras draws no seed where all is dropped.
    if kind is keras.layers.Dropout and layer.noise_shape is None and layer.rate < 1:
        return Corruption("dropout", layer.rate, layer.seed_generator, layer.dtype)
    if kind is keras.layers.GaussianNoise:
        return Corruption("gaussian", layer.stddev, layer.seed_generator, layer.dtype)
    if vars(kind).get("corrupts"):  # ours; a subclass of it may do anything
        return Corruption(layer.kind, layer.amount, layer.seed_generator, layer.dtype)
    return None


def _activation_of(layer):
    """The function that a layer applies and nothing else, with leaky_relu's slope, or None."""
    import keras

    slope = getattr(layer, "negative_slope", 0)
    if type(layer) is keras.layers.Activation:
        return layer.activation, LEAKY_SLOPE
    if type(layer) is keras.layers.LeakyReLU and 0 <= slope <= 1:
        return keras.activations.leaky_relu, slope
    if type(layer) is keras.layers.ELU and layer.alpha == 1:
        return keras.activations.elu, LEAKY_SLOPE
    plain = type(layer) is keras.layers.ReLU and (layer.max_value, layer.threshold) == (None, 0)
    if plain and 0 <= slope <= 1:
        return keras.activations.leaky_relu if slope else keras.activations.relu, slope
    return None


def _activate(chain, layer, function, slope):
    name, _ = activations.resolve(layer.name, function)
    if name is None or not chain or chain[-1].activation != "linear":
        raise NotDense(f"{layer.name!r} ({type(layer).__name__}) is no activation of a dense layer")
    if chain[-1].penalty:
        raise NotDense(f"{layer.name!r} ({type(layer).__name__}) follows a sparsity penalty")
    chain[-1] = chain[-1]._replace(activation=name, slope=slope)


def _penalise(chain, shape, penalty):
    name = penalty.layer.name
    if not chain or chain[-1].penalty:
        what = "is a second penalty" if chain else "penalises the inputs"
        raise NotDense(f"{name!r} {what}")
    if len(shape) != 2:
        raise NotDense(f"{name!r} takes inputs of rank {len(shape)}")
    chain[-1] = chain[-1]._replace(penalty=penalty)


def _dense(layer, shape):
    import keras

    fused = vars(type(layer)).get("fused_ops", ())  # a subclass of ours may do anything
    if type(layer) is not keras.layers.Dense and fused not in (("dense",), ("dense_transpose",)):
        raise NotDense(f"{layer.name!r} ({type(layer).__name__})")
    if not layer.built:
        raise NotDense(f"{layer.name!r} has not been built")
    function, slope = layer.activation, LEAKY_SLOPE
    if isinstance(function, keras.Layer) and function.compute_dtype == layer.compute_dtype:
        function, slope = _activation_of(function) or (function, slope)
    name, _ = activations.resolve(layer.name, function)
    if name is None:
        raise NotDense(f"{layer.name!r}: no kernel for its activation")
    extras = ("kernel_regularizer", "bias_regularizer")
    extras += ("kernel_constraint", "bias_constraint", "quantization_mode", "lora_rank")
    for extra in extras:
        if getattr(layer, extra, None):
            raise NotDense(f"{layer.name!r} has a {extra}")
    if layer.compute_dtype != layer.variable_dtype:
        raise NotDense(f"{layer.name!r} computes in {layer.compute_dtype}")
    if len(shape) != 2:
        raise NotDense(f"{layer.name!r} takes inputs of rank {len(shape)}")
    if not isinstance(layer.kernel, keras.Variable):
        raise NotDense(f"{layer.name!r} has a kernel that is no variable")
    return Dense(layer.kernel, layer.bias, name, fused == ("dense_transpose",), slope)
