"""Options that several commands share."""

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
SEED = Annotated[int, typer.Option(help="Of what is drawn from the prior.")]


def load_model_and_data(model, data):
    """The model at a path, and `(x_train, y_train), (x_valid, y_valid)`."""
    import fastgen.data
    from fastgen.training import Run, load_model

    loaded = load_model(model)
    run = Run(model)
    trained_here = (run.folder / "config.json").exists()
    if data is None:
        if not trained_here or run.settings.data == "arrays":
            raise ValueError(f"--data is needed: {model} does not say what it was trained on")
        data = run.settings.data
    return loaded, fastgen.data.load(data, seed=run.settings.seed if trained_here else 0)
