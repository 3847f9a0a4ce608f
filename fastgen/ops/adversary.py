"""What the updates of a GAN share where stock operations make them."""

import tensorflow as tf

from fastgen import dispatch
from fastgen.ops import network, players

# Keras' bound of probabilities whose logits it does not see.
CLIP = 1e-7


def rows(images, dtype):
    """Images as rows of one dtype; uint8 stays."""
    flat = tf.reshape(images, [tf.shape(images)[0], -1])
    return flat if flat.dtype == tf.uint8 else tf.cast(flat, dtype)


def unit_range(images, dtype):
    """Images as floats; uint8 in [0, 1]."""
    scale = 255 if images.dtype == tf.uint8 else 1
    return tf.cast(images, dtype) / tf.cast(scale, dtype)


def shapes(op, name, model):
    """The shapes of a model's inputs and outputs.

    Raises:
        ValueError: if it has none, or several inputs or outputs.
    """
    try:
        found = model.input_shape, model.output_shape
    except (AttributeError, ValueError):  # Keras' for a model that has not been called
        found = ()
    if not found or not all(isinstance(shape, tuple) for shape in found):
        raise ValueError(
            f"{op}: {name} must be a built keras.Model of one input and one output. "
            f"Received: {model!r}"
        )
    return found


def check_discriminator(op, model):
    """The shape of its inputs.

    Raises:
        ValueError: if it has more than one output an image.
    """
    inputs, outputs = shapes(op, "discriminator", model)
    if any(n != 1 for n in outputs[1:]):
        raise ValueError(
            f"{op}: the discriminator must have one output an image. Received: {outputs}"
        )
    return inputs


def logits_of(model, output):
    """The logits of a network with one, `(n,)`: those before a sigmoid at its end."""
    logits = getattr(output, "_keras_logits", None)
    if logits is None and not tf.executing_eagerly() and output.op.type == "Sigmoid":
        logits = output.op.inputs[0]
    if logits is None and network.ends_in_sigmoid(model):  # and goes on with a change of shape
        p = tf.clip_by_value(output, CLIP, 1 - CLIP)
        logits = tf.math.log(p) - tf.math.log1p(-p)
    return tf.reshape(output if logits is None else logits, [-1])


def weights(model):
    """The variables of a model that are to be trained, whatever of it is frozen."""
    found = {}
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables:
            found.setdefault(id(variable), variable)
    return list(found.values())


def dtype(model):
    """Of its weights, in which images and noise are made; layers cast them where they wish."""
    return tf.as_dtype(weights(model)[0].dtype)


def penalized(loss, model, *others):
    """A loss and what Keras adds to it: what the last calls of all models added, in the dtype of
    the weights, and the regularizers of the model's own, whatever of it is frozen.
    """
    layers = {id(layer): layer for m in (model, *others) for layer in m._flatten_layers()}
    added = [x for layer in layers.values() for x in layer._get_own_losses()]
    added += [v.regularizer(v) for v in weights(model) if v.regularizer is not None]
    if not added:
        return loss
    wide = dtype(model)
    return tf.add_n([tf.reduce_sum(tf.cast(x, wide)) for x in (loss, *added)])


def kept(*models):
    """What a pass in training mode moves, moving averages and seeds, with the values of now."""
    layers = [layer for model in models for layer in model._flatten_layers()]
    moved = [v for layer in layers for v in layer._non_trainable_variables]
    moved += [generator.state for layer in layers for generator in layer._seed_generators]
    return _with_values(moved)


def checked(telemetry, finite, message):
    """What a kernel on a GPU has told, on the CPU, which waits for it; an error if not `finite`."""
    with tf.device("/CPU:0"), tf.control_dependencies([tf.debugging.Assert(finite, [message])]):
        return tf.identity(telemetry)


def _with_values(variables):
    return [(v.value, tf.identity(v.value)) for v in variables]


def _undo(finite, before):
    return [v.assign(tf.where(finite, v, value)) for v, value in before]


def descend(
    op, tape, loss, model, optimizer, before, phase="the loss is not finite: nothing was updated"
):
    """One step of the optimizer for all of a model's weights; the norm of the gradients.

    Where the loss is not finite, what is in `before`, see `kept`, is as it was then, and `phase` is
    the error; XLA, which raises none, leaves weights and slots as they were, too.
    """
    variables = weights(model)
    players.build(op, optimizer, variables)
    scale = optimizer.scale_loss(tf.ones_like(loss))
    gradients = tape.gradient(loss, [v.value for v in variables], output_gradients=scale)
    finite = tf.math.is_finite(loss)
    in_xla = [*variables, *optimizer.variables] if dispatch.inside_xla() else []
    unmoved = _with_values(in_xla)
    with tf.control_dependencies(_undo(finite, before)):
        checked = tf.debugging.check_numerics(loss, f"{op}: {phase}")
    with tf.control_dependencies([checked]):
        optimizer.apply(gradients, variables)
        _undo(finite, unmoved)
        norm = tf.linalg.global_norm(gradients)
        return norm / tf.cast(scale, norm.dtype)
