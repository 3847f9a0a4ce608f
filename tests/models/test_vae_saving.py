"""VariationalAutoencoder saved, exported, in other precisions, and on several devices."""

import io

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.layers import GaussianMixture
from fastgen.models import Cyclic, VariationalAutoencoder, Warmup
from tests.models.cases import CODINGS, SHAPE, compiled, images, own_model, small
from tests.tolerances import TRAINING, assert_close

X = images(16)


def mixture():
    return compiled(prior=GaussianMixture(2, CODINGS, seed=1), beta=Cyclic(10))


MODELS = {
    "dense": lambda: compiled(beta=Warmup(7, beta=0.5), free_bits=0.25, reduction="mean"),
    "convolutional": lambda: compiled(kind="convolutional", reconstruction="mean_squared_error"),
    "mixture": mixture,
}


def parts(vae):
    """The configurations of encoder and decoder, in which Keras notes what has been called."""
    config = vae.get_config()
    return {name: config[name] for name in ("encoder", "decoder")}


@pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)
def test_keras_file(fused, make, tmp_path):
    vae = make()
    vae.fit(X, verbose=0)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    assert isinstance(loaded, VariationalAutoencoder)
    assert {**loaded.get_config(), **parts(vae)} == vae.get_config()
    assert loaded.latent.get_config() == vae.latent.get_config()
    assert type(loaded.prior) is type(vae.prior)
    np.testing.assert_array_equal(loaded.encode(X), vae.encode(X))
    np.testing.assert_array_equal(loaded.generate(4, seed=1), vae.generate(4, seed=1))
    # Compiled, with slots, iterations and seeds, it trains on as the saved one does.
    losses = [m.fit(X, shuffle=False, verbose=0).history["loss"] for m in (vae, loaded)]
    np.testing.assert_allclose(*losses, rtol=TRAINING)
    assert loaded.optimizer.iterations.numpy() == 2 == vae.optimizer.iterations.numpy()


def test_own_parts_in_a_keras_file(tmp_path):
    vae = own_model(beta=2.0)
    vae.save(tmp_path / "vae.keras")
    loaded = keras.saving.load_model(tmp_path / "vae.keras")
    np.testing.assert_array_equal(loaded.encode(X), vae.encode(X))
    assert loaded.beta == 2.0 and not loaded.compiled


def test_weights_file(tmp_path):
    vae, other = small(), small(seed=7)
    vae.save_weights(tmp_path / "vae.weights.h5")
    other.load_weights(tmp_path / "vae.weights.h5")
    np.testing.assert_array_equal(vae.encode(X), other.encode(X))


def test_export(path, tmp_path):
    vae = compiled()
    vae.fit(X, verbose=0)
    vae.encode(X), vae.generate(2)  # whose traces must not be saved
    vae.export(tmp_path / "own", verbose=False)
    with fastgen.portable():
        vae.export(tmp_path / "portable", verbose=False)
    expected = vae.predict(X, verbose=0)
    for name in ("own", "portable"):
        loaded = tf.saved_model.load(tmp_path / name)
        assert_close(loaded.serve(X), expected, "float32")
    saved = [(tmp_path / name / "saved_model.pb").read_bytes() for name in ("own", "portable")]
    assert [b"Fastgen" in text for text in saved] == [path == "fused", False]


@pytest.fixture
def policy():
    before = keras.config.dtype_policy()
    yield keras.config.set_dtype_policy
    keras.config.set_dtype_policy(before)


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        pytest.param("mixed_float16", {}, marks=pytest.mark.slow),
        ("mixed_bfloat16", {"free_bits": 0.1}),
        pytest.param("float64", {"kind": "convolutional"}, marks=pytest.mark.slow),
    ],
)
def test_precision(policy, name, variant):
    policy(name)
    vae = small(beta=Warmup(2), **variant)
    vae.compile(keras.optimizers.Nadam(0.01))
    black = np.zeros((64, *SHAPE), "float32")  # which is soon learnt
    logs = vae.fit(black, validation_data=black, batch_size=8, epochs=3, verbose=0).history
    assert logs["val_loss"][-1] < logs["val_loss"][0]
    assert vae.encoder.get_layer("mean").compute_dtype == keras.DTypePolicy(name).compute_dtype
    wide = "float64" if name == "float64" else "float32"
    assert vae.decoder.output.dtype == wide and vae.generate(2).dtype == wide
    if name == "mixed_float16":
        assert type(vae.optimizer).__name__ == "LossScaleOptimizer"


