"""Reads .npz files without trusting them."""

import math
import os
import struct
import zipfile
import zlib

import numpy as np

from fastgen.data.images import check_images, check_labels

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
            check_images(x)
            check_labels(y, len(x))
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
