"""Builds libfastgen_core, libfastgen_tf, libfastgen_xla and the Python module fastgen.core.

    python setup.py build_ext --inplace [-j JOBS]

The metadata is in pyproject.toml. Environment: CXX, CXXFLAGS, LDFLAGS; FASTGEN_CUDA=0|1 forces nvcc
off or on (default: if found, on the PATH or named by NVCC), for GPUs FASTGEN_CUDA_ARCHITECTURES
(default: 80,90); FASTGEN_NATIVE=0 builds nothing: only the composite paths run then.
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
CUDA = [
    *("-std=c++17", "-O3", "-DNDEBUG", f"-I{CSRC}", "-Xptxas", "-v"),
    *("-Xcompiler", "-fPIC,-fvisibility=hidden,-Wall,-Wextra,-Wno-unknown-pragmas"),
]
# What the glue and the bindings are compiled with where the library has CUDA kernels.
WITH_CUDA = ["-DFASTGEN_CUDA"]

# What the headers of TensorFlow's wheels must be compiled with: tf.sysconfig.get_compile_flags().
TENSORFLOW = ["-D_GLIBCXX_USE_CXX11_ABI=1", "-DEIGEN_MAX_ALIGN_BYTES=64"]
# What the headers of XLA's compiler include, of all that lies beside them in the wheels.
XLA = ["external/highwayhash", "external/farmhash_archive/src"]
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


def xla_flags(folder):
    """What compiles against the XLA of the TensorFlow there, or None if that shows none."""
    headers = [folder / "include" / path for path in ("", *XLA)]
    if not all(path.exists() for path in (*headers, folder / "libtensorflow_cc.so.2")):
        return None
    return [*TENSORFLOW, *(flag for path in headers for flag in ("-isystem", str(path)))]


LEAST_CUDA = (12, 1)  # the first whose kernels have more than 4 KB of parameters


def find_cuda():
    """The nvcc to build .cu files with, or None; an error if they are demanded without one."""
    wish = os.environ.get("FASTGEN_CUDA", "")
    if wish not in ("", "0", "1"):
        raise PlatformError(f"FASTGEN_CUDA must be 0 or 1. Received: {wish}")
    nvcc = None if wish == "0" else shutil.which(os.environ.get("NVCC") or "nvcc")
    if wish == "1" and nvcc is None:
        raise PlatformError("FASTGEN_CUDA=1, but nvcc is not on the PATH nor named by NVCC.")
    release = nvcc and cuda_release(nvcc)
    if release and tuple(map(int, release.split("."))) < LEAST_CUDA:
        said = f"{nvcc} is of CUDA {release}, kernels need 12.1 or later."
        if wish == "1":
            raise PlatformError(said)
        print(f"fastgen: {said} Building none for GPUs.")
        return None
    return nvcc


def cuda_architectures():
    """Machine code for each, and PTX of the last for GPUs to come."""
    names = os.environ.get("FASTGEN_CUDA_ARCHITECTURES") or "80,90"
    if not re.fullmatch(r"\d+[af]?(,\d+[af]?)*", names):
        raise PlatformError(
            "FASTGEN_CUDA_ARCHITECTURES must be numbers such as 80,90. Received: " + names
        )
    return names.split(",")


def cuda_targets():
    names = cuda_architectures()
    code = [f"-gencode=arch=compute_{name},code=sm_{name}" for name in names]
    return [*code, f"-gencode=arch=compute_{names[-1]},code=compute_{names[-1]}"]


def cuda_version(nvcc):
    return subprocess.run([nvcc, "--version"], capture_output=True, text=True, check=True).stdout


def cuda_release(nvcc):
    """Such as 13.0; nothing where it does not say."""
    return "".join(re.findall(r"release (\d+\.\d+)", cuda_version(nvcc)))


def cuda_runtime(nvcc):
    """What links CUDA's runtime into a library, hidden in it: none is needed at run time."""
    trial = [nvcc, "-dryrun", "-shared", "x.o", "-o", "x.so"]
    said = subprocess.run(trial, capture_output=True, text=True, check=True).stderr
    folders = re.findall(r'"(-L[^"]+)"', said[said.index("LIBRARIES=") :].split("\n")[0])
    return [*folders, "-lcudart_static", "-ldl", "-lrt", "-Wl,--exclude-libs,libcudart_static.a"]


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

    def run(self, name, output, inputs, command, context, log=None):
        """Runs `command` unless `output` was made by it, in this context, from these inputs.

        What it says on stderr is shown; if all went well, without a warning, it is only in `log`.
        """
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
        if log:
            log.write_text(done.stderr)
        if done.stderr and (not log or done.returncode or "warning" in done.stderr):
            print(done.stderr, flush=True)
        if done.returncode:
            raise CompileError(f"{name} failed:\n  {shlex.join(command)}")
        os.utime(part, (started, started))  # an input edited meanwhile is newer
        part.replace(output)
        receipt.write_text(text)
        return output

    def compile(self, source, variant, flags, context=""):
        """Starts compiling `source`; the future's result is the object file."""
        command = [*self.cxx, *COMMON, *flags, *environment_flags("CXXFLAGS")]
        return self.submit(source, variant, command, context)

    def compile_cuda(self, source, nvcc, version):
        """Likewise by nvcc; what ptxas says of registers is beside the object file."""
        command = [nvcc, "-ccbin", self.cxx[-1], *CUDA, *cuda_targets()]
        return self.submit(source, "cuda", command, version, log=".ptxas")

    def submit(self, source, variant, command, context, log=None):
        target = OBJECTS / variant / f"{source.stem}.o"
        depfile = target.with_suffix(".d")
        command = [*command, "-MMD", "-MF", str(depfile), "-MT", "object", "-c", str(source)]
        inputs = [depfile]
        if depfile.exists():
            names = depfile.read_text().replace("\\\n", " ").strip().removeprefix("object")
            inputs = [source, *map(Path, names.strip(" :").split())]
        name = f"{variant}/{source.name}"
        log = log and target.with_suffix(log)
        return self.pool.submit(self.run, name, target, inputs, command, context, log)

    def link(self, output, objects, flags, context=""):
        output.parent.mkdir(parents=True, exist_ok=True)
        command = [*self.cxx, "-shared", *map(str, objects), *flags]
        command += ["-Wl,-z,relro,-z,now", *environment_flags("LDFLAGS")]
        self.run(output.name, output, objects, command, f"{output}{context}")


