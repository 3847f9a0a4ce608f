"""The module around the kernels: docs, threads, and callers on several threads."""

import doctest
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.core.cases import SEED, core, draw
from tests.tolerances import SAME_FORMULA

FUNCTIONS = [name for name in dir(core) if not name.startswith("_")]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_documented_with_an_example_that_runs(name):
    function = getattr(core, name)
    for section in ("Example:", "Returns:" if not name.startswith("set_") else "Args:"):
        assert section in function.__doc__
    before = core.threads()
    test = doctest.DocTestParser().get_doctest(
        function.__doc__, {f: getattr(core, f) for f in FUNCTIONS}, name, None, None
    )
    assert test.examples
    assert doctest.DocTestRunner().run(test).failed == 0
    core.set_threads(before)


def test_callers_on_several_threads(isa, threads):
    """Kernels run without the GIL: calls at once share the pool and do not mix."""
    mean, log_var = draw("float32", (4000, 64), (4000, 64))
    core.set_threads(3)
    expected = [core.gaussian_sample_kl(mean, log_var, (i, i)) for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(5):
            calls = pool.map(lambda i: core.gaussian_sample_kl(mean, log_var, (i, i)), range(8))
            for (z, kl), (expected_z, expected_kl) in zip(calls, expected, strict=True):
                np.testing.assert_array_equal(z, expected_z)
                np.testing.assert_array_equal(kl, expected_kl)


def test_resizing_while_kernels_run(threads):
    mean, log_var = draw("float32", 300_000, 300_000)
    expected = core.gaussian_sample(mean, log_var, SEED)
    with ThreadPoolExecutor(2) as pool:
        calls = [pool.submit(core.gaussian_sample, mean, log_var, SEED) for _ in range(20)]
        for n in (1, 4, 2, 8, 3) * 4:
            core.set_threads(n)
        for call in calls:
            np.testing.assert_array_equal(call.result(), expected)
    assert core.threads() == 3


def test_a_forked_child_has_threads_of_its_own(threads):
    mean, log_var = draw("float32", 300_000, 300_000)
    core.set_threads(3)
    expected = core.gaussian_sample(mean, log_var, SEED)
    child = os.fork()
    if not child:
        # Nothing of pytest may run here: not even a failed assert.
        same = np.array_equal(core.gaussian_sample(mean, log_var, SEED), expected)
        os._exit(0 if same and core.threads() == 3 else 1)
    deadline = time.monotonic() + 60
    done, status = os.waitpid(child, os.WNOHANG)
    while not done and time.monotonic() < deadline:
        time.sleep(0.01)
        done, status = os.waitpid(child, os.WNOHANG)
    if not done:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    assert done and status == 0


def test_isa_is_chosen_by_name():
    before = core.isa()
    for name in core.isas():
        core.set_isa(name)
        assert core.isa() == name
    core.set_isa(before)


def test_rooflines(isa, threads):
    b, c = draw("float32", 100_003, 100_003)
    a = np.full_like(b, np.nan)
    for n in threads:
        core.set_threads(n)
        assert core.triad(a, b, c, 3.0) is a
        np.testing.assert_allclose(a, b + 3.0 * c, rtol=SAME_FORMULA, atol=SAME_FORMULA)
    one = core.fma_peak(1, 1000)
    assert one > 0 and core.fma_peak(5, 1000) == 5 * one and core.fma_peak(0, 5) == 0
