"""Compiles the CUDA kernels for the CPU, over the headers of tests/cuda/on_cpu."""

import contextlib
import fcntl
import os
import runpy
import shutil
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).resolve().parents[2]
ON_CPU = ROOT / "tests/cuda/on_cpu"
SANITIZED = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
FLAGS = [
    *("-O1", "-g1", "-fno-omit-frame-pointer", "-Wno-unknown-pragmas"),
    *("-DFASTGEN_CUDA_ON_CPU", f"-I{ON_CPU.parent}", f"-I{ON_CPU}"),
    *("-include", "on_cpu/cuda_runtime.h"),
]


def build_script():
    """setup.py's names."""
    with mock.patch("setuptools.setup"):
        return runpy.run_path(str(ROOT / "setup.py"))


@contextlib.contextmanager
def builder(jobs=None):
    """setup.py's names and its builder, in the root, and alone: test processes share a build."""
    before = Path.cwd()
    os.chdir(ROOT)
    try:
        script = build_script()
        script["OBJECTS"].mkdir(parents=True, exist_ok=True)
        with (script["OBJECTS"] / "tests-lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield script, script["Builder"](jobs or len(os.sched_getaffinity(0)))
    finally:
        os.chdir(before)


def kernels(script, builder, folder, flags):
    """What compiles to the CUDA kernels and all that runs them on the CPU."""
    sources = [*script["cuda_sources"](), *sorted(ON_CPU.glob("*.cc"))]
    languages = {".cu": ["-x", "c++"]}
    return [
        builder.compile(source, folder, [*flags, *languages.get(source.suffix, [])])
        for source in sources
    ]


def sanitized():
    """The path of a library of the CUDA kernels alone, under sanitizers."""
    return _alone("cuda-on-cpu", SANITIZED)


def plain():
    """Likewise without sanitizers, for processes that are not under them."""
    return _alone("cuda-in-tensorflow", [])


def _alone(folder, more):
    with builder() as (script, made):
        flags = [*FLAGS, *more]
        objects = kernels(script, made, folder, flags)
        objects += [made.compile(source, folder, flags) for source in script["sources"]("core")]
        library = script["OBJECTS"] / folder / "libfastgen_cuda_on_cpu.so"
        made.link(library, script["results"](objects), [*more, "-pthread"])
        return library.resolve()


def tensorflow_device():
    """A folder for FASTGEN_LIB_DIR: the libraries with a GPU for TensorFlow, on the CPU."""
    with builder() as (script, made):
        tensorflow, version = script["find_tensorflow"]()
        folder = "cuda-in-tensorflow"
        headers = ["-isystem", str(tensorflow / "include")]
        objects = kernels(script, made, folder, FLAGS)
        plugin = ROOT / "tests/cuda/plugin/device.cc"
        objects.append(made.compile(plugin, f"{folder}/plugin", [*FLAGS, *headers], version))
        objects += script["core_objects"](made)
        lib = script["OBJECTS"] / folder / "lib"
        library = lib / "libfastgen_core.so"
        made.link(library, script["results"](objects), [f"-Wl,-soname,{library.name}", "-pthread"])
        for name in ("libfastgen_tf.so", "build.json"):
            shutil.copy(ROOT / "fastgen/lib" / name, lib)
        return lib.resolve()


def custom_calls():
    """The path of a library of what XLA calls on a GPU, under sanitizers; None without XLA."""
    with builder() as (script, made):
        tensorflow, version = script["find_tensorflow"]()
        flags = tensorflow and script["xla_flags"](tensorflow)
        if not flags:
            return None
        folder = "cuda-on-cpu"
        objects = kernels(script, made, folder, [*FLAGS, *SANITIZED])
        flags = [*flags, *script["WITH_CUDA"], "-O1", "-g1", *SANITIZED]
        handlers = [x for x in script["sources"]("xla") if x.stem != "custom_call"]
        for source in (*handlers, ROOT / "tests/cuda/xla/call.cc"):
            objects.append(made.compile(source, f"{folder}/xla", flags, version))
        objects += script["core_objects"](made)
        library = script["OBJECTS"] / folder / "libfastgen_custom_calls.so"
        made.link(library, script["results"](objects), [*SANITIZED, "-pthread"])
        return library.resolve()


def xla_backend():
    """The path of a library with which TensorFlow makes programs for XLA on GPUs."""
    with builder() as (script, made):
        tensorflow, version = script["find_tensorflow"]()
        folder = "cuda-in-tensorflow"
        source = ROOT / "tests/cuda/xla/backend.cc"
        objects = [made.compile(source, folder, script["xla_flags"](tensorflow), version)]
        libraries = [f"-l:libtensorflow_{part}.so.2" for part in ("framework", "cc")]
        library = script["OBJECTS"] / folder / "libxla_backend.so"
        made.link(library, script["results"](objects), [f"-L{tensorflow}", *libraries])
        return library.resolve()


def cublaslt():
    """The folder of a libcublasLt.so.13 that multiplies on the CPU."""
    with builder() as (script, made):
        folder = "cuda-on-cpu/cublaslt"
        objects = [made.compile(ON_CPU / "cublaslt/library.cc", folder, [])]
        library = script["OBJECTS"] / folder / "libcublasLt.so.13"
        made.link(library, script["results"](objects), [])
        return library.parent.resolve()


def driver():
    """The path of a libcuda.so.1 that runs kernels on the CPU; who loads it has it for all."""
    with builder() as (script, made):
        folder = "cuda-on-cpu/driver"
        objects = [made.compile(ON_CPU / "driver/library.cc", folder, [])]
        library = script["OBJECTS"] / folder / "libcuda.so.1"
        made.link(library, script["results"](objects), [f"-Wl,-soname,{library.name}", "-pthread"])
        return library.resolve()
