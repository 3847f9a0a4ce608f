"""`fastgen profile`."""

import json
import signal
import sys

import keras
import numpy as np
import pytest
from matplotlib.image import imread

import fastgen

SCRIPT = """
import sys
import numpy as np
import neighbour
from fastgen import ops
assert __name__ == "__main__"
print("arguments", sys.argv)
for _ in range(3):
    ops.gaussian_kl(np.zeros((5, 4), "float32"), np.zeros((5, 4), "float32"))
"""
QUICK = ["--no-stock"]


@pytest.fixture
def script(invoke, tmp_path):
    """Writes a script into a folder of its own, with a module beside it."""
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts/neighbour.py").write_text("")

    def write(text):
        (tmp_path / "scripts/train.py").write_text(text)
        return "scripts/train.py"

    return write


def launches(path):
    rows = json.loads(path.read_text())["rows"]
    return {row["op"]: row["launches"] for row in rows if row["path"] != "stock"}


def test_a_script(invoke, script, tmp_path):
    outside = sys.argv[:], sys.path[:]
    path = script(SCRIPT)
    result = invoke(
        "profile", *QUICK, path, "--json", "p.json", "--png", "p.png", "--", "--epochs", "7"
    )
    assert result.exit_code == 0, result.output
    assert f"arguments ['{path}', '--epochs', '7']" in result.output
    assert "gaussian_kl" in result.output and "5×4" in result.output
    assert result.output.endswith("Wrote p.png\nWrote p.json\n")
    assert launches(tmp_path / "p.json") == {"gaussian_kl": 3}
    assert imread("p.png").ndim == 3
    assert (sys.argv, sys.path) == outside


def test_the_trace_is_kept(invoke, script, tmp_path):
    result = invoke("profile", *QUICK, script(SCRIPT), "--trace", "kept")
    assert result.exit_code == 0 and list((tmp_path / "kept").rglob("*.xplane.pb"))


def test_stock_ops_beside(invoke, script, tmp_path):
    result = invoke("profile", script(SCRIPT), "--json", "p.json")
    assert result.exit_code == 0
    rows = json.loads((tmp_path / "p.json").read_text())["rows"]
    (found,) = (row for row in rows if row["op"] == "gaussian_kl")
    assert found["stock"] > 0 or found["why"]


@pytest.mark.parametrize(
    ("end", "code", "said"),
    [
        ("raise ValueError('broken data')", 1, "ValueError: broken data"),
        ("sys.exit(3)", 3, ""),
        ("sys.exit('no more')", 1, "no more"),
        ("sys.exit()", 0, ""),
        ("raise KeyboardInterrupt", 130, "Interrupted."),
    ],
)
def test_how_a_script_ends(invoke, script, end, code, said, tmp_path):
    result = invoke("profile", *QUICK, script(SCRIPT + end), "--json", "p.json")
    assert result.exit_code == code and said in result.stderr
    assert "gaussian_kl" in result.stdout
    assert launches(tmp_path / "p.json") == {"gaussian_kl": 3}


def test_ctrl_c(start_python, script, tmp_path):
    path = script(SCRIPT + "print('sleeping', flush=True)\nimport time; time.sleep(60)")
    code = f"import sys; sys.argv = ['fastgen', 'profile', '{path}']\nfrom fastgen import cli\n"
    process = start_python(code + "cli.main()")
    while process.stdout.readline().strip() != "sleeping":
        assert process.poll() is None, process.stderr.read()
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 130 and "Interrupted." in errors, errors
    assert "gaussian_kl" in output and "Traceback" not in errors


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    made = {
        "vae": fastgen.models.variational_autoencoder((6, 5), 3, hidden=(8,), seed=0),
        "autoencoder": fastgen.models.stacked_autoencoder((6, 5), codings=3, hidden=(8,), seed=0),
        "gan": fastgen.models.dense_gan(4, (6, 5), hidden=(7, 8)),
    }
    for name, model in made.items():
        model.compile("rmsprop", *["adam"] * (name == "gan"))
        model.fit(np.zeros((8, 6, 5), "float32"), verbose=0)
        model.save(folder / f"{name}.keras")
    fastgen.models.dense_gan(4, (6, 5)).save(folder / "uncompiled.keras")
    return folder


@pytest.mark.parametrize(
    ("name", "op"),
    [("vae", "autoencoder_step"), ("autoencoder", "autoencoder_step"), ("gan", "gan_step")],
)
def test_a_model(invoke, models, tmp_path, name, op):
    path = models / f"{name}.keras"
    before = path.read_bytes()
    sizes = ["--steps", "7", "--batch-size", "4", "--json", "p.json"]
    result = invoke("profile", *QUICK, str(path), *sizes)
    assert result.exit_code == 0, result.output
    assert "an epoch of 7 steps on 4 images of noise, 6×5" in result.output
    rows = json.loads((tmp_path / "p.json").read_text())["rows"]
    assert sum(row["steps"] for row in rows if row["op"] == op) == 7
    assert path.read_bytes() == before


def test_a_model_of_stock_keras(invoke, tmp_path):
    """One that rebuilds its inputs needs no targets but them."""
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(6)])
    model.compile(fastgen.optimizers.SGD(), "mse")
    model.save("keras.keras")
    sizes = ["--steps", "7", "--batch-size", "4", "--json", "p.json"]
    result = invoke("profile", *QUICK, "keras.keras", *sizes)
    assert result.exit_code == 0, result.output
    assert launches(tmp_path / "p.json") == {"optimizer_update": 7}


@pytest.mark.parametrize("shape", [(6,), (None,)])
def test_a_model_that_noise_cannot_train(invoke, assert_one_line, shape):
    inputs = keras.Input(shape)
    outputs = keras.layers.Dense(5)(inputs) if shape[0] else keras.layers.Identity()(inputs)
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse")
    model.save("keras.keras")
    assert_one_line(invoke("profile", "keras.keras"), "profile a script that trains it")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none.py"], "none.py: no such file or folder"),
        (["images.npz"], "images.npz is not a .keras file"),
        (["{models}/uncompiled.keras"], "was saved without an optimizer"),
        (["{models}/gan.keras", "--", "x"], "arguments are for a script. Received: x"),
        (["{models}/gan.keras", "--steps", "0"], "--steps must be at least 1"),
        (["{script}", "--png", "a.pdf"], "--png must end in .png"),
        (["{script}", "--json", "nowhere/a.json"], "--json must be in a folder that exists"),
        (["{script}", "--seconds", "0"], "seconds must be a number above 0"),
        (["{script}", "--nvtx"], "pip install 'fastgen[nvtx]'"),
    ],
)
def test_what_is_refused(invoke, assert_one_line, script, models, arguments, message, monkeypatch):
    monkeypatch.setitem(sys.modules, "nvtx", None)
    places = {"models": models, "script": script("raise RuntimeError('it ran')")}
    result = invoke("profile", *(text.format(**places) for text in arguments))
    assert_one_line(result, message)
