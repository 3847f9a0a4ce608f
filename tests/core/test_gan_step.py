"""Steps of a GAN's two networks against the same in float64."""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, core
from tests.core.dense_networks import (
    IMAGES,
    arrays_of,
    assert_as_reference,
    assert_told,
    assert_unchanged,
    copies,
    discriminator,
    generator,
    layers_of,
    on_every_thread_count,
    optimizer_of,
)
from tests.core.mlp_reference import Player, gan_step
from tests.tolerances import assert_close

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
NUMBER = 50


class Gan:
    """Both networks with their optimizers, images, and what a call is fed with."""

    def __init__(self, dtype, rules=("adam", "adam"), images="uint8", **options):
        self.dtype = dtype
        self.networks = generator(dtype), discriminator(dtype)
        self.prepare(rules, images, options)

    def prepare(self, rules, images, options):
        self.optimizers = [
            optimizer_of(layers, rule, **options)
            for layers, rule in zip(self.networks, rules, strict=True)
        ]
        cols = self.networks[1][0][0].shape[0]
        rng = np.random.default_rng(cols)
        self.images = rng.integers(0, 256, (NUMBER, cols)).astype("uint8")
        if images != "uint8":
            self.images = (self.images / 255).astype(images)

    def feed(self, steps, n_critic=1, batch=20, first=0):
        """Rows and seeds of `steps` steps from `first` on, which depend on the step alone."""
        rows = np.zeros([steps, n_critic, batch], "int64")
        seeds = np.zeros([steps, n_critic + 1, 2], "int64")
        for step in range(steps):
            rng = np.random.default_rng([first + step, n_critic, batch])
            rows[step] = rng.integers(0, NUMBER, rows[step].shape)
            seeds[step] = rng.integers(-(2**63), 2**63 - 1, seeds[step].shape)
        return rows, seeds

    def run(self, rows, seeds, **options):
        done = np.full([2], -1, "int64")
        (g, d), (of_g, of_d) = self.networks, self.optimizers
        try:
            return core.gan_step(g, of_g, d, of_d, self.images, rows, seeds, done=done, **options)
        finally:
            self.done = tuple(done)
            of_d["iterations"] += int(done[0])
            of_g["iterations"] += int(done[1])

    def compare(self, rows, seeds, n, targets=None, d_rates=None, g_rates=None):
        players = [Player(*each) for each in zip(self.networks, self.optimizers, strict=True)]
        expected = gan_step(
            *players, self.images, rows, seeds, targets, d_rates, g_rates, self.dtype
        )
        given = {"targets": targets, "discriminator_rates": d_rates, "generator_rates": g_rates}
        told = self.run(rows, seeds, **given)
        assert self.done == (rows.shape[0] * rows.shape[1], rows.shape[0])
        assert_told(told, expected, self.dtype, n)
        for layers, optimizer, player in zip(self.networks, self.optimizers, players, strict=True):
            assert_as_reference(layers, optimizer, player, self.dtype, n)

    def copies(self):
        return [copies(*each) for each in zip(self.networks, self.optimizers, strict=True)]

    def assert_unchanged(self, before, which=(0, 1)):
        for i in which:
            assert_unchanged(self.networks[i], self.optimizers[i], before[i])

    def arrays(self):
        both = zip(self.networks, self.optimizers, strict=True)
        return [x for each in both for x in arrays_of(*each)]


@dtypes
@pytest.mark.parametrize("batch", [1, 7, 33, 64, 130])
def test_one_step(isa, dtype, batch):
    gan = Gan(dtype)
    gan.compare(*gan.feed(1, 1, batch), batch)


@dtypes
@pytest.mark.parametrize("rules", [("sgd", "sgd"), ("rmsprop", "adam"), ("nadam", "rmsprop")])
def test_three_steps(isa, dtype, rules):
    gan = Gan(dtype, rules, dtype)
    gan.compare(*gan.feed(3), 20 * 3)
    gan.compare(*gan.feed(1, first=3), 20)


@dtypes
def test_two_updates_of_the_discriminator_a_step(isa, dtype):
    gan = Gan(dtype)
    gan.compare(*gan.feed(2, 2), 20 * 4)


@dtypes
def test_targets_and_rates(isa, dtype):
    gan, rng = Gan(dtype), np.random.default_rng(8)
    targets = rng.random([2, 3, 2, 20]).astype(dtype)
    gan.compare(*gan.feed(2, 3), 20 * 6, targets, rng.random([2, 3]) / 64, rng.random([2]) / 64)


