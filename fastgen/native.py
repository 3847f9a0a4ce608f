"""Loads the native libraries on first use, checks that they fit, and says how to mend them.

`libfastgen_core` holds the kernels and needs neither Python nor TensorFlow; `libfastgen_tf` wraps
them as TensorFlow ops and fits one TensorFlow minor version; `libfastgen_xla` teaches XLA to call
them. TensorFlow is imported by `load_ops` and by nothing else here.
"""

import ctypes
import functools
import importlib.metadata
import importlib.util
import json
import os
import shlex
import struct
import sys
import threading
import warnings
from pathlib import Path

# FG_ABI_VERSION of csrc/core/abi.h that this Python code was written for.
ABI = 2

_lock = threading.RLock()


class UnfitError(Exception):
    """Why a native library cannot be used; ends up in a warning, never at the caller."""


def library_folder():
    """Where the libraries lie: `fastgen/lib`, or what `FASTGEN_LIB_DIR` names."""
    return Path(os.environ.get("FASTGEN_LIB_DIR") or Path(__file__).parent / "lib")


def rebuild_command():
    """The shell command that builds the native libraries anew."""
    checkout = Path(__file__).resolve().parent.parent
    if (checkout / "setup.py").exists() and (checkout / "csrc").exists():
        python = shlex.quote(sys.executable or "python")
        return f"cd {shlex.quote(str(checkout))} && {python} setup.py build_ext --inplace"
    return (
        "pip install setuptools pybind11 && pip install --no-build-isolation --no-deps "
        "--no-cache-dir --force-reinstall PATH, where PATH is fastgen's source"
    )


def tensorflow_version():
    """Version of the TensorFlow at hand, or None; does not import it."""
    module = sys.modules.get("tensorflow")
    if module is not None:
        return getattr(module, "__version__", None)
    if importlib.util.find_spec("tensorflow") is None:
        return None
    for name in ("tensorflow", "tensorflow-cpu"):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "of unknown version"


def keras_backend():
    """Name of the backend that Keras has loaded or would load."""
    if "keras" in sys.modules and hasattr(sys.modules["keras"], "config"):
        return sys.modules["keras"].config.backend()
    if os.environ.get("KERAS_BACKEND"):
        return os.environ["KERAS_BACKEND"]
    home = os.environ.get("KERAS_HOME") or Path.home() / ".keras"
    try:
        return json.loads((Path(home) / "keras.json").read_text())["backend"]
    except (OSError, ValueError, KeyError, TypeError):
        return "tensorflow"


def require_tensorflow(feature):
    """Raises unless TensorFlow is installed and is, or will be, Keras' backend.

    Args:
        feature: what the caller is about to offer, such as `"fastgen.layers"`; opens the message.

    Raises:
        ImportError: with the command or the setting that mends it.
    """
    if tensorflow_version() is None:
        raise ImportError(
            f"{feature} needs TensorFlow. On a CPU: pip install 'fastgen[cpu]'; "
            "with an NVIDIA GPU: pip install 'fastgen[gpu]'."
        )
    backend = keras_backend()
    if backend != "tensorflow":
        raise ImportError(
            f"{feature} runs on Keras' TensorFlow backend: set KERAS_BACKEND=tensorflow before "
            f"Keras is imported. Received: KERAS_BACKEND={backend}"
        )


def build_info():
    """What setup.py recorded in build.json: abi, tensorflow, isas, cuda, compiler, and so on."""
    path = library_folder() / "build.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(info["abi"], int):
            raise TypeError(f"abi is {info['abi']!r}")
    except FileNotFoundError:
        raise UnfitError(f"the native libraries have not been built ({path} is missing)") from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnfitError(f"{path} cannot be read: {error!r}") from error
    return info


def check_whole(path):
    """Raises if the ELF file `path` is missing or cut short: to map that can end in SIGBUS."""
    try:
        with path.open("rb") as file:
            header = file.read(64)
    except OSError as error:
        raise UnfitError(f"{path} cannot be read: {error.strerror}") from error
    if len(header) < 64 or header[:5] != b"\x7fELF\x02":
        raise UnfitError(f"{path} is not a 64-bit ELF library")
    (table,) = struct.unpack_from("=Q", header, 0x28)
    entry_size, entries = struct.unpack_from("=HH", header, 0x3A)
    if path.stat().st_size < table + entry_size * entries:
        raise UnfitError(f"{path} is truncated")


