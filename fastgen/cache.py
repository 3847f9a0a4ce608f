"""Where fastgen keeps files between runs: nothing there is missed when it is deleted."""

import contextlib
import functools
import hashlib
import os
import sys
import tempfile
from pathlib import Path


def folder():
    """The folder FASTGEN_CACHE, or fastgen's in the platform's folder for caches of a user.

    A user without a home, as containers have, gets one that ends with the process.
    """
    if own := os.environ.get("FASTGEN_CACHE"):
        return Path(own)
    try:
        home = Path.home()
    except RuntimeError:
        return Path(_of_this_process().name)
    bases = {
        "darwin": home / "Library" / "Caches",
        "win32": Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local"),
    }
    linux = Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")
    return bases.get(sys.platform, linux) / "fastgen"


@functools.cache
def _of_this_process():
    return tempfile.TemporaryDirectory(prefix="fastgen")


def write(path, fill):
    """Write a file at once or not at all; where it cannot be written, do nothing.

    Args:
        path: where, in a folder that is made if it is missing.
        fill: function that writes what it holds into an open binary file.
    """
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
            name = file.name
            fill(file)
        os.replace(name, path)
    except OSError:
        if name:
            with contextlib.suppress(OSError):
                os.unlink(name)


def write_sealed(path, body):
    """Write bytes with a hash of theirs, as `write` does.

    Args:
        path: where.
        body: the bytes.
    """
    digest = hashlib.sha256(body).hexdigest().encode()
    write(path, lambda file: file.write(digest + b"\n" + body))


def read_sealed(path):
    """The bytes that `write_sealed` wrote; None if there are none, or if they are not whole."""
    try:
        digest, body = path.read_bytes().split(b"\n", 1)
    except (OSError, ValueError):
        return None
    return body if hashlib.sha256(body).hexdigest().encode() == digest else None
