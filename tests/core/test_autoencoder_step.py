"""Steps of autoencoders, variational or not, against the same in float64."""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, core
from tests.core.dense_networks import (
    arrays_of,
    assert_as_reference,
    assert_told,
    assert_unchanged,
    copies,
    layers_of,
    on_every_thread_count,
    optimizer_of,
)
from tests.core.mlp_reference import Autoencoder
from tests.tolerances import assert_close

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
NUMBER, PIXELS, CODINGS = 50, 12, 3
LOSSES = ("binary_crossentropy", "mean_squared_error")


def plain(dtype, last="sigmoid"):
    return layers_of(dtype, (PIXELS, 9, CODINGS, 9, PIXELS), ("selu", "tanh", "selu", last))


def variational(dtype, last="sigmoid"):
    """The layers; their third is that of the log variance."""
    layers = plain(dtype, last)
    layers[1] = (*layers[1][:2], "linear")
    return [*layers[:2], *layers_of(dtype, (9, CODINGS), ("linear",), key=7), *layers[2:]]


class Training:
    """A network with its optimizer, images, and what a call is fed with."""

    def __init__(self, dtype, layers=None, rule="adam", images="uint8", **options):
        self.dtype, self.layers = dtype, variational(dtype) if layers is None else layers
        self.log_variance = 2 if len(self.layers) == 5 else None
        self.optimizer = optimizer_of(self.layers, rule, **options)
        rng = np.random.default_rng(PIXELS)
        self.images = rng.integers(0, 256, (NUMBER, self.layers[0][0].shape[0])).astype("uint8")
        if images != "uint8":
            self.images = (self.images / 255).astype(images)

    def feed(self, steps, batch=20, first=0):
        """Rows and seeds of `steps` steps from `first` on, which depend on the step alone."""
        rows, seeds = np.zeros([steps, batch], "int64"), np.zeros([steps, 2], "int64")
        for step in range(steps):
            rng = np.random.default_rng([first + step, batch])
            rows[step] = rng.integers(0, NUMBER, batch)
            seeds[step] = rng.integers(-(2**63), 2**63 - 1, 2)
        return {"rows": rows, "seeds": seeds}

    def run(self, **given):
        done = np.full([1], -1, "int64")
        given = {"log_variance": self.log_variance, **given}
        try:
            return core.autoencoder_step(
                self.layers, self.optimizer, self.images, done=done, **given
            )
        finally:
            self.done = int(done[0])
            self.optimizer["iterations"] += self.done

    def compare(self, n, **given):
        reference = Autoencoder(self.layers, self.optimizer, self.log_variance)
        expected = reference.steps(self.images, dtype=self.dtype, **given)
        told = self.run(**given)
        assert self.done == len(given["rows"])
        assert_told(told, expected, self.dtype, n * PIXELS)
        assert_as_reference(self.layers, self.optimizer, reference, self.dtype, n)

    def arrays(self):
        return arrays_of(self.layers, self.optimizer)

    def copies(self):
        return copies(self.layers, self.optimizer)

    def assert_unchanged(self, before):
        assert_unchanged(self.layers, self.optimizer, before)


@dtypes
@pytest.mark.parametrize("batch", [1, 7, 32, 33, 64, 130])
@pytest.mark.parametrize("make", [plain, variational])
def test_one_step(isa, dtype, batch, make):
    training = Training(dtype, make(dtype))
    training.compare(batch, **training.feed(1, batch))


@dtypes
@pytest.mark.parametrize("rule", ["sgd", "rmsprop", "adam", "nadam"])
@pytest.mark.parametrize("loss", LOSSES)
def test_three_steps(isa, dtype, rule, loss):
    training = Training(dtype, variational(dtype, "linear"), rule, dtype)
    kl_scales, rates = np.array([0.0, 0.5, 2.0]), np.array([0.01, 0.02, 0.005])
    given = {"loss": loss, "kl_scales": kl_scales, "rates": rates}
    training.compare(60, **given, reconstruction_scale=0.25, **training.feed(3))
    training.compare(20, loss=loss, **training.feed(1, first=3))


