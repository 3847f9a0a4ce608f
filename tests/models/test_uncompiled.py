"""What Keras lets one call before `compile` comes to the same for our models."""

import keras
import pytest

import fastgen
from fastgen.models.kernel_fit import compile_config
from tests.models import cases, gans
from tests.models.test_kernel_fit import Dense, images, plain


def autoencoder():
    encoder = keras.Sequential([keras.Input((4,)), Dense(2)])
    return fastgen.models.Autoencoder(encoder, keras.Sequential([keras.Input((2,)), Dense(4)]))


MODELS = {
    "autoencoder": autoencoder,
    "vae": cases.small,
    "gan": lambda: fastgen.GAN(*gans.networks()),
}
each = pytest.mark.parametrize("make", MODELS.values(), ids=MODELS)


@each
def test_functions_may_be_made(make):
    model = make()
    for force in (False, True):
        model.make_train_function(force=force)
        model.make_test_function(force=force)
        model.make_predict_function(force=force)


@each
def test_there_is_nothing_to_compile_by(make, tmp_path):
    assert make().get_compile_config() == {}
    make().save(tmp_path / "model.keras")
    assert not keras.saving.load_model(tmp_path / "model.keras").compiled


def test_config_of_what_was_compiled():
    assert compile_config(autoencoder(), None) is None
    for given, kept in (({}, False), ({"steps_per_execution": 2}, True)):
        assert ("steps_per_execution" in plain(**given).get_compile_config()) == kept


@each
def test_what_needs_compile_says_so(make):
    for call in (make().why_stock, lambda: make().fit(images(4))):
        with pytest.raises(ValueError, match=r"You must call `compile\(\)` before"):
            call()


def test_an_autoencoder_has_no_loss_for_the_kernel():
    with pytest.raises(fastgen.ops.network.NotDense, match="no kernel for the loss None"):
        autoencoder().dense_layers()
