"""examples/chapter17.py runs, prints its table and draws its sheet."""

import runpy
from pathlib import Path

import pytest
import typer
from matplotlib.image import imread
from typer.testing import CliRunner

EXAMPLE = Path(__file__).resolve().parents[1] / "examples/chapter17.py"
SOME = ("linear", "layerwise", "denoising")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs the example with options in an empty folder."""
    monkeypatch.chdir(tmp_path)
    app = typer.Typer()
    app.command()(runpy.run_path(str(EXAMPLE))["main"])
    return lambda *options: CliRunner().invoke(app, [*options, "--quick"])


def test_some_sections(run):
    result = run(*(option for name in SOME for option in ("--section", name)), "--out", "sheets")
    assert result.exit_code == 0, result.output
    assert "PCA's is" in result.output and "greedy layerwise" in result.output
    assert imread("sheets/chapter17.png").shape[1] > 1000


def test_unknown_sections_are_refused(run, tmp_path):
    result = run("--section", "other")
    assert result.exit_code == 2 and "'other' is none of" in result.output.replace("\n", " ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_section(run):
    result = run()
    assert result.exit_code == 0, result.output
    for system in ("too powerful", "overcomplete", "recurrent", "DCGAN", "upsampling"):
        assert system in result.output
