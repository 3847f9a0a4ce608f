"""The stage `tensorflow` of benchmarks/gpu_lab.sh, also where TensorFlow comes in parts."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# In the place of python3: it has no TensorFlow but the one that is unpacked.
PYTHON = """#!/bin/sh
case "$*" in *"import tensorflow"*) exit 1 ;; -c*) exit ;; esac
echo "ran $* of ${UNPACKED:-nothing} with ${FASTGEN_LIB_DIR:-nothing}"
"""
UNPACK = """
(sleep 0.2; echo inflated) & true | cat & wait
(exit 3) & failing=$!; sleep 0.2 & wait $failing; echo "ended with $?"
export UNPACKED=$1
"""


@pytest.fixture
def stage(tmp_path):
    """Runs the stage with what unpacks the parts; its output and the outcomes of its pieces."""
    python = tmp_path / "python"
    python.write_text(PYTHON)
    python.chmod(0o755)
    parts = tmp_path / "parts"
    (parts / "p3").mkdir(parents=True)

    def run(unpack):
        if unpack:
            (parts / "p3/unpack_tf.sh").write_text(unpack)
        command = [
            str(ROOT / "benchmarks/gpu_lab.sh"),
            "--out",
            str(tmp_path / "out"),
            "tensorflow",
        ]
        environment = {**os.environ, "PYTHON": str(python), "FASTGEN_TF_PARTS": str(parts)}
        said = subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=300
        ).stdout
        lines = (tmp_path / "out/tensorflow.jsonl").read_text().splitlines()
        return said, {x["name"]: x["outcome"] for x in map(json.loads, lines)}

    return run


def test_what_unpacks_them_may_wait_for_its_jobs(stage, tmp_path):
    said, outcomes = stage(UNPACK)
    assert "inflated" in said and "ended with 3" in said
    assert outcomes == {"tests/gpu": "ok", "keras rows": "ok"}
    parts = tmp_path / "parts"
    assert "pytest tests/gpu" in said and said.count(f"of {parts} with {parts}/p3/lib") == 3


def test_without_parts_it_says_so(stage):
    said, outcomes = stage(None)
    assert "no TensorFlow, and no parts of it in" in said and not outcomes


def test_rows_multiply_in_float32(monkeypatch, tmp_path):
    """As their bounds have it: a GPU's tf32, TensorFlow's default, is beyond them."""
    tf = pytest.importorskip("tensorflow")
    from benchmarks.gpu import keras_rows

    seen = []
    monkeypatch.setattr(tf.config.experimental, "enable_tensor_float_32_execution", seen.append)
    monkeypatch.setattr(keras_rows, "chosen", lambda dry_run: [])
    keras_rows.main(["--lines", str(tmp_path / "rows.jsonl"), "--dry-run"])
    assert seen == [False]
