"""Real images: a training from the library ends no worse than stock Keras'. Slow."""

import keras
import numpy as np
import pytest

import fastgen.data
from fastgen.demo.models import StockVAE, reconstruction_loss
from fastgen.training import train_vae
from tests.real_images import real_images

SEEDS = range(5)
EPOCHS = {"mnist_10k": 5, "fashion_mnist_900": 20}


def stock_loss(x_train, x_valid, seed, epochs):
    """Validation loss of the same network, of stock layers, after the same training."""
    keras.utils.set_random_seed(seed)
    vae = StockVAE(x_train.shape[1:], seed=seed)
    vae.compile(keras.optimizers.Nadam(1e-3), loss=reconstruction_loss)
    vae.fit(x_train, x_train, batch_size=32, epochs=epochs, verbose=0)
    return vae.evaluate(x_valid, x_valid, batch_size=256, verbose=0, return_dict=True)["loss"]


@pytest.mark.slow
@pytest.mark.parametrize("name", EPOCHS)
def test_validation_loss_is_no_worse_than_stock(tmp_path, name):
    path, epochs = real_images(name), EPOCHS[name]
    stock, ours = [], []
    for seed in SEEDS:
        run = train_vae(path, tmp_path / f"run-{seed}", epochs=epochs, seed=seed)
        ours.append(run.history[-1]["val_loss"])
        (x_train, _), (x_valid, _) = fastgen.data.load(path, seed=seed)
        stock.append(stock_loss(x_train, x_valid, seed, epochs))
    difference = np.subtract(ours, stock)  # each pair has the same images held out
    error = difference.std(ddof=1) / np.sqrt(len(SEEDS))
    print(f"{name}: stock {np.mean(stock):.2f}, ours {np.mean(ours):.2f} ± {error:.2f}")
    # One-sided, 5 pairs: Student's t passes 3.75 once in 100.
    assert difference.mean() <= 3.75 * error, (stock, ours)
