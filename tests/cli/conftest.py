import numpy as np
import pytest
from typer.testing import CliRunner

from fastgen.cli import app

IMAGES = np.random.RandomState(0).randint(0, 256, (10, 6, 5)).astype(np.uint8)


@pytest.fixture
def invoke(tmp_path, monkeypatch):
    """Runs the command in an empty folder that holds `images.npz`."""
    monkeypatch.chdir(tmp_path)
    np.savez("images.npz", x=IMAGES, y=np.arange(10))
    return lambda *arguments: CliRunner().invoke(app, list(arguments))


@pytest.fixture
def assert_one_line():
    """Checks that a command ended with exit code 2 and one line on stderr that has `message`."""

    def check(result, message):
        assert result.exit_code == 2, result.output
        assert result.stderr.startswith("Error: ") and result.stderr.count("\n") == 1
        assert message in result.stderr

    return check
