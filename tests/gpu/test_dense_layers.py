"""Dense and tied layers on the GPU: their kernels in every policy, and a step as on the CPU."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.dispatch import FUSED

# Of what a step moves, relative to its largest number; factors of 11 and 8 bits.
TOLERANCES = {"float32": 1e-5, "mixed_float16": 1e-2, "mixed_bfloat16": 8e-2}
policies = pytest.mark.parametrize("policy", TOLERANCES)
OPS = "dense", "dense_transpose", "sigmoid_cross_entropy"


@pytest.fixture(autouse=True)
def settings(monkeypatch, unguarded):
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")  # the rest of a model is of stock ops
    tf.config.experimental.enable_tensor_float_32_execution(False)
    yield
    tf.config.experimental.enable_tensor_float_32_execution(True)


def tied(policy):
    """A tied autoencoder that gives logits."""
    keras.utils.set_random_seed(1)
    hidden = fastgen.layers.FusedDense(10, "selu", dtype=policy)
    decoder = fastgen.layers.DenseTranspose(hidden, dtype=policy)
    model = keras.Sequential([keras.Input((12,)), hidden, decoder])
    loss = fastgen.losses.BinaryCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss, jit_compile=False)
    return model


def step(device, policy):
    """A model before and after a step: its loss, how its weights moved, what it gives then."""
    x = np.random.default_rng(0).uniform(size=(16, 12)).astype("float32")
    with tf.device(device):
        model = tied(policy)
        before = model.get_weights()
        loss = model.train_on_batch(x, x)
        moved = [now - then for now, then in zip(model.get_weights(), before, strict=True)]
        return [loss, *moved, model.predict_on_batch(x)], fastgen.doctor(model)


def counts():
    """How often the kernels and their gradients ran."""
    names = [name for op in OPS for name in (op, f"{op}_grad", f"{op}_from_slope_grad")]
    return {name: fastgen.stats().get(name, {}).get(FUSED, 0) for name in names}


@policies
def test_a_step_of_a_tied_autoencoder(gpu, policy):
    expected, _ = step("/CPU:0", policy)
    before = counts()
    found, rows = step(gpu, policy)
    ran = {op for op, n in counts().items() if n > before[op]}
    assert ran == {
        *("dense", "dense_grad", "dense_transpose", "dense_transpose_grad"),
        *("sigmoid_cross_entropy", "sigmoid_cross_entropy_from_slope_grad"),
    }
    for ours, other in zip(found, expected, strict=True):
        most = TOLERANCES[policy] * np.abs(other).max()
        np.testing.assert_allclose(ours, other, rtol=0, atol=most)
    own = {(row["op"], row["path"], row["why"]) for row in rows if row["op"]}
    assert own == {(op, FUSED, "kernel, unmeasured on a GPU") for op in OPS}


@policies
@pytest.mark.parametrize("activation", ["relu", "silu", "softplus", None])
def test_layers_give_what_they_do_on_the_cpu(gpu, policy, activation):
    x = np.random.default_rng(0).standard_normal((5, 3, 12)).astype("float32")

    def run(device):
        with tf.device(device):
            keras.utils.set_random_seed(1)
            dense = fastgen.layers.FusedDense(10, activation, dtype=policy)
            decoder = fastgen.layers.DenseTranspose(dense, activation, dtype=policy)
            model = keras.Sequential([keras.Input((3, 12)), dense, decoder])
            return model(x)

    found, expected = run(gpu), run("/CPU:0")
    assert "GPU" in found.device and found.dtype == expected.dtype
    found, expected = (tf.cast(y, "float32").numpy() for y in (found, expected))
    most = TOLERANCES[policy] * np.abs(expected).max()
    np.testing.assert_allclose(found, expected, rtol=0, atol=most)
