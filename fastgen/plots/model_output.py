"""What the plots ask of a model."""

import numbers

import numpy as np


def require(op, model, *methods):
    """Raises ValueError unless the model has these methods."""
    missing = [name for name in methods if not callable(getattr(model, name, None))]
    if missing:
        raise ValueError(
            f"{op}: model must have {' and '.join(missing)}, as "
            f"fastgen.models.VariationalAutoencoder has. Received: {type(model).__name__}"
        )


def layers_of(model):
    """A Keras model's layers in the order of data, those of models within in their place."""
    for layer in getattr(model, "layers", ()):
        if hasattr(layer, "layers"):
            yield from layers_of(layer)
        else:
            yield layer


def as_input(images):
    """Images as models take them: uint8 becomes float in [0, 1]."""
    images = np.asarray(images)
    return np.divide(images, 255, dtype="float32") if images.dtype == np.uint8 else images


def encode(op, model, images):
    """Mean codings `[n, codings]` of images, as float32."""
    require(op, model, "encode")
    return np.asarray(model.encode(as_input(images)), "float32")


def decode(op, model, codings):
    """Images of codings `[..., codings]`, in one list."""
    require(op, model, "decode")
    codings = np.asarray(codings, "float32")
    return np.asarray(model.decode(codings.reshape(-1, codings.shape[-1])))


def value_range(model):
    """What is black and white in the images that a model makes: a GAN says it."""
    return getattr(model, "value_range", (0, 1))


def generate(op, model, count, seed):
    """Images from the model's prior."""
    require(op, model, "generate")
    if not isinstance(count, numbers.Integral) or count < 1:
        raise ValueError(f"{op}: count must be an integer above 0. Received: {count!r}")
    return np.asarray(model.generate(count, seed=seed))
