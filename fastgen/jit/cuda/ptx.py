"""PTX of users' functions of scalars, by numba.cuda: no GPU is needed."""

import re

import numba

from fastgen.jit import grid_loop, loops, source
from fastgen.jit.cuda import target


def made_by():
    """What makes the PTX of the same function another."""
    module = target.cuda
    return numba.__version__, getattr(module, "__version__", ""), module.__name__


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
    return re.search(r"\.entry\s+(\w+)", code)[1], code
