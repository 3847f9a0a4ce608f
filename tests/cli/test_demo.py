import errno
import os
import signal
import sys
import time

import numpy as np
import pytest

import fastgen
from tests.cli.conftest import IMAGES


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--epochs", "-1"], "--epochs must be at least 1. Received: -1"),
        (["--batch-size", "0"], "--batch-size must be at least 1. Received: 0"),
        (["--seed", "-5"], "--seed must be at least 0. Received: -5"),
        (["--seed", "4294967296"], "Seed must be between 0 and 2**32 - 1"),
        (["--data", "nonesuch.npz"], "nonesuch.npz: " + os.strerror(errno.ENOENT)),
        (["--data", "nonesuch"], "one of 'digits'"),
        (["--data", "text.npz"], "text.npz is not an .npz file"),
        (["--data", "one.npz"], "one.npz: one image is held out, so 2 are needed"),
        (["--data", "two_channels.npz"], "images must have 1 or 3 channels. Received: 2"),
        (["--data", "."], "Error: .: "),
        (["--out", "text.npz"], "--out must be a folder. Received: text.npz"),
        (["--out", "text.npz/folder"], os.strerror(errno.ENOTDIR)),
    ],
)
def test_wrong_arguments(invoke, assert_one_line, arguments, message):
    with open("text.npz", "w") as file:
        file.write("no archive")
    np.savez("one.npz", x=IMAGES[:1])
    np.savez("two_channels.npz", x=IMAGES[..., None].repeat(2, axis=-1))
    data = [] if "--data" in arguments else ["--data", "images.npz"]
    assert_one_line(invoke("demo", *data, *arguments), message)
    assert not os.path.exists("fastgen-demo")


def test_folder_that_cannot_be_written(invoke, assert_one_line, monkeypatch):
    # Not by chmod: root may write anywhere.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    result = invoke("demo", "--data", "images.npz")
    assert_one_line(result, "--out must be a folder that can be written. Received: fastgen-demo")


@pytest.mark.parametrize("package", ["matplotlib", "sklearn"])
@pytest.mark.parametrize("command", [["demo"], ["train", "vae"], ["train", "gan"]])
def test_missing_package(invoke, assert_one_line, monkeypatch, command, package):
    forgotten = (
        package,
        "fastgen.demo",
        "fastgen.plots",
        "fastgen.cli.vae_report",
        "fastgen.cli.gan_report",
    )
    for name in [*sys.modules]:
        if name.startswith(forgotten):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(fastgen), "plots", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    result = invoke(*command)
    assert_one_line(result, "pip install 'fastgen[plots]'")
    assert package in result.stderr.replace("scikit-learn", "sklearn")


def test_without_tensorflow(invoke, assert_one_line, monkeypatch):
    monkeypatch.setattr(fastgen.native, "tensorflow_version", lambda: None)
    assert_one_line(invoke("demo"), "pip install 'fastgen[cpu]'")


@pytest.mark.parametrize("seconds", [0, pytest.param(1.5, marks=pytest.mark.slow)])
def test_interrupt(start_python, tmp_path, seconds):
    """One real Ctrl-C, while the models are built or traced, and in the middle of the training."""
    np.savez(tmp_path / "images.npz", x=IMAGES)
    code = f"""
import sys
from fastgen.cli import main
sys.argv = "fastgen demo --data images.npz --epochs 1000000".split()
import os
os.chdir({str(tmp_path)!r})
main()
"""
    process = start_python(code)
    assert "9 images" in process.stdout.readline()
    time.sleep(seconds)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130
    assert errors.splitlines()[-1].startswith("Interrupted")
    assert "Traceback" not in errors
