"""Kernels and the process: threads, the interpreter's lock, keys, files of compiled code."""

import contextlib
import ctypes
import hashlib
import io
import threading
import time
import types

import numba
import numpy as np
import pytest
import tensorflow as tf

from fastgen import jit, native
from fastgen.jit.loops import Scalars
from fastgen.jit.registry import register_function
from tests.jit.kernels import count_up

FUNCTION = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
KEPT = []  # what is registered lives as long as the process


def raw(key, *inputs, out=("float32",)):
    return native.load_ops().fastgen_elementwise(inputs=inputs, seed=[], kernel=key, Out=list(out))


def register(key, body):
    """A function in Python in the place of compiled code."""
    KEPT.append(FUNCTION(body))
    numbers = (ctypes.c_int * 2)(tf.float32.as_datatype_enum, tf.float32.as_datatype_enum)
    register_function()(key.encode(), key.encode(), KEPT[-1], 1, 1, numbers)


def test_unknown_key():
    with pytest.raises(tf.errors.NotFoundError, match="kernel swish:12 is not registered in this"):
        raw("swish:12", tf.ones(3))


def test_dtypes_that_it_was_not_compiled_for():
    key = count_up.compiled(Scalars(("float32", "float32"))).key
    with pytest.raises(tf.errors.InvalidArgumentError, match="count_up: compiled for float, float"):
        raw(key, tf.ones(3, tf.float64), tf.ones(3, tf.float64))
    with pytest.raises(tf.errors.InvalidArgumentError, match="count_up: compiled for float, float"):
        raw(key, tf.ones(3), tf.ones(3), out=("float64",))
    with pytest.raises(tf.errors.InvalidArgumentError, match="count_up: compiled for float, float"):
        raw(key, tf.ones(3))


@pytest.mark.parametrize("wrong", [{"ranks": [0]}, {"ranks": [0, 1], "axes": [0]}, {"split": True}])
def test_attributes_that_do_not_describe_the_arrays(wrong):
    attributes = {"ranks": [0, 0], "axes": [], "sizes": [], "noise": [], **wrong}
    with pytest.raises(tf.errors.InvalidArgumentError, match="must describe the core axes"):
        native.load_ops().fastgen_array_kernel(
            inputs=[tf.ones(3)], seed=[], kernel="none", Out=["float32"], **attributes
        )


def test_a_status_is_an_error_with_the_name():
    register("failing", lambda count, inputs, outputs: 7)
    with pytest.raises(tf.errors.InternalError, match="failing: the function returned status 7"):
        raw("failing", tf.ones(3))


def test_tensorflows_threads_share_the_work():
    threads = set()

    def note(count, inputs, outputs):
        threads.add(threading.get_native_id())
        time.sleep(0.005)  # without the lock: others take tiles meanwhile
        return 0

    register("threads", note)
    raw("threads", tf.ones(2**20))
    assert len(threads) >= min(2, tf.config.threading.get_intra_op_parallelism_threads() or 2)


def longest_pause(run):
    """Of a thread that counts while `run` runs in another: as a share of the time that it takes."""
    done, taken = threading.Event(), []

    def work():
        begin = time.perf_counter()
        run()
        taken.append(time.perf_counter() - begin)
        done.set()

    thread = threading.Thread(target=work)
    longest, last = 0, time.perf_counter()  # before: `run` may hold the lock as soon as it starts
    thread.start()
    while not done.is_set():
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    thread.join()
    return longest / taken[0]


def test_the_interpreter_runs_meanwhile():
    """A single tile of half a second, beside a callback that does hold the lock as long.

    On a busy machine either may look like the other for once.
    """

    def orbit(x):
        for _ in range(20_000_000):
            x = 3.5 * x * (1 - x)
        return x

    kernel = jit.elementwise(orbit)
    step = tf.function(lambda x: kernel(x))
    x = tf.fill([4], 0.3)
    kernel.compiled(Scalars(("float32",))), step.get_concrete_function(x)
    assert any(longest_pause(lambda: step(x)) < 0.5 for _ in range(5))
    holding = ctypes.PyDLL(None).usleep  # a PyDLL keeps the lock
    register("holding", lambda count, inputs, outputs: holding(500_000) * 0)
    assert any(longest_pause(lambda: raw("holding", x)) > 0.5 for _ in range(5))


DEFINE = """
kernel = jit.elementwise(lambda x: 3 * x + 1, gradient=lambda x, d: 3 * d, name="line")
x = tf.constant([2.0])
with tf.GradientTape() as tape:
    tape.watch(x)
    y = kernel(x)
assert float(y[0]) == 7 and float(tape.gradient(y, x)[0]) == 3
"""
IMPORT = """
import sys, tensorflow as tf, fastgen.layers
print("numba" in sys.modules)
from fastgen import jit
from fastgen.jit import compilation
compilation._compile = None
"""


