"""One step of every optimizer against the same formulas in float64."""

import numpy as np
import pytest

from tests.core import optimizer_reference as reference
from tests.core.cases import BEYOND_A_SHARE, SIZES, assert_same_bits, core, draw, stated, unit
from tests.tolerances import TOLERANCES, assert_close

RULES = reference.RULES
SHAPES = [*((n,) for n in SIZES), (33, 64), (2, 3, 5), (1,), ()]
LEARNING_RATE = 0.01
OPTIONS = {
    "plain": {},
    "value": {"clip": "value", "clip_at": 0.5},
    "norm": {"clip": "norm", "clip_at": 3.0},
    "no_norm": {"clip": "norm", "clip_at": 1e4},
    "global_norm": {"clip": "global_norm", "clip_at": 3.0},
    "decay": {"weight_decay": 0.125},
    "average": {"ema_momentum": 0.9},
    "overwrite": {"ema_momentum": 0.9, "ema_overwrite_frequency": 2},
    "accumulate": {"accumulation_steps": 3},
    "scale": {"loss_scale": 8.0},
    "all": {
        "clip": "norm", "clip_at": 3.0, "weight_decay": 0.125, "ema_momentum": 0.9,
        "ema_overwrite_frequency": 2, "accumulation_steps": 2, "loss_scale": 8.0,
    },
}  # fmt: skip
rules = pytest.mark.parametrize("rule", RULES)


class Model:
    """Arrays of a model with one variable that has no gradient, and an optimizer's state."""

    def __init__(self, rule, options, dtype, shapes=SHAPES):
        self.name, self.fixed, self.places = RULES[rule]
        self.options = {**self.fixed, **options}
        self.dtype, self.iterations, self.shapes = dtype, 0, shapes
        whole = [*shapes, (4, 5)]
        self.variables = draw(dtype, *whole)
        self.slots = [[np.zeros(s, dtype) for s in shapes] for _ in self.places]
        for name, wanted in {
            "averages": "ema_momentum" in options,
            "accumulators": "accumulation_steps" in options,
        }.items():
            if wanted:
                self.options[name] = [np.zeros(s, dtype) for s in whole]
        if self.name == "nadam":
            self.options["u_product"] = np.ones([1], dtype)

    def gradients(self):
        return [
            (1 + np.arange(np.prod(shape)) % 7 / 3).reshape(shape).astype(self.dtype)
            * draw(self.dtype, shape)[0]
            * (1.0, -0.5)[self.iterations % 2]  # sums of several are not 0
            for shape in self.shapes
        ]

    def arguments(self):
        return (self.variables, self.gradients(), self.slots, LEARNING_RATE)

    def update(self):
        done = core.optimizer_update(
            self.name, self.iterations, *self.arguments(), slot_places=self.places, **self.options
        )
        self.iterations += done
        return done

    def arrays(self):
        lists = [self.variables, *self.slots]
        lists += [self.options.get(name, []) for name in ("averages", "accumulators")]
        return [x for each in lists for x in each] + [self.options.get("u_product", np.ones([1]))]

    def expected(self):
        """The arrays after the coming step, in float64."""
        copies = {id(x): np.asarray(x, "float64").copy() for x in self.arrays()}

        def wide(value):
            if isinstance(value, list):
                return [wide(x) for x in value]
            return copies.get(id(value), value)

        options = {name: wide(value) for name, value in self.options.items()}
        lists = wide(self.variables), [np.float64(g) for g in self.gradients()], wide(self.slots)
        reference.step(self.name, self.iterations, *lists, LEARNING_RATE, **options)
        return [copies[id(x)] for x in self.arrays() if id(x) in copies]


@rules
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_matches_reference(rule, option, dtype):
    """Four steps, each from where the kernel stands: later ones have a state."""
    model = Model(rule, OPTIONS[option], dtype, SHAPES[1:6] + SHAPES[7:])
    for _ in range(4):
        expected = model.expected()
        assert model.update()
        for actual, wanted in zip(model.arrays(), expected, strict=False):
            assert_close(actual, wanted, dtype)


@rules
def test_every_isa_and_size(isa, rule):
    model = Model(rule, OPTIONS["global_norm"], "float32")
    for _ in range(2):
        expected = model.expected()
        model.update()
        for actual, wanted in zip(model.arrays(), expected, strict=False):
            assert_close(actual, wanted, "float32")


@rules
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_error_is_as_stated(isa, rule, dtype):
    assert "16 u (|w| + s / c)" in stated("kernels/optimizer_update.h", "Error")
    model = Model(rule, {}, dtype, [(BEYOND_A_SHARE,)])
    for _ in range(3):
        before, expected, step = (
            np.float64(model.variables[0]),
            model.expected()[0],
            one_sign(model),
        )
        rho = model.fixed.get("rho") if model.name in ("adam", "nadam") else 0
        c = 1 - rho ** (model.iterations + 1)
        model.update()
        allowed = 16 * unit(dtype) * (np.abs(before) + step / c)
        assert np.all(np.abs(model.variables[0] - expected) <= allowed)


def one_sign(model):
    """The size of the first variable's step if all its terms had one sign."""
    sign = -1 if model.name == "sgd" else 1  # whose momentum has the step's sign
    slots = [[sign * np.abs(np.float64(x)) for x in kind] for kind in model.slots]
    w, g = np.zeros(model.shapes[0]), np.abs(np.float64(model.gradients()[0]))
    options = {name: np.copy(value) for name, value in model.options.items()}
    reference.step(model.name, model.iterations, [w], [g], slots, LEARNING_RATE, **options)
    return np.abs(w)


