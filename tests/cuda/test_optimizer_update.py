"""One step of every optimizer against the same formulas in float64."""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, draw, stated
from tests.core.test_optimizer_update import LEARNING_RATE, OPTIONS, RULES, Model, one_sign, unit
from tests.cuda.cases import shifted
from tests.cuda.conftest import ON_GPU
from tests.cuda.memory import KernelError
from tests.cuda.optimizer import step
from tests.tolerances import TOLERANCES, assert_close

rules = pytest.mark.parametrize("rule", RULES)
SHAPES = [(0,), (1,), (3,), (8,), (63,), (1024,), (33, 64), (5000,)]


class CudaModel(Model):
    """The arrays of tests/core, in the kernels' memory for a step."""

    def __init__(self, cuda, rule, options, dtype, shapes=SHAPES, place=lambda x: x):
        super().__init__(rule, options, dtype, shapes)
        self.cuda, self.place = cuda, place
        self.on_device = None  # the dtype of a learning rate that is there
        self.variables = [place(x) for x in self.variables]

    def tensors(self):
        gradients, given = self.gradients(), self.options
        for i, variable in enumerate(self.variables):
            slots = [None] * 3
            for place, kind in zip(self.places, self.slots, strict=True):
                slots[place] = kind[i] if i < len(kind) else None
            yield {
                "variable": variable,
                "gradient": self.place(gradients[i]) if i < len(gradients) else None,
                "slots": slots,
                "average": given["averages"][i] if "averages" in given else None,
                "accumulator": given["accumulators"][i] if "accumulators" in given else None,
            }

    def update(self, flag=True):
        lists = ("averages", "accumulators")
        options = {name: x for name, x in self.options.items() if name not in lists}
        options |= {"iterations": self.iterations, "learning_rate": LEARNING_RATE}
        if self.on_device:  # the others must not be looked at
            options |= {"iterations": -(10**6), "learning_rate": np.nan}
            options["device_iterations"] = np.array([self.iterations])
            options["device_learning_rate"] = np.array([LEARNING_RATE], self.on_device)
        applied = np.full(1, -7, np.int32) if flag else None
        given = {"rule": self.name, **options}, list(self.tensors()), applied
        after, tensors, applied = self.cuda.run(step, *given)
        self.take(after, tensors)
        done = int(applied[0]) if flag else 1
        self.iterations += done
        if self.on_device:
            self.iterations = int(after["device_iterations"][0])
        return done

    def take(self, options, tensors):
        self.variables = [x["variable"] for x in tensors]
        for place, kind in zip(self.places, self.slots, strict=True):
            kind[:] = [x["slots"][place] for x in tensors[: len(kind)]]
        for name, key in (("averages", "average"), ("accumulators", "accumulator")):
            if name in self.options:
                self.options[name] = [x[key] for x in tensors]
        if "u_product" in self.options:
            self.options["u_product"] = options["u_product"]


def assert_decided_alike(there, here, dtype):
    """What the device makes of the numbers of a step; its powers are others than a CPU's."""
    if ON_GPU:
        assert_close(there, here, dtype)
    else:
        assert_same_bits(there, here)


def assert_steps(model, steps, **given):
    for _ in range(steps):
        expected = model.expected()
        assert model.update(**given) == 1
        for actual, wanted in zip(model.arrays(), expected, strict=False):  # u_product last
            assert_close(actual, wanted, actual.dtype)


@rules
@pytest.mark.parametrize(
    ("option", "dtype"),
    [*((x, "float32") for x in OPTIONS), ("plain", "float64"), ("all", "float64")],
)
def test_matches_reference(cuda, rule, option, dtype):
    """Four steps, each from where the kernel stands: later ones have a state."""
    assert_steps(CudaModel(cuda, rule, OPTIONS[option], dtype, [(1,), (63,), (33, 40)]), 4)


@rules
@pytest.mark.parametrize(
    ("option", "rate"),
    [*((x, "float32") for x in OPTIONS), ("plain", "float64"), ("all", "float64")],
)
def test_iterations_and_learning_rate_on_the_device(cuda, rule, option, rate):
    """As if the host knew them: whether a call accumulates, overwrites, clips, is decided there."""
    here = CudaModel(cuda, rule, OPTIONS[option], "float32", [(1,), (63,), (33, 40)])
    there = CudaModel(cuda, rule, OPTIONS[option], "float32", [(1,), (63,), (33, 40)])
    there.on_device = rate
    for steps in range(1, 5):
        assert here.update() == there.update(flag=steps % 2 == 0) == 1
        assert here.iterations == there.iterations == steps
        for a, b in zip(there.arrays(), here.arrays(), strict=True):
            same = assert_decided_alike if rate == "float64" else assert_close
            same(a, b, "float32")


