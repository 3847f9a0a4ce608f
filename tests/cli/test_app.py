import pytest

import fastgen
from fastgen import dispatch


def test_version(invoke):
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.output == f"fastgen {fastgen.__version__}\n"


def test_as_a_module(run_python):
    """`python -m fastgen.cli`."""
    output = run_python(
        "import runpy, sys\n"
        "sys.argv = ['fastgen', '--version']\n"
        "runpy.run_module('fastgen.cli', run_name='__main__')"
    )
    assert output == f"fastgen {fastgen.__version__}\n"


def test_help_is_quick(run_python):
    """Neither TensorFlow nor Keras, which take seconds to import."""
    heavy = "{'tensorflow', 'keras', 'matplotlib', 'sklearn'} & set(sys.modules)"
    code = f"""
import sys
import fastgen.cli
sys.argv = ["fastgen", "--help"]
try:
    fastgen.cli.main()
finally:
    print({heavy})
"""
    output = run_python(code)
    assert "demo" in output and "doctor" in output
    assert output.endswith("set()\n")


def test_doctor(invoke):
    result = invoke("doctor")
    assert result.exit_code == 0
    assert "gaussian_sample_kl" in result.output


@pytest.mark.parametrize("arguments", [["demo", "--epochs", "many"], ["demo", "--nonesuch"], ["x"]])
def test_unknown_arguments(invoke, arguments):
    result = invoke(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


COMMANDS = [["demo"], ["train", "vae"], ["train", "gan"]]
COMMANDS += [[name, "m"] for name in ("sample", "interpolate", "evaluate", "profile")]


@pytest.mark.parametrize("command", [*COMMANDS, ["doctor"]], ids=" ".join)
def test_unknown_backend(invoke, assert_one_line, monkeypatch, command):
    monkeypatch.setenv("FASTGEN_BACKEND", "bogus")
    assert_one_line(invoke(*command), "FASTGEN_BACKEND must be one of")


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_kernels_that_cannot_be_had(invoke, assert_one_line, monkeypatch, fused, command):
    monkeypatch.setattr(dispatch, "_missing_library", lambda: "the libraries have not been built")
    result = invoke(*command)
    assert_one_line(result, "FASTGEN_BACKEND=fused asks for the kernel of dense, which")
    assert "have not been built" in result.stderr


def test_no_warning_beside_the_error(start_python, tmp_path):
    code = "import sys; from fastgen.cli import main; sys.argv = ['fastgen', 'demo']; main()"
    environment = {"FASTGEN_BACKEND": "fused", "FASTGEN_LIB_DIR": str(tmp_path)}
    process = start_python(code, **environment, TF_CPP_MIN_LOG_LEVEL="3")
    _, errors = process.communicate(timeout=300)
    ours = [line for line in errors.splitlines() if "fastgen" in line.lower()]
    assert process.returncode == 2 and "Traceback" not in errors
    assert len(ours) == 1 and ours[0].startswith("Error: FASTGEN_BACKEND=fused asks"), errors