@pytest.mark.parametrize("option", ["plain", "global_norm", "all"])
def test_same_bits_on_any_number_of_threads(isa, threads, option):
    results = []
    for n in threads:
        core.set_threads(n)
        model = Model("nadam", OPTIONS[option], "float32", [(7,), (BEYOND_A_SHARE,), (150, 784)])
        model.update(), model.update()
        results.append(model.arrays())
    for other in results[1:]:
        for a, b in zip(results[0], other, strict=True):
            assert_same_bits(a, b)


def test_a_float64_variable_among_float32_ones():
    model = Model("adam", {}, "float32")
    for lists in (model.variables, *model.slots):
        lists[3] = np.float64(lists[3])
    gradients = model.gradients()
    gradients[3] = np.float64(gradients[3])
    model.gradients = lambda: gradients
    expected = model.expected()
    model.update()
    for actual, wanted in zip(model.arrays(), expected, strict=False):
        assert_close(actual, wanted, actual.dtype)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", [0, -1])
def test_a_gradient_that_is_not_finite_under_a_loss_scale(isa, bad, place):
    model = Model("adam", OPTIONS["scale"], "float32", [(7,), (BEYOND_A_SHARE,)])
    model.update()
    before = [x.copy() for x in model.arrays()]
    gradients = model.gradients()
    gradients[1][place] = bad
    model.gradients = lambda: gradients
    assert not model.update()
    for a, b in zip(model.arrays(), before, strict=True):
        assert_same_bits(a, b)


@rules
def test_nan_stays_where_it_is(rule):
    model = Model(rule, {}, "float32", [(40,)])
    gradients = model.gradients()
    gradients[0][3] = np.nan
    model.gradients = lambda: gradients
    model.update()
    assert np.flatnonzero(np.isnan(model.variables[0])).tolist() == [3]


@pytest.mark.parametrize("rule", ["adam", "rmsprop"])
def test_roots_and_quotients_at_the_ends_of_their_range(isa, rule):
    """Steps of 0 / 0, m / 0, m / inf, m / NaN, and of the smallest and largest velocities."""
    ends = np.float32([0, 1e-37, 1e-30, 1, 1e30, 3e38, np.inf, np.nan])
    velocity, x = np.tile(ends, 2), np.repeat(np.float32([0, 1e-3]), ends.size)
    w, options = np.zeros_like(velocity), {"momentum": 0.5, "rho": 0.5, "epsilon": 0.0}
    with np.errstate(all="ignore"):
        if rule == "adam":  # x is the momentum, the gradient is 0: both slots are halved
            v = np.float64(velocity) + (0 - np.float64(velocity)) / 2
            slots, gradient, step = [x.copy(), velocity], 0 * x, x / 2 / np.sqrt(v)
        else:
            v = (np.float64(velocity) + np.float64(x) ** 2) / 2
            slots, gradient, step = [velocity], x, x / np.sqrt(v)
            options["momentum"] = 0.0
    core.optimizer_update(
        rule, 1000, [w], [gradient], [[s] for s in slots], 1.0,
        slot_places=tuple(range(len(slots))), **options,
    )  # fmt: skip
    np.testing.assert_allclose(w, -step, rtol=TOLERANCES["float32"][0])


def test_norms_that_are_not_finite():
    """As Keras: a norm of inf makes its tensor 0, but inf / inf; the global one makes all NaN."""
    for clip, healthy in (("norm", 0.0), ("global_norm", np.nan)):
        w, g = np.zeros([2, 3], "float32"), np.ones([2, 3], "float32")
        g[0, 1] = np.inf
        core.optimizer_update("sgd", 0, [w], [g], [], 1.0, clip=clip, clip_at=1.0)
        assert np.isnan(w[0, 1])
        np.testing.assert_array_equal(np.delete(w.ravel(), 1), healthy)


@pytest.mark.parametrize(
    "change",
    [
        {"rule": "adagrad"},
        {"clip": "everything"},
        {"gradients": [np.ones([3], "float32"), np.ones([3], "float32")]},
        {"gradients": [np.ones([2, 2], "float32")]},
        {"gradients": [np.ones([4])]},
        {"variables": [np.ones([4], "float16")], "gradients": [np.ones([4], "float16")]},
        {"variables": [np.ones([8], "float32")[::2]]},
        {"slots": [], "slot_places": ()},
        {"slots": [[], []]},
        {"slot_places": (0, 3)},
        {"averages": [np.ones([5], "float32")]},
        {"accumulation_steps": 2},
        {"rule": "nadam"},
    ],
    ids=lambda change: ",".join(change),
)
def test_wrong_arguments(change):
    w = np.ones([4], "float32")
    given = {
        "rule": "adam",
        "iterations": 0,
        "variables": [w],
        "gradients": [np.ones([4], "float32")],
        "slots": [[np.ones([4], "float32")], [np.ones([4], "float32")]],
        "slot_places": (0, 1),
        "learning_rate": 0.1,
    }
    with pytest.raises(ValueError, match="^optimizer_update: "):
        core.optimizer_update(**{**given, **change})
    np.testing.assert_array_equal(w, 1)
