"""fastgen.core on arrays of a GPU, which CuPy's stand-in and the kernels on the CPU are here."""

import os
import subprocess
import sys

import pytest

from fastgen import native
from tests.cuda import build

try:
    built = native.build_info()
except native.UnfitError as error:
    pytest.skip(str(error), allow_module_level=True)
if not built.get("cuda"):
    pytest.skip("fastgen.core was built without CUDA", allow_module_level=True)

PROLOGUE = """
import ctypes, os, sys
import cupy, numpy as np, pytest
ctypes.CDLL(sys.argv[1] + "/libfastgen_core.so", ctypes.RTLD_GLOBAL)  # in the place of the other
from fastgen import core

class Interface:  # of another library
    def __init__(self, array):
        self.array, self.__cuda_array_interface__ = array, array.__cuda_array_interface__

class Dlpack:
    def __init__(self, array):
        self.on_cpu = array
    def __dlpack_device__(self):
        return 2, 0

rng = np.random.default_rng(0)
mean, log_var, d_z = (rng.standard_normal((5, 12)).astype("float32") for _ in range(3))
d_kl = rng.standard_normal(5).astype("float32")
z, kl = core.gaussian_sample_kl(mean, log_var, (1, 2))
grads = core.gaussian_sample_kl_grad(mean, log_var, (1, 2), d_z, d_kl)
close = lambda ours, numpys: np.testing.assert_allclose(ours.get(), numpys, rtol=1e-5, atol=1e-5)
"""


@pytest.fixture(scope="module")
def run():
    """Runs code after the prologue; its output."""
    folder = build.tensorflow_device()

    def run(code, **environment):
        path = os.pathsep.join([str(build.ROOT / "tests/cuda/stand_in"), str(build.ROOT)])
        command = [sys.executable, "-c", PROLOGUE + code, str(folder)]
        environment = {**os.environ, "PYTHONPATH": path, **environment}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_arrays_of_a_gpu(run):
    """CuPy's, and those of whoever has one of the two interfaces; outputs are CuPy's."""
    run("""
ours = core.gaussian_sample_kl(cupy.array(mean), cupy.array(log_var), (1, 2))
assert all(type(x) is cupy.ndarray for x in ours)
close(ours[0], z), close(ours[1], kl)
others = Interface(cupy.array(mean)), Dlpack(log_var)
for x, y in zip(core.gaussian_sample_kl(*others, (1, 2)), (z, kl)):
    close(x, y)
arrays = cupy.array(mean), cupy.array(log_var), (1, 2), cupy.array(d_z), cupy.array(d_kl)
for x, y in zip(core.gaussian_sample_kl_grad(*arrays), grads):
    close(x, y)
on_gpu = [cupy.array(x) for x in (mean, log_var, d_z, d_kl)]
close(core.gaussian_sample(on_gpu[0], on_gpu[1], (1, 2)), z)
close(core.gaussian_kl(on_gpu[0], on_gpu[1]), kl)
close(core.gaussian_sample_grad(on_gpu[1], (1, 2), on_gpu[2]),
      core.gaussian_sample_grad(log_var, (1, 2), d_z))
for x, y in zip(core.gaussian_kl_grad(on_gpu[0], on_gpu[1], on_gpu[3]),
                core.gaussian_kl_grad(mean, log_var, d_kl)):
    close(x, y)
for dtype in ("float64", "float16", "bfloat16"):
    arrays = [cupy.array(x.astype(dtype)) for x in (mean, log_var)]
    x = core.gaussian_sample_kl(*arrays, (1, 2))[0]
    assert x.dtype == dtype and np.isfinite(x.get().astype("float32")).all()
""")


