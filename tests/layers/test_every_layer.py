"""What every sampling layer promises Keras."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.layers import GaussianLatent
from tests.layers.cases import SEED, StockSampling, each_layer, inputs_of, model_of, state
from tests.tolerances import SAME_FORMULA, assert_close


@each_layer
@pytest.mark.parametrize("seed", [0, SEED, 2**31 + 5, -3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_same_numbers_as_the_stock_layer(path, layer_class, seed, dtype):
    ours, stock = layer_class(seed=seed, dtype=dtype), StockSampling(seed=seed, dtype=dtype)
    inputs = inputs_of(dtype=dtype)
    for _ in range(3):
        assert_close(ours(inputs), stock(inputs), dtype)
    graph = tf.function(lambda: (ours(inputs), stock(inputs)))
    for _ in range(3):
        assert_close(*graph(), dtype)


@each_layer
def test_shapes(path, layer_class):
    layer = layer_class()
    assert layer.compute_output_shape([(None, 3, 4), (None, 3, 4)]) == (None, 3, 4)
    symbolic = layer([keras.Input([3, 4]), keras.Input([3, 4])])
    assert symbolic.shape == (None, 3, 4)
    assert state(layer)[1] == 0, "a symbolic call must not draw"
    for batch in (0, 1, 5):
        assert layer(inputs_of((batch, 3, 4))).shape == (batch, 3, 4)
    assert layer_class()([np.zeros(5), np.zeros(5)]).shape == (5,)
    assert layer_class()((np.zeros([2, 5]), np.zeros([2, 5]))).shape == (2, 5)


@each_layer
def test_bad_inputs(layer_class):
    x, y, name = np.zeros([2, 3]), np.zeros([2, 4]), layer_class.__name__
    for bad in (x, [x], [x, x, x]):
        with pytest.raises(ValueError, match=rf"{name} must be called on a list .*Received"):
            layer_class()(bad)
    with pytest.raises(ValueError, match=f"{name}: mean and log_var must have the same sh.*Rec"):
        layer_class()([x, y])
    with pytest.raises(ValueError, match="Received"):
        layer_class(seed="x")


@each_layer
def test_config(layer_class):
    layer = layer_class(seed=SEED, name="latent", dtype="mixed_bfloat16")
    layer(inputs_of())
    again = layer_class.from_config(layer.get_config())
    assert again.get_config() == layer.get_config()
    serialized = keras.saving.serialize_keras_object(layer)
    assert serialized["registered_name"] == f"fastgen>{layer_class.__name__}"
    assert isinstance(keras.saving.deserialize_keras_object(serialized), layer_class)


@each_layer
@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64", "bfloat16"])
def test_dtype_policies(path, layer_class, policy):
    layer = layer_class(seed=SEED, dtype=policy)
    inputs = inputs_of((33, 10))
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        z = layer(inputs)
        loss = sum(layer.losses) + tf.reduce_sum(tf.cast(z, tf.float32))
    assert z.dtype == keras.DTypePolicy(policy).compute_dtype
    assert all(x.dtype == tf.float32 for x in layer.losses)
    assert all(np.all(np.isfinite(x)) for x in tape.gradient(loss, inputs))


def fit(layer, x, epochs, **compile_arguments):
    """Losses of learning a constant, which takes a few steps."""
    model = model_of(layer)
    model.compile(keras.optimizers.Nadam(0.05), "mse", **compile_arguments)
    y = np.ones_like(x)
    return model, model.fit(x, y, epochs=epochs, batch_size=10, verbose=0).history


@each_layer
@pytest.mark.parametrize(
    "how",
    [{"run_eagerly": True}, {"jit_compile": True}, {"steps_per_execution": 2}],
    ids=lambda how: next(iter(how)),
)
def test_fit(layer_class, how):
    layer = layer_class(seed=SEED)
    x = np.random.default_rng(0).standard_normal([40, 10]).astype("float32")
    _, history = fit(layer, x, 3, **how)
    assert history["loss"][-1] < history["loss"][0]
    assert state(layer) == [SEED, 3 * 4], "one draw a batch"


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16", "float64"])
def test_fit_in_other_dtypes(policy):
    _, history = fit(GaussianLatent(dtype=policy), np.ones([10, 10]), 3)
    assert history["loss"][-1] < history["loss"][0]


@each_layer
def test_reproducible_after_set_random_seed(layer_class):
    def outputs():
        keras.utils.set_random_seed(7)
        x = keras.random.normal([40, 10]).numpy()
        model, history = fit(layer_class(), x, 3)
        assert history["loss"][-1] < history["loss"][0]
        return history["loss"], model.predict(x, verbose=0), model.evaluate(x, x, verbose=0)

    for one, other in zip(outputs(), outputs(), strict=True):
        np.testing.assert_array_equal(one, other)


@each_layer
@pytest.mark.parametrize("graph", [False, True])
@pytest.mark.parametrize("mode", ["full", "list_of_layers"])
def test_remat_scope(path, layer_class, graph, mode):
    inputs = inputs_of((33, 10))

    def gradients(layer):
        def run():
            with tf.GradientTape() as tape:
                tape.watch(inputs)
                loss = tf.reduce_sum(layer(inputs) ** 2) + sum(layer.losses)
            return loss, tape.gradient(loss, inputs)

        return (tf.function(run) if graph else run)()

    plain = layer_class(seed=SEED)
    with keras.RematScope(mode=mode, layer_names=["inside"]):
        inside = layer_class(seed=SEED, name="inside")
        for _ in range(2):
            loss, grads = gradients(plain)
            again, grads_again = gradients(inside)
            np.testing.assert_allclose(loss, again, rtol=SAME_FORMULA)
            for one, other in zip(grads, grads_again, strict=True):
                assert_close(one, other, "float32")
    assert state(plain) == state(inside) == [SEED, 2], "drawn once a call"


@each_layer
def test_keras_file(path, layer_class, tmp_path):
    model = model_of(layer_class(seed=SEED))
    x = np.ones([3, 10], "float32")
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    for _ in range(2):
        np.testing.assert_allclose(model(x), loaded(x), rtol=SAME_FORMULA)


@each_layer
def test_export(path, layer_class, tmp_path):
    model = model_of(layer_class(seed=SEED))
    x = np.ones([3, 10], "float32")
    model.export(tmp_path / "model", verbose=False)
    with fastgen.portable():
        model.export(tmp_path / "portable", verbose=False)
    expected = model(x)  # exporting drew nothing, so each of the three starts at the seed
    for name in ("model", "portable"):
        loaded = tf.saved_model.load(tmp_path / name)
        assert_close(loaded.serve(x), expected, "float32")
        assert not np.allclose(loaded.serve(x), expected), "its seed moves on"
    fused = [
        b"Fastgen" in (tmp_path / name / "saved_model.pb").read_bytes()
        for name in ("model", "portable")
    ]
    assert fused == [path == "fused", False]


@each_layer
def test_explicit_seed(path, layer_class):
    layer, inputs = layer_class(), inputs_of()
    seed = tf.constant([1, 2], tf.int64)
    expected = fastgen.ops.gaussian_sample(*inputs, seed)
    for call in (layer, tf.function(layer)):
        np.testing.assert_array_equal(call(inputs, seed=seed), call(inputs, seed))
        assert_close(call(inputs, seed), expected, "float32")
    assert state(layer)[1] == 0


@each_layer
def test_recompute_grad_with_the_seed_from_outside(path, layer_class):
    layer, inputs, seed = layer_class(), inputs_of(), tf.constant([1, 2], tf.int64)

    def gradients(function):
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            loss = tf.reduce_sum(function(*inputs, seed) ** 2)
        return tape.gradient(loss, inputs)

    def run(mean, log_var, seed):
        return layer([mean, log_var], seed=seed)

    again = gradients(tf.recompute_grad(run))
    for one, other in zip(gradients(run), again, strict=True):
        assert_close(one, other, "float32")


@each_layer
def test_clones_and_layers_without_a_seed_draw_apart(layer_class):
    inputs = inputs_of()
    draws = [layer_class()(inputs).numpy() for _ in range(2)]
    assert not np.allclose(*draws)


@each_layer
def test_seed_of_two_python_integers(layer_class):
    layer, inputs = layer_class(), inputs_of()
    given = layer(inputs, seed=(1, 2))
    np.testing.assert_array_equal(given, layer(inputs, seed=tf.constant([1, 2], tf.int64)))
    with pytest.raises(ValueError, match="seed must be .* Received"):
        layer(inputs, seed=(1, 2, 3))
