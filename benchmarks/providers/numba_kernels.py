"""Kernels of fastgen.jit that do what our C++ kernels do: how far behind a user's own may be."""

import numba

from benchmarks.providers import Provider, fused, stock
from fastgen.jit.gaussian_sample_kl import _sample_kl

FORWARD = {"gaussian_sample_kl": lambda i, *x: _sample_kl(*x, seed=fused.seed(i))}


def build(name, operation, measure):
    return stock.build_step(FORWARD[operation], operation, measure)


VERSION = f"numba {numba.__version__}"
PROVIDERS = {
    "numba": Provider("numba", build, stock.put, stock.get, VERSION, noise=fused.noise),
}
