"""Many rows on tensor cores (csrc/mlp/wide_product.cuh) against float64 of factors of 11 bits."""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, assert_within, poisoned, unit
from tests.core.dense_networks import arrays_of, discriminator, layers_of, optimizer_of
from tests.cuda import networks
from tests.cuda.cases import shifted
from tests.cuda.test_gan_step import Gan

TF32 = 1
TILE, LEAST, MOST_COLS = 128, 48, 112  # rows of a tile; tiles, from which on they are wide


def rounded(x):
    """To the nearest of 11 significant bits, in float64."""
    bits = np.ascontiguousarray(x, "float32").view(np.uint32) + np.uint32(0x1000)
    return np.float64((bits & ~np.uint32(0x1FFF)).view(np.float32))


def assert_product(found, a, b, more=0):
    """The product of factors that are rounded, within the error of float32's sums."""
    size = np.abs(rounded(a)) @ np.abs(rounded(b)) + np.abs(np.float64(more))
    error = unit("float32") * (a.shape[1] + 4) * size
    assert_within(found, rounded(a) @ rounded(b) + np.float64(more), error, "float32")
    exact = np.float64(a) @ np.float64(b) + more
    assert np.linalg.norm(found - exact) > 1e-5 * np.linalg.norm(exact)


def forward(cuda, layers, x):
    kernel, *_, transposed = (*layers[-1], False, False)[:4]
    y = poisoned((len(x), kernel.shape[0 if transposed else 1]), "float32")
    return cuda.run(networks.forward, layers, x, y, None, TF32)


def grad(cuda, layers, x, d_y):
    wanted = [poisoned(w.shape, "float32") for layer in layers for w in layer[:2] if w is not None]
    d_x = poisoned(x.shape, "float32")
    return cuda.run(networks.grad, layers, x, d_y, d_x, wanted, None, TF32)


def draw(*shapes):
    rng = np.random.default_rng(len(shapes))
    return [rng.standard_normal(shape).astype("float32") for shape in shapes]


# Rows, inputs and units: a panel and a part of one, in 16 bytes each; a kernel that words alone may
# be read of, as it lies or for its sizes; several slices of columns.
CASES = [
    (LEAST * TILE - 5, 20, 12, False, False),
    (LEAST * TILE - 5, 20, 12, True, False),
    (LEAST * TILE - 5, 20, 11, True, True),
    pytest.param(LEAST * TILE - 5, 20, 24, False, True, marks=pytest.mark.slow),
    pytest.param(LEAST // 2 * TILE - 5, 132, 150, False, False, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(
    ("rows", "inputs", "units", "transposed", "moved"), CASES, ids=lambda x: str(x)
)
def test_a_layer(cuda, rows, inputs, units, transposed, moved):
    x, d_y, kernel, bias = draw([rows, inputs], [rows, units], [inputs, units], [units])
    stored = np.ascontiguousarray(kernel.T) if transposed else kernel
    layer = (shifted(stored) if moved else stored, bias, "linear", transposed)
    assert_product(forward(cuda, [layer], x), x, kernel, bias)
    d_x, d_kernel, d_bias = grad(cuda, [layer], x, d_y)
    assert_product(d_x, d_y, kernel.T)
    assert_product(d_kernel.T if transposed else d_kernel, x.T, d_y)
    exact = np.sum(d_y, 0, "float64")
    error = unit("float32") * rows * np.sum(np.abs(d_y), 0, "float64")
    assert_within(d_bias, exact, error, "float32")


@pytest.mark.parametrize("rows", [1030, pytest.param(LEAST * TILE - 5, marks=pytest.mark.slow)])
def test_layers_upon_layers(cuda, rows):
    """Hidden rows come from memory; a kernel of several layers has the sum of their gradients."""
    width = 12
    first, second = layers_of("float32", (width, 21, width), ("tanh", "sigmoid"))
    first[0][...] /= 4
    layers = [first, (first[0], second[1], "selu", True), (first[0], None, "linear")]
    x, d_y = draw([rows, width], [rows, 21])
    strict = cuda.run(networks.forward, layers, x, poisoned(d_y.shape, "float32"))
    wanted = [poisoned(w.shape, "float32") for w in (first[0], first[1], second[1])]
    given = layers, x, d_y, poisoned(x.shape, "float32"), wanted, None
    pairs = [(forward(cuda, layers, x), strict)]
    pairs += zip(
        cuda.run(networks.grad, *given, TF32), cuda.run(networks.grad, *given), strict=True
    )
    for ours, exact in pairs:
        assert np.linalg.norm(ours - exact) < 1e-3 * np.linalg.norm(exact)


def test_the_same_bits_again(cuda):
    """Threads run in another order each time."""
    layers = layers_of("float32", (20, 16, 12), ("tanh", "linear"))
    x, d_y = draw([1100, 20], [1100, 12])
    first = grad(cuda, layers, x, d_y)
    for a, b in zip(first, grad(cuda, layers, x, d_y), strict=True):
        assert_same_bits(a, b)


def test_a_row_that_is_not_finite_stays_alone(cuda):
    (layer,) = layers_of("float32", (20, 24), ("linear",))
    (x,) = draw([LEAST * TILE, 20])
    x[200, 19] = np.nan
    y = forward(cuda, [layer], x)
    assert np.isnan(y[200]).all() and np.isfinite(np.delete(y, 200, 0)).all()


def updates(cuda, real, fake):
    layers = discriminator("float32")
    optimizer = optimizer_of(layers, "sgd", 1.0)
    told = poisoned(len(networks.DISCRIMINATOR), "float64")
    given = networks.discriminator_update, layers, optimizer, real, fake, None, None, told
    return [cuda.run(*given, precision)[1] for precision in (0, TF32)], arrays_of(layers, optimizer)


@pytest.mark.parametrize("rows", [1100, pytest.param(LEAST * TILE - 100, marks=pytest.mark.slow)])
@pytest.mark.parametrize("dtype", ["float32", "uint8"])
def test_a_discriminator_of_real_and_fake_rows(cuda, dtype, rows):
    """Bytes are read without copies; the split of rows is in the middle of a tile."""
    rng = np.random.default_rng(1)
    real = rng.integers(0, 256, (700, 12)).astype("uint8")
    real = real if dtype == "uint8" else (real / 255).astype(dtype)
    fake = rng.random((rows - 700, 12)).astype("float32")
    (strict, ours), before = updates(cuda, real, fake)
    for a, b, start in zip(strict, ours, before, strict=True):
        moved = np.linalg.norm(a - start)
        assert np.linalg.norm(a - b) < 1e-3 * moved
        assert dtype == "uint8" or a.size == 1 or np.any(a != b)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("batch", [520, pytest.param(LEAST * TILE - 5, marks=pytest.mark.slow)])
def test_rows_by_their_numbers(cuda, batch, missing):
    """Steps of a GAN whose real rows are picked; one that is not there makes the loss NaN."""
    found = []
    for precision in [TF32] if missing else [0, TF32]:
        gan = Gan("float32", ("sgd", "sgd"), images="float32", learning_rate=1.0)
        rows, seeds = gan.feed(1, 1, batch)
        if missing:
            rows[0, 0, 200] = len(gan.images)
        before = [x.copy() for x in gan.arrays()]
        told = gan.run(cuda, rows, seeds, precision=precision)
        assert np.isnan(told["discriminator_loss"][0]) == missing
        found.append(gan.arrays())
    for *strict, ours, start in zip(*found, before, strict=True):
        if missing:
            assert_same_bits(ours, start)
        else:
            assert np.linalg.norm(ours - strict) < 5e-3 * np.linalg.norm(strict - start)
