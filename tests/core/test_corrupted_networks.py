"""Networks whose layers get their inputs with dropout or noise, and leaky_relu of other slopes."""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, core
from tests.core.dense_networks import (
    arrays_of,
    assert_as_reference,
    assert_told,
    layers_of,
    on_every_thread_count,
    optimizer_of,
)
from tests.core.mlp_reference import (
    Autoencoder,
    Network,
    Player,
    discriminator_update,
    gan_step,
    layer_of,
)
from tests.tolerances import assert_close

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
PIXELS, CODINGS = 21, 5
DROPOUT, NOISE = ("dropout", 0.3), ("gaussian", 0.5)


def with_corruptions(layers, *corruptions):
    return [
        (*layer_of(*layer)[:4], corruption)
        for layer, corruption in zip(layers, corruptions, strict=True)
    ]


def stack(dtype, *corruptions, units=9):
    activations = ("selu", ("leaky_relu", 0.01), "gelu_tanh", "tanh")
    layers = layers_of(dtype, (PIXELS, units, units, units, 4), activations)
    return with_corruptions(layers, *corruptions)


def seeds_of(passes, count, key=0):
    return np.random.default_rng([passes, key]).integers(-(2**63), 2**63 - 1, (passes, count, 2))


def drawn(dtype, rows, cols, key=0):
    return np.random.default_rng([key, rows, cols]).standard_normal((rows, cols)).astype(dtype)


def compare_gradients(layers, rows, seeds):
    reference, dtype = Network(layers), layers[0][0].dtype
    x, d_y = drawn(dtype, rows, layers[0][0].shape[0]), drawn(dtype, rows, 4, 1)
    of_reference = None if seeds is None else seeds[0]
    exact = reference.forward(np.float64(x), seeds=of_reference)
    assert_close(core.mlp_forward(x, layers, seeds=seeds), exact, dtype, rows + PIXELS)
    d_x, gradients = core.mlp_grad(x, layers, d_y, seeds=seeds)
    assert_close(d_x, reference.backward(np.float64(d_y)), dtype, rows + PIXELS)
    found = [g for pair in gradients for g in pair]
    for gradient, exact in zip(found, reference.gradients, strict=True):
        assert_close(gradient, exact, dtype, rows + PIXELS)


@dtypes
@pytest.mark.parametrize("rows", [1, 16, 17, 33, 65, 130])
def test_gradients(isa, dtype, rows):
    compare_gradients(stack(dtype, DROPOUT, NOISE, None, DROPOUT), rows, seeds_of(1, 3))


@pytest.mark.parametrize("corruption", [("dropout", 0.0), ("dropout", 1.0), ("gaussian", 0.0)])
def test_ends_of_the_ranges(isa, corruption):
    layers = stack("float32", None, corruption, None, None)
    seeds, x, d_y = seeds_of(1, 1), drawn("float32", 20, PIXELS), drawn("float32", 20, 4)
    plain = with_corruptions([layer[:4] for layer in layers], *[None] * 4)
    if corruption == ("dropout", 1.0):  # nothing comes through
        d_x, gradients = core.mlp_grad(x, layers, d_y, seeds=seeds)
        assert not d_x.any() and not gradients[0][0].any() and not gradients[1][0].any()
        assert gradients[2][0].any()
    else:
        assert_same_bits(core.mlp_forward(x, layers, seeds=seeds), core.mlp_forward(x, plain))


@dtypes
def test_without_seeds_nothing_is_corrupted(isa, dtype):
    layers = stack(dtype, DROPOUT, NOISE, None, DROPOUT)
    compare_gradients(layers, 40, None)
    x, plain = drawn(dtype, 40, PIXELS), with_corruptions([w[:4] for w in layers], *[None] * 4)
    assert_same_bits(core.mlp_forward(x, layers), core.mlp_forward(x, plain))


def test_the_numbers_are_those_of_the_ops(isa):
    """A layer that passes on what it gets: dropout and gaussian_noise of the whole matrix."""
    eye, x = np.eye(PIXELS, dtype="float32"), drawn("float32", 70, PIXELS)
    seeds = seeds_of(1, 1)
    found = core.mlp_forward(x, [(eye, None, "linear", False, DROPOUT)], seeds=seeds)
    assert_close(found, core.dropout(x, 0.3, seeds[0, 0]), "float32", 1)
    found = core.mlp_forward(x, [(eye, None, "linear", False, NOISE)], seeds=seeds)
    assert_same_bits(found, core.gaussian_noise(x, 0.5, seeds[0, 0]))