def test_iterations_on_the_device_alone(cuda):
    model = CudaModel(cuda, "adam", {}, "float64", [(70,)])
    options = {"rule": "adam", "momentum": 0.9, "rho": 0.99, "epsilon": 1e-3}
    given = {**options, "learning_rate": 0.25, "device_iterations": np.array([6])}
    first = list(model.tensors())[:1]
    after, (ours,), _ = cuda.run(step, given, first, None)
    assert after["device_iterations"] == 7
    given = {**options, "iterations": 6, "learning_rate": 0.25}
    _, (expected,), _ = cuda.run(step, given, first, None)
    assert_decided_alike(ours["variable"], expected["variable"], "float64")


@rules
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_size(cuda, rule, dtype):
    assert_steps(CudaModel(cuda, rule, OPTIONS["all"], dtype), 2)


@rules
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arrays_that_16_bytes_do_not_divide(cuda, rule, dtype):
    model = CudaModel(cuda, rule, OPTIONS["global_norm"], dtype, place=shifted)
    assert_steps(model, 1, flag=False)


@rules
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_error_is_as_stated(cuda, rule, dtype):
    assert "16 u (|w| + s / c)" in stated("kernels/optimizer_update.h", "Error")
    model = CudaModel(cuda, rule, {}, dtype, [(5003,)])
    for _ in range(3):
        before, expected, size = (
            np.float64(model.variables[0]),
            model.expected()[0],
            one_sign(model),
        )
        rho = model.fixed.get("rho") if model.name in ("adam", "nadam") else 0
        c = 1 - rho ** (model.iterations + 1)
        model.update()
        allowed = 16 * unit(dtype) * (np.abs(before) + size / c)
        assert np.all(np.abs(model.variables[0] - expected) <= allowed)


@pytest.mark.parametrize("option", ["global_norm", "all"])
def test_more_tensors_than_a_launch_takes(cuda, option):
    """A float64 one and one without a gradient among them."""
    model = CudaModel(cuda, "adam", OPTIONS[option], "float32", [(1 + i % 7,) for i in range(95)])
    lists = [model.variables, *model.slots]
    lists += [model.options[x] for x in ("averages", "accumulators") if x in model.options]
    for each in lists:
        each[50] = np.float64(each[50])
    plain = model.gradients

    def gradients():
        made = plain()
        made[50] = np.float64(made[50])
        return made

    model.gradients = gradients
    assert_steps(model, 2)


@pytest.mark.parametrize(
    "size",
    [
        pytest.param(2**18 + 5, id="more sums than lanes"),
        pytest.param(2**23 + 5, id="larger chunks", marks=pytest.mark.slow),
    ],
)
def test_large_tensors(cuda, size):
    model = CudaModel(cuda, "sgd", OPTIONS["norm"], "float32", [(size,), (3,)])
    assert_steps(model, 1)


@pytest.mark.parametrize("option", ["plain", "norm", "all"])
def test_the_same_bits_again(cuda, option):
    """Threads run in another order each time: see on_cpu/block.h."""
    results = set()
    for _ in range(3):
        model = CudaModel(cuda, "nadam", OPTIONS[option], "float32", [(7,), (9001,), (30, 78)])
        model.update(), model.update()
        results.add(b"".join(x.tobytes() for x in model.arrays()))
    assert len(results) == 1


@pytest.mark.parametrize("rule", ["adam", "nadam"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, -1])
@pytest.mark.parametrize("on_device", [None, "float32"])
@pytest.mark.parametrize("option", ["scale", "all"])
def test_a_gradient_that_is_not_finite_under_a_loss_scale(
    cuda, rule, bad, place, on_device, option
):
    """Of a call that updates, and of one that accumulates."""
    model = CudaModel(cuda, rule, OPTIONS[option], "float32", [(7,), (5001,)])
    model.on_device = on_device
    model.update(), model.update()
    before = [x.copy() for x in model.arrays()]
    gradients = model.gradients()
    gradients[1][place] = bad
    model.gradients = lambda: gradients
    assert model.update() == 0 and model.iterations == 2
    for a, b in zip(model.arrays(), before, strict=True):
        assert_same_bits(a, b)


@rules
def test_nan_stays_where_it_is(cuda, rule):
    model = CudaModel(cuda, rule, {}, "float32", [(40,)])
    gradients = model.gradients()
    gradients[0][3] = np.nan
    model.gradients = lambda: gradients
    model.update()
    assert np.flatnonzero(np.isnan(model.variables[0])).tolist() == [3]


def test_clipping_by_value_keeps_nan(cuda):
    model = CudaModel(cuda, "sgd", OPTIONS["value"], "float32", [(40,)])
    gradients = [np.float32(np.r_[np.nan, np.inf, -np.inf, 0.25, np.zeros(36)])]
    model.gradients = lambda: gradients
    before = model.variables[0]
    model.update()
    step = before[:4] - model.variables[0][:4]
    np.testing.assert_allclose(step, LEARNING_RATE * np.r_[np.nan, 0.5, -0.5, 0.25], 1e-4)