def sources(folder):
    return sorted((CSRC / folder).glob("*.cc"))


def cuda_sources():
    return [*sorted((CSRC / "cuda").glob("*.cu")), *sorted((CSRC / "kernels").glob("*.cu"))]


def core_objects(builder):
    """Compiles what libfastgen_core has for the CPU."""
    core = [builder.compile(source, "core", []) for source in sources("core")]
    return core + [
        builder.compile(source, isa, [*KERNEL, *flags, f"-DFASTGEN_TARGET={isa}"])
        for source in sources("kernels")
        for isa, flags in ISAS.items()
    ]


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
        nvcc = find_cuda()
        with_cuda = WITH_CUDA if nvcc else []
        # The slowest first: TensorFlow's headers take most of the time.
        xla = self.compile_xla(builder, folder, version, with_cuda) if folder else []
        glue = self.compile_glue(builder, folder, version, with_cuda) if folder else []
        module = self.compile_module(builder, with_cuda)
        core = core_objects(builder)
        if nvcc:
            made_by = cuda_version(nvcc)
            core += [builder.compile_cuda(source, nvcc, made_by) for source in cuda_sources()]
        objects = results([*core, *glue, *module, *xla])
        core, rest = objects[: len(core)], objects[len(core) :]
        runtime = cuda_runtime(nvcc) if nvcc else []
        module = rest[len(glue) : len(rest) - len(xla)]
        self.link_all(builder, core, runtime, rest[: len(glue)], module, folder)
        self.link_xla(builder, rest[len(rest) - len(xla) :], folder)
        self.copy_device_code()
        self.write_build_info(builder, version if glue else None, nvcc)

    def compile_glue(self, builder, folder, version, more):
        flags = [*TENSORFLOW, *more, "-isystem", str(folder / "include")]
        # -isystem headers are not in the depfile; the version stands for them.
        return [builder.compile(s, "tensorflow", flags, version) for s in sources("tensorflow")]

    def compile_xla(self, builder, folder, version, more):
        flags = xla_flags(folder)
        if flags is None:
            print("fastgen: this TensorFlow does not show its XLA, which will run stock ops")
            return []
        flags += more
        return [builder.compile(s, "xla", flags, version) for s in sources("xla")]

    def compile_module(self, builder, more):
        import pybind11

        folders = {pybind11.get_include(), *map(sysconfig.get_path, ("include", "platinclude"))}
        flags = [flag for folder in sorted(folders) for flag in ("-isystem", folder)]
        flags = [*BINDINGS, *more, *flags]
        variant = sysconfig.get_config_var("SOABI")
        context = pybind11.__version__
        made = bundles(sources("python"), BINDINGS_AT_ONCE, OBJECTS / variant)
        return [builder.compile(source, variant, flags, context) for source in made]

    def link_all(self, builder, core, runtime, glue, module, tensorflow):
        lib = self.package_folder() / "lib"
        exports = OBJECTS / "exports.map"
        if not exports.exists() or exports.read_text() != EXPORTS:
            exports.write_text(EXPORTS)
        library = lib / "libfastgen_core.so"
        flags = [f"-Wl,-soname,{library.name}", f"-Wl,--version-script={exports}"]
        flags += ["-Wl,-z,defs", "-pthread", *runtime]
        builder.link(library, core, flags, EXPORTS)
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

    def copy_device_code(self):
        """What NVRTC compiles at run time: the headers of kernels, as they are."""
        for folder in ("core", "cuda", "kernels"):
            target = self.package_folder() / "lib/include" / folder
            shutil.rmtree(target, ignore_errors=True)
            target.mkdir(parents=True)
            for pattern in ("*.h", "*.cuh"):
                for header in (CSRC / folder).glob(pattern):
                    shutil.copy(header, target)

    def link_xla(self, builder, objects, tensorflow):
        lib = self.package_folder() / "lib"
        if not objects:
            (lib / "libfastgen_xla.so").unlink(missing_ok=True)
            return
        libraries = [f"-l:libtensorflow_{part}.so.2" for part in ("framework", "cc")]
        flags = [f"-L{lib}", "-lfastgen_core", f"-L{tensorflow}", *libraries]
        flags += ["-Wl,-z,defs", "-Wl,-rpath,$ORIGIN"]
        builder.link(lib / "libfastgen_xla.so", objects, flags)

    def write_build_info(self, builder, tensorflow, nvcc):
        info = {
            "abi": abi_version(),
            "tensorflow": tensorflow,
            "isas": list(ISAS),
            "cuda": cuda_architectures() if nvcc else [],
            "cuda_release": nvcc and cuda_release(nvcc),
            "compiler": builder.compiler,
        }
        (self.package_folder() / "lib/build.json").write_text(json.dumps(info, indent=2) + "\n")

    def package_folder(self):
        return Path("fastgen") if self.inplace else Path(self.build_lib) / "fastgen"

    def get_outputs(self):
        names = [*(f"libfastgen_{part}.so" for part in ("core", "tf", "xla")), "build.json"]
        made = [self.package_folder() / "lib" / name for name in names]
        made += sorted((self.package_folder() / "lib/include").rglob("*.*"))
        made.append(self.package_folder() / Path(self.get_ext_filename("fastgen.core")).name)
        return [str(path) for path in made if path.exists()]

    def get_output_mapping(self):
        return {}


setup(
    ext_modules=[Extension("fastgen.core", [str(path) for path in sources("python")])],
    cmdclass={"build_ext": BuildNative},
)
