"""What kernels of numba.cuda are compiled to, offline, and how they come to a GPU."""

import importlib
import inspect
import re
import shutil
import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from fastgen.jit import cuda
from fastgen.jit.cuda import arguments, target

COMPILED = [("float32", (8, 0)), ("float32", (9, 0)), ("float64", (9, 0))]
# A number a unit, which must not lose 1 - q: see fastgen/jit/cuda/sparsity.py.
IN_FLOAT64 = {"penalties", "slopes"}
WITH_LOCAL_ARRAYS = {"gaussian_sample_kl", "gaussian_sample_kl_grad"}
SUMS_IN_TURN = {"gaussian_sample_kl", "means_of_rows"}
ELEMENTWISE = {"column_sums", "gradients", "losses", "means_of_rows", "sum_of_all"}
NAMES = IN_FLOAT64 | WITH_LOCAL_ARRAYS | ELEMENTWISE


def modules():
    found = [name for name in sys.modules if name.startswith("fastgen.jit.cuda.")]
    return [sys.modules[name] for name in found if hasattr(sys.modules[name], "launch")]


def run_all(dtype):
    """Every kernel, with arrays of this dtype."""
    x, row = np.ones([2, 5000], dtype), np.ones(2, dtype)
    cuda.gaussian_sample_kl(x, x, (1, 2))
    cuda.gaussian_sample_kl_grad(x, x, (1, 2), x, row)
    penalty, activity = cuda.sparsity(x, 0.5, "kl")
    cuda.sparsity_grad(x, 0.5, activity, penalty, "kl")
    for targets in x, x.astype("uint8"):
        for reduction in "none", "mean":
            loss = cuda.sigmoid_cross_entropy(targets, x, 0.1, reduction)
            cuda.sigmoid_cross_entropy_grad(targets, x, 0.1, loss, reduction)
    cuda.discriminator_gradient(x, x)


def launched(monkeypatch, dtype):
    """`{(kernel's name, dtypes of its arguments): (kernel, arguments)}`."""
    found = {}

    def record(kernel, grid, *given):
        flat = [x.reshape(-1) if isinstance(x, np.ndarray) else x for x in given]
        kinds = tuple(np.result_type(x).name for x in flat)
        found[kernel.py_func.__name__, kinds] = kernel, flat

    monkeypatch.setattr(arguments, "HOST", True)
    for module in modules():
        monkeypatch.setattr(module, "launch", record)
    run_all(dtype)
    return found


def compiled(kernel, given, capability):
    try:
        return target.ptx(kernel, given, capability)
    except Exception as error:
        if re.search("nvvm|libdevice|cudatoolkit", f"{type(error)} {error}", re.IGNORECASE):
            pytest.skip(f"nothing here makes PTX, pip install 'fastgen[cuda]' would: {error}")
        raise


@pytest.mark.parametrize("dtype, capability", COMPILED, ids=str)
def test_ptx(monkeypatch, tmp_path, dtype, capability):
    kernels = launched(monkeypatch, dtype)
    assert {name for name, _ in kernels} == NAMES
    arch = "sm_{}{}".format(*capability)
    for (name, _), (kernel, given) in kernels.items():
        code = compiled(kernel, given, capability)
        assert f".target {arch}" in code
        # Arrays in registers, everything inlined, no NumPy-like widening to float64.
        unwanted = r"\.local|\bcall\b" + (r"|\.f64" if dtype == "float32" else "")
        if name not in IN_FLOAT64:
            assert re.findall(unwanted, code) == [], name
        if name in SUMS_IN_TURN:  # one more than a sum needs: its place is written again
            assert len(re.findall(r"\bbar\.sync", code)) == 2
        if name in WITH_LOCAL_ARRAYS:
            assert re.search(r"ld\.\w+\.v[24]\.f", code) and re.search(r"st\.\w+\.v[24]\.f", code)
            assert_no_spills(code, tmp_path / f"{name}.ptx", arch)


def assert_no_spills(code, path, arch):
    if shutil.which("ptxas") is None:
        return
    path.write_text(code)
    command = ["ptxas", "-v", f"-arch={arch}", str(path), "-o", str(path.with_suffix(".cubin"))]
    done = subprocess.run(command, capture_output=True, text=True)
    if "Unsupported .version" in done.stderr:  # older than NVVM
        return
    assert "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads" in done.stderr


def test_numpy_without_row_stack(monkeypatch):
    """Both imports see it, nobody else does."""
    monkeypatch.delattr(np, "row_stack", raising=False)
    seen = {}

    def import_module(name):
        seen[name] = hasattr(np, "row_stack")
        return types.SimpleNamespace(implementation="NVIDIA")

    monkeypatch.setattr(target.importlib, "import_module", import_module)
    target._import()
    assert seen == {"numba.cuda": True, "numba.cuda.np.arrayobj": True}
    assert not hasattr(np, "row_stack")


