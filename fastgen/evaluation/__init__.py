"""Measures of generated images, offline: in the features of a small classifier trained here."""

from fastgen.evaluation.comparison import Comparison, compare
from fastgen.evaluation.distances import KernelDistance, frechet_distance, kernel_distance
from fastgen.evaluation.features import FeatureExtractor, feature_extractor
from fastgen.evaluation.manifold import PrecisionRecall, precision_recall

__all__ = [
    "Comparison",
    "FeatureExtractor",
    "KernelDistance",
    "PrecisionRecall",
    "compare",
    "feature_extractor",
    "frechet_distance",
    "kernel_distance",
    "precision_recall",
]
