"""From images to the features in which they are compared."""

import numpy as np
import tensorflow as tf

from fastgen.data import as_dtype, digits
from fastgen.data.images import check_images, check_labels
from fastgen.evaluation import cache as classifiers
from fastgen.evaluation.classifier import FEATURES, SIZE, build, run_in_batches, train

# Red, green, blue → grey as ITU-R BT.601 weighs them.
LUMA = np.array([0.299, 0.587, 0.114], "float32")
RESIZED_AT_A_TIME = 256


class FeatureExtractor:
    """Images → features: a classifier's last layer but one, each feature standardised.

    Made by `feature_extractor`. Over the classifier's training images each feature has mean 0 and
    standard deviation 1.

    Attributes:
        accuracy: Share of the held-out tenth of its images that the classifier names rightly.
        classes: Number of classes that it tells apart.
        path: File of the cache that it was read from, or None where it was trained just now.
    """

    def __init__(self, classifier, classes, path=None):
        self.accuracy = classifier.accuracy
        self.classes = classes
        self.path = path
        self._shift, self._scale = classifier.shift, classifier.scale
        logits, self._features = build(classes, seed=0)
        logits.set_weights(classifier.weights)

    def __repr__(self):
        return f"<FeatureExtractor of {self.classes} classes, accuracy {self.accuracy:.3f}>"

    def __call__(self, images):
        """Features of images.

        Args:
            images: uint8, or float in [0, 1], `[n, height, width]` or `[n, height, width, c]` of
                any size and number of channels.

        Returns:
            A float32 array `[n, 64]`.

        Raises:
            ValueError: Not such images.
        """
        features = run_in_batches(self._features, prepare(images))
        return ((features - self._shift) / self._scale).astype("float32").reshape(-1, FEATURES)


def feature_extractor(images=None, labels=None, *, seed=0, cache=True):
    """Trains a small classifier, or reads it from the cache, to compare images in its features.

    Features of one's own images tell more than those of digits, and values are comparable only
    within one extractor: keep data, seed and versions the same. The same arguments give the same
    weights, bit for bit, on the same machine.

    The cache is the folder that the variable FASTGEN_CACHE names, else the platform's own for a
    user. A file there is chosen by a hash of images, labels, seed and versions; a damaged one is
    made anew.

    Example:
    >>> import fastgen.data
    >>> from fastgen.evaluation import compare, feature_extractor
    >>> (x_train, _), (x_valid, _) = fastgen.data.load("digits")
    >>> extractor = feature_extractor()
    >>> extractor(x_valid).shape, extractor.accuracy > 0.95
    ((180, 64), True)
    >>> result = compare(x_train[:180], x_valid, extractor)
    >>> result.precision > 0.7
    True

    Args:
        images: As `FeatureExtractor` takes them; None for scikit-learn's digits.
        labels: Integers `[n]`, of two classes or more; goes with images.
        seed: Of the weights, the order of the images and the held-out tenth.
        cache: Whether to read and write the cache.

    Returns:
        A `FeatureExtractor`.

    Raises:
        ValueError: Images or labels that cannot be used, or one without the other.
    """
    if (images is None) != (labels is None):
        given, missing = ("labels", "images") if images is None else ("images", "labels")
        raise ValueError(
            f"feature_extractor: images and labels go together. Received: {given} without {missing}"
        )
    if images is None:
        images, labels = digits(SIZE)
    x = prepare(images, "feature_extractor")
    classes, y = _class_numbers(np.asarray(labels), len(x))
    path = classifiers.path_of(x, y, seed) if cache else None
    if path and (classifier := classifiers.load(path, classes)):
        return FeatureExtractor(classifier, classes, path)
    classifier = train(x, y, seed)
    if path:
        classifiers.save(path, classifier)
    return FeatureExtractor(classifier, classes)


def _class_numbers(labels, n):
    """The number of classes, and labels as int64 from 0 on without gaps."""
    try:
        check_labels(labels, n)
        kinds, y = np.unique(labels, return_inverse=True)
        if len(kinds) < 2:
            raise ValueError(f"y must be of 2 classes or more. Received: {len(kinds)}")
    except ValueError as error:
        raise ValueError(f"feature_extractor: labels as y: {error}") from error
    return len(kinds), y.astype("int64")


def prepare(images, name="FeatureExtractor"):
    """Images of any size and number of channels as grey float32 `[n, 28, 28]` in [0, 1]."""
    images = np.asarray(images)
    try:
        check_images(images)
    except ValueError as error:
        raise ValueError(f"{name}: images as x: {error}") from error
    x = as_dtype(images, "float32")
    if x.ndim == 4:
        channels = x.shape[-1]
        x = x @ LUMA if channels == 3 else x.mean(-1)
    if x.shape[1:] == (SIZE, SIZE):
        return x
    starts = range(0, len(x), RESIZED_AT_A_TIME)
    return np.concatenate([_resize(x[i : i + RESIZED_AT_A_TIME]) for i in starts])


def _resize(x):
    # With antialiasing: shrinking would otherwise skip pixels rather than average them.
    resized = tf.image.resize(x[..., None], (SIZE, SIZE), antialias=True)[..., 0]
    return np.clip(resized.numpy(), 0, 1)
