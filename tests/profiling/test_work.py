"""Bytes are those of the kernels' contracts, operations those of the benchmarks."""

import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import fastgen
from benchmarks import gan as benchmark
from fastgen import ops
from fastgen.profiling.ceilings import Ceilings
from fastgen.profiling.work import work

ROOT = Path(__file__).resolve().parent.parent.parent
ROWS, COLUMNS = 512, 96
X = np.random.default_rng(0).uniform(0.2, 0.8, (ROWS, COLUMNS)).astype("float32")


def contract(stem):
    """The numbers in the line of bytes of a kernel's header."""
    text = (ROOT / f"csrc/kernels/{stem}.h").read_text()
    (line,) = re.findall(r"^// Bytes: ((?:.*\n)(?://   .*\n)*)", text, re.MULTILINE)
    return [int(n) for n in re.findall(r"\b\d+\b", line)]


def with_gradient(function, *inputs):
    @tf.function(autograph=False)
    def graph(*inputs):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.add_n([tf.reduce_sum(y) for y in tf.nest.flatten(function(*inputs))])
        # The loss, too: a graph leaves out what nobody asks for.
        return loss, tape.gradient(loss, inputs, unconnected_gradients="zero")

    return lambda: graph(*map(tf.constant, inputs))


def entropy(logits):
    return ops.sigmoid_cross_entropy(X, logits, reduction="row")


# stem: what runs it, and the ops whose bytes its contract gives, in this order.
CONTRACTS = {
    "dropout": (lambda: ops.dropout(X, 0.5, (1, 2)), ["dropout"]),
    "gaussian_noise": (lambda: ops.gaussian_noise(X, 0.5, (1, 2)), ["gaussian_noise"]),
    "gaussian_kl": (
        with_gradient(ops.gaussian_kl, X, X),
        ["gaussian_kl", "gaussian_kl_grad"],
    ),
    "gaussian_sample": (
        with_gradient(lambda m, v: ops.gaussian_sample(m, v, (1, 2)), X, X),
        ["gaussian_sample", "gaussian_sample_grad"],
    ),
    "gaussian_sample_kl": (
        with_gradient(lambda m, v: ops.gaussian_sample_kl(m, v, (1, 2)), X, X),
        ["gaussian_sample_kl", "gaussian_sample_kl_grad"],
    ),
    "sigmoid_cross_entropy": (
        with_gradient(entropy, X),
        ["sigmoid_cross_entropy", "sigmoid_cross_entropy_from_slope_grad"],
    ),
    "sparsity": (
        with_gradient(lambda x: ops.sparsity(x, 0.1, "kl"), X),
        ["sparsity", "sparsity_grad"],
    ),
}


@pytest.mark.parametrize("stem", CONTRACTS)
def test_bytes_of_an_element(record, row, stem):
    run, names = CONTRACTS[stem]
    p = record(run)
    wanted = [n for n in contract(stem) if n != 32][: len(names)]  # 32: of float32
    for name, per_element in zip(names, wanted, strict=True):
        beside = 8 * (ROWS + COLUMNS) * 2  # rows of losses, vectors, seeds
        assert 0 <= row(p, name)["bytes"] - per_element * X.size <= beside, name


@pytest.mark.parametrize(
    ("rule", "place"),
    [("SGD", 0), ("RMSprop", 2), ("Adam", 3)],  # in the contract's line
)
def test_bytes_of_an_update(record, row, rule, place):
    variable, optimizer = tf.Variable(X), getattr(fastgen.optimizers, rule)()
    p = record(lambda: optimizer.apply([tf.constant(X)], [variable]))
    found = row(p, "optimizer_update")
    per_element = {"SGD": 12, "RMSprop": 20, "Adam": 28}[rule]
    assert per_element in contract("optimizer_update")
    assert 0 <= found["bytes"] - per_element * X.size < 200
    assert found["shape"] == f"1 tensor, {X.size:,} numbers"


