import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from fastgen.training import ActiveUnits
from tests.models.cases import CODINGS, compiled, images

X = images(24)


def with_a_dead_unit(dead=(1,)):
    """A model that does not learn, with codings whose mean and log variance are constant."""
    vae = compiled(keras.optimizers.SGD(0.0))
    for layer in (vae.encoder.get_layer("mean"), vae.encoder.get_layer("log_var")):
        kernel = layer.kernel.numpy()
        kernel[:, list(dead)] = 0
        layer.kernel.assign(kernel)
    return vae


def test_report_and_log():
    vae, units = with_a_dead_unit(), ActiveUnits(X, threshold=1e-4, batch_size=7)
    with pytest.warns(RuntimeWarning, match=r"1 of 3 codings carry nothing .*: \[1\]") as caught:
        logs = vae.fit(X, epochs=3, verbose=0, callbacks=[units]).history
    assert len([x for x in caught if "collapse" in str(x.message)]) == 1, "one, at the end"
    assert logs["active_units"] == [2, 2, 2]
    mean, log_var = vae.posterior(X)
    report = units.report
    assert report["epoch"] == 2 and report["active"].tolist() == [True, False, True]
    np.testing.assert_allclose(report["variance"], mean.var(axis=0), rtol=1e-4, atol=1e-12)
    draws = mean + np.exp(log_var / 2) * np.random.default_rng(0).standard_normal(
        (10**4, *mean.shape)
    )
    # 240,000 draws of each coding: 4 standard errors of the mean are 0.008, of the deviation 0.006.
    np.testing.assert_allclose(report["mean"], draws.mean(axis=(0, 1)), atol=0.01)
    np.testing.assert_allclose(report["std"], draws.std(axis=(0, 1)), atol=0.01)


def test_no_warning_where_all_are_active():
    vae = with_a_dead_unit(())
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        vae.fit(X, verbose=0, callbacks=[ActiveUnits(X, threshold=1e-6)])


def test_every_few_epochs():
    units = ActiveUnits(X, threshold=0, every=2)
    logs = compiled().fit(X, epochs=4, verbose=0, callbacks=[units]).history
    assert len(logs["active_units"]) == 2 and units.report["epoch"] == 2


def test_training_is_the_same_with_and_without():
    def train(*callbacks):
        keras.utils.set_random_seed(1)
        return compiled().fit(X, epochs=2, verbose=0, callbacks=[*callbacks]).history["loss"]

    assert train() == train(ActiveUnits(X, threshold=0))


@pytest.mark.slow
def test_aggregate_posterior_of_digits():
    """Of active units: mean < 0.1, standard deviation 0.8 to 1.2."""
    import fastgen

    (x, _), _ = fastgen.data.load("digits")
    vae = fastgen.models.variational_autoencoder((28, 28), 10, seed=1)
    vae.compile("nadam")
    units = ActiveUnits(x)
    # Steps of 1e-3 alone leave the means to wander by 0.15.
    for epochs, learning_rate in ((60, 1e-3), (20, 3e-4), (20, 1e-4)):
        vae.optimizer.learning_rate.assign(learning_rate)
        vae.fit(x, epochs=epochs, verbose=0)
    units.set_model(vae)
    report = units.look()
    active = report["active"]
    assert active.sum() >= 3
    assert np.all(abs(report["mean"][active]) < 0.1)
    assert np.all(abs(report["std"][active] - 1) < 0.2)


@pytest.mark.parametrize(
    "arguments", [{"threshold": -1}, {"threshold": "x"}, {"every": 0}, {"every": 1.5}], ids=str
)
def test_bad_arguments(arguments):
    with pytest.raises(ValueError, match=r"ActiveUnits: \w+ must be .*Received"):
        ActiveUnits(X, **arguments)


def test_no_images_and_no_posterior():
    with pytest.raises(ValueError, match="x must hold images. Received: 0"):
        ActiveUnits(X[:0])
    model = keras.Sequential([keras.layers.Dense(1)])
    with pytest.raises(ValueError, match=r"must have posterior\(x\).* Received: Sequential"):
        ActiveUnits(tf.zeros([1, CODINGS])).set_model(model)
