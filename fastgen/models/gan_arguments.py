"""Checks of what a GAN is compiled and trained with."""

from fastgen.ops import adversary, players
from fastgen.ops.arguments import number


def build(optimizer, model):
    """Make the slots of an optimizer for a model.

    Raises:
        ValueError: if the optimizer is that of another model, or keeps moving averages.
    """
    if optimizer.built and not optimizer._trainable_variables:
        optimizer.built = False  # by a step of a model that was frozen; there is nothing to lose
    players.build("GAN", optimizer, adversary.weights(model))
    if optimizer.use_ema:
        raise ValueError(
            "GAN: the optimizers must not keep moving averages. "
            f"Received: {type(optimizer).__name__}(use_ema=True)"
        )


def shares(label_smoothing, label_noise):
    """The two as floats.

    Raises:
        ValueError: if they would make targets that are no probabilities.
    """
    named = {"label_smoothing": label_smoothing, "label_noise": label_noise}
    found = [number("GAN", name, value, 0.0, 1.0) for name, value in named.items()]
    if sum(found) > 1:
        raise ValueError(
            "GAN: label_smoothing and label_noise must be at most 1 together. "
            f"Received: {label_smoothing} and {label_noise}"
        )
    return found


def refuse_targets(given):
    """Refuses what `fit` was given, by name, that is about targets or validation."""
    for name in (
        "y",
        "sample_weight",
        "class_weight",
        "validation_data",
        "validation_split",
        "validation_steps",
    ):
        value = given.get(name)
        if value is not None and not (name == "validation_split" and value == 0):
            raise ValueError(
                f"GAN: fit takes images alone, and a GAN has no loss to validate: no {name}. "
                f"Received: {name}={type(value).__name__}"
            )
