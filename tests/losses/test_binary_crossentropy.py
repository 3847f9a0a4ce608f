"""losses.BinaryCrossentropy: Keras' value and gradient in every mode, in fit, saved, under XLA."""

import copy
import functools
import pickle
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.losses import BinaryCrossentropy
from tests.ops.cases import draw
from tests.tolerances import LOGGED, assert_close

Stock = keras.losses.BinaryCrossentropy


def pair(**arguments):
    """Ours and Keras', which ours must be equal to."""
    return BinaryCrossentropy(**arguments), Stock(**arguments)


def batch(shape=(7, 10)):
    rng = np.random.default_rng(3)
    return rng.integers(0, 2, shape).astype("float32"), draw(shape, tf.float32, 4, 3.0)


def assert_same(ours, stock, y_true, y_pred, **arguments):
    values = []
    for loss in (ours, stock):
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            value = loss(y_true, y_pred, **arguments)
        values.append((value, tape.gradient(value, y_pred)))
    for mine, theirs in zip(*values, strict=True):
        assert mine.shape == theirs.shape and mine.dtype == theirs.dtype
        assert_close(mine, theirs, tf.float32)


@pytest.mark.parametrize("from_logits", [True, False])
@pytest.mark.parametrize(
    "reduction", ["sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none", None]
)
def test_reductions_and_sample_weights(path, from_logits, reduction):
    y_true, y_pred = batch()
    y_pred = y_pred if from_logits else tf.sigmoid(y_pred)
    ours, stock = pair(from_logits=from_logits, reduction=reduction, label_smoothing=0.1)
    weights = np.linspace(0, 2, 7, dtype="float32")
    for sample_weight in (None, weights, weights[:, None]):
        assert_same(ours, stock, y_true, y_pred, sample_weight=sample_weight)


def test_shapes_axes_and_masks(path):
    for shape, axis in [((6,), -1), ((6, 1), -1), ((2, 3, 4), -1), ((2, 3, 4), 1), ((2, 3, 4), 2)]:
        y_true, y_pred = batch(shape)
        assert_same(*pair(from_logits=True, axis=axis), y_true, y_pred)
    y_true, y_pred = batch((6, 1))
    assert_same(*pair(from_logits=True), y_true[:, 0], y_pred)
    assert_same(*pair(from_logits=True), y_true.astype("uint8"), y_pred)
    y_true, y_pred = batch((4, 3, 5))
    y_pred._keras_mask = tf.constant(np.arange(12).reshape(4, 3) % 3 > 0)
    assert_same(*pair(from_logits=True), y_true, y_pred)
    message = "^BinaryCrossentropy: y_true and y_pred must have the same shape. Received: y_true.sh"
    with pytest.raises(ValueError, match=message):
        BinaryCrossentropy(from_logits=True)(np.zeros([2, 3]), np.zeros([2, 4]))
    with pytest.raises(ValueError, match="^BinaryCrossentropy: label_smoothing must be a number"):
        BinaryCrossentropy(label_smoothing=2)


def last_layers():
    """Ends of a model: where Keras finds the logits, and where it clips probabilities."""
    return {
        "sigmoid": [keras.layers.Dense(1, activation="sigmoid", use_bias=False)],
        "fused": [fastgen.layers.FusedDense(1, activation="sigmoid", use_bias=False)],
        "apart": [keras.layers.Dense(1, use_bias=False), keras.layers.Activation("sigmoid")],
        "reshape": [
            keras.layers.Dense(1, activation="sigmoid", use_bias=False),
            keras.layers.Reshape((1, 1)),
        ],
    }


@pytest.mark.parametrize("compiled", [True, False])
@pytest.mark.parametrize("end", last_layers())
def test_logits_behind_a_sigmoid_or_clipped_probabilities(path, compiled, end):
    model = keras.Sequential([keras.Input((1,)), *last_layers()[end]])
    (kernel,) = model.trainable_variables
    kernel.assign([[1.0]])
    x = tf.constant([[-200.0], [200.0], [0.5]])
    y = tf.constant([[1.0], [0.0], [1.0]])
    y = tf.reshape(y, [3, 1, 1]) if end == "reshape" else y

    def gradient(loss):
        with tf.GradientTape() as tape:
            value = loss(y, model(x, training=True))
        return value, tape.gradient(value, kernel.value)

    results = [(tf.function(gradient) if compiled else gradient)(loss) for loss in pair()]
    for mine, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=LOGGED)
    # At a logit of 200 on the wrong side the loss is 200, and 16 where it was clipped.
    assert (results[0][0] > 100) == (end != "reshape")
    assert abs(results[0][1].numpy().item()) > 100 or end == "reshape"


def test_logits_given_and_found(path):
    x = tf.constant([[0.3]])
    y_pred = keras.activations.sigmoid(x)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        values = [loss(tf.constant([[1.0]]), y_pred) for loss in pair(from_logits=True)]
    assert len(caught) == 2 and all("from_logits=True" in str(w.message) for w in caught)
    assert_close(values[0], values[1], tf.float32)


