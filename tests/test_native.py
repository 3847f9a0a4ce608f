"""Libraries that are missing or do not fit: one warning, right results. And no TensorFlow."""

import functools
import json
import os
import re
import shutil
import subprocess
import sys
import textwrap
import types
import warnings
from pathlib import Path

import pytest

from fastgen import native
from tests.tolerances import assert_close

ROOT = Path(__file__).resolve().parent.parent
LIB = ROOT / "fastgen" / "lib"

needs_build = pytest.mark.skipif(
    not (LIB / "libfastgen_tf.so").exists(), reason="the native libraries have not been built"
)


def run_python(code, *flags, **environment):
    """Runs `code` in a fresh interpreter at the root of the checkout."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("FASTGEN_", "KERAS_"))}
    return subprocess.run(
        [sys.executable, *flags, "-c", textwrap.dedent(code)],
        cwd=ROOT,
        env={**kept, "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture
def fresh(monkeypatch):
    """`native` as in a process that has loaded nothing yet; restored afterwards."""
    import fastgen.ops  # noqa: F401  a second copy of good libraries would register its ops twice
    from fastgen import dispatch

    cached = {native: ["core_library", "_ops_or_reason", "_warn_of_an_old_library"]}
    cached[dispatch] = ["_missing_library", "_missing_op"]
    for module, name in ((module, name) for module, names in cached.items() for name in names):
        function = getattr(module, name).__wrapped__
        monkeypatch.setattr(module, name, functools.cache(function))
    monkeypatch.delenv("FASTGEN_BACKEND", raising=False)


@pytest.fixture
def libraries(fresh, monkeypatch, tmp_path):
    """A copy of fastgen/lib to spoil, in place of the real one."""
    folder = tmp_path / "lib"
    shutil.copytree(LIB, folder)
    monkeypatch.setenv("FASTGEN_LIB_DIR", str(folder))
    return folder


def set_info(folder, **changes):
    path = folder / "build.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def truncate(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def rename_symbol(path, old, new):
    """As if the library had been built against one that had the function `new`."""
    assert len(old) == len(new)
    path.write_bytes(path.read_bytes().replace(old + b"\0", new + b"\0"))


SPOILERS = {
    "no folder": (shutil.rmtree, "not been built"),
    "no build.json": (lambda lib: (lib / "build.json").unlink(), "not been built"),
    "bad build.json": (lambda lib: (lib / "build.json").write_text("{"), "cannot be read"),
    "other ABI": (lambda lib: set_info(lib, abi=native.ABI + 1), "ha(s|ve) ABI"),
    "other TensorFlow": (lambda lib: set_info(lib, tensorflow="2.20.1"), "for TensorFlow 2.20.1"),
    "without TensorFlow": (lambda lib: set_info(lib, tensorflow=None), "without TensorFlow"),
    "no core": (lambda lib: (lib / "libfastgen_core.so").unlink(), "No such file"),
    "no ops": (lambda lib: (lib / "libfastgen_tf.so").unlink(), "No such file"),
    "truncated core": (lambda lib: truncate(lib / "libfastgen_core.so"), "truncated"),
    "truncated ops": (lambda lib: truncate(lib / "libfastgen_tf.so"), "truncated"),
    "text": (lambda lib: (lib / "libfastgen_tf.so").write_text("-"), "not a 64-bit ELF"),
    "undefined symbol": (
        lambda lib: rename_symbol(lib / "libfastgen_tf.so", b"fg_gaussian_kl", b"fg_gaussian_qq"),
        "undefined symbol",
    ),
}


def assert_composites_are_right():
    import tensorflow as tf

    import fastgen

    before = fastgen.stats().get("gaussian_sample_kl", {})
    mean, log_var = tf.random.stateless_normal([2, 7, 5], [1, 2])
    z, kl = fastgen.ops.gaussian_sample_kl(mean, log_var, [3, 4])
    noise = tf.random.stateless_normal([7, 5], [3, 4])
    assert_close(z, mean + tf.exp(log_var / 2) * noise, "float32")
    terms = 1 + log_var - tf.exp(log_var) - mean**2
    assert_close(kl, -tf.reduce_sum(terms, -1) / 2, "float32")
    after = fastgen.stats()["gaussian_sample_kl"]
    assert after["composite"] == before.get("composite", 0) + 1
    assert after.get("fused", 0) == before.get("fused", 0)


@needs_build
@pytest.mark.parametrize("spoil, reason", SPOILERS.values(), ids=SPOILERS.keys())
def test_unfit_libraries_warn_once_and_composites_are_right(libraries, spoil, reason):
    spoil(libraries)
    with pytest.warns(RuntimeWarning, match=reason) as caught:
        assert native.load_ops() is None
    (warning,) = caught
    assert native.rebuild_command() in str(warning.message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert native.load_ops() is None
        assert_composites_are_right()
    assert native.status()["ops"] == "unfit"
    assert re.search(reason, native.status()["why"])


@needs_build
def test_a_library_that_is_older_than_an_op_warns_once(fresh, monkeypatch):
    import fastgen

    absent = ("fastgen_gaussian_kl", "fastgen_gaussian_sample_kl")
    old = {name: op for name, op in vars(native.load_ops()).items() if name not in absent}
    monkeypatch.setattr(native, "_load_ops", lambda: types.SimpleNamespace(**old))
    native._ops_or_reason.cache_clear()
    with pytest.warns(RuntimeWarning, match="older than this fastgen and lacks") as caught:
        rows = {(row["op"], row["dtype"]): row for row in fastgen.doctor()}
        assert_composites_are_right()
        assert fastgen.ops.gaussian_kl([[0.0]], [[0.0]]).numpy() == [0]
    (warning,) = caught
    assert native.rebuild_command() in str(warning.message)
    row = rows["gaussian_kl", "float32"]
    assert (row["path"], row["why"]) == ("composite", "the op library is older than the op")
    assert rows["gaussian_sample", "float32"]["path"] == "fused"


@needs_build
def test_a_user_without_the_libraries_gets_one_warning_and_right_results(tmp_path):
    code = """
        import sys
        sys.path.insert(0, ".")
        import fastgen
        from tests.test_native import assert_composites_are_right
        layer = fastgen.layers.GaussianLatent()
        assert_composites_are_right()
        assert_composites_are_right()
        print("right")
    """
    done = run_python(code, "-Walways", FASTGEN_LIB_DIR=str(tmp_path))
    assert done.stdout.strip() == "right", done.stderr
    assert done.stderr.count("fastgen takes its composite paths") == 1, done.stderr


def test_demanding_the_fused_path_without_libraries_raises(fresh, monkeypatch, tmp_path):
    import fastgen

    monkeypatch.setenv("FASTGEN_LIB_DIR", str(tmp_path))
    monkeypatch.setenv("FASTGEN_BACKEND", "fused")
    with (
        pytest.warns(RuntimeWarning, match="composite"),
        pytest.raises(RuntimeError, match="built"),
    ):
        fastgen.ops.gaussian_kl([[0.0]], [[0.0]])


@needs_build
def test_fitting_libraries_load_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert hasattr(native.load_ops(), "fastgen_gaussian_sample_kl")
    status = native.status()
    assert (status["core"], status["ops"], status["why"]) == ("loaded", "loaded", None)
    assert status["built"]["abi"] == native.ABI
    assert status["isa"] in status["isas"]
    assert set(status["isas"]) <= set(status["built"]["isas"])


@needs_build
def test_a_truncated_library_does_not_kill_the_process(tmp_path):
    """Mapped by dlopen, such a file ends the process with SIGBUS: it must be seen beforehand."""
    shutil.copytree(LIB, tmp_path, dirs_exist_ok=True)
    truncate(tmp_path / "libfastgen_core.so")
    code = "from fastgen import native; print(native.status()['why'])"
    done = run_python(code, FASTGEN_LIB_DIR=str(tmp_path))
    assert done.returncode == 0
    assert "truncated" in done.stdout


@needs_build
@pytest.mark.parametrize("statement", ["fastgen.core", "from fastgen import core"])
def test_core_without_its_library_says_how_to_build_it(tmp_path, statement):
    shutil.copytree(LIB.parent, tmp_path / "fastgen", ignore=shutil.ignore_patterns("lib"))
    start = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import fastgen; "
    done = run_python(start + statement)
    error = done.stderr.splitlines()[-1]
    assert error.startswith("ImportError: fastgen.core does not load: libfastgen_core.so")
    assert "Build it: pip install" in error


@pytest.mark.parametrize(
    ("built", "count", "capabilities", "why"),
    [
        ([], 1, [(9, 0)], "without CUDA"),
        (["80", "90"], 0, [], "sees no GPU"),
        (["80", "90"], 1, [], None),  # of a device that does not say
        (["80", "90"], 2, [(8, 0), (8, 9)], None),  # machine code of the same major
        (["80", "90"], 1, [(12, 0)], None),  # by PTX
        (["80", "90"], 2, [(9, 0), (7, 5)], "built for sm_80, sm_90. Received: sm_75"),
        (["90a"], 1, [(9, 0)], None),
        (["90a"], 1, [(10, 0)], "built for sm_90a. Received: sm_100"),
        (["86", "90a"], 1, [(8, 0)], "Received: sm_80"),
    ],
)
def test_gpus_that_kernels_run_on(monkeypatch, built, count, capabilities, why):
    core = types.SimpleNamespace(fg_cuda_device_count=lambda: count)
    monkeypatch.setattr(native, "build_info", lambda: {"cuda": built})
    monkeypatch.setattr(native, "core_library", lambda: core)
    monkeypatch.setattr(native, "_driver_release", lambda: (13, 0))
    found = native.why_no_gpu(capabilities)
    assert found is None if why is None else why in found


@pytest.mark.parametrize(
    ("driver", "built", "why"),
    [
        (None, "13.0", "there is no CUDA driver"),
        (0, "13.0", "there is no CUDA driver"),  # but the toolkit's stand-in for one
        (
            12090,
            "13.0",
            "the driver is of CUDA 12.9, too old for the library, which is of CUDA 13.0",
        ),
        (13000, "13.2", "the library's CUDA sees no GPU"),
        (13010, "12.8", "the library's CUDA sees no GPU"),
        (12090, None, "the library's CUDA sees no GPU"),  # built before it was recorded
    ],
)
def test_why_cuda_sees_no_gpu(monkeypatch, driver, built, why):
    def load(name):
        assert name == "libcuda.so.1"
        if driver is None:
            raise OSError("cannot open shared object file")

        def answer(to):
            to._obj.value = driver
            return 0 if driver else 34  # CUDA_ERROR_STUB_LIBRARY

        return types.SimpleNamespace(cuDriverGetVersion=answer)

    monkeypatch.setattr(native.ctypes, "CDLL", load)
    monkeypatch.setattr(native, "build_info", lambda: {"cuda": ["90"], "cuda_release": built})
    assert native.why_cuda_sees_none() == why


def test_abi_number_is_the_header_s():
    header = (ROOT / "csrc/core/abi.h").read_text()
    assert f"#define FG_ABI_VERSION {native.ABI}\n" in header


def test_import_is_light_and_needs_nothing_installed():
    """-S leaves out site-packages: no TensorFlow, no Keras, no NumPy."""
    code = """
        import sys, time, warnings
        start = time.process_time()
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            import fastgen
        print(time.process_time() - start)
        (warning,) = caught
        assert "fastgen[cpu]" in str(warning.message) and "fastgen[gpu]" in str(warning.message)
        for name in ("ops", "layers", "doctor"):
            try:
                getattr(fastgen, name)()
            except ImportError as error:
                print(name, error)
        assert fastgen.native.status()["tensorflow"] is None
    """
    done = run_python(code, "-S")
    assert done.returncode == 0, done.stderr
    seconds, *errors = done.stdout.splitlines()
    assert float(seconds) < 0.3
    assert [line.split()[0] for line in errors] == ["ops", "layers", "doctor"]
    assert all("pip install 'fastgen[cpu]'" in line for line in errors)


def test_import_touches_no_heavy_package():
    code = """
        import sys
        import fastgen
        heavy = {"tensorflow", "keras", "numpy", "rich", "typer", "matplotlib", "sklearn"}
        print(sorted(heavy & set(sys.modules)))
    """
    assert run_python(code).stdout.strip() == "[]"


def test_other_keras_backends_are_refused_before_keras_loads():
    code = """
        import sys, fastgen
        try:
            fastgen.layers
        except ImportError as error:
            print(error)
        assert "tensorflow" not in sys.modules
    """
    done = run_python(code, KERAS_BACKEND="jax")
    assert "KERAS_BACKEND=jax" in done.stdout, done.stderr
    assert "fastgen.layers" in done.stdout


def test_backend_of_keras_json_counts(tmp_path):
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    code = "from fastgen import native; print(native.keras_backend())"
    assert run_python(code, KERAS_HOME=str(tmp_path)).stdout.strip() == "torch"
    assert run_python(code, KERAS_HOME=str(tmp_path / "none")).stdout.strip() == "tensorflow"


def test_core_that_is_not_built_says_how_to_build_it(tmp_path):
    """A checkout before its first build: the sources, but no compiled module."""
    shutil.copytree(
        ROOT / "fastgen", tmp_path / "fastgen", ignore=shutil.ignore_patterns("lib", "*.so")
    )
    code = f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        for statement in ("import fastgen.core", "from fastgen import core"):
            try:
                exec(statement)
            except ImportError as error:
                print(error)
    """
    done = run_python(code, "-W", "ignore")
    assert done.stdout.count("--force-reinstall PATH") == 2, done.stderr


@pytest.mark.parametrize("isa", ["avx512", "avx2", "baseline"])
def test_isa_is_forced_by_the_environment(isa):
    code = "from fastgen import core; print(core.isa(), core.isas())"
    done = run_python(code, "-W", "ignore", FASTGEN_ISA=isa)
    used, _, available = done.stdout.strip().partition(" ")
    assert used == (isa if isa in eval(available) else eval(available)[0]), done.stderr


def test_isa_that_is_none_warns_and_takes_the_best():
    code = "from fastgen import native; print(native.status()['isa'], native.status()['isas'][0])"
    done = run_python(code, FASTGEN_ISA="mmx")
    used, best = done.stdout.split()
    assert used == best
    assert done.stderr.count("FASTGEN_ISA must be one of") == 1, done.stderr
    assert "Received: mmx" in done.stderr


def test_names_of_the_package():
    import fastgen

    assert {"core", "layers", "ops", "doctor", "portable", "stats"} <= set(dir(fastgen))
    with pytest.raises(AttributeError, match="no attribute 'generate'"):
        _ = fastgen.generate
