"""The losses written down a second time, from the formulas: plainly, in float64, with nothing of ours in them.

Gradients are those of the same lines. Labels of -1 are skipped, picture by picture.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Row = Callable[[Tensor, Tensor, int], Tensor]


def soft(logits: Tensor, temperature: float = 1) -> Tensor:
    powers = (logits / temperature).exp()
    return powers / powers.sum(-1, keepdim=True)


def kl(wanted: Tensor, said: Tensor) -> Tensor:
    return (wanted * (wanted / said).log()).sum(-1)


def over_labelled(row: Row, student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    rows = zip(student, teacher, labels.tolist(), strict=True)
    return torch.stack([row(ours, theirs, label) for ours, theirs, label in rows if label >= 0]).mean()


def kd(student: Tensor, teacher: Tensor, temperature: float) -> Tensor:
    return temperature**2 * kl(soft(teacher, temperature), soft(student, temperature)).mean()


def cross_entropy(student: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    def row(ours: Tensor, _: Tensor, label: int) -> Tensor:
        logs = soft(ours).log()
        return -(1 - smoothing) * logs[label] - smoothing * logs.mean()

    return over_labelled(row, student, student, labels)


def tf_kd(student: Tensor, labels: Tensor, temperature: float, correct: float, students: float) -> Tensor:
    def row(ours: Tensor, _: Tensor, label: int) -> Tensor:
        virtual = torch.full_like(ours, (1 - correct) / (len(ours) - 1)).detach()
        virtual[label] = correct
        return kl(soft(virtual, temperature), soft(ours, students))

    return over_labelled(row, student, student, labels)


def others(probabilities: Tensor, label: int) -> Tensor:
    rest = torch.cat([probabilities[:label], probabilities[label + 1 :]])
    return rest / rest.sum()


def dkd(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, alpha: float, beta: float) -> Tensor:
    def row(ours: Tensor, theirs: Tensor, label: int) -> Tensor:
        s, t = soft(ours, temperature), soft(theirs, temperature)
        pairs = [torch.stack([p[label], 1 - p[label]]) for p in (t, s)]
        return temperature**2 * (alpha * kl(*pairs) + beta * kl(others(t, label), others(s, label)))

    return over_labelled(row, student, teacher, labels)


def nkd(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float, gamma: float) -> Tensor:
    def row(ours: Tensor, theirs: Tensor, label: int) -> Tensor:
        hats = [others(soft(logits, temperature), label) for logits in (theirs, ours)]
        first = soft(theirs)[label] * soft(ours)[label].log()
        return -first - gamma * temperature**2 * (hats[0] * hats[1].log()).sum()

    return over_labelled(row, student, teacher, labels)


def wsld(student: Tensor, teacher: Tensor, labels: Tensor, temperature: float) -> Tensor:
    def row(ours: Tensor, theirs: Tensor, label: int) -> Tensor:
        errors = [-math.log(float(soft(logits.detach())[label])) for logits in (ours, theirs)]
        weight = 1 - math.exp(-errors[0] / (errors[1] + 1e-7))
        return -(temperature**2) * weight * (soft(theirs, temperature) * soft(ours, temperature).log()).sum()

    return over_labelled(row, student, teacher, labels)


def ofa(student: Tensor, teacher: Tensor, labels: Tensor, eps: float, temperature: float, power: float) -> Tensor:
    def row(ours: Tensor, theirs: Tensor, label: int) -> Tensor:
        s, t = soft(ours, temperature), soft(theirs, temperature)
        weights = [(1 + t[c]) ** eps - 1 if c == label else t[c] ** power for c in range(len(t))]
        return -(torch.stack(weights) * s.log()).sum()

    return over_labelled(row, student, teacher, labels)


def ttm(student: Tensor, teacher: Tensor, gamma: float, weighted: bool) -> Tensor:
    powers = soft(teacher) ** gamma
    sums = powers.sum(1)
    divergences = kl(powers / sums[:, None], soft(student))
    return (sums * divergences).mean() if weighted else divergences.mean()


def pearson(one: Tensor, other: Tensor) -> Tensor:
    one, other = one - one.mean(), other - other.mean()
    return (one * other).sum() / ((one**2).sum().sqrt() * (other**2).sum().sqrt() + 1e-8)


def dist(student: Tensor, teacher: Tensor, temperature: float, beta: float, gamma: float) -> Tensor:
    s, t = soft(student, temperature), soft(teacher, temperature)
    rows = torch.stack([*map(pearson, s, t)]).mean()
    columns = torch.stack([*map(pearson, s.T, t.T)]).mean()
    return temperature**2 * (beta * (1 - rows) + gamma * (1 - columns))


def median_or_less(values: Tensor) -> Tensor:
    ordered = values.sort().values
    middle = (ordered[(len(ordered) - 1) // 2] + ordered[len(ordered) // 2]) / 2
    return (values <= middle).double()


def mlld(student: Tensor, teacher: Tensor, temperatures: Sequence[float], masks: str) -> Tensor:
    plain = soft(teacher)
    pictures, classes = median_or_less(plain.max(1).values), median_or_less(plain.sum(0))
    if masks == "none":
        pictures, classes = torch.ones_like(pictures), torch.ones_like(classes)
    if masks == "released":
        pictures, classes = torch.ones_like(pictures) * pictures.mean(), torch.ones_like(classes) * classes.mean()
    total = torch.zeros((), dtype=torch.float64)
    for temperature in temperatures:
        s, t = soft(student, temperature), soft(teacher, temperature)
        total = total + temperature**2 * (pictures * kl(t, s)).mean()
        total = total + (pictures * (t @ t.T - s @ s.T) ** 2).sum() / len(s)
        total = total + (classes * (t.T @ t - s.T @ s) ** 2).sum() / s.shape[1]
    return total


def standardise(logits: Tensor) -> Tensor:
    return (logits - logits.mean(1, keepdim=True)) / (logits.std(1, keepdim=True) + 1e-7)


def mean_square(student: Tensor, teacher: Tensor) -> Tensor:
    return ((student - teacher) ** 2).sum() / student.numel()


def sum_of_squares(student: Tensor, teacher: Tensor) -> Tensor:
    """Of each picture, averaged over the batch."""
    return ((student - teacher) ** 2).sum() / len(student)


def attention(maps: Tensor) -> Tensor:
    energy = (maps**2).sum(1).flatten(1)
    return energy / (energy**2).sum(1, keepdim=True).sqrt()


def attention_lengths(student: Tensor, teacher: Tensor) -> Tensor:
    return ((attention(student) - attention(teacher)) ** 2).sum(1).sqrt().mean() / 2


def unit(features: Tensor) -> Tensor:
    flat = features.flatten(1)
    return flat / (flat**2).sum(1, keepdim=True).sqrt()


def nst(student: Tensor, teacher: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for ours, theirs in zip(student, teacher, strict=True):
        s, t = unit(ours), unit(theirs)
        for one, other, sign in ((t, t, 1), (s, s, 1), (s, t, -2)):
            total = total + sign * torch.stack([(a * b).sum() ** 2 for a in one for b in other]).mean()
    return total / len(student)


def sp(student: Tensor, teacher: Tensor) -> Tensor:
    grams = [features.flatten(1) @ features.flatten(1).T for features in (student, teacher)]
    said, wanted = (gram / (gram**2).sum(1, keepdim=True).sqrt() for gram in grams)
    return ((said - wanted) ** 2).sum() / len(student) ** 2


def cc(student: Tensor, teacher: Tensor) -> Tensor:
    gaps = (student - teacher).abs()
    return sum((gaps[i] * gaps[i + 1]).sum() for i in range(len(gaps) - 1)) / (len(gaps) - 1)  # type: ignore[return-value]


def cc_kernel(student: Tensor, teacher: Tensor, gamma: float, order: int) -> Tensor:
    kernels = []
    for features in (student, teacher):
        x = 2 * gamma * unit(features) @ unit(features).T
        kernels.append(math.exp(-2 * gamma) * sum(x**power / math.factorial(power) for power in range(order + 1)))
    return mean_square(kernels[0], kernels[1])


def pkt(student: Tensor, teacher: Tensor, form: str) -> Tensor:
    closeness = [(unit(features) @ unit(features).T + 1) / 2 for features in (student, teacher)]
    if form == "paper":
        closeness = [table - torch.diag(table.diag()) for table in closeness]
    s, t = (table / table.sum(1, keepdim=True) for table in closeness)
    total = (t * ((t + 1e-7) / (s + 1e-7)).log()).sum()
    return total if form == "paper" else total / len(s) ** 2


def huber(gaps: Tensor) -> Tensor:
    return torch.where(gaps.abs() < 1, gaps**2 / 2, gaps.abs() - 0.5)


def rkd_distance(student: Tensor, teacher: Tensor) -> Tensor:
    sides = []
    for rows in (student.flatten(1), teacher.flatten(1)):
        pairs = [(rows[i] - rows[j]).norm() for i in range(len(rows)) for j in range(len(rows)) if i != j]
        sides.append(torch.stack(pairs) / torch.stack(pairs).mean())
    return huber(sides[0] - sides[1]).sum() / len(student) ** 2


def rkd_angle(student: Tensor, teacher: Tensor) -> Tensor:
    sides = []
    for rows in (student.flatten(1), teacher.flatten(1)):
        cosines = []
        for i in range(len(rows)):
            ways = [(rows[j] - rows[i]) / (rows[j] - rows[i]).norm() for j in range(len(rows)) if j != i]
            cosines += [(a * b).sum() for a in ways for b in ways]
        sides.append(torch.stack(cosines))
    return huber(sides[0] - sides[1]).sum() / len(student) ** 3


def vid(student: Tensor, teacher: Tensor, variance: Tensor) -> Tensor:
    """The mean over all elements."""
    spread = variance.view(-1, 1, 1).double()
    return ((student - teacher) ** 2 / spread + spread.log()).mean() / 2


def fsp(student: Sequence[Tensor], teacher: Sequence[Tensor]) -> Tensor:
    matrices = []
    for earlier, later in (student, teacher):
        matrices.append(torch.einsum("bihw,bjhw->bij", earlier, later) / (earlier.shape[2] * earlier.shape[3]))
    return mean_square(matrices[0], matrices[1])


def ab(student: Tensor, teacher: Tensor, margin: float) -> Tensor:
    on = ((margin - student).clamp(min=0) ** 2)[teacher > 0].sum()
    off = ((margin + student).clamp(min=0) ** 2)[teacher <= 0].sum()
    return (on + off) / len(student)


def ofd(student: Tensor, teacher: Tensor, margin: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for channel, least in enumerate(margin.tolist()):
        s, t = student[:, channel], teacher[:, channel]  # the four cases as the authors first wrote them down
        total = total + ((s - t) ** 2)[(t > 0) | ((t > least) & (s > t))].sum()
        total = total + ((s - least) ** 2)[(t <= least) & (s > least)].sum()
    return total / len(student)


def factor(student: Tensor, teacher: Tensor, form: str) -> Tensor:
    measure = attention if form == "released" else unit
    gaps = (measure(student) - measure(teacher)).abs()
    return gaps.sum() / len(gaps) if form == "paper" else gaps.mean()


def crd(scores: Tensor, labels: Tensor) -> Tensor:
    """Of (B, 1 + K) scores, the positive one first."""

    def row(ours: Tensor, _: Tensor, label: int) -> Tensor:
        h = ours.exp() / (ours.exp() + len(ours) - 1)
        return -h[0].log() - (1 - h[1:]).log().sum()

    return over_labelled(row, scores, scores, labels)


def pooled(maps: Tensor, size: int) -> Tensor:
    """Maps averaged to size x size; their own must be a multiple."""
    batch, channels, height, width = maps.shape
    return maps.reshape(batch, channels, size, height // size, size, width // size).mean((3, 5))


def hcl(student: Tensor, teacher: Tensor) -> Tensor:
    levels = [(student, teacher), *((pooled(student, size), pooled(teacher, size)) for size in (2, 1))]
    return sum(2.0**-depth * mean_square(*pair) for depth, pair in enumerate(levels)) / 1.75  # type: ignore[return-value]


def semckd(student: Sequence[Sequence[Tensor]], teacher: Sequence[Tensor], attention: Tensor) -> Tensor:
    total = torch.zeros((), dtype=torch.float64)
    for layer, row in zip(attention.double(), student, strict=True):
        total = total + sum(w * mean_square(ours, theirs) for w, ours, theirs in zip(layer, row, teacher, strict=True))
    return total / len(student)


def srrl(student: Tensor, teacher: Tensor, weight: Tensor) -> Tensor:
    return mean_square(student, teacher) + mean_square(student @ weight.T.double(), teacher @ weight.T.double())
