"""A network of dense layers and its gradients against the same in float64."""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, assert_within, core, stated, unaligned, unit
from tests.core.dense_networks import layers_of, on_every_thread_count, variables_of
from tests.core.mlp_reference import ACTIVATIONS, Network
from tests.tolerances import assert_close

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
# Rows, then inputs and units: parts of vectors, tiles, panels and chunks, and one more or less.
SHAPES = [
    (1, 1, 1, 1),
    (7, 5, 13, 1),
    (16, 14, 15, 5),
    (17, 33, 14, 28),
    (33, 3, 150, 29),
    (64, 15, 31, 16),
    (65, 5, 513, 7),
    (130, 150, 65, 14),
]


def drawn(dtype, rows, cols, key=0):
    return np.random.default_rng([7, key, rows, cols]).standard_normal((rows, cols)).astype(dtype)


def compare(layers, x, d_y, n):
    """Outputs and all gradients against the reference."""
    reference, dtype = Network(layers), x.dtype
    assert_close(core.mlp_forward(x, layers), reference.forward(np.float64(x)), dtype, n)
    d_x, gradients = core.mlp_grad(x, layers, d_y)
    assert_close(d_x, reference.backward(np.float64(d_y)), dtype, n)
    found = [g for pair in gradients for g in pair if g is not None]
    found = [g for i, g in enumerate(found) if not any(g is other for other in found[:i])]
    for gradient, exact in zip(found, reference.gradients, strict=True):
        assert_close(gradient, exact, dtype, n)


@dtypes
@pytest.mark.parametrize("shape", SHAPES, ids=lambda s: "-".join(map(str, s)))
def test_sizes(isa, dtype, shape):
    rows, *sizes = shape
    for bias in (True, False):
        layers = layers_of(dtype, sizes, ("tanh", "linear"), bias=bias)
        x, d_y = drawn(dtype, rows, sizes[0]), drawn(dtype, rows, sizes[-1], 1)
        compare(layers, x, d_y, rows + max(sizes))


@dtypes
@pytest.mark.parametrize("transposed", [False, True])
def test_within_the_stated_error(isa, dtype, transposed):
    """One layer: outputs and gradients, sums over inputs, units and rows."""
    assert "(depth + 4) u of the sum of the terms' magnitudes" in stated("kernels/mlp.h", "Error")
    rows, inputs, units = 130, 150, 70
    rng = np.random.default_rng(4)
    kernel = rng.standard_normal((inputs, units)).astype(dtype)
    x, d_y = drawn(dtype, rows, inputs), drawn(dtype, rows, units)
    bias = drawn(dtype, 1, units, 2)[0]
    layer = (np.ascontiguousarray(kernel.T) if transposed else kernel, bias, "linear", transposed)
    d_x, [(d_kernel, d_bias)] = core.mlp_grad(x, [layer], d_y)
    d_kernel = d_kernel.T if transposed else d_kernel
    one = np.ones([rows, 1])
    for found, a, b, more in [
        (core.mlp_forward(x, [layer]), x, kernel, bias),
        (d_x, d_y, kernel.T, 0),
        (d_kernel, x.T, d_y, 0),
        (d_bias[None], one.T, d_y, 0),
    ]:
        a, b, more = (np.asarray(value, "float64") for value in (a, b, more))
        size = np.abs(a) @ np.abs(b) + np.abs(more)
        assert_within(found, a @ b + more, unit(dtype) * (a.shape[1] + 4) * size, dtype)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations(isa, activation):
    """Each in the middle and at the end."""
    for dtype in ("float32", "float64"):
        layers = layers_of(dtype, (6, 21, 17), (activation, activation))
        x, d_y = 3 * drawn(dtype, 35, 6), drawn(dtype, 35, 17)
        compare(layers, x, d_y, 35 + 21)


def autoencoder(dtype, inputs=37, units=15, codings=5):
    """A stack whose second half is tied to its first; the last kernel is read both ways."""
    first, second = layers_of(dtype, (inputs, units, codings), ("selu", "silu"))
    rng = np.random.default_rng(inputs)
    biases = [rng.standard_normal(n).astype(dtype) for n in (units, inputs)]
    return [first, second, (second[0], biases[0], "elu", True), (first[0], biases[1], "tanh", True)]