def test_an_l1_penalty_reads_once_more(record, row):
    p = record(with_gradient(lambda x: ops.sparsity(x, None, "l1"), X))
    assert 8 * X.size <= row(p, "sparsity_grad")["bytes"] < 8.2 * X.size


def test_a_slope_that_is_passed_on(record, row):
    run = with_gradient(lambda x: ops.sigmoid_cross_entropy(X, x, reduction="mean"), X)
    found = row(record(run), "sigmoid_cross_entropy_from_slope_grad")
    assert found["bytes"] is found["share"] is found["bandwidth"] is None
    assert found["shape"] == f"{ROWS}×{COLUMNS}"


def test_a_product(record, row, fused):
    x, kernel, bias = np.ones((40, 30), "float32"), np.ones((30, 20), "float32"), np.ones(20, "f4")
    p = record(with_gradient(ops.dense, x, kernel, bias))
    forward, backward = row(p, "dense"), row(p, "dense_grad")
    assert forward["flops"] == 2 * 40 * 30 * 20 and backward["flops"] == 2 * forward["flops"]
    assert forward["bytes"] == 4 * (40 * 30 + 30 * 20 + 20 + 40 * 20)
    assert forward["shape"] == "40×30 → 20"
    p = record(lambda: ops.dense_transpose(x, kernel.T.copy(), bias))
    assert row(p, "dense_transpose")["flops"] == forward["flops"]
    assert row(p, "dense_transpose")["shape"] == "40×30 → 20"


def test_sixteen_and_sixtyfour_bits(record, row):
    for dtype, each in (("float16", 4), ("float64", 16)):
        x = tf.constant(X, dtype)
        found = row(record(lambda x=x: ops.dropout(x, 0.5, (1, 2))), "dropout")
        assert found["dtype"] == dtype and 0 <= found["bytes"] - each * X.size < 100


def test_operations_of_a_gan(record, row):
    gan = fastgen.models.dense_gan(benchmark.GENERATOR[0], (28, 28))
    gan.compile("rmsprop", "rmsprop")
    images = np.zeros((64, 28, 28), "float32")
    p = record(lambda: gan.fit(images, batch_size=32, verbose=0))
    found = row(p, "gan_step")
    assert found["flops"] == 2 * 32 * benchmark.flops("gan_step")
    p = record(
        lambda: ops.discriminator_update(
            gan.discriminator, fastgen.optimizers.RMSprop(), images[:32], images[:32]
        )
    )
    assert row(p, "discriminator_update")["flops"] == 32 * benchmark.flops("discriminator_update")


def test_operations_of_an_autoencoder(record, row):
    model = fastgen.models.stacked_autoencoder((4, 5), codings=3, hidden=(7,), seed=0)
    model.compile("sgd")
    x = np.zeros((32, 4, 5), "float32")
    p = record(lambda: model.fit(x, batch_size=8, verbose=0))
    found = row(p, "autoencoder_step")
    products = 20 * 7 + 7 * 3 + 3 * 7 + 7 * 20
    assert found["flops"] == 32 * 2 * (3 * products - 20 * 7) and found["steps"] == 4
    weights = products + 7 + 3 + 7 + 20
    assert 0 <= found["bytes"] - 4 * (2 * 4 * weights + 32 * 20) < 400


def test_the_roofline():
    ceilings = Ceilings(bandwidth=10.0, flops=100.0)
    assert ceilings.seconds(30, 200) == (3.0, "memory")
    assert ceilings.seconds(30, 500) == (5.0, "arithmetic")
    assert ceilings.seconds(30, 200, "float64") == (4.0, "arithmetic")  # half as many lanes


def test_operations_in_float64(record, row, fused):
    x, kernel = np.ones((400, 300)), np.ones((300, 200))
    p = record(lambda: ops.dense(x, kernel))
    found, ceilings = row(p, "dense"), p.ceilings
    assert found["bound"] == "arithmetic"
    assert found["share"] == pytest.approx(2 * found["flops_rate"] / ceilings.flops)


def test_what_has_no_shapes():
    from fastgen.profiling.trace import Call

    assert work(Call("gaussian_kl", "composite")) is None