def test_half_precision_learns_from_logits_beyond_its_sigmoid(policy):
    policy("mixed_float16")
    vae = compiled(keras.optimizers.SGD(0.0))
    bias = vae.decoder.layers[-3].bias
    bias.assign(tf.fill(bias.shape, 30.0))
    loss = vae.evaluate(np.zeros_like(X), verbose=0, return_dict=True)["reconstruction_loss"]
    assert loss == pytest.approx(30 * np.prod(SHAPE), rel=0.05)


def test_tensorboard(tmp_path):
    pytest.importorskip("tensorboard")
    vae = compiled(beta=Warmup(3))
    board = keras.callbacks.TensorBoard(tmp_path, histogram_freq=1, write_graph=True)
    vae.fit(X, validation_data=X, epochs=2, verbose=0, callbacks=[board])
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*tfevents*"))
    for tag in (b"epoch_kl", b"epoch_reconstruction_loss", b"epoch_beta", b"epoch_loss"):
        assert tag in written


def test_summary():
    text = io.StringIO()
    small().summary(print_fn=lambda line: text.write(line + "\n"), expand_nested=True)
    for name in ("encoder", "gaussian_latent", "log_var", "decoder"):
        assert name in text.getvalue()


def test_doctor(fused, capsys):
    rows = fastgen.doctor(compiled())
    (latent,) = [row for row in rows if row["type"] == "GaussianLatent"]
    assert latent["op"] == "gaussian_sample_kl" and latent["path"] == "fused"
    assert (rows[0]["part"], rows[0]["path"]) == ("fit on arrays", "fused")
    step, *parts = fastgen.doctor(compiled(free_bits=1.0))
    assert step["path"] == "composite" and "'gaussian_latent' has free bits" in step["why"]
    used = {row["op"] for row in parts if row["op"]}
    assert used == {"gaussian_sample", "gaussian_kl", "optimizer_update"}


MIRRORED = """
import numpy as np, keras, tensorflow as tf, fastgen
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, 2 * [tf.config.LogicalDeviceConfiguration()])
x = np.random.default_rng(0).random((32, 6, 5)).astype("float32")
weights = np.linspace(0, 2, 32).astype("float32")

def run(arguments, **how):
    vae = fastgen.models.variational_autoencoder((6, 5), 3, hidden=(8,), seed=1, **arguments)
    # Hardly any noise, which replicas draw apart.
    vae.encoder.get_layer("log_var").bias.assign([-30.0] * 3)
    vae.compile(keras.optimizers.SGD(0.002))
    arguments = dict(batch_size=16, epochs=2, shuffle=False, verbose=0)
    logs = vae.fit(x, sample_weight=weights, validation_data=x, **arguments).history
    return logs, vae.get_weights(), vae.encode(x)

arguments = {"beta": fastgen.models.Warmup(8), "reduction": REDUCTION}
one = run(arguments)
with tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"]).scope():
    two = run(arguments)
for name in one[0]:
    np.testing.assert_allclose(one[0][name], two[0][name], rtol=1e-4, err_msg=name)
np.testing.assert_allclose(one[2], two[2], rtol=1e-3, atol=1e-5)
"""


@pytest.mark.slow
@pytest.mark.parametrize("reduction", ["sum", "mean"])
def test_several_replicas_train_as_one(run_python, reduction):
    run_python(MIRRORED.replace("REDUCTION", repr(reduction)))
