"""Users' kernels where CUDA's driver is older than what numba.cuda makes, by its stand-in."""

import itertools
import re
import warnings

import pytest
import tensorflow as tf

from fastgen import dispatch, jit
from fastgen.jit import device_code, linker

UNSUPPORTED = r"UNSUPPORTED_PTX_VERSION \(222\): ptxas .* Unsupported .version 8.4; .* is '8.2'"

count = itertools.count()  # what was loaded once is not loaded again


@pytest.fixture(autouse=True)
def old_driver(driver, monkeypatch):
    """Of CUDA 12.2, where nvJitLink is missing, as a new process finds it."""
    if driver is None:
        pytest.skip("the driver is a GPU's own")
    monkeypatch.setenv("FASTGEN_BACKEND", "auto")
    monkeypatch.setattr(dispatch, "_said", set())
    monkeypatch.setattr(linker, "_nvjitlink", missing)
    least = device_code.of_nothing
    monkeypatch.setattr(
        device_code, "of_nothing", lambda: (least()[0], f"{least()[1]}// {next(count)}")
    )
    device_code.accepted.cache_clear()
    driver.know(newest_ptx=(8, 2), cuda=(12, 2))
    yield driver
    driver.know(newest_ptx=(99, 9), cuda=(13, 0))
    device_code.accepted.cache_clear()
    assert driver.last_launch()[2] == 0


def missing():
    raise ImportError("no nvjitlink")


def link(monkeypatch, version=(12, 9), capability="80"):
    """Let nvJitLink be there; what it makes, the stand-in reads."""
    monkeypatch.setattr(linker, "version", lambda: version)
    made = []

    def cubin(ptx, capability_asked):
        made.append(capability_asked)
        return b"\x7fELF" + ptx.replace(b"sm_80", b"sm_" + capability.encode()) + b"\0 more"

    monkeypatch.setattr(linker, "cubin", cubin)
    return made


def double(name, reference=None):
    def gradient(x, d):
        return 2 * d

    return jit.elementwise(lambda x: 2 * x, gradient=gradient, reference=reference, name=name)


def run_everywhere(gpu, *kernels):
    """Kernels with their gradients, eager and in a graph."""

    def with_gradient(x, kernel):
        with tf.device(gpu), tf.GradientTape() as tape:
            tape.watch(x)
            y = kernel(x)
        return y, tape.gradient(y, x)

    for kernel in kernels:
        for run in with_gradient, tf.function(with_gradient):
            y, d = run(tf.constant([1.0, 2.0, 3.0]), kernel)
            assert y.numpy().tolist() == [2, 4, 6] and d.numpy().tolist() == [2, 2, 2]


def warnings_of(function):
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        result = function()
    return result, [str(w.message) for w in found if "fastgen" in str(w.message)]


def launches(driver):
    return driver.counts()["cuLaunchKernel"]


@pytest.mark.parametrize("reference", [None, lambda x: 2 * x], ids=["none", "reference"])
def test_refused_before_anything_runs(gpu, old_driver, unguarded, reference):
    name, before = "referred" if reference else "alone", launches(old_driver)
    kernels = [double(f"refused_{name}_{i}", reference) for i in range(2)]
    _, (said,) = warnings_of(lambda: run_everywhere(gpu, *kernels))
    assert launches(old_driver) == before
    for kernel in kernels:
        path = dispatch.COMPOSITE if reference else dispatch.FUSED  # on the CPU
        assert dispatch.stats()[kernel.op] == {path: 2}
    assert re.search(UNSUPPORTED, said)
    assert "as stock TensorFlow ops" in said if reference else "on the CPU" in said
    assert "nvJitLink, which would make machine code of it, is missing: no nvjitlink" in said
    assert "the driver, of CUDA 12.2, refuses PTX of numba.cuda: cuModuleLoadDataEx" in said
    assert "Upgrade the driver, or let" in said
    assert "pip install 'numba-cuda[cu12]' 'nvidia-cuda-nvcc-cu12==12.2.*'" in said


def test_then_a_driver_that_accepts(gpu, old_driver, unguarded):
    kernel, x = double("accepted_later"), tf.ones([3])
    with tf.device(gpu):
        with pytest.warns(RuntimeWarning, match=UNSUPPORTED):
            assert "CPU" in kernel(x).device
        device_code.accepted.cache_clear()  # as another process has it
        old_driver.know(newest_ptx=(8, 4), cuda=(12, 4))
        before = launches(old_driver)
        y, said = warnings_of(lambda: kernel(x))
    assert "GPU" in y.device and y.numpy().tolist() == [2, 2, 2] and said == []
    assert launches(old_driver) == before + 1


def test_asked_for_by_name_it_is_an_error(gpu, monkeypatch):
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")
    with tf.device(gpu), pytest.raises(RuntimeError, match=f"cannot be had: .*{UNSUPPORTED}"):
        double("asked_for")([1.0])


def test_machine_code_by_nvjitlink(gpu, old_driver, monkeypatch, tmp_path):
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path))
    made = link(monkeypatch)
    before = launches(old_driver)
    _, said = warnings_of(lambda: run_everywhere(gpu, double("linked"), double("linked_too")))
    assert said == [] and launches(old_driver) == before + 8
    assert made == [(8, 0)] * 5  # of nothing, and of two kernels with their gradients
    assert len([*tmp_path.glob("*.cubin")]) == 5


@pytest.mark.parametrize(
    ("version", "capability", "why"),
    [
        ((13, 0), "80", "nvJitLink is of CUDA 13.0. Upgrade"),
        ((12, 9), "90", r"machine code by nvJitLink: .*NO_BINARY_FOR_GPU \(209\). Upgrade"),
    ],
)
def test_machine_code_does_not_always_help(gpu, monkeypatch, tmp_path, version, capability, why):
    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path))
    link(monkeypatch, version, capability)
    with tf.device(gpu), pytest.warns(RuntimeWarning, match=f"{UNSUPPORTED}; {why}"):
        assert "CPU" in double(f"not_helped_{capability}")(tf.ones([3])).device


def test_what_nvjitlink_says_is_told(gpu, monkeypatch, tmp_path):
    def cubin(ptx, capability):
        raise RuntimeError("nvJitLink: no such PTX")

    monkeypatch.setenv("FASTGEN_CACHE", str(tmp_path))
    link(monkeypatch)
    monkeypatch.setattr(linker, "cubin", cubin)
    with tf.device(gpu), pytest.warns(RuntimeWarning, match="nvJitLink: no such PTX. Upgrade"):
        double("unlinked")(tf.ones([3]))


@pytest.mark.parametrize("result", [2, 999], ids=["out of memory", "unknown"])
def test_other_errors_pass(gpu, old_driver, result):
    kernel = double(f"other_errors_{result}")
    with tf.device(gpu):
        old_driver.fail("cuModuleLoadDataEx", result)
        try:
            with pytest.raises(tf.errors.InternalError, match="PTX of numba.cuda: cuModuleLoad"):
                kernel([1.0])
        finally:
            old_driver.fail("cuModuleLoadDataEx", 0)
        old_driver.know(newest_ptx=(8, 4), cuda=(12, 4))
        assert kernel([1.0]).numpy().tolist() == [2]
