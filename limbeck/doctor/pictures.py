"""What the loaders give: pictures as the networks know them, test pictures that nothing else has seen."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import SequentialSampler

from limbeck.doctor.report import Finding
from limbeck.errors import LimbeckError
from limbeck.models.normalised import Normalised

_NORMALISATIONS: dict[str, tuple[tuple[float, ...], tuple[float, ...]]] = {
    "pixels in [0, 1]": ((0.0,), (1.0,)),
    "pixels in [0, 255]": ((0.0,), (1 / 255,)),
    "mean and deviation .5": ((0.5,), (0.5,)),
    "ImageNet's mean and deviation": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10's mean and deviation": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "CIFAR-100's mean and deviation": ((0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)),
    "MNIST's mean and deviation": ((0.1307,), (0.3081,)),
}


@dataclass(frozen=True)
class Sample:
    """Some pictures of a loader: (N, C, H, W) float, (N,) int64 labels or None, (N, classes) stored logits or None."""

    pictures: Tensor
    labels: Tensor | None
    stored: Tensor | None


def sample(loader: Iterable[Any], name: str, limit: int) -> Sample:
    """The first pictures of a loader.

    Raises:
        LimbeckError: it yields nothing, or something else than batches of pictures.
    """
    batches, count = [], 0
    for batch in loader:
        parts = list(batch) if isinstance(batch, (tuple, list)) else [batch]
        if not parts or not isinstance(parts[0], Tensor) or parts[0].ndim != 4:
            what = tuple(parts[0].shape) if parts and isinstance(parts[0], Tensor) else type(batch).__name__
            raise LimbeckError(
                f"{name} yields {what}, not batches (pictures, labels) with pictures (B, C, H, W). "
                "Give a torch DataLoader, or a list of such tuples."
            )
        batches.append(parts)
        count += len(parts[0])
        if count >= limit:
            break
    if not batches:
        raise LimbeckError(
            f"{name} yields nothing. Give at least one batch of pictures; a generator can be read once only."
        )
    pictures, *others = (torch.cat(list(column)).cpu()[:limit] for column in zip(*_tensors(batches), strict=True))
    labels = next((each for each in others if each.ndim == 1 and not each.is_floating_point()), None)
    stored = next((each.float() for each in others if each.ndim == 2 and each.is_floating_point()), None)
    return Sample(pictures, labels.long() if labels is not None else None, stored)


def _tensors(batches: list[list[Any]]) -> list[list[Tensor]]:
    return [[part for part in parts if isinstance(part, Tensor)] for parts in batches]


def in_range(network: nn.Module, who: str, training: Sample) -> Finding | None:
    """Of a network that normalises by itself: whether it is given pictures as they are."""
    if (
        not any(isinstance(module, Normalised) for module in network.modules())
        or not training.pictures.is_floating_point()
    ):
        return None
    question, why = f"{who}'s pixels", "pictures normalised twice are pictures that it has never seen"
    low, high = float(training.pictures.min()), float(training.pictures.max())
    if low >= 0 and high <= 1:
        return Finding(question, "in [0, 1], which it normalises by itself", "ok", why)
    mend = "Take the normalisation out of the loader."
    return Finding(question, f"from {low:.3g} to {high:.3g}, though it normalises [0, 1] by itself", "wrong", why, mend)


def normalisation(teacher: Callable[[Tensor], Tensor], training: Sample, now: Tensor) -> Finding | None:
    """Whether the teacher knows the labels clearly better when the pictures are normalised in another usual way."""
    x, labels = training.pictures, training.labels
    if labels is None or not x.is_floating_point() or int(labels.max()) >= now.shape[1]:
        return None
    known = labels >= 0
    x, labels, now = x[known], labels[known], now[known]
    if len(labels) < 32:
        return None
    question, why = "normalisation", "a teacher that sees other pixels than it was trained on teaches mistakes"
    low, high = (edge.view(1, -1, 1, 1) for edge in (x.amin((0, 2, 3)), x.amax((0, 2, 3))))
    pixels = (x - low) / (high - low).clamp(min=1e-6)  # a black and a white pixel in each channel is enough for that
    right = now.argmax(1) == labels
    best, best_loss, gain = "", float(F.cross_entropy(now, labels)), 0
    for name, (mean, std) in _usual(pixels).items():
        said = teacher((pixels - mean.view(1, -1, 1, 1)) / std.view(1, -1, 1, 1))
        better = said.argmax(1) == labels
        won, lost = int((better & ~right).sum()), int((right & ~better).sum())
        loss = float(F.cross_entropy(said, labels))
        if loss < best_loss and won - lost > 3 * (won + lost) ** 0.5:  # three standard errors of a paired difference
            best, best_loss, gain = name, loss, won - lost
    accuracy = float(right.float().mean())
    if best:
        found = f"the teacher is right on {accuracy:.0%}, and on {accuracy + gain / len(labels):.0%} with {best}"
        return Finding(question, found, "wrong", why, f"Give the teacher {best}: what it was trained with.")
    chance = 1 / now.shape[1]
    if accuracy < chance + 3 * (chance * (1 - chance) / len(labels)) ** 0.5:
        mend = "Check that its weights were loaded, the order of the classes, and the pictures' size and normalisation."
        return Finding(question, f"the teacher is right on {accuracy:.0%}, as by chance", "look", why, mend)
    return Finding(question, f"the teacher is right on {accuracy:.0%}, and on no more with another", "ok", why)


def _usual(pixels: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    channels = pixels.shape[1]
    usual = {
        name: (torch.tensor(mean).expand(channels), torch.tensor(std).expand(channels))
        for name, (mean, std) in _NORMALISATIONS.items()
        if len(mean) in (1, channels)
    }
    usual["the pictures' own mean and deviation"] = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3)).clamp(min=1e-3)
    return {name: (mean.to(pixels), std.to(pixels)) for name, (mean, std) in usual.items()}


def stored(training: Sample, now: Tensor) -> Finding | None:
    """Whether stored outputs of the teacher are those of the pictures beside them."""
    if training.stored is None or training.stored.shape != now.shape:
        return None
    question, why = "stored outputs", "a soft target of another picture, or another view of it, is a wrong one"
    ours, theirs = (F.normalize(x - x.mean(1, keepdim=True), dim=1) for x in (now, training.stored))
    fit = float((ours * theirs).sum(1).mean())
    if fit > 0.98:
        return Finding(question, "the teacher says the same of the pictures beside them", "ok", why)
    nearest = (ours @ theirs.T).max(1)
    mend = "Store them by the picture's index and view; label the very view that the student sees."
    if float(nearest.values.mean()) > 0.98:
        return Finding(question, "those of other pictures: the order differs", "wrong", why, mend)
    return Finding(question, f"not what the teacher says now (they agree by {fit:.0%})", "wrong", why, mend)


def augmented(test: Iterable[Any]) -> Finding:
    """Whether the same test picture comes out differently the second time."""
    why = "a test of random views measures another task, and another each time"
    first, second = _twice(test)
    if first.shape == second.shape and torch.equal(first, second):
        return Finding("test set", "the same pictures each time", "ok", why)
    mend = "Give the test set a transform of its own, without random crops, flips or policies."
    return Finding("test set", "augmented: the same pictures differ from one look to the next", "wrong", why, mend)


def _twice(loader: Iterable[Any]) -> tuple[Tensor, Tensor]:
    dataset: Any = getattr(loader, "dataset", None)
    in_order = isinstance(getattr(loader, "sampler", None), SequentialSampler)
    if dataset is None or in_order or not (hasattr(dataset, "__getitem__") and hasattr(dataset, "__len__")):
        first, second = (sample(loader, "test", 64).pictures for _ in range(2))
        return first, second
    step = max(1, len(dataset) // 32)
    looks = [[torch.as_tensor(dataset[i][0]) for i in range(0, len(dataset), step)][:32] for _ in range(2)]
    first, second = (torch.stack(look) for look in looks)
    return first, second


def alike(training: Sample, tested: Sample) -> Finding:
    """Whether training and test pictures have about the same brightness."""
    why = "a network must be tested on pictures normalised as those that it is trained on"
    (a, spread_a), (b, spread_b) = (
        (x.pictures.float().mean((0, 2, 3)), x.pictures.float().std((0, 2, 3)).clamp(min=1e-6))
        for x in (training, tested)
    )
    far = bool(((a - b).abs() > 0.75 * spread_a).any())
    ratio = spread_b / spread_a
    if not far and bool(((ratio > 0.5) & (ratio < 2)).all()):
        return Finding("test pictures", "of the same brightness as the training's", "ok", why)
    text = ", ".join(f"{m:.2g} ± {s:.2g}" for m, s in ((a.mean(), spread_a.mean()), (b.mean(), spread_b.mean())))
    mend = "Give both loaders the same normalisation."
    return Finding("test pictures", f"normalised otherwise (training and test: {text})", "wrong", why, mend)


def shared(question: str, one: Sample, tested: Sample, loader: Iterable[Any], test: Iterable[Any]) -> Finding:
    """Whether pictures of another loader are test pictures."""
    why = "what was trained on or chosen by the test set is no longer tested by it"
    ours, theirs = ({each.numpy().tobytes() for each in part.pictures} for part in (one, tested))
    same = len(ours & theirs)
    ours_set, theirs_set = (getattr(each, "dataset", each) for each in (loader, test))
    mend = "Hold a part of the training set out, choose by it, and look at the test set once."
    if ours_set is theirs_set:
        return Finding(question, "the very test set", "wrong", why, mend)
    if same:
        return Finding(question, f"{same} of {len(ours)} pictures are test pictures", "wrong", why, mend)
    return Finding(question, "no test picture among those looked at", "ok", why)
