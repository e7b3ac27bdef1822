"""How far a network's probabilities can be believed, raw and after temperature scaling.

Logits, labels and errors are as in `limbeck.evaluation.metrics`.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from scipy.optimize import brentq
from torch import Tensor

from limbeck.evaluation.metrics import labelled

BINS = 15
COLDEST, HOTTEST = 0.01, 100.0


class Reliability(NamedTuple):
    """The bins of a reliability diagram: equal widths from 0 to 1, each open below and closed above.

    Attributes:
        counts: int64 (bins,), pictures.
        confidence: float64 (bins,), the mean of their largest probability; nan in an empty bin.
        accuracy: float64 (bins,), the share that is right; nan in an empty bin.
    """

    counts: Tensor
    confidence: Tensor
    accuracy: Tensor

    def ece(self) -> float:
        """The mean distance of confidence from accuracy, bins weighted by their pictures."""
        gaps = (self.accuracy - self.confidence).abs().nan_to_num()
        return float((self.counts * gaps).sum() / self.counts.sum())


def nll(logits: Tensor, labels: Tensor) -> float:
    """Mean negative log-likelihood of the labels, in nats; finite for any finite logits."""
    return float(F.cross_entropy(*labelled(logits, labels)))


def brier(logits: Tensor, labels: Tensor) -> float:
    """Brier score (Monthly Weather Review 1950): squared distance of the probabilities from the one-hot label, summed
    over classes and averaged over pictures; from 0 to 2."""
    logits, labels = labelled(logits, labels)
    distances = logits.softmax(1).scatter_add(1, labels[:, None], -torch.ones(len(labels), 1, dtype=logits.dtype))
    return float(distances.square().sum(1).mean())


def reliability(logits: Tensor, labels: Tensor, bins: int = BINS) -> Reliability:
    """Confidence and accuracy of the answers, by their confidence."""
    logits, labels = labelled(logits, labels)
    confidence, right = logits.softmax(1).amax(1), (logits.argmax(1) == labels).double()
    place = torch.bucketize(confidence, torch.arange(1, bins, dtype=confidence.dtype) / bins)
    counts = torch.bincount(place, minlength=bins)
    means = (torch.bincount(place, values, minlength=bins) / counts for values in (confidence, right))
    return Reliability(counts, *means)


def ece(logits: Tensor, labels: Tensor, bins: int = BINS) -> float:
    """Expected calibration error of the answers (Naeini et al., AAAI 2015; bins as in Guo et al., ICML 2017)."""
    return reliability(logits, labels, bins).ece()


def fit_temperature(logits: Tensor, labels: Tensor) -> float | None:
    """The temperature that the logits are to be divided by for the least nll (Guo et al., ICML 2017).

    The nll is convex in 1/T, so its slope is followed to where it is 0, by Brent's method in log T.

    Args:
        logits, labels: of pictures that the network was neither trained nor is judged on.

    Returns:
        T, within 0.01 and 100; at an end where the nll falls on beyond it. None where every answer is right: the nll
        then falls on to T = 0, and the pictures say nothing of the best T.
    """
    logits, labels = labelled(logits, labels)
    beyond = logits - logits.gather(1, labels[:, None])
    if (beyond <= 0).all():
        return None

    def slope(log_temperature: float) -> float:
        """Of the nll, by 1/T: of each picture the mean logit less the label's."""
        return float(((beyond * math.exp(-log_temperature)).softmax(1) * beyond).sum(1).mean())

    if slope(math.log(HOTTEST)) >= 0:
        return HOTTEST
    if slope(math.log(COLDEST)) <= 0:
        return COLDEST
    return math.exp(brentq(slope, math.log(COLDEST), math.log(HOTTEST), xtol=1e-12, rtol=1e-12))