@dtypes
@pytest.mark.parametrize("rows", [9, 33, 130])
def test_tied_layers(isa, dtype, rows):
    """A kernel of two layers has the sum of both gradients."""
    layers = autoencoder(dtype)
    x, d_y = drawn(dtype, rows, 37), drawn(dtype, rows, 37, 1)
    compare(layers, x, d_y, rows + 37)
    gradients = core.mlp_grad(x, layers, d_y)[1]
    assert gradients[0][0] is gradients[3][0] and gradients[1][0] is gradients[2][0]
    assert [g.shape for pair in gradients for g in pair] == [
        w.shape for kernel, bias, *_ in layers for w in (kernel, bias)
    ]


def test_a_kernel_thrice(isa):
    square = layers_of("float32", (14, 14), ("tanh",))[0]
    layers = [square, (square[0], None, "sigmoid"), (square[0], None, "linear", True)]
    x, d_y = drawn("float32", 20, 14), drawn("float32", 20, 14, 1)
    compare(layers, x, d_y, 20 + 14)


def test_transposed_alone(isa):
    """Kernels [units, inputs] that are not tied, of more lines and columns than a part has."""
    layers = layers_of("float32", (61, 3), ("tanh",), 1)
    wide = layers_of("float32", (63, 520), ("linear",), 2)[0]
    bias = np.ones([63], "float32")
    rows = drawn("float32", 33, 61)
    back = layers_of("float32", (520, 3), ("elu",), 3)[0]
    layers += [(back[0], None, "elu", True), (wide[0], bias, "linear", True)]
    compare(layers, rows, drawn("float32", 33, 63), 33 + 520)


def test_the_sizes_of_the_book(isa):
    layers = layers_of("float32", (784, 150, 100, 30, 1), ("selu", "relu", "leaky_relu", "linear"))
    compare(layers, drawn("float32", 33, 784), drawn("float32", 33, 1), 33 + 784)


@dtypes
def test_threads_do_not_change_a_bit(isa, threads, dtype):
    for rows in (40, 130):
        layers = autoencoder(dtype, 70, 33)
        x, d_y = drawn(dtype, rows, 70), drawn(dtype, rows, 70, 1)

        def run(x=x, layers=layers, d_y=d_y):
            d_x, gradients = core.mlp_grad(x, layers, d_y)
            return [core.mlp_forward(x, layers), d_x, *(g for pair in gradients for g in pair)]

        on_every_thread_count(threads, run)


@dtypes
def test_a_row_does_not_depend_on_the_others(isa, dtype):
    layers = layers_of(dtype, (33, 50, 3), ("gelu_tanh", "sigmoid"))
    x, d_y = drawn(dtype, 130, 33), drawn(dtype, 130, 3)
    y, (d_x, _) = core.mlp_forward(x, layers), core.mlp_grad(x, layers, d_y)
    for rows in (7, 17, 64):
        assert_same_bits(core.mlp_forward(x[:rows], layers), y[:rows])
        assert_same_bits(core.mlp_grad(x[:rows], layers, d_y[:rows])[0], d_x[:rows])


@dtypes
def test_no_rows(isa, dtype):
    layers = autoencoder(dtype)
    x = np.zeros([0, 37], dtype)
    assert core.mlp_forward(x, layers).shape == (0, 37)
    d_x, gradients = core.mlp_grad(x, layers, x)
    assert d_x.shape == (0, 37)
    for pair in gradients:
        for gradient in pair:
            np.testing.assert_array_equal(gradient, 0)


@dtypes
def test_unaligned(isa, dtype):
    layers = layers_of(dtype, (33, 15, 7), ("selu", "linear"))
    x, d_y = drawn(dtype, 21, 33), drawn(dtype, 21, 7)
    moved = [(unaligned(k), unaligned(b), name) for k, b, name in layers]
    one, two = (
        core.mlp_grad(f(x), each, f(d_y)) for f, each in ((np.copy, layers), (unaligned, moved))
    )
    assert_same_bits(one[0], two[0])
    for a, b in zip(sum(one[1], ()), sum(two[1], ()), strict=True):
        assert_same_bits(a, b)


def test_what_is_not_contiguous_is_copied(isa):
    kernel, bias, _ = layers_of("float32", (6, 6), ("linear",))[0]
    turned, x = kernel.T, drawn("float32", 12, 6)[::2]
    layers = [(turned, bias, "tanh"), (turned, None, "tanh")]
    straight = np.ascontiguousarray(turned)
    same = [(straight, bias, "tanh"), (straight, None, "tanh")]
    assert_same_bits(core.mlp_forward(x, layers), core.mlp_forward(x.copy(), same))
    one, two = core.mlp_grad(x, layers, x)[1], core.mlp_grad(x, same, x)[1]
    assert_same_bits(one[0][0], two[0][0])
    assert one[0][0] is one[1][0]


