"""Steps of a GAN's two networks against the same in float64."""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, poisoned
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
    optimizer_of,
)
from tests.core.mlp_reference import Player, gan_step
from tests.cuda import networks
from tests.cuda.memory import KernelError
from tests.cuda.modes import MODES, modes, run_by

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
NUMBER = 50


class Gan:
    """Both networks with their optimizers, images, and what a call is fed with."""

    def __init__(self, dtype, rules=("adam", "adam"), images="uint8", networks=None, **options):
        self.dtype = dtype
        self.networks = networks or (generator(dtype), discriminator(dtype))
        self.optimizers = [
            optimizer_of(layers, rule, **options)
            for layers, rule in zip(self.networks, rules, strict=True)
        ]
        kernel, *_, transposed = (*self.networks[1][0], False, False)[:4]
        cols = kernel.shape[1 if transposed else 0]
        rng = np.random.default_rng(cols)
        self.images = rng.integers(0, 256, (NUMBER, cols)).astype("uint8")
        if images != "uint8":
            self.images = (self.images / 255).astype(images)

    def feed(self, steps, n_critic=1, batch=5, first=0):
        """Rows and seeds of `steps` steps from `first` on, which depend on the step alone."""
        rows = np.zeros([steps, n_critic, batch], "int64")
        seeds = np.zeros([steps, n_critic + 1, 2], "int64")
        for step in range(steps):
            rng = np.random.default_rng([first + step, n_critic, batch])
            rows[step] = rng.integers(0, NUMBER, rows[step].shape)
            seeds[step] = rng.integers(-(2**63), 2**63 - 1, seeds[step].shape)
        return rows, seeds

    def run(self, cuda, rows, seeds, targets=None, d_rates=None, g_rates=None, drawn=(None, None),
            corrupts_fakes=True, precision=0):  # fmt: skip
        """The telemetry by name; all arrays are as the kernel left them."""
        steps, n_critic, _ = rows.shape
        told, self.done = poisoned((steps, len(networks.GAN)), "float64"), np.full([2], -1, "int64")
        rates = [
            np.full(shape, o["learning_rate"]) if given is None else np.float64(given)
            for given, o, shape in zip(
                (g_rates, d_rates), self.optimizers, ([steps], [steps, n_critic]), strict=True
            )
        ]
        feed = {
            "sizes": rows.shape, "rows": rows, "seeds": seeds, "targets": targets,
            "generator_rates": rates[0], "discriminator_rates": rates[1],
            "corrupts_fakes": int(corrupts_fakes),
        }  # fmt: skip
        players = [*zip(self.networks, self.optimizers, drawn, strict=True)]
        told, self.done, states = cuda.run(
            networks.gan_step, players, self.images, feed, told, self.done, precision
        )
        for layers, optimizer, state in zip(self.networks, self.optimizers, states, strict=True):
            for x, now in zip(networks.arrays_of(layers, optimizer), state, strict=True):
                x[...] = now
        self.optimizers[1]["iterations"] += int(self.done[0])
        self.optimizers[0]["iterations"] += int(self.done[1])
        return dict(zip(networks.GAN, told.T, strict=True))

    def compare(self, cuda, rows, seeds, n, targets=None, d_rates=None, g_rates=None,
                drawn=(None, None), corrupts_fakes=True):  # fmt: skip
        players = [Player(*each) for each in zip(self.networks, self.optimizers, strict=True)]
        expected = gan_step(
            *players, self.images, rows, seeds, targets, d_rates, g_rates, self.dtype,
            drawn[1], drawn[0], corrupts_fakes,
        )  # fmt: skip
        told = self.run(cuda, rows, seeds, targets, d_rates, g_rates, drawn, corrupts_fakes)
        assert tuple(self.done) == (rows.shape[0] * rows.shape[1], rows.shape[0])
        assert_told(told, expected, self.dtype, n)
        for layers, optimizer, player in zip(self.networks, self.optimizers, players, strict=True):
            assert_as_reference(layers, optimizer, player, self.dtype, n)

    def arrays(self):
        both = zip(self.networks, self.optimizers, strict=True)
        return [x for each in both for x in arrays_of(*each)]

    def copies(self):
        return [copies(*each) for each in zip(self.networks, self.optimizers, strict=True)]

    def assert_unchanged(self, before, which=(0, 1)):
        for i in which:
            assert_unchanged(self.networks[i], self.optimizers[i], before[i])


def assert_same(one, other):
    for a, b in zip(one.arrays(), other.arrays(), strict=True):
        assert_same_bits(a, b)


@dtypes
@pytest.mark.parametrize("batch", [1, 7, 33])
def test_one_step(cuda, dtype, batch):
    gan = Gan(dtype)
    gan.compare(cuda, *gan.feed(1, 1, batch), batch)