def test_a_tied_kernel_with_dropout(isa):
    (kernel, bias, _), *_ = layers_of("float32", (PIXELS, 4), ("tanh",))
    back = (kernel, np.zeros([PIXELS], "float32"), "linear", True, DROPOUT)
    again = (layers_of("float32", (PIXELS, 4), ("linear",), 3)[0][0], None, "linear", False, NOISE)
    layers = [(kernel, bias, "tanh", False, NOISE), back, again]
    reference, rows = Network(layers), 33
    x, d_y, seeds = drawn("float32", rows, PIXELS), drawn("float32", rows, 4, 1), seeds_of(1, 3)
    reference.forward(np.float64(x), seeds=seeds[0])
    d_x, gradients = core.mlp_grad(x, layers, d_y, seeds=seeds)
    assert_close(d_x, reference.backward(np.float64(d_y)), "float32", rows + PIXELS)
    assert_close(gradients[1][0], reference.gradients[0], "float32", rows + PIXELS)


def test_what_is_dropped_is_0(isa):
    eye = np.eye(PIXELS, dtype="float32")
    x = np.full([8, PIXELS], np.nan, "float32")
    layers = [(eye[:, :1], None, "linear", False, ("dropout", 1.0))]
    np.testing.assert_array_equal(core.mlp_forward(x, layers, seeds=seeds_of(1, 1)), 0)


class Gan:
    """A GAN with corruption in both networks; `call` compares a call with the reference."""

    def __init__(self, dtype):
        self.dtype = dtype
        activations = (("leaky_relu", 0.3), "sigmoid")
        self.g = with_corruptions(
            layers_of(dtype, (CODINGS, 9, PIXELS), activations, 1), None, DROPOUT
        )
        self.d = with_corruptions(
            layers_of(dtype, (PIXELS, 9, 9, 1), ("selu", *activations)), NOISE, None, DROPOUT
        )
        self.optimizers = optimizer_of(self.g), optimizer_of(self.d)
        self.images = np.random.default_rng(2).integers(0, 256, (30, PIXELS)).astype("uint8")

    def fed(self, steps, n_critic, batch):
        rng = np.random.default_rng([steps, n_critic, batch])
        passes = steps * (n_critic + 1)
        rows = rng.integers(0, 30, (steps, n_critic, batch))
        seeds = rng.integers(-(2**63), 2**63 - 1, (steps, n_critic + 1, 2))
        return rows, seeds, seeds_of(passes, 2, 1), seeds_of(passes, 1, 2)

    def call(self, rows, seeds, of_d, of_g, **options):
        return core.gan_step(
            self.g, self.optimizers[0], self.d, self.optimizers[1], self.images, rows, seeds,
            discriminator_corruption=of_d, generator_corruption=of_g, **options,
        )  # fmt: skip

    def arrays(self):
        return [
            *arrays_of(self.g, self.optimizers[0]),
            *arrays_of(self.d, self.optimizers[1]),
        ]


@dtypes
@pytest.mark.parametrize("batch", [1, 20, 33, 70])
@pytest.mark.parametrize("corrupts_fakes", [True, False])
def test_gan_step(isa, dtype, batch, corrupts_fakes):
    gan = Gan(dtype)
    feed = gan.fed(2, 2, batch)
    players = Player(gan.g, gan.optimizers[0]), Player(gan.d, gan.optimizers[1])
    expected = gan_step(
        *players, gan.images, *feed[:2], dtype=dtype, of_d=feed[2], of_g=feed[3],
        corrupts_fakes=corrupts_fakes,
    )  # fmt: skip
    told = gan.call(*feed, corrupts_fakes=corrupts_fakes)
    assert_told(told, expected, dtype, batch * 6)
    for layers, optimizer, player in zip((gan.g, gan.d), gan.optimizers, players, strict=True):
        assert_as_reference(layers, optimizer, player, dtype, batch * 6)


@pytest.mark.parametrize("batch", [20, 70])
def test_gan_step_in_parts_and_threads(isa, threads, batch):
    """The same bits in calls of one step, whoever runs their panels."""

    def run(sizes=(2,)):
        gan, feed = Gan("float32"), Gan("float32").fed(2, 2, batch)
        at = 0
        for size in sizes:
            parts = [x[at : at + size] for x in feed[:2]]
            parts += [x.reshape(2, 3, -1, 2)[at : at + size].reshape(3 * size, -1, 2)
                      for x in feed[2:]]  # fmt: skip
            gan.call(*parts)
            for optimizer, updates in zip(gan.optimizers, (1, 2), strict=True):
                optimizer["iterations"] += size * updates
            at += size
        return gan.arrays()

    on_every_thread_count(threads, run)
    for one, two in zip(run(), run((1, 1)), strict=True):
        assert_same_bits(one, two)


