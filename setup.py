"""Builds libfastgen_core, libfastgen_tf and the Python module fastgen.core.

    python setup.py build_ext --inplace [-j JOBS]

The metadata is in pyproject.toml. Environment: CXX, CXXFLAGS, LDFLAGS; FASTGEN_CUDA=0|1 forces nvcc
off or on (default: if found); FASTGEN_NATIVE=0 builds nothing: only the composite paths run then.
"""

import fcntl
import importlib.metadata
import importlib.util
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sysconfig
import time
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CompileError, PlatformError

ROOT = Path(__file__).resolve().parent
CSRC = Path("csrc")
OBJECTS = Path("build/native")

COMMON = [
    *("-std=c++17", "-O3", "-DNDEBUG", "-fPIC", "-fvisibility=hidden"),
    *("-fno-math-errno", "-fno-trapping-math", "-Wall", "-Wextra", f"-I{CSRC}"),
]
# A kernel is compiled once per entry. FMAs are written out where the contract wants them;
# contraction by the compiler would make the ISAs differ in more than their width.
AVX512 = "-mavx512f -mavx512dq -mavx512bw -mavx512vl -mavx2 -mfma -mf16c -mprefer-vector-width=512"
# g++ 12 calls the undefined pass-through operand of its own AVX-512 intrinsics uninitialized.
AVX512 += " -Wno-uninitialized -Wno-maybe-uninitialized"
ISAS = {"avx512": AVX512.split(), "avx2": ["-mavx2", "-mfma", "-mf16c"], "baseline": []}
if platform.machine() not in ("x86_64", "AMD64"):
    ISAS = {"baseline": []}
KERNEL = ["-ffp-contract=off"]

# What the headers of TensorFlow's wheels must be compiled with: tf.sysconfig.get_compile_flags().
TENSORFLOW = ["-D_GLIBCXX_USE_CXX11_ABI=1", "-DEIGEN_MAX_ALIGN_BYTES=64"]
# pybind11's headers take a compiler 8 s, a file of bindings another one: so many share a run. And
# they only check arguments, which -O3 does not make faster: 11 s in place of 16.
BINDINGS_AT_ONCE = 12
BINDINGS = ["-O2"]
# Only fg_* leaves the library: an inline function compiled for AVX-512 must never stand in for
# another library's copy of it.
EXPORTS = "{ global: fg_*; local: *; };\n"


def environment_flags(name):
    return shlex.split(os.environ.get(name, ""))


def find_tensorflow():
    """Folder and version of the installed TensorFlow, without importing it (that takes seconds)."""
    spec = importlib.util.find_spec("tensorflow")
    if spec is None or not spec.submodule_search_locations:
        return None, None
    folder = Path(spec.submodule_search_locations[0])
    if not (folder / "libtensorflow_framework.so.2").exists():
        return None, None
    for name in importlib.metadata.packages_distributions().get("tensorflow", ["tensorflow"]):
        try:
            return folder, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None, None


def find_cuda():
    """Whether to build .cu files; an error if they are demanded and cannot be built."""
    wish = os.environ.get("FASTGEN_CUDA", "")
    if wish not in ("", "0", "1"):
        raise PlatformError(f"FASTGEN_CUDA must be 0 or 1. Received: {wish}")
    nvcc = os.environ.get("NVCC") or shutil.which("nvcc")
    if wish == "1" and not (nvcc and shutil.which(nvcc)):
        raise PlatformError("FASTGEN_CUDA=1, but nvcc is not on the PATH nor named by NVCC.")
    return bool(nvcc) and wish != "0" and any(CSRC.glob("kernels/*.cu"))


def abi_version():
    header = (CSRC / "core/abi.h").read_text(encoding="utf-8")
    return int(re.search(r"#define FG_ABI_VERSION (\d+)", header)[1])