def test_losses_and_penalties(run):
    run("""
p, t = 1 / (1 + np.exp(-mean)), (log_var > 0).astype("float32")
b = rng.integers(0, 256, (5, 12)).astype("uint8")
m, g = cupy.array(mean), cupy.array(d_kl)
for targets in (t, b):
    x = cupy.array(targets)
    slope, on_cpu = cupy.empty((5, 12), "float32"), np.empty((5, 12), "float32")
    loss = core.sigmoid_cross_entropy(targets, mean, 0.1, slope=on_cpu)
    close(core.sigmoid_cross_entropy(x, m, 0.1, slope=slope), loss)
    close(slope, on_cpu)
    d_logits = core.sigmoid_cross_entropy_grad(targets, mean, d_kl, 0.1)
    close(core.sigmoid_cross_entropy_grad(x, m, g, 0.1), d_logits)
    close(core.sigmoid_cross_entropy_from_slope_grad(slope, g), d_logits)
one = np.float32(2)
for kind in ("kl", "l1", "mse"):
    penalty, activity = core.sparsity(p, 0.1, kind)
    ours = core.sparsity(cupy.array(p), 0.1, kind)
    close(ours[0], penalty), close(ours[1], activity)
    for passed in (None, mean):
        given = cupy.array(p), 0.1, kind, ours[1], cupy.array(one)
        on_gpu = passed if passed is None else cupy.array(passed)
        close(core.sparsity_grad(*given, d_passed=on_gpu),
              core.sparsity_grad(p, 0.1, kind, activity, one, d_passed=passed))
with pytest.raises(ValueError, match="must be float32.*Received: targets.dtype=int64"):
    core.sigmoid_cross_entropy(cupy.array(b.astype(int)), m, 0.1)
""")


def test_dense_layers(run):
    run("""
for dtype, error in [("float32", 1e-5), ("float64", 1e-13), ("float16", 1e-2), ("bfloat16", 8e-2)]:
    shapes = {"x": (2, 3, 12), "kernel": (12, 7), "bias": 7, "d_y": (2, 3, 7)}
    x, kernel, bias, d_y = (rng.standard_normal(s).astype(dtype) for s in shapes.values())
    def near(ours, numpys):
        ours, numpys = ours.get().astype("float64"), numpys.astype("float64")
        np.testing.assert_allclose(ours, numpys, rtol=0, atol=error * np.abs(numpys).max())
    for name, k in ("dense", kernel), ("dense_transpose", kernel.T.copy()):
        op, grad = getattr(core, name), getattr(core, name + "_grad")
        for activation in ("linear", "selu", "silu"):
            on_gpu = [cupy.array(a) for a in (x, k, bias, d_y)]
            y = op(*on_gpu[:3], activation)
            assert type(y) is cupy.ndarray and y.dtype == dtype and y.shape == (2, 3, 7)
            near(y, op(x, k, bias, activation))
            near(op(*on_gpu[:2], activation=activation), op(x, k, None, activation))
            saved = op(x, k, bias, "linear" if activation == "silu" else activation)
            given = on_gpu[0], on_gpu[1], cupy.array(saved), on_gpu[3], activation
            for one, other in zip(grad(*given), grad(x, k, saved, d_y, activation), strict=True):
                near(one, other)
        for other in Interface(on_gpu[0]), Dlpack(x):
            if dtype != "bfloat16":  # which neither has a name for
                near(op(other, on_gpu[1]), op(x, k))
""")


