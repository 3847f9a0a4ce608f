"""Users' kernels on GPUs: PTX by numba.cuda, kept on disk; the driver makes machine code of it.

Where the driver is older than the PTX, nvJitLink makes the machine code, if it is there.
"""

import functools
import hashlib
import importlib
import pickle
import threading
from typing import NamedTuple

from fastgen import cache, native
from fastgen.jit import driver, linker, source

_compiling = threading.Lock()
_registered = {}  # key → what kept the kernel from it, or None


class NotForGpusError(source.Refusal):
    """Why a kernel runs on the CPU alone."""


class Accepted(NamedTuple):
    """What the driver can use of numba.cuda's."""

    linked: bool = False  # machine code by nvJitLink, in place of PTX
    why_not: str | None = None  # why it can use neither


def why_not():
    """Why kernels cannot be compiled for the GPUs that TensorFlow sees, or None."""
    return _missing_compiler() or _missing_capability() or accepted().why_not


@functools.cache
def _missing_compiler():
    try:
        target = importlib.import_module("fastgen.jit.cuda.target")
        if target.SIMULATED:
            return "Numba simulates CUDA here (NUMBA_ENABLE_CUDASIM)"
        importlib.import_module("fastgen.jit.cuda.ptx").of_nothing((8, 0))
    except Exception as error:  # whatever a compiler that is not whole raises
        return f"pip install 'fastgen[cuda]': {' '.join(str(error).split())}"
    return None


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


@functools.cache
def accepted():
    """What the driver takes of the least of kernels, on every GPU: an `Accepted`, found once."""
    gpus = driver.gpus() if native.load_ops() else []
    if not gpus:
        return Accepted()
    if why := native.why_missing("load_device_code"):
        return Accepted(why_not=why)
    entry, ptx = of_nothing()
    refusal = _tried("PTX of numba.cuda", entry, ptx.encode(), gpus)
    if refusal is None:
        return Accepted()
    why = _why_not_linked(entry, ptx, refusal.cuda, gpus)
    return Accepted(linked=not why, why_not=why and _advice(refusal, why))


def _tried(name, entry, code, gpus):
    """What the driver says against code, or None."""
    key = f"fastgen.jit:{hashlib.sha256(code).hexdigest()}"
    driver.register(key, name, entry, code)
    return driver.refusal(key, gpus)


def of_nothing():
    """The name of the least of kernels in PTX, and the PTX."""
    return importlib.import_module("fastgen.jit.cuda.ptx").of_nothing(capability())


def _why_not_linked(entry, ptx, cuda, gpus):
    """Why machine code by nvJitLink does not help a driver of this CUDA, or None."""
    try:
        version = linker.version()
    except Exception as error:  # of cuda.bindings or cuda.pathfinder, which have several kinds
        return f"nvJitLink, which would make machine code of it, is missing: {_line(error)}"
    if version[0] != cuda[0]:
        return "nvJitLink is of CUDA {}.{}".format(*version)
    try:
        code = linked(ptx)
    except NotForGpusError as error:
        return str(error)
    refusal = _tried("machine code by nvJitLink", entry, code, gpus)
    return refusal and refusal.said


def _advice(refusal, why):
    cuda = "{}.{}".format(*refusal.cuda)
    packages = {12: f"'numba-cuda[cu12]' 'nvidia-cuda-nvcc-cu12=={cuda}.*'"}
    packages = packages.get(refusal.cuda[0], f"'nvidia-nvvm=={cuda}.*'")
    return (
        f"the driver, of CUDA {cuda}, refuses {refusal.said}; {why}. Upgrade the driver, or let "
        f"numba.cuda make PTX of CUDA {cuda}: pip install {packages}"
    )


def _line(error):
    return " ".join(str(error).split())


def register(compiled, function, fastmath):
    """Let graphs run a kernel on GPUs, under the key that it has on the CPU.

    Args:
        compiled: a `registry.Compiled`.
        function: the user's.
        fastmath: as Numba's.

    Raises:
        NotForGpusError: if Numba does not compile the function for GPUs, or the driver cannot use
            what Numba makes of it.
    """
    with _compiling:
        if compiled.key not in _registered:
            _registered[compiled.key] = _why_not_registered(compiled, function, fastmath)
        if refusal := _registered[compiled.key]:
            raise refusal


def _why_not_registered(compiled, function, fastmath):
    try:
        entry, ptx = code_of(compiled, function, fastmath)
        code = linked(ptx) if accepted().linked else ptx.encode()
    except NotForGpusError as refusal:
        return refusal
    driver.register(compiled.key, compiled.kernel.__name__, entry, code)
    refusal = driver.refusal(compiled.key)
    return refusal and NotForGpusError(f"the driver refuses {refusal.said}")


def code_of(compiled, function, fastmath):
    """The name of a kernel in PTX, and the PTX: from the disk, or as numba.cuda makes it."""
    ptx = importlib.import_module("fastgen.jit.cuda.ptx")
    about = compiled.key, compiled.outputs, capability(), ptx.made_by(capability())
    path = _place(about, "ptx")
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
            f"{type(error).__name__}: {_line(error)}. Received: {form.inputs}"
        ) from error
    cache.write_sealed(path, pickle.dumps(made))
    return made


def linked(ptx):
    """Machine code of PTX: from the disk, or as nvJitLink makes it.

    Raises:
        NotForGpusError: if it does not.
    """
    path = _place((ptx, capability(), linker.version()), "cubin")
    code = cache.read_sealed(path)
    if code is None:
        try:
            code = linker.cubin(ptx.encode(), capability())
        except RuntimeError as error:
            raise NotForGpusError(_line(error)) from error
        cache.write_sealed(path, code)
    return code


def _place(about, kind):
    key = hashlib.sha256(repr(about).encode()).hexdigest()[:32]
    return cache.folder() / f"kernel-{key}.{kind}"
