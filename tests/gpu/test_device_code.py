"""How the code of users' kernels comes to a GPU, by the driver's stand-in."""

import pytest
import tensorflow as tf

from fastgen import dispatch, jit, native
from fastgen.jit import device_code


@pytest.fixture(autouse=True)
def stand_in(driver):
    if driver is None:
        pytest.skip("the driver is a GPU's own")
    yield driver
    assert driver.last_launch()[2] == 0  # contexts that are still pushed


def double(name):
    return jit.elementwise(lambda x: 2 * x, name=name)


def test_a_module_is_loaded_once(gpu, driver):
    assert device_code.accepted() == device_code.Accepted()  # which loads one
    kernel = double("once")
    before = driver.counts()
    with tf.device(gpu):
        for _ in range(3):
            assert kernel(tf.ones([300])).numpy().tolist() == [2] * 300
    now = driver.counts()
    grown = {name: now[name] - before[name] for name in now}
    assert grown == {"cuModuleLoadDataEx": 1, "cuModuleUnload": 0, "cuLaunchKernel": 3}
    assert driver.last_launch()[:2] == (2, 256)


def test_nothing_is_launched_for_nothing(gpu, driver):
    before = driver.counts()["cuLaunchKernel"]
    with tf.device(gpu):
        assert double("nothing")(tf.ones([0, 3])).shape == (0, 3)
    assert driver.counts()["cuLaunchKernel"] == before


@pytest.mark.parametrize(
    ("function", "result", "message"),
    [
        ("cuStreamGetCtx", 400, r"cuStreamGetCtx failed: CUDA_ERROR_INVALID_HANDLE \(400\)"),
        ("cuCtxPushCurrent", 201, "cuCtxPushCurrent failed: CUDA_ERROR_INVALID_CONTEXT"),
        ("cuModuleLoadDataEx", 2, "cuModuleLoadDataEx failed: CUDA_ERROR_OUT_OF_MEMORY"),
        ("cuModuleGetFunction", 500, "cuModuleGetFunction failed: CUDA_ERROR_NOT_FOUND"),
        ("cuLaunchKernel", 701, "cuLaunchKernel failed: CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"),
        ("cuLaunchKernel", 12345, r"cuLaunchKernel failed: an error without a name \(12345\)"),
    ],
)
def test_errors_of_the_driver_have_names_and_pass(gpu, driver, function, result, message):
    kernel = double(f"failing_{function}_{result}")
    before = driver.counts()
    with tf.device(gpu):
        driver.fail(function, result)
        try:
            with pytest.raises(tf.errors.InternalError, match=f"{kernel.__name__}: {message}"):
                kernel([1.0, 2.0])
        finally:
            driver.fail(function, 0)
        assert driver.last_launch()[2] == 0
        assert kernel([1.0, 2.0]).numpy().tolist() == [2, 4]
    unloaded = driver.counts()["cuModuleUnload"] - before["cuModuleUnload"]
    assert unloaded == (function == "cuModuleGetFunction")


def test_what_the_driver_says_of_ptx_is_told(gpu, monkeypatch):
    made = device_code.code_of
    monkeypatch.setattr(device_code, "code_of", lambda *given: (made(*given)[0], "no PTX"))
    said = "driver refuses no_ptx: cuModuleLoadDataEx .*INVALID_PTX .218.: neither .version nor"
    with tf.device(gpu), pytest.raises(ValueError, match=said):
        double("no_ptx")([1.0])


def test_what_was_compiled_for_the_cpu_alone_is_refused(gpu):
    kernel = double("on_the_cpu")
    with tf.device("/CPU:0"):
        kernel([1.0])
    (compiled,) = kernel._calls.values()
    op = native.load_ops().fastgen_elementwise
    with tf.device(gpu), pytest.raises(tf.errors.NotFoundError, match="has no code for GPUs in"):
        op(inputs=[tf.ones(3)], seed=[], kernel=compiled.key, Out=compiled.outputs)


def test_without_a_compiler_the_reference_runs_or_the_cpu(gpu, monkeypatch, unguarded):
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    monkeypatch.setattr(device_code, "_missing_compiler", lambda: "pip install it")
    alone = double("alone")
    referred = jit.elementwise(lambda x: 2 * x, reference=lambda x: 2 * x, name="referred")
    with tf.device(gpu):
        x = tf.ones([3])
        with pytest.warns(RuntimeWarning, match="jit.alone runs on the CPU, .*: pip install it"):
            y = alone(x)
        assert "CPU" in y.device and y.numpy().tolist() == [2, 2, 2]
        with pytest.warns(RuntimeWarning, match="jit.referred runs as stock .*: pip install it"):
            y = referred(x)
        assert y.numpy().tolist() == [2, 2, 2]
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")
    with tf.device(gpu), pytest.raises(RuntimeError, match="cannot be had: .*pip install it"):
        alone(x)


def test_what_numba_compiles_for_the_cpu_alone_runs_there(gpu, monkeypatch):
    def refuse(compiled, function, fastmath):
        raise device_code.NotForGpusError(f"{compiled.kernel.__name__}: no exp there")

    monkeypatch.setattr(device_code, "code_of", refuse)
    kernel = jit.elementwise(lambda x: 2 * x, gradient=lambda x, d: 2 * d, name="cpu_only")
    with tf.device(gpu):
        with pytest.raises(ValueError, match="cpu_only: no exp there"):
            kernel([1.0])
        monkeypatch.setenv("FASTGEN_BACKEND", "auto")
        x = tf.constant([1.0, 2.0])
        with (
            tf.GradientTape() as tape,
            pytest.warns(RuntimeWarning, match="jit.cpu_only runs on the CPU: cpu_only: no exp th"),
        ):
            tape.watch(x)
            y = kernel(x)
        assert "CPU" in y.device and y.numpy().tolist() == [2, 4]
        assert tape.gradient(y, x).numpy().tolist() == [2, 2]
        both = tf.vectorized_map(lambda x: kernel(x), tf.constant([[1.0, 2.0], [3.0, 4.0]]))
        assert both.numpy().tolist() == [[2, 4], [6, 8]]


def test_or_as_its_reference(gpu, monkeypatch, unguarded):
    def refuse(compiled, function, fastmath):
        raise device_code.NotForGpusError("no exp there")

    monkeypatch.setattr(device_code, "code_of", refuse)
    kernel = jit.elementwise(lambda x: 2 * x, reference=lambda x: 3 * x, name="with_reference")
    with tf.device(gpu):
        with pytest.raises(ValueError, match="no exp there"):
            kernel([1.0])
        monkeypatch.setenv("FASTGEN_BACKEND", "auto")
        with pytest.warns(RuntimeWarning, match="with_reference runs as stock .*: no exp there"):
            y = kernel([1.0])
        assert y.numpy().tolist() == [3]
        assert dispatch.stats()["jit.with_reference"] == {"fused": 1, "composite": 1}
