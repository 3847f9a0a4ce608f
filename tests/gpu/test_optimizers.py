"""A step of an optimizer on the GPU is the CPU's, in place, and waits for nothing."""

import ctypes

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen import dispatch, native, ops
from tests.optimizers.cases import OPTIMIZERS, SMALL, drawn, gradients, make, path_of, state
from tests.optimizers.test_parity import OPTIONS

TOLERANCE = {"float32": 2e-6, "float64": 1e-12}


def built(device, name, dtype="float32", **more):
    with tf.device(device):
        optimizer, variables = make(fastgen.optimizers, name, **more), drawn(SMALL, dtype)
        optimizer.build(variables)
    return optimizer, variables


def assert_same(ours, expected, dtype="float32"):
    for a, b in zip(state(*ours), state(*expected), strict=True):
        assert "GPU" in a.device and "CPU" in b.device
        tolerance = TOLERANCE.get(dtype)
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=tolerance, atol=tolerance)


def apply_on_both(gpu, ours, expected, grads):
    for (optimizer, variables), device in ((ours, gpu), (expected, "/CPU:0")):
        with tf.device(device):
            optimizer.apply([None if g is None else tf.identity(g) for g in grads], variables)


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_rule(gpu, unguarded, name, dtype):
    ours, expected = built(gpu, name, dtype), built("/CPU:0", name, dtype)
    for i in range(3):
        grads = gradients(SMALL, i, dtype)
        path = path_of(lambda grads=grads: apply_on_both(gpu, ours, expected, grads))
        assert path == {dispatch.FUSED}
        assert_same(ours, expected, dtype)


@pytest.mark.parametrize("name", ["momentum", "nadam"])
@pytest.mark.parametrize("option", OPTIONS)
def test_options(gpu, unguarded, name, option):
    made = [built(device, name, "float64", **OPTIONS[option]) for device in (gpu, "/CPU:0")]
    for i in range(7):
        apply_on_both(gpu, *made, gradients(SMALL, i, "float64"))
        assert_same(*made, "float64")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_step_that_a_loss_scale_skips(gpu, unguarded, bad):
    """Of Nadam, whose product of momenta stays, too; the iterations are not counted."""
    made = [built(device, "nadam", loss_scale_factor=8.0) for device in (gpu, "/CPU:0")]
    apply_on_both(gpu, *made, gradients(SMALL, 0))
    before = [v.numpy() for v in state(*made[0])]
    spoilt = gradients(SMALL, 1)
    spoilt[1] = spoilt[1] * [1.0, bad, 1.0, 1.0]
    apply_on_both(gpu, *made, spoilt)
    for v, value in zip(state(*made[0]), before, strict=True):
        np.testing.assert_array_equal(v.numpy(), value)
    apply_on_both(gpu, *made, gradients(SMALL, 2))
    assert_same(*made)
    assert made[0][0].iterations.numpy() == 2


def test_steps_of_a_graph(gpu, unguarded):
    """One trace for all of them: the iterations and a changed learning rate are read as it runs."""
    made = [built(device, "adam", global_clipnorm=0.2) for device in (gpu, "/CPU:0")]

    @tf.function(autograph=False, input_signature=[tf.TensorSpec([], "int32")])
    def run(first):
        def step(i):
            apply_on_both(gpu, *made, gradients(SMALL, i))
            return (i + 1,)

        tf.while_loop(lambda i: i < first + 4, step, (first,))

    run(0)
    assert_same(*made)
    for optimizer, _ in made:
        optimizer.learning_rate = 0.5
    run(4)
    assert_same(*made)
    assert made[0][0].iterations.numpy() == 8


def one_step(optimizer, variables, how):
    def step():
        optimizer.apply(gradients(SMALL, 0), variables)

    (tf.function(step, autograph=False) if how == "graph" else step)()


@pytest.mark.parametrize("how", ["eager", "graph"])
def test_a_step_is_where_its_variables_are(gpu, unguarded, how):
    """Whatever the scope says that it is called in: none, or the other device."""
    for of_variables, scope in ((gpu, None), (gpu, "/CPU:0"), ("/CPU:0", None), ("/CPU:0", gpu)):
        optimizer, variables = built(of_variables, "adam")
        twin, expected = built("/CPU:0", "adam")

        with tf.device(scope):
            one_step(optimizer, variables, how)
        with tf.device("/CPU:0"):
            twin.apply(gradients(SMALL, 0), expected)
        for a, b in zip(state(optimizer, variables), state(twin, expected), strict=True):
            assert of_variables.strip("/") in a.device
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-6, atol=2e-6)


def test_a_dynamic_loss_scale(gpu, unguarded):
    """Keras' wrapper scales, and skips a step whose gradients are not finite."""
    made = []
    for device in (gpu, "/CPU:0"):
        inner, variables = built(device, "sgd")
        with tf.device(device):
            optimizer = keras.optimizers.LossScaleOptimizer(inner, initial_scale=4.0)
            optimizer.build(variables)
        made.append((optimizer, variables))
    for i, factor in enumerate([1.0, np.inf, 1.0]):
        apply_on_both(gpu, *made, [g * factor for g in gradients(SMALL, i)])
        for a, b in zip(made[0][1], made[1][1], strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=2e-6)
    assert made[0][0].inner_optimizer.iterations.numpy() == 2


