"""NVRTC compiles every kernel that fastgen.nvrtc starts; no GPU and no CuPy is needed for that."""

import collections
import ctypes
import ctypes.util
import importlib.util
import inspect
import itertools
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from fastgen import cuda_cuts, native, nvrtc

SIZES = [(3, 16), (5, 1), (3, 7), (2, 1040), (1, 2 * cuda_cuts.PIECE + 3)]
POINTERS = {"whole": 1 << 20, "odd": (1 << 20) + 8}


def find_nvrtc():
    """The library of the nvidia-cuda-nvrtc wheel, or of the system."""
    spec = importlib.util.find_spec("nvidia")
    for folder in spec.submodule_search_locations if spec else ():
        for path in sorted(Path(folder).glob("*/lib/libnvrtc.so.*")):
            return str(path)
    return ctypes.util.find_library("nvrtc")


@pytest.fixture(scope="module")
def library():
    path = find_nvrtc()
    if path is None:
        pytest.skip("there is no libnvrtc: pip install nvidia-cuda-nvrtc")
    return ctypes.CDLL(path)


@pytest.fixture
def kernels(monkeypatch):
    """By header, all kernels that launchers start for some size, dtype and alignment."""
    found = set()
    monkeypatch.setattr(nvrtc, "start", lambda header, name, *rest: found.add((header, name)))
    memory = types.SimpleNamespace(data=types.SimpleNamespace(ptr=1 << 20))
    stand_in = types.SimpleNamespace(empty=lambda shape, dtype: memory)
    monkeypatch.setitem(sys.modules, "cupy", stand_in)
    seed = np.array([1, 2], np.int64)
    for name, dtype, size, pointer, of_bytes in itertools.product(
        nvrtc.LAUNCHERS, range(4), SIZES, POINTERS.values(), (False, True)
    ):
        given = {"dtype": dtype, "targets_dtype": cuda_cuts.BYTES if of_bytes else dtype}
        given |= {"rows": size[0], "cols": size[1], "size": size[0] * size[1]}
        given |= {"seed": seed.ctypes.data, "label_smoothing": 0.1, "kind": 1, "target": 0.1}
        parameters = inspect.signature(nvrtc.LAUNCHERS[name]).parameters
        nvrtc.launch(name, *(given.get(parameter, pointer) for parameter in parameters))
    by_header = collections.defaultdict(set)
    for header, name in found:
        by_header[header].add(name)
    return by_header


def compile_program(library, code, options, names):
    """NVRTC's log if it fails, else its PTX; as cupy.RawModule calls it."""
    program = ctypes.c_void_p()
    library.nvrtcCreateProgram(ctypes.byref(program), code.encode(), b"code.cu", 0, None, None)
    for name in names:
        library.nvrtcAddNameExpression(program, f"fastgen::cuda::{name}".encode())
    texts = (ctypes.c_char_p * len(options))(*(x.encode() for x in options))
    failed = library.nvrtcCompileProgram(program, len(options), texts)
    size, kind = ctypes.c_size_t(), "ProgramLog" if failed else "PTX"
    getattr(library, f"nvrtcGet{kind}Size")(program, ctypes.byref(size))
    text = ctypes.create_string_buffer(size.value)
    getattr(library, f"nvrtcGet{kind}")(program, text)
    library.nvrtcDestroyProgram(ctypes.byref(program))
    return bool(failed), text.value.decode()


@pytest.mark.parametrize(
    "architecture", ["compute_80", pytest.param("compute_90", marks=pytest.mark.slow)]
)
def test_every_kernel_compiles(library, kernels, architecture):
    include = native.library_folder() / "include"
    assert include.is_dir(), "the build copies the device code there"
    assert sum(map(len, kernels.values())) > 100
    for header, names in sorted(kernels.items()):
        code, options = nvrtc.program(header)
        failed, text = compile_program(library, code, [*options, f"-arch={architecture}"], names)
        assert not failed, f"{header}: {text}"
        assert text.count(".entry") == len(names)


def test_a_wrong_name_is_an_error(library):
    code, options = nvrtc.program("cuda/rows.cuh")
    failed, text = compile_program(library, code, options, ["no_such_kernel"])
    assert failed and "no_such_kernel" in text


def test_a_kernel_that_needs_nvcc():
    with pytest.raises(NotImplementedError, match="gan_step: on a GPU this kernel needs a fastgen"):
        nvrtc.launch("gan_step")