class Builder:
    """Compiles and links with the C++ compiler, skipping what is newer than all it came from."""

    def __init__(self, jobs):
        self.cxx = shlex.split(os.environ.get("CXX", "g++"))
        if shutil.which(self.cxx[0]) is None:
            raise PlatformError(
                f"no C++ compiler {self.cxx[0]!r}. Install g++, or set CXX; "
                "FASTGEN_NATIVE=0 installs the composite paths alone."
            )
        banner = subprocess.run([*self.cxx, "--version"], capture_output=True, text=True)
        self.compiler = banner.stdout.splitlines()[0].strip()
        self.pool = ThreadPoolExecutor(jobs)
        self.compiled = set()  # suffixes of the sources

    def run(self, name, output, inputs, command, context):
        """Runs `command` unless `output` was made by it, in this context, from these inputs."""
        receipt = OBJECTS / "receipts" / f"{name.replace('/', '.')}.txt"
        text = "\n".join([self.compiler, context, shlex.join(command)])
        if output.exists() and receipt.exists() and receipt.read_text() == text:
            made = output.stat().st_mtime
            if all(path.exists() and path.stat().st_mtime <= made for path in inputs):
                return output
        for path in (output, receipt):
            path.parent.mkdir(parents=True, exist_ok=True)
        receipt.unlink(missing_ok=True)
        print(f"  {name}\n", end="", flush=True)  # in one piece, whatever other threads print
        # A running process may have the old file mapped: never write into it.
        part = output.with_name(output.name + ".part")
        started = time.time()
        done = subprocess.run([*command, "-o", str(part)], capture_output=True, text=True)
        if done.stderr:
            print(done.stderr, flush=True)
        if done.returncode:
            raise CompileError(f"{name} failed:\n  {shlex.join(command)}")
        os.utime(part, (started, started))  # an input edited meanwhile is newer
        part.replace(output)
        receipt.write_text(text)
        return output

    def compile(self, source, variant, flags, context=""):
        """Starts compiling `source`; the future's result is the object file."""
        target = OBJECTS / variant / f"{source.stem}.o"
        depfile = target.with_suffix(".d")
        command = [*self.cxx, *COMMON, *flags, *environment_flags("CXXFLAGS")]
        command += ["-MMD", "-MF", str(depfile), "-MT", "object", "-c", str(source)]
        inputs = [depfile]
        if depfile.exists():
            names = depfile.read_text().replace("\\\n", " ").removeprefix("object:")
            inputs = [source, *map(Path, names.split())]
        name = f"{variant}/{source.name}"
        self.compiled.add(source.suffix)
        return self.pool.submit(self.run, name, target, inputs, command, context)

    def link(self, output, objects, flags, context=""):
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [*self.cxx, "-shared", *map(str, objects), *flags]
        command += ["-Wl,-z,relro,-z,now", *environment_flags("LDFLAGS")]
        self.run(output.name, output, objects, command, f"{output}{context}")


def sources(folder):
    return sorted((CSRC / folder).glob("*.cc"))


def bundles(paths, size, folder):
    """Sources that include `size` of the paths each, so that these are compiled in one run."""
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, len(paths), size):
        bundle = folder / f"bundle_{start // size}.cc"
        names = (path.relative_to(CSRC) for path in paths[start : start + size])
        text = "".join(f'#include "{name}"\n' for name in names)
        if not bundle.exists() or bundle.read_text() != text:
            bundle.write_text(text)
        yield bundle


def results(futures):
    """Waits for all; at the first failure, drops what has not started."""
    for late in wait(futures, return_when=FIRST_EXCEPTION).not_done:
        late.cancel()
    return [future.result() for future in futures if not future.cancelled()]


