"""Users' kernels on GPUs: PTX by numba.cuda, kept on disk; the driver makes machine code of it."""

import ctypes
import functools
import hashlib
import importlib
import pickle
import threading

from fastgen import cache
from fastgen.jit import registry, source

_compiling = threading.Lock()
_registered = {}  # key → what kept the kernel from it, or None


class NotForGpusError(source.Refusal):
    """Why a kernel runs on the CPU alone."""


def why_not():
    """Why kernels cannot be compiled for the GPUs that TensorFlow sees, or None."""
    return _missing_compiler() or _missing_capability()


@functools.cache
def _missing_compiler():
    try:
        target = importlib.import_module("fastgen.jit.cuda.target")
        if target.SIMULATED:
            return "Numba simulates CUDA here (NUMBA_ENABLE_CUDASIM)"
        with target.compiling_for((8, 0)):
            target.cuda.compile_ptx(_nothing, (), cc=(8, 0))
    except Exception as error:  # whatever a compiler that is not whole raises
        return f"pip install 'fastgen[cuda]': {' '.join(str(error).split())}"
    return None


def _nothing():
    """The least of kernels."""


def _missing_capability():
    if capability() is None:
        return "TensorFlow does not tell the compute capability of its GPUs"
    return None


@functools.cache
def capability():
    """The least compute capability of the GPUs that TensorFlow sees, or None."""
    import tensorflow as tf

    gpus = tf.config.get_visible_devices("GPU")
    known = [tf.config.experimental.get_device_details(gpu) for gpu in gpus]
    return min((x["compute_capability"] for x in known if "compute_capability" in x), default=None)


def register(compiled, function, fastmath):
    """Let graphs run a kernel on GPUs, under the key that it has on the CPU.

    Args:
        compiled: a `registry.Compiled`.
        function: the user's.
        fastmath: as Numba's.

    Raises:
        NotForGpusError: if Numba does not compile the function for GPUs.
    """
    with _compiling:
        if compiled.key not in _registered:
            _registered[compiled.key] = _why_not_registered(compiled, function, fastmath)
        if refusal := _registered[compiled.key]:
            raise refusal


def _why_not_registered(compiled, function, fastmath):
    try:
        entry, code = code_of(compiled, function, fastmath)
    except NotForGpusError as refusal:
        return refusal
    name = compiled.kernel.__name__
    _register_function()(*(x.encode() for x in (compiled.key, name, entry, code)))
    return None


@functools.cache
def _register_function():
    function = registry.library().fg_device_code_register
    function.restype, function.argtypes = None, [ctypes.c_char_p] * 4
    return function


def code_of(compiled, function, fastmath):
    """The name of a kernel in PTX, and the PTX: from the disk, or as numba.cuda makes it."""
    ptx = importlib.import_module("fastgen.jit.cuda.ptx")
    about = compiled.key, compiled.outputs, capability(), ptx.made_by()
    key = hashlib.sha256(repr(about).encode()).hexdigest()[:32]
    path = cache.folder() / f"kernel-{key}.ptx"
    stored = cache.read_sealed(path)
    if stored is not None:
        return pickle.loads(stored)
    form = compiled.form
    try:
        given = function, form, form.outputs or compiled.outputs, fastmath is True, capability()
        made = ptx.of_scalars(*given)
    except Exception as error:  # whatever a compiler makes of a stranger's code
        raise NotForGpusError(
            f"{compiled.kernel.__name__}: Numba compiles it for the CPU, but not for GPUs "
            "(of NumPy's functions it has few there, of Python's math all): "
            f"{type(error).__name__}: {' '.join(str(error).split())}. Received: {form.inputs}"
        ) from error
    cache.write_sealed(path, pickle.dumps(made))
    return made
