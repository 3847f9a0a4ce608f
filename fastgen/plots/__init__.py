"""Pictures of models and of their training, as matplotlib figures and PNG files.

No function touches pyplot or needs a display: each returns a `matplotlib.figure.Figure`, which a
notebook shows, and writes it where `path` says. The same arguments give the same bytes.
"""

import importlib.util

for _package in ("matplotlib", "sklearn"):
    if importlib.util.find_spec(_package) is None:
        raise ImportError(
            "fastgen.plots needs matplotlib and scikit-learn: pip install 'fastgen[plots]'"
        )

from fastgen.plots.contact_sheet import contact_sheet  # noqa: E402
from fastgen.plots.denoising import denoising  # noqa: E402
from fastgen.plots.filters import filters  # noqa: E402
from fastgen.plots.gallery import gallery  # noqa: E402
from fastgen.plots.grid import image_grid, reconstructions, samples  # noqa: E402
from fastgen.plots.history import history  # noqa: E402
from fastgen.plots.interpolation import (  # noqa: E402
    interpolation,
    interpolation_grid,
    latent_arithmetic,
)
from fastgen.plots.latent_map import latent_map  # noqa: E402
from fastgen.plots.profile import profile  # noqa: E402

__all__ = [
    "contact_sheet",
    "denoising",
    "filters",
    "gallery",
    "history",
    "image_grid",
    "interpolation",
    "interpolation_grid",
    "latent_arithmetic",
    "latent_map",
    "profile",
    "reconstructions",
    "samples",
]
