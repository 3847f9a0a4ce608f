"""VariationalAutoencoder: its loss, its logs and its β."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import fastgen
from fastgen.models import Cyclic, Warmup
from tests.models.cases import PIXELS, compiled, images, own_model, small, stock_kl
from tests.tolerances import LOGGED, TRAINING, assert_close

X = images()


def evaluate(vae, *arguments, **keywords):
    return vae.evaluate(*arguments, **keywords, verbose=0, return_dict=True)


def stock_reconstruction(kind, x, output):
    """Summed over the pixels, mean over the images, by Keras' own losses."""
    loss = getattr(keras.losses, kind)(x.reshape(len(x), -1), output.reshape(len(x), -1))
    return PIXELS * float(np.mean(loss))


@pytest.mark.parametrize(
    ("kind", "reduction"), [("binary_crossentropy", "sum"), ("mean_squared_error", "mean")]
)
def test_loss_and_logs(path, kind, reduction):
    vae = compiled(reconstruction=kind, reduction=reduction, beta=3.0)
    state = vae.latent.seed_generator.state
    before = state.numpy()
    logs = evaluate(vae, X, batch_size=len(X))
    state.assign(before)
    output = vae.predict(X, batch_size=len(X), verbose=0)  # of the same draw
    scale = PIXELS if reduction == "mean" else 1
    reconstruction = stock_reconstruction(kind, X, output) / scale
    assert set(logs) == {"loss", "reconstruction_loss", "kl"}
    np.testing.assert_allclose(logs["kl"], stock_kl(vae, X).mean(), rtol=LOGGED)
    np.testing.assert_allclose(logs["reconstruction_loss"], reconstruction, rtol=LOGGED)
    np.testing.assert_allclose(logs["loss"], reconstruction + 3 * logs["kl"] / scale, rtol=LOGGED)


def test_logs_are_means_over_images_not_over_batches():
    vae = compiled()
    whole, ragged = (evaluate(vae, X, batch_size=n)["kl"] for n in (32, 10))
    np.testing.assert_allclose(ragged, whole, rtol=LOGGED)


def gradients(vae, x=X):
    data = tf.constant(x)
    with tf.GradientTape() as tape, vae._weighing(vae.beta, None):
        loss = vae.compute_loss(data, data, vae(data, training=True))
    return tape.gradient(loss, vae.trainable_variables)


@pytest.mark.parametrize("free_bits", [0.0, 0.5])
def test_mean_reduction_has_the_same_gradients_but_for_the_number_of_pixels(path, free_bits):
    by_sum, by_mean = (
        gradients(small(reduction=reduction, beta=2.0, free_bits=free_bits))
        for reduction in ("sum", "mean")
    )
    for one, other in zip(by_sum, by_mean, strict=True):
        assert_close(one, PIXELS * other.numpy(), "float32", n=PIXELS)


def test_own_reconstruction_and_stock_keras_train_alike():
    """Against the book's way: a functional model, add_loss, and Keras' own loss of the pixels."""
    ours, book = compiled("sgd", reduction="mean"), small()
    keras.utils.set_random_seed(1)
    latent = book.latent
    latent.kl_weight.assign(1 / PIXELS)
    stock = keras.Model(book.inputs, book.decoder(book.encoder(book.inputs)[2]))
    flat = keras.losses.BinaryCrossentropy()
    stock.compile("sgd", flat)
    arguments = {"epochs": 3, "batch_size": 8, "shuffle": False, "verbose": 0}
    losses = [
        model.fit(*data, **arguments).history["loss"]
        for model, data in ((ours, (X,)), (stock, (X, X)))
    ]
    assert losses[0][-1] < losses[0][0]
    np.testing.assert_allclose(*losses, rtol=TRAINING)


def test_validation_has_the_final_beta():
    vae = compiled(keras.optimizers.SGD(0.0), beta=Warmup(8, beta=2.0))
    logs = vae.fit(X, validation_data=X, batch_size=8, epochs=3, verbose=0).history
    # Four steps an epoch: 0, 1/4, 2/4, 3/4 and so on until 2.
    np.testing.assert_allclose(logs["beta"], [0.375, 1.375, 2.0], rtol=LOGGED)
    np.testing.assert_allclose(logs["val_beta"], [2, 2, 2])
    loss, reconstruction, kl = (
        np.array(logs[f"val_{name}"]) for name in ("loss", "reconstruction_loss", "kl")
    )
    np.testing.assert_allclose(loss, reconstruction + 2 * kl, rtol=LOGGED)