@functools.cache
def core_library():
    """libfastgen_core as a `ctypes.CDLL`; raises `UnfitError` if it is not the one we need."""
    abi = build_info()["abi"]
    if abi != ABI:
        raise UnfitError(f"the native libraries have ABI {abi} and this fastgen needs {ABI}")
    path = library_folder() / "libfastgen_core.so"
    check_whole(path)
    try:
        library = ctypes.CDLL(str(path))
        abi = library.fg_abi_version()
    except (OSError, AttributeError) as error:
        raise UnfitError(f"{path} does not load: {error}") from error
    if abi != ABI:
        raise UnfitError(f"{path} has ABI {abi} and this fastgen needs {ABI}")
    library.fg_isa.restype = ctypes.c_char_p
    library.fg_isas.restype = ctypes.c_char_p
    asked, found = os.environ.get("FASTGEN_ISA"), library.fg_isas().decode()
    if asked and asked not in found.split(","):
        warnings.warn(
            f"FASTGEN_ISA must be one of {found}; {library.fg_isa().decode()} is used. "
            f"Received: {asked}",
            RuntimeWarning,
            stacklevel=3,
        )
    return library


class _Gpu(ctypes.Structure):
    """fg_cuda_device_info of csrc/cuda/device.h."""

    _fields_ = (
        ("name", ctypes.c_char * 256),
        ("major", ctypes.c_int),
        ("minor", ctypes.c_int),
        ("multiprocessors", ctypes.c_int),
        ("bytes", ctypes.c_int64),
        ("runs", ctypes.c_int),
    )


def gpus():
    """The GPUs that CUDA sees, as far as the core library was built with it.

    Returns:
        A list of dicts: `name`, `compute_capability` (`"9.0"`), `multiprocessors`, `bytes` of
        memory, and `runs`, whether the library's kernels run on it.

    Raises:
        UnfitError: without a core library.
    """
    core, found = core_library(), []
    if not build_info().get("cuda"):
        return found
    for index in range(core.fg_cuda_device_count()):
        gpu = _Gpu()
        if core.fg_cuda_device(index, ctypes.byref(gpu)) == 0:
            found.append(
                {
                    "name": gpu.name.decode(),
                    "compute_capability": f"{gpu.major}.{gpu.minor}",
                    "multiprocessors": gpu.multiprocessors,
                    "bytes": gpu.bytes,
                    "runs": bool(gpu.runs),
                }
            )
    return found


def why_no_gpu(capabilities):
    """Why the library's kernels do not run on GPUs of these compute capabilities, or None.

    Nothing is started on them: a program may have left some of a machine's to others.

    Args:
        capabilities: pairs such as `(9, 0)`.

    Raises:
        UnfitError: without a core library.
    """
    built = build_info().get("cuda")
    if not built:
        return "the library was built without CUDA"
    if core_library().fg_cuda_device_count() == 0:
        return why_cuda_sees_none()
    unfit = [each for each in capabilities if not _runs_on(built, *each)]
    if not unfit:
        return None
    (major, minor), names = unfit[0], ", ".join(f"sm_{name}" for name in built)
    return f"the library was built for {names}. Received: sm_{major}{minor}"


def why_cuda_sees_none():
    """Why the library's CUDA sees no GPU, as far as it can be told.

    A driver runs what was built with CUDA of its own major release, or of an earlier one.
    """
    built, driver = build_info().get("cuda_release"), _driver_release()
    if driver is None:
        return "there is no CUDA driver"
    if built and driver[0] < int(built.split(".")[0]):
        has = ".".join(map(str, driver))
        return f"the driver is of CUDA {has}, too old for the library, which is of CUDA {built}"
    return "the library's CUDA sees no GPU"


def _driver_release():
    """The CUDA that the machine's driver is of, such as `(12, 8)`, or None; starts nothing."""
    version = ctypes.c_int()
    try:
        failed = ctypes.CDLL("libcuda.so.1").cuDriverGetVersion(ctypes.byref(version))
    except (OSError, AttributeError):
        return None
    if failed:  # as of the toolkit's libcuda, which stands in for a driver's where there is none
        return None
    return version.value // 1000, version.value % 1000 // 10