def test_without_numba_cuda(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba.cuda", None)
    with pytest.raises(ImportError, match=r"needs numba.cuda.*pip install 'fastgen\[cuda\]'"):
        target._import()


def test_with_another_backend_of_keras(run_python):
    """TensorFlow may be installed and not be used."""
    code = """
import sys
from fastgen.jit import cuda
assert "tensorflow" not in sys.modules
try:
    from fastgen.jit import elementwise
except ImportError as error:
    print(error)
"""
    assert "fastgen.jit.elementwise runs on" in run_python(code, KERAS_BACKEND="jax")


def test_nobody_else_imports_numba_cuda():
    """So that fastgen.jit does without it."""
    ours = Path(target.__file__).parent
    pattern = re.compile(
        r"import numba\.cuda|from numba import .*cuda|from numba\.cuda|jit import cuda"
    )
    files = [path for path in ours.parents[1].rglob("*.py") if path.parent != ours]
    assert [path for path in files if pattern.search(path.read_text())] == []


def test_arrays_of_the_host_are_refused():
    with pytest.raises(ValueError, match="mean must be an array on the GPU.* of type ndarray"):
        cuda.gaussian_sample_kl(np.ones([2, 3]), np.ones([2, 3]), (1, 2))


@pytest.fixture
def numba_view(monkeypatch):
    """`strides, address → array` of Numba's that needs no GPU, also what others are viewed as."""
    from numba.cuda.cudadrv.devicearray import DeviceNDArray

    class Pointer(int):
        value = property(int)

    def make(strides, address=64):
        pointer = Pointer(address)
        memory = types.SimpleNamespace(device_ctypes_pointer=pointer, size=24, _cuda_memsize_=24)
        return DeviceNDArray((2, 3), strides, np.dtype("float32"), gpu_data=memory)

    def view(array, sync=True):
        there = array.__cuda_array_interface__
        numbas = make(there["strides"] or (12, 4), there["data"][0])
        numbas.owner, numbas.sync = array, sync
        return numbas

    monkeypatch.setattr(target, "cuda", types.SimpleNamespace(as_cuda_array=view))
    return make


def of_another_library(strides, address=64):
    there = {"shape": (2, 3), "typestr": "<f4", "data": (address, False), "strides": strides}
    return types.SimpleNamespace(shape=(2, 3), __cuda_array_interface__=there)


def test_arrays_of_other_libraries(numba_view):
    """Numba waits for their stream unless told not to; strides may say that there are no gaps."""
    for array in of_another_library(None), of_another_library((12, 4)), numba_view((12, 4)):
        (taken,) = arguments.floats("op", x=array)
        assert taken.owner is array and taken.sync


@pytest.mark.parametrize("make", ["numba_view", "of_another_library"])
@pytest.mark.parametrize("place", [((16, 4),), ((0, 4),), ((12, 4), 68)], ids=str)
def test_arrays_of_other_libraries_that_would_be_copied(numba_view, make, place):
    array = (numba_view if make == "numba_view" else of_another_library)(*place)
    with pytest.raises(ValueError, match="op: x must lie in one piece, at a multiple of 16 bytes"):
        arguments.floats("op", x=array)


def test_launches_are_flat_and_on_cupys_stream(monkeypatch):
    """And nobody waits for the stream."""

    class Array:
        shape, size = (2, 3), 6
        __cuda_array_interface__ = {"shape": (2, 3), "data": (64, False), "stream": 5}  # noqa: RUF012

    def view(interface, owner, sync):
        return interface["shape"], owner, sync

    driver = types.SimpleNamespace(external_stream=str, from_cuda_array_interface=view)
    stream = types.SimpleNamespace(ptr=5)
    cupy = types.SimpleNamespace(cuda=types.SimpleNamespace(get_current_stream=lambda: stream))
    monkeypatch.setattr(target, "cuda", driver)
    monkeypatch.setitem(sys.modules, "cupy", cupy)
    calls = {}

    class Kernel:
        def __getitem__(self, configuration):
            return lambda *given: calls.update({configuration: given})

    array = Array()
    target.launch(Kernel(), (3, (32, 4)), 7, array, np.float32(0.5))
    assert calls == {(3, (32, 4), "5"): (7, ((6,), array, False), np.float32(0.5))}


@pytest.mark.parametrize(
    "name", ["gaussian_sample_kl", "gaussian_sample_kl_grad", "sigmoid_cross_entropy", "sparsity"]
)
def test_called_as_the_ops(name):
    pytest.importorskip("tensorflow")
    op = getattr(importlib.import_module(f"fastgen.ops.{name.removesuffix('_grad')}"), name)
    assert inspect.signature(getattr(cuda, name)) == inspect.signature(op)
