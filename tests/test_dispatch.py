"""The table of paths, and what stats, doctor, portable and the warnings make of it."""

import functools
import itertools
import logging
import operator
import types
import warnings

import keras
import pytest
import tensorflow as tf

import fastgen
from fastgen import dispatch, native, ops
from fastgen.dispatch import COMPOSITE, CUSTOM_CALL, FUSED, REFUSED, Situation, decide
from fastgen.ops import vectorize
from tests.ops.cases import OPS

# Everything that may differ, with the values that matter.
TABLE = [
    Situation(*values)
    for values in itertools.product(
        [*dispatch.KERNELS, "gaussian_kl_grad", "no_such_op"],
        [*dispatch.FLOATS, "float8_e5m2"],
        ["CPU", "GPU"],
        dispatch.BACKENDS,
        [False, True],
        [False, True],
        [None, "the native libraries have not been built"],
        [None, (1, 2**21), (1024, 2**21)],
    )
]


def obstacle(s):
    """What stands between a situation and its kernel, in the order of the design."""
    kernel = dispatch.KERNELS.get(s.op.removesuffix("_grad"))
    return (
        ("XLA" if s.xla and not (kernel and s.device in kernel.custom_call) else None)
        or ("no kernel of the name" if kernel is None else None)
        or s.missing
        or (f"no kernel for {s.dtype}" if s.dtype not in kernel.dtypes else None)
        or (f"no kernel for the {s.device}" if s.device not in kernel.devices else None)
        or ("stock ops are faster" if stock_is_faster(kernel, s) else None)
    )


def stock_is_faster(kernel, s):
    bounds = kernel.bounds(s.device)
    if s.backend != "auto" or bounds is None:
        return False
    return s.dtype in bounds.slower or (s.size and any(map(operator.lt, s.size, bounds.least)))


@pytest.mark.parametrize("asked", dispatch.BACKENDS)
def test_table(asked):
    for s in TABLE:
        if s.backend != asked:
            continue
        path, why, warn = decide(s)
        if s.portable:
            assert (path, why, warn) == (COMPOSITE, "inside fastgen.portable()", False)
        elif asked == COMPOSITE:
            assert (path, why, warn) == (COMPOSITE, "FASTGEN_BACKEND=composite", False)
        elif obstacle(s) is None:
            expected = CUSTOM_CALL if s.xla else FUSED
            assert (path, why.partition(",")[0], warn) == (expected, "kernel", False)
        else:
            assert path == (REFUSED if asked == FUSED else COMPOSITE)
            assert obstacle(s) in why
            # XLA is by choice, and fastgen.native warns of a missing library itself.
            expected = asked == "auto" and not s.xla
            expected &= "no kernel" in why
            assert warn == expected


# An update has no gradient, and no composite but Keras' own.
DIFFERENTIABLE = {name for name, kernel in dispatch.KERNELS.items() if kernel.differentiable}
# Their gradient is what arrives, or the op itself.
WITHOUT_A_GRADIENT_OP = {"gaussian_noise", "dropout"}


@pytest.mark.parametrize(
    ("rows", "units", "path"), [(1024, 512, FUSED), (1023, 512, COMPOSITE), (1024, 511, COMPOSITE)]
)
def test_dense_takes_the_faster_path(monkeypatch, rows, units, path):
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)
    layer = fastgen.layers.FusedDense(units)
    model = keras.Sequential([keras.Input([4096], batch_size=rows), layer])
    assert path_of(lambda: model(tf.ones([rows, 4096])), "dense") == {path}
    (row,) = (row for row in fastgen.doctor(model) if row["op"] == "dense")
    assert row["path"] == path
    bound = "1,024 rows" if rows < 1024 else "2,097,152 weights"
    assert row["why"] == ("kernel" if path == FUSED else f"stock ops are faster below {bound}")


