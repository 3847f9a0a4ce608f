"""How a command ends when it cannot do what it is told: with one line, and no traceback."""

import contextlib
import os
import sys
import warnings

import typer
from typer.core import TyperGroup

from fastgen import dispatch, native

INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


class OneLineErrors(TyperGroup):
    """Commands whose wrong options end in one line; Typer draws a box around them."""

    def main(self, *args, standalone_mode=True, **extra):
        """Run a command."""
        if not standalone_mode:
            return super().main(*args, standalone_mode=False, **extra)
        try:
            code = super().main(*args, standalone_mode=False, **extra)
        except Exception as error:
            # The class of these errors is private to Typer.
            if not hasattr(error, "format_message"):
                raise
            # Without a message: the help was called for, and has been printed.
            if message := " ".join(error.format_message().split()):
                typer.echo(f"Error: {message}", err=True)
            code = error.exit_code
        sys.exit(code if isinstance(code, int) else 0)


@contextlib.contextmanager
def one_line_errors():
    """Ends the command with one line for what the user can mend; other errors keep a traceback."""
    try:
        yield
        return
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except ModuleNotFoundError as error:
        package = str(error.name).split(".")[0]
        if package not in ("matplotlib", "sklearn"):
            raise
        message = f"{package} is not installed: pip install 'fastgen[plots]'"
    except ImportError as error:
        message = str(error)
    except OSError as error:
        message = f"{error.filename}: {error.strerror}" if error.filename else str(error)
    except ValueError as error:
        message = str(error)
    typer.echo(f"Error: {' '.join(message.split())}", err=True)
    raise typer.Exit(2)


def check_backend():
    """Raises if FASTGEN_BACKEND is none of its values, or asks for kernels that cannot be had."""
    if dispatch.backend() != dispatch.FUSED:
        return
    native.require_tensorflow("FASTGEN_BACKEND=fused")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the reason that the error states
        choices = {op: dispatch.choose(op, "float32") for op in dispatch.KERNELS}
    for op, choice in choices.items():
        if choice.path == dispatch.REFUSED:
            raise ValueError(
                f"FASTGEN_BACKEND=fused asks for the kernel of {op}, which cannot be had: "
                f"{choice.why}. fastgen doctor shows every op."
            )


def check_at_least(option, value, least):
    """Raises ValueError if the value of an option is too small."""
    if value < least:
        raise ValueError(f"{option} must be at least {least}. Received: {value}")


def check_seed(seed):
    """Raises ValueError if `--seed` is out of the range that NumPy and `fastgen train` take."""
    check_at_least("--seed", seed, 0)
    if seed >= 2**32:
        raise ValueError(f"--seed must be below 2**32. Received: {seed}")


def make_folder(out):
    """Makes the folder and checks now, not after the training, that it can be written."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out must be a folder. Received: {out}")
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise ValueError(f"--out must be a folder that can be written. Received: {out}")