def test_precision_is_float32s_and_a_gpus(run):
    run("""
x = rng.standard_normal((40, 1)).astype("float32")
bits = x.view(np.uint32) + np.uint32(0x1000)
rounded = (bits & ~np.uint32(0x1FFF)).view(np.float32)  # 11 bits
one, ones = np.ones((1, 1), "float32"), np.ones((40, 1), "float32")
for name in ("dense", "dense_transpose"):
    op, grad = getattr(core, name), getattr(core, name + "_grad")
    for how, factors in [({}, x), ({"precision": "float32"}, x), ({"precision": "tf32"}, rounded)]:
        a, b = cupy.array(x), cupy.array(one)
        np.testing.assert_array_equal(op(a, b, **how).get(), factors)
        np.testing.assert_array_equal(op(x, one, **how), x)
        d_x, d_kernel, d_bias = grad(cupy.array(ones), b, a, a, **how)
        np.testing.assert_array_equal(d_x.get(), factors)
        np.testing.assert_allclose(d_kernel.get(), factors.sum(0, keepdims=True), rtol=1e-6)
        np.testing.assert_allclose(d_bias.get(), x.sum(0), rtol=1e-6)
        wide = [cupy.array(a.astype("float64")) for a in (x, one)]
        np.testing.assert_array_equal(op(*wide, **how).get(), x.astype("float64"))
    for bad in ("high", "TF32", ""):
        with pytest.raises(ValueError, match=f"^{name}: precision must be.*Received: {bad}"):
            op(x, one, precision=bad)
        with pytest.raises(ValueError, match=f"^{name}_grad: precision must be.*Received: {bad}"):
            grad(a, b, a, a, precision=bad)
""")


def test_cross_entropy_of_a_tied_decoder(run):
    run("""
x, kernel, bias = (rng.standard_normal(s).astype("float32") for s in ((6, 5), (9, 5), 9))
floats = rng.uniform(size=(6, 9)).astype("float32")
on_gpu = [cupy.array(a) for a in (x, kernel, bias)]
for targets in floats, (255 * floats).astype("uint8"):
    for how, error in ("float32", 1e-6), ("tf32", 5e-4):
        slope, on_cpu = cupy.empty((6, 9), "float32"), np.empty((6, 9), "float32")
        to = cupy.array(targets)
        ours = core.dense_transpose_cross_entropy(*on_gpu, to, 0.1, precision=how, slope=slope)
        loss = core.dense_transpose_cross_entropy(x, kernel, bias, targets, 0.1, slope=on_cpu)
        assert type(ours) is cupy.ndarray
        for one, other in (ours, loss), (slope, on_cpu):
            worst = np.abs(one.get() - other).max()
            assert worst <= 4 * error and (worst > 1e-6) == (how == "tf32")
to = cupy.array(floats)
out = cupy.empty(6, "float32")
assert core.dense_transpose_cross_entropy(*on_gpu, to, 0.1, out=out, slope=to) is out
close(out, core.dense_transpose_cross_entropy(x, kernel, bias, floats, 0.1, slope=on_cpu))
close(to, on_cpu)
with pytest.raises(ValueError, match="slope must not overlap that for x"):
    square = cupy.array(x[:5]), cupy.array(kernel[:5]), None, cupy.array(floats[:5, :5])
    core.dense_transpose_cross_entropy(*square, slope=square[0])
""")


def test_products_need_nvcc(run):
    run(
        """
a, b = cupy.array(mean), cupy.array(mean)
for call in (
    lambda: core.dense_transpose(a, b),
    lambda: core.dense_transpose_grad(a, b, cupy.array(np.ones((5, 5), "float32")),
                                      cupy.array(np.ones((5, 5), "float32"))),
    lambda: core.dense_transpose_cross_entropy(a, b, None, cupy.array(np.ones((5, 5), "float32"))),
):
    with pytest.raises(NotImplementedError, match="dense_transpose.*needs a fastgen .* nvcc"):
        call()
for arrays in ((a, mean), (mean, a)):
    with pytest.raises(ValueError, match="dense_transpose: arrays must be on one device. Received"):
        core.dense_transpose(*arrays)
with pytest.raises(ValueError, match="one device. Received: x on a GPU, bias in NumPy"):
    core.dense_transpose(a, b, mean[0, :5])
""",
        FASTGEN_NVRTC="1",
    )


