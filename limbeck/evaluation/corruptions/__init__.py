"""Fifteen ways in which pictures go wrong in the world, in five severities each, made here and seeded.

The common corruptions of Hendrycks and Dietterich (ICLR 2019), with the numbers of their CIFAR-10-C release, written
anew. The random numbers are others, values are rounded to the nearest of 256 levels and not cut off, and **frost is
drawn by a procedure**: the release's photographs of frost are not ours to give away. So accuracies are comparable among
networks measured here, and only roughly with published ones; on frost, and in every mean that contains it, not at all.
"""

from limbeck.evaluation.corruptions.catalogue import KINDS, KINDS_AND_SEVERITIES, SEVERITIES, corrupted, corrupted_set
from limbeck.evaluation.corruptions.summary import CorruptionAccuracy, averaged, mean_corruption_accuracy

__all__ = [
    "KINDS",
    "KINDS_AND_SEVERITIES",
    "SEVERITIES",
    "CorruptionAccuracy",
    "averaged",
    "corrupted",
    "corrupted_set",
    "mean_corruption_accuracy",
]
