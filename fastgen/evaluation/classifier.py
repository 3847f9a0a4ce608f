"""The small classifier whose features evaluation compares images in: its build and its training."""

from dataclasses import dataclass

import keras
import numpy as np
import tensorflow as tf

from fastgen.data import split

SIZE = 28
FEATURES = 64
BATCH = 64
# Enough for digits (25 batches an epoch) to level off, and for 60,000 images to be seen twice.
LEAST_STEPS = 800
LEAST_EPOCHS = 2
HELD_OUT = 0.1
# Part of the key of a cached classifier: raise it with every change of what is trained here.
RECIPE = 1


@dataclass
class Classifier:
    """A trained classifier, as arrays.

    Attributes:
        weights: Of `build`'s models, in their order.
        shift: Mean of each feature over the training images, `[FEATURES]`.
        scale: Standard deviation of each feature over them; 1 for a constant one.
        accuracy: Share of the held-out images that it names rightly.
    """

    weights: list
    shift: np.ndarray
    scale: np.ndarray
    accuracy: float


def build(classes, seed):
    """The models images `[n, 28, 28, 1]` → logits and → features `[n, FEATURES]`, sharing layers.

    The logits have one class more than asked for: the junk of `make_junk`. Dtype and layout are
    the models' own, whatever Keras' global settings are.
    """
    seeds = iter(np.random.RandomState(seed).randint(2**31, size=5).tolist())

    def new(layer, *arguments, **settings):
        kernel = keras.initializers.GlorotUniform(seed=next(seeds))
        settings |= {"kernel_initializer": kernel, "dtype": "float32"}
        return layer(*arguments, **settings)

    same = {"padding": "same", "data_format": "channels_last"}
    images = keras.Input((SIZE, SIZE, 1), dtype="float32")
    x = images
    for filters, size in ((16, 5), (32, 3)):
        x = new(keras.layers.Conv2D, filters, size, strides=2, activation="relu", **same)(x)
    x = keras.layers.Flatten(data_format="channels_last", dtype="float32")(x)
    # Before any nonlinearity: sums of many terms, so nearer to Gaussian than a ReLU's outputs.
    features = new(keras.layers.Dense, FEATURES)(x)
    x = keras.layers.ReLU(dtype="float32")(features)
    x = keras.layers.Dropout(0.3, seed=next(seeds), dtype="float32")(x)
    logits = new(keras.layers.Dense, classes + 1)(x)
    return keras.Model(images, logits), keras.Model(images, features)


def train(x, y, seed):
    """Trains a classifier; deterministic, and leaves the global seeds alone.

    Args:
        x: float32 images in [0, 1], `[n, 28, 28]`.
        y: Class numbers `[n]`, from 0 on without gaps.
        seed: Of the weights, the order of the images and which of them are held out.

    Returns:
        A `Classifier`.
    """
    rows, held_out = split(len(x), HELD_OUT, seed)
    random = np.random.RandomState(seed)
    classes = int(y.max()) + 1
    junk = make_junk(x[rows], -(-len(rows) // classes), random)
    logits, features = build(classes, seed)
    batches, steps = _batches(
        np.concatenate([x[rows], junk]),
        np.concatenate([y[rows], np.full(len(junk), classes)]),
        random,
    )
    rate = keras.optimizers.schedules.CosineDecay(2e-3, steps)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    logits.compile(keras.optimizers.Adam(rate), loss, jit_compile=False, auto_scale_loss=False)
    logits.fit(batches, shuffle=False, verbose=0)
    guesses = run_in_batches(logits, x[held_out]).argmax(1)
    known = run_in_batches(features, x[rows])
    scale = known.std(0)
    return Classifier(
        weights=logits.get_weights(),
        shift=known.mean(0),
        scale=np.where(scale > 0, scale, 1).astype("float32"),
        accuracy=float((guesses == y[held_out]).mean()),
    )


def make_junk(x, count, random):
    """`count` images of noise that have something of the images x, for a class of their own.

    A classifier that has never seen noise puts it among the images: of uniform noise, 76 % was
    within the real manifold of `precision_recall` on Fashion-MNIST.
    """
    n, pixels = len(x), x[0].size
    columns = np.arange(pixels)
    kinds = (
        lambda image: random.random_sample(pixels),
        lambda image: random.permutation(image.ravel()),  # the image's values, anywhere
        # Each pixel as in some image.
        lambda image: x.reshape(n, pixels)[random.randint(n, size=pixels), columns],
    )
    junk = [kinds[i % len(kinds)](x[random.randint(n)]) for i in range(count)]
    return np.array(junk, "float32").reshape(count, *x.shape[1:])


def _batches(x, y, random):
    """All epochs as one `tf.data.Dataset`, and its length.

    A `fit` for each epoch would take longer than its steps.
    """
    epochs = max(LEAST_EPOCHS, -(-LEAST_STEPS * BATCH // len(x)))
    order = np.concatenate([random.permutation(len(x)) for _ in range(epochs)])
    x, y = tf.constant(x[..., None]), tf.constant(y)
    batches = tf.data.Dataset.from_tensor_slices(order).batch(BATCH)
    batches = batches.map(lambda rows: (tf.gather(x, rows), tf.gather(y, rows)))
    return batches, len(batches)


def run_in_batches(model, x, batch_size=256):
    """The model's outputs for images `[n, 28, 28]`, as an array.

    Calls the model rather than `predict`, which would trace a function for each new model.
    """
    starts = range(0, len(x), batch_size)
    outputs = [model(x[i : i + batch_size, ..., None], training=False) for i in starts]
    return np.concatenate([keras.ops.convert_to_numpy(output) for output in outputs])
