"""What XLA calls on a GPU, with seeds and scalars in the device's memory; run on the CPU."""

import ctypes
import importlib.util
import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from fastgen import native
from tests.core import reference
from tests.core.cases import assert_same_bits
from tests.core.test_sigmoid_cross_entropy import inputs as cross_entropy_inputs
from tests.core.test_sigmoid_cross_entropy import targets_in
from tests.cuda import build, memory, test_gaussian_sample_kl, worker
from tests.cuda import test_sigmoid_cross_entropy as cross_entropy
from tests.cuda.cases import SEED, draw, dtypes, kl_dtype, poisoned
from tests.cuda.conftest import ON_GPU
from tests.cuda.memory import KernelError, Out

if ON_GPU or importlib.util.find_spec("tensorflow") is None:
    pytest.skip("needs TensorFlow's headers and CUDA on the CPU", allow_module_level=True)

# XLA's numbers.
CODES = {"int32": 4, "int64": 5, "uint8": 6, "float16": 10, "float32": 11, "float64": 12}
CODES["bfloat16"] = 16


@pytest.fixture(scope="module")
def handlers():
    library = build.custom_calls()
    if library is None:
        pytest.skip("this TensorFlow does not show its XLA")
    process = worker.Worker(library)
    yield process
    process.close()


@pytest.fixture
def call(handlers):
    """Calls the handler of an op: `Out` is a result, every other array an argument."""

    def call(op, *arrays):
        return handlers.run(custom_call, op, arrays)

    return call


class Described(ctypes.Structure):
    """As call.cc knows an array."""

    _fields_ = [
        *(("dtype", ctypes.c_int64), ("rank", ctypes.c_int64)),
        *(("dims", ctypes.c_void_p), ("data", ctypes.c_void_p)),
    ]


def custom_call(library, heap, op, arrays, claims=()):
    """In the worker: the results as the handler left them; claims: shapes that are not so."""
    outs = [x.array for x in arrays if isinstance(x, Out)]
    every = [*(x for x in arrays if not isinstance(x, Out)), *outs]
    places = [heap.put(x) for x in every]
    shapes = [np.array(x, np.int64) for x in claims or (x.shape for x in every)]
    described = (Described * len(every))(
        *(
            (CODES[x.dtype.name], len(shape), shape.ctypes.data, heap.pointer(place))
            for x, shape, place in zip(every, shapes, places, strict=True)
        )
    )
    counts = ctypes.c_int64(len(every) - len(outs)), ctypes.c_int64(len(outs))
    memory.run(library, "on_gpu_custom_call", None, op.encode(), *counts, described)
    return [heap.get(place, x) for place, x in zip(places[-len(outs) :], outs, strict=True)]


def words():
    return np.array(SEED, np.int64)


@dtypes
@pytest.mark.parametrize("shape", [(3, 7), (4, 16), (2, 3, 5), (0, 4), (2, 16384 + 24)], ids=str)
def test_sample_kl(call, dtype, shape):
    mean, log_var, d_z = draw(dtype, shape, shape, shape)
    (d_kl,) = draw(kl_dtype(dtype).name, shape[:-1])
    outs = Out(poisoned(shape, dtype)), Out(poisoned(shape[:-1], kl_dtype(dtype)))
    z, kl = call("FastgenGaussianSampleKl", mean, log_var, words(), *outs)
    flat = [x.reshape(-1, shape[-1]) for x in (mean, log_var, d_z)]
    test_gaussian_sample_kl.assert_forward(z.reshape(flat[0].shape), kl.ravel(), *flat[:2])
    outs = [Out(poisoned(shape, dtype)) for _ in range(2)]
    found = call("FastgenGaussianSampleKlGrad", mean, log_var, words(), d_z, d_kl, *outs)
    exact = reference.sample_kl_grad(*flat[:2], SEED, flat[2], d_kl.ravel())
    for one, other in zip(found, exact, strict=True):
        close(one.reshape(other.shape), other, dtype)


def close(ours, exact, dtype):
    rtol = {"float64": 1e-13, "float32": 2e-5, "float16": 4e-3, "bfloat16": 3e-2}[dtype]
    np.testing.assert_allclose(ours.astype("float64"), exact, rtol=rtol, atol=rtol)


@dtypes
@pytest.mark.parametrize("shape", [(1027,), (5, 8)], ids=str)
def test_sample(call, dtype, shape):
    mean, log_var = draw(dtype, shape, shape)
    (z,) = call("FastgenGaussianSample", mean, log_var, words(), Out(poisoned(shape, dtype)))
    close(z, reference.sample(mean, log_var, SEED), dtype)
    out = Out(poisoned(shape, dtype))
    (d,) = call("FastgenGaussianSampleGrad", log_var, words(), mean, out)
    close(d, reference.sample_grad(log_var, SEED, mean), dtype)


