"""A network of dense layers and its gradients against the same in float64."""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, assert_within, poisoned, unit
from tests.core.dense_networks import layers_of, variables_of
from tests.core.mlp_reference import ACTIVATIONS, Network
from tests.cuda import networks
from tests.cuda.cases import shifted
from tests.cuda.memory import KernelError
from tests.cuda.modes import modes, run_by
from tests.tolerances import assert_close

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
# Rows, then inputs and units: one, less and more than a pack, a tile, what shared memory holds.
SHAPES = [
    (1, 1, 1, 1),
    (7, 5, 13, 1),
    (33, 3, 150, 29),
    (65, 850, 5, 7),
    (130, 150, 65, 14),
    (9, 16, 850, 16),
]


def drawn(dtype, rows, cols, key=0):
    return np.random.default_rng([7, key, rows, cols]).standard_normal((rows, cols)).astype(dtype)


def outputs_of(layers):
    kernel, *_, transposed = (*layers[-1], False, False)[:4]
    return kernel.shape[0 if transposed else 1]


def forward(cuda, layers, x, seeds=None):
    y = poisoned((len(x), outputs_of(layers)), x.dtype)
    return cuda.run(networks.forward, layers, x, y, seeds)


def grad(cuda, layers, x, d_y, seeds=None):
    """d_x and a gradient for every variable."""
    wanted = [poisoned(w.shape, w.dtype) for w in variables_of(layers)]
    found = cuda.run(networks.grad, layers, x, d_y, poisoned(x.shape, x.dtype), wanted, seeds)
    return found[0], found[1:]


def compare(cuda, layers, x, d_y, n, seeds=None):
    reference, dtype = Network(layers), x.dtype
    of_pass = None if seeds is None else seeds[0]
    exact = reference.forward(np.float64(x), seeds=of_pass)
    assert_close(forward(cuda, layers, x, seeds), exact, dtype, n)
    d_x, gradients = grad(cuda, layers, x, d_y, seeds)
    assert_close(d_x, reference.backward(np.float64(d_y)), dtype, n)
    for gradient, exact in zip(gradients, reference.gradients, strict=True):
        assert_close(gradient, exact, dtype, n)


@dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "-".join(map(str, s)))
def test_sizes(cuda, dtype, shape):
    rows, *sizes = shape
    layers = layers_of(dtype, sizes, ("tanh", "linear"), bias=rows % 2 == 1)
    x, d_y = drawn(dtype, rows, sizes[0]), drawn(dtype, rows, sizes[-1], 1)
    compare(cuda, layers, x, d_y, rows + max(sizes))


@dtypes
@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("rows", [40, 1100])
def test_within_the_stated_error(cuda, dtype, transposed, rows):
    """One layer: outputs and gradients, sums over inputs, units and rows, of these in parts too."""
    inputs, units = (150, 70) if rows < 1000 else (9, 6)
    rng = np.random.default_rng(4)
    kernel = rng.standard_normal((inputs, units)).astype(dtype)
    x, d_y = drawn(dtype, rows, inputs), drawn(dtype, rows, units)
    bias = drawn(dtype, 1, units, 2)[0]
    layer = (np.ascontiguousarray(kernel.T) if transposed else kernel, bias, "linear", transposed)
    d_x, (d_kernel, d_bias) = grad(cuda, [layer], x, d_y)
    d_kernel = d_kernel.T if transposed else d_kernel
    one = np.ones([rows, 1])
    for found, a, b, more in [
        (forward(cuda, [layer], x), x, kernel, bias),
        (d_x, d_y, kernel.T, 0),
        (d_kernel, x.T, d_y, 0),
        (d_bias[None], one.T, d_y, 0),
    ]:
        a, b, more = (np.asarray(value, "float64") for value in (a, b, more))
        size = np.abs(a) @ np.abs(b) + np.abs(more)
        assert_within(found, a @ b + more, unit(dtype) * (a.shape[1] + 4) * size, dtype)


@pytest.mark.parametrize("activation", [*ACTIVATIONS, ("leaky_relu", 0.01)], ids=str)
def test_activations(cuda, activation):
    """Each in the middle and at the end."""
    for dtype in ("float32", "float64"):
        layers = layers_of(dtype, (6, 21, 17), (activation, activation))
        x, d_y = 3 * drawn(dtype, 15, 6), drawn(dtype, 15, 17)
        compare(cuda, layers, x, d_y, 15 + 21)


def autoencoder(dtype, inputs=37, units=15, codings=5):
    """A stack whose second half is tied to its first; the last kernel is read both ways."""
    first, second = layers_of(dtype, (inputs, units, codings), ("selu", "silu"))
    rng = np.random.default_rng(inputs)
    biases = [rng.standard_normal(n).astype(dtype) for n in (units, inputs)]
    return [first, second, (second[0], biases[0], "elu", True), (first[0], biases[1], "tanh", True)]


@dtypes
@pytest.mark.parametrize("rows", [9, pytest.param(1030, marks=pytest.mark.slow)])
def test_tied_layers(cuda, dtype, rows):
    """A kernel of two layers has the sum of both gradients."""
    layers = autoencoder(dtype)
    compare(cuda, layers, drawn(dtype, rows, 37), drawn(dtype, rows, 37, 1), rows + 37)


