"""What a subclass does in a step of its own is done."""

import keras
import numpy as np
import pytest

import fastgen
from fastgen.models import Autoencoder, VariationalAutoencoder
from tests.models.cases import images, own_model, small
from tests.models.gans import images as gan_images
from tests.models.gans import networks

Dense = keras.layers.Dense


def autoencoder(cls):
    encoder = keras.Sequential([keras.Input((4,)), Dense(2)])
    return cls(encoder, keras.Sequential([keras.Input((2,)), Dense(4)]))


def variational(cls):
    vae = small()
    return cls(vae.encoder, vae.decoder)


MAKERS = {Autoencoder: autoencoder, VariationalAutoencoder: variational}


class Nothing:
    """Learns nothing."""

    def compute_loss(self, *args, **kwargs):
        return 0 * super().compute_loss(*args, **kwargs)


class Still:
    """Moves no weight."""

    def train_step(self, data):
        x = data[0] if isinstance(data, tuple) else data
        return {"seen": keras.ops.shape(x)[0]}


class Renamed:
    """Has logs of its own."""

    def compute_metrics(self, *args, **kwargs):
        return {"own": super().compute_metrics(*args, **kwargs)["loss"]}


@pytest.mark.parametrize("base", MAKERS)
@pytest.mark.parametrize(
    ("own", "method"),
    [(Nothing, "compute_loss"), (Still, "train_step"), (Renamed, "compute_metrics")],
)
def test_autoencoders(base, own, method):
    model = MAKERS[base](type("Own", (own, base), {}))
    model.compile("sgd")
    assert model.why_stock() == f"Own has a {method} of its own"
    before = model.get_weights()
    logs = model.fit(images(40, model.input_shape[1:]), verbose=0).history
    moved = any(np.any(a != b) for a, b in zip(model.get_weights(), before, strict=True))
    assert moved == (own is Renamed)
    assert {Nothing: "loss", Still: "seen", Renamed: "own"}[own] in logs


def test_what_no_step_calls_keeps_none_from_the_kernel():
    def test_step(self, data):
        return super(base, self).test_step(data)

    for base, make in MAKERS.items():
        model = make(type("Own", (base,), {"test_step": test_step, "more": 1}))
        model.compile("sgd")
        assert model.why_stock() is None
    vae = own_model()
    vae.compile("sgd")
    vae.compute_loss = vae.compute_loss
    assert "compute_loss" in vae.why_stock()


def test_gan():
    x = gan_images(12)
    for own, steps in ((Still, 0), (None, 6)):
        gan = type("Own", (own, fastgen.GAN) if own else (fastgen.GAN,), {})(*networks(), seed=1)
        gan.compile()
        assert gan.why_stock() == (own and "Own has a train_step of its own")
        for images_ in (x, [*x]):
            logs = gan.fit(images_, batch_size=4, verbose=0).history
        assert ("seen" in logs) == bool(own)
        assert [int(x.iterations) for x in gan.optimizers] == [steps, steps]
