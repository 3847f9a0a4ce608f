import shutil
from pathlib import Path

import keras
import numpy as np
import pytest

from fastgen.layers import GaussianLatent
from fastgen.training import Checkpoints

X = np.random.RandomState(0).rand(20, 6).astype("float32")


class Autoencoder(keras.Model):
    """State of every kind: weights, a seed generator, a tracked metric, the optimizer's slots."""

    def __init__(self, units=4):
        super().__init__()
        self.inner = keras.layers.Dense(2 * units)
        self.dropout = keras.layers.Dropout(0.2, seed=3)
        self.latent = GaussianLatent(seed=4)
        self.outer = keras.layers.Dense(6)

    def call(self, x, training=None):
        mean, log_var = keras.ops.split(self.dropout(self.inner(x), training=training), 2, axis=-1)
        return self.outer(self.latent([mean, log_var]))


def compiled(optimizer="nadam", units=4):
    keras.utils.set_random_seed(1)
    model = Autoencoder(units)
    model(X[:1])
    model.compile(optimizer, "mse", jit_compile=False)
    return model


def train(model, first_epoch, epochs):
    how = {"batch_size": 5, "shuffle": False, "verbose": 0}
    for epoch in range(first_epoch, epochs):
        x = np.random.RandomState(epoch).permutation(X)
        model.fit(x, x, initial_epoch=epoch, epochs=epoch + 1, **how)


def state(model):
    return [v.numpy() for v in (*model.variables, *model.optimizer.variables)]


@pytest.mark.parametrize("optimizer", ["nadam", pytest.param("rmsprop", marks=pytest.mark.slow)])
def test_resumes_bit_for_bit(tmp_path, optimizer):
    whole = compiled(optimizer)
    train(whole, 0, 3)

    broken = compiled(optimizer)
    checkpoints = Checkpoints(tmp_path, broken)
    train(broken, 0, 2)
    checkpoints.save(2)
    train(broken, 2, 4)  # what comes after the checkpoint is lost

    resumed = compiled(optimizer)
    resumed.inner.kernel.assign(resumed.inner.kernel * 0)
    assert Checkpoints(tmp_path, resumed).restore() == 2
    train(resumed, 2, 3)
    for a, b in zip(state(resumed), state(whole), strict=True):
        np.testing.assert_array_equal(a, b)


def test_keeps_the_last_two(tmp_path):
    model = compiled()
    checkpoints = Checkpoints(tmp_path / "deep" / "folder", model)
    for epoch in range(5):
        model.outer.bias.assign(np.full(6, epoch))
        checkpoints.save(epoch)
    assert checkpoints.restore() == 4
    np.testing.assert_array_equal(model.outer.bias, np.full(6, 4))
    kept = {path.stem for path in tmp_path.glob("deep/folder/*.index")}
    assert kept == {"epoch-3", "epoch-4"}


def test_folder_may_be_moved(tmp_path):
    Checkpoints(tmp_path / "old", compiled()).save(3)
    (tmp_path / "old").rename(tmp_path / "new")
    assert Checkpoints(tmp_path / "new", compiled()).restore() == 3


def test_no_checkpoint(tmp_path):
    checkpoints = Checkpoints(tmp_path, compiled())
    assert checkpoints.latest is None
    with pytest.raises(ValueError, match="holds no checkpoint"):
        checkpoints.restore()


def test_another_model(tmp_path):
    Checkpoints(tmp_path, compiled()).save(1)
    with pytest.raises(ValueError, match="is the checkpoint of another model"):
        Checkpoints(tmp_path, compiled(units=3)).restore()


@pytest.mark.parametrize("part", ["data-00000-of-00001", "index"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_damaged(tmp_path, damage, part):
    checkpoints = Checkpoints(tmp_path, compiled())
    checkpoints.save(1)
    do_damage(Path(f"{checkpoints.latest}.{part}"), damage)
    with pytest.raises(ValueError, match="damaged"):
        Checkpoints(tmp_path, compiled()).restore()


@pytest.fixture(scope="module")
def two_epochs(tmp_path_factory):
    """A folder with the checkpoints of two epochs, and the state at the first."""
    folder, model = tmp_path_factory.mktemp("checkpoints"), compiled()
    checkpoints = Checkpoints(folder, model)
    train(model, 0, 1)
    checkpoints.save(1)
    first = state(model)
    train(model, 1, 2)
    checkpoints.save(2)
    return folder, first


@pytest.mark.parametrize("part", ["data-00000-of-00001", "index"])
@pytest.mark.parametrize("damage", ["cut", "flip", "gone"])
def test_damaged_but_for_the_one_before(two_epochs, tmp_path, damage, part):
    folder, expected = two_epochs
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    do_damage(Path(f"{Checkpoints(tmp_path, compiled()).latest}.{part}"), damage)
    resumed = compiled()
    again = Checkpoints(tmp_path, resumed)
    with pytest.warns(RuntimeWarning, match="epoch-2 is damaged; going on from .*epoch-1$"):
        assert again.restore() == 1
    for a, b in zip(state(resumed), expected, strict=True):
        np.testing.assert_array_equal(a, b)
    again.save(2)  # in the place of the damaged one
    assert Checkpoints(tmp_path, compiled()).restore() == 2


def do_damage(path, damage):
    data = path.read_bytes()
    half = len(data) // 2
    if damage == "gone":
        path.unlink()
    else:
        rest = b"" if damage == "cut" else bytes([data[half] ^ 255]) + data[half + 1 :]
        path.write_bytes(data[:half] + rest)