@dtypes
@pytest.mark.parametrize("rows", [(7, 17), (33, 64)], ids=str)
def test_discriminator_update(isa, dtype, rows):
    """Real rows have the first numbers, fake ones the next."""
    gan, seeds = Gan(dtype), seeds_of(1, 2)
    real, fake = (np.abs(drawn(dtype, n, PIXELS)) for n in rows)
    player = Player(gan.d, gan.optimizers[1])
    expected = discriminator_update(player, real, fake, seeds=seeds[0])
    told = core.discriminator_update(gan.d, gan.optimizers[1], real, fake, corruption=seeds)
    assert_told(told, expected, dtype, sum(rows))
    assert_as_reference(gan.d, gan.optimizers[1], player, dtype, sum(rows))


def autoencoder(dtype, variational):
    """Noise on the images, dropout before the codings and in the decoder; its log variance."""
    layers = layers_of(
        dtype, (PIXELS, 9, CODINGS, 9, PIXELS), ("selu", "linear", "selu", "sigmoid")
    )
    layers = with_corruptions(layers, NOISE, DROPOUT, None, DROPOUT)
    if not variational:
        return layers, None
    head = layers_of(dtype, (9, CODINGS), ("linear",), key=7)[0]
    return [*layers[:2], head, *layers[2:]], 2


@dtypes
@pytest.mark.parametrize("variational", [False, True])
@pytest.mark.parametrize("batch", [5, 20, 64])
def test_autoencoder_step(isa, dtype, variational, batch):
    layers, log_variance = autoencoder(dtype, variational)
    optimizer, rng = optimizer_of(layers), np.random.default_rng(batch)
    images = rng.integers(0, 256, (30, PIXELS)).astype("uint8")
    given = {
        "rows": rng.integers(0, 30, (2, batch)),
        "seeds": rng.integers(-(2**63), 2**63 - 1, (2, 2)),
        "corruption": seeds_of(2, 3),
    }
    reference = Autoencoder(layers, optimizer, log_variance)
    expected = reference.steps(images, dtype=dtype, **given)
    told = core.autoencoder_step(layers, optimizer, images, log_variance=log_variance, **given)
    assert_told(told, expected, dtype, 2 * batch * PIXELS)
    assert_as_reference(layers, optimizer, reference, dtype, 2 * batch)


def refusals():
    kernel, dropped = np.ones([3, 3], "f4"), ("dropout", 0.5)
    return {
        "slope of layer 0 must be in": [(kernel, None, ("leaky_relu", 1.5))],
        "an activation with its slope must be a pair": [(kernel, None, ("leaky_relu", "0.1"))],
        "activation must be one of": [(kernel, None, ("leaky", 0.1))],
        "layer 0 must leave its inputs": [(kernel, None, "relu", False, ("dropout", 1.5))],
        "layer 1 must leave its inputs": [(kernel, None, "relu")] * 1
        + [(kernel, None, "relu", False, ("gaussian", float("nan")))],
        "a corruption must be a pair": [(kernel, None, "relu", False, 0.5)],
        "a corruption must be dropout or gaussian": [(kernel, None, "relu", False, ("drop", 0.5))],
        "seeds must be integers of shape": [(kernel, None, "relu", False, dropped)],
        "a layer must be a tuple": [(kernel, None, "relu", False, dropped, None, 1)],
    }


@pytest.mark.parametrize("rule", refusals())
def test_refusals(rule):
    seeds = np.zeros([2, 1, 2], "int64") if rule.startswith("seeds") else None
    with pytest.raises(ValueError, match=f"^mlp_forward: .*{rule}.*Received: "):
        core.mlp_forward(np.ones([2, 3], "f4"), refusals()[rule], seeds=seeds)


def test_a_second_head_has_what_the_first_has():
    layers, _ = autoencoder("float32", True)
    layers[2] = (*layer_of(*layers[2])[:4], DROPOUT)
    with pytest.raises(ValueError, match="layer 2 must leave .*a log variance has what the mean"):
        core.autoencoder_step(
            layers, optimizer_of(layers), np.zeros([1, PIXELS], "uint8"), [[0]], log_variance=2,
            seeds=[[1, 1]],
        )  # fmt: skip
