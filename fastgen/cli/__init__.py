"""The `fastgen` command. Only the commands that need TensorFlow import it: --help is quick."""

import contextlib
import os
from pathlib import Path
from typing import Annotated

import typer

import fastgen

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)

INTERRUPTED = 130  # what a shell reports for a command that Ctrl-C ended


def main():
    """Entry point of the console script."""
    # TensorFlow's notices about the CPU's features are nothing that a user can act on here.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    app(prog_name="fastgen")


def _print_version(wanted: bool):
    if wanted:
        typer.echo(f"fastgen {fastgen.__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
):
    """Fast kernels for autoencoders, VAEs and GANs, as TensorFlow ops and Keras layers."""


@app.command()
def doctor():
    """Print which ops run on fastgen's kernels here, and why the others do not."""
    with _one_line_errors():
        fastgen.doctor()


@app.command()
def demo(
    data: Annotated[
        str, typer.Option(metavar="FILE.npz", help="Images x, labels y; or the built-in digits.")
    ] = "digits",
    epochs: Annotated[int, typer.Option(help="Epochs for each of the two models.")] = 60,
    batch_size: Annotated[int, typer.Option(help="Images in a training step.")] = 32,
    out: Annotated[Path, typer.Option(help="Folder for vae.png and losses.csv.")] = Path(
        "fastgen-demo"
    ),
    seed: Annotated[int, typer.Option(help="Of the weights, the noise and the batches.")] = 0,
):
    """Train the book's VAE with stock Keras layers and with fastgen's, and compare them."""
    finished = None
    with contextlib.suppress(KeyboardInterrupt):
        with _one_line_errors():
            _check_at_least("--epochs", epochs, 1)
            _check_at_least("--batch-size", batch_size, 1)
            _check_at_least("--seed", seed, 0)
            fastgen.native.require_tensorflow("fastgen demo")
            x_train, x_valid = _load_images(data, seed)
            _make_folder(out)
            from fastgen.demo import run
        finished = run(x_train, x_valid, epochs=epochs, batch_size=batch_size, out=out, seed=seed)
    if finished != epochs:
        kept = f" after {finished} of {epochs} epochs; what was made is in {out}"
        typer.echo(f"Interrupted{kept if finished else ''}.", err=True)
        raise typer.Exit(INTERRUPTED)


@contextlib.contextmanager
def _one_line_errors():
    """Ends the command with one line for what the user can mend; other errors keep a traceback."""
    try:
        yield
        return
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


def _check_at_least(option, value, least):
    if value < least:
        raise ValueError(f"{option} must be at least {least}. Received: {value}")


def _load_images(data, seed):
    import fastgen.data

    (x_train, _), (x_valid, _) = fastgen.data.load(data, seed=seed)
    if len(x_valid) == 0:
        raise ValueError(
            f"{data}: one image is held out, so 2 are needed. Received: {len(x_train)}"
        )
    if x_train.ndim == 4 and x_train.shape[-1] not in (1, 3):
        raise ValueError(f"{data}: images must have 1 or 3 channels. Received: {x_train.shape[-1]}")
    return x_train, x_valid


def _make_folder(out):
    """Makes the folder and checks now, not after the training, that it can be written."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out must be a folder. Received: {out}")
    out.mkdir(parents=True, exist_ok=True)
    if not os.access(out, os.W_OK | os.X_OK):
        raise ValueError(f"--out must be a folder that can be written. Received: {out}")