def test_clipping_by_the_global_norm(isa):
    gan = Gan("float32", clip="global_norm", clip_at=0.0625, weight_decay=0.125, ema_momentum=0.75)
    gan.compare(*gan.feed(2), 20 * 2)


def test_tied_layers(isa):
    """A generator with a kernel thrice, once turned."""
    gan = Gan("float32")
    first = layers_of("float32", (5, 9), ("tanh",))[0]
    second = layers_of("float32", (9, IMAGES), ("selu",))[0]
    back = (second[0], np.zeros([9], "float32"), "silu", True)
    gan.networks = [first, second, back, (second[0], None, "sigmoid")], gan.networks[1]
    gan.prepare(("adam", "adam"), "uint8", {})
    gan.compare(*gan.feed(2), 20 * 2)


def test_the_sizes_of_the_book(isa):
    gan = Gan("float32")
    gan.networks = (
        layers_of("float32", (30, 100, 150, 784), ("selu", "selu", "sigmoid")),
        layers_of("float32", (784, 150, 100, 1), ("selu", "selu", "sigmoid")),
    )
    gan.prepare(("rmsprop", "rmsprop"), "uint8", {})
    gan.compare(*gan.feed(1, 1, 32), 32)


@dtypes
def test_the_noise_is_that_of_random_normal(isa, dtype):
    """A generator that passes its noise on: the distances of its rows are those of the noise."""
    gan = Gan(dtype)
    codings = 7
    gan.networks = (
        [(np.eye(codings, dtype=dtype), None, "linear")],
        layers_of(dtype, (codings, 1), ("linear",)),
    )
    gan.prepare(("sgd", "sgd"), "uint8", {})
    rows, seeds = gan.feed(1, 2, 20)
    told = gan.run(rows, seeds)
    noise = core.random_normal([20, codings], seeds[0, 1], dtype).astype("float64")
    apart = [np.sum((a - b) ** 2) for i, a in enumerate(noise) for b in noise[:i]]
    assert_close(told["pairwise_distance"], [np.sqrt(np.mean(apart))], dtype, codings)


@pytest.mark.parametrize("still", [0, 1])
def test_a_phase_moves_its_own_network_alone(isa, still):
    """With a rate of 0, one network and its weights stay, whatever the other does."""
    gan = Gan("float32", ("sgd", "sgd"))
    before = gan.copies()
    rates = {"generator_rates": [0.0] * 3} if still == 0 else {"discriminator_rates": [[0.0]] * 3}
    gan.run(*gan.feed(3), **rates)
    gan.assert_unchanged(before, [still])
    moved = copies(gan.networks[1 - still], gan.optimizers[1 - still])
    assert all(np.any(x != y) for x, y in zip(moved, before[1 - still], strict=True))


def test_the_first_phase_is_a_discriminator_update(isa):
    """Its weights, its state and its telemetry, bit for bit."""
    gan, alone = Gan("float32"), Gan("float32")
    rows, seeds = gan.feed(1, 1, 33)
    told = gan.run(rows, seeds)
    noise = core.random_normal([33, 5], seeds[0, 0])
    fake = core.mlp_forward(noise, alone.networks[0])
    alone_told = core.discriminator_update(
        alone.networks[1], alone.optimizers[1], alone.images[rows[0, 0]], fake
    )
    gan.assert_unchanged(alone.copies(), [1])
    assert {f"discriminator_{k}": v for k, v in alone_told.items()}.items() <= {
        k: v.item() for k, v in told.items()
    }.items()


@dtypes
def test_many_steps_in_a_call_are_as_many_calls(isa, dtype):
    together, apart = Gan(dtype, ("adam", "nadam")), Gan(dtype, ("adam", "nadam"))
    told = together.run(*together.feed(4, 2))
    each = [apart.run(*apart.feed(1, 2, first=step)) for step in range(4)]
    together.assert_unchanged(apart.copies())
    for name, values in told.items():
        assert_same_bits(values, np.concatenate([x[name] for x in each]))


@pytest.mark.parametrize("option", [{}, {"clip": "global_norm", "clip_at": 0.0625}], ids=str)
def test_threads_do_not_change_a_bit(isa, threads, option):
    for batch in (40, 130):

        def run(batch=batch):
            gan = Gan("float32", **option)
            gan.networks = (
                layers_of("float32", (15, 70, 33), ("selu", "tanh")),
                layers_of("float32", (33, 140, 1), ("selu", "sigmoid")),
            )
            gan.prepare(("adam", "adam"), "uint8", option)
            told = gan.run(*gan.feed(2, 2, batch))
            return [*gan.arrays(), *told.values()]

        on_every_thread_count(threads, run)


