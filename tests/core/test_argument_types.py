"""Every argument of every function, of a type it should not have: refused in the module's words."""

import re

import numpy as np
import pytest

from tests.core.cases import core


def parameters(function):
    signature = getattr(core, function).__doc__.split("\n")[0]
    return re.findall(r"(\w+):", signature[: signature.rindex(")")])


FUNCTIONS = [name for name in dir(core) if not name.startswith("_") and parameters(name)]


class Deceiving:
    """Whatever Python asks of it fails."""

    def __index__(self):
        raise TypeError("no integer")

    __float__ = __bool__ = __array__ = __len__ = __getitem__ = __dlpack_device__ = __index__


WRONG = [
    None, "text", b"text", 1.5, -1, np.float32(2.5), 1 + 2j, 10**400, 2**70, object(), Deceiving(),
    {}, [], (), [None], ["a", 1], {"a": 1}, {1}, np, len, float, [[1.0], [1.0, 2.0]],
    np.array(None), np.array("text"), np.zeros([2, 0]), np.zeros([3, 1, 2], "int8"),
    (Deceiving(),), [Deceiving()] * 2,
]  # fmt: skip


def layers(penalty=None):
    """One with all that a layer may have."""
    arrays = np.ones([2, 2]), np.ones([2])
    return [(*arrays, ("leaky_relu", 0.2), False, ("dropout", 0.5), penalty)]


def optimizer():
    """With every option but a loss scale, which networks do not take."""
    return {
        "rule": "nadam", "iterations": 0, "learning_rate": 0.1, "variation": False,
        "slots": [[np.ones([2, 2]), np.ones([2])] for _ in range(2)], "slot_places": [0, 1],
        "momentum": 0.5, "rho": 0.5, "epsilon": 1e-7, "weight_decay": 0.0, "clip": "nothing",
        "clip_at": 0.0, "ema_momentum": 0.5, "ema_overwrite_frequency": 0,
        "averages": [np.ones([2, 2]), np.ones([2])], "accumulation_steps": 1, "accumulators": [],
        "u_product": np.ones([1]),
    }  # fmt: skip


def good(function):
    """Arguments by name; what is not named here is an array of shape [3, 2], outputs too."""
    row, seeds, end = np.full([3], 0.5), np.ones([1, 1, 2], int), (np.ones([2, 1]), None, "sigmoid")
    sgd = {"rule": "sgd", "iterations": 0, "learning_rate": 0.1}
    shared = {
        "seed": (1, 2), "d_kl": row, "d_loss": row, "label_smoothing": 0.1, "precision": "float32",
        "activation": "relu", "kernel": np.ones([2, 2]), "bias": np.ones([2]), "rate": 0.5,
        "stddev": 0.5, "target": 0.1, "kind": "kl", "activity": np.full([2], 0.5),
        "d_penalty": np.array(1.0), "d_activity": np.ones([2]), "layers": layers(),
    }  # fmt: skip
    own = {
        "random_normal": {"shape": (3, 2), "dtype": "float64"},
        "philox": {"counter": [0] * 4, "key": [0] * 2},
        "set_isa": {"name": core.isa()},
        "set_threads": {"n": core.threads()},
        "fma_peak": {"panels": 2, "iterations": 2},
        "triad": {**{name: np.ones([3], "float32") for name in "abc"}, "scale": 2.0},
        "gaussian_kl": {"out": row.copy()},
        "gaussian_kl_grad": {"out": (np.ones([3, 2]), np.ones([3, 2]))},
        "gaussian_sample_kl": {"out": (np.ones([3, 2]), row.copy())},
        "gaussian_sample_kl_grad": {"out": (np.ones([3, 2]), np.ones([3, 2]))},
        "sincos2pi": {"out": (np.ones([3, 2]), np.ones([3, 2]))},
        "sigmoid_cross_entropy": {"out": row.copy()},
        "dense_transpose_cross_entropy": {"out": row.copy()},
        "sparsity": {"out": (np.array(1.0), np.ones([2]))},
        "mlp_forward": {"seeds": seeds},
        "mlp_grad": {"seeds": seeds},
        "optimizer_update": {
            "rule": "sgd", "iterations": 0, "slots": [],
            "variables": [np.ones([2])], "gradients": [np.ones([2])], "learning_rate": 0.5,
        },
        "autoencoder_step": {
            "layers": [*layers(("kl", 1.0, 0.1)), (np.ones([2, 2]), None, "sigmoid")],
            "optimizer": sgd, "rows": [[0, 1]], "loss": "binary_crossentropy",
            "reconstruction_scale": 1.0,
            "log_variance": None, "seeds": seeds[0], "kl_scales": [1.0], "rates": [0.1],
            "corruption": seeds, "done": np.zeros([1], "int64"),
        },
        "discriminator_update": {
            "layers": [end], "optimizer": sgd, "targets": np.ones([6]), "corruption": None,
        },
        "gan_step": {
            "generator": layers(), "generator_optimizer": optimizer(), "discriminator": [end],
            "discriminator_optimizer": sgd, "rows": [[[0, 1]]], "seeds": np.ones([1, 2, 2], int),
            "targets": np.ones([1, 1, 2, 2]), "discriminator_rates": [[0.1]],
            "generator_rates": [0.1], "discriminator_corruption": None, "corrupts_fakes": False,
            "generator_corruption": np.ones([2, 1, 2], int), "done": np.zeros([2], "int64"),
        },
    }  # fmt: skip
    named = shared | own.get(function, {})
    return {name: named.get(name, np.full([3, 2], 0.5)) for name in parameters(function)}


