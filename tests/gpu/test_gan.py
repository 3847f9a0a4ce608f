"""Updates of a GAN's networks on the GPU are the CPU's, in place, by one op for many steps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import native, ops
from fastgen.ops import players

OPTIMIZERS = {
    "rmsprop": lambda: keras.optimizers.RMSprop(0.01),
    "adam": lambda: fastgen.optimizers.Adam(0.01, amsgrad=True, weight_decay=0.1),
    "nadam": lambda: fastgen.optimizers.Nadam(0.01, clipvalue=0.1),
    "sgd": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5), momentum=0.9, global_clipnorm=0.1
    ),
}
IMAGES = np.random.default_rng(3).integers(0, 256, (40, 12)).astype("uint8")


def networks(device, optimizer="rmsprop", dropout=False, depth=1):
    keras.utils.set_random_seed(5)
    dense, make = keras.layers.Dense, OPTIMIZERS[optimizer]
    with tf.device(device):
        between = [keras.layers.Dropout(0.3, seed=2)] if dropout else []
        hidden = [dense(9, "selu") for _ in range(depth)]
        generator = keras.Sequential([keras.Input((3,)), *hidden, dense(12, "sigmoid")])
        discriminator = keras.Sequential(
            [keras.Input((12,)), dense(7, "leaky_relu"), *between, dense(1, "sigmoid")]
        )
        return generator, discriminator, make(), make()


def assert_same_state(ours, expected):
    for a, b in zip(states(ours), states(expected), strict=True):
        assert "GPU" in a.value.device and "CPU" in b.value.device, a.path
        np.testing.assert_allclose(a.value.numpy(), b.value.numpy(), rtol=2e-4, atol=2e-5)


def states(parts):
    generator, discriminator, *optimizers = parts
    return [
        *generator.weights,
        *discriminator.weights,
        *(v for o in optimizers for v in o.variables),
    ]


def steps_of(parts, start, count=3, n_critic=2, targets=True):
    rng = np.random.default_rng(start)
    rows = rng.integers(0, len(IMAGES), (count, n_critic, 8))
    seeds = rng.integers(0, 2**40, (count, n_critic + 1, 2))
    given = rng.uniform(size=(count, n_critic, 2, 8)).astype("float32") if targets else None
    return ops.gan_step(*parts, IMAGES, rows, seeds, targets=given)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("how", ["eager", "graph"])
def test_gan_steps(gpu, unguarded, optimizer, how):
    made = [networks(device, optimizer, dropout=True) for device in (gpu, "/CPU:0")]
    for start in range(2):
        told = []
        for parts, device in zip(made, (gpu, "/CPU:0"), strict=True):
            step = lambda parts=parts, start=start: steps_of(parts, start, targets=start == 0)  # noqa: E731
            with tf.device(device):
                told.append((tf.function(step, autograph=False) if how == "graph" else step)())
        for name in told[0]:
            np.testing.assert_allclose(told[0][name], told[1][name], rtol=2e-4, err_msg=name)
        assert_same_state(*made)
    assert made[0][2].iterations.numpy() == 6 and made[0][3].iterations.numpy() == 12


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_discriminator_updates(gpu, unguarded, optimizer):
    made = [networks(device, optimizer, dropout=True) for device in (gpu, "/CPU:0")]
    fake = np.random.default_rng(4).uniform(size=(9, 12)).astype("float32")
    for smoothing in (0.0, 0.1, 0.2):
        told = []
        for (_, discriminator, _, own), device in zip(made, (gpu, "/CPU:0"), strict=True):
            with tf.device(device):
                told.append(
                    ops.discriminator_update(
                        discriminator, own, IMAGES[:7], fake, label_smoothing=smoothing
                    )
                )
        for name in told[0]:
            np.testing.assert_allclose(told[0][name], told[1][name], rtol=2e-4, err_msg=name)
        assert_same_state(*[(p[0], p[1], p[3]) for p in made])
    assert made[0][3].iterations.numpy() == 3


@pytest.mark.parametrize("phase", ["discriminator", "generator"])
@pytest.mark.parametrize("how", ["eager", "graph"])
def test_a_loss_that_is_not_finite(gpu, unguarded, phase, how):
    """The error names phase and step; what came before stands and is counted, nothing else."""
    rows = np.arange(24).reshape(3, 1, 8)
    seeds = np.arange(12).reshape(3, 2, 2)
    images, messages, made = np.float32(IMAGES) / 255, [], []
    images[rows[1, 0, 3]] = np.nan
    for device in (gpu, "/CPU:0"):
        parts = networks(device)
        if phase == "generator":  # a rate that makes the next logit NaN
            with tf.device(device):
                parts[3].learning_rate = np.inf

        def step(parts=parts):
            return ops.gan_step(*parts, images, rows, seeds)

        with tf.device(device), pytest.raises(tf.errors.InvalidArgumentError) as error:
            (tf.function(step, autograph=False) if how == "graph" else step)()
        messages.append(str(error.value.message)), made.append(parts)
    which = (
        "discriminator is not finite in step 1"
        if phase == "discriminator"
        else ("generator is not finite in step 0")
    )
    for message in messages:
        assert f"gan_step: the loss of the {which}" in message, message
    counts = [[p[2].iterations.numpy(), p[3].iterations.numpy()] for p in made]
    assert counts[0] == counts[1] == ([1, 1] if phase == "discriminator" else [0, 1])
    if phase == "discriminator":
        assert_same_state(*made)


def test_a_discriminator_s_loss_that_is_not_finite(gpu, unguarded):
    _, discriminator, _, own = networks(gpu)
    with tf.device(gpu):
        ops.discriminator_update(discriminator, own, IMAGES[:4], IMAGES[4:8] / np.float32(255))
        before = [v.value.numpy() for v in (*discriminator.weights, *own.variables)]
        spoilt = np.full((4, 12), np.nan, "float32")
        message = "discriminator_update: the loss is not finite: nothing was updated"
        with pytest.raises(tf.errors.InvalidArgumentError, match=message):
            ops.discriminator_update(discriminator, own, IMAGES[:4], spoilt)
    for v, value in zip((*discriminator.weights, *own.variables), before, strict=True):
        np.testing.assert_array_equal(v.value.numpy(), value)


def test_the_host_reads_nothing(gpu, open_memory):
    """But for the numbers that it has: the memory of the GPU is shut to it while the op runs."""
    seen = []
    with tf.device(gpu), open_memory():
        parts = networks(gpu)
        op, tensors = native.load_ops().fastgen_gan_step, {}
        found, _ = players.players("gan_step", parts[0::2], parts[1::2])
        for name, player, updates in (("generator", found[0], 1), ("discriminator", found[1], 1)):
            tensors |= player.arguments(name, updates, player.corruption_seeds(2))
        tensors |= {
            "images": tf.identity(IMAGES),
            "rows": tf.identity(np.arange(8).reshape(1, 1, 8)),
            "seeds": tf.identity(np.arange(4).reshape(1, 2, 2)),
            "targets": tf.identity(tf.zeros([0])),
        }
        for name, value in tensors.items():
            host = name.endswith(("numbers", "amounts", "penalties"))
            if tf.is_tensor(value) and value.dtype != tf.resource and not host:
                tensors[name] = tf.identity(value)
        before = parts[0].weights[0].value.numpy()
    with tf.device(gpu):
        seen.append(op(**tensors).numpy())
    assert np.isfinite(seen[0]).all() and (seen[0][:, :8] > 0).any()
    assert (parts[0].weights[0].value.numpy() != before).any()
    assert parts[2].iterations.numpy() == parts[3].iterations.numpy() == 1


def train(device):
    generator, discriminator, *optimizers = networks(device)
    with tf.device(device):
        gan = fastgen.GAN(generator, discriminator, seed=4)
        gan.compile(*optimizers, n_critic=2, label_noise=0.1)
        assert gan.why_stock() is None
        history = gan.fit(IMAGES, batch_size=8, epochs=3, verbose=0).history
    return history, (generator, discriminator, *optimizers)


def test_a_gan_that_trains(gpu, unguarded):
    """Through `fit` on arrays, many steps a call: the losses and the weights are the CPU's."""
    (ours, on_gpu), (expected, on_cpu) = train(gpu), train("/CPU:0")
    for name, values in expected.items():
        np.testing.assert_allclose(ours[name], values, rtol=1e-3, err_msg=name)
    assert_same_state(on_gpu, on_cpu)
    assert on_gpu[2].iterations.numpy() == 15 and on_gpu[3].iterations.numpy() == 30


def test_networks_that_are_too_deep_there_take_stock_operations(gpu, unguarded, monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    with tf.device(gpu):
        parts = networks(gpu, depth=12)
        gan = fastgen.GAN(*parts[:2], seed=4)
        gan.compile(*parts[2:])
        assert gan.why_stock() == "a network of 13 layers, on a GPU at most 12"
    with tf.device("/CPU:0"):
        parts = networks("/CPU:0", depth=12)
        gan = fastgen.GAN(*parts[:2], seed=4)
        gan.compile(*parts[2:])
        assert gan.why_stock() is None
