"""Products by cuBLASLt, found at run time: here one that multiplies on the CPU."""

import ctypes

import numpy as np
import pytest

from tests.core.cases import assert_same_bits, assert_within
from tests.core.dense_layer import activation_of
from tests.core.reference import wide
from tests.cuda import build, memory, worker
from tests.cuda.cases import CODES, shifted
from tests.cuda.conftest import ON_GPU
from tests.cuda.dense_layer import STRICT, TF32, WAYS, CudaLayer
from tests.cuda.memory import KernelError

pytestmark = pytest.mark.skipif(ON_GPU, reason="on a GPU, stage 1 of the lab has the real one")
layers = pytest.mark.parametrize("name", ["dense", "dense_transpose"])
ways = pytest.mark.parametrize(("dtype", "precision"), WAYS)


def products(library, memory):
    """How many the library has multiplied."""
    function = ctypes.CDLL("libcublasLt.so.13").on_cpu_products
    function.restype = ctypes.c_int64
    return function()


def prefers(library, memory, *sizes):
    """Whether it would multiply these."""
    return bool(library.on_cpu_prefers_cublas(*map(ctypes.c_int64, sizes)))


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

    def prefers(self, dtype, rows, cols, depth, precision=STRICT, activated=False):
        return self._worker.run(prefers, CODES[dtype], rows, cols, depth, precision, activated)


@pytest.fixture(scope="module")
def processes(cuda):
    """By what FASTGEN_CUBLAS is there: "0", "1", "1" without a library to find, nothing."""
    library, made = build.sanitized(), {}
    for wish, path in [("0", True), ("1", True), ("1 alone", False), ("", True)]:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FASTGEN_CUBLAS", wish[:1])
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


def test_z_that_no_activation_follows(processes):
    layer = CudaLayer(processes["1"].call, "dense")
    x, kernel, bias, _ = layer.make("float32", 20, 36, 24)
    y, z = layer.forward(x, kernel, bias, "linear", with_z=True)
    assert_same_bits(y, z), assert_same_bits(y, layer.forward(x, kernel, bias))


@layers
def test_float32_is_rounded_for_tensor_cores_alone(processes, name):
    numbers = np.random.default_rng(0).standard_normal((40, 1)).astype("float32")
    bits = numbers.view(np.uint32) + np.uint32(0x1000)
    rounded = (bits & ~np.uint32(0x1FFF)).view(np.float32)
    one = np.ones((1, 1), "float32")
    for precision, factors in [(STRICT, numbers), (TF32, rounded)]:
        layer = CudaLayer(processes["1"].call, name, precision)
        before = processes["1"].products()
        np.testing.assert_array_equal(layer.forward(numbers, one, None), factors)
        d_x = layer.backward(np.ones_like(numbers), one, numbers, numbers)[0]
        np.testing.assert_array_equal(d_x, factors)
        assert processes["1"].products() == before + 3


def test_large_products_are_left_to_it(processes):
    """Those of 2^30 multiply-adds, as deep as its header says; of 0 numbers none, ever."""
    alone = processes[""]
    large = "float32", 4096, 1024, 256
    assert alone.prefers(*large) and not alone.prefers("float32", 4096, 1023, 256)
    assert alone.prefers("float32", 65536, 128, 128)
    assert not alone.prefers("float32", 2**17, 128, 127)
    for dtype, precision in WAYS:
        least = 256 if (dtype, precision) in [("float32", STRICT), ("float64", STRICT)] else 768
        deep = dtype, 8192, 1024
        assert alone.prefers(*deep, least, precision, True)
        assert not alone.prefers(*deep, least - 1, precision, True)
        assert alone.prefers(*deep, 128, precision)
    assert not alone.prefers("float32", 255, 2**16, 2**16)
    assert not alone.prefers("float32", 2**16, 63, 2**16)
    for sizes in [(0, 64, 64), (64, 0, 64), (64, 64, 0)]:
        assert not processes["1"].prefers("float32", *sizes)
    assert processes["1"].prefers("float32", 1, 1, 1)
    assert not processes["0"].prefers(*large)


def test_small_products_are_ours(processes):
    layer = CudaLayer(processes[""].call, "dense")
    x, kernel, bias, _ = layer.make("float32", 20, 36, 24)
    layer.forward(x, kernel, bias)
    assert processes[""].products() == 0


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