@pytest.mark.parametrize("rule", ["adam", "rmsprop"])
def test_roots_and_quotients_at_the_ends_of_their_range(cuda, rule):
    """Steps of 0 / 0, m / 0, m / inf, m / NaN, and of the smallest and largest velocities."""
    ends = np.float32([0, 1e-37, 1e-30, 1, 1e30, 3e38, np.inf, np.nan])
    velocity, x = np.tile(ends, 2), np.repeat(np.float32([0, 1e-3]), ends.size)
    options = {"rule": rule, "momentum": 0.5, "rho": 0.5, "learning_rate": 1.0, "iterations": 1000}
    with np.errstate(all="ignore"):
        if rule == "adam":  # x is the momentum, the gradient is 0: both slots are halved
            v = np.float64(velocity) + (0 - np.float64(velocity)) / 2
            slots, gradient, wanted = [x, velocity], 0 * x, x / 2 / np.sqrt(v)
        else:
            v = (np.float64(velocity) + np.float64(x) ** 2) / 2
            slots, gradient, wanted = [velocity], x, x / np.sqrt(v)
    tensor = {"variable": np.zeros_like(velocity), "gradient": gradient, "slots": slots}
    _, (after,), _ = cuda.run(step, options, [tensor], None)
    np.testing.assert_allclose(after["variable"], -wanted, rtol=TOLERANCES["float32"][0])


@pytest.mark.parametrize(("clip", "healthy"), [("norm", 0.0), ("global_norm", np.nan)])
def test_norms_that_are_not_finite(cuda, clip, healthy):
    """As Keras: a norm of inf makes its tensor 0, but inf / inf; the global one makes all NaN."""
    w, g = np.zeros([2, 3], "float32"), np.ones([2, 3], "float32")
    g[0, 1] = np.inf
    options = {"rule": "sgd", "learning_rate": 1.0, "clip": clip, "clip_at": 1.0}
    _, (after,), _ = cuda.run(step, options, [{"variable": w, "gradient": g}], None)
    assert np.isnan(after["variable"][0, 1])
    np.testing.assert_array_equal(np.delete(after["variable"].ravel(), 1), healthy)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_amsgrad_keeps_the_largest_velocity(cuda, dtype):
    """Of what is smaller than the present one, and of what is larger: the step is made of it."""
    model = CudaModel(cuda, "amsgrad", {}, dtype, [(70,), (33, 40)])
    model.update()
    for x in model.slots[2]:
        x.ravel()[::2] *= 8
    before = [x.copy() for x in model.slots[2]]
    assert_steps(model, 1)
    for old, new in zip(before, model.slots[2], strict=True):
        assert np.all(new.ravel()[::2] == old.ravel()[::2])
        assert np.any(new.ravel()[1::2] > old.ravel()[1::2])


@pytest.mark.parametrize(("frequency", "kept"), [(2, False), (3, True)])
def test_an_average_and_a_variable_without_a_gradient(cuda, frequency, kept):
    w, average = draw("float32", (70,), (70,))
    options = {"rule": "sgd", "iterations": 1, "ema_momentum": 0.75}
    options["ema_overwrite_frequency"] = frequency
    given = [{"variable": w.copy(), "average": average.copy()}]
    _, (after,), _ = cuda.run(step, options, given, None)
    mean = 0.75 * np.float64(average) + 0.25 * np.float64(w)
    assert_close(after["average"], mean, "float32")
    assert_close(after["variable"], w if kept else mean, "float32")


def test_weight_decay_of_some(cuda):
    w, g = draw("float32", (70,), (70,))
    options = {"rule": "sgd", "learning_rate": 0.5, "weight_decay": 0.25}
    given = [{"variable": w.copy(), "gradient": g, "decays": decays} for decays in (True, False)]
    _, after, _ = cuda.run(step, options, given, None)
    for x, kept in zip(after, (0.875, 1.0), strict=True):
        assert_close(x["variable"], np.float64(w) * kept - 0.5 * np.float64(g), "float32")


@pytest.mark.parametrize(
    ("options", "tensor", "message"),
    [
        ({"rule": "adagrad"}, {}, "rule must be FG_SGD"),
        ({"rule": "nadam"}, {}, "Nadam needs a u_product"),
        ({"rule": "adam"}, {"variable": np.ones(4, "float16")}, "tensor 0 must be float32"),
        ({"rule": "adam"}, {"slots": [np.ones(4, "float32")]}, "tensor 0 has no slot 1"),
        ({"rule": "sgd", "accumulation_steps": 2}, {}, "tensor 0 has no accumulator"),
        (
            {"rule": "sgd", "device_learning_rate": np.ones(1, "float16")},
            {},
            "a learning rate on the device must be float32",
        ),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_refuses(cuda, options, tensor, message):
    tensor = {"variable": np.ones(4, "float32"), "gradient": np.ones(4, "float32"), **tensor}
    with pytest.raises(KernelError, match=f"^optimizer_update: {message}"):
        cuda.run(step, options, [tensor], None)


def test_no_tensors(cuda):
    _, _, applied = cuda.run(step, {"rule": "sgd", "loss_scale": 2.0}, [], np.zeros(1, np.int32))
    assert applied[0] == 1
