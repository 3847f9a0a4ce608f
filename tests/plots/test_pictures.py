import numpy as np
import pytest

from fastgen.plots.pictures import as_pictures, mosaic, resized
from tests.tolerances import GREY_LEVEL

NOISE = np.random.RandomState(0).random_sample((3, 6, 5, 3))


def test_floats_and_bytes_are_the_same():
    images = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    from_floats = as_pictures("plot", images / 255)
    np.testing.assert_array_equal(from_floats, as_pictures("plot", images))
    np.testing.assert_array_equal(from_floats[..., 0], images)
    assert (from_floats[..., 3] == 255).all()


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "bfloat16"])
def test_float_dtypes(dtype):
    import ml_dtypes  # noqa: F401, gives NumPy the name bfloat16

    images = np.linspace(0, 1, 9).reshape(1, 3, 3)
    np.testing.assert_allclose(
        as_pictures("plot", images.astype(np.dtype(dtype)))[0, ..., 0],
        255 * images[0],
        atol=GREY_LEVEL,
    )


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels(channels):
    images = np.random.RandomState(1).randint(0, 256, (2, 6, 5, channels)).astype(np.uint8)
    pictures = as_pictures("plot", images)
    assert pictures.shape == (2, 6, 5, 4)
    expected = images if channels > 1 else images.repeat(3, -1)
    np.testing.assert_array_equal(pictures[..., : max(3, channels)], expected)


def test_grey_without_channels_and_flat():
    images = NOISE[..., 0][:, :5]
    pictures = as_pictures("plot", images)
    np.testing.assert_array_equal(pictures, as_pictures("plot", images[..., None]))
    np.testing.assert_array_equal(pictures, as_pictures("plot", images.reshape(3, 25)))


def test_the_grey_scale_is_fixed():
    """A dim image stays dim, and values beyond the range are clipped."""
    levels = as_pictures("plot", np.array([[[0.2, 0.4], [-3.0, 7.0]]]))[0, ..., 0]
    np.testing.assert_array_equal(levels, [[51, 102], [0, 255]])
    levels = as_pictures("plot", np.array([[[-1.0, 0.0], [0.6, np.inf]]]), (-1, 1))[0, ..., 0]
    np.testing.assert_array_equal(levels, [[0, 128], [204, 255]])


def test_not_a_number_is_magenta():
    images = NOISE.copy()
    images[1, 2, 3, 0] = np.nan
    pictures = as_pictures("plot", images)
    assert pictures[1, 2, 3].tolist() == [255, 0, 255, 255]
    others = np.ones(pictures.shape[:3], bool)
    others[1, 2, 3] = False
    np.testing.assert_array_equal(pictures[others], as_pictures("plot", NOISE)[others])


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((2, 3, 3), int), "images must be uint8 or float. Received: int64"),
        (np.zeros((2, 3, 3), complex), "images must be uint8 or float. Received: complex128"),
        (np.zeros((2, 3, 3), object), "images must be uint8 or float. Received: object"),
        (np.zeros(9), r"images must be \[n, height, width\].* Received: \(9,\)"),
        (np.zeros((2, 10)), r"images must be \[n, height, width\].* Received: \(2, 10\)"),
        (np.zeros((0, 3, 3)), r"n > 0. Received: \(0, 3, 3\)"),
        (np.zeros((2, 3, 3, 2)), r"1, 3 or 4 channels. Received: \(2, 3, 3, 2\)"),
        (np.zeros((2, 0, 3)), r"must have pixels.* Received: \(2, 0, 3\)"),
        (np.zeros((2, 0)), r"images must be \[n, height, width\].* Received: \(2, 0\)"),
        (np.zeros((2, 3, 3, 1, 1)), r"images must be \[n, height, width\]"),
    ],
)
def test_what_cannot_be_shown(images, message):
    with pytest.raises(ValueError, match="^plot: .*" + message):
        as_pictures("plot", images)


@pytest.mark.parametrize("value_range", [(1, 0), (0, 0), (0, np.nan)])
def test_an_empty_range(value_range):
    with pytest.raises(ValueError, match=r"plot: value_range must be \(low, high\)\. Received"):
        as_pictures("plot", NOISE, value_range)


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((1, 1), (60, 60)),
        ((8, 8), (64, 64)),
        ((28, 28), (56, 56)),
        ((3, 40), (6, 80)),
        ((128, 64), (128, 64)),
        ((129, 64), (65, 32)),
        ((300, 200), (100, 67)),
        ((1, 1000), (1, 125)),
    ],
)
def test_sizes(size, shown):
    picture = np.full((*size, 4), 255, np.uint8)
    picture[..., 1] = 99
    assert resized(picture).shape == (*shown, 4)
    assert (resized(picture) == picture[0, 0]).all()
    assert mosaic([[picture, None], [picture]]).shape == (2 * shown[0] + 4, 2 * shown[1] + 4, 4)


def test_enlarging_repeats_and_reducing_averages():
    picture = np.random.RandomState(2).randint(0, 256, (20, 20, 4)).astype(np.uint8)
    np.testing.assert_array_equal(resized(picture)[1::3, 2::3], picture)
    large = picture.repeat(16, 0).repeat(16, 1)
    large[..., 3] = 255  # Pillow weighs by opacity
    reduced = resized(large)  # 320 -> 107 pixels: 3 become 1
    expected = large[:318, :318, :3].reshape(106, 3, 106, 3, 3).mean((1, 3))
    np.testing.assert_allclose(reduced[:106, :106, :3], expected, atol=GREY_LEVEL)


def test_gaps_and_empty_cells_are_clear():
    picture = np.full((28, 28, 4), 255, np.uint8)
    canvas = mosaic([[picture, None, picture], [picture]])
    expected = np.zeros((116, 176), np.uint8)
    expected[:56, :56] = expected[:56, 120:] = expected[60:, :56] = 255
    np.testing.assert_array_equal(canvas[..., 3], expected)
