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
COMPILER = f"""#!{sys.executable}
import sys
from pathlib import Path
arguments = sys.argv[1:]
if "--version" in arguments:
    sys.exit(print("stub 1.0"))
if "-MF" in arguments:
    source = arguments[arguments.index("-c") + 1]
    Path(arguments[arguments.index("-MF") + 1]).write_text(f"object: {{source}} csrc/core/abi.h")
Path(arguments[arguments.index("-o") + 1]).write_text("made")
"""


@pytest.fixture
def build(tmp_path):
    """Builds a copy of the sources; returns the lines that say what was compiled or linked."""
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "csrc", tmp_path / "csrc")
    package = tmp_path / "fastgen"
    package.mkdir()
    shutil.copy(ROOT / "fastgen/__init__.py", package)
    compiler = tmp_path / "compiler"
    compiler.write_text(COMPILER)
    compiler.chmod(0o755)

    def run(**environment):
        done = subprocess.run(
            [sys.executable, "setup.py", "--quiet", "build_ext", "--inplace"],
            cwd=tmp_path,
            env={**os.environ, "CXX": str(compiler), "NVCC": str(compiler), **environment},
            capture_output=True,
            text=True,
            timeout=300,
        )
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
    assert set(build(CXXFLAGS="-g")) == set(first), "other flags compile all anew"
    os.utime(tmp_path / "csrc/core/abi.h")
    assert set(build(CXXFLAGS="-g")) == set(first), "as does a header that all include"


def test_build_info_names_cuda_only_if_it_was_compiled(build, tmp_path):
    (tmp_path / "csrc/kernels/unused.cu").write_text("")
    compiled = any(line.endswith(".cu") for line in build())
    assert json.loads((tmp_path / "fastgen/lib/build.json").read_text())["cuda"] == compiled