def test_schedule_follows_the_optimizer_into_the_train_step():
    vae = compiled(keras.optimizers.SGD(0.0), beta=Cyclic(2, ratio=1.0, beta=4.0))
    betas = [vae.train_on_batch(X, return_dict=True)["beta"] for _ in range(3)]
    assert betas == [0, 2, 0]
    vae.optimizer.iterations.assign(1)  # as a checkpoint does
    assert vae.train_on_batch(X, return_dict=True)["beta"] == 2


def test_schedule_in_several_steps_per_execution():
    with_two = small(beta=Warmup(4))
    with_two.compile("nadam", steps_per_execution=2)
    assert with_two.fit(X, batch_size=8, verbose=0).history["beta"] == [0.375]


def test_beta_weighs_the_kl_alone():
    logs = [
        compiled(keras.optimizers.Nadam(0.02), beta=beta).fit(X, epochs=15, verbose=0).history
        for beta in (0.0, 10.0)
    ]
    assert logs[0]["kl"][-1] > 2 * logs[1]["kl"][-1] > 0


def test_default_takes_fused_ops_alone(fused):
    before = fastgen.stats()
    compiled().fit(X, validation_data=X, verbose=0)
    taken = {
        (op, path)
        for op, paths in fastgen.stats().items()
        for path, count in paths.items()
        if count != before.get(op, {}).get(path, 0)
    }
    ops = ("autoencoder_step", "gaussian_sample_kl")  # the second to validate
    assert taken == {(op, "fused") for op in ops}


@pytest.mark.parametrize(
    "how",
    [{"run_eagerly": True}, pytest.param({"jit_compile": True}, marks=pytest.mark.slow)],
    ids=str,
)
def test_other_ways_to_run(how):
    vae = small()
    vae.compile("nadam", **how)
    logs = vae.fit(X, epochs=4, validation_data=X, verbose=0).history
    assert logs["loss"][-1] < logs["loss"][0]
    assert vae.compiled and vae.jit_compile == how.get("jit_compile", False)


@pytest.mark.parametrize("target", [0.0, 1.0])
def test_gradient_of_a_decoder_that_is_sure_and_wrong(target):
    """At logit ±200 a sigmoid is 0 or 1; the gradient of the loss by the logit must not vanish."""
    vae = own_model()
    last = vae.decoder.layers[0]
    last.kernel.assign(tf.zeros_like(last.kernel))
    last.bias.assign(tf.fill(last.bias.shape, 200.0 if target == 0 else -200.0))
    vae.compile(keras.optimizers.SGD(1.0))
    logs = vae.fit(np.full((4, 6, 5), target, "float32"), verbose=0).history
    np.testing.assert_allclose(logs["reconstruction_loss"], 200 * PIXELS, rtol=LOGGED)
    np.testing.assert_allclose(abs(last.bias.numpy()), 199, rtol=LOGGED)


def test_sigmoid_under_a_reshape_is_clipped_as_in_keras():
    sigmoid = keras.layers.Activation("sigmoid")
    decoder = keras.Sequential([keras.Input([3]), keras.layers.Dense(PIXELS), sigmoid])
    decoder.add(keras.layers.Reshape((6, 5)))
    vae = fastgen.models.VariationalAutoencoder(small().encoder, decoder)
    vae.compile()
    decoder.layers[0].bias.assign(tf.fill([PIXELS], 200.0))
    logs = evaluate(vae, np.zeros((4, 6, 5), "float32"))
    np.testing.assert_allclose(logs["reconstruction_loss"], -np.log(1.2e-7) * PIXELS, rtol=0.01)


def test_empty_batch():
    vae = compiled()
    empty = tf.data.Dataset.from_tensors(X[:0])
    assert evaluate(vae, empty)["loss"] == 0


def test_layer_of_another_name_still_logs_kl():
    vae = own_model()
    vae.compile()
    assert set(evaluate(vae, X)) == {"loss", "reconstruction_loss", "kl"}


def test_regularizers_are_added():
    vae = compiled()
    plain = evaluate(vae, X)
    regularized = small()
    regularized.decoder.layers[1].kernel_regularizer = keras.regularizers.L2(0.5)
    kernel = regularized.decoder.layers[1].kernel
    kernel.regularizer = keras.regularizers.L2(0.5)
    regularized.compile()
    extra = evaluate(regularized, X)["loss"] - plain["loss"]
    np.testing.assert_allclose(extra, 0.5 * np.sum(kernel.numpy() ** 2), rtol=1e-3)
