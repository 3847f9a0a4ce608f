import gzip
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fastgen.data
from tests.data.idx_files import PARTS, idx_bytes, write_folder, write_idx

IMAGES, LABELS = PARTS["train"]
NOISE = np.random.RandomState(1).bytes(1 << 20)
BOMB = gzip.compress(bytes(64 << 20), mtime=0)


@pytest.mark.parametrize("array", [IMAGES, LABELS, IMAGES[:1], IMAGES[:0], IMAGES[..., None]])
def test_round_trip(tmp_path, array):
    read = fastgen.data.read_idx(write_idx(tmp_path / "a.gz", array))
    np.testing.assert_array_equal(read, array)
    assert read.dtype == np.uint8


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "starts with the bytes"),
        (b"text", "not a gzipped IDX file"),
        (gzip.compress(b"text"), "not an IDX file: it starts with the bytes 74 65 78 74"),
        (gzip.compress(b"\0\0\x0d\1\0\0\0\1\0\0\0\0"), "values must be uint8 .* type 0x0d"),
        (gzip.compress(b"\0\0\x08\3\0\0\0\1"), "ends within its header"),
        (gzip.compress(idx_bytes(IMAGES)[:-1]), r"claims 240 bytes \(12, 5, 4\) and has 239"),
        (gzip.compress(idx_bytes(IMAGES) + b"x"), "claims 240 bytes .* and has more"),
        (gzip.compress(idx_bytes(LABELS, (2**32 - 1,) * 3)), "damaged: claims 79228162458924105"),
        (gzip.compress(idx_bytes(LABELS, (2**32 - 1,) * 255)), "damaged: claims"),
        (gzip.compress(idx_bytes(LABELS[:1], (1,) * 255)), "dimension"),
        # More members than the header claims bytes: the rest stays packed.
        (gzip.compress(idx_bytes(LABELS)) + BOMB, "claims 12 bytes .* and has more"),
        # A claim that deflate could have packed, had the data not ended early.
        (
            gzip.compress(idx_bytes(np.frombuffer(NOISE, "u1"), (1 << 29,))),
            "claims 536870912 bytes .* and has 1048576",
        ),
    ],
    ids=lambda value: "" if isinstance(value, bytes) else None,
)
def test_wrong_content_is_named_and_not_unpacked(tmp_path, content, message):
    (tmp_path / "wrong.gz").write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"wrong\.gz.*" + message):
            fastgen.data.read_idx(tmp_path / "wrong.gz")
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()


def test_more_than_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr("fastgen.data.idx.MAX_BYTES", 100)
    with pytest.raises(ValueError, match="has 240 bytes, more than the 100 that are read"):
        fastgen.data.read_idx(write_idx(tmp_path / "long.gz", IMAGES))


def test_truncated_files(tmp_path):
    whole = gzip.compress(idx_bytes(IMAGES))
    for size in range(len(whole)):
        (tmp_path / "part.gz").write_bytes(whole[:size])
        with pytest.raises(ValueError, match=r"part\.gz"):
            fastgen.data.read_idx(tmp_path / "part.gz")


@given(st.data())
def test_damaged_files(tmp_path_factory, data):
    """Changed bytes are found by the checksum or do not matter, and raise only ValueError."""
    content = bytearray(gzip.compress(idx_bytes(IMAGES), mtime=0))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / "damaged.gz"
    path.write_bytes(content)
    try:
        x = fastgen.data.read_idx(path)
    except ValueError as error:
        assert "damaged.gz" in str(error)
    else:
        np.testing.assert_array_equal(x, IMAGES)


def test_folder(tmp_path):
    parts = fastgen.data.read_idx_folder(write_folder(tmp_path / "mnist"))
    for (x, y), expected in zip(parts, PARTS.values(), strict=True):
        np.testing.assert_array_equal(x, expected[0])
        np.testing.assert_array_equal(y, expected[1])


def test_folder_without_all_files(tmp_path):
    (write_folder(tmp_path) / "t10k-labels-idx1-ubyte.gz").unlink()
    with pytest.raises(ValueError, match=r"four files\. Missing: t10k-labels-idx1-ubyte\.gz$"):
        fastgen.data.read_idx_folder(tmp_path)


def test_files_that_do_not_fit_together(tmp_path):
    images = write_idx(tmp_path / "x.gz", IMAGES)
    with pytest.raises(ValueError, match=r"y\.gz: y must have one label for each of the 12"):
        fastgen.data.read_idx_pair(images, write_idx(tmp_path / "y.gz", LABELS[:5]))
    with pytest.raises(ValueError, match=r"y\.gz: x must be \[n, height, width\]"):
        fastgen.data.read_idx_pair(tmp_path / "y.gz")
    with pytest.raises(ValueError, match=r"x\.gz: x holds no pixels"):
        fastgen.data.read_idx_pair(write_idx(images, IMAGES[:0]))