def test_kernels_that_nvrtc_compiles(run, tmp_path):
    """With the arguments, structs among them, that the launchers of the .cu files give them."""
    run(
        """
from unittest import mock
import fastgen.nvrtc
cases = [("float32", (5, 12)), ("float32", (1, 16384 + 24)), ("float64", (3, 7))]
for dtype, shape in [*cases, ("float16", (2, 1040)), ("bfloat16", (5, 16))]:
    arrays = [rng.standard_normal(shape).astype(dtype) for _ in range(3)]
    d_kl = rng.standard_normal(shape[0]).astype("float64" if dtype == "float64" else "float32")
    results = []
    for wish in "01":
        os.environ["FASTGEN_NVRTC"] = wish
        a, b, c, d = map(cupy.array, (*arrays, d_kl))
        with mock.patch("fastgen.nvrtc.launch", wraps=fastgen.nvrtc.launch) as launch:
            results.append(core.gaussian_sample_kl(a, b, (1, -2)))
            results[-1] += core.gaussian_sample_kl_grad(a, b, (1, -2), c, d)
        assert launch.call_count == (2 if wish == "1" else 0)
    for one, other in zip(*results, strict=True):
        assert one.get().tobytes() == other.get().tobytes(), (shape, dtype)
on_gpu = [cupy.array(x) for x in (mean, log_var, d_z, d_kl)]
m, v, g, k = on_gpu
b = cupy.array(rng.integers(0, 256, (5, 12)).astype("uint8"))
results = []
for wish in "01":
    os.environ["FASTGEN_NVRTC"] = wish
    slope = cupy.empty((5, 12), "float32")
    results.append([
        core.gaussian_sample(m, v, (1, -2)),
        core.gaussian_sample_grad(v, (1, -2), g),
        core.gaussian_kl(m, v),
        *core.gaussian_kl_grad(m, v, k),
        core.sigmoid_cross_entropy(b, m, 0.1, slope=slope),
        slope,
        core.sigmoid_cross_entropy_grad(v, m, k, 0.1),
        core.sigmoid_cross_entropy_from_slope_grad(slope, k),
    ])
    for dtype in ("float32", "bfloat16"):  # of elements that are not averaged
        x, y = (cupy.array(a.reshape(60, 1).astype(dtype)) for a in (mean, log_var))
        slope, d = cupy.empty((60, 1), dtype), cupy.array(d_z.reshape(60))
        results[-1] += [core.sigmoid_cross_entropy(y, x, 0.1, slope=slope), slope]
        results[-1].append(core.sigmoid_cross_entropy_grad(y, x, d, 0.1))
        results[-1].append(core.sigmoid_cross_entropy_from_slope_grad(slope, d))
for i, (one, other) in enumerate(zip(*results, strict=True)):
    assert one.get().tobytes() == other.get().tobytes(), i
""",
        FASTGEN_STAND_IN_CACHE=str(tmp_path),
    )


def test_sparsity_that_nvrtc_compiles(run, tmp_path):
    """Shapes with pieces of rows, tiles of columns, odd ones, and none."""
    run(
        """
from unittest import mock
import fastgen.nvrtc
def penalties(dtype, shape):
    a = rng.uniform(0.05, 0.9, shape).astype(dtype)
    passed = cupy.array(rng.standard_normal(shape).astype(dtype))
    d_penalty = cupy.array(np.array(2, "float64" if dtype == "float64" else "float32"))
    d_activity = cupy.array(rng.standard_normal(shape[-1]))
    for kind in ("kl", "l1", "mse"):
        results = []
        for wish in "01":
            os.environ["FASTGEN_NVRTC"] = wish
            x = cupy.array(a)
            with mock.patch("fastgen.nvrtc.launch", wraps=fastgen.nvrtc.launch) as launch:
                penalty, activity = core.sparsity(x, 0.1, kind)
                given = x, 0.1, kind, activity, d_penalty
                both = core.sparsity_grad(*given, d_activity=d_activity, d_passed=passed)
                results.append([penalty, activity, core.sparsity_grad(*given), both])
            assert launch.call_count == (3 if wish == "1" else 0)
        for i, (one, other) in enumerate(zip(*results, strict=True)):
            assert one.get().tobytes() == other.get().tobytes(), (i, dtype, shape, kind)
            assert np.isfinite(one.get().astype("float64")).all(), (i, dtype, shape, kind)
shapes = [(5, 12), (4099, 4), (9, 1030), (3, 7), (0, 4), (5, 0)]
for dtype, shape in [("float32", shape) for shape in shapes] + [
    ("float64", (300, 6)), ("float16", (40, 16)), ("bfloat16", (40, 9))
]:
    penalties(dtype, shape)
with pytest.raises(NotImplementedError, match="gan_step: on a GPU this kernel needs a fastgen"):
    fastgen.nvrtc.launch("gan_step")
""",
        FASTGEN_STAND_IN_CACHE=str(tmp_path),
    )


