"""The command `fastgen profile`."""

import contextlib
import runpy
import sys
import traceback
from pathlib import Path
from typing import Annotated

import typer

import fastgen
from fastgen.cli.errors import INTERRUPTED, check_at_least, one_line_errors

FAILED = 1


def profile(
    target: Annotated[
        str,
        typer.Argument(
            metavar="SCRIPT|MODEL",
            help="A Python file; a folder of `fastgen train`, or a .keras file of a model of "
            "fastgen's, or of one that rebuilds its inputs.",
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="[-- ARGUMENTS]", help="Of the script.")
    ] = None,
    stock: Annotated[
        bool, typer.Option(help="Time stock ops for comparison, some seconds an op at most.")
    ] = True,
    seconds: Annotated[float, typer.Option(help="Record at most so long.")] = 30.0,
    steps: Annotated[int, typer.Option(help="Training steps of a model.")] = 100,
    batch_size: Annotated[int, typer.Option(help="Images in a step of a model.")] = 32,
    png: Annotated[Path | None, typer.Option(metavar="PNG", help="Picture to write.")] = None,
    json: Annotated[
        Path | None, typer.Option(metavar="JSON", help="File to write the numbers to.")
    ] = None,
    trace: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Keep the trace, for TensorBoard.")
    ] = None,
    nvtx: Annotated[
        bool | None, typer.Option("--nvtx", help="NVTX ranges around ops, for Nsight Systems.")
    ] = None,
):
    """Run a script, or steps of a model's training, and print where the time goes, op by op.

    Beside each op stands the path that it took, how many times as long
    stock ops take, and its share of what the machine allows. Ctrl-C ends
    the run; what was seen is printed.
    """
    with one_line_errors():
        check_at_least("--steps", steps, 1)
        check_at_least("--batch-size", batch_size, 1)
        fastgen.native.require_tensorflow("fastgen profile")
        _check_writable(png, json)
        if not Path(target).exists():
            raise ValueError(f"{target}: no such file or folder")
        recording = fastgen.profile(stock=stock, seconds=seconds, trace=trace, nvtx=nvtx)
        if target.endswith(".py"):
            run = _script(target, arguments or [])
        elif arguments:
            raise ValueError(f"arguments are for a script. Received: {' '.join(arguments)}")
        else:
            run = _model(target, steps, batch_size)
    code = _run(recording, run)
    with one_line_errors():
        if png is not None and recording.rows:
            recording.plot(png)
            typer.echo(f"Wrote {png}")
        if json is not None:
            recording.save(json)
            typer.echo(f"Wrote {json}")
    raise typer.Exit(code)


def _check_writable(png, json):
    """Raises before the run what would be lost after it."""
    if png is not None:
        from fastgen import plots  # noqa: F401, says what to install

        if png.suffix.lower() != ".png":
            raise ValueError(f"--png must end in .png. Received: {png}")
    for option, path in (("--png", png), ("--json", json)):
        if path is not None and not path.parent.is_dir():
            raise ValueError(f"{option} must be in a folder that exists. Received: {path}")


def _run(recording, run):
    """Runs inside the recording; the command's exit code."""
    try:
        with contextlib.ExitStack() as stack:
            with one_line_errors():
                stack.enter_context(recording)
            return run()
    except KeyboardInterrupt:
        typer.echo("Interrupted.", err=True)
        return INTERRUPTED
    except typer.Exit:
        raise
    except Exception:
        traceback.print_exc()
        return FAILED


def _script(path, arguments):
    def run():
        argv, folders = sys.argv, sys.path[:]
        sys.argv, sys.path[0:0] = [path, *arguments], [str(Path(path).resolve().parent)]
        try:
            runpy.run_path(path, run_name="__main__")
        except SystemExit as end:
            return _exit_code(end.code)
        finally:
            sys.argv, sys.path[:] = argv, folders
        return 0

    return run


def _exit_code(code):
    """What the interpreter makes of what `sys.exit` was given."""
    if code is None or isinstance(code, int):
        return code or 0
    typer.echo(code, err=True)
    return FAILED


def _model(path, steps, batch_size):
    """Training steps of a saved model, on images that are noise."""
    import numpy as np

    from fastgen.training.run import read_model

    model = read_model(path)
    if not model.compiled:
        raise ValueError(f"{path}: the model was saved without an optimizer")
    shape, has_targets = _of_noise(path, model)
    x = np.random.default_rng(0).random((steps * batch_size, *shape), "float32")
    y = None if has_targets else x

    def fit():
        model.fit(x, y, batch_size=batch_size, epochs=1, verbose=0)
        return 0

    fit()  # traced here, not in the recording
    typer.echo(
        f"{path}: {type(model).__name__}, an epoch of {steps} steps on {batch_size} images of "
        f"noise, {'×'.join(map(str, shape))}, after one that is not recorded"
    )
    return fit


def _of_noise(path, model):
    """The shape of what a model is trained on, and whether it has targets of its own."""
    import fastgen.models as ours

    if isinstance(model, (ours.VariationalAutoencoder, ours.Autoencoder, ours.GAN)):
        return getattr(model, "image_shape", None) or model.input_shape[1:], True
    shape = getattr(model, "input_shape", None)
    one = isinstance(shape, tuple) and all(isinstance(n, int) for n in shape[1:])
    if not one or shape != getattr(model, "output_shape", None):
        raise ValueError(
            f"{path}: noise is for models that rebuild inputs of one known shape. Received: "
            f"{type(model).__name__}; profile a script that trains it"
        )
    return shape[1:], False
