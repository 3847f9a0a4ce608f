"""Samples of a model, real images and noise, beside real images that were held out."""

import numpy as np
from rich.table import Table

from fastgen import evaluation
from fastgen.plots.model_output import value_range


def loss_line(model, images):
    """The model's losses on images, as a line of text."""
    losses = model.evaluate(images, batch_size=256, verbose=0, return_dict=True)
    in_nats = model.reconstruction == "binary_crossentropy" and model.reduction == "sum"
    unit = " nats per image" if in_nats else ""
    return (
        f"{len(images)} validation images: loss {losses['loss']:.2f}, reconstruction "
        f"{losses['reconstruction_loss']:.2f}, KL {losses['kl']:.2f}{unit}"
    )


def compare_with_real(model, train, valid, count, seed):
    """Compares with the validation images, in the features of a classifier of such images.

    Args:
        model: Has `generate(n, seed)`.
        train: `(x, y)`, images and labels or None, the ones that the model was trained on.
            Without labels, or with those of one class only, the classifier is one of digits.
        valid: `(x, y)`, images to compare with.
        count: Images of each kind to compare.
        seed: Of the samples, the choice of training images, and the noise.

    Returns:
        A `rich.table.Table`, and lines of text that say what to think of it.
    """
    (x, y), (real, _) = train, valid
    if y is not None and len(np.unique(y)) < 2:
        y = None  # one class is nothing to tell apart
    extractor = evaluation.feature_extractor() if y is None else evaluation.feature_extractor(x, y)
    random = np.random.RandomState(seed)
    kinds = {
        "samples": _samples(model, count, seed),
        "training images": x[random.permutation(len(x))[:count]],
        "noise": random.random_sample((count, *real.shape[1:])).astype("float32"),
    }
    table = Table(title=f"Beside {len(real)} validation images", title_justify="left")
    for heading in ("", "images", "Fréchet\ndistance", "kernel\ndistance", "precision", "recall"):
        table.add_column(heading, justify="right" if heading else "left")
    results = {
        kind: evaluation.compare(real, images, extractor, seed=seed)
        for kind, images in kinds.items()
    }
    for kind, found in results.items():
        table.add_row(
            kind,
            str(found.generated_count),
            f"{found.frechet_distance:.3g}",
            f"{found.kernel_distance:.3g} ± {found.kernel_distance_std:.2g}",
            f"{found.precision:.2f}",
            f"{found.recall:.2f}",
        )
    whose = "digits" if y is None else "the training images"
    features = f"Features of a classifier of {whose}, right in {results['samples'].accuracy:.1%}."
    return table, [results["samples"].note, features]


def _samples(model, count, seed):
    """Images that a model makes, in [0, 1]; a DCGAN makes them in [-1, 1]."""
    low, high = value_range(model)
    # Linear outputs of a decoder may pass the range of images.
    return np.clip((model.generate(count, seed) - low) / (high - low), 0, 1)
