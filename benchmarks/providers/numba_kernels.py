"""fastgen.jit's kernels of what has kernels in C++: how far behind a user's own may be."""

import numba

from benchmarks.operations import SPARSITY
from benchmarks.providers import Provider, fused, stock
from fastgen import jit

FORWARD = {
    "gaussian_sample_kl": lambda i, *x: jit.gaussian_sample_kl(*x, fused.seed(i)),
    "sigmoid_cross_entropy": lambda i, *x: (jit.sigmoid_cross_entropy(*x, reduction="row"),),
    "sparsity": lambda i, x: (jit.sparsity(x, SPARSITY, "kl"),),
}


def build(name, operation, measure):
    return stock.build_step(FORWARD[operation], operation, measure)


VERSION = f"numba {numba.__version__}"
PROVIDERS = {
    "numba": Provider("numba", build, stock.put, stock.get, VERSION, noise=fused.noise),
}
