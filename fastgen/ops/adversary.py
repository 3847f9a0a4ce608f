"""What the updates of a GAN share where stock operations make them."""

import tensorflow as tf

from fastgen.ops import players


def rows(images, dtype):
    """Images as rows of one dtype; uint8 stays."""
    flat = tf.reshape(images, [tf.shape(images)[0], -1])
    return flat if flat.dtype == tf.uint8 else tf.cast(flat, dtype)


def unit_range(images, dtype):
    """Images as floats; uint8 in [0, 1]."""
    scale = 255 if images.dtype == tf.uint8 else 1
    return tf.cast(images, dtype) / tf.cast(scale, dtype)


def logits_of(output):
    """The logits of a network with one, `(n,)`: those before a sigmoid at its end."""
    logits = getattr(output, "_keras_logits", None)
    if logits is None and not tf.executing_eagerly() and output.op.type == "Sigmoid":
        logits = output.op.inputs[0]
    return tf.reshape(output if logits is None else logits, [-1])


def weights(model):
    """The variables of a model that are to be trained, whatever of it is frozen."""
    found = {}
    for layer in model._flatten_layers():
        for variable in layer._trainable_variables:
            found.setdefault(id(variable), variable)
    return list(found.values())


def descend(tape, loss, model, optimizer):
    """One step of the optimizer for all of a model's weights; the norm of the gradients."""
    variables = weights(model)
    gradients = tape.gradient(loss, [v.value for v in variables])
    players.build(optimizer, variables)
    optimizer.apply(gradients, variables)
    return tf.linalg.global_norm(gradients)
