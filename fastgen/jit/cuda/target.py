"""numba.cuda, imported here and nowhere else: of a GPU, or its simulator in the place of one."""

import contextlib
import importlib
import importlib.metadata
import sys
import threading
import types
import warnings

import numba
import numpy as np

SIMULATED = bool(numba.config.ENABLE_CUDASIM)
_compiling = threading.RLock()


def _import():
    """numba.cuda, whole."""
    # numba-cuda 0.30 refers to it in what it loads when it compiles; NumPy 2.5 has it no more.
    missing = not hasattr(np, "row_stack")
    if missing:
        np.row_stack = np.vstack
    try:
        module = importlib.import_module("numba.cuda")
        if getattr(module, "implementation", None) == "NVIDIA":
            importlib.import_module("numba.cuda.np.arrayobj")
    except ImportError as error:
        raise ImportError(
            f"fastgen.jit.cuda needs numba.cuda, which does not load: {error}. "
            "pip install 'fastgen[cuda]'"
        ) from error
    finally:
        if missing:
            del np.row_stack
    return module


_numba_cuda = _import()
kernel = _numba_cuda.jit

if SIMULATED:
    from numpy import exp, log, log1p, sqrt

    from fastgen.jit.cuda.simulator import cuda, run

    def device(function):
        """A function that kernels call."""
        return function
else:
    from math import exp, log, log1p, sqrt  # noqa: F401

    cuda = _numba_cuda
    device = cuda.jit(device=True)

    def run(function, grid, arguments):
        """A launch."""
        with warnings.catch_warnings():
            # A batch may be too small to fill a GPU.
            warnings.filterwarnings("ignore", message="Grid size")
            configured = function[(*grid, _stream())]
        configured(*map(_as_argument, arguments))


def launch(function, grid, *arguments):
    """Run a kernel, on CuPy's stream where there is CuPy.

    Args:
        function: what `kernel` made.
        grid: numbers of blocks and of threads in each.
        *arguments: numbers, and arrays, which the kernel sees with one axis.
    """
    run(function, grid, arguments)


def _stream():
    cupy = sys.modules.get("cupy")
    pointer = 0 if cupy is None else cupy.cuda.get_current_stream().ptr
    return cuda.external_stream(pointer) if pointer else 0


def _as_argument(x):
    if isinstance(x, int | float | np.generic):
        return x
    # Numba would wait for CuPy's stream, on which the kernel runs in its turn.
    flat = {**x.__cuda_array_interface__, "shape": (x.size,)}
    return cuda.from_cuda_array_interface(flat, owner=x, sync=False)


def ptx(function, arguments, capability):
    """What a kernel is compiled to, on a machine with NVVM and without a GPU.

    Args:
        function: what `kernel` made.
        arguments: NumPy's arrays and numbers of the types that it is to be compiled for.
        capability: such as `(9, 0)`.
    """
    signature = tuple(numba.typeof(argument) for argument in arguments)
    with compiling_for(capability):
        return cuda.compile_ptx(function.py_func, signature, cc=capability)[0]


def package_version():
    """Of the package numba-cuda, whose module tells none; empty where Numba brings its own."""
    try:
        return importlib.metadata.version("numba-cuda")
    except importlib.metadata.PackageNotFoundError:
        return ""


@contextlib.contextmanager
def compiling_for(capability):
    """Device functions are compiled for this compute capability, not for the GPU at hand.

    By this thread: others may launch kernels of their own meanwhile.
    """
    dispatcher = importlib.import_module("numba.cuda.dispatcher")
    with _compiling:
        present, thread = dispatcher.get_current_device, threading.get_ident()
        absent = types.SimpleNamespace(compute_capability=capability)
        dispatcher.get_current_device = lambda: (
            absent if threading.get_ident() == thread else present()
        )
        try:
            yield
        finally:
            dispatcher.get_current_device = present
