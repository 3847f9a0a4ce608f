"""Images: scikit-learn's digits, offline, and .npz files, which are read without trusting them."""

import math
import os
import struct
import zipfile
import zlib

import numpy as np

# Deflate packs at most 1032 bytes into one: a member that claims more is damaged or hostile.
DEFLATE_RATIO = 1032
MAX_BYTES = 4 << 30
CHUNK = 1 << 20
# What zipfile and zlib raise on bytes that make no sense; RuntimeError: an encryption or a version
# of zip that np.savez never writes.
DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    RuntimeError,
    OverflowError,
)


def load(source="digits", *, validation_split=0.1, seed=0, dtype="float32"):
    """Loads images and labels, split into a training and a validation part.

    Example:
    >>> import fastgen.data
    >>> (x_train, y_train), (x_valid, y_valid) = fastgen.data.load("digits")
    >>> x_train.shape, x_valid.shape
    ((1617, 28, 28), (180, 28, 28))

    Args:
        source: A name in `SOURCES`, or the path of an `.npz` file (see `read_npz`).
        validation_split: Fraction of the images to hold out, in [0, 1).
        seed: Chooses which images are held out; the same seed always chooses the same.
        dtype: `"uint8"` for values 0 to 255, or a float dtype for values in [0, 1].

    Returns:
        `(x_train, y_train), (x_valid, y_valid)`. Images are `[n, height, width]` or
        `[n, height, width, channels]`; labels are `[n]`, or None where the file has none.

    Raises:
        ValueError: An unknown name, a file that cannot be used, an argument out of range.
        FileNotFoundError: No such file.
    """
    if isinstance(source, str) and source in SOURCES:
        x, y = SOURCES[source]()
    elif isinstance(source, os.PathLike) or (isinstance(source, str) and _is_path(source)):
        x, y = read_npz(source)
    else:
        names = ", ".join(repr(name) for name in SOURCES)
        raise ValueError(
            f"load: source must be one of {names} or the path of an .npz file. Received: {source!r}"
        )
    train, valid = split(len(x), validation_split, seed)
    x = as_dtype(x, dtype)
    return tuple((x[rows], None if y is None else y[rows]) for rows in (train, valid))


def _is_path(source):
    return source.endswith(".npz") or os.sep in source or os.path.exists(source)


def digits(size=28):
    """scikit-learn's 1797 handwritten digits, 8×8, resized: uint8 `[1797, size, size]`, labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = resize(bunch.images / 16.0, size, size)
    return as_dtype(x, "uint8"), bunch.target.astype(np.uint8)


SOURCES = {"digits": digits}


def split(n, validation_split=0.1, seed=0):
    """Row numbers of the training part and of the validation part, shuffled by `seed`.

    Unless `validation_split` is 0, the validation part has at least one row and leaves one.
    """
    if not 0 <= validation_split < 1:
        raise ValueError(f"split: validation_split must be in [0, 1). Received: {validation_split}")
    # RandomState, not default_rng: NumPy promises that its stream never changes between versions.
    rows = np.random.RandomState(seed).permutation(n)
    held_out = 0 if validation_split == 0 else min(max(1, round(n * validation_split)), n - 1)
    return rows[held_out:], rows[:held_out]


def resize(x, height, width):
    """Bilinear resize of float images `[n, h, w]` with the conventions of `tf.image.resize`."""
    rows, columns = _interpolation(x.shape[1], height), _interpolation(x.shape[2], width)
    return rows @ x @ columns.T


def _interpolation(size_in, size_out):
    """The `[size_out, size_in]` matrix of the two bilinear weights of each output pixel."""
    centre = np.clip((np.arange(size_out) + 0.5) * size_in / size_out - 0.5, 0, size_in - 1)
    low = np.minimum(centre.astype(int), max(size_in - 2, 0))
    weights = np.zeros((size_out, size_in))
    pixel = np.arange(size_out)
    weights[pixel, low] = 1 - (centre - low)
    weights[pixel, np.minimum(low + 1, size_in - 1)] += centre - low
    return weights


def as_dtype(x, dtype):
    """Images as uint8 in 0..255 or as floats in [0, 1], from either."""
    dtype = np.dtype(dtype)
    if dtype != np.uint8 and dtype.kind != "f":
        raise ValueError(f"as_dtype: dtype must be uint8 or a float. Received: {dtype}")
    if x.dtype == np.uint8:
        return (
            x
            if dtype == np.uint8
            else np.divide(x, 255, dtype=np.promote_types(dtype, "float32")).astype(dtype)
        )
    return np.rint(x * 255.0).astype(np.uint8) if dtype == np.uint8 else x.astype(dtype)


def read_npz(path):
    """Reads images `x` and labels `y` from an `.npz` file that may be damaged or hostile.

    Nothing is unpickled, and memory grows with the bytes that are really in the file, never with
    what a header claims.

    Args:
        path: A file as `np.savez` or `np.savez_compressed` write it. `x`: uint8, or float in
            [0, 1], of shape `[n, height, width]` or `[n, height, width, channels]`. `y`: integers
            `[n]`; may be missing.

    Returns:
        `(x, y)`; `y` is None where the file has none.

    Raises:
        ValueError: Not an `.npz` file, damaged, or not images. The message names the file.
        OSError: The file cannot be opened.
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                x = read_member(archive, "x")
                y = read_member(archive, "y") if "y.npy" in archive.namelist() else None
            _check_images(x)
            _check_labels(y, len(x))
        except DAMAGE as error:
            raise ValueError(
                f"{path} is not an .npz file, or is truncated or damaged: {error}"
            ) from error
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
    return x, y


