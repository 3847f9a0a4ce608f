"""What VariationalAutoencoder is trained on, and gives back."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.models.cases import CODINGS, SHAPE, compiled, images, small, stock_kl
from tests.tolerances import LOGGED, assert_close

X = images(20)
WEIGHTS = np.random.default_rng(1).random(20).astype("float32")


def dataset(*parts):
    return tf.data.Dataset.from_tensor_slices(parts if len(parts) > 1 else parts[0]).batch(8)


@pytest.mark.parametrize(
    "arguments",
    [
        {"x": X, "validation_data": X},
        {"x": X, "y": X, "validation_data": (X, X)},
        {"x": X, "validation_data": (X,)},
        {"x": X.astype("float64"), "validation_data": (X, X, WEIGHTS)},
        {"x": dataset(X), "validation_data": dataset(X)},
        {"x": dataset(X, X), "validation_data": dataset(X, X)},
        {"x": dataset(X, X, WEIGHTS), "validation_data": X},
        {"x": np.concatenate([X, X]), "validation_split": 0.5, "shuffle": False},
        {"x": tf.constant(X), "validation_data": tf.constant(X)},
    ],
    ids=range(9),
)
def test_fit(arguments):
    vae = compiled(keras.optimizers.SGD(0.0))
    logs = vae.fit(
        **{"batch_size": 8} if isinstance(arguments["x"], np.ndarray) else {},
        **arguments,
        epochs=2,
        verbose=0,
    ).history
    assert len(logs) == 6 and np.all(np.isfinite(list(logs.values())))
    weighted = len(arguments.get("validation_data", ())) == 3
    if not weighted:
        np.testing.assert_allclose(logs["val_kl"], 2 * [stock_kl(vae, X).mean()], rtol=LOGGED)


def test_denoising_has_targets_of_its_own():
    vae = compiled(keras.optimizers.SGD(0.0), reconstruction="mean_squared_error")
    loss = [vae.evaluate(X, y, verbose=0, return_dict=True) for y in (X, 1 + X)]
    assert loss[1]["reconstruction_loss"] > loss[0]["reconstruction_loss"] + 10
    assert loss[1]["kl"] == loss[0]["kl"]


def test_sample_weights_weigh_both_losses():
    """Images of weight 0 count as none, but for the mean, which Keras takes over all of a batch."""
    weights = np.repeat([0.0, 2.0], 10).astype("float32")
    vae = compiled()
    evaluate = {"batch_size": 20, "verbose": 0, "return_dict": True}
    logs = vae.evaluate(X, sample_weight=weights, **evaluate)
    kl = stock_kl(vae, X)
    np.testing.assert_allclose(logs["kl"], np.mean(weights * kl), rtol=LOGGED)
    parts = logs["reconstruction_loss"] + logs["kl"]
    np.testing.assert_allclose(logs["loss"], parts, rtol=LOGGED)
    half = np.concatenate([np.zeros_like(X[:10]), X[10:]])
    again = small()
    again.compile()
    other = again.evaluate(half, sample_weight=weights, **evaluate)
    np.testing.assert_allclose(other["loss"], logs["loss"], rtol=LOGGED)


@pytest.mark.parametrize("free_bits", [0.0, 0.25])
def test_sample_weights_of_the_gradients(path, free_bits):
    """Weight 2 for one image is twice that image."""
    steps = []
    for x, weights in ((X[[0, 0, 1]], None), (X[[0, 1, 2]], np.array([2.0, 1.0, 0.0], "float32"))):
        vae = compiled(keras.optimizers.SGD(0.1), free_bits=free_bits)
        vae.latent.seed_generator.state.assign([1, 2])
        # Without noise, since the two batches would have other noise.
        vae.encoder.get_layer("log_var").bias.assign(tf.fill([CODINGS], -60.0))
        vae.fit(x, sample_weight=weights, verbose=0)
        steps.append([v.numpy() for v in vae.trainable_variables])
    for one, other in zip(*steps, strict=True):
        assert_close(one, other, "float32", n=3)


BAD = [
    (X[..., None], r"x must be images of shape \(n, 6, 5\)\. Received: \(20, 6, 5, 1\)"),
    (X[0], r"x must be images of shape"),
    (X * 2, r"binary_crossentropy needs (validation )?x in \[0, 1\]\. Received: float32 from"),
    (X - 0.5, r"binary_crossentropy needs (validation )?x in \[0, 1\]"),
    ((X * 255).astype("uint8"), r"in \[0, 1\]; divide by 255 first\. Received: uint8 from 0 to"),
    (np.where(X > 0.9, np.nan, X), r"\[0, 1\]\. Received: float32 from nan to nan"),
    (X.astype("U3"), r"x must hold numbers\. Received: <U3"),
    (tf.constant(X * 2), r"in \[0, 1\]"),
]


@pytest.mark.parametrize(("x", "message"), BAD, ids=range(len(BAD)))
def test_bad_images_move_no_weight(x, message):
    vae = compiled()
    before = vae.get_weights()
    good = X[: len(x)]
    calls = [
        lambda: vae.fit(x, verbose=0),
        lambda: vae.fit(good, good, validation_data=(x, x), verbose=0),
        lambda: vae.fit(good, good, 8, 1, 0, None, 0.0, x),
        lambda: vae.evaluate(x, verbose=0),
        lambda: vae.encode(x),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"VariationalAutoencoder: .*" + message):
            call()
    if x.shape == X.shape:
        with pytest.raises(
            ValueError, match=message.replace("x in", "y in").replace("x must", "y must")
        ):
            vae.fit(X, x, verbose=0)
    for one, other in zip(before, vae.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    assert vae.optimizer.iterations.numpy() == 0


def test_mean_squared_error_takes_any_finite_value():
    vae = compiled(reconstruction="mean_squared_error")
    vae.fit(5 * X - 3, verbose=0)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match=r"x must be finite\. Received: .*(nan|inf)"):
            vae.fit(np.where(X > 0.9, bad, X), verbose=0)


def test_labels_are_no_targets():
    with pytest.raises(ValueError, match=r"targets must have the shape .*Received: \(None,\)"):
        compiled().fit(dataset(X, np.arange(20)), verbose=0)


def test_encode_decode_generate():
    vae = small()
    state = vae.latent.seed_generator.state.numpy()
    mean, log_var = vae.posterior(X)
    assert mean.shape == log_var.shape == (20, CODINGS) and mean.dtype == np.float32
    np.testing.assert_array_equal(vae.encode(X, batch_size=20), mean)
    # Batches of another size are other GEMMs.
    assert_close(vae.encode(X, batch_size=7), mean, "float32")
    assert_close(mean, vae.encoder(X)[0], "float32")
    assert np.array_equal(state[:1], vae.latent.seed_generator.state.numpy()[:1])
    decoded = vae.decode(mean)
    assert decoded.shape == X.shape and 0 <= decoded.min() < decoded.max() <= 1
    assert_close(decoded, vae.decoder(mean), "float32")
    assert_close(vae.decode(mean.tolist(), batch_size=3), decoded, "float32")
    assert vae.encode(X[:0]).shape == (0, CODINGS) and vae.decode(mean[:0]).shape == (0, *SHAPE)
    images = vae.generate(5, seed=1)
    assert images.shape == (5, *SHAPE) and isinstance(images, np.ndarray)
    np.testing.assert_array_equal(images, vae.generate(5, seed=1))
    assert not np.allclose(images, vae.generate(5, seed=2))
    assert not np.allclose(vae.generate(5), vae.generate(5))


def test_looking_leaves_the_noise_of_the_training_as_it_is():
    vae = compiled()
    state = vae.latent.seed_generator.state.numpy()
    vae.encode(X), vae.generate(3), vae.generate(3, seed=1), vae.decode(np.zeros([2, CODINGS]))
    np.testing.assert_array_equal(vae.latent.seed_generator.state.numpy(), state)


def test_encode_follows_the_training():
    vae = compiled()
    before = vae.encode(X), vae.generate(3, seed=1)
    vae.fit(X, verbose=0)
    after = vae.encode(X), vae.generate(3, seed=1)
    assert not np.allclose(before[0], after[0]) and not np.allclose(before[1], after[1])


@pytest.mark.parametrize("n", [0, -1, 2.5, "3"])
def test_bad_number_of_images(n):
    with pytest.raises(ValueError, match="n must be an integer ≥ 1. Received"):
        small().generate(n)


@pytest.mark.parametrize("codings", [np.zeros([2, 4]), np.zeros(3), np.zeros([1, 2, 3])])
def test_bad_codings(codings):
    with pytest.raises(ValueError, match=r"codings must be \(n, 3\)\. Received: \("):
        small().decode(codings)
