"""Dense autoencoders that cannot just copy: denoising, sparse, hashing."""

from keras import layers

from fastgen.layers import Corruption, Sparsity
from fastgen.models.autoencoders.parts import DenseParts
from fastgen.ops import arguments

AMOUNTS = {"gaussian": 0.2, "dropout": 0.5}
# The book's for "kl" and "l1"; with this "mse" is as steep as "kl" is at 0.1.
WEIGHTS = {"kl": 5e-3, "l1": 1e-4, "mse": 3e-2}


def denoising_autoencoder(
    input_shape=(28, 28),
    codings=30,
    *,
    corruption="gaussian",
    amount=None,
    hidden=(100,),
    activation="relu",
    output_activation="linear",
    seed=None,
    name="denoising_autoencoder",
):
    """Builds a stacked `fastgen.models.Autoencoder` that learns to take noise off its inputs.

    `fit` corrupts what the encoder gets, and has the outputs be like the clean inputs. In inference
    nothing is corrupted.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> model = fastgen.models.denoising_autoencoder((8, 8), 3, hidden=(16,), seed=1)
    >>> model.compile()
    >>> history = model.fit(np.random.default_rng(1).random((32, 8, 8)), verbose=0)
    >>> model.why_stock() is None  # why `fit` would not take a kernel
    True

    Args:
        input_shape: as of `stacked_autoencoder`.
        codings: likewise.
        corruption: `"gaussian"` noise, or `"dropout"` of inputs.
        amount: number: the noise's standard deviation, by default 0.2, or the share of inputs that
            is dropped, by default 0.5.
        hidden: as of `stacked_autoencoder`.
        activation: likewise.
        output_activation: likewise.
        seed: likewise.
        name: Name of the model.

    Returns:
        A `fastgen.models.Autoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Vincent et al. (2010), Stacked Denoising Autoencoders, JMLR 11; Géron (2022), Hands-On
    Machine Learning, 3rd edition, chapter 17.
    """
    builder = "denoising_autoencoder"
    parts = DenseParts(builder, input_shape, codings, hidden, activation, seed)
    arguments.choice(builder, "corruption", corruption, tuple(AMOUNTS))
    amount = AMOUNTS[corruption] if amount is None else amount
    encoder = [Corruption(corruption, amount, seed=parts.seed()), *parts.encoder()]
    return parts.autoencoder(encoder, parts.decoder(), output_activation, name)


def sparse_autoencoder(
    input_shape=(28, 28),
    codings=300,
    *,
    penalty="kl",
    weight=None,
    target=0.1,
    hidden=(100,),
    activation="relu",
    output_activation="linear",
    seed=None,
    name="sparse_autoencoder",
):
    """Builds a stacked `fastgen.models.Autoencoder` of many codings, few of them active at a time.

    The codings are sigmoids, and `fastgen.layers.Sparsity` adds a penalty of their mean activities
    to the loss, the same at any batch size.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> model = fastgen.models.sparse_autoencoder((8, 8), 20, hidden=(16,), seed=1)
    >>> model.compile()
    >>> history = model.fit(np.random.default_rng(1).random((32, 8, 8)), verbose=0)
    >>> sorted(history.history)
    ['activity', 'loss']

    Args:
        input_shape: as of `stacked_autoencoder`.
        codings: likewise.
        penalty: `"kl"`, `"l1"` or `"mse"`: see `fastgen.layers.Sparsity`.
        weight: number ≥ 0, of the penalty. By default 5e-3, 1e-4 or 3e-2.
        target: number, the mean activity that each coding should have, for `"kl"` in [0, 1].
            `"l1"`, which pulls all to 0, makes no use of it.
        hidden: as of `stacked_autoencoder`.
        activation: of the hidden layers: a name, or a function.
        output_activation: as of `stacked_autoencoder`.
        seed: likewise.
        name: Name of the model.

    Returns:
        A `fastgen.models.Autoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Ng (2011), Sparse Autoencoder, CS294A lecture notes; Géron (2022), Hands-On Machine
    Learning, 3rd edition, chapter 17.
    """
    builder = "sparse_autoencoder"
    parts = DenseParts(builder, input_shape, codings, hidden, activation, seed)
    arguments.choice(builder, "penalty", penalty, tuple(WEIGHTS))
    weight = WEIGHTS[penalty] if weight is None else weight
    sparsity = Sparsity(weight, None if penalty == "l1" else target, penalty, name="sparsity")
    encoder = [*parts.flatten(), *parts.dense(*parts.units), _sigmoids(parts), sparsity]
    return parts.autoencoder(encoder, parts.decoder(), output_activation, name)


def hashing_autoencoder(
    input_shape=(28, 28),
    codings=16,
    *,
    noise=15.0,
    hidden=(100,),
    activation="selu",
    output_activation="sigmoid",
    seed=None,
    name="hashing_autoencoder",
):
    """Builds a stacked `fastgen.models.Autoencoder` whose codings, rounded, are bits of a hash.

    The codings are sigmoids of inputs that `fit` makes so noisy that only those far from 0 get
    through: the codings learn to be nearly 0 or 1, similar ones of similar inputs.

    Example:
    >>> import numpy as np
    >>> import fastgen
    >>> model = fastgen.models.hashing_autoencoder((8, 8), 4, hidden=(16,), seed=1)
    >>> model.compile(loss="binary_crossentropy")
    >>> x = np.random.default_rng(1).random((32, 8, 8))
    >>> history = model.fit(x, verbose=0)
    >>> hashes = model.encode(x).round().astype(int) @ (1 << np.arange(4))
    >>> hashes.shape, set(hashes) <= set(range(16))
    ((32,), True)

    Args:
        input_shape: as of `stacked_autoencoder`.
        codings: integer ≥ 1, bits.
        noise: number ≥ 0, standard deviation of the noise.
        hidden: as of `stacked_autoencoder`.
        activation: of the hidden layers: a name, or a function.
        output_activation: as of `stacked_autoencoder`.
        seed: likewise.
        name: Name of the model.

    Returns:
        A `fastgen.models.Autoencoder`, to be compiled.

    Raises:
        ValueError: if an argument is out of its range.

    Source: Salakhutdinov & Hinton (2009), Semantic Hashing,
    https://doi.org/10.1016/j.ijar.2008.11.006; Géron (2022), Hands-On Machine Learning, 3rd
    edition, notebook of chapter 17, extra material.
    """
    builder = "hashing_autoencoder"
    parts = DenseParts(builder, input_shape, codings, hidden, activation, seed)
    noise = arguments.number(builder, "noise", noise, 0.0, float("inf"))
    corruption = Corruption("gaussian", noise, seed=parts.seed())
    encoder = [*parts.flatten(), *parts.dense(*parts.units), corruption, _sigmoids(parts)]
    return parts.autoencoder(encoder, parts.decoder(), output_activation, name)


def _sigmoids(parts):
    return parts.linear(layers.Dense, parts.codings, activation="sigmoid")
