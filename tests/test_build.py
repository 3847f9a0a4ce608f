"""setup.py, with a compiler that only says what it was asked for: no build takes a second."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Writes an output that names nothing, and the dependencies a compiler would find first.
COMPILER = """#!/bin/sh
while [ $# -gt 0 ]; do
    case "$1" in
    --version) echo "stub 1.0, release 13.0"; exit ;;
    -dryrun) echo '#$ LIBRARIES=  "-Lfolder"' >&2; exit ;;
    -c) source=$2 ;;
    -MF) dependencies=$2 ;;
    -o) output=$2 ;;
    esac
    shift
done
[ -z "$dependencies" ] || echo "object: $source csrc/core/abi.h" > "$dependencies"
echo made > "$output"
"""


@pytest.fixture
def setup(tmp_path):
    """Runs setup.py on a copy of the sources, in an environment; returns the finished process."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "csrc", tmp_path / "csrc")
    package = tmp_path / "fastgen"
    package.mkdir()
    shutil.copy(ROOT / "fastgen/__init__.py", package)
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)

    kept = {name: text for name, text in os.environ.items() if not name.startswith("FASTGEN_")}

    def run(**environment):
        return subprocess.run(
            [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
            cwd=tmp_path,
            env={**kept, "CXX": str(compiler), "NVCC": str(compiler), **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run


@pytest.fixture
def build(setup):
    """Builds; returns the lines that say what was compiled or linked."""

    def run(**environment):
        done = setup(**environment)
        assert done.returncode == 0, done.stderr
        return [line.strip() for line in done.stdout.splitlines() if line.startswith("  ")]

    return run


def test_a_second_build_compiles_nothing(build, tmp_path):
    first = build()
    assert {"baseline/gaussian_kl.cc", "core/status.cc", "libfastgen_core.so"} <= set(first)
    assert build() == []
    kernel = tmp_path / "csrc/kernels/gaussian_kl.cc"
    kernel.write_text(kernel.read_text() + "\n")
    isas = json.loads((tmp_path / "fastgen/lib/build.json").read_text())["isas"]
    of_the_kernel = {f"{isa}/gaussian_kl.cc" for isa in isas}
    again = build()
    assert {line for line in again if line.endswith(".cc")} == of_the_kernel
    assert "libfastgen_core.so" in again
    by_nvcc = {line for line in first if line.endswith(".cu")}
    assert set(build(CXXFLAGS="-g")) == set(first) - by_nvcc, "other flags compile all anew"
    os.utime(tmp_path / "csrc/core/abi.h")
    assert set(build(CXXFLAGS="-g")) == set(first), "as does a header that all include"


def test_no_native_code_is_built_on_demand(setup, build, tmp_path):
    done = setup(FASTGEN_NATIVE="0", CXX="no-such-compiler")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "fastgen: FASTGEN_NATIVE=0, building no native code\n"
    assert not (tmp_path / "fastgen/lib").exists()
    build()
    done = setup(FASTGEN_NATIVE="0")
    assert "libraries built earlier stay in fastgen/lib and are used" in done.stdout
    assert (tmp_path / "fastgen/lib/libfastgen_core.so").exists()


def test_missing_compiler_is_named(setup):
    done = setup(CXX="no-such-compiler")
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert "no C++ compiler 'no-such-compiler'. Install g++, or set CXX" in done.stderr


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"FASTGEN_CUDA": "bogus"}, "FASTGEN_CUDA must be 0 or 1. Received: bogus"),
        ({"FASTGEN_CUDA": "1", "NVCC": "no-such-nvcc"}, "FASTGEN_CUDA=1, but nvcc is not"),
        ({"FASTGEN_CUDA_ARCHITECTURES": "sm_90"}, "must be numbers such as 80,90. Received: sm_90"),
    ],
)
def test_cuda_that_cannot_be_had(setup, environment, message):
    done = setup(**environment)
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert message in done.stderr


def test_cuda_that_is_too_old(setup, build, tmp_path):
    nvcc = tmp_path / "old_nvcc"
    nvcc.write_text("#!/bin/sh\necho Cuda compilation tools, release 11.8, V11.8.89\n")
    nvcc.chmod(0o755)
    done = setup(FASTGEN_CUDA="1", NVCC=str(nvcc))
    assert done.returncode != 0 and "Traceback" not in done.stderr
    assert f"{nvcc} is of CUDA 11.8, kernels need 12.1 or later." in done.stderr
    made = build(FASTGEN_CUDA="", NVCC=str(nvcc))
    assert "libfastgen_core.so" in made and not [name for name in made if name.endswith(".cu")]


@pytest.mark.parametrize(
    "environment",
    [{"FASTGEN_CUDA": "0", "NVCC": "no-such-nvcc"}, {"FASTGEN_CUDA": "1"}, {"FASTGEN_CUDA": ""}],
)
def test_cuda_that_can_be_had_or_is_not_wanted(build, tmp_path, environment):
    made = build(**environment)
    assert "libfastgen_core.so" in made
    compiled = [name for name in made if name.endswith(".cu")]
    wanted = environment["FASTGEN_CUDA"] != "0"
    assert ("cuda/gaussian_sample_kl.cu" in compiled) if wanted else compiled == []
    info = json.loads((tmp_path / "fastgen/lib/build.json").read_text())
    assert info["cuda"] == (["80", "90"] if wanted else [])
    assert info["cuda_release"] == ("13.0" if wanted else None)
