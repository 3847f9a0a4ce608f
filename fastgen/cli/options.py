"""Options that several commands share."""

import os
from pathlib import Path
from typing import Annotated

import typer

MODEL = Annotated[
    str, typer.Argument(metavar="MODEL", help="Folder of `fastgen train`, or a .keras file.")
]
DATA = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|FILE", help="Images. By default those the folder's model was trained on."
    ),
]
# Those of `fastgen train`.
IMAGES = Annotated[
    str,
    typer.Option(
        metavar="NAME|FILE",
        help="Images: digits, mnist, fashion_mnist; an .npz with x, y; IDX files.",
    ),
]
EPOCHS = Annotated[int, typer.Option(help="Passes over the images.")]
BATCH_SIZE = Annotated[int, typer.Option(help="Images in a training step.")]
RUN_SEED = Annotated[int, typer.Option(help="Of weights, noise, order and split.")]
OUT = Annotated[Path, typer.Option(help="Folder for the model and its pictures.")]
RESUME = Annotated[
    bool, typer.Option("--resume", help="Go on with the run in the folder, bit for bit.")
]

SEED = Annotated[int, typer.Option(help="Of what is drawn from the prior.")]


def load_model_and_data(model, data):
    """The model at a path, and `(x_train, y_train), (x_valid, y_valid)`.

    They are split as in the training, where the run's `config.json` is in the folder or beside the
    file. One line on stderr warns when the run's data has changed since.
    """
    import fastgen.data
    from fastgen.training import Run, load_model

    loaded = load_model(model)
    path = Path(model)
    run = Run(path if path.is_dir() else path.parent)
    settings = run.settings if (run.folder / "config.json").exists() else None
    if data is None:
        if settings is None or settings.data == "arrays":
            raise ValueError(f"--data is needed: {model} does not say what it was trained on")
        data = settings.data
    parts = fastgen.data.load(data, seed=settings.seed if settings else 0)
    if settings and settings.data in (data, os.path.abspath(data)):
        _warn_of_other_images(data, parts, settings)
    return loaded, parts


def _warn_of_other_images(data, parts, settings):
    from fastgen.training.settings import fingerprint

    (x_train, _), (x_valid, _) = parts
    if fingerprint(x_train, x_valid) != settings.images:
        typer.echo(
            f"Warning: {data} has changed since the training: the model may have been trained on "
            "images that count as validation images here.",
            err=True,
        )


def require_prior(command, model):
    """Raises ValueError if there is no prior of the model to draw from."""
    if not hasattr(model, "generate"):
        raise ValueError(
            f"fastgen {command} draws images from a model's prior, which an autoencoder has not; "
            "fastgen interpolate draws what lies between images. "
            f"Received: {type(model).__name__}"
        )
