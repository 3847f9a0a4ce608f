"""Runs of autoencoders: settings of each kind, and the same bits however often one was stopped."""

import dataclasses
import os
import signal

import keras
import numpy as np
import pytest

import fastgen
from fastgen.models import AUTOENCODERS, Autoencoder
from fastgen.training import AutoencoderSettings, Run, load_model, train_autoencoder
from tests.training.test_vae import At, assert_same, press

IMAGES = np.random.RandomState(0).randint(0, 256, (43, 8, 8)).astype(np.uint8)
SMALL = {"epochs": 3, "batch_size": 8, "codings": 3, "seed": 5}
OPTIONS = {
    "denoising": {"corruption": "dropout", "amount": 0.3},
    "sparse": {"penalty": "mse", "weight": 0.1, "target": 0.2},
    "hashing": {"noise": 4.0},
    "overcomplete": {"codings": 64},
}
QUICK = ("stacked", "denoising", "convolutional")


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", x=IMAGES)


def settings(kind):
    return {**SMALL, "kind": kind, **OPTIONS.get(kind, {})}


@pytest.mark.parametrize(
    "kind", [k if k in QUICK else pytest.param(k, marks=pytest.mark.slow) for k in AUTOENCODERS]
)
def test_resumed_and_never_stopped(kind):
    told = settings(kind)
    keras.utils.set_random_seed(1)  # LSTM layers have a seed, which nothing draws from
    whole = train_autoencoder("images.npz", "whole", **told)
    if kind in QUICK:  # two in the kernel, one by Keras' own steps
        assert (whole.model.why_stock() is None) == (kind != "convolutional")
    keras.utils.set_random_seed(1)
    train_autoencoder("images.npz", "out", **{**told, "epochs": 1})
    broken = train_autoencoder(out="out", resume=True, epochs=3, callbacks=[At(2, 2, press)])
    assert broken.interrupted and broken.epochs == 2
    assert_same(train_autoencoder(out="out", resume=True), whole)
    kept = dataclasses.replace(Run("out").settings, data="", images="")
    assert kept == AutoencoderSettings(data="", **told)
    loaded = load_model("out")
    assert type(loaded) is Autoencoder and loaded.name == f"{kind}_autoencoder"


def test_killed_in_the_middle_of_an_epoch(start_python):
    code = f"""
import os, signal
from fastgen.training import train_autoencoder
from tests.training.test_vae import At
kill = At(1, 2, lambda: os.kill(os.getpid(), signal.SIGKILL))
train_autoencoder("images.npz", "broken", callbacks=[kill], **{settings("denoising")!r})
"""
    process = start_python(code)
    process.communicate(timeout=300)
    assert process.returncode == -signal.SIGKILL
    assert Run("broken").epochs == 1
    whole = train_autoencoder("images.npz", "whole", **settings("denoising"))
    assert_same(train_autoencoder(out="broken", resume=True), whole)


def test_numbers_of_numpy():
    told = {"codings": np.int64(3), "kind": "denoising", "amount": np.float32(0.3)}
    run = train_autoencoder("images.npz", "out", epochs=1, **told)
    assert run.settings.options == {"codings": 3, "amount": float(told["amount"])}
    assert train_autoencoder(out="out", resume=True, epochs=2, **told).epochs == 2


def test_history_arrays_and_verdicts():
    x = IMAGES / np.float32(255)
    run = train_autoencoder((x[:30], x[30:]), "out", **settings("sparse"))
    assert {"epoch", "loss", "val_loss", "activity", "images_per_second"} <= set(run.history[-1])
    assert run.history[-1]["loss"] < run.history[0]["loss"] and run.verdicts == []
    with pytest.raises(ValueError, match="out holds a run of model 'autoencoder'"):
        fastgen.training.train_vae((x[:30], x[30:]), "out", resume=True)
    with pytest.raises(ValueError, match=r"has kind='sparse'\. Received: kind='tied'"):
        train_autoencoder(
            (x[:30], x[30:]),
            "out",
            resume=True,
            kind="tied",
            penalty=None,
            weight=None,
            target=None,
        )


@pytest.mark.parametrize(
    ("told", "message"),
    [
        ({"kind": "deep"}, "kind must be one of linear, stacked, .*Received: 'deep'"),
        ({"codings": 0}, r"codings must be .*1.*Received: (codings=)?0"),
        (
            {"noise": 1.0},
            r"noise must be left out: stacked autoencoders have none\. Received: 1\.0",
        ),
        ({"kind": "denoising", "corruption": "blur"}, "corruption must be one of"),
        ({"kind": "denoising", "amount": -1.0}, "amount must be a number"),
        ({"kind": "sparse", "penalty": "l2"}, "penalty must be one of"),
        ({"kind": "overcomplete", "codings": 5}, "codings must be"),
        ({"learning_rate": 0}, "learning_rate must be above 0"),
    ],
)
def test_settings_out_of_range(told, message):
    with pytest.raises(ValueError, match=message):
        train_autoencoder("images.npz", "out", **told)
    assert not os.path.exists("out")


def test_another_model(tmp_path):
    keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save("other.keras")
    with pytest.raises(ValueError, match=r"must hold an Autoencoder, a Var.*Received: Sequential"):
        load_model("other.keras")