def test_a_second_process_finds_the_compiled_code(run_python, monkeypatch, tmp_path):
    """And does not import Numba before it needs it."""
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path))
    exec(DEFINE, {"jit": jit, "tf": tf})
    files = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
    assert len(files) == 2  # the kernel and its gradient
    assert run_python(IMPORT + DEFINE) == "False\n"
    assert files == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}


def test_what_a_module_holds_is_part_of_the_key(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path))
    module = types.ModuleType("settings")
    for factor in (2.0, 3.0):
        module.FACTOR = factor
        module.shift = numba.njit(eval(f"lambda x: x + {factor}"))
        module.lift = numba.vectorize(eval(f"lambda x: x + {factor}"))
        lift = module.lift
        kernel = jit.elementwise(lambda x: module.FACTOR * module.shift(x) + lift(x), name="held")  # noqa: B023
        assert kernel([1.0]).numpy() == factor * (1 + factor) + 1 + factor


def test_damaged_files_are_compiled_anew(monkeypatch, tmp_path):
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path))
    x = tf.constant([1.0])

    def kernel():
        return jit.elementwise(lambda x: 11 * x + 2, name="damaged")

    assert kernel()(x).numpy() == 13
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    for damage in (b"", whole[:100], whole[:-1], whole[:-9] + b"123456789"):
        path.write_bytes(damage)
        assert kernel()(x).numpy() == 13
        digest, body = path.read_bytes().split(b"\n", 1)
        assert hashlib.sha256(body).hexdigest().encode() == digest


def test_where_nothing_can_be_kept(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path / "file" / "folder"))
    assert jit.elementwise(lambda x: 13 * x, name="homeless")([1.0]).numpy() == 13


def test_without_numba(run_python):
    code = """
import sys
sys.modules["numba"] = None
import importlib.util
real = importlib.util.find_spec
importlib.util.find_spec = lambda name, *rest: None if name == "numba" else real(name, *rest)
import fastgen
try:
    fastgen.jit
except ImportError as error:
    print(error)
"""
    assert run_python(code) == "fastgen.jit needs Numba: pip install numba\n"


def test_every_element_is_written():
    x = tf.constant(np.arange(40_000.0, dtype="float32"))
    np.testing.assert_array_equal(count_up(x, 1.0), np.arange(1, 40_001))


WITHOUT_LIBRARY = """
import warnings
warnings.simplefilter("ignore")
import numpy as np, tensorflow as tf
from fastgen import jit, native
assert native.load_ops() is None
from tests.jit import kernels, test_array_kernel as arrays, test_noise as noise, test_reduce as sums

x = tf.constant([[1.0, -2.0], [0.5, 3.0]])
with tf.GradientTape() as tape:
    tape.watch(x)
    y = kernels.activation(x)
print(y.numpy().tolist(), tape.gradient(y, x).numpy().tolist())
half = kernels.activation(tf.cast(x, tf.bfloat16))
print(half.dtype.name, tf.cast(half, tf.float32).numpy().tolist())
print(noise.uniform(x, seed=(1, 2)).numpy().tolist())

dot = jit.kernel("(n),(n)->()", arrays.dot_product, gradient=arrays.scale, name="dot")
with tf.GradientTape() as tape:
    tape.watch(x)
    z = tf.function(dot)(x, tf.constant([1.0, 10.0]))
print(z.numpy().tolist(), tape.gradient(z, x).numpy().tolist())
normal = jit.kernel("(n)->(n)", arrays.normal, noise="normal", name="normal")
drawn = tf.random.stateless_normal([3, 700], (1, 2))
print(bool(np.allclose(normal(tf.zeros([3, 700]), seed=(1, 2)), drawn, atol=1e-5)))
try:
    arrays.gather(x, tf.constant([5]))
except Exception as error:
    print("gather: an index is out of bounds" in str(error))
for axis in (-1, 0, None):
    total = jit.reduce(sums.term, axis=axis, gradient=sums.d_term, name="total")
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = total(x, 1.0)
    print(y.numpy().tolist(), tape.gradient(y, x).numpy().tolist())
print(round(float(jit.sparsity(x, 0.5, "mse")), 4))
"""


def test_without_the_native_library_kernels_run_all_the_same(run_python, tmp_path):
    output = run_python(WITHOUT_LIBRARY, FASTGEN_LIB_DIR=str(tmp_path))
    with contextlib.redirect_stdout(io.StringIO()) as expected:
        exec(WITHOUT_LIBRARY.replace("assert native.load_ops() is None", ""), {})
    assert output == expected.getvalue()
    assert output.startswith("[[1.0, -0.5], [0.5, 3.0]] [[1.0, 0.25]")