@pytest.mark.parametrize("dtype", dispatch.FLOATS)
@pytest.mark.parametrize("size", [None, (1, 1), (4096, 2**24)], ids=str)
def test_what_the_cpu_has_measured_is_not_a_gpus(dtype, size):
    for op in ("dense", "dense_grad", "dense_transpose", "dense_transpose_grad"):
        choice = decide(Situation(op, dtype, "GPU", size=size))
        assert choice == (FUSED, "kernel, unmeasured on a GPU", False)


def test_kernels_are_ops():
    for name in set(dispatch.KERNELS) - DIFFERENTIABLE:
        assert callable(getattr(ops, name)) and hasattr(native.load_ops(), f"fastgen_{name}")
    for name in DIFFERENTIABLE:
        assert callable(getattr(ops, name)) and callable(getattr(ops, f"{name}_composite"))
        assert hasattr(native.load_ops(), f"fastgen_{name}")
        has_gradient_op = hasattr(native.load_ops(), f"fastgen_{name}_grad")
        assert has_gradient_op == (name not in WITHOUT_A_GRADIENT_OP)


def test_every_kernel_is_in_the_tables_of_the_tests_and_of_vectorized_map():
    assert {name for name in OPS if not name.startswith("jit.")} == DIFFERENTIABLE
    fused = DIFFERENTIABLE | {f"{name}_grad" for name in DIFFERENTIABLE - WITHOUT_A_GRADIENT_OP}
    fused |= {"sigmoid_cross_entropy_from_slope_grad"}
    types = {f"Fastgen{''.join(word.title() for word in name.split('_'))}" for name in fused}
    assert set(vectorize.COMPOSITES) == types


def kl():
    return ops.gaussian_kl([[0.0]], [[0.0]])


def path_of(function, op="gaussian_kl"):
    """The path that a call takes, by the counts of stats()."""
    before = fastgen.stats().get(op, {})
    function()
    return {path for path, n in fastgen.stats()[op].items() if n > before.get(path, 0)}


def test_stats_count_the_path(monkeypatch):
    assert path_of(kl) == {FUSED}
    monkeypatch.setenv("FASTGEN_BACKEND", "composite")
    assert path_of(kl) == {COMPOSITE}


def test_stats_count_traces_and_gradients():
    function = tf.function(lambda x: tf.gradients(ops.gaussian_kl(x, x), x))
    x = tf.zeros([1, 1])
    before = fastgen.stats().get("gaussian_kl_grad", {}).get(FUSED, 0)
    function(x), function(x)
    assert fastgen.stats()["gaussian_kl_grad"][FUSED] == before + 1


def test_unknown_backend(monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "fast")
    with pytest.raises(ValueError, match="FASTGEN_BACKEND must be one of.*Received: 'fast'"):
        kl()


def test_empty_backend_is_auto(monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "")
    assert path_of(kl) == {FUSED}


def test_portable_wins_and_ends(fused):
    with fastgen.portable():
        assert path_of(kl) == {COMPOSITE}
        with fastgen.portable():
            pass
        assert path_of(kl) == {COMPOSITE}
    assert path_of(kl) == {FUSED}


def test_xla_takes_the_composite_and_fused_raises(monkeypatch):
    def run():
        return tf.function(kl, jit_compile=True)()

    assert path_of(run) == {COMPOSITE}
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")
    with pytest.raises(RuntimeError, match="gaussian_kl: FASTGEN_BACKEND=fused.*XLA.*Received"):
        run()


@pytest.fixture
def without(monkeypatch):
    """Take kernels away; the next warning is the first."""

    def take(**kernel):
        monkeypatch.setitem(dispatch.KERNELS, "gaussian_kl", dispatch.Kernel(**kernel))
        dispatch.decide.cache_clear()
        monkeypatch.setattr(dispatch, "_said", set())

    yield take
    monkeypatch.undo()
    dispatch.decide.cache_clear()


@pytest.mark.parametrize("kernel", [{"dtypes": ("float64",)}, {"devices": ("GPU",)}], ids=str)
def test_one_warning_for_a_missing_kernel(without, kernel, monkeypatch):
    without(**kernel)
    with pytest.warns(
        RuntimeWarning, match="gaussian_kl runs as stock .*: no kernel for"
    ) as caught:
        kl(), kl()
    assert len(caught) == 1
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")
    with pytest.raises(
        RuntimeError, match=r"gaussian_kl: .*no kernel for.*Received: dtype=float32"
    ):
        kl()


