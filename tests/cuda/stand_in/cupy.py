"""What fastgen.core asks of CuPy, over the CPU's memory, for tests where there is no GPU."""

import ctypes
import hashlib
import os
import pathlib
import subprocess

import ml_dtypes  # noqa: F401, NumPy knows bfloat16 then
import numpy as np

ON_CPU = pathlib.Path(__file__).resolve().parents[1] / "on_cpu"


class _Memory:
    def __init__(self, array, device):
        self.array, self.ptr, self.device_id = array, array.ctypes.data, device


class _Device:
    current = 0

    def __init__(self, id=None):
        self.id = self.current if id is None else id


class ndarray:
    """An array whose elements only get() shows; new ones are poisoned."""

    def __init__(self, shape, dtype=float, *, over=None, device=0):
        unwritten = np.nan if np.dtype(dtype).kind == "f" else -7
        array = np.full(shape, unwritten, dtype) if over is None else over
        self.data, self.device = _Memory(array, device), _Device(device)
        self.shape, self.dtype, self.strides = array.shape, array.dtype, array.strides

    @property
    def flags(self):
        return self.data.array.flags

    @property
    def __cuda_array_interface__(self):
        whole = {"shape": self.shape, "typestr": self.dtype.str, "data": (self.data.ptr, False)}
        return {**whole, "strides": self.data.array.strides, "version": 3}

    def __getitem__(self, key):
        return _over(np.asarray(self.data.array[key]))

    def get(self):
        return self.data.array.copy()


class cuda:
    Device = _Device

    class get_current_stream:
        ptr = 0

    class runtime:
        @staticmethod
        def getDevice():
            return _Device.current

        @staticmethod
        def memsetAsync(pointer, value, size, stream):
            ctypes.memset(pointer, value, size)


def array(x, device=0):
    return _over(np.array(x), device)


def empty(shape, dtype):
    return ndarray(shape, dtype)


def ascontiguousarray(x):
    """Itself if it is; never a scalar."""
    return x if x.shape and x.flags.c_contiguous else _over(np.ascontiguousarray(x.data.array))


def asarray(x):
    """Of whatever has the interface; no copy."""
    return _over(_at(**{k: x.__cuda_array_interface__[k] for k in ("shape", "typestr", "data")}))


def from_dlpack(x):
    return _over(np.from_dlpack(x.on_cpu))


def _over(array, device=0):
    return ndarray(array.shape, over=array, device=device)


class RawModule:
    """Compiles for the CPU what NVRTC would for the GPU; kernels run on tests/cuda/on_cpu."""

    def __init__(self, code, options, name_expressions):
        names = "".join(f"ENTRY({i}, ({name}))\n" for i, name in enumerate(name_expressions))
        key = hashlib.sha256(repr((code, names, options)).encode()).hexdigest()[:16]
        folder = pathlib.Path(os.environ["FASTGEN_STAND_IN_CACHE"]) / key
        folder.mkdir(parents=True, exist_ok=True)
        source, library = folder / "code.cc", folder / "code.so"
        source.write_text(code + ENTRIES + names)
        sources = [source, ON_CPU / "block.cc"]
        flags = ["-std=c++17", "-O0", "-fPIC", "-shared", "-Wno-unknown-pragmas"]
        flags += ["-DFASTGEN_CUDA_ON_CPU", f"-I{ON_CPU.parent}", f"-I{ON_CPU}"]
        flags += ["-include", "on_cpu/cuda_runtime.h", *(x for x in options if x.startswith("-I"))]
        command = [os.environ.get("CXX", "g++"), *flags, *map(str, sources), "-o", str(library)]
        subprocess.run(command, check=True)
        self._library, self._names = ctypes.CDLL(str(library)), list(name_expressions)

    def get_function(self, name):
        entry = getattr(self._library, f"entry_{self._names.index(name)}")

        def launch(grid, block, arguments):
            values = [np.atleast_1d(x) for x in arguments]
            assert all(x.size == 1 for x in values)
            places = (ctypes.c_void_p * len(values))(*(x.ctypes.data for x in values))
            entry(*map(ctypes.c_uint, (*grid, *block)), places)

        return launch


# Calls a kernel with arguments as cuLaunchKernel takes them: an address each.
ENTRIES = """
#include <utility>
template <class... Params, size_t... i>
void call(void (*kernel)(Params...), void** given, std::index_sequence<i...>) {
  kernel(*static_cast<std::remove_cv_t<Params>*>(given[i])...);
}
template <class... Params>
void run(void (*kernel)(Params...), unsigned grid, unsigned block, void** given) {
  on_cpu::run_grid(dim3(grid), dim3(block), 0, false,
                   [&] { call(kernel, given, std::index_sequence_for<Params...>()); });
}
#define ENTRY(i, kernel)                                                        \
  extern "C" __attribute__((visibility("default"))) void entry_##i(             \
      unsigned grid, unsigned block, void** given) {                            \
    run(kernel, grid, block, given);                                            \
  }
"""


def _at(shape, typestr, data):
    size = int(np.prod(shape)) * np.dtype(typestr).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(data[0]), typestr).reshape(shape)