def _runs_on(built, major, minor):
    """Whether there is machine code for a GPU among these, or the last one's PTX will do."""
    number = 10 * major + minor
    for name in built:
        base = int(name.rstrip("af"))
        if base == number or (base < number and base // 10 == major and not name.endswith("a")):
            return True
    return built[-1].isdigit() and int(built[-1]) <= number


def _minor(version):
    return tuple(version.split(".")[:2])


def _load_ops():
    import tensorflow as tf

    built_for = build_info().get("tensorflow")
    if built_for is None:
        raise UnfitError("the native libraries were built without TensorFlow")
    if _minor(built_for) != _minor(tf.__version__):
        raise UnfitError(
            f"the op library was built for TensorFlow {built_for} and {tf.__version__} is installed"
        )
    core_library()
    path = library_folder() / "libfastgen_tf.so"
    check_whole(path)
    try:
        return tf.load_op_library(str(path))
    except (tf.errors.OpError, OSError, RuntimeError) as error:
        raise UnfitError(f"{path} does not load: {error}") from error


@functools.cache
def _ops_or_reason():
    try:
        return _load_ops(), None
    except UnfitError as error:
        _warn(error, "its")
        return None, str(error)


def _warn(reason, which):
    warnings.warn(
        f"fastgen takes {which} composite paths, which are slower: {reason}. "
        f"To mend it: {rebuild_command()}",
        RuntimeWarning,
        stacklevel=5,
    )


def load_ops():
    """The module of raw TensorFlow ops (`fastgen_gaussian_sample`, ...), or None.

    The first call imports TensorFlow and registers the ops; if the libraries are missing or do not
    fit, it warns, once per process, with the reason and the command that mends it.
    """
    with _lock:
        return _ops_or_reason()[0]


def why_missing(op):
    """Why there is no raw op `fastgen_NAME`, or None; warns, once per process, if that alone lacks.

    A library that was built before an op was added has the right ABI and fits TensorFlow.
    """
    with _lock:
        ops, why = _ops_or_reason()
        if ops is None or hasattr(ops, f"fastgen_{op}"):
            return why
        _warn_of_an_old_library()
        return "the op library is older than the op"


@functools.cache
def why_no_custom_calls():
    """Why XLA cannot call the kernels, or None; the first call registers them with it.

    It warns of nothing: inside XLA stock ops run too. XLA may have compiled before.
    """
    ops, why = _ops_or_reason()
    if ops is None:
        return why
    path = library_folder() / "libfastgen_xla.so"
    if not path.exists():
        return "the native libraries were built without XLA's custom calls"
    try:
        check_whole(path)
        fault_of = ctypes.CDLL(str(path)).fg_xla_fault
    except (UnfitError, OSError, AttributeError) as error:
        return f"{path} does not load: {error}"
    fault_of.restype = ctypes.c_char_p
    fault = fault_of()
    return fault and f"XLA refuses the kernels: {fault.decode()}"


@functools.cache
def _warn_of_an_old_library():
    path = library_folder() / "libfastgen_tf.so"
    _warn(f"{path} is older than this fastgen and lacks some of its ops", "some")


def status():
    """What is built, what is installed and whether they fit, for `fastgen.doctor`; loads no op.

    Returns:
        A dict: `folder`, `abi`, `tensorflow` (installed), `keras_backend`, `built` (build.json or
        None), `isa` and `isas` (in use, available; None without the core library), `core` and
        `ops` (`"loaded"`, `"not loaded yet"` or `"unfit"`) and `why` (why a library is unfit).
    """
    found = {
        "folder": str(library_folder()),
        "abi": ABI,
        "tensorflow": tensorflow_version(),
        "keras_backend": keras_backend(),
        "built": None,
        "isa": None,
        "isas": None,
        "core": "loaded",
        "ops": "not loaded yet",
        "why": None,
    }
    try:
        found["built"] = build_info()
        core = core_library()
        found["isa"] = core.fg_isa().decode()
        found["isas"] = core.fg_isas().decode().split(",")
    except UnfitError as error:
        found["core"], found["why"] = "unfit", str(error)
    with _lock:
        if _ops_or_reason.cache_info().currsize:
            ops, why = _ops_or_reason()
            found["ops"] = "loaded" if ops else "unfit"
            found["why"] = why or found["why"]
    return found
