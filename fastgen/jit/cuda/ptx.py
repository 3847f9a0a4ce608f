"""PTX of users' functions of scalars, by numba.cuda: no GPU is needed."""

import functools
import re

import numba

from fastgen.jit import grid_loop, loops, source
from fastgen.jit.cuda import target


def made_by(capability):
    """What makes the PTX of the same function another: numba.cuda, NVVM, the version of PTX."""
    versions = getattr(target.cuda, "__version__", ""), target.package_version()
    head = of_nothing(capability)[1].partition(".address_size")[0]
    return numba.__version__, *versions, target.cuda.__name__, head


@functools.cache
def of_nothing(capability):
    """The name and the PTX of the least of kernels, as `of_scalars` gives them."""
    with target.compiling_for(capability):
        code, _ = target.cuda.compile_ptx(_nothing, (), cc=capability)
    return _entry(code), code


def _nothing():
    pass


def of_scalars(function, form, outputs, fastmath, capability):
    """A function of scalars in its loop.

    Args:
        function: the user's.
        form: a `loops.Scalars`.
        outputs: names of the dtypes of what it returns, None for what nobody wants.
        fastmath: whether NaN, infinity and the last digits may be forgotten.
        capability: such as `(9, 0)`.

    Returns:
        The name of the kernel, and PTX.
    """
    float32 = {dtype for dtype in form.computed if dtype.startswith("float")} == {"float32"}
    with target.compiling_for(capability):
        plain = target.device(source.compilable(function, float32, target.device))
        typed = grid_loop.parameters(form, outputs)
        given = ", ".join(name for name, _ in typed)
        names = {"cuda": target.cuda}
        names["entry"] = grid_loop.loop(form, plain, outputs, target.device)
        lines = [f"entry(cuda.grid(1), cuda.gridsize(1), {given})"]
        shown = re.sub(r"\W", "", function.__name__)  # in profiles
        kernel = loops.defined(f"fastgen_{shown}({given})", lines, names)
        signature = tuple(kind for _, kind in typed)
        code, _ = target.cuda.compile_ptx(kernel, signature, fastmath=fastmath, cc=capability)
    return _entry(code), code


def _entry(code):
    return re.search(r"\.entry\s+(\w+)", code)[1]
