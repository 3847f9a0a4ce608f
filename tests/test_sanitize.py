"""The C++ tests of the C ABI under AddressSanitizer, UBSan and ThreadSanitizer: `make sanitize`."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CXX = shlex.split(os.environ.get("CXX", "g++"))


def sanitizers_work(folder):
    """Whether the compiler is there and can link both run-time libraries."""
    if shutil.which(CXX[0]) is None:
        return False
    source = folder / "empty.cc"
    source.write_text("int main() {}\n")
    return not any(
        subprocess.run([*CXX, flag, str(source), "-o", str(folder / "empty")]).returncode
        for flag in ("-fsanitize=address,undefined", "-fsanitize=thread")
    )


@pytest.mark.slow
def test_native_tests_pass_under_sanitizers(tmp_path):
    if not sanitizers_work(tmp_path):
        pytest.skip(f"no {CXX[0]} with its sanitizers on this machine")
    command = [sys.executable, "tests/native/run.py", "--sanitize"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-8000:]