UPDATES = """
import copy

def on_gpu(x):
    if isinstance(x, np.ndarray):
        return cupy.array(x)
    if isinstance(x, dict):
        return {name: on_gpu(value) for name, value in x.items()}
    return type(x)(map(on_gpu, x)) if isinstance(x, (list, tuple)) else x

def same(ours, numpys):
    if isinstance(numpys, np.ndarray):
        return np.testing.assert_allclose(ours.get(), numpys, rtol=1e-5, atol=1e-6)
    if isinstance(numpys, dict):
        ours, numpys = ours.values(), numpys.values()
    if numpys is not None and not isinstance(numpys, (str, float, int)):
        for one, other in zip(ours, numpys, strict=True):
            same(one, other)

def normal(*shape):
    return rng.standard_normal(shape).astype("float32")

def network(*widths):
    shapes = list(zip(widths, widths[1:]))
    return [(normal(m, n) / 4, normal(n), "selu" if n > 1 else "sigmoid") for m, n in shapes]

def rmsprop(layers):
    slots = [[np.zeros_like(x) for layer in layers for x in layer[:2]]]
    given = {"rule": "rmsprop", "iterations": 0, "learning_rate": 0.01, "rho": 0.9}
    return {**given, "epsilon": 1e-7, "slots": slots, "slot_places": [0]}

d, g = network(12, 7, 1), network(3, 5, 12)
d[0] = (*d[0], False, ("dropout", 0.25))
images, fake = rng.integers(0, 256, (20, 12)).astype("uint8"), normal(9, 12)
"""


def test_optimizers(run):
    run(
        UPDATES
        + """
for rule, places in [("sgd", [0]), ("rmsprop", [0, 2]), ("adam", [0, 1]), ("nadam", [0, 1])]:
    w, gradients = [normal(3, 7), normal(40), normal(5)], [normal(3, 7), normal(40)]
    state = dict(averages=[x + 1 for x in w], accumulators=[x * 0 for x in w])
    if rule == "nadam":
        state["u_product"] = np.ones(1, "float32")
    options = dict(momentum=0.9, rho=0.99, epsilon=1e-6, weight_decay=0.1, clip="global_norm",
        clip_at=0.5, ema_momentum=0.9, ema_overwrite_frequency=1, accumulation_steps=2,
        variation=rule == "rmsprop", slot_places=places)
    slots = [[abs(normal(*x.shape)) for x in gradients] for _ in places]
    there = on_gpu((w, gradients, slots)), on_gpu(state)
    for i in range(4):
        assert core.optimizer_update(rule, i, w, gradients, slots, 0.1, **state, **options) is True
        assert core.optimizer_update(rule, i, *there[0], 0.1, **there[1], **options) is True
        same(there, ((w, gradients, slots), state))

w, gradient = cupy.array(normal(5)), cupy.array(normal(5))
before = w.get()
applied = core.optimizer_update("sgd", 0, [w], [Interface(gradient)], [], 1.0, loss_scale=2.0)
assert applied.dtype == np.int32 and applied.get() == 1
same(w, before - gradient.get() / 2)
before = w.get()
applied = core.optimizer_update(
    "sgd", 0, [w], [cupy.array(np.full(5, np.inf, "float32"))], [], 1.0, loss_scale=2.0)
assert applied.get() == 0 and (w.get() == before).all()
"""
    )