@dtypes
@pytest.mark.parametrize("last", ["sigmoid", "tanh", "selu"])
def test_squared_errors_through_an_activation(isa, dtype, last):
    training = Training(dtype, plain(dtype, last))
    training.compare(40, loss="mean_squared_error", **training.feed(2))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("kind", ["uint8", "float32"])
def test_targets(isa, loss, kind):
    layers = layers_of("float32", (PIXELS, 9, 7), ("selu", "sigmoid"))
    training = Training("float32", layers)
    targets = np.random.default_rng(5).integers(0, 256, (NUMBER, 7)).astype("uint8")
    targets = targets if kind == "uint8" else (targets / 255).astype(kind)
    training.compare(40, loss=loss, targets=targets, **training.feed(2))


def test_clipping_by_the_global_norm(isa):
    options = {"clip": "global_norm", "clip_at": 0.0625, "weight_decay": 0.125}
    training = Training("float32", **options)
    training.compare(40, **training.feed(2))


def test_tied_layers(isa):
    (kernel, bias, _), *_ = layers_of("float32", (PIXELS, 9), ("selu",))
    back = (kernel, np.zeros([PIXELS], "float32"), "sigmoid", True)
    training = Training("float32", [(kernel, bias, "selu"), back])
    training.compare(40, **training.feed(2))


def test_heads_that_read_the_images(isa):
    """No layer before the two heads, which is where no gradient goes on."""
    layers = layers_of("float32", (PIXELS, CODINGS, PIXELS), ("linear", "sigmoid"))
    head = layers_of("float32", (PIXELS, CODINGS), ("linear",), key=3)
    training = Training("float32", [layers[0], *head, layers[1]])
    training.log_variance = 1
    training.compare(40, **training.feed(2))


def test_the_sizes_of_the_book(isa):
    sizes, activations = (784, 150, 100, 10), ("selu", "selu", "linear")
    head = layers_of("float32", (100, 10), ("linear",), key=7)
    decoder = layers_of("float32", (10, 100, 150, 784), ("selu", "selu", "sigmoid"))
    training = Training("float32", [*layers_of("float32", sizes, activations), *head, *decoder])
    training.log_variance = 3
    training.compare(32 * 784 / PIXELS, **training.feed(1, 32))


@dtypes
def test_the_noise_is_that_of_random_normal(isa, dtype):
    """Codings that are the noise, a decoder that passes them on: the loss is that of the noise."""
    zeros, head = np.zeros([PIXELS, PIXELS], dtype), lambda x: (x, None, "linear")
    layers = [head(zeros), head(zeros.copy()), head(np.eye(PIXELS, dtype=dtype))]
    training = Training(dtype, layers, "sgd")
    training.log_variance = 1
    given = training.feed(1)
    targets = np.zeros([NUMBER, PIXELS], dtype)
    told = training.run(targets=targets, loss="mean_squared_error", rates=[0.0], **given)
    noise = core.random_normal([20, PIXELS], given["seeds"][0], dtype).astype("float64")
    assert_close(told["reconstruction_loss"], [np.mean(np.sum(noise**2, 1))], dtype, PIXELS)
    assert_same_bits(told["kl"], np.zeros(1))


def test_sure_logits_have_a_loss_and_a_gradient(isa):
    """At a logit of ±200, where a sigmoid is 0 or 1."""
    kernel = np.diag([200.0, -200.0]).astype("float32")
    training = Training("float32", [(kernel, None, "sigmoid")], "sgd")
    training.images = np.ones([1, 2], "float32")
    told = training.run(rows=[[0]], rates=[1.0])
    assert_close(told["loss"], [200.0], "float32")
    assert_close(kernel, [[200.0, 1.0], [0.0, -199.0]], "float32")


@dtypes
def test_many_steps_in_a_call_are_as_many_calls(isa, dtype):
    together, apart = Training(dtype, rule="nadam"), Training(dtype, rule="nadam")
    told = together.run(**together.feed(4))
    each = [apart.run(**apart.feed(1, first=step)) for step in range(4)]
    together.assert_unchanged(apart.copies())
    for name, values in told.items():
        assert_same_bits(values, np.concatenate([x[name] for x in each]))


