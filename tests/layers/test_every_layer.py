"""What every layer promises Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from tests.layers.cases import CASES, FEATURES, SEED, each_layer, model_of_every_layer, state
from tests.tolerances import SAME_FORMULA, assert_close


def gradients(function, layer, inputs):
    """Gradients of the sum of squares in inputs and weights."""
    sources = [*keras.tree.flatten(inputs), *(v.value for v in layer.trainable_variables)]
    with tf.GradientTape() as tape:
        tape.watch(sources)
        out = function(inputs)
        loss = tf.reduce_sum(tf.cast(out, tf.float64) ** 2)
    return out, tape.gradient(loss, sources)


@each_layer
@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_numbers_and_gradients_as_stock(path, name, dtype, graph):
    case = CASES[name]
    layer, inputs = case.make(dtype=dtype), case.inputs((33, FEATURES), dtype)
    layer.build(keras.tree.map_shape_structure(tuple, keras.tree.map_structure(np.shape, inputs)))
    stock = case.stock(layer)
    stock(inputs), layer(inputs)  # random layers make their state, and draw once each

    def run():
        ours = gradients(layer, layer, inputs)
        # The stock layer has weights of its own, or those of the layer.
        return ours, gradients(stock, stock if isinstance(stock, keras.Layer) else layer, inputs)

    ours, expected = (tf.function(run) if graph else run)()
    for one, other in zip(*map(keras.tree.flatten, (ours, expected)), strict=True):
        assert_close(one, other, dtype, 33 * FEATURES)


@each_layer
def test_shapes(path, name):
    case = CASES[name]
    layer = case.make()
    symbolic = layer(case.symbolic([3, FEATURES]))
    shapes = keras.tree.map_structure(lambda _: (None, 3, FEATURES), case.inputs((1, 1)))
    assert layer.compute_output_shape(shapes) == symbolic.shape
    for batch in (0, 1, 5):
        inputs = case.inputs((batch, 3, FEATURES))
        out, found = gradients(layer, layer, inputs)
        assert out.shape == (batch, *symbolic.shape[1:])
        assert all(np.all(np.isfinite(x)) for x in found)
    arrays = keras.tree.map_structure(np.array, case.inputs((2, FEATURES)))
    assert case.make()(arrays).shape == (2, symbolic.shape[-1])


@each_layer
def test_config(name):
    case = CASES[name]
    layer = case.make(name="layer", dtype="mixed_bfloat16")
    layer(case.inputs((7, FEATURES)))
    layer_class = type(layer)
    again = layer_class.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    serialized = keras.saving.serialize_keras_object(layer)
    assert serialized["registered_name"] == f"fastgen>{layer_class.__name__}"
    assert isinstance(keras.saving.deserialize_keras_object(serialized), layer_class)


@each_layer
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64", "bfloat16"])
def test_dtype_policies(path, name, policy):
    case = CASES[name]
    layer, inputs = case.make(dtype=policy), case.inputs((33, FEATURES))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        out = layer(inputs)
        loss = sum(layer.losses) + tf.reduce_sum(tf.cast(out, tf.float32))
    assert out.dtype == keras.DTypePolicy(policy).compute_dtype
    assert all(x.dtype == tf.float32 for x in layer.losses)
    found = keras.tree.flatten(tape.gradient(loss, inputs))
    assert all(np.all(np.isfinite(x)) for x in found)


@each_layer
@pytest.mark.parametrize("graph", [False, True], ids=["eager", "graph"])
def test_remat_scope(path, name, graph):
    case = CASES[name]
    inputs = case.inputs((33, FEATURES))
    keras.utils.set_random_seed(1)
    plain = case.make()
    with keras.RematScope(mode="full"):
        keras.utils.set_random_seed(1)
        inside = case.make()
    plain(inputs), inside(inputs)
    for _ in range(2):
        results = []
        for layer in (plain, inside):
            run = tf.function(gradients) if graph else gradients
            results.append(keras.tree.flatten(run(layer, layer, inputs)))
        for one, other in zip(*results, strict=True):
            assert_close(one, other, "float32", 33 * FEATURES)


@pytest.mark.parametrize(
    "how",
    [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}],
    ids=lambda how: next(iter(how)),
)
def test_fit(how):
    model = model_of_every_layer()
    model.compile(keras.optimizers.Nadam(0.05), "mse", **how)
    x = np.random.default_rng(0).standard_normal([40, FEATURES]).astype("float32")
    history = model.fit(x, np.ones_like(x), epochs=3, batch_size=10, verbose=0).history
    assert history["loss"][-1] < history["loss"][0]
    for layer in model.layers:
        if hasattr(layer, "seed_generator"):
            assert state(layer) == [SEED, 3 * 4], f"{layer.name}: one draw a batch"


def test_keras_file(path, tmp_path):
    model = model_of_every_layer()
    x = np.ones([3, FEATURES], "float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for _ in range(2):
        np.testing.assert_allclose(model(x), loaded(x), rtol=SAME_FORMULA)


def test_export(path, tmp_path):
    model = model_of_every_layer()
    x = np.ones([3, FEATURES], "float32")
    model.export(tmp_path / "model", verbose=False)
    with fastgen.portable():
        model.export(tmp_path / "portable", verbose=False)
    expected = model(x)  # exporting drew nothing, so each of the three starts at the seed
    for name in ("model", "portable"):
        loaded = tf.saved_model.load(tmp_path / name)
        assert_close(loaded.serve(x), expected, "float32", FEATURES)
        assert not np.allclose(loaded.serve(x), expected), "its seed moves on"
    fused = [
        b"Fastgen" in (tmp_path / name / "saved_model.pb").read_bytes()
        for name in ("model", "portable")
    ]
    assert fused == [path == "fused", False]