def test_networks(run):
    run(
        UPDATES
        + """
seeds = np.arange(2).reshape(1, 1, 2)
x, d_y = normal(9, 12), normal(9, 1)
for given in (None, seeds):
    there = on_gpu((x, d, d_y))
    same(core.mlp_forward(*there[:2], seeds=given), core.mlp_forward(x, d, seeds=given))
    same(core.mlp_grad(*there, seeds=given), core.mlp_grad(x, d, d_y, seeds=given))
loose = core.mlp_forward(*there[:2], precision="tf32").get()
np.testing.assert_allclose(loose, core.mlp_forward(x, d), rtol=1e-2, atol=1e-2)

optimizer, targets = rmsprop(d), rng.random(29).astype("float32")
for given in (None, targets):
    there = on_gpu((d, optimizer, images, fake, given))
    told = core.discriminator_update(d, optimizer, images, fake, given, seeds)
    ours = core.discriminator_update(*there, seeds)
    assert ours.keys() == told.keys()
    for name, value in told.items():
        same(ours[name], np.asarray(value))
    same(there[:2], (d, optimizer))
"""
    )


def test_steps_of_a_gan(run):
    run(
        UPDATES
        + """
rows, seeds = rng.integers(0, 20, (3, 2, 8)), rng.integers(0, 99, (3, 3, 2))
more = {"discriminator_corruption": rng.integers(0, 99, (9, 1, 2)),
        "targets": rng.random((3, 2, 2, 8)).astype("float32"),
        "discriminator_rates": rng.random((3, 2)) / 99}
players = [g, rmsprop(g), d, rmsprop(d)]
for where in (lambda x: x, on_gpu):  # of integers and learning rates
    there, done = on_gpu(players), cupy.array(np.zeros(2, "int64"))
    mine = copy.deepcopy(players)
    told = core.gan_step(*mine, images, rows, seeds, **more)
    given = {name: on_gpu(x) if name == "targets" else where(x) for name, x in more.items()}
    ours = core.gan_step(*there, cupy.array(images), where(rows), where(seeds), **given, done=done)
    assert ours.keys() == told.keys()
    same([ours[name] for name in told], [told[name] for name in told])
    same(there, mine)
    assert done.get().tolist() == [6, 3]

there = on_gpu(players)
rows[1, 0, 3] = 20
arrays = cupy.array(images), rows, seeds
ours = core.gan_step(*there, *arrays, discriminator_corruption=more["discriminator_corruption"],
                     done=done)
assert done.get().tolist() == [2, 1]
loss = ours["discriminator_loss"].get()
assert np.isfinite(loss[0]) and np.isnan(loss[1]) and loss[2] == 0
"""
    )