def test_nan_and_inf_stay_in_their_row(isa):
    layers = layers_of("float32", (40, 50, 3), ("selu", "tanh"))
    x, d_y = drawn("float32", 70, 40), drawn("float32", 70, 3)
    y, d_x = core.mlp_forward(x, layers), core.mlp_grad(x, layers, d_y)[0]
    x[7, 3] = np.nan
    got, d_got = core.mlp_forward(x, layers), core.mlp_grad(x, layers, d_y)[0]
    assert np.all(np.isnan(got[7])) and np.all(np.isnan(d_got[7]))
    assert_same_bits(np.delete(got, 7, 0), np.delete(y, 7, 0))
    assert_same_bits(np.delete(d_got, 7, 0), np.delete(d_x, 7, 0))


def test_what_is_read_only_stays_as_it_was():
    layers = autoencoder("float32")
    before = [w.copy() for w in variables_of(layers)]
    for w in variables_of(layers):
        w.flags.writeable = False
    x = drawn("float32", 5, 37)
    core.mlp_forward(x, layers), core.mlp_grad(x, layers, x)
    for w, was in zip(variables_of(layers), before, strict=True):
        assert_same_bits(w, was)


def refusals():
    kernel, bias, x = np.ones([3, 2], "f4"), np.ones([2], "f4"), np.ones([4, 3], "f4")
    good = (kernel, bias, "relu")
    square = np.ones([4, 4], "f4")
    return {
        "layer or more": (x, []),
        "a layer must be a tuple": (x, [good[:2]]),
        "activation must be one of": (x, [(kernel, bias, "mish")]),
        "activation must be one of .*silu. Received: None": (x, [(kernel, bias, None)]),
        "kernel must have rank 2": (x, [(bias, bias, "relu")]),
        "one number for each unit": (x, [(kernel, bias[:1], "relu")]),
        "dtype of the first kernel": (x, [(kernel, bias.astype("f8"), "relu")]),
        "layer 1 must take the 2 units": (x, [good, (kernel.copy(), None, "relu")]),
        "layer 1 must have a bias of its own": (
            x,
            [(np.ones([3, 3], "f4"), square[0, :3], "relu")] * 2,
        ),
        r"x must have shape \[rows, 3\]": (x[:, :2], [good]),
        "x must have the dtype": (x.astype("f8"), [good]),
        "dtype must be float32 or float64": (
            x.astype("f2"),
            [(kernel.astype("f2"), bias.astype("f2"), "relu")],
        ),
        "1 to 64 layers": (x[:, :2], [(square[:2, :2].copy(), None, "relu")] * 65),
        "must have a kernel, inputs and units": (x, [(kernel[:, :0], None, "relu")]),
    }


@pytest.mark.parametrize("rule", refusals())
def test_refusals(rule):
    x, layers = refusals()[rule]
    d_y = np.ones([4, layers[-1][0].shape[-1] if layers else 1], x.dtype)
    with pytest.raises(ValueError, match=f"^mlp_forward: .*{rule}"):
        core.mlp_forward(x, layers)
    with pytest.raises(ValueError, match=f"^mlp_grad: .*{rule}"):
        core.mlp_grad(x, layers, d_y)


def test_refusals_of_a_gradient():
    layers = layers_of("float32", (3, 2), ("relu",))
    for d_y in (np.ones([4, 3], "f4"), np.ones([5, 2], "f4"), np.ones([4, 2])):
        with pytest.raises(ValueError, match="^mlp_grad: d_y must .*Received: "):
            core.mlp_grad(np.ones([4, 3], "f4"), layers, d_y)


def test_tied_kernels_are_read_alike():
    """A kernel [2, 3] cannot be one of 2 units to 3 and one of 3 to 2, but turned."""
    memory = np.ones([6], "float32")
    layers = [(memory.reshape(2, 3), None, "relu"), (memory.reshape(3, 2), None, "relu")]
    for run in (lambda x: core.mlp_forward(x, layers), lambda x: core.mlp_grad(x, layers, x)):
        with pytest.raises(ValueError, match="layer 1 .*kernel.* of layer 0.*Received: "):
            run(np.ones([4, 2], "float32"))