@pytest.mark.parametrize("option", [{}, {"clip": "global_norm", "clip_at": 0.0625}], ids=str)
def test_threads_do_not_change_a_bit(isa, threads, option):
    for batch in (40, 130):

        def run(batch=batch):
            training = Training("float32", **option)
            told = training.run(**training.feed(2, batch))
            return [*training.arrays(), *told.values()]

        on_every_thread_count(threads, run)


def test_no_steps(isa):
    training = Training("float32")
    before = training.copies()
    told = training.run(**training.feed(0))
    assert training.done == 0 and told.pop("activity").shape == (0, 0)
    assert all(values.shape == (0,) for values in told.values())
    training.assert_unchanged(before)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("poison", [np.nan, np.inf])
def test_a_loss_that_is_not_finite(isa, loss, poison):
    """What came before stands, and nothing else."""
    trainings = [Training("float32", images="float32") for _ in range(2)]
    given = trainings[0].feed(3)
    given["rows"][given["rows"] == 7] = 8
    trainings[1].run(loss=loss, rows=given["rows"][:1], seeds=given["seeds"][:1])
    trainings[0].images[7], given["rows"][1, 11] = poison, 7
    message = (
        "^autoencoder_step: the loss is not finite in step 1 of 3: the step updated nothing, what "
        "came before stands$"
    )
    with pytest.raises(ValueError, match=message):
        trainings[0].run(loss=loss, **given)
    assert trainings[0].done == 1
    trainings[0].assert_unchanged(trainings[1].copies())


def refusals():
    layers = variational("float32")
    training = Training("float32", layers)
    given = training.feed(2, 4)
    outside = given["rows"].copy()
    outside[1, 2] = NUMBER
    good = {
        "layers": layers, "optimizer": training.optimizer, "images": training.images,
        "log_variance": 2, **given,
    }  # fmt: skip
    codings = np.zeros([NUMBER, CODINGS], "float32")
    relu = [*layers[:1], (*layers[1][:2], "relu"), *layers[2:]]
    tanh = [*layers[:-1], (*layers[-1][:2], "tanh")]
    wrong = {
        r"rows must be in \[0, 50\). Received: 50": {"rows": outside},
        r"rows must be in \[0, 0\)": {"images": training.images[:0]},
        "rows must be integers of shape.*Received: rows.shape=": {"rows": given["rows"][0]},
        "seeds must be integers of shape": {"seeds": given["seeds"][:1]},
        "batch 1 or more. Received: 2, 0": {"rows": given["rows"][:, :0]},
        r"kl_scales must be of shape \[steps\]": {"kl_scales": [1.0]},
        r"rates must be of shape \[steps\]": {"rates": [1.0]},
        "loss must be one of binary_crossentropy": {"loss": "mse"},
        "of a sigmoid or of logits": {"layers": tanh, "optimizer": optimizer_of(tanh)},
        "log_variance must be the place of a layer. Received: 5": {"log_variance": 5},
        "layer 0, a log variance, must be linear": {"log_variance": 0},
        "layer 2, a log variance, must be .* before another layer": {
            "layers": layers[:3], "optimizer": optimizer_of(layers[:3]), "targets": codings,
        },
        "layer 2, a log variance, must be": {"layers": relu, "optimizer": optimizer_of(relu)},
        "layer 2 must take the 3 units of the one before. Received: 9": {"log_variance": None},
        "targets must have shape": {"targets": training.images[:, 1:]},
        "targets must have .*a row for each image": {"targets": training.images[1:]},
        "without targets there must be as many outputs": {
            "layers": layers[:-1], "optimizer": optimizer_of(layers[:-1]),
            "loss": "mean_squared_error",
        },
        "images must have the dtype": {"images": np.float64(training.images)},
        "out for done must be": {"done": np.zeros([2], "int64")},
    }  # fmt: skip
    return {rule: (good, change) for rule, change in wrong.items()}


@pytest.mark.parametrize("rule", refusals())
def test_refusals(rule):
    good, change = refusals()[rule]
    before = copies(good["layers"], good["optimizer"])
    with pytest.raises(ValueError, match=f"^autoencoder_step: .*{rule}"):
        core.autoencoder_step(**good | change)
    assert_unchanged(good["layers"], good["optimizer"], before)