def test_updates_that_are_refused(run):
    """Nothing is written then."""
    run(
        UPDATES
        + """
optimizer, w = rmsprop(d), [normal(5), normal(5)]
there, gpu_optimizer, v = on_gpu(d), on_gpu(optimizer), on_gpu(w)
before = copy.deepcopy((d, optimizer, w))
deep = on_gpu(network(*[12] * 13, 1))
real, made = cupy.array(images), cupy.array(fake)
transposed = cupy.ndarray(normal(7, 12).T)
averaging = {**gpu_optimizer, "ema_momentum": 0.9, "averages":
             [cupy.array(x) for layer in d for x in layer[:2]]}
sgd = {"rule": "sgd", "iterations": 0, "learning_rate": 1.0}
for message, call in {
    "one device. Received: .* in NumPy": lambda: core.optimizer_update("sgd", 0, v, w, [], 1.0),
    "variables must be C-contiguous, of NumPy or CuPy: it is updated in place. Received: .*Inter":
        lambda: core.optimizer_update("sgd", 0, [Interface(v[0])], v[:1], [], 1.0),
    "kernel must be C-contiguous": lambda: core.discriminator_update(
        [(transposed, None, "selu"), there[1]], gpu_optimizer, real, made),
    "slots must have the shape of its variable": lambda: core.optimizer_update(
        "sgd", 0, v, v, [[cupy.array(normal(4))] * 2], 1.0, slot_places=[0]),
    "real in NumPy": lambda: core.discriminator_update(there, gpu_optimizer, images, made),
    "slots in NumPy": lambda: core.discriminator_update(there, optimizer, real, made),
    "at most 12 layers. Received: 13": lambda: core.discriminator_update(deep, sgd, real, made),
    "must keep no average": lambda: core.discriminator_update(there, averaging, real, made),
    "precision must be float32 or tf32. Received: fp8": lambda: core.discriminator_update(
        there, gpu_optimizer, real, made, precision="fp8"),
    "corruption must be .*, on a GPU int64. Received: .*int32": lambda: core.discriminator_update(
        there, gpu_optimizer, real, made, corruption=cupy.array(np.zeros((1, 1, 2), "int32"))),
    "autoencoder_step: takes arrays of NumPy. Received: kernel on a GPU":
        lambda: core.autoencoder_step(on_gpu(network(12, 12)), sgd, real, [[0, 1]]),
}.items():
    with pytest.raises(ValueError, match=message):
        call()
same((there, gpu_optimizer, v), before), same(on_gpu((d, optimizer, w)), before)
with pytest.raises(NotImplementedError, match="optimizer_update: on a GPU this kernel needs a"):
    os.environ["FASTGEN_NVRTC"] = "1"
    core.optimizer_update("sgd", 0, v, v, [], 1.0)
"""
    )


def test_outputs_of_the_caller(run):
    run("""
place, to_kl = cupy.array(mean), cupy.empty(5, "float32")
ours = core.gaussian_sample_kl(place, cupy.array(log_var), (1, 2), out=(place, to_kl))
assert ours[0] is place and ours[1] is to_kl
close(place, z), close(to_kl, kl)
for out, message in [
    (np.empty((5, 12), "float32"), "out for z must be an array of CuPy"),
    (cupy.empty((5, 11), "float32"), "of shape .5, 12.. Received: float32 of"),
    (cupy.ndarray(np.zeros((12, 5), "float32").T), "C-contiguous"),
    (cupy.array(mean, device=1), "current GPU, 0. Received: z on GPU 1"),
]:
    with pytest.raises(ValueError, match=message):
        arrays = cupy.array(mean), cupy.array(log_var)
        core.gaussian_sample_kl(*arrays, (1, 2), out=(out, to_kl))
""")


def test_what_is_refused(run):
    run("""
on_gpu = cupy.array(log_var)
for other, message in [
    (mean, "one device. Received: mean in NumPy, log_var on a GPU"),
    (cupy.array(mean, device=1), "current GPU, 0. Received: mean on GPU 1"),
    (cupy.array(mean[:2]), "same shape"),
    (cupy.array(mean.astype(int)), "mean must be float32.*Received: mean.dtype=int64"),
]:
    with pytest.raises(ValueError, match=message):
        core.gaussian_sample_kl(other, on_gpu, (1, 2))
with pytest.raises(ValueError, match="takes arrays of NumPy. Received: x on a GPU"):
    core.exp(on_gpu)
""")


def test_without_cupy(run):
    run("""
sys.modules["cupy"] = None
with pytest.raises(ImportError, match="gaussian_sample_kl: arrays on a GPU need CuPy.*pip install"):
    core.gaussian_sample_kl(Dlpack(mean), Dlpack(log_var), (1, 2))
""")
