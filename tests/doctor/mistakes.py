"""The known mistakes of public code, each as small as it can be."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def _log(z: Tensor) -> Tensor:
    return F.log_softmax(z, dim=1)


def _p(z: Tensor) -> Tensor:
    return F.softmax(z, dim=1)


def _kl(student: Tensor, teacher: Tensor, T: float) -> Tensor:
    return F.kl_div(_log(student / T), _p(teacher.detach() / T), reduction="batchmean")


def sound(student: Tensor, teacher: Tensor, labels: Tensor, T: float = 4.0) -> Tensor:
    return 0.1 * F.cross_entropy(student, labels) + 0.9 * T**2 * _kl(student, teacher, T)


def reduction_mean(student: Tensor, teacher: Tensor, T: float = 4.0) -> Tensor:
    return T**2 * F.kl_div(_log(student / T), _p(teacher.detach() / T), reduction="mean")


def reduction_mean_and_labels(student: Tensor, teacher: Tensor, labels: Tensor, T: float = 4.0) -> Tensor:
    return 0.5 * F.cross_entropy(student, labels) + reduction_mean(student, teacher, T)


def reduction_sum(student: Tensor, teacher: Tensor, T: float = 4.0) -> Tensor:
    return T**2 * F.kl_div(_log(student / T), _p(teacher.detach() / T), reduction="sum")


def no_t_squared(student: Tensor, teacher: Tensor, T: float = 4.0) -> Tensor:
    return _kl(student, teacher, T)


def t_and_not_squared(student: Tensor, teacher: Tensor, T: float = 4.0) -> Tensor:
    return T * _kl(student, teacher, T)


def no_t_squared_without_labels(
    student: Tensor, teacher: Tensor, labels: Tensor | None = None, temperature: float = 4.0
) -> Tensor:
    soft = _kl(student, teacher, temperature)
    return soft if labels is None else temperature**2 * soft + F.cross_entropy(student, labels)


def no_t_squared_and_t_fixed(student: Tensor, teacher: Tensor) -> Tensor:
    return _kl(student, teacher, 4.0)


def the_labs(student: Tensor, teacher: Tensor) -> Tensor:
    return F.cross_entropy(_p(student / 5), _p(teacher.detach() / 5))


def twice_and_labels(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(student, labels) + 16 * F.cross_entropy(_p(student / 4), _p(teacher.detach() / 4))


def twice_at_an_odd_temperature(student: Tensor, teacher: Tensor) -> Tensor:
    smooth = 0.9 * _p(teacher.detach() / 3.3) + 0.01
    return F.cross_entropy(_p(student / 3.3), smooth)


def twice_on_both_sides(student: Tensor, teacher: Tensor) -> Tensor:
    return _kl(_p(student), _p(teacher), 1.0)


def twice_in_the_teacher(student: Tensor, teacher: Tensor, T: float = 4.0) -> Tensor:
    return T**2 * F.cross_entropy(student / T, _p(_p(teacher.detach() / T)))


def twice_in_an_odd_teacher(student: Tensor, teacher: Tensor) -> Tensor:
    return F.cross_entropy(student / 3.3, _p(_p(teacher.detach() / 1.7)))


def not_detached(student: Tensor, teacher: Tensor, T: float = 4.0) -> Tensor:
    return T**2 * F.kl_div(_log(student / T), _p(teacher / T), reduction="batchmean")


def arguments_swapped(first: Tensor, second: Tensor, T: float = 4.0) -> Tensor:
    return T**2 * _kl(second, first, T)


def kl_div_swapped(student: Tensor, teacher: Tensor, T: float = 4.0) -> Tensor:
    return T**2 * F.kl_div(_log(teacher.detach() / T), _p(student / T), reduction="batchmean")


def log_target_missing(student: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(_log(student), _log(teacher.detach()), reduction="batchmean")


def log_target_unasked(student: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(_log(student), _p(teacher.detach()), reduction="batchmean", log_target=True)


def no_logarithm(student: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(_p(student), _p(teacher.detach()), reduction="batchmean")


def raw_logits(student: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(student, teacher.detach(), reduction="batchmean")


def softmax_in_place(student: Tensor, teacher: Tensor) -> Tensor:
    soft = torch.softmax(teacher.detach(), dim=1, out=None)
    teacher.data.copy_(soft)
    return F.cross_entropy(student, soft)


def divided_in_place(student: Tensor, teacher: Tensor, T: float = 4.0) -> Tensor:
    student /= T
    return T**2 * F.cross_entropy(student, _p(teacher.detach() / T))


def overwritten_before_backward(student: Tensor, teacher: Tensor) -> Tensor:
    probabilities = _p(student)
    loss = (probabilities - _p(teacher.detach())).square().mean()
    probabilities.zero_()
    return loss


def over_the_batch(student: Tensor, teacher: Tensor) -> Tensor:
    return F.kl_div(F.log_softmax(student, dim=0), F.softmax(teacher.detach(), dim=0), reduction="batchmean")


def student_detached(student: Tensor, teacher: Tensor) -> Tensor:
    return F.cross_entropy(student.detach(), _p(teacher.detach()))


def log_of_softmax(student: Tensor, teacher: Tensor) -> Tensor:
    return -(_p(teacher.detach()) * _p(student).log()).sum(1).mean()


def divides_by_the_deviation(student: Tensor, teacher: Tensor) -> Tensor:
    ours, theirs = (z / z.std(dim=1, keepdim=True) for z in (student, teacher.detach()))
    return _kl(ours, theirs, 1.0)


def sums_in_half(student: Tensor, teacher: Tensor) -> Tensor:
    return (100 * (student - teacher.detach())).square().mean()


def masked_labels_are_nan(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    return F.cross_entropy(student, labels, ignore_index=-1) + _kl(student, teacher, 1.0)


def last_class_for_unlabelled(student: Tensor, teacher: Tensor, labels: Tensor) -> Tensor:
    hard = -_log(student)[torch.arange(len(labels)), labels].mean()
    return hard + _kl(student, teacher, 1.0)


def wrong_sign(student: Tensor, teacher: Tensor) -> Tensor:
    return -(student - teacher.detach()).square().mean()


def _correlation(a: Tensor, b: Tensor, dim: int) -> Tensor:
    a, b = a - a.mean(dim, keepdim=True), b - b.mean(dim, keepdim=True)
    return F.cosine_similarity(a, b, dim=dim).mean()


def wrong_sign_between_classes(student: Tensor, teacher: Tensor) -> Tensor:
    """DIST with the sign of its channel relation flipped."""
    ours, theirs = _p(student), _p(teacher.detach())
    return 1 - _correlation(ours, theirs, 1) + 2 * _correlation(ours, theirs, 0)


def noisy(student: Tensor, teacher: Tensor) -> Tensor:
    return _kl(F.dropout(student, 0.5), teacher, 1.0)


class HiddenSigma(nn.Module):
    """VID's variances, kept in a plain list."""

    def __init__(self) -> None:
        super().__init__()
        self.sigmas = [nn.Parameter(torch.ones(1))]

    def forward(self, student: Tensor, teacher: Tensor) -> Tensor:
        spread = self.sigmas[0].exp()
        return ((student - teacher.detach()).square() / spread + spread.log()).mean()


class RegisteredSigma(HiddenSigma):
    def __init__(self) -> None:
        super().__init__()
        self.sigmas = nn.ParameterList([nn.Parameter(torch.ones(1))])  # type: ignore[assignment]
