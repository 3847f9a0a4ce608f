import pytest

import fastgen


def test_version(invoke):
    result = invoke("--version")
    assert result.exit_code == 0
    assert result.output == f"fastgen {fastgen.__version__}\n"


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