@dtypes
@pytest.mark.parametrize("rules", [("sgd", "nesterov"), ("rmsprop", "adam"), ("nadam", "amsgrad")])
def test_three_steps(cuda, dtype, rules):
    gan = Gan(dtype, rules, dtype)
    gan.compare(cuda, *gan.feed(3), 5 * 3)
    gan.compare(cuda, *gan.feed(1, first=3), 5)


def test_five_steps_of_float64(cuda):
    """No float32 hides in it."""
    gan = Gan("float64", ("adam", "rmsprop"), "float64")
    players = [Player(*each) for each in zip(gan.networks, gan.optimizers, strict=True)]
    rows, seeds = gan.feed(5)
    gan_step(*players, gan.images, rows, seeds, dtype="float64")
    gan.run(cuda, rows, seeds)
    for layers, player in zip(gan.networks, players, strict=True):
        for w, exact in zip(networks.variables_of(layers), player.variables, strict=True):
            np.testing.assert_allclose(w, exact, rtol=1e-11, atol=1e-12)


@dtypes
def test_three_updates_of_the_discriminator_a_step(cuda, dtype):
    gan, rng = Gan(dtype), np.random.default_rng(8)
    targets = rng.random([2, 3, 2, 5]).astype(dtype)
    rates = rng.random([2, 3]) / 64, rng.random([2]) / 64
    gan.compare(cuda, *gan.feed(2, 3), 5 * 6, targets, *rates)


@pytest.mark.parametrize("clip", ["value", "norm", "global_norm"])
def test_clipping_and_decay(cuda, clip):
    gan = Gan("float32", clip=clip, clip_at=0.0625, weight_decay=0.125)
    gan.compare(cuda, *gan.feed(2), 5 * 2)


def test_tied_layers(cuda):
    """A generator with a kernel thrice, once turned."""
    first = layers_of("float32", (5, 9), ("tanh",))[0]
    second = layers_of("float32", (9, IMAGES), ("selu",))[0]
    back = (second[0], np.zeros([9], "float32"), "silu", True)
    g = [first, second, back, (second[0], None, "sigmoid")]
    gan = Gan("float32", networks=(g, discriminator("float32")))
    gan.compare(cuda, *gan.feed(2), 5 * 2)


@pytest.mark.parametrize("layers", [1, 2, 4])
def test_depths(cuda, layers):
    """A discriminator that is a logit alone; deeper ones, with kernels turned, and no bias."""
    g = layers_of("float32", (3, *(8,) * (layers - 1), 14), ("tanh",) * layers)
    d = layers_of("float32", (14, *(6,) * (layers - 1), 1), ("silu",) * (layers - 1) + ("linear",))
    d = [(np.ascontiguousarray(d[0][0].T), None, d[0][2], True), *d[1:]]
    gan = Gan("float32", networks=(g, d))
    gan.compare(cuda, *gan.feed(2, 2, 4), 5 * 2)


def test_the_sizes_of_the_book(cuda):
    gan = Gan(
        "float32",
        ("rmsprop", "rmsprop"),
        networks=(
            layers_of("float32", (30, 100, 150, 784), ("selu", "selu", "sigmoid")),
            layers_of("float32", (784, 150, 100, 1), ("selu", "selu", "sigmoid")),
        ),
    )
    gan.compare(cuda, *gan.feed(1, 1, 4), 32)


@dtypes
@pytest.mark.parametrize("corrupts_fakes", [True, False])
def test_corruption(cuda, dtype, corrupts_fakes):
    g = [(*layer, False, ("gaussian", 0.5)) for layer in generator(dtype)]
    d = [(*layer, False, ("dropout", 0.3)) for layer in discriminator(dtype)]
    gan, rng = Gan(dtype, networks=(g, d)), np.random.default_rng(5)
    drawn = [rng.integers(-(2**63), 2**63 - 1, (2 * 3, 2, 2)) for _ in range(2)]
    gan.compare(
        cuda, *gan.feed(2, 2), 5 * 4, drawn=drawn, corrupts_fakes=corrupts_fakes
    )  # fmt: skip


@dtypes
@modes
def test_many_steps_in_a_call_are_as_many_calls(cuda, dtype, mode):
    """By one way or the other, on another number of blocks each time: the same bits."""
    together, apart = (Gan(dtype, ("adam", "nadam")) for _ in range(2))
    told = together.run(cuda, *together.feed(3, 2))
    with run_by(cuda, mode):
        each = [apart.run(cuda, *apart.feed(1, 2, first=step)) for step in range(3)]
    assert_same(together, apart)
    for name, values in told.items():
        assert_same_bits(values, np.concatenate([x[name] for x in each]))


