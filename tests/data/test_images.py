import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgen.data
from tests.tolerances import assert_close


@pytest.mark.parametrize("size", [(8, 8), (28, 28), (3, 5), (1, 1), (16, 9)])
@pytest.mark.parametrize("source", [(8, 8), (1, 4), (2, 1)])
def test_resize_equals_tensorflow(source, size):
    import tensorflow as tf

    x = np.random.RandomState(1).random_sample((4, *source))
    expected = tf.image.resize(x[..., None].astype("float32"), size)[..., 0]
    assert_close(fastgen.data.resize(x, *size), expected, "float32")


@given(st.integers(1, 200), st.floats(0, 1, exclude_max=True), st.integers(0, 2**32 - 1))
def test_split_is_a_partition(n, validation_split, seed):
    train, valid = fastgen.data.split(n, validation_split, seed)
    assert sorted([*train, *valid]) == list(range(n))
    assert len(train) >= 1
    assert len(valid) == 0 if validation_split == 0 or n == 1 else len(valid) >= 1


def test_split_never_changes():
    train, valid = fastgen.data.split(10, 0.3, seed=42)
    assert valid.tolist() == [8, 1, 5]
    assert train.tolist() == [0, 7, 2, 9, 4, 3, 6]


@pytest.mark.parametrize("validation_split", [-0.1, 1, 2.5, math.nan])
def test_split_out_of_range(validation_split):
    with pytest.raises(ValueError, match=r"validation_split must be in .* Received"):
        fastgen.data.split(10, validation_split)
