"""The `fastgen` command. Only the commands that need TensorFlow import it: --help is quick."""

import os
from typing import Annotated

import typer

import fastgen
from fastgen.cli.demo import demo
from fastgen.cli.errors import OneLineErrors, check_backend, one_line_errors
from fastgen.cli.evaluate import evaluate
from fastgen.cli.generate import interpolate, sample
from fastgen.cli.parity import parity
from fastgen.cli.plot import plot
from fastgen.cli.profile import profile
from fastgen.cli.train import train

__all__ = ["app", "main"]

app = typer.Typer(
    cls=OneLineErrors, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False
)


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
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
        ),
    ] = False,
):
    """Fast kernels for autoencoders, VAEs and GANs, as TensorFlow ops and Keras layers."""
    if context.invoked_subcommand != "doctor":  # which shows what there is
        with one_line_errors():
            check_backend()


@app.command()
def doctor():
    """Print which ops run on fastgen's kernels here, and why the others do not."""
    with one_line_errors():
        fastgen.doctor()


app.command()(demo)
app.add_typer(train, name="train")
app.add_typer(plot, name="plot")
for command in (sample, interpolate, evaluate, parity, profile):
    app.command()(command)