def sgd(w, gradient, iterations, more=()):
    variables = [w, *more]
    return ops.optimizer_update(
        "sgd", iterations, variables, [gradient] * len(variables), [], tf.constant(0.5)
    )


@pytest.fixture
def small(gpu, open_memory):
    """A variable of 1 and 2, iterations and a gradient of ones on the GPU, whose memory is shut."""
    with tf.device(gpu):
        with open_memory():
            w, iterations = tf.Variable([1.0, 2.0]), tf.Variable(5, dtype="int64")
            gradient = tf.identity(tf.ones([2]))
        yield w, gradient, iterations


def test_the_host_reads_nothing(small):
    """The memory of the GPU is shut to it."""
    w, gradient, iterations = small
    assert sgd(w, gradient, iterations)
    np.testing.assert_array_equal(w.numpy(), [0.5, 1.5])
    assert iterations.numpy() == 6


def test_what_was_read_before_stays(small):
    """Who has the variable's memory, too, keeps its values: the step is on a copy."""
    w, gradient, iterations = small
    read, counted = w.read_value(), iterations.read_value()
    assert sgd(w, gradient, iterations)
    np.testing.assert_array_equal(read.numpy(), [1.0, 2.0])
    assert counted.numpy() == 5
    np.testing.assert_array_equal(w.numpy(), [0.5, 1.5])
    assert iterations.numpy() == 6


def test_in_place(small):
    """Who has it alone is updated where it is."""
    w, gradient, iterations = small

    def places():
        return [address(v.read_value()) for v in (w, iterations)]

    assert sgd(w, gradient, iterations)  # until now TensorFlow has the 5 among its constants, too
    before = places()
    assert sgd(w, gradient, iterations)
    assert places() == before
    with tf.device(w.device):
        held = w.read_value()
        assert sgd(w, gradient, iterations)
    assert places()[0] != before[0] == address(held)


def address(tensor):
    """Where a tensor's numbers are, of a capsule of DLPack."""
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    managed = pointer(tf.experimental.dlpack.to_dlpack(tensor), b"dltensor")
    return ctypes.c_void_p.from_address(managed).value


@pytest.mark.parametrize("fault", ["shape", "twice", "numbers"])
def test_a_refused_step_changes_nothing(small, fault):
    w, gradient, iterations = small
    op = native.load_ops().fastgen_optimizer_update
    none = ("slots", "averages", "accumulators", "u_products", "slot_places")
    given = {
        "iterations": iterations.handle,
        "variables": [w.handle],
        "gradients": [gradient],
        "learning_rate": tf.constant(0.5),
        "numbers": ops.arguments.for_host([0.0] * 7),
        "rule": "sgd",
        "decayed": [True],
        **{name: [] for name in none},
    }
    message = {"shape": "must have the shape", "twice": "given twice", "numbers": "must be 7"}
    if fault == "shape":
        given["gradients"] = [tf.reshape(gradient, [1, 2])]
    elif fault == "twice":
        given |= {"variables": [w.handle] * 2, "gradients": [gradient] * 2, "decayed": [True] * 2}
    else:
        given["numbers"] = ops.arguments.for_host([0.0] * 6)
    with pytest.raises(tf.errors.InvalidArgumentError, match=message[fault]):
        op(**given)
    np.testing.assert_array_equal(w.numpy(), [1.0, 2.0])
    assert iterations.numpy() == 5


def test_variables_on_two_devices_are_left_to_keras(gpu, unguarded, monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    with tf.device("/CPU:0"):
        iterations = tf.Variable(0, dtype="int64")
    with tf.device(gpu):
        w = tf.Variable([1.0, 2.0])
        assert not sgd(w, tf.ones([2]), iterations)
    np.testing.assert_array_equal(w.numpy(), [1.0, 2.0])


def test_a_product_of_momenta_elsewhere_is_left_to_keras(gpu, unguarded, monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    with tf.device("/CPU:0"):
        product = tf.Variable(1.0)
    with tf.device(gpu):
        iterations, w, m, v = (tf.Variable(x) for x in (np.int64(0), [1.0], [0.0], [0.0]))
        arrays = iterations, [w], [tf.ones([1])], [[m], [v]], 0.5
        given = {"slot_places": (0, 1), "momentum": 0.9, "rho": 0.99}
        assert not ops.optimizer_update("nadam", *arrays, u_product=product, **given)
    assert (w.numpy(), product.numpy(), iterations.numpy()) == ([1.0], 1.0, 0)


def train(device, name):
    keras.utils.set_random_seed(1)
    with tf.device(device):
        optimizer = getattr(fastgen.optimizers, name)(0.01)
        layers = keras.layers
        model = keras.Sequential([keras.Input((12,)), layers.Dense(8, "tanh"), layers.Dense(12)])
        model.compile(optimizer, "mse", jit_compile=False)
        x = np.random.default_rng(0).standard_normal((64, 12)).astype("float32")
        history = model.fit(x, x, batch_size=16, epochs=3, verbose=0).history["loss"]
        assert model.optimizer.iterations.numpy() == 12
        return history


@pytest.mark.parametrize("name", ["Adam", "Nadam"])
def test_a_model_that_trains(gpu, unguarded, name):
    losses = []
    path = path_of(lambda: losses.extend([train("/CPU:0", name), train(gpu, name)]))
    assert path == {dispatch.FUSED}
    np.testing.assert_allclose(losses[1], losses[0], rtol=1e-4)
