"""Keeps trained classifiers between runs, in files that are trusted for nothing but speed."""

import hashlib
import zipfile

import keras
import numpy as np
import tensorflow as tf

from fastgen.cache import folder, write
from fastgen.data.npz import DAMAGE, read_member
from fastgen.evaluation.classifier import FEATURES, RECIPE, Classifier, build


def path_of(x, y, seed):
    """Where the classifier trained on these images, labels and seed is kept.

    The name holds a hash of the data, and of what else decides the weights.
    """
    about = f"{RECIPE} {seed} {x.shape} {tf.__version__} {keras.__version__} {np.__version__}"
    digest = hashlib.sha256(about.encode())
    for array in (x, y):
        digest.update(np.ascontiguousarray(array))
    return folder() / f"classifier-{digest.hexdigest()[:32]}.npz"


def save(path, classifier):
    """Writes the file at once or not at all; where it cannot be written, does nothing."""
    arrays = {f"weight_{i}": weight for i, weight in enumerate(classifier.weights)}
    arrays |= {"shift": classifier.shift, "scale": classifier.scale}
    arrays["accuracy"] = np.float64(classifier.accuracy)
    write(path, lambda file: np.savez(file, **arrays))


def load(path, classes):
    """The classifier in a file, or None: where there is none, and where it is damaged."""
    expected = [tuple(weight.shape) for weight in build(classes, seed=0)[0].weights]
    try:
        with zipfile.ZipFile(path) as archive:
            weights = [read_member(archive, f"weight_{i}") for i in range(len(expected))]
            shift, scale, accuracy = (
                read_member(archive, key) for key in ("shift", "scale", "accuracy")
            )
    except (ValueError, *DAMAGE):
        return None
    shapes = [array.shape for array in (*weights, shift, scale, accuracy)]
    sound = all(np.isfinite(array).all() for array in (*weights, shift, scale, accuracy))
    if not sound or shapes != [*expected, (FEATURES,), (FEATURES,), ()]:
        return None
    return Classifier(weights, shift, scale, float(accuracy))
