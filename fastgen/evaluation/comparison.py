"""All measures of generated against real images at once."""

from dataclasses import dataclass

import numpy as np

from fastgen.evaluation.distances import frechet_distance, kernel_distance
from fastgen.evaluation.features import feature_extractor
from fastgen.evaluation.manifold import precision_recall

NEIGHBOURS = 3
# Two halves of the real images must have the neighbours that precision and recall look for.
LEAST = 2 * (NEIGHBOURS + 1)


@dataclass(frozen=True)
class Comparison:
    """What `compare` finds.

    Attributes:
        real_count: Number of real images.
        generated_count: Number of generated images.
        frechet_distance: See `frechet_distance`; biased upward with few images.
        frechet_floor: About what a perfect generator would get for `frechet_distance` with as many
            images: the distance between two halves of the real ones, scaled to these counts.
        kernel_distance: Mean of `kernel_distance`; unbiased.
        kernel_distance_std: Its spread over the subsets.
        precision: Share of the generated images that look real.
        recall: Share of the real images' variety that is generated.
        accuracy: Of the classifier whose features were used.
        note: A sentence on the number of images and what it does to the values.
    """

    real_count: int
    generated_count: int
    frechet_distance: float
    frechet_floor: float
    kernel_distance: float
    kernel_distance_std: float
    precision: float
    recall: float
    accuracy: float
    note: str


def compare(real, generated, extractor=None, *, seed=0):
    """Compares generated with real images in the features of a small classifier.

    Compare two generators only by values from the same real images, the same number of generated
    ones and the same extractor: none of them can be compared with those of Inception's features.

    Example: see `feature_extractor`.

    Args:
        real: Images that no generator was trained on, as `FeatureExtractor` takes them; at least 8.
        generated: Images, at least 8, in [0, 1] like the real ones; sizes may differ.
        extractor: What `feature_extractor` returns, or any function images → `[n, d]`; None for
            one trained on digits.
        seed: Chooses the subsets of `kernel_distance` and the halves of `frechet_floor`.

    Returns:
        A `Comparison`.

    Raises:
        ValueError: Not such images, or too few.
    """
    n, m = len(real), len(generated)
    if min(n, m) < LEAST:
        raise ValueError(
            f"compare: expected at least {LEAST} images of each kind. "
            f"Received: {n} real and {m} generated ones"
        )
    extractor = extractor or feature_extractor()
    a, b = np.asarray(extractor(real)), np.asarray(extractor(generated))
    kernel = kernel_distance(a, b, seed=seed)
    nearest = precision_recall(a, b, NEIGHBOURS)
    floor = frechet_floor(a, m, seed)
    note = (
        f"{n} real and {m} generated images: with so few, the Fréchet distance of a perfect "
        f"generator would be about {floor:.2g}, not 0 (the bias shrinks as 1/n); the kernel "
        f"distance has no such bias. Compare only values of equal counts."
    )
    return Comparison(
        real_count=n,
        generated_count=m,
        frechet_distance=frechet_distance(a, b),
        frechet_floor=floor,
        kernel_distance=kernel.mean,
        kernel_distance_std=kernel.std,
        precision=nearest.precision,
        recall=nearest.recall,
        accuracy=getattr(extractor, "accuracy", float("nan")),
        note=note,
    )


def frechet_floor(features, count, seed=0):
    """About the Fréchet distance between these features and `count` more of their distribution.

    The distance between two halves, the mean of four divisions, scaled from the halves' size h to
    the counts n and m: the bias goes as 1/n + 1/m (Chong and Forsyth, 2020), which is 2/h for them.
    """
    random, half = np.random.RandomState(seed), len(features) // 2
    orders = [random.permutation(len(features)) for _ in range(4)]
    between = [frechet_distance(features[o[:half]], features[o[half:]]) for o in orders]
    return float(np.mean(between) * (1 / len(features) + 1 / count) / (2 / half))
