"""A discriminator's step on real and fake rows against the same in float64."""

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
    layers_of,
    optimizer_of,
    variables_of,
)
from tests.core.mlp_reference import Player, discriminator_update
from tests.core.optimizer_reference import RULES
from tests.cuda import networks
from tests.cuda.cases import shifted
from tests.cuda.memory import KernelError
from tests.cuda.modes import modes, run_by

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
OPTIONS = {
    "value": {"clip": "value", "clip_at": 0.0625},
    "norm": {"clip": "norm", "clip_at": 0.0625},
    "global_norm": {"clip": "global_norm", "clip_at": 0.0625},
    "decay": {"weight_decay": 0.125},
}


def pixels(dtype, rows, key=0, cols=IMAGES):
    rng = np.random.default_rng([rows, key])
    if dtype == "uint8":
        return rng.integers(0, 256, (rows, cols)).astype(dtype)
    return rng.random((rows, cols)).astype(dtype)


def update(cuda, layers, optimizer, real, fake, targets=None, seeds=None):
    """The telemetry by name; all arrays are as the kernel left them."""
    told = poisoned(len(networks.DISCRIMINATOR), "float64")
    told, state = cuda.run(
        networks.discriminator_update, layers, optimizer, real, fake, targets, seeds, told
    )
    for x, now in zip(arrays_of(layers, optimizer), state, strict=True):
        x[...] = now
    return dict(zip(networks.DISCRIMINATOR, told, strict=True))


def compare(cuda, layers, optimizer, batches, dtype, n):
    """A step for each (real, fake, targets), each from where the kernel stands."""
    for batch in batches:
        player = Player(layers, optimizer)
        expected = discriminator_update(player, *batch)
        assert_told(update(cuda, layers, optimizer, *batch), expected, dtype, n)
        assert_as_reference(layers, optimizer, player, dtype, n)
        optimizer["iterations"] += 1


@dtypes
@pytest.mark.parametrize("rows", [(1, 1), (7, 17), (33, 32), (260, 9)], ids=str)
def test_batches_of_any_sizes(cuda, dtype, rows):
    layers = discriminator(dtype)
    batch = pixels(dtype, rows[0]), pixels(dtype, rows[1], 1)
    compare(cuda, layers, optimizer_of(layers), [batch], dtype, sum(rows))


@pytest.mark.parametrize("clip", ["nothing", "global_norm"])
def test_gradients_of_many_rows_are_summed_in_parts(cuda, clip):
    layers = discriminator("float32")
    batch = pixels("uint8", 700), pixels("float32", 425, 1)
    optimizer = optimizer_of(layers, clip=clip, clip_at=0.0625)
    compare(cuda, layers, optimizer, [batch], "float32", 1125)


@dtypes
def test_images_of_bytes(cuda, dtype):
    """Rows that words of them divide, and rows that they do not."""
    for cols in (IMAGES, 13):
        layers = layers_of(dtype, (cols, 9, 1), ("leaky_relu", "sigmoid"))
        pairs = [("uint8", dtype), (dtype, "uint8"), ("uint8", "uint8")]
        batches = [(pixels(a, 5, 0, cols), pixels(b, 9, 1, cols)) for a, b in pairs]
        compare(cuda, layers, optimizer_of(layers), batches, dtype, 14)


@dtypes
def test_targets(cuda, dtype):
    layers = discriminator(dtype)
    smooth = np.repeat([0.875, 0.0625], [9, 5]).astype(dtype)
    noisy = np.random.default_rng(3).random(14).astype(dtype)
    batches = [(pixels(dtype, 9), pixels(dtype, 5), t) for t in (smooth, noisy)]
    compare(cuda, layers, optimizer_of(layers), batches, dtype, 14)


@dtypes
@pytest.mark.parametrize("rule", RULES)
def test_every_rule(cuda, dtype, rule):
    """Three steps: later ones have a state."""
    layers = discriminator(dtype)
    batches = [(pixels(dtype, 9, key), pixels(dtype, 9, key + 5)) for key in range(3)]
    compare(cuda, layers, optimizer_of(layers, rule), batches, dtype, 18)


@dtypes
@pytest.mark.parametrize("rule", ["sgd_momentum", "nadam"])
@pytest.mark.parametrize("option", OPTIONS)
def test_what_goes_around_a_rule(cuda, dtype, rule, option):
    layers = discriminator(dtype)
    batches = [(pixels(dtype, 9, key), pixels(dtype, 9, key + 5)) for key in range(2)]
    compare(cuda, layers, optimizer_of(layers, rule, **OPTIONS[option]), batches, dtype, 18)


