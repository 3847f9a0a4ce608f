import doctest

import numpy as np
import pytest

import fastgen.data
from fastgen.data import idx, images, loading, npz, sources
from tests.data.idx_files import PARTS, write_folder
from tests.tolerances import assert_close

(TRAIN_X, TRAIN_Y), (TEST_X, TEST_Y) = PARTS.values()


@pytest.fixture
def data_folder(tmp_path, monkeypatch):
    """An empty folder that FASTGEN_DATA names; and no network."""

    def refuse(*args, **kwargs):
        raise Exception("URL fetch failure")

    monkeypatch.setenv("FASTGEN_DATA", str(tmp_path))
    monkeypatch.setattr("keras.datasets.mnist.load_data", refuse)
    return tmp_path


def test_digits():
    x, y = fastgen.data.digits()
    assert x.shape == (1797, 28, 28) and x.dtype == np.uint8
    assert (x.min(), x.max()) == (0, 255)
    assert y.shape == (1797,) and set(y) == set(range(10))


def test_load_digits():
    (x_train, y_train), (x_valid, y_valid) = fastgen.data.load("digits")
    assert x_train.shape == (1617, 28, 28) and x_valid.shape == (180, 28, 28)
    assert y_train.shape == (1617,) and y_valid.shape == (180,)
    assert x_train.dtype == np.float32 and 0 <= x_train.min() < x_train.max() <= 1
    (as_bytes, _), _ = fastgen.data.load("digits", dtype="uint8")
    np.testing.assert_array_equal(as_bytes, np.rint(x_train * 255))


def test_load_of_an_unknown_source():
    names = r"one of 'digits', 'mnist', 'fashion_mnist', a name in .* Received: "
    for source in ("nonesuch", "", None, 3):
        with pytest.raises(ValueError, match=f"{names}{source!r}$"):
            fastgen.data.load(source)
    with pytest.raises(FileNotFoundError):
        fastgen.data.load("nonesuch.npz")
    with pytest.raises(FileNotFoundError):
        fastgen.data.load("nonesuch-idx3-ubyte.gz")


@pytest.mark.parametrize("dtype", ["int32", "object"])
def test_load_of_an_unknown_dtype(dtype):
    with pytest.raises(ValueError, match=r"dtype must be uint8 or a float\. Received"):
        fastgen.data.load("digits", dtype=dtype)


@pytest.mark.parametrize("place", [".", "mnist"])
def test_load_a_name_from_the_four_files(data_folder, place):
    write_folder(data_folder / place)
    (x_train, y_train), (x_valid, y_valid) = fastgen.data.load("mnist")
    assert_close(x_train, TRAIN_X / 255, "float32")
    assert_close(x_valid, TEST_X / 255, "float32")
    np.testing.assert_array_equal(y_train, TRAIN_Y)
    np.testing.assert_array_equal(y_valid, TEST_Y)


def test_load_a_path_of_the_four_files(tmp_path):
    write_folder(tmp_path / "mnist")
    (x_train, _), (x_valid, _) = fastgen.data.load(tmp_path / "mnist", dtype="uint8")
    np.testing.assert_array_equal(x_train, TRAIN_X)
    np.testing.assert_array_equal(x_valid, TEST_X)


def test_a_validation_split_leaves_the_test_part_unread(data_folder):
    write_folder(data_folder)
    (x_train, y_train), (x_valid, y_valid) = fastgen.data.load("mnist", validation_split=0.25)
    assert len(x_train) == 9 and len(x_valid) == 3
    assert sorted([*y_train, *y_valid]) == TRAIN_Y.tolist()
    assert_close(x_valid, TRAIN_X[y_valid] / 255, "float32")


@pytest.mark.parametrize("name", ["mnist", "fashion_mnist", "mine"])
def test_load_a_name_from_an_npz(data_folder, name):
    write_folder(data_folder)  # the .npz comes first
    np.savez(data_folder / f"{name}.npz", x=TEST_X, y=TEST_Y)
    (x_train, y_train), (x_valid, _) = fastgen.data.load(name, dtype="uint8")
    assert len(x_train) == 5 and len(x_valid) == 1
    np.testing.assert_array_equal(x_train, TEST_X[y_train])


def test_files_without_a_folder_of_their_own_are_not_those_of_every_name(data_folder):
    write_folder(data_folder)
    with pytest.raises(ValueError, match="Received: 'mine'"):
        fastgen.data.load("mine")


def test_load_one_file_of_images(tmp_path):
    write_folder(tmp_path)
    images = tmp_path / "train-images-idx3-ubyte.gz"
    (x_train, y_train), (x_valid, _) = fastgen.data.load(str(images), dtype="uint8")
    assert len(x_train) == 11 and len(x_valid) == 1
    np.testing.assert_array_equal(x_train, TRAIN_X[y_train])
    (tmp_path / "train-labels-idx1-ubyte.gz").unlink()
    (x_train, y_train), _ = fastgen.data.load(images)
    assert len(x_train) == 11 and y_train is None


def test_without_a_local_file_keras_is_asked(data_folder, monkeypatch):
    monkeypatch.setattr("keras.datasets.mnist.load_data", lambda: tuple(PARTS.values()))
    (x_train, _), (x_valid, _) = fastgen.data.load("mnist")
    assert len(x_train) == 12 and len(x_valid) == 6


def test_without_a_local_file_and_a_network(data_folder):
    message = r"'mnist' could not be had .*URL fetch failure.* put mnist\.npz .*FASTGEN_DATA=.+"
    with pytest.raises(ConnectionError, match=message):
        fastgen.data.load("mnist")


@pytest.mark.parametrize("module", [idx, images, loading, npz, sources])
def test_examples_of_the_docstrings(module):
    assert not doctest.testmod(module).failed
