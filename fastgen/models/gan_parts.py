"""Checks of the parts of a GAN before a training moves any weight."""

import keras
import numpy as np

from fastgen.models.images import check_images

SHAPES_ONLY = (
    keras.layers.InputLayer,
    keras.layers.Reshape,
    keras.layers.Flatten,
    keras.layers.Permute,
    keras.layers.Cropping2D,
)
RANGES = {
    keras.activations.sigmoid: (0, 1),
    keras.activations.hard_sigmoid: (0, 1),
    keras.activations.tanh: (-1, 1),
}


def check_networks(generator, discriminator):
    """Refuses networks that cannot play against each other.

    Raises:
        ValueError: says which, and why.
    """
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        ready = isinstance(network, keras.Model) and getattr(network, "inputs", None)
        if not ready or len(network.inputs) != 1 or len(network.outputs) != 1:
            raise ValueError(
                f"GAN: the {name} must be a keras.Sequential that begins with keras.Input, or a "
                f"functional keras.Model, of one input and one output. Received: {network!r}"
            )
    made, seen = generator.output_shape[1:], discriminator.input_shape[1:]
    if None in seen or made != seen:
        raise ValueError(
            "GAN: the generator must make images of the discriminator's input shape. "
            f"Received: {made} and {seen}"
        )
    if discriminator.output_shape not in ((None, 1), (None,)):
        raise ValueError(
            "GAN: the discriminator must return one number an image. "
            f"Received: shape {discriminator.output_shape}"
        )
    function, at_end = output_activation(discriminator)
    known = (keras.activations.linear, keras.activations.sigmoid, None)
    if function not in known or (function is keras.activations.sigmoid and not at_end):
        raise ValueError(
            "GAN: the discriminator must end in a sigmoid, its last operation, or be linear there. "
            f"Received: {getattr(function, '__name__', function)}"
            f"{'' if at_end else ', then a change of shape'}"
        )


def output_activation(model):
    """The function that makes the outputs of a functional model, and whether it comes last.

    None for a layer that says nothing of its activation.
    """
    at_end, x = True, model.outputs[0]
    while True:
        history = x._keras_history
        layer = history.operation
        if isinstance(layer, keras.Model):
            function, last = output_activation(layer)
            return function, at_end and last
        node = layer._inbound_nodes[history.node_index]
        if not isinstance(layer, SHAPES_ONLY) or not node.input_tensors:
            return getattr(layer, "activation", None), at_end
        at_end, x = False, node.input_tensors[0]


def image_range(generator):
    """What is black and white in a generator's images; (0, 1) if its end does not say."""
    return RANGES.get(output_activation(generator)[0], (0, 1))


def check_range(generator, images):
    """Refuses an array of images that the generator cannot make.

    Raises:
        ValueError: of another shape, not finite, or in another range than a generator with a
            sigmoid or tanh at its end has.
    """
    check_images("GAN", "x", images, generator.output_shape[1:])
    if not len(images):
        raise ValueError("GAN: x must hold one image at least. Received: none")
    function, _ = output_activation(generator)
    if function not in RANGES:
        return
    check_dtype(generator, images.dtype)
    low, high = RANGES[function]
    least, most = (0, 1) if images.dtype == np.uint8 else (images.min(), images.max())
    # What a tanh is for goes below 0.
    if not (low <= least and most <= high) or (low < 0 <= least):
        raise ValueError(
            f"GAN: x must be in [{low}, {high}], as the {function.__name__} at the generator's end "
            f"is. Received: {images.dtype} from {least} to {most}"
        )


def check_dtype(generator, dtype):
    """Refuses uint8 images, which stand for 255ths, where the generator makes them in [-1, 1].

    Raises:
        ValueError: if so.
    """
    if dtype == "uint8" and output_activation(generator)[0] is keras.activations.tanh:
        raise ValueError(
            "GAN: x must be in [-1, 1], as the tanh at the generator's end is; make it so: "
            'x.astype("float32") / 127.5 - 1. Received: uint8, which stands for [0, 1]'
        )