@modes
def test_iterations_on_the_device(cuda, mode):
    """As those of the host, and counted there: of steps that stop, as many as were made."""
    here, there = (Gan("float32", ("adam", "nadam"), "float32") for _ in range(2))
    for gan in (here, there):
        gan.optimizers[0]["iterations"], gan.optimizers[1]["iterations"] = 4, 9
    counts = [np.array([4]), np.array([9])]
    for optimizer, count in zip(there.optimizers, counts, strict=True):
        optimizer |= {"iterations": -(10**6), "device_iterations": count}
    rows, seeds = here.feed(3, 2)
    for gan in (here, there):
        with run_by(cuda, mode):
            gan.run(cuda, rows, seeds)
            gan.images[rows[1, 1, 0]] = np.nan  # the step's second update has this row
            gan.run(cuda, rows, seeds)
    assert_same(here, there)
    assert [o["iterations"] for o in here.optimizers] == [int(n[0]) for n in counts]
    assert counts[1][0] < 9 + 12 and counts[0][0] < 4 + 6


def test_a_graph_of_steps_gives_the_bits_of_one_kernel(cuda):
    results = []
    for mode in MODES:
        gan = Gan("float32", clip="norm", clip_at=0.0625)
        with run_by(cuda, mode):
            told = gan.run(cuda, *gan.feed(3, 2, 7))
        assert tuple(gan.done) == (6, 3)
        results.append([*gan.arrays(), *told.values()])
    for one, other in zip(*results, strict=True):
        assert_same_bits(one, other)


def test_no_steps(cuda):
    gan = Gan("float32")
    before = gan.copies()
    told = gan.run(cuda, *gan.feed(0))
    assert tuple(gan.done) == (0, 0) and all(values.shape == (0,) for values in told.values())
    gan.assert_unchanged(before)


@modes
@pytest.mark.parametrize("n_critic", [1, 2])
@pytest.mark.parametrize("how", ["nan", "no such row"])
def test_a_loss_of_the_discriminator_that_is_not_finite(cuda, mode, n_critic, how):
    """What came before stands, and nothing else; done and telemetry tell which phase it was."""
    gan, healthy = Gan("float32", images="float32"), Gan("float32", images="float32")
    rows, seeds = gan.feed(3, n_critic)
    gan.images[7] = np.nan
    rows[rows == 7] = 8
    rows[1, -1, 3] = 7 if how == "nan" else NUMBER
    with run_by(cuda, mode):
        told = gan.run(cuda, rows, seeds)
    assert tuple(gan.done) == (2 * n_critic - 1, 1)
    losses = told["discriminator_loss"]
    assert np.isfinite(losses[0]) and np.isnan(losses[1]) and losses[2] == 0
    healthy.run(cuda, rows[:1], seeds[:1])
    gan.assert_unchanged(healthy.copies(), [0] if n_critic == 2 else [0, 1])
    assert all(np.all(np.isfinite(x)) for x in gan.arrays())


@modes
@pytest.mark.parametrize("rule", ["sgd", "adam"])
def test_a_loss_of_the_generator_that_is_not_finite(cuda, mode, rule):
    """The discriminator's update stands."""
    gan = Gan("float32", (rule, rule))
    before = gan.copies()
    with run_by(cuda, mode):
        told = gan.run(cuda, *gan.feed(2), d_rates=[[np.inf], [1.0]])
    assert tuple(gan.done) == (1, 0)
    assert not np.isfinite(told["generator_loss"][0]) and np.isfinite(told["discriminator_loss"][0])
    gan.assert_unchanged(before, [0])


@pytest.mark.parametrize("still", [0, 1])
def test_a_phase_moves_its_own_network_alone(cuda, still):
    """With a rate of 0, one network and its weights stay, whatever the other does."""
    gan = Gan("float32", ("sgd", "sgd"))
    before = gan.copies()
    rates = {"g_rates": [0.0] * 2} if still == 0 else {"d_rates": [[0.0]] * 2}
    gan.run(cuda, *gan.feed(2), **rates)
    gan.assert_unchanged(before, [still])
    moved = copies(gan.networks[1 - still], gan.optimizers[1 - still])
    assert all(np.any(x != y) for x, y in zip(moved, before[1 - still], strict=True))


def test_refusals(cuda):
    gan = Gan("float32")
    gan.networks[0].pop()
    gan.optimizers[0] = optimizer_of(gan.networks[0])
    with pytest.raises(KernelError, match="gan_step: .*must take what the generator makes"):
        gan.run(cuda, *gan.feed(1))
    for option in ({"ema_momentum": 0.5}, {"accumulation_steps": 2}):
        gan = Gan("float32")
        gan.optimizers[1] |= option
        with pytest.raises(KernelError, match="on a GPU the optimizer must keep no average|no acc"):
            gan.run(cuda, *gan.feed(1))