def read_member(archive, key):
    """Reads the array `key` of an open `.npz`, its header checked against its real size."""
    if f"{key}.npy" not in archive.namelist():
        found = (
            ", ".join(sorted(repr(name.removesuffix(".npy")) for name in archive.namelist()))
            or "nothing"
        )
        raise ValueError(f"expected the key {key!r}. Found: {found}")
    info = archive.getinfo(f"{key}.npy")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise ValueError(
            f"{key!r} uses compression method {info.compress_type}, which NumPy does not write"
        )
    packed = min(info.compress_size, os.fstat(archive.fp.fileno()).st_size)
    if info.file_size > packed * (1 if info.compress_type == zipfile.ZIP_STORED else DEFLATE_RATIO):
        raise ValueError(
            f"damaged: {key!r} claims {info.file_size} bytes and takes {packed} in the file"
        )
    with archive.open(info) as member:
        shape, fortran_order, dtype = _read_header(member, key)
        size = math.prod(shape) * dtype.itemsize
        present = info.file_size - member.tell()
        if size != present:
            raise ValueError(
                f"damaged: {key!r} claims {size} bytes ({dtype}, {shape}) and has {present}"
            )
        if size > MAX_BYTES:
            raise ValueError(
                f"{key!r} has {size} bytes, more than the {MAX_BYTES} that are read. Use np.load"
            )
        data = bytearray()
        while chunk := member.read(CHUNK):
            data += chunk
    if len(data) != size:
        raise ValueError(f"truncated: {key!r} should have {size} bytes and has {len(data)}")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if fortran_order else "C")


def _read_header(member, key):
    """The shape, order and dtype of an open .npy member."""
    version = np.lib.format.read_magic(member)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(
            f"the key {key!r} has .npy format {version}, which NumPy does not write for images"
        )
    try:
        shape, fortran_order, dtype = read(member)
    # NumPy tokenizes the header, evaluates it as a literal and makes a dtype of it: damaged text
    # can fail in any of them, with almost any exception.
    except Exception as error:
        raise ValueError(f"damaged: {key!r} has no readable .npy header ({error})") from error
    if dtype.hasobject:
        raise ValueError(f"{key!r} holds Python objects, which are never unpickled")
    if dtype.kind not in "uif":
        raise ValueError(f"{key!r} must hold numbers. Received: {dtype}")
    if any(dimension < 0 for dimension in shape):
        raise ValueError(f"damaged: {key!r} has the shape {shape}")
    return shape, fortran_order, dtype


def _check_images(x):
    if x.ndim not in (3, 4):
        raise ValueError(
            f"x must be [n, height, width] or [n, height, width, channels]. Received: {x.shape}"
        )
    if x.size == 0:
        raise ValueError(f"x holds no pixels. Received: shape {x.shape}")
    if x.dtype != np.uint8 and x.dtype.kind != "f":
        raise ValueError(f"x must be uint8, or float in [0, 1]. Received: {x.dtype}")
    # Written so that a NaN fails it too.
    if x.dtype.kind == "f" and not (x.min() >= 0 and x.max() <= 1):
        raise ValueError(f"float x must be in [0, 1]. Received: values from {x.min()} to {x.max()}")


def _check_labels(y, n):
    if y is None:
        return
    if y.shape != (n,):
        raise ValueError(
            f"y must have one label for each of the {n} images. Received: shape {y.shape}"
        )
    if y.dtype.kind not in "ui":
        raise ValueError(f"y must be integers. Received: {y.dtype}")