def test_no_steps(isa):
    gan = Gan("float32")
    before = gan.copies()
    told = gan.run(*gan.feed(0))
    assert gan.done == (0, 0) and all(values.shape == (0,) for values in told.values())
    gan.assert_unchanged(before)


@pytest.mark.parametrize("n_critic", [1, 2])
def test_a_loss_of_the_discriminator_that_is_not_finite(n_critic):
    """What came before stands, and nothing else."""
    gan, healthy = Gan("float32", images="float32"), Gan("float32", images="float32")
    rows, seeds = gan.feed(3, n_critic)
    gan.images[7] = np.nan
    rows[rows == 7], rows[1, -1, 11] = 8, 7
    message = (
        "^gan_step: the loss of the discriminator is not finite in step 1 of 3: its phase updated "
        "nothing, what came before stands$"
    )
    with pytest.raises(ValueError, match=message):
        gan.run(rows, seeds)
    assert gan.done == (2 * n_critic - 1, 1)
    healthy.run(rows[:1], seeds[:1])
    gan.assert_unchanged(healthy.copies(), [0] if n_critic == 2 else [0, 1])
    assert all(np.all(np.isfinite(x)) for x in gan.arrays())


@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_a_loss_of_the_generator_that_is_not_finite(rule):
    """The discriminator's update stands."""
    gan = Gan("float32", (rule, rule))
    before = gan.copies()
    with pytest.raises(ValueError, match="loss of the generator is not finite in step 0 of 2"):
        gan.run(*gan.feed(2), discriminator_rates=[[np.inf], [1.0]])
    assert gan.done == (1, 0)
    gan.assert_unchanged(before, [0])


def refusals():
    gan = Gan("float32")
    rows, seeds = gan.feed(2, 1, 4)
    (g, d), (of_g, of_d) = gan.networks, gan.optimizers
    outside, below = rows.copy(), rows.copy()
    outside[1, 0, 2], below[0, 0, 3] = NUMBER, -1
    good = {
        "generator": g, "generator_optimizer": of_g, "discriminator": d,
        "discriminator_optimizer": of_d, "images": gan.images, "rows": rows, "seeds": seeds,
    }  # fmt: skip
    wide = generator("float64")
    wrong = {
        r"rows must be in \[0, 50\). Received: 50": {"rows": outside},
        r"rows must be in \[0, 50\). Received: -1": {"rows": below},
        r"rows must be in \[0, 0\)": {"images": gan.images[:0]},
        "rows must be integers of shape.*Received: rows.shape=": {"rows": rows[0]},
        "rows must be integers of shape.*Received: ": {"rows": rows / 1.0},
        "seeds must be integers of shape.*Received: seeds.shape=": {"seeds": seeds[:, :1]},
        "n_critic and batch 1 or more. Received: 2, 1, 0": {"rows": rows[..., :0]},
        "n_critic and batch 1 or more. Received: 2, 0, 4": {
            "rows": rows[:, :0], "seeds": seeds[:, :1],
        },
        "takes? what the generator makes, 9 numbers": {
            "generator": g[:1], "generator_optimizer": optimizer_of(g[:1]),
        },
        "takes? what the generator makes": {
            "generator": wide, "generator_optimizer": optimizer_of(wide),
        },
        "must end in one unit": {
            "discriminator": d[:1], "discriminator_optimizer": optimizer_of(d[:1]),
        },
        "no slot 1": {
            "generator_optimizer": of_g | {"slots": of_g["slots"][:1], "slot_places": (0,)},
        },
        r"images must have shape \[rows, 12\]": {"images": gan.images[:, 1:]},
        "images must have the dtype": {"images": np.float64(gan.images)},
        r"targets must have shape \[steps": {"targets": np.ones([2, 2, 4], "float32")},
        "discriminator_rates must be": {"discriminator_rates": [0.1, 0.1]},
        "generator_rates must be": {"generator_rates": [0.1]},
        "generator_rates must be.*Received: ": {"generator_rates": "ab"},
        "out for done must be": {"done": np.zeros([3], "int64")},
    }  # fmt: skip
    return {rule: (good, change) for rule, change in wrong.items()}


@pytest.mark.parametrize("rule", refusals())
def test_refusals(rule):
    good, change = refusals()[rule]
    networks = [(good[name], good[f"{name}_optimizer"]) for name in ("generator", "discriminator")]
    before = [copies(*each) for each in networks]
    with pytest.raises(ValueError, match=f"^gan_step: .*{rule}"):
        core.gan_step(**good | change)
    for each, was in zip(networks, before, strict=True):
        assert_unchanged(*each, was)
