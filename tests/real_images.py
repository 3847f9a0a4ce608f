"""Files of real images, which lie beside the project, or where FASTGEN_DATA says."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


def real_images(name):
    """The path of `name.npz`; skips the test where it is not at hand."""
    own = os.environ.get("FASTGEN_DATA")
    folders = [*([Path(own)] if own else []), ROOT / "shared/data", ROOT.parent / "shared/data"]
    for folder in folders:
        if (folder / f"{name}.npz").is_file():
            return folder / f"{name}.npz"
    pytest.skip(f"{name}.npz is not at hand")
