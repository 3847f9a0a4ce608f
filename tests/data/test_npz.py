import io
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgen.data
from tests.tolerances import assert_close

IMAGES = np.random.RandomState(0).randint(0, 256, (10, 6, 5)).astype(np.uint8)
LABELS = np.arange(10)


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def npy(shape, payload, dtype="|u1"):
    """The bytes of an .npy file whose header claims `shape`, whatever follows."""
    file = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file.getvalue() + payload


def archive(path, member, file_size=None, compression=zipfile.ZIP_DEFLATED):
    """A zip of `x.npy`, whose directory claims `file_size`."""
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("x.npy", member)
        if file_size is not None:
            file.filelist[0].file_size = file_size
    return path


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize(
    "x",
    [
        IMAGES,
        np.asfortranarray(IMAGES),
        IMAGES[:, ::2],
        IMAGES[..., None].repeat(3, axis=-1),
        (IMAGES / 255).astype("float16"),
        (IMAGES / 255).astype(">f4"),
        IMAGES / 255,
    ],
    ids=["c-order", "f-order", "strided", "colour", "half", "big-endian", "double"],
)
def test_npz_round_trip(tmp_path, save, x):
    save(tmp_path / "images.npz", x=x, y=LABELS)
    x_read, y_read = fastgen.data.read_npz(tmp_path / "images.npz")
    np.testing.assert_array_equal(x_read, x)
    np.testing.assert_array_equal(y_read, LABELS)
    (x_train, y_train), (x_valid, _) = fastgen.data.load(str(tmp_path / "images.npz"))
    assert x_train.dtype == np.float32 and len(x_train) == 9 and len(x_valid) == 1
    scale = 255 if x.dtype == np.uint8 else 1
    assert_close(x_train, x[y_train] / scale, "float32")


def test_npz_without_labels(tmp_path):
    (x_train, y_train), (_, y_valid) = fastgen.data.load(npz(tmp_path / "x.npz", x=IMAGES))
    assert len(x_train) == 9 and y_train is None and y_valid is None


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"y": LABELS}, r"expected the key 'x'\. Found: 'y'"),
        ({"x": IMAGES[0]}, r"x must be \[n, height, width\] .* Received: \(6, 5\)"),
        ({"x": IMAGES[None, None]}, r"x must be \[n, height, width\]"),
        ({"x": IMAGES[:0]}, "x holds no pixels"),
        ({"x": IMAGES.astype(int)}, "x must be uint8, or float.* Received: int64"),
        ({"x": IMAGES.astype(float)}, r"float x must be in \[0, 1\]"),
        ({"x": np.full((2, 3, 3), np.nan)}, r"float x must be in \[0, 1\]"),
        ({"x": IMAGES.astype("S3")}, r"'x' must hold numbers\. Received: \|S3"),
        ({"x": IMAGES, "y": LABELS[:9]}, r"y must have one label .* Received: shape \(9,\)"),
        ({"x": IMAGES, "y": LABELS / 2}, "y must be integers. Received: float64"),
        ({"x": IMAGES.astype(object)}, "'x' holds Python objects, which are never unpickled"),
        ({"x": IMAGES, "y": LABELS.astype(object)}, "'y' holds Python objects"),
    ],
)
def test_npz_of_wrong_content(tmp_path, arrays, message):
    with pytest.raises(ValueError, match=r"wrong\.npz.*" + message):
        fastgen.data.read_npz(npz(tmp_path / "wrong.npz", **arrays))


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\x93NUMPY", b"x = 1\n" * 100])
def test_not_an_npz(tmp_path, content):
    (tmp_path / "text.npz").write_bytes(content)
    with pytest.raises(ValueError, match=r"text\.npz is not an \.npz file"):
        fastgen.data.load(tmp_path / "text.npz")


HUGE = 3 << 30
NOISE = np.random.RandomState(2).bytes(4 << 20)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        # The header of the array claims more than its member holds.
        (
            lambda path: archive(path, npy((10**15, 28, 28), b"x" * 784)),
            "claims 784000000000000000",
        ),
        (lambda path: archive(path, npy((-1, 28, 28), b"")), "damaged"),
        (lambda path: archive(path, npy((2**62, 2**62, 2**62), b"")), "damaged"),
        # The zip directory agrees with the header, but more than deflate could have packed.
        (lambda path: archive(path, npy((HUGE, 1, 1), b""), HUGE + 128), "and takes"),
        # As before, in a stored member.
        (
            lambda path: archive(path, npy((HUGE, 1, 1), b""), HUGE + 128, zipfile.ZIP_STORED),
            "takes",
        ),
        # A claim that deflate could have packed, had the data not ended early.
        (lambda path: archive(path, npy((HUGE, 1, 1), NOISE), HUGE + 128), "truncated|damaged"),
        # An honest member of 5 GB would be more than the limit.
        (lambda path: archive(path, npy((5 << 30, 1, 1), NOISE * 2), (5 << 30) + 128), "are read"),
    ],
    ids=["header", "negative", "overflow", "directory", "stored", "early-end", "limit"],
)
def test_claims_are_not_allocated(tmp_path, make, message):
    path = make(tmp_path / "claim.npz")
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=message):
            fastgen.data.read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()


@pytest.fixture(scope="module", params=[np.savez, np.savez_compressed])
def whole_file(request):
    file = io.BytesIO()
    request.param(file, x=IMAGES, y=LABELS)
    return file.getvalue()


def read_bytes(folder, content):
    (folder / "damaged.npz").write_bytes(content)
    return fastgen.data.read_npz(folder / "damaged.npz")


def test_truncated_files(whole_file, tmp_path):
    for size in range(0, len(whole_file), 7):
        with pytest.raises(ValueError, match=r"damaged\.npz"):
            read_bytes(tmp_path, whole_file[:size])


@given(st.data())
def test_damaged_files(whole_file, tmp_path_factory, data):
    """Changed bytes are found by the checksum or do not matter, and raise only ValueError."""
    content = bytearray(whole_file)
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        x, y = read_bytes(tmp_path_factory.getbasetemp(), bytes(content))
    except ValueError as error:
        assert "damaged.npz" in str(error)
    else:
        np.testing.assert_array_equal(x, IMAGES)
        assert y is None or np.array_equal(y, LABELS)


@given(st.binary(max_size=200))
def test_damaged_headers(tmp_path_factory, header):
    """A header that the checksum calls sound, and that is no header."""
    path = tmp_path_factory.getbasetemp() / "header.npz"
    member = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
    with pytest.raises(ValueError, match=r"header\.npz"):
        fastgen.data.read_npz(archive(path, member))