class BuildNative(build_ext):
    """build_ext that makes fastgen/lib/*.so beside the one extension module it declares."""

    def run(self):
        os.chdir(ROOT)
        if os.environ.get("FASTGEN_NATIVE") == "0":
            print("fastgen: FASTGEN_NATIVE=0, building no native code")
            if any((self.package_folder() / "lib").glob("*.so")):
                print(
                    f"fastgen: the libraries built earlier stay in {self.package_folder()}/lib and "
                    "are used. `make clean` removes them; FASTGEN_BACKEND=composite passes them by."
                )
            return
        OBJECTS.mkdir(parents=True, exist_ok=True)
        with (OBJECTS / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.build()

    def build(self):
        builder = Builder(self.parallel or len(os.sched_getaffinity(0)))
        folder, version = find_tensorflow()
        find_cuda()  # for its errors: there are no .cu files yet
        # The slowest first: TensorFlow's headers take most of the time.
        glue = self.compile_glue(builder, folder, version) if folder else []
        module = self.compile_module(builder)
        core = [builder.compile(source, "core", []) for source in sources("core")]
        core += [
            builder.compile(source, isa, [*KERNEL, *flags, f"-DFASTGEN_TARGET={isa}"])
            for source in sources("kernels")
            for isa, flags in ISAS.items()
        ]
        objects = results([*core, *glue, *module])
        core, rest = objects[: len(core)], objects[len(core) :]
        self.link_all(builder, core, rest[: len(glue)], rest[len(glue) :], folder)
        self.write_build_info(builder, version if glue else None)

    def compile_glue(self, builder, folder, version):
        flags = [*TENSORFLOW, "-isystem", str(folder / "include")]
        # -isystem headers are not in the depfile; the version stands for them.
        return [builder.compile(s, "tensorflow", flags, version) for s in sources("tensorflow")]

    def compile_module(self, builder):
        import pybind11

        folders = {pybind11.get_include(), *map(sysconfig.get_path, ("include", "platinclude"))}
        flags = BINDINGS + [flag for folder in sorted(folders) for flag in ("-isystem", folder)]
        variant = sysconfig.get_config_var("SOABI")
        context = pybind11.__version__
        made = bundles(sources("python"), BINDINGS_AT_ONCE, OBJECTS / variant)
        return [builder.compile(source, variant, flags, context) for source in made]

    def link_all(self, builder, core, glue, module, tensorflow):
        lib = self.package_folder() / "lib"
        exports = OBJECTS / "exports.map"
        if not exports.exists() or exports.read_text() != EXPORTS:
            exports.write_text(EXPORTS)
        library = lib / "libfastgen_core.so"
        soname = f"-Wl,-soname,{library.name}"
        builder.link(
            library,
            core,
            [soname, f"-Wl,--version-script={exports}", "-Wl,-z,defs", "-pthread"],
            EXPORTS,
        )
        needs_core = [f"-L{lib}", "-lfastgen_core"]
        if glue:
            framework = [f"-L{tensorflow}", "-l:libtensorflow_framework.so.2"]
            flags = [*needs_core, *framework, "-Wl,-z,defs", "-Wl,-rpath,$ORIGIN"]
            builder.link(lib / "libfastgen_tf.so", glue, flags)
        else:
            (lib / "libfastgen_tf.so").unlink(missing_ok=True)
            print(
                "fastgen: TensorFlow is not visible to this build, so its op library is left out "
                "and layers take their composite paths.\n  To build it: pip install tensorflow "
                "setuptools pybind11, then install fastgen with --no-build-isolation."
            )
        path = self.package_folder() / Path(self.get_ext_filename("fastgen.core")).name
        builder.link(path, module, [*needs_core, "-Wl,-rpath,$ORIGIN/lib"])

    def write_build_info(self, builder, tensorflow):
        info = {
            "abi": abi_version(),
            "tensorflow": tensorflow,
            "isas": list(ISAS),
            "cuda": ".cu" in builder.compiled,
            "compiler": builder.compiler,
        }
        path = self.package_folder() / "lib/build.json"
        path.write_text(json.dumps(info, indent=2) + "\n", encoding="utf-8")

    def package_folder(self):
        return Path("fastgen") if self.inplace else Path(self.build_lib) / "fastgen"

    def get_outputs(self):
        names = ["libfastgen_core.so", "libfastgen_tf.so", "build.json"]
        made = [self.package_folder() / "lib" / name for name in names]
        made.append(self.package_folder() / Path(self.get_ext_filename("fastgen.core")).name)
        return [str(path) for path in made if path.exists()]

    def get_output_mapping(self):
        return {}


setup(
    ext_modules=[Extension("fastgen.core", [str(path) for path in sources("python")])],
    cmdclass={"build_ext": BuildNative},
)
