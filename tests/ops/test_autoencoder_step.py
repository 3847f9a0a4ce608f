"""The op: parity with a step of stock Keras, cuts into calls, refusals."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import native, ops
from fastgen.ops import network
from tests.ops import autoencoders
from tests.ops.autoencoders import built, copies, feed, images_of, small
from tests.tolerances import FIRST_OPTIMIZER_STEP, OPTIMIZER_FLOAT64, OPTIMIZER_STEP, TOLERANCES

BOOK, BATCH = (784, 100, 30), 32
LOSSES = ops.autoencoder_step.__globals__["LOSSES"]
KINDS = {
    "sgd": lambda: keras.optimizers.SGD(1e-3, momentum=0.9),
    "rmsprop": keras.optimizers.RMSprop,
    "adam": keras.optimizers.Adam,
    "nadam": keras.optimizers.Nadam,
}


def run(model, optimizer, images, rows, seeds, **how):
    """The op on a model of these tests."""
    how = {"loss": model.loss, "log_variance": model.log_variance, **how}
    return ops.autoencoder_step(model.chain, optimizer, images, rows, seeds=seeds, **how)


@pytest.mark.parametrize("kind", KINDS)
def test_each_step_from_the_state_of_keras(fused, kind):
    """Parity (a): teacher-forced, float32."""
    mine, stock = (autoencoders.Autoencoder(BOOK, "float32") for _ in range(2))
    optimizers = [built(model, KINDS[kind]) for model in (mine, stock)]
    states = [m.state(o) for m, o in zip((mine, stock), optimizers, strict=True)]
    weights, images = len(mine.variables), tf.constant(autoencoders.digits())
    reference = stock.stock_step(optimizers[1])

    @tf.function(autograph=False)
    def step(rows, seed):
        for a, b in zip(*states, strict=True):
            a.assign(b)
        run(mine, optimizers[0], images, rows[None], seed[None])
        reference(tf.gather(images, rows), seed, 1.0)
        pairs = zip(*(state[:weights] for state in states), strict=True)
        return tf.reduce_max([tf.reduce_max(tf.abs(a - b) / (1 + tf.abs(b))) for a, b in pairs])

    feeds = feed(30, images, BATCH, key=1)
    gaps = [step(*map(tf.constant, x)).numpy() for x in zip(*feeds, strict=True)]
    first = FIRST_OPTIMIZER_STEP if kind in ("adam", "nadam") else OPTIMIZER_STEP
    # Where a sum is 0 but for rounding, the two may stand on either side of selu's kink.
    assert gaps[0] <= first and np.sort(gaps[1:])[-3] <= OPTIMIZER_STEP
    assert 0 < max(gaps) <= FIRST_OPTIMIZER_STEP  # two computations, not one


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("variational", "loss"),
    [(True, LOSSES[0]), pytest.param(False, LOSSES[1], marks=pytest.mark.slow)],
)
def test_float64_on_its_own(fused, kind, variational, loss):
    """Parity (b), with another divergence scale at every step."""
    steps, scale = 100, 0.01
    models = [
        autoencoders.Autoencoder((784, 30, 5), "float64", variational, loss) for _ in range(2)
    ]
    mine, stock = [(model, built(model, KINDS[kind])) for model in models]
    images = tf.constant(autoencoders.digits(), tf.float64)
    rows, seeds = feed(steps, images, BATCH)
    kl_scales = np.linspace(0, 0.02, steps)
    told = run(*mine, images, rows, seeds, kl_scales=kl_scales, reconstruction_scale=scale)
    reference = tf.function(stock[0].stock_step(stock[1], scale), autograph=False)
    for i in range(steps):
        losses = reference(
            tf.gather(images, rows[i]), tf.constant(seeds[i]), tf.constant(kl_scales[i])
        )
    for name, value in zip(("loss", "reconstruction_loss", "kl"), losses, strict=True):
        np.testing.assert_allclose(told[name][-1], value, rtol=TOLERANCES["float64"][0])
    for a, b in zip(mine[0].state(mine[1]), stock[0].state(stock[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=OPTIMIZER_FLOAT64, atol=OPTIMIZER_FLOAT64)
    assert int(mine[1].iterations) == steps


def decaying(cls):
    return cls(keras.optimizers.schedules.ExponentialDecay(0.02, 2, 0.5))


def adamw():
    optimizer = keras.optimizers.AdamW(0.01, weight_decay=0.3)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    return optimizer


ours = fastgen.optimizers
OPTIMIZERS = {
    "nesterov": lambda: keras.optimizers.SGD(0.01, momentum=0.9, nesterov=True),
    "centered": lambda: keras.optimizers.RMSprop(centered=True, momentum=0.5),
    "amsgrad": lambda: ours.Adam(0.01, amsgrad=True),
    "schedule": lambda: decaying(keras.optimizers.Nadam),
    "our_nadam": ours.Nadam,
    "adamw": adamw,
    "norm": lambda: ours.RMSprop(0.01, clipnorm=0.02),
    "global_norm": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.03),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("batch", [7, 33])
def test_a_few_steps_are_those_of_keras(fused, name, batch):
    mine, stock = (small(loss=LOSSES[batch % 2]) for _ in range(2))
    optimizers = [built(model, OPTIMIZERS[name]) for model in (mine, stock)]
    images = images_of(mine)
    rows, seeds = feed(3, images, batch)
    run(mine, optimizers[0], images, rows, seeds, reconstruction_scale=0.1)
    reference = stock.stock_step(optimizers[1], 0.1)
    for i in range(3):
        reference(tf.gather(images, rows[i]), seeds[i], 1.0)
    for a, b in zip(mine.state(optimizers[0]), stock.state(optimizers[1]), strict=True):
        np.testing.assert_allclose(a, b, rtol=OPTIMIZER_FLOAT64, atol=OPTIMIZER_FLOAT64)


@pytest.mark.parametrize("cls", ["SGD", "Nadam"])
def test_k_steps_in_one_call_are_k_calls(fused, cls):
    results = []
    for calls in (1, 4):
        model = small("float32")
        optimizer = built(model, lambda: decaying(getattr(keras.optimizers, cls)))
        images = images_of(model)
        rows, seeds = feed(4, images)
        for part in np.split(np.arange(4), calls):
            run(model, optimizer, images, rows[part], seeds[part])
        assert int(optimizer.iterations) == 4
        results.append(copies(model.state(optimizer)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_bytes_are_255ths_and_targets_may_differ(fused):
    results = []
    images = np.random.default_rng(0).integers(0, 256, (2, 40, 3, 3)).astype("uint8")
    for given in (images, images / np.float32(255)):
        model = small("float32")
        optimizer = built(model, keras.optimizers.RMSprop)
        run(model, optimizer, given[0], *feed(2, given[0]), targets=given[1])
        results.append(copies(model.state(optimizer)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)
    own = small("float32")
    run(own, built(own, keras.optimizers.RMSprop), images[0], *feed(2, images[0]))
    assert np.any(own.variables[-1].numpy() != model.variables[-1].numpy())


def test_a_loss_that_is_not_finite(fused):
    results = []
    for poisoned in (False, True):
        model = small("float32")
        optimizer = built(model, keras.optimizers.Nadam)
        images = images_of(model)
        rows, seeds = feed(3, images)
        rows[rows == 7] = 8
        if poisoned:
            images[7], rows[1, 3] = np.nan, 7
            message = "autoencoder_step: the loss is not finite in step 1 of 3: the step updated no"
            with pytest.raises(tf.errors.InvalidArgumentError, match=message):
                run(model, optimizer, images, rows, seeds)
        else:
            run(model, optimizer, images, rows[:1], seeds[:1])
        assert int(optimizer.iterations) == 1
        results.append(copies(model.state(optimizer)))
    for a, b in zip(*results, strict=True):
        np.testing.assert_array_equal(a, b)


def test_no_steps(fused):
    model = small("float32")
    images = images_of(model)
    told = run(model, built(model, keras.optimizers.SGD), images, *feed(0, images))
    assert told.pop("activity").shape == (0, 0) and {x.shape for x in told.values()} == {(0,)}


def test_without_the_kernel_nothing_is_done(monkeypatch):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    model = small("float32")
    optimizer, images = built(model, keras.optimizers.SGD), images_of(model)
    arguments = [tf.constant(x) for x in feed(1, images)]
    before, made = copies(model.state(optimizer)), []
    step = tf.function(
        lambda: made.append(run(model, optimizer, images, *arguments)),
        jit_compile=True,
        autograph=False,
    )
    step()
    with fastgen.portable():
        made.append(run(model, optimizer, images, *arguments))
    assert made == [None, None]
    for a, b in zip(model.state(optimizer), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_what_was_read_before_stays(fused):
    model = small("float32")
    optimizer, images = built(model, keras.optimizers.SGD), images_of(model)
    read = [v.value.read_value() for v in model.variables]
    kept = copies(read)
    run(model, optimizer, images, *feed(1, images))
    for x, value, v in zip(read, kept, model.variables, strict=True):
        np.testing.assert_array_equal(x, value)
        assert np.any(v.numpy() != value)


def arguments_of(model):
    images = images_of(model)
    rows, seeds = feed(2, images)
    return {
        "model": model.chain,
        "optimizer": built(model, keras.optimizers.Adam),
        "images": images,
        "rows": rows,
        "seeds": seeds,
        "log_variance": model.log_variance,
    }


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"rows": np.ones([3], "int64")}, ValueError, r"rows must be .*Received: \(3,\)"),
        ({"loss": "mse"}, ValueError, "loss must be one of .*Received: 'mse'"),
        ({"seeds": None}, ValueError, "a layer that draws needs seeds"),
        ({"optimizer": keras.optimizers.Lion()}, network.NotDense, "no kernel for the .* Lion"),
        ({"rows": np.full([2, 2], 40)}, tf.errors.InvalidArgumentError, "Received: 40"),
        ({"images": np.ones([40, 8], "float32")}, tf.errors.InvalidArgumentError, "be .n, 9."),
        ({"targets": np.ones([39, 9], "float32")}, tf.errors.InvalidArgumentError, "targets .n, 9"),
        ({"kl_scales": np.ones(3)}, tf.errors.InvalidArgumentError, "kl_scales .steps."),
        ({"log_variance": 4}, tf.errors.InvalidArgumentError, "layer "),
    ],
    ids=lambda x: x if isinstance(x, str) else None,
)
def test_refused(fused, change, error, message):
    model = small("float32")
    before = copies(model.variables)
    with pytest.raises(error, match=message):
        ops.autoencoder_step(**{**arguments_of(model), **change})
    for a, b in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rows": tf.ones([1], tf.int64)}, "rows must be"),
        ({"rows": tf.ones([2, 0], tf.int64)}, "batch 1 or more"),
        ({"seeds": tf.ones([1, 2], tf.int64)}, r"seeds \[steps, 2\]"),
        ({"images": tf.ones([40, 9], tf.float64)}, "images must be uint8 or of the network's"),
        ({"autoencoder_learning_rates": tf.ones([1], tf.float64)}, "learning_rates must be one"),
        ({"autoencoder_kernels": [0]}, "what is said of the layers must be of all"),
        ({"autoencoder_seeds": tf.ones([2, 1, 2], tf.int64)}, "seeds must be two a pass"),
        ({"autoencoder_amounts": tf.zeros([1], tf.float64)}, "amounts must be one a layer"),
        ({"autoencoder_penalties": tf.zeros([1, 2], tf.float64)}, "penalties must be a weight and"),
        ({"autoencoder_sparsities": ["kl"]}, "what is said of the layers must be of all"),
        ({"T": tf.float64}, "variables must have the dtype"),
    ],
    ids=str,
)
def test_the_second_wall(fused, monkeypatch, change, message):
    given, op = {}, native.load_ops().fastgen_autoencoder_step
    model = small("float32")
    with monkeypatch.context() as patched:
        patched.setattr(
            fastgen.dispatch,
            "fused_op",
            lambda *a: lambda **x: given.update(x) or (tf.zeros([2, 5]), tf.zeros([2, 0])),
        )
        ops.autoencoder_step(**arguments_of(model))
    before = copies(model.variables)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        op(**{**given, **change})
    for a, b in zip(model.variables, before, strict=True):
        np.testing.assert_array_equal(a, b)