@targets_in
@dtypes
@pytest.mark.parametrize("reduction", ["none", "row", "mean"])
@pytest.mark.parametrize("shape", [(9, 16), (3, 7), (2, 1040)], ids=str)
def test_cross_entropy(call, dtype, shape, reduction, bytes_):
    targets, logits, _ = cross_entropy_inputs(dtype, shape, bytes_)
    of_loss = {"none": shape, "row": shape[:1], "mean": ()}[reduction]
    rows = {"none": (-1, 1), "row": shape, "mean": (1, -1)}[reduction]
    flat = targets.reshape(rows), logits.reshape(rows)
    smoothing, wide = np.array(0.1), kl_dtype(dtype)
    outs = Out(poisoned(of_loss, wide)), Out(poisoned(shape, dtype))
    op = "FastgenSigmoidCrossEntropy"
    loss, slope = call(op, targets, logits, smoothing, *outs)
    (alone,) = call(op, targets, logits, smoothing, outs[0])
    assert_same_bits(alone, loss)
    exact, exact_slope = reference.cross_entropy(*flat, 0.1)
    cross_entropy.assert_within(loss.ravel(), exact, cross_entropy.bounds(*flat, 0.1)[0], wide)
    (d_loss,) = draw(wide.name, of_loss)
    d = d_loss.reshape(-1, 1).astype("float64")
    (ours,) = call(f"{op}Grad", targets, logits, smoothing, d_loss, Out(poisoned(shape, dtype)))
    close(ours.reshape(exact_slope.shape), exact_slope * d, dtype)
    (ours,) = call(f"{op}FromSlopeGrad", slope, d_loss, Out(poisoned(shape, dtype)))
    close(ours.reshape(exact_slope.shape), exact_slope * d, dtype)


def like(x, **changes):
    """Zeros of the shape and dtype of x, or of others."""
    return np.zeros(changes.get("shape", x.shape), changes.get("dtype", x.dtype))


X, ROWS = np.zeros((3, 4), np.float32), np.zeros(3, np.float32)
HALF, NARROW, INTS = like(X, dtype=np.float16), like(X, shape=(3, 2)), like(X, dtype=np.int32)
NUMBER, ALL = np.array(0.1), np.array(0, np.float32)


