"""Steps of autoencoders whose layers have sparsity penalties, against the same in float64."""

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, assert_within, core, stated, unit
from tests.core.dense_networks import (
    assert_unchanged,
    copies,
    discriminator,
    generator,
    layers_of,
    on_every_thread_count,
    optimizer_of,
)
from tests.core.mlp_reference import layer_of
from tests.core.test_autoencoder_step import PIXELS, Training, plain, variational

dtypes = pytest.mark.parametrize("dtype", ["float32", "float64"])
KL, L1, MSE = ("kl", 0.5, 0.1), ("l1", 0.25, 0.0), ("mse", 2.0, -0.3)
# Of each layer its activation and its penalty.
STACKS = {
    "kl": (("selu", None), ("sigmoid", KL), ("selu", None)),
    "l1": (("selu", None), ("relu", L1), ("tanh", L1)),
    "mse": (("leaky_relu", MSE), ("tanh", None), ("selu", None)),
    "all": (("sigmoid", KL), ("tanh", L1), ("gelu_tanh", MSE)),
}


def penalised(layers, *penalties, corruptions=None):
    """The layers with these penalties, and with corruptions."""
    corruptions = corruptions or [None] * len(layers)
    of_each = zip(layers, corruptions, penalties, strict=True)
    return [(*layer_of(*layer)[:4], how, penalty) for layer, how, penalty in of_each]


def stack(dtype, name, **how):
    activations, penalties = zip(*STACKS[name], strict=True)
    layers = layers_of(dtype, (PIXELS, 9, 70, 9, PIXELS), (*activations, "sigmoid"))
    return penalised(layers, *penalties, None, **how)


@dtypes
@pytest.mark.parametrize("batch", [1, 7, 32, 33, 256])
@pytest.mark.parametrize("name", STACKS)
def test_one_step(isa, dtype, batch, name):
    training = Training(dtype, stack(dtype, name))
    training.compare(batch, **training.feed(1, batch))


@dtypes
@pytest.mark.parametrize("rule", ["sgd", "nadam"])
@pytest.mark.parametrize("name", STACKS)
def test_three_steps(isa, dtype, rule, name):
    training = Training(dtype, stack(dtype, name), rule)
    how = {"loss": "mean_squared_error", "reconstruction_scale": 1 / PIXELS}
    training.compare(60, rates=np.array([0.01, 0.02, 0.005]), **how, **training.feed(3))


def test_units_that_are_always_on_have_no_gradient_of_kl(isa):
    """Means are clipped: at 1 - 1e-7 and above, and at 1e-7 and below."""
    layers = stack("float64", "kl")
    layers[1][1][:3] = 60, -60, 25
    training = Training("float64", layers)
    training.compare(40, **training.feed(1))


@pytest.mark.parametrize("name", STACKS)
def test_what_is_corrupted_is_penalised_before(isa, name):
    dropout, noise = ("dropout", 0.3), ("gaussian", 0.5)
    layers = stack("float64", name, corruptions=[noise, dropout, noise, dropout])
    training = Training("float64", layers)
    corruption = np.random.default_rng(1).integers(-(2**63), 2**63 - 1, (2, 4, 2))
    training.compare(40, corruption=corruption, **training.feed(2))


def test_a_tied_kernel(isa):
    (kernel, bias, _), *_ = layers_of("float64", (PIXELS, 9), ("sigmoid",))
    back = (kernel, np.zeros([PIXELS]), "sigmoid", True)
    training = Training("float64", penalised([(kernel, bias, "sigmoid"), back], KL, None))
    training.compare(40, **training.feed(2))


def test_a_variational_autoencoder(isa):
    """On what comes before the heads, on the mean, and in the decoder."""
    layers = penalised(variational("float64"), L1, MSE, None, ("mse", 1.0, 0.25), None)
    training = Training("float64", layers)
    training.compare(40, kl_scales=np.array([0.5, 2.0]), **training.feed(2))


@pytest.mark.parametrize("kind", ["kl", "l1", "mse"])
def test_a_weight_of_0_tells_the_activity(isa, kind):
    """The rest is the step of the layers without a penalty, to the bit."""
    training, other = Training("float32", plain("float32")), Training("float32", plain("float32"))
    expected = other.run(**other.feed(2))
    training.layers = penalised(training.layers, None, (kind, 0.0, 0.5), None, None)
    told = training.run(**training.feed(2))
    assert told["activity"].all() and expected["activity"].shape == (2, 0)
    for name in ("loss", "penalty", "gradient_norm"):
        assert_same_bits(told[name], expected[name])


@dtypes
@pytest.mark.parametrize("batch", [1, 17, 32, 200])
def test_activity_is_as_exact_as_stated(isa, dtype, batch):
    """Layers that pass on what they get: the mean of one unit."""
    assert "9 u mean(|a|)" in stated("kernels/autoencoder_step.h", "Error")
    one = np.ones([1, 1], dtype)
    layers = penalised([(one, None, "linear"), (one.copy(), None, "linear")], L1, None)
    training = Training(dtype, layers, "sgd")
    training.images = np.random.default_rng(2).standard_normal((batch, 1)).astype(dtype)
    told = training.run(rows=[np.arange(batch)], loss="mean_squared_error", rates=[0.0])
    size = np.abs(training.images.astype("float64")).mean()
    assert_within(told["activity"][0, 0], size, 9 * unit(dtype) * size, "float64")