def test_a_kernel_thrice(cuda):
    square = layers_of("float32", (14, 14), ("tanh",))[0]
    layers = [square, (square[0], None, "sigmoid"), (square[0], None, "linear", True)]
    compare(cuda, layers, drawn("float32", 20, 14), drawn("float32", 20, 14, 1), 20 + 14)


@dtypes
@pytest.mark.parametrize("corruption", [("dropout", 0.3), ("gaussian", 0.5)], ids=str)
def test_corruption(cuda, dtype, corruption):
    layers = layers_of(dtype, (21, 9, 5), ("selu", "tanh"))
    layers = [(*layer, False, corruption) for layer in layers]
    seeds = np.random.default_rng(3).integers(-(2**63), 2**63 - 1, (1, 2, 2))
    x, d_y = drawn(dtype, 19, 21), drawn(dtype, 19, 5, 1)
    compare(cuda, layers, x, d_y, 40, seeds)
    without = [layer[:3] for layer in layers]
    assert_same_bits(forward(cuda, layers, x), forward(cuda, without, x))


@dtypes
def test_arrays_that_16_bytes_do_not_divide(cuda, dtype):
    layers = layers_of(dtype, (16, 8, 12), ("tanh", "linear"))
    moved = [(shifted(kernel), shifted(bias), act) for kernel, bias, act in layers]
    x, d_y = drawn(dtype, 9, 16), drawn(dtype, 9, 12, 1)
    assert_same_bits(forward(cuda, layers, x), forward(cuda, moved, shifted(x)))
    one, other = grad(cuda, layers, x, d_y), grad(cuda, moved, shifted(x), shifted(d_y))
    for a, b in zip([one[0], *one[1]], [other[0], *other[1]], strict=True):
        assert_same_bits(a, b)


@modes
def test_the_same_bits_again_and_either_way(cuda, mode):
    """Threads run in another order each time, on another number of blocks: see on_cpu."""
    layers, x, d_y = autoencoder("float32"), drawn("float32", 40, 37), drawn("float32", 40, 37, 1)
    first = grad(cuda, layers, x, d_y)
    with run_by(cuda, mode):
        for _ in range(3):
            again = grad(cuda, layers, x, d_y)
            for a, b in zip([first[0], *first[1]], [again[0], *again[1]], strict=True):
                assert_same_bits(a, b)


def test_tf32(cuda):
    """Products that are large enough round their factors, others do not."""
    for sizes, rows, rounded in [
        ((5, 576), 640, True),
        ((5, 70), 90, False),
        ((70, 9), 1100, True),
    ]:
        layers = layers_of("float32", sizes, ("linear",))
        x, d_y = drawn("float32", rows, sizes[0]), drawn("float32", rows, sizes[1], 1)
        reference = Network(layers)
        exact = [reference.forward(np.float64(x))]
        reference.backward(np.float64(d_y))
        exact += reference.gradients[:1]
        y = poisoned((rows, sizes[1]), "float32")
        wanted = [poisoned(w.shape, w.dtype) for w in variables_of(layers)]
        found = [cuda.run(networks.forward, layers, x, y, None, 1)]
        found += cuda.run(networks.grad, layers, x, d_y, None, wanted, None, 1)[1:2]
        errors = [
            np.linalg.norm(a - b) / np.linalg.norm(b) for a, b in zip(found, exact, strict=True)
        ]
        assert max(errors) < 1e-3
        assert (max(errors) > 1e-6) == rounded
    with pytest.raises(KernelError, match="precision must be FG_CUDA_STRICT or"):
        cuda.run(networks.forward, layers, x, y, None, 7)


def test_nan_reaches_its_row_alone(cuda):
    layers, x = layers_of("float32", (12, 9, 5), ("selu", "tanh")), drawn("float32", 20, 12)
    x[13, 4] = np.nan
    y = forward(cuda, layers, x)
    assert np.isnan(y[13]).all() and not np.isnan(np.delete(y, 13, 0)).any()


def test_no_rows(cuda):
    layers = layers_of("float32", (12, 5), ("selu",))
    assert forward(cuda, layers, drawn("float32", 0, 12)).shape == (0, 5)
    _, gradients = grad(cuda, layers, drawn("float32", 0, 12), drawn("float32", 0, 5))
    assert all(np.all(g == 0) for g in gradients)


def test_refuses_deep_networks_and_what_the_cpu_refuses(cuda):
    deep = layers_of("float32", (3,) * 14, ("linear",) * 13)
    with pytest.raises(KernelError, match="mlp_forward: on a GPU.*at most 12 layers. Received: 13"):
        forward(cuda, deep, drawn("float32", 2, 3))
    broken = layers_of("float32", (5, 4), ("tanh",)) + layers_of("float32", (3, 2), ("tanh",))
    with pytest.raises(KernelError, match="mlp_forward: layer 1 must take the 4 units"):
        forward(cuda, broken, drawn("float32", 2, 5))
    with run_by(cuda, "quickly"), pytest.raises(KernelError, match="must be persistent or graph"):
        forward(cuda, deep[:1], drawn("float32", 2, 3))