def attempt(function, arguments, what):
    """What is not refused is taken, as numbers are for arrays."""
    try:
        getattr(core, function)(**arguments)
    except ValueError as error:
        told = str(error)
        assert re.match(rf"(?s){function}: .*[Rr]eceived: .+", told), (what, told)
    except Exception as error:
        raise AssertionError(f"{what}: {error!r}") from error


@pytest.mark.parametrize("function", FUNCTIONS)
def test_each_argument_of_each_type(function, threads, isa):
    getattr(core, function)(**good(function))
    for name in parameters(function):
        for wrong in WRONG:
            attempt(function, good(function) | {name: wrong}, (name, wrong))


@pytest.mark.parametrize("function", ["mlp_forward", "autoencoder_step"])
@pytest.mark.parametrize("part", range(6))
def test_each_part_of_a_layer(function, part):
    for wrong in WRONG:
        arguments = good(function)
        first, *others = arguments["layers"]
        changed = (*first[:part], wrong, *first[part + 1 :])
        attempt(function, arguments | {"layers": [changed, *others]}, (part, wrong))


@pytest.mark.parametrize("option", [*optimizer(), "loss_scale", "no such option"])
def test_each_option(option):
    for wrong in WRONG[option == "u_product" :]:  # for None is none
        options = optimizer() | {option: wrong}
        attempt("gan_step", good("gan_step") | {"generator_optimizer": options}, (option, wrong))
        if option in ("rule", "iterations", "learning_rate"):
            continue
        update = good("optimizer_update") | {option: wrong}
        attempt("optimizer_update", update, (option, wrong))


@pytest.mark.parametrize(
    ("function", "name", "wrong", "message"),
    [
        ("dense", "precision", None, "dense: precision must be a string. Received: precision=None"),
        ("mlp_grad", "precision", 1, "must be a string. Received: precision=1"),
        ("dense", "activation", b"relu", "must be a string. Received: activation=b'relu'"),
        ("dropout", "rate", "half", "rate must be a number. Received: rate='half'"),
        ("gaussian_noise", "stddev", None, "stddev must be a number. Received: stddev=None"),
        ("sparsity", "target", [0.1], "target must be a number. Received: target of type list"),
        ("triad", "scale", 1j, "scale must be a number. Received: scale=1j"),
        ("set_threads", "n", 1.5, "set_threads: n must be an integer. Received: n=1.5"),
        ("set_threads", "n", np.float32(2.5), "an integer. Received: n=np.float32(2.5)"),
        ("set_threads", "n", 2**40, "n is out of range. Received: n=1099511627776"),
        ("set_isa", "name", None, "name must be a string. Received: name=None"),
        ("mlp_forward", "layers", None, "must be a list or a tuple. Received: layers=None"),
        ("mlp_forward", "layers", {}, "must be a list or a tuple. Received: layers of type dict"),
        ("gan_step", "generator_optimizer", [], "must be a dict. Received: generator_optimizer of"),
        ("gan_step", "corrupts_fakes", None, "must be True or False. Received: corrupts_fakes="),
        ("autoencoder_step", "log_variance", 0.5, "must be an integer. Received: log_variance=0.5"),
        ("optimizer_update", "iterations", None, "must be an integer. Received: iterations=None"),
        ("optimizer_update", "variables", {}, "or a tuple. Received: variables of type"),
        ("optimizer_update", "momentum", None, "must be a number. Received: momentum=None"),
    ],
)
def test_messages(function, name, wrong, message):
    with pytest.raises(ValueError, match=f"^{function}: {name} ") as raised:
        getattr(core, function)(**good(function) | {name: wrong})
    assert message in str(raised.value)


def test_numbers_of_any_library(threads):
    """And tuples for lists."""
    x = np.ones([4])
    for rate in (np.float32(0.5), np.array(0.5), True):
        expected = core.dropout(x, float(rate), (1, 2))
        np.testing.assert_array_equal(core.dropout(x, rate, (1, 2)), expected)
    for n in (np.int8(2), np.array(2), np.float32(2)):
        core.set_threads(n)
        assert core.threads() == 2
    w = np.ones([2])
    assert core.optimizer_update("sgd", np.int64(0), (w,), (np.ones([2]),), (), np.float64(0.5))
    assert w.tolist() == [0.5, 0.5]


def test_what_ends_a_program_is_not_taken_for_a_wrong_type():
    class Ends:
        def __float__(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        core.dropout(np.ones([4]), Ends(), (1, 2))
