"""The comparison: both sides run what they should, and the ratio is that of their times."""

import time

import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import dispatch, ops
from fastgen.profiling import stock
from fastgen.profiling.trace import Call, Tensor

X = np.random.default_rng(0).uniform(0.2, 0.8, (64, 24)).astype("float32")


def gradient(function):
    @tf.function(autograph=False)
    def graph(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.add_n([tf.reduce_sum(y) for y in tf.nest.flatten(function(x))])
        return loss, tape.gradient(loss, x)  # a graph leaves out what nobody asks for

    return lambda: graph(tf.constant(X))


def entropy(x, dtype="float32", **how):
    x = tf.cast(x, dtype)
    return tf.cast(ops.sigmoid_cross_entropy(x, x, **how), "float32")


def everything():
    """Runs all ops that have stock ops to be compared with."""
    gradient(lambda x: ops.gaussian_sample(x, x, (1, 2)))()
    gradient(lambda x: ops.gaussian_kl(x, x))()
    gradient(lambda x: ops.gaussian_sample_kl(x, x, (1, 2)))()
    gradient(lambda x: ops.dropout(x, 0.5, (1, 2)))()
    gradient(lambda x: ops.gaussian_noise(x, 0.5, (1, 2)))()
    for kind in ("kl", "l1"):
        gradient(lambda x, k=kind: ops.sparsity(x, None if k == "l1" else 0.1, k))()
    for reduction in ("none", "row", "mean"):
        gradient(lambda x, r=reduction: entropy(x, reduction=r))()
    gradient(lambda x: entropy(x, "float16"))()
    entropy(X, "float64")
    ops.dense(X, X.T.copy(), np.zeros(64, "float32"), "relu")
    ops.dense_transpose(X, X.copy())


@pytest.fixture
def both_sides(monkeypatch, record):
    """Compares a call; gives the ratio and, for each side, the ops and paths that it took."""
    sides = []

    def rounds(functions):
        for function in functions:
            function()
        sides[:] = [{(c.op, c.path) for c in record(f).trace.calls} for f in functions]
        return np.array([[1.0] * (len(functions) - 2) + [2.0, 5.0]] * 3)

    monkeypatch.setattr(stock, "_rounds", rounds)

    def compare(call):
        found = stock.compare(call)
        assert found.ratio is not None, found.why
        return found.ratio, *sides[-2:]

    return compare


def test_every_kernel_has_its_stock_ops():
    gradients = {f"{op}_grad" for op, kernel in dispatch.KERNELS.items() if kernel.differentiable}
    # Theirs are of the op itself, or nothing; and stock ops have no product's alone.
    gradients -= {f"{op}_grad" for op in ("dropout", "gaussian_noise", "dense", "dense_transpose")}
    assert {*dispatch.KERNELS, *gradients} <= {*stock.RUNS, *stock.STEPS}


def test_every_op(record, both_sides, monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")
    calls = list(record(everything).trace.calls)
    assert {call.op for call in calls} >= set(stock.RUNS) - {"sigmoid_cross_entropy_grad"}
    for call in calls:
        monkeypatch.setenv("FASTGEN_BACKEND", "fused")
        if call.op == "dense_grad":
            continue
        # portable() is before the backend that is asked for.
        ratio, ours, theirs = both_sides(call)
        assert ratio == 4.0  # (5 - 1) / (2 - 1)
        assert ours == {(call.op, "fused")}, call
        assert (call.op, "fused") not in theirs


@pytest.mark.parametrize("name", ["SGD", "RMSprop", "Adam", "Nadam"])
def test_optimizers(record, both_sides, name):
    optimizer = getattr(fastgen.optimizers, name)(global_clipnorm=2.0)
    variables = [tf.Variable(X), tf.Variable(X[0])]
    p = record(lambda: optimizer.apply([tf.constant(X), tf.constant(X[0])], variables))
    (call,) = p.trace.calls
    ratio, ours, theirs = both_sides(call)
    assert ratio == 2.5 and ours == {("optimizer_update", "fused")} and theirs == set()


def models():
    gan = fastgen.models.dense_gan(4, (6, 5), hidden=(7, 8))
    gan.compile("rmsprop", "adam")
    vae = fastgen.models.variational_autoencoder((6, 5), 3, hidden=(8,), seed=0)
    vae.compile("nadam")
    stacked = fastgen.models.stacked_autoencoder((6, 5), codings=3, hidden=(9,), seed=0)
    stacked.compile("adam")
    return {"gan_step": gan, "variational": vae, "autoencoder_step": stacked}


@pytest.mark.parametrize("name", ["gan_step", "variational", "autoencoder_step"])
def test_steps(record, both_sides, images, name):
    model = models()[name]
    p = record(lambda: model.fit(images, batch_size=16, verbose=0))
    (call,) = p.trace.calls
    ratio, ours, theirs = both_sides(call)
    assert ratio == 2.5 and ours == {(call.op, "fused")}
    assert (call.op, "fused") not in theirs
    if name == "gan_step":
        assert (call.op, "composite") in theirs


def test_update_of_a_discriminator(record, both_sides, images):
    gan = fastgen.models.dense_gan(4, (6, 5), hidden=(7, 8))
    rule = fastgen.optimizers.RMSprop()
    p = record(lambda: ops.discriminator_update(gan.discriminator, rule, images, images))
    (call,) = p.trace.calls
    _, ours, theirs = both_sides(call)
    assert ours == {("discriminator_update", "fused")}
    assert ("discriminator_update", "composite") in theirs


def test_as_many_steps_on_both_sides(monkeypatch, record, images):
    """Ours in calls of several, and stock ops one by one."""
    from fastgen.profiling import stock_steps

    counted = []
    repeated = stock_steps._repeated
    monkeypatch.setattr(
        stock_steps, "_repeated", lambda n, body: counted.append(n) or repeated(n, body)
    )
    model = models()["autoencoder_step"]
    for batch, ours, theirs in ((32, 2, 6), (16, 1, 6), (8, 1, 12), (4, 1, 16)):
        p = record(lambda b=batch: model.fit(images, batch_size=b, verbose=0))
        call = max(p.trace.calls, key=lambda c: c.inputs[-4].shape)
        counted.clear()
        stock_steps.autoencoder(call)
        assert counted[1] == counted[0] * min(call.inputs[-4].shape[0], 16), (batch, ours, theirs)


def test_what_is_not_rebuilt(record, images):
    tied = fastgen.models.tied_autoencoder((6, 5), codings=3, hidden=(9,), seed=0)
    noisy = fastgen.models.denoising_autoencoder((6, 5), codings=3, hidden=(9,), seed=0)
    for model, why in ((tied, "tied layers"), (noisy, "noise, dropout and penalties")):
        model.compile("sgd")
        p = record(lambda m=model: m.fit(images, verbose=0))
        (call,) = p.trace.calls
        found = stock.compare(call)
        assert found.ratio is None and why in found.why


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (Call("gaussian_kl", "fused", "GPU"), "kernels of a GPU"),
        (Call("swish", "fused", "CPU", (), (Tensor("float", (3,)),)), "fastgen.jit"),
        (Call("dense_grad", "fused"), "no gradient of it alone"),
        (
            Call("gaussian_kl", "fused", "CPU", (), (Tensor("float", (3,)), Tensor("float", (4,)))),
            "did not run again: gaussian_kl: mean and log_var must have the same shape",
        ),
    ],
)
def test_why_there_is_no_ratio(call, why):
    found = stock.compare(call)
    assert found.ratio is None and why in found.why


def test_the_ratio_is_that_of_the_times():
    ratio = stock._ratio_of_steps(
        *[lambda s=s: (time.sleep(s), tf.constant(0))[1] for s in (0.02, 0.2)]
    )
    assert 2 < ratio <= 10.5  # 10, but a sleep may last longer


def test_copies_run_one_after_the_other_and_none_is_dropped(record):
    graph = stock._copies(lambda x: ops.gaussian_kl(x, x), 5)
    x = tf.constant(X)
    p = record(lambda: graph(x))
    ((call, seconds),) = p.trace.calls.items()
    assert call.op == "gaussian_kl" and len(seconds) == 5
