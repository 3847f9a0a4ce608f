"""A discriminator's step on real and fake rows against the same in float64."""

import numpy as np
import pytest

from tests.core import optimizer_reference
from tests.core.cases import assert_same_bits, core
from tests.core.dense_networks import (
    IMAGES,
    arrays_of,
    assert_as_reference,
    assert_told,
    assert_unchanged,
    copies,
    discriminator,
    layers_of,
    on_every_thread_count,
    optimizer_of,
)
from tests.core.mlp_reference import Player, discriminator_update

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
OPTIONS = {
    "value": {"clip": "value", "clip_at": 0.0625},
    "norm": {"clip": "norm", "clip_at": 0.0625},
    "global_norm": {"clip": "global_norm", "clip_at": 0.0625},
    "decay": {"weight_decay": 0.125},
    "average": {"ema_momentum": 0.75},
    "overwrite": {"ema_momentum": 0.75, "ema_overwrite_frequency": 2},
    "accumulate": {"accumulation_steps": 2},
    "all": {
        "clip": "global_norm", "clip_at": 0.0625, "weight_decay": 0.125, "ema_momentum": 0.75,
        "ema_overwrite_frequency": 2, "accumulation_steps": 2,
    },
}  # fmt: skip


def pixels(dtype, rows, key=0, cols=IMAGES):
    rng = np.random.default_rng([rows, key])
    if dtype == "uint8":
        return rng.integers(0, 256, (rows, cols)).astype(dtype)
    return rng.random((rows, cols)).astype(dtype)


def compare(layers, optimizer, batches, dtype, n):
    """A step for each (real, fake, targets), each from where the kernel stands."""
    for batch in batches:
        player = Player(layers, optimizer)
        expected = discriminator_update(player, *batch)
        told = core.discriminator_update(layers, optimizer, *batch)
        assert_told(told, expected, dtype, n)
        assert_as_reference(layers, optimizer, player, dtype, n)
        optimizer["iterations"] += 1


@dtypes
@pytest.mark.parametrize("rows", [(1, 1), (7, 17), (33, 32), (64, 65), (130, 5)], ids=str)
def test_batches_of_any_sizes(isa, dtype, rows):
    layers = discriminator(dtype)
    batch = pixels(dtype, rows[0]), pixels(dtype, rows[1], 1)
    compare(layers, optimizer_of(layers), [batch], dtype, sum(rows))


@dtypes
@pytest.mark.parametrize("rows", [5, 40])
def test_images_of_bytes(isa, dtype, rows):
    layers = discriminator(dtype)
    batches = [(pixels("uint8", rows), pixels(dtype, rows)), (pixels(dtype, 9), pixels("uint8", 3))]
    compare(layers, optimizer_of(layers), batches, dtype, 2 * rows)


@dtypes
def test_targets(isa, dtype):
    layers = discriminator(dtype)
    smooth = np.repeat([0.875, 0.0625], [20, 10]).astype(dtype)
    noisy = np.random.default_rng(3).random(30).astype(dtype)
    batches = [(pixels(dtype, 20), pixels(dtype, 10), t) for t in (smooth, noisy)]
    compare(layers, optimizer_of(layers), batches, dtype, 30)
    other = discriminator(dtype)
    core.discriminator_update(other, optimizer_of(other), *batches[0][:2])
    assert np.any(other[0][0] != layers[0][0])


def test_targets_of_one_and_zero_are_the_default(isa):
    one, two = discriminator("float32"), discriminator("float32")
    batch = pixels("float32", 33), pixels("float32", 17)
    targets = np.repeat(np.float32([1, 0]), [33, 17])
    told = core.discriminator_update(one, optimizer_of(one), *batch)
    assert told == core.discriminator_update(two, optimizer_of(two), *batch, targets)
    assert_unchanged(one, optimizer_of(one, "sgd"), copies(two, optimizer_of(two, "sgd")))


@dtypes
@pytest.mark.parametrize("rule", optimizer_reference.RULES)
def test_every_rule(dtype, rule):
    """Three steps: later ones have a state."""
    layers = discriminator(dtype)
    batches = [(pixels(dtype, 20, key), pixels(dtype, 20, key + 5)) for key in range(3)]
    compare(layers, optimizer_of(layers, rule), batches, dtype, 40)


@dtypes
@pytest.mark.parametrize("rule", ["sgd_momentum", "rmsprop", "adam", "nadam"])
@pytest.mark.parametrize("option", OPTIONS)
def test_what_goes_around_a_rule(dtype, rule, option):
    layers = discriminator(dtype)
    batches = [(pixels(dtype, 20, key), pixels(dtype, 20, key + 5)) for key in range(3)]
    compare(layers, optimizer_of(layers, rule, **OPTIONS[option]), batches, dtype, 40)


@pytest.mark.parametrize("option", ["value", "global_norm", "all"])
def test_options_on_every_isa(isa, option):
    layers = discriminator("float32")
    batches = [(pixels("float32", 20, key), pixels("float32", 9, key + 5)) for key in range(2)]
    compare(layers, optimizer_of(layers, **OPTIONS[option]), batches, "float32", 40)


def test_the_end_may_be_a_logit(isa):
    """A sigmoid at the end belongs to the loss: the same without it."""
    told, states = [], []
    for end in ("sigmoid", "linear"):
        layers = discriminator("float32")
        layers[-1] = (*layers[-1][:2], end)
        optimizer = optimizer_of(layers)
        told.append(
            core.discriminator_update(layers, optimizer, pixels("uint8", 9), pixels("uint8", 9, 1))
        )
        states.append(copies(layers, optimizer))
    assert told[0] == told[1]
    for a, b in zip(*states, strict=True):
        assert_same_bits(a, b)