@dtypes
def test_tensors_of_a_small_norm_are_not_clipped(cuda, dtype):
    layers, batch = discriminator(dtype), (pixels(dtype, 9), pixels(dtype, 5, 1))
    plain = Player(layers, optimizer_of(layers, "sgd", learning_rate=1.0))
    discriminator_update(plain, *batch)
    gradients = [w - v for w, v in zip(variables_of(layers), plain.variables, strict=True)]
    lowest, *_, highest = sorted(map(np.linalg.norm, gradients))
    assert highest > 2 * lowest
    at = np.sqrt(lowest * highest)
    optimizer = optimizer_of(layers, "sgd", learning_rate=1.0, clip="norm", clip_at=at)
    compare(cuda, layers, optimizer, [batch], dtype, 14)


@dtypes
def test_an_infinite_gradient_makes_all_nan_where_norms_are_global(cuda, dtype):
    """As in TensorFlow, whose factor is then NaN; by norms of tensors, others are updated."""
    for clip in ("global_norm", "norm"):
        layers = discriminator(dtype)
        layers[0][0][0] = 0  # the loss does not know of the first feature
        layers[1][0][...] = 64 * np.abs(layers[1][0])
        layers[1][1][...] = -200  # real rows have a loss, and slopes of one sign
        batch = pixels(dtype, 9), pixels(dtype, 5, 1)
        batch[0][:, 0], batch[1][:, 0] = np.finfo(dtype).max, 0
        optimizer = optimizer_of(layers, "sgd", clip=clip, clip_at=0.0625)
        assert np.isfinite(update(cuda, layers, optimizer, *batch)["loss"])
        left = [np.isfinite(w).all() for w in variables_of(layers)]
        assert left == [False, *[clip == "norm"] * 3]


def test_arrays_that_16_bytes_do_not_divide(cuda):
    results = []
    for place in (lambda x: x, shifted):
        layers = [
            (place(kernel), place(bias), act) for kernel, bias, act in discriminator("float32")
        ]
        batch = place(pixels("uint8", 9)), place(pixels("float32", 9, 1))
        told = update(cuda, layers, optimizer_of(layers), *batch)
        results.append([*arrays_of(layers, optimizer_of(layers, "sgd")), *told.values()])
    for one, other in zip(*results, strict=True):
        assert_same_bits(np.asarray(one), np.asarray(other))


@modes
def test_the_same_bits_again_and_either_way(cuda, mode):
    """Threads run in another order each time, on another number of blocks: see on_cpu."""
    found = set()
    for how in ("persistent", mode, mode):
        layers = discriminator("float32")
        with run_by(cuda, how):
            told = update(
                cuda, layers, optimizer_of(layers), pixels("uint8", 33), pixels("uint8", 7)
            )
        found.add(b"".join(np.asarray(x).tobytes() for x in [*layers[0][:2], *told.values()]))
    assert len(found) == 1


@modes
@pytest.mark.parametrize("where", ["real", "weights"])
def test_a_loss_that_is_not_finite(cuda, mode, where):
    """Nothing is updated, and the telemetry has the loss, and nothing else."""
    layers = discriminator("float32")
    optimizer, batch = optimizer_of(layers), (pixels("float32", 9), pixels("float32", 9, 1))
    (batch[0] if where == "real" else layers[0][0])[3, 4] = np.nan
    before = copies(layers, optimizer)
    with run_by(cuda, mode):
        told = update(cuda, layers, optimizer, *batch)
    assert np.isnan(told.pop("loss")) and set(told.values()) == {0.0}
    assert_unchanged(layers, optimizer, before)


def test_refusals(cuda):
    layers, batch = discriminator("float32"), (pixels("float32", 3), pixels("float32", 3))
    with pytest.raises(KernelError, match="discriminator_update: there must be real and fake rows"):
        update(cuda, layers, optimizer_of(layers), batch[0], batch[1][:0])
    with pytest.raises(
        KernelError, match="discriminator_update: the discriminator must end in one"
    ):
        update(cuda, layers[:1], optimizer_of(layers[:1]), *batch)
    without = optimizer_of(layers) | {"slots": [], "slot_places": []}
    with pytest.raises(KernelError, match="discriminator_update: tensor 0 has no slot 0"):
        update(cuda, layers, without, *batch)