@pytest.mark.parametrize("name", STACKS)
def test_threads_do_not_change_a_bit(isa, threads, name):
    for batch in (40, 130):

        def run(batch=batch):
            training = Training("float32", stack("float32", name))
            told = training.run(**training.feed(2, batch))
            return [*training.arrays(), *told.values()]

        on_every_thread_count(threads, run)


@pytest.mark.parametrize("name", STACKS)
def test_many_steps_in_a_call_are_as_many_calls(isa, name):
    together, apart = (Training("float32", stack("float32", name)) for _ in range(2))
    told = together.run(**together.feed(4))
    each = [apart.run(**apart.feed(1, first=step)) for step in range(4)]
    together.assert_unchanged(apart.copies())
    for key, values in told.items():
        assert_same_bits(values, np.concatenate([x[key] for x in each]))


@pytest.mark.parametrize("name", STACKS)
@pytest.mark.parametrize("poison", [np.nan, np.inf, "penalty"])
def test_a_loss_that_is_not_finite(isa, name, poison):
    """What came before stands, and nothing else."""
    trainings = [Training("float32", stack("float32", name), images="float32") for _ in range(2)]
    given = trainings[0].feed(3)
    given["rows"][given["rows"] == 7] = 8
    at = 1
    if poison == "penalty":
        weight = ("mse", 1e308, 1e8)
        trainings[0].layers = penalised([x[:4] for x in trainings[0].layers], weight, *[None] * 3)
        at = 0
    else:
        trainings[0].images[7], given["rows"][1, 11] = poison, 7
        trainings[1].run(**{key: x[:1] for key, x in given.items()})
    with pytest.raises(ValueError, match=f"the loss is not finite in step {at} of 3"):
        trainings[0].run(**given)
    assert trainings[0].done == at
    trainings[0].assert_unchanged(trainings[1].copies())


REFUSED = {
    "must be .kl, l1 or mse, weight, target.. Received: 'kl'": (1, "kl"),
    r"must be .kl, l1 or mse, weight, target.. Received: \('none'": (1, ("none", 1.0, 0.1)),
    r"must be .kl, l1 or mse, weight, target.. Received: \('l1', None": (1, ("l1", None, 0.0)),
    "penalty of layer 1, which .* of 0 or more .* Received: kind 1, weight -1": (
        1, ("kl", -1.0, 0.1),
    ),
    "Received: kind 3, weight inf": (1, ("mse", np.inf, 0.1)),
    "for kl in .0, 1.. Received: kind 1, weight 1, target 1.5": (1, ("kl", 1.0, 1.5)),
    "Received: kind 2, weight 1, target nan": (1, ("l1", 1.0, np.nan)),
    "penalty of layer 2, which must be dense": (2, L1),
    "penalty of layer 4, .* before another one": (4, L1),
}  # fmt: skip


@pytest.mark.parametrize("rule", REFUSED)
def test_refusals(rule):
    place, penalty = REFUSED[rule]
    training = Training("float32", variational("float32"))
    before = training.copies()
    given = [penalty if i == place else None for i in range(5)]
    training.layers = penalised(training.layers, *given)
    with pytest.raises(ValueError, match=f"^autoencoder_step: .*{rule}"):
        training.run(**training.feed(1))
    training.assert_unchanged(before)


def test_other_kernels_refuse_a_penalty():
    layers = penalised(plain("float32"), None, KL, None, None)
    x = np.ones([2, PIXELS], "float32")
    message = "layer 1 must have no sparsity penalty"
    with pytest.raises(ValueError, match=f"^mlp_forward: {message}"):
        core.mlp_forward(x, layers)
    with pytest.raises(ValueError, match=f"^mlp_grad: {message}"):
        core.mlp_grad(x, layers, x)
    message = "layer 0 must have no sparsity penalty"
    g, d = generator("float32"), discriminator("float32")
    of_g, of_d = optimizer_of(g), optimizer_of(d)
    before = copies(g, of_g), copies(d, of_d)
    sparse_g, sparse_d = penalised(g, KL, None), penalised(d, KL, None)
    with pytest.raises(ValueError, match=f"^discriminator_update: {message}"):
        core.discriminator_update(sparse_d, of_d, x, x)
    for pair in ((sparse_g, d), (g, sparse_d)):
        with pytest.raises(ValueError, match=f"^gan_step: {message}"):
            core.gan_step(pair[0], of_g, pair[1], of_d, x, [[[0, 1]]], [[[1, 1], [1, 2]]])
    assert_unchanged(g, of_g, before[0])
    assert_unchanged(d, of_d, before[1])