def test_without_the_library(monkeypatch):
    monkeypatch.setattr(dispatch, "_missing_library", lambda: "not built")
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # fastgen.native has warned
        assert path_of(kl) == {COMPOSITE}
    assert {row["why"] for row in fastgen.doctor()} == {"not built"}


def test_device(monkeypatch):
    assert dispatch.device_type() == "CPU"
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["a GPU"])
    assert dispatch.device_type() == "GPU"
    with tf.device("CPU:0"):
        assert dispatch.device_type() == "CPU"
    found = []

    @functools.partial(tf.function, autograph=False)
    def trace():
        found.append(dispatch.device_type())
        with tf.device("CPU:0"):
            found.append(dispatch.device_type())
            with tf.device("GPU:0"):
                found.append(dispatch.device_type())

    trace()
    assert found == ["GPU", "CPU", "GPU"]


def test_a_gpu_that_kernels_do_not_run_on(monkeypatch):
    """TensorFlow may start one that is too old for the library, or whose driver is."""
    gpus = [types.SimpleNamespace(capability=(7, 5))]
    details = lambda gpu: {"compute_capability": gpu.capability}  # noqa: E731
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", details)
    monkeypatch.setattr(native, "build_info", lambda: {"cuda": ["80", "90"]})
    monkeypatch.setattr(native, "_driver_release", lambda: (13, 0))
    monkeypatch.setattr(dispatch, "_missing_cuda", dispatch._missing_cuda.__wrapped__)
    for count, why in [(1, "Received: sm_75"), (0, "sees no GPU")]:
        core = types.SimpleNamespace(fg_cuda_device_count=lambda: count)  # noqa: B023
        monkeypatch.setattr(native, "core_library", lambda: core)  # noqa: B023
        found = dispatch.choose("gaussian_kl", "float32")
        assert found.path == COMPOSITE and why in found.why and found.warn
    monkeypatch.setattr(dispatch, "_said", set())
    with pytest.warns(RuntimeWarning, match="gaussian_kl runs as stock TensorFlow ops: not comp"):
        assert path_of(kl) == {COMPOSITE}


@pytest.mark.parametrize("graph", [False, True])
def test_gradients_take_the_path_of_their_op(monkeypatch, graph):
    """Where there is a GPU, and the op alone was placed on the CPU."""

    def gradient():
        x = tf.ones([1, 1])
        with tf.GradientTape() as tape:
            tape.watch(x)
            with tf.device("CPU:0"):
                out = ops.gaussian_kl(x, x)
        return tape.gradient(out, x)

    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: ["a GPU"])
    run = tf.function(gradient, autograph=False) if graph else gradient
    assert path_of(run, "gaussian_kl_grad") == {FUSED}


def small_vae():
    inputs = keras.Input([4])
    mean, log_var = keras.layers.Dense(2)(inputs), keras.layers.Dense(2)(inputs)
    z = fastgen.layers.GaussianLatent(name="latent")([mean, log_var])
    return keras.Model(inputs, keras.layers.Dense(4)(z))


def test_a_layer_inside_xla_says_so_once(monkeypatch, caplog):
    monkeypatch.setattr(dispatch, "_said", set())
    model = keras.Sequential([keras.Input([4]), fastgen.layers.Corruption("dropout", 0.5)])
    x = tf.zeros([2, 4])
    with caplog.at_level(logging.WARNING, logger="fastgen"):
        model(x, training=True)
        tf.function(model)(x, training=True)
        tf.function(small_vae(), jit_compile=True)(x)  # XLA calls its kernel
        assert not caplog.messages
        for _ in range(2):
            tf.function(model, jit_compile=True)(x, training=True)
    (message,) = caplog.messages
    assert "Corruption" in message and "compile(jit_compile=False)" in message