@pytest.mark.parametrize(
    "op, arrays, message",
    [
        ("GaussianSample", (X, HALF, words(), Out(X)), "log_var must be like mean"),
        ("GaussianSample", (X, X, words(), Out(NARROW)), "z must be like mean"),
        (
            "GaussianSample",
            (X, X, np.zeros(2, np.int32), Out(X)),
            "seed must be two words of int64",
        ),
        (
            "GaussianSample",
            (X, X, np.zeros(3, np.int64), Out(X)),
            "seed must be two words of int64",
        ),
        ("GaussianSample", (INTS, INTS, words(), Out(INTS)), "dtype must be float32"),
        ("GaussianSampleGrad", (X, words(), NARROW, Out(X)), "d_z must be like log_var"),
        ("GaussianSampleKl", (X, X, words(), Out(X), Out(ROWS[:2])), "kl must be a number for"),
        ("GaussianSampleKl", (ALL, ALL, words(), Out(ALL), Out(ALL)), "must have an axis"),
        (
            "GaussianSampleKlGrad",
            (X, X, words(), X, ROWS.astype("float64"), Out(X), Out(X)),
            "d_kl must be a number for each row",
        ),
        ("SigmoidCrossEntropy", (NARROW, X, NUMBER, Out(ROWS)), "targets must have the shape"),
        ("SigmoidCrossEntropy", (HALF, X, NUMBER, Out(ROWS)), "must be uint8 or have the dtype"),
        ("SigmoidCrossEntropy", (X, X, ALL, Out(ROWS)), "label_smoothing must be a float64"),
        ("SigmoidCrossEntropy", (X, X, NUMBER, Out(ROWS[:2])), "the loss must be of the logits"),
        ("SigmoidCrossEntropy", (X, X, NUMBER, Out(ALL), Out(HALF)), "slope must be like logits"),
        ("SigmoidCrossEntropyGrad", (X, X, NUMBER, ALL, Out(HALF)), "d_logits must be like logits"),
        ("SigmoidCrossEntropyFromSlopeGrad", (X, HALF[0], Out(X)), "the loss must be of"),
        ("GaussianSample", (X, X, Out(X)), "Wrong number of arguments"),
        ("NoSuchOp", (X, Out(X)), "no handler of FastgenNoSuchOp"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_what_is_refused(call, op, arrays, message):
    with pytest.raises(KernelError, match=message):
        call(f"Fastgen{op}", *arrays)


def test_errors_of_cuda_by_name(handlers):
    arrays, many = (ROWS, ROWS, NUMBER, Out(ALL)), (2**52,)
    with pytest.raises(KernelError, match="sigmoid_cross_entropy: .* cudaErrorMemoryAllocation: "):
        handlers.run(custom_call, "FastgenSigmoidCrossEntropy", arrays, (many, many, (), ()))


def test_memory_of_a_launch_is_xlas(call, handlers):
    """Sums of pieces of a row; all of it is given back."""
    targets, logits, _ = cross_entropy_inputs("float32", (3, 8000), False)
    before = handlers.run(memory.call, "on_gpu_scratch", (Out(np.zeros(2, np.int64)),))[0]
    arrays = targets, logits, np.array(0.0), Out(poisoned((), "float32"))
    (loss,) = call("FastgenSigmoidCrossEntropy", *arrays)
    exact = reference.cross_entropy(targets.reshape(1, -1), logits.reshape(1, -1), 0.0)[0]
    np.testing.assert_allclose(loss, exact[0], rtol=1e-6)
    asked, kept = handlers.run(memory.call, "on_gpu_scratch", (Out(np.zeros(2, np.int64)),))[0]
    assert asked > before[0] and kept == 0


REGISTERED = """
import ctypes, shutil, sys
import tensorflow as tf
if len(sys.argv) > 2:
    ctypes.CDLL(sys.argv[2])
from fastgen import native
from fastgen import ops
assert native.why_no_custom_calls() is None, native.why_no_custom_calls()
"""


@pytest.fixture
def run(tmp_path):
    """Runs code in a process with TensorFlow, after what registers; its output."""
    built = native.build_info()
    if not built.get("tensorflow") or not built.get("cuda") or build.custom_calls() is None:
        pytest.skip("the libraries were built without CUDA, TensorFlow or its XLA")

    def run(code, *libraries):
        command = [sys.executable, "-c", REGISTERED + code, str(tmp_path), *map(str, libraries)]
        environment = {**os.environ, "PYTHONPATH": str(build.ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_xla_knows_every_handler_by_its_platform(run):
    """It refuses others of the same name: those of a copy of the library."""
    said = run("""
path = shutil.copy(native.library_folder() / "libfastgen_xla.so", sys.argv[1])
fault = ctypes.CDLL(path).fg_xla_fault
fault.restype = ctypes.c_char_p
print(fault().decode())
""")
    refused = set(re.findall(r"^(\w+) on (\w+): Duplicate", said, re.MULTILINE))
    parts = "GaussianSample", "GaussianSampleKl", "SigmoidCrossEntropy"
    names = [f"Fastgen{part}{suffix}" for part in parts for suffix in ("", "Grad")]
    names.append("FastgenSigmoidCrossEntropyFromSlopeGrad")
    assert refused == set(itertools.product(names, ("Host", "CUDA")))


def test_a_program_for_a_gpu_calls_the_kernels(run):
    """As TensorFlow hands it to XLA, with seeds in int64 and all that is forward and backward."""
    said = run(
        """
def gradients(mean, seed):
    with tf.GradientTape() as tape:
        tape.watch(mean)
        z, kl = ops.gaussian_sample_kl(mean, mean, seed)
        loss = ops.sigmoid_cross_entropy(tf.sigmoid(mean), z, 0.1, "row")
        loss += kl + tf.reduce_sum(ops.gaussian_sample(mean, mean, seed), -1)
    return tape.gradient(loss, mean)

run = tf.function(gradients, jit_compile=True, autograph=False)
for seed in (tf.int32, tf.int64):
    ir = run.experimental_get_compiler_ir(tf.ones([3, 4]), tf.constant([1, 2], seed))
    print(ir(stage="hlo", platform_name="GPU"))
""",
        build.xla_backend(),
    )
    calls = re.findall(r'custom-call\((.*?)\), custom_call_target="Fastgen(\w+)"', said)
    assert sorted(name for _, name in calls) == sorted(
        2
        * [
            *("GaussianSample", "GaussianSampleGrad", "GaussianSampleKl", "GaussianSampleKlGrad"),
            *("SigmoidCrossEntropy", "SigmoidCrossEntropyFromSlopeGrad"),
        ]
    )
    assert all("s64[2]" in given for given, name in calls if name.startswith("Gaussian"))
    assert "API_VERSION_TYPED_FFI" in said and "s32[2]" in said


def test_no_cuda_is_needed_to_load_it():
    library = native.library_folder() / "libfastgen_xla.so"
    if not library.exists():
        pytest.skip("the native libraries were built without XLA's custom calls")
    names = subprocess.run(
        ["nm", "-D", "--undefined-only", str(library)], capture_output=True, text=True, check=True
    ).stdout.split()
    assert [name for name in names if re.match("_*cu[dA-Z]", name)] == []