def test_tied_layers_are_updated_once(isa):
    first, last = layers_of("float32", (IMAGES, 9, 1), ("selu", "linear"))
    back = (first[0], np.zeros([IMAGES], "float32"), "tanh", True)
    again = (first[0], np.zeros([9], "float32"), "elu")
    layers = [first, back, again, last]
    batches = [(pixels("uint8", 20, key), pixels("uint8", 30, key)) for key in range(2)]
    for options in ({}, OPTIONS["global_norm"]):
        optimizer = optimizer_of(layers, **options)
        assert len(optimizer["slots"][0]) == 6  # two kernels, four biases
        compare(layers, optimizer, batches, "float32", 50)


def test_the_sizes_of_the_book(isa):
    layers = layers_of("float32", (784, 150, 100, 1), ("selu", "selu", "sigmoid"))
    batch = pixels("uint8", 32, 0, 784), pixels("float32", 32, 1, 784)
    compare(layers, optimizer_of(layers, "rmsprop"), [batch], "float32", 64)


@dtypes
@pytest.mark.parametrize("option", [{}, OPTIONS["global_norm"]], ids=["plain", "global_norm"])
def test_threads_do_not_change_a_bit(isa, threads, dtype, option):
    for rows in ((40, 33), (130, 64)):

        def run(rows=rows):
            layers = layers_of(dtype, (IMAGES, 33, 70, 1), ("selu", "silu", "sigmoid"))
            optimizer = optimizer_of(layers, **option)
            batch = pixels("uint8", rows[0]), pixels(dtype, rows[1])
            told = core.discriminator_update(layers, optimizer, *batch)
            return [*arrays_of(layers, optimizer), *told.values()]

        on_every_thread_count(threads, run)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("rule", ["sgd", "adam", "nadam"])
@pytest.mark.parametrize("option", [{}, OPTIONS["all"]], ids=["plain", "all"])
def test_a_loss_that_is_not_finite_updates_nothing(bad, rule, option):
    layers = discriminator("float32")
    optimizer = optimizer_of(layers, rule, **option)
    real, fake = pixels("float32", 20), pixels("float32", 20, 1)
    core.discriminator_update(layers, optimizer, real, fake)
    optimizer["iterations"] += 1
    before = copies(layers, optimizer)
    for images, row in ((real, 0), (real, 19), (fake, 7)):
        was, images[row, 3] = images[row, 3], bad
        with pytest.raises(ValueError, match="^discriminator_update: the loss is not finite"):
            core.discriminator_update(layers, optimizer, real, fake)
        assert_unchanged(layers, optimizer, before)
        images[row, 3] = was
    core.discriminator_update(layers, optimizer, real, fake)


def refusals():
    layers = discriminator("float32")
    (kernel, bias, name), last = layers
    frozen = kernel.copy()
    frozen.flags.writeable = False
    real, sgd = pixels("float32", 4), optimizer_of(layers, "sgd")
    adam = optimizer_of(layers)
    good = {"layers": layers, "optimizer": sgd, "real": real, "fake": real}
    wrong = {
        "C-contiguous and writeable.*read-only": {"layers": [(frozen, bias, name), last]},
        "C-contiguous and writeable.*non-cont": {
            "layers": [(np.asfortranarray(kernel), bias, name), last]
        },
        "must end in one unit, linear or sigmoid.*9 units": {"layers": layers[:1]},
        "must end in one unit, linear or sigmoid.*1 units": {
            "layers": [layers[0], (*last[:2], "tanh")]
        },
        r"real must have shape \[rows, 12\]": {"real": real[:, :5]},
        "fake must have the dtype": {"fake": np.float64(real)},
        "there must be real and fake rows": {"fake": real[:0]},
        "a number for each row": {"targets": np.ones([4], "float32")},
        "targets must have the dtype": {"targets": np.ones([8])},
        "there must be a rule": {"optimizer": {"iterations": 0, "learning_rate": 1.0}},
        "rule must be one of": {"optimizer": sgd | {"rule": "adagrad"}},
        "options must be among.*'beta_1'": {"optimizer": sgd | {"beta_1": 0.5}},
        "learning_rate must be a number": {"optimizer": sgd | {"learning_rate": "fast"}},
        "no slot 0": {"optimizer": sgd | {"rule": "adam"}},
        "no slot 1": {
            "optimizer": adam | {"slots": adam["slots"][:1], "slot_places": (0,)},
        },
        "no slot 2": {"optimizer": adam | {"variation": True}},
        "expected 4 slots of a kind. Received: 3": {
            "optimizer": adam | {"slots": [adam["slots"][0][:3], adam["slots"][1]]}
        },
        "Nadam needs a u_product": {"optimizer": adam | {"rule": "nadam"}},
        "tensor 0 has no accumulator": {"optimizer": sgd | {"accumulation_steps": 2}},
        "loss has no scale": {"optimizer": sgd | {"loss_scale": 2.0}},
    }
    return {rule: (good, change) for rule, change in wrong.items()}


@pytest.mark.parametrize("rule", refusals())
def test_refusals(rule):
    good, change = refusals()[rule]
    before = copies(good["layers"], good["optimizer"])
    with pytest.raises(ValueError, match=f"^discriminator_update: .*{rule}"):
        core.discriminator_update(**good | change)
    assert_unchanged(good["layers"], good["optimizer"], before)
