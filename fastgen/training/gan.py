"""Trains a GAN by the call of the book's loop."""

import keras
import numpy as np
import tensorflow as tf

from fastgen.models import GAN
from fastgen.models.gan_parts import output_activation
from fastgen.ops.arguments import count


def train_gan(
    gan,
    dataset,
    batch_size,
    codings_size,
    n_epochs=50,
    *,
    seed=None,
    callbacks=(),
    verbose="auto",
):
    """Trains the two networks of a GAN in turn, as the loop of the book with the same call does.

    The loop sets `discriminator.trainable`, which Keras 3 reads when a step is first traced: where
    it is False by then, the discriminator never learns. Here it changes nothing.

    Example:
    >>> import keras
    >>> import numpy as np
    >>> import tensorflow as tf
    >>> import fastgen
    >>> dense = keras.layers.Dense
    >>> generator = keras.Sequential([keras.Input((2,)), dense(8, "selu"), dense(6, "sigmoid")])
    >>> discriminator = keras.Sequential([keras.Input((6,)), dense(8, "selu"), dense(1, "sigmoid")])
    >>> gan = keras.Sequential([generator, discriminator])
    >>> discriminator.compile(loss="binary_crossentropy", optimizer="rmsprop")
    >>> discriminator.trainable = False
    >>> gan.compile(loss="binary_crossentropy", optimizer="rmsprop")
    >>> images = np.random.default_rng(1).random((64, 6), dtype="float32")
    >>> dataset = tf.data.Dataset.from_tensor_slices(images).batch(32, drop_remainder=True)
    >>> history = fastgen.train_gan(gan, dataset, 32, 2, n_epochs=2, verbose=0)
    >>> len(history.history["discriminator_loss"])
    2

    Args:
        gan: compiled `keras.Sequential` of a generator and of a compiled discriminator, both with
            binary cross-entropy, of whose optimizers each trains its own network: the discriminator
            its own, the generator that of `gan`; batch normalization runs as in the loop, see
            `fastgen.ops.gan_step`. The optimizers are taken as they are: where convolutions keep
            the step from its kernel, those of `fastgen.optimizers` are faster than Keras'. Or a
            compiled `fastgen.GAN`.
        dataset: `tf.data.Dataset` of batches of images, of which the last may be smaller, or an
            array `(n, *image_shape)`, which is shuffled.
        batch_size: integer ≥ 1, that of the dataset.
        codings_size: integer ≥ 1, that of the generator's input.
        n_epochs: integer ≥ 0.
        seed: Python integer ≥ 0, of the noise and of the order of an array, or None for a seed that
            `keras.utils.set_random_seed` determines, or to go on with that of a `fastgen.GAN`.
        callbacks: Keras callbacks, whose `model` is a `fastgen.GAN`.
        verbose: as for `keras.Model.fit`.

    Returns:
        `keras.callbacks.History`, see `fastgen.GAN.fit`.

    Raises:
        ValueError: if the networks or their losses are not as above, or an argument does not fit
            them.

    Source: Géron (2022), Hands-On Machine Learning, 3rd edition, chapter 17.
    """
    for name, value, least in (
        ("batch_size", batch_size, 1),
        ("codings_size", codings_size, 1),
        ("n_epochs", n_epochs, 0),
    ):
        count("train_gan", name, value, least)
    model = _model(gan, codings_size, seed)
    if model.generator.input_shape[1:] != (codings_size,):
        raise ValueError(
            "train_gan: codings_size must be that of the generator's input, "
            f"{model.generator.input_shape[1:]}. Received: {codings_size}"
        )
    how = {"epochs": n_epochs, "callbacks": list(callbacks), "verbose": verbose}
    if isinstance(dataset, tf.data.Dataset):
        _check_batches(dataset, batch_size, model.image_shape)
        return model.fit(dataset, **how)
    if not isinstance(dataset, (np.ndarray, list, tuple)) and not tf.is_tensor(dataset):
        raise ValueError(
            "train_gan: dataset must be a tf.data.Dataset of batches, or an array. "
            f"Received: {type(dataset).__name__}"
        )
    return model.fit(dataset, batch_size=batch_size, **how)


def _model(gan, codings_size, seed):
    """The GAN to train."""
    if isinstance(gan, GAN):
        _check_compiled("gan", gan)
        if seed is not None:
            gan.noise.state.assign(keras.random.SeedGenerator(seed).state)
        return gan
    layers = gan.layers if isinstance(gan, keras.Sequential) else ()
    if len(layers) != 2 or not all(isinstance(layer, keras.Model) for layer in layers):
        raise ValueError(
            "train_gan: gan must be keras.Sequential([generator, discriminator]) or a fastgen.GAN. "
            f"Received: {gan!r}"
        )
    generator, discriminator = layers
    # The third edition writes them without keras.Input.
    if all(isinstance(layer, keras.Sequential) for layer in layers):
        if not generator.built:
            generator.build((None, codings_size))
        if not discriminator.built:
            discriminator.build(generator.output_shape)
    for name, model in (("the discriminator", discriminator), ("gan", gan)):
        _check_compiled(name, model)
        _check_loss(name, model, discriminator)
    model = GAN(generator, discriminator, seed=seed)
    model.compile(gan.optimizer, discriminator.optimizer, batch_norm="book")
    return model


def _check_compiled(name, model):
    if not model.compiled:
        raise ValueError(f"train_gan: {name} must be compiled. Received: {model!r}, which is not")


def _check_loss(name, model, discriminator):
    """Whether a model's loss is the binary cross-entropy of what the discriminator returns."""
    loss = model.loss
    if isinstance(loss, (list, tuple)) and len(loss) == 1:
        loss = loss[0]
    found = keras.losses.get(loss)
    own = isinstance(found, keras.losses.BinaryCrossentropy)
    if not own and found is not keras.losses.binary_crossentropy:
        raise ValueError(
            f"train_gan: the loss of {name} must be binary_crossentropy. Received: {loss!r}"
        )
    config = found.get_config() if own else {}
    if config.get("label_smoothing"):
        raise ValueError(
            f"train_gan: the loss of {name} must not smooth labels; "
            "fastgen.GAN(generator, discriminator).compile(label_smoothing=...) does. "
            f"Received: label_smoothing={config['label_smoothing']}"
        )
    sigmoid = output_activation(discriminator)[0] is keras.activations.sigmoid
    if sigmoid == bool(config.get("from_logits")):
        raise ValueError(
            f"train_gan: the loss of {name} must have from_logits={not sigmoid}, because the "
            f"discriminator ends {'in a' if sigmoid else 'without a'} sigmoid. "
            f"Received: from_logits={sigmoid}"
        )


def _check_batches(dataset, batch_size, image_shape):
    spec = dataset.element_spec
    shape = getattr(spec, "shape", None)
    if not isinstance(spec, tf.TensorSpec) or not shape[1:].is_compatible_with(image_shape):
        raise ValueError(
            "train_gan: dataset must have batches of images of shape "
            f"(batch, {', '.join(map(str, image_shape))}), and those alone. Received: {spec}"
        )
    found = shape[0] if shape.rank else None
    if found is None:
        found = next((len(batch) for batch in dataset.take(1)), batch_size)
    if found != batch_size:
        raise ValueError(
            f"train_gan: batch_size must be that of the dataset, {found}. Received: {batch_size}"
        )
