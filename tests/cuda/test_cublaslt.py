"""Products by cuBLASLt, found at run time: here one that multiplies on the CPU."""

import ctypes

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, assert_within
from tests.core.dense_layer import activation_of
from tests.core.reference import wide
from tests.cuda import build, memory, worker
from tests.cuda.cases import shifted
from tests.cuda.conftest import ON_GPU
from tests.cuda.dense_layer import WAYS, CudaLayer
from tests.cuda.memory import KernelError

pytestmark = pytest.mark.skipif(ON_GPU, reason="on a GPU, stage 1 of the lab has the real one")
layers = pytest.mark.parametrize("name", ["dense", "dense_transpose"])
ways = pytest.mark.parametrize(("dtype", "precision"), WAYS)


def products(library, memory):
    """How many the library has multiplied."""
    function = ctypes.CDLL("libcublasLt.so.13").on_cpu_products
    function.restype = ctypes.c_int64
    return function()


class Process:
    """A worker with an environment of its own."""

    def __init__(self, library):
        self._worker = worker.Worker(library)
        self.close = self._worker.close

    def call(self, function, *arguments):
        results = self._worker.run(memory.call, function, arguments)
        return results[0] if len(results) == 1 else results

    def products(self):
        return self._worker.run(products)


@pytest.fixture(scope="module")
def processes(cuda):
    """By what FASTGEN_CUBLAS is there: "0", "1", and "1" without a library to find."""
    library, made = build.sanitized(), {}
    for wish, path in [("0", True), ("1", True), ("1 alone", False)]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FASTGEN_CUBLAS", wish[0])
            patch.setenv("LD_LIBRARY_PATH", str(build.cublaslt()) if path else "")
            made[wish] = Process(library)
            if path:
                made[wish].products()
            else:
                made[wish].call("fg_cuda_dense", 0, 0, 0, 0, 0, 0, *[None] * 5)
    yield made
    for process in made.values():
        process.close()


@layers
@ways
def test_products_err_as_ours(processes, name, dtype, precision):
    process = processes["1"]
    layer = CudaLayer(process.call, name, precision)
    x, kernel, bias, d_y = layer.make(dtype, 20, 36, 24)
    before = process.products()
    y = layer.forward(x, kernel, bias)
    assert process.products() == before + 1
    assert_within(y, layer.affine(x, kernel, bias), layer.affine_bounds(x, kernel, bias), dtype)
    d_x, d_kernel, d_bias = layer.backward(x, kernel, y, d_y)
    assert process.products() == before + 3
    exact = layer.gradients(x, kernel, d_y)
    assert_within(d_x, exact[0], layer.bounds(dtype, d_y, layer.flat(kernel).T), dtype)
    weights = layer.bounds(dtype, np.asarray(x).T, d_y)
    assert_within(d_kernel, exact[1], layer.flat(weights), dtype)
    assert d_bias.shape == bias.shape


@ways
@pytest.mark.parametrize("with_z", [False, True])
def test_an_activation_follows_in_memory(processes, dtype, precision, with_z):
    layer = CudaLayer(processes["1"].call, "dense_transpose", precision)
    x, kernel, bias, _ = layer.make(dtype, 20, 36, 24)
    plain = layer.forward(x, kernel, bias)
    found = layer.forward(x, kernel, bias, "sigmoid", with_z)
    y = found[0] if with_z else found
    error = 1e-14 if dtype == "float64" else 1e-6 if dtype == "float32" else 4e-3
    np.testing.assert_allclose(*wide(y, activation_of("sigmoid", plain)), rtol=0, atol=error)
    if with_z:
        assert_same_bits(found[1], plain)
    assert np.isfinite(wide(layer.forward(x, kernel, None, "relu"))[0]).all()


def test_ours_where_it_has_nothing(processes):
    process = processes["1"]
    layer = CudaLayer(process.call, "dense_transpose", place=shifted)
    x, kernel, bias, _ = layer.make("bfloat16", 20, 36, 24)
    before = process.products()
    y = layer.forward(x, kernel, bias)
    assert process.products() == before
    assert_within(
        y, layer.affine(x, kernel, bias), layer.affine_bounds(x, kernel, bias), "bfloat16"
    )


def test_what_the_environment_forbids(processes):
    layer = CudaLayer(processes["0"].call, "dense_transpose")
    x, kernel, bias, _ = layer.make("float32", 20, 36, 24)
    layer.forward(x, kernel, bias)
    assert processes["0"].products() == 0


def is_installed():
    for version in (11, 12, 13):
        try:
            return ctypes.CDLL(f"libcublasLt.so.{version}")
        except OSError:
            continue
    return None


@pytest.mark.skipif(is_installed() is not None, reason="a libcublasLt is installed")
def test_what_the_environment_demands_in_vain(processes):
    layer = CudaLayer(processes["1 alone"].call, "dense_transpose")
    x, kernel, bias, _ = layer.make("float32", 20, 36, 24)
    with pytest.raises(KernelError, match="dense_transpose: .*there is no libcublasLt"):
        layer.forward(x, kernel, bias)