def compiled_model(loss, policy="float32", **arguments):
    """A model with two outputs."""
    keras.utils.set_random_seed(5)
    inputs = keras.Input((12,))
    code = keras.layers.Dense(8, activation="relu", dtype=policy)(inputs)
    outputs = {
        "image": keras.layers.Dense(12, activation="sigmoid", dtype=policy, name="image")(code),
        "logit": keras.layers.Dense(1, dtype=policy, name="logit")(code),
    }
    model = keras.Model(inputs, outputs)
    losses = {"image": loss(), "logit": loss(from_logits=True, label_smoothing=0.2)}
    model.compile("sgd", losses, loss_weights={"image": 1.0, "logit": 0.5}, **arguments)
    return model


@functools.cache
def trained(loss, policy="float32", **arguments):
    """Losses of three epochs, and of an evaluation."""
    model = compiled_model(loss, policy, **arguments)
    x = np.random.default_rng(0).random((64, 12), "float32")
    targets = {"image": x, "logit": (x[:, :1] > 0.5).astype("float32")}
    weights = {"image": np.ones(64), "logit": np.linspace(0, 1, 64)}
    history = model.fit(x, targets, 16, 3, verbose=0, sample_weight=weights).history["loss"]
    return [*history, model.evaluate(x, targets, verbose=0)[0]]


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_fit(fused, policy):
    stock = trained(keras.losses.BinaryCrossentropy, policy)
    np.testing.assert_allclose(trained(BinaryCrossentropy, policy), stock, rtol=LOGGED)


@pytest.mark.slow
def test_fit_under_xla():
    ours = trained(BinaryCrossentropy, jit_compile=True)
    stock = trained(keras.losses.BinaryCrossentropy, "float32")
    np.testing.assert_allclose(ours, stock, rtol=LOGGED)


def test_doctor_names_it(fused):
    model = compiled_model(BinaryCrossentropy)
    rows = [row for row in fastgen.doctor(model) if row["part"] == "loss"]
    assert {(row["op"], row["path"]) for row in rows} == {("sigmoid_cross_entropy", "fused")}


def saved_model(folder):
    """A path, the loss of the model there, data and what it evaluates to."""
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2, activation="sigmoid")])
    loss = BinaryCrossentropy(label_smoothing=0.1, reduction="sum", name="mine")
    model.compile("adam", loss, run_eagerly=True)
    x = np.random.default_rng(0).random((8, 3))
    model.save(folder / "model.keras")
    return folder / "model.keras", loss, x, model.evaluate(x, x[:, :2], verbose=0)


@pytest.mark.parametrize("imported", [True, False])
def test_a_file_has_ours_with_fastgen_and_keras_own_without(imported, tmp_path, monkeypatch):
    path, loss, x, expected = saved_model(tmp_path)
    if not imported:
        monkeypatch.delitem(keras.saving.get_custom_objects(), type(loss).__name__)
    loaded = keras.saving.load_model(path)
    assert type(loaded.loss) is (BinaryCrossentropy if imported else Stock)
    assert loaded.loss.get_config() == loss.get_config()
    np.testing.assert_allclose(loaded.evaluate(x, x[:, :2], verbose=0), expected, rtol=LOGGED)


def test_names_of_keras_mean_keras():
    """Importing fastgen changes nothing for those who do not ask for it."""
    named = {"class_name": "BinaryCrossentropy", "config": {}}
    for identifier in (named, "BinaryCrossentropy", keras.losses.serialize(Stock())):
        assert type(keras.losses.get(identifier)) is Stock
        assert type(keras.losses.deserialize(identifier)) is Stock
    for identifier in (named, "BinaryCrossentropy"):
        assert type(keras.metrics.get(identifier)) is keras.metrics.BinaryCrossentropy


def test_copies_pickles_and_names():
    loss = BinaryCrossentropy(label_smoothing=0.1)
    for copied in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert type(copied) is BinaryCrossentropy and copied.get_config() == loss.get_config()
    assert repr(loss) == "<fastgen.losses.BinaryCrossentropy 'binary_crossentropy'>"


def test_one_pass_without_weights(fused):
    """The mean is taken, and its slope kept, by the op: nothing of the batch's size is stock."""
    y_true, y_pred = map(tf.constant, batch())

    @tf.function
    def run(y_true, y_pred):
        with tf.GradientTape() as tape:
            tape.watch(y_pred)
            loss = BinaryCrossentropy(from_logits=True)(y_true, y_pred)
        return loss, tape.gradient(loss, y_pred)

    graph = run.get_concrete_function(y_true, y_pred).graph
    made = [
        op for op in graph.get_operations() if any(out.shape == y_pred.shape for out in op.outputs)
    ]
    kinds = {op.type for op in made} - {"Placeholder", "Identity", "Const"}
    assert kinds == {"FastgenSigmoidCrossEntropy", "FastgenSigmoidCrossEntropyFromSlopeGrad"}
