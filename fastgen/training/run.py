"""The folder of a training: what it was told, how far it got, and the model."""

import contextlib
import csv
import dataclasses
import fcntl
import json
import math
import os
import zipfile
from pathlib import Path

import keras
import numpy as np

from fastgen.training.settings import AutoencoderSettings, GANSettings, VAESettings

SETTINGS = {cls.MODEL: cls for cls in (VAESettings, GANSettings, AutoencoderSettings)}


class Run:
    """A training's folder: `config.json`, `history.csv`, `checkpoints` and `model.keras`.

    Each file appears whole or not at all, so that the folder can be read, and the training resumed,
    at whatever moment it was killed.

    Example:
    >>> import fastgen
    >>> run = fastgen.training.train_vae(out="digits-vae", epochs=1, codings=2)
    >>> run = fastgen.training.Run("digits-vae")
    >>> run.epochs, run.settings.codings, run.model.generate(3, seed=1).shape
    (1, 2, (3, 28, 28))

    Args:
        folder: Path of the folder, which need not exist.

    Attributes:
        folder: The same, as a `pathlib.Path`.
        interrupted: Whether Ctrl-C ended the training that returned this object.
        active_units: What `ActiveUnits` last reported in that training, or None.
        verdicts: What `judge` said of the autoencoder of that training, or None.
    """

    def __init__(self, folder):
        self.folder = Path(folder)
        self.interrupted = False
        self.active_units = None
        self.verdicts = None
        self._model = None

    @property
    def checkpoints(self):
        """Folder of the checkpoints."""
        return self.folder / "checkpoints"

    @property
    def resumable(self):
        """Whether there is something to resume: TensorFlow writes this file last."""
        return (self.checkpoints / "checkpoint").exists()

    @property
    def trained(self):
        """Whether it has, or was about to have, the checkpoint of a whole epoch."""
        return any(self.checkpoints.glob("epoch-[1-9]*"))

    @property
    def settings(self):
        """`VAESettings`, `GANSettings` or `AutoencoderSettings` of the run.

        Raises:
            ValueError: The folder holds no run, or `config.json` is damaged.
        """
        path = self.folder / "config.json"
        try:
            kept = json.loads(path.read_text(encoding="utf-8"))
            return SETTINGS[kept.pop("model", "vae")](**kept)
        except (FileNotFoundError, NotADirectoryError):
            raise ValueError(f"{self.folder} holds no run: config.json is missing") from None
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{path} is damaged: {error}") from error

    @settings.setter
    def settings(self, settings):
        told = {"model": settings.MODEL, **dataclasses.asdict(settings)}
        # NumPy's numbers, but for float64, are none that JSON knows.
        text = json.dumps(told, indent=2, ensure_ascii=False, default=lambda number: number.item())
        with self.replacing("config.json") as path:
            path.write_text(text + "\n", encoding="utf-8")

    @property
    def history(self):
        """One dict for each epoch: its number, counted from 1, the losses, the speed.

        Raises:
            ValueError: `history.csv` is damaged, or missing where there is a checkpoint.
        """
        path = self.folder / "history.csv"
        if not path.exists():
            if self.resumable:
                raise ValueError(f"{path} is missing")
            return []
        try:
            with open(path, newline="", encoding="utf-8") as file:
                table = list(csv.DictReader(file))
            # A loss that an epoch does not have is "", the rest of a row that was cut is None.
            rows = [{k: float(v) for k, v in row.items() if v != ""} for row in table]
        except (TypeError, ValueError, csv.Error) as error:
            raise ValueError(f"{path} is damaged: {error}") from error
        numbers = list(range(1, len(rows) + 1))
        if [row.get("epoch") for row in rows] != numbers:
            raise ValueError(f"{path} is damaged: its epochs must be 1, 2, 3, …")
        return [{**row, "epoch": number} for row, number in zip(rows, numbers, strict=True)]

    @history.setter
    def history(self, rows):
        columns = list(dict.fromkeys(name for row in rows for name in row))
        with (
            self.replacing("history.csv") as path,
            open(path, "w", newline="", encoding="utf-8") as file,
        ):
            writer = csv.DictWriter(file, columns or ["epoch"])
            writer.writeheader()
            writer.writerows(rows)

    @property
    def epochs(self):
        """Whole epochs done so far."""
        return len(self.history)

    @property
    def model(self):
        """The model of the last epoch; after a kill it may be up to ten seconds older."""
        if self._model is None:
            self._model = load_model(self.folder)
        return self._model

    @model.setter
    def model(self, model):
        self._model = model

    def write_model(self):
        """Writes `model.keras`."""
        with self.replacing("model.keras") as path:
            self._model.save(path)

    @property
    def images_per_second(self):
        """Median over the epochs, without the first one, which compiles; NaN before the first."""
        rates = [row["images_per_second"] for row in self.history]
        return float(np.median(rates[1:] or rates)) if rates else math.nan

    @contextlib.contextmanager
    def replacing(self, name):
        """A path to write to, which takes the place of the file `name` once it has been written."""
        path = self.folder / f"part.{name}"
        try:
            yield path
            os.replace(path, self.folder / name)
        finally:
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self):
        """Keeps other processes from training in this folder."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with open(self.folder / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise ValueError(f"another process is training in {self.folder}") from None
            yield


def load_model(path):
    """Loads the model of a run's folder or of a `.keras` file.

    Example:
    >>> import fastgen
    >>> vae = fastgen.models.variational_autoencoder((8, 8), codings=2)
    >>> vae.save("small.keras")
    >>> fastgen.training.load_model("small.keras").generate(3).shape
    (3, 8, 8)

    Args:
        path: Folder or file.

    Returns:
        `fastgen.models.VariationalAutoencoder`, `fastgen.models.Autoencoder` or `fastgen.GAN`.

    Raises:
        FileNotFoundError: No such file or folder.
        ValueError: A file that holds no such model, or is damaged.
    """
    import fastgen.models

    model = read_model(path)
    ours = fastgen.models.VariationalAutoencoder, fastgen.models.Autoencoder, fastgen.models.GAN
    if not isinstance(model, ours):
        raise ValueError(
            f"{path} must hold an Autoencoder, a VariationalAutoencoder or a GAN. "
            f"Received: {type(model).__name__}"
        )
    return model


def read_model(path):
    """Any Keras model of a run's folder or of a `.keras` file; raises as `load_model` does."""
    path = Path(path)
    if path.is_dir():
        if not (path / "model.keras").exists():
            raise ValueError(f"{path} holds no run: model.keras is missing")
        path = path / "model.keras"
    with open(path, "rb") as file:
        if path.suffix != ".keras" or not zipfile.is_zipfile(file):
            raise ValueError(f"{path} is not a .keras file")
    try:
        return keras.saving.load_model(path)
    # Keras reads JSON, HDF5 and a zip, and each has errors of its own for bytes that make no sense.
    except Exception as error:
        raise ValueError(f"{path} cannot be loaded: {error}") from error
