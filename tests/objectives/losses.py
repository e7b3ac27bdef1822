"""Every loss of ours, as one of (student, teacher, labels), beside its reference and what holds of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import references as r
import torch
from torch import Tensor, nn

from limbeck import objectives as o
from limbeck.objectives.cc import cc_kernel_loss
from limbeck.objectives.factor import paraphraser_loss

Loss = Callable[[Tensor, Tensor, Tensor], Tensor]

CLASSES = 6
LABELS = torch.tensor([3, -1, 0, 5, 3])
ROWS, TOKENS, MAPS = (5, CLASSES), (5, 7, 2), (3, 4, 4, 4)
TEMPERATURES = (2, 3, 4, 5, 6)
VARIANCE, MARGIN = torch.tensor([0.5, 2.0, 5.0, 1.0]), torch.tensor([-0.25, -1.25, -0.5, 0.0])
WEIGHTS = torch.tensor([[0.75, 0.25], [0.125, 0.875]])
LINEAR = nn.Linear(4, CLASSES)
nn.init.normal_(LINEAR.weight, generator=torch.Generator().manual_seed(7))


@dataclass(frozen=True)
class Case:
    """A loss.

    Attributes:
        holds: what is true of it, as words. "teacher": it has one. "zero": 0 where the student equals the teacher, and
            nowhere less. "least": nowhere less than there. "shift": a constant added to a picture's logits changes
            nothing. "batch": it does not depend on the size of the batch. "labels": unlabelled pictures do not count.
        ours, theirs: shapes of the student's and the teacher's input.
        equal: the student that equals a teacher.
    """

    loss: Loss
    reference: Loss
    holds: str
    ours: tuple[int, ...] = ROWS
    theirs: tuple[int, ...] | None = None
    equal: Callable[[Tensor], Tensor] = torch.clone

    def inputs(self, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
        draws = torch.Generator().manual_seed(5)
        scale = 2 if self.ours == ROWS else 1
        student, teacher = (
            scale * torch.randn(shape, generator=draws) for shape in (self.ours, self.theirs or self.ours)
        )
        return student.to(dtype).requires_grad_(), teacher.to(dtype).requires_grad_(), LABELS[: len(student)]


def split(maps: Tensor) -> tuple[Tensor, Tensor]:
    """Two stages of a network."""
    return maps[:, :3], maps[:, 3:]


def projections(maps: Tensor) -> list[list[Tensor]]:
    """Of two layers of a student for two of a teacher."""
    return [[maps[:, :1], maps[:, 1:3]], [maps[:, 3:4], maps[:, 4:]]]


def layers(maps: Tensor) -> list[Tensor]:
    return [maps[:, :1], maps[:, 1:]]


def semckd(s: Tensor, t: Tensor, y: Tensor) -> Tensor:
    return o.semckd_loss(projections(s), layers(t), WEIGHTS.expand(len(s), 2, 2))


DIVERGENCE = "teacher zero shift batch"
HINT = "teacher zero batch"
LOGITS: dict[str, Case] = {
    "kd": Case(lambda s, t, y: o.kd_loss(s, t, 4), lambda s, t, y: r.kd(s, t, 4), DIVERGENCE),
    "ctkd": Case(lambda s, t, y: o.ctkd_loss(s, t, torch.tensor(2.5)), lambda s, t, y: r.kd(s, t, 2.5), DIVERGENCE),
    "dml": Case(
        lambda s, t, y: o.dml_loss(s, [t, -t]), lambda s, t, y: r.kd(s, t, 1) + r.kd(s, -t, 1), "teacher shift batch"
    ),
    "dml paper": Case(
        lambda s, t, y: o.dml_loss(s, [t, -t], "paper"),
        lambda s, t, y: (r.kd(s, t, 1) + r.kd(s, -t, 1)) / 2,
        "teacher shift batch",
    ),
    "logit_mse": Case(lambda s, t, y: o.logit_mse_loss(s, t), lambda s, t, y: r.mean_square(s, t), HINT),
    "logit_mse paper": Case(
        lambda s, t, y: o.logit_mse_loss(s, t, "paper"), lambda s, t, y: r.sum_of_squares(s, t) / 2, HINT
    ),
    "dkd": Case(
        lambda s, t, y: o.dkd_loss(s, t, y, 4, 0.5, 3),
        lambda s, t, y: r.dkd(s, t, y, 4, 0.5, 3),
        f"{DIVERGENCE} labels",
    ),
    "dist": Case(
        lambda s, t, y: o.dist_loss(s, t, 4, 2, 3), lambda s, t, y: r.dist(s, t, 4, 2, 3), "teacher zero shift"
    ),
    "nkd": Case(
        lambda s, t, y: o.nkd_loss(s, t, y, 3, 3.5),
        lambda s, t, y: r.nkd(s, t, y, 3, 3.5),
        "teacher shift batch labels",
    ),
    "ttm": Case(lambda s, t, y: o.ttm_loss(s, t, 0.5), lambda s, t, y: r.ttm(s, t, 0.5, False), "teacher shift batch"),
    "wttm": Case(lambda s, t, y: o.wttm_loss(s, t, 0.5), lambda s, t, y: r.ttm(s, t, 0.5, True), "teacher shift batch"),
    **{
        f"mlld {masks}": Case(
            lambda s, t, y, masks=masks: o.mlld_loss(s, t, TEMPERATURES, masks),
            lambda s, t, y, masks=masks: r.mlld(s, t, TEMPERATURES, masks),
            "teacher zero shift",
        )
        for masks in ("released", "elementwise", "none")
    },
    "wsld": Case(
        lambda s, t, y: o.wsld_loss(s, t, y, 4), lambda s, t, y: r.wsld(s, t, y, 4), "teacher shift batch labels"
    ),
    "ofa": Case(
        lambda s, t, y: o.ofa_loss(s, t, y), lambda s, t, y: r.ofa(s, t, y, 1, 1, 1), "teacher least shift batch labels"
    ),
    "ofa 1.5": Case(
        lambda s, t, y: o.ofa_loss(s, t, y, 1.5, 2),
        lambda s, t, y: r.ofa(s, t, y, 1.5, 2, 1.5),
        "teacher shift batch labels",
    ),
    "ofa 0.5 paper": Case(
        lambda s, t, y: o.ofa_loss(s, t, y, 0.5, form="paper"),
        lambda s, t, y: r.ofa(s, t, y, 0.5, 1, 1),
        "teacher shift batch labels",
    ),
    "tf_kd": Case(
        lambda s, t, y: o.tf_kd_loss(s, y, 20, 0.9), lambda s, t, y: r.tf_kd(s, y, 20, 0.9, 1), "shift batch labels"
    ),
    "tf_kd paper": Case(
        lambda s, t, y: o.tf_kd_loss(s, y, 4, 0.9, "paper"),
        lambda s, t, y: r.tf_kd(s, y, 4, 0.9, 4),
        "shift batch labels",
    ),
    "cross_entropy": Case(
        lambda s, t, y: o.cross_entropy(s, y, 0.1), lambda s, t, y: r.cross_entropy(s, y, 0.1), "shift batch labels"
    ),
    "standardised kd": Case(
        lambda s, t, y: o.standardised(o.kd_loss)(s, t, 2),
        lambda s, t, y: r.kd(r.standardise(s), r.standardise(t), 2),
        DIVERGENCE,
    ),
    "standardised dkd": Case(
        lambda s, t, y: o.standardised(o.dkd_loss)(s, t, y, 2, 1, 8),
        lambda s, t, y: r.dkd(r.standardise(s), r.standardise(t), y, 2, 1, 8),
        f"{DIVERGENCE} labels",
    ),
}
FEATURES: dict[str, Case] = {
    "fitnet": Case(lambda s, t, y: o.fitnet_loss(s, t), lambda s, t, y: r.mean_square(s, t), HINT, MAPS),
    "fitnet paper": Case(
        lambda s, t, y: o.fitnet_loss(s, t, "paper"), lambda s, t, y: r.sum_of_squares(s, t) / 2, HINT, TOKENS
    ),
    "attention": Case(
        lambda s, t, y: o.attention_loss(s, t),
        lambda s, t, y: r.mean_square(r.attention(s), r.attention(t)),
        HINT,
        MAPS,
        (3, 6, 4, 4),
    ),
    "attention paper": Case(
        lambda s, t, y: o.attention_loss(s, t, "paper"),
        lambda s, t, y: r.attention_lengths(s, t),
        HINT,
        MAPS,
        (3, 6, 4, 4),
    ),
    "nst": Case(lambda s, t, y: o.nst_loss(s, t), lambda s, t, y: r.nst(s, t), HINT, MAPS, (3, 6, 4, 4)),
    "nst narrow": Case(lambda s, t, y: o.nst_loss(s, t), lambda s, t, y: r.nst(s, t), HINT, (3, 6, 2, 2), (3, 7, 2, 2)),
    "sp": Case(lambda s, t, y: o.sp_loss(s, t), lambda s, t, y: r.sp(s, t), "teacher zero", (5, 2, 2, 1), (5, 7)),
    "cc": Case(lambda s, t, y: o.cc_loss(s, t), lambda s, t, y: r.cc(s, t), "teacher zero", (5, 4)),
    "cc kernel": Case(
        lambda s, t, y: cc_kernel_loss(s, t), lambda s, t, y: r.cc_kernel(s, t, 0.4, 2), "teacher zero", (5, 4), (5, 7)
    ),
    "pkt": Case(
        lambda s, t, y: o.pkt_loss(s, t), lambda s, t, y: r.pkt(s, t, "released"), "teacher zero", (5, 4), (5, 7)
    ),
    "pkt paper": Case(
        lambda s, t, y: o.pkt_loss(s, t, "paper"), lambda s, t, y: r.pkt(s, t, "paper"), "teacher zero", (5, 4), (5, 7)
    ),
    "rkd distance": Case(
        lambda s, t, y: o.rkd_distance_loss(s, t),
        lambda s, t, y: r.rkd_distance(s, t),
        "teacher zero",
        (5, 2, 2, 1),
        (5, 7),
    ),
    "rkd angle": Case(
        lambda s, t, y: o.rkd_angle_loss(s, t), lambda s, t, y: r.rkd_angle(s, t), "teacher zero", (5, 2, 2, 1), (5, 7)
    ),
    "vid": Case(
        lambda s, t, y: o.vid_loss(s, t, VARIANCE), lambda s, t, y: r.vid(s, t, VARIANCE), "teacher least batch", MAPS
    ),
    "vid paper": Case(
        lambda s, t, y: o.vid_loss(s, t, VARIANCE, "paper"),
        lambda s, t, y: 4 * 4 * 4 * r.vid(s, t, VARIANCE),
        "teacher least batch",
        MAPS,
    ),
    "fsp": Case(
        lambda s, t, y: o.fsp_loss(split(s), split(t)), lambda s, t, y: r.fsp(split(s), split(t)), HINT, (3, 7, 4, 4)
    ),
    "fsp paper": Case(
        lambda s, t, y: o.fsp_loss(split(s), split(t), "paper"),
        lambda s, t, y: 3 * 4 * r.fsp(split(s), split(t)),
        HINT,
        (3, 7, 4, 4),
    ),
    "ab": Case(
        lambda s, t, y: o.ab_loss(s, t, later_layers=2),
        lambda s, t, y: r.ab(s, t, 1) * 0.003 / 4,
        "teacher batch",
        MAPS,
    ),
    "ab paper": Case(
        lambda s, t, y: o.ab_loss(s, t, 0.5, form="paper"), lambda s, t, y: r.ab(s, t, 0.5), "teacher batch", TOKENS
    ),
    **{
        f"factor {form}": Case(
            lambda s, t, y, form=form: o.factor_loss(s, t, form),
            lambda s, t, y, form=form: r.factor(s, t, form),
            HINT,
            MAPS,
        )
        for form in ("released", "authors", "paper")
    },
    "paraphraser": Case(lambda s, t, y: paraphraser_loss(s, t), lambda s, t, y: r.mean_square(s, t), HINT, MAPS),
    "paraphraser authors": Case(
        lambda s, t, y: paraphraser_loss(s, t, "authors"), lambda s, t, y: (s - t).abs().mean(), HINT, MAPS
    ),
    "paraphraser paper": Case(
        lambda s, t, y: paraphraser_loss(s, t, "paper"), lambda s, t, y: r.sum_of_squares(s, t), HINT, MAPS
    ),
    "ofd": Case(
        lambda s, t, y: o.ofd_loss(s, t, MARGIN, 1), lambda s, t, y: r.ofd(s, t, MARGIN) / 2, "teacher batch", MAPS
    ),
    "crd": Case(lambda s, t, y: o.crd_loss(s[:, 0], s[:, 1:], y), lambda s, t, y: r.crd(s, y), "batch labels", (5, 8)),
    "semckd": Case(
        semckd,
        lambda s, t, y: r.semckd(projections(s), layers(t), WEIGHTS),
        HINT,
        (3, 6, 4, 4),
        (3, 3, 4, 4),
        lambda t: t.repeat(1, 2, 1, 1),
    ),
    "srrl": Case(
        lambda s, t, y: o.srrl_loss(s, t, LINEAR), lambda s, t, y: r.srrl(s, t, LINEAR.weight.detach()), HINT, (5, 4)
    ),
    "hcl": Case(lambda s, t, y: o.hcl_loss(s, t), lambda s, t, y: r.hcl(s, t), HINT, MAPS),
    "simkd": Case(
        lambda s, t, y: o.simkd_loss(s, t),
        lambda s, t, y: r.mean_square(s, r.pooled(t, 2)),
        HINT,
        (3, 4, 2, 2),
        MAPS,
        lambda t: t.unfold(2, 2, 2).unfold(3, 2, 2).mean((4, 5)),
    ),
}
CASES = LOGITS | FEATURES
