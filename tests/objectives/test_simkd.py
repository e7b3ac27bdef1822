"""The reused classifier: its loss against plain arithmetic, the projector, and the student that it makes."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.models import Ensemble
from limbeck.models.model import Model
from limbeck.models.reused import Projector, ReusedHeadStudent
from limbeck.objectives import Known, SimKD
from limbeck.objectives.simkd import simkd_loss


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TestLoss:
    def test_by_hand(self) -> None:
        student = torch.tensor([[[[1.0, 2.0]], [[0.0, -1.0]]]])  # (1, 2, 1, 2)
        teacher = torch.tensor([[[[0.0, 2.0]], [[3.0, 1.0]]]])
        loss = simkd_loss(student, teacher)
        assert loss.shape == ()
        assert float(loss) == pytest.approx((1 + 0 + 9 + 4) / 4)

    def test_a_larger_teacher_is_averaged_down(self) -> None:
        teacher = torch.tensor([[[[1.0, 3.0], [5.0, 7.0]]]])
        assert float(simkd_loss(torch.zeros(1, 1, 1, 1), teacher)) == 16
        assert float(simkd_loss(torch.zeros(1, 1, 2, 1), teacher)) == pytest.approx((2**2 + 6**2) / 2)

    def test_zero_at_equal_features_and_independent_of_the_size_of_the_batch(self) -> None:
        student, teacher = features(4, 3, 2, 2), features(4, 3, 2, 2, seed=1)
        assert float(simkd_loss(student, student.clone())) == 0
        repeated = simkd_loss(student.repeat(3, 1, 1, 1), teacher.repeat(3, 1, 1, 1))
        torch.testing.assert_close(repeated, simkd_loss(student, teacher))

    def test_the_gradient_and_none_for_the_teacher(self) -> None:
        student, teacher = features(4, 3, 2, 2).requires_grad_(), features(4, 3, 2, 2, seed=1).requires_grad_()
        simkd_loss(student, teacher).backward()
        assert teacher.grad is None
        torch.testing.assert_close(student.grad, (2 * (student - teacher) / 48).detach())

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, dtype: torch.dtype) -> None:
        student, teacher = features(2, 3, 2, 2).to(dtype), features(2, 3, 6, 6, seed=1).to(dtype)
        loss = simkd_loss(student, teacher)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, simkd_loss(student.float(), teacher.float()))

    @pytest.mark.parametrize("scale", [0.0, 1e4])
    def test_hard_inputs_stay_finite(self, scale: float) -> None:
        student = features(1, 3, 1, 1, scale=scale).requires_grad_()
        loss = simkd_loss(student, features(1, 3, 5, 5, seed=1, scale=-scale))
        loss.backward()
        assert loss.isfinite()
        assert student.grad is not None
        assert student.grad.isfinite().all()

    @pytest.mark.parametrize("shape", [(2, 4, 4, 4), (3, 3, 4, 4), (2, 3, 2, 8), (2, 3, 1, 1), (2, 3)])
    def test_shapes_that_do_not_fit(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(LimbeckError, match=r"^student feature maps \(2, 3, 4, 4\) and teacher feature maps \("):
            simkd_loss(features(2, 3, 4, 4), features(*shape))

    def test_it_compiles_in_one_piece(self) -> None:
        student, teacher = features(2, 3, 2, 2), features(2, 3, 4, 4, seed=1)
        compiled = torch.compile(simkd_loss, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(student, teacher), simkd_loss(student, teacher))


class TestProjector:
    @pytest.mark.parametrize(
        ("student", "teacher", "size"),
        [
            ((6, 4, 4), (8, 4, 4), (4, 4)),
            ((6, 8, 8), (8, 4, 4), (4, 4)),
            ((6, 4, 4), (8, 8, 8), (4, 4)),
            ((6, 4, 9), (8, 8, 3), (4, 3)),
            ((6, 1, 1), (8, 1, 1), (1, 1)),
        ],
    )
    def test_shapes(self, student: tuple[int, int, int], teacher: tuple[int, int, int], size: tuple[int, int]) -> None:
        projected = Projector(student, teacher)(features(2, *student))
        assert projected.shape == (2, 8, *size)
        assert (projected >= 0).all()  # a teacher's features behind its ReLU
        assert simkd_loss(projected, features(2, *teacher)).isfinite()

    def test_a_larger_map_is_averaged_first(self) -> None:
        projector = Projector((3, 4, 4), (8, 2, 2)).eval()
        maps = features(2, 3, 4, 4)
        averages = maps.unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
        torch.testing.assert_close(projector(maps), projector.layers(averages))

    @pytest.mark.parametrize(("factor", "inner"), [(1, 8), (2, 4), (8, 1), (20, 1)])
    def test_the_middle_is_narrow(self, factor: int, inner: int) -> None:
        projector = Projector((3, 4, 4), (8, 4, 4), factor)
        convolutions = [layer for layer in projector.layers if isinstance(layer, nn.Conv2d)]
        assert [tuple(layer.weight.shape) for layer in convolutions] == [
            (inner, 3, 1, 1),
            (inner, inner, 3, 3),
            (8, inner, 1, 1),
        ]
        assert [layer.bias for layer in convolutions] == [None, None, None]

    def test_the_papers_factor(self) -> None:
        assert sum(map(torch.numel, Projector((3, 4, 4), (8, 4, 4)).parameters())) == 3 * 4 + 16 * 9 + 32 + 2 * 16

    def test_one_value_a_channel(self) -> None:
        projector = Projector((3, 1, 1), (4, 1, 1))
        with pytest.raises(LimbeckError, match=r"^maps of shape \(1, 3, 1, 1\) have one value a channel, .* 2 or more"):
            projector(features(1, 3, 1, 1))
        assert projector.eval()(features(1, 3, 1, 1)).isfinite().all()
        assert Projector((3, 2, 1), (4, 2, 1))(features(1, 3, 2, 1)).isfinite().all()


class TestObjective:
    def known(self, teacher: nn.Module) -> Known:
        torch.manual_seed(0)
        student = Model(name="nin_cifar", width=0.1).build(5, ((0.5,) * 3, (0.25,) * 3))
        return Known(student, teacher, torch.rand(3, 32, 32), torch.arange(5), 5)

    def teacher(self) -> nn.Module:
        return Model(name="wrn_16_2", width=0.25).build(5, ((0.5,) * 3, (0.25,) * 3)).eval()

    def test_what_it_taps(self) -> None:
        known = self.known(self.teacher())
        changed = known.of(SimKD().student(known))
        assert SimKD().taps(changed) == (("projector",), ("features",))
        assert changed.student.shape("projector") == changed.teacher.shape("features")

    def test_without_weight_the_student_stays_as_it_is(self) -> None:
        known = self.known(self.teacher())
        plain = SimKD(weight=0, labels=1)
        assert plain.student(known) is known.student_network
        assert plain.taps(known) == ((), ())

    def test_a_head_that_wants_larger_maps_than_there_are(self) -> None:
        teacher = nn.Sequential(
            OrderedDict(maps=nn.Conv2d(3, 4, 3, padding=1), flat=nn.Flatten(), linear=nn.Linear(4 * 32 * 32, 5))
        ).eval()
        taps = {"student_taps": ("features.stage3",), "teacher_taps": ("maps",)}
        wanted = r"behind 'maps' takes maps \(4, 32, 32\) alone, and the student's \(19, 8, 8\) at 'features\.stage3'"
        with pytest.raises(LimbeckError, match=wanted):
            SimKD(**taps).student(self.known(teacher))

    @pytest.mark.parametrize(
        ("fields", "several", "message"),
        [
            ({}, True, r"^simkd compares features, and there are several teachers, each with its own\."),
            (
                {
                    "student_taps": ("features.stage2", "features.stage3"),
                    "teacher_taps": ("features.stage2", "features.stage3"),
                },
                False,
                r"^simkd cuts each network once, but 2 taps are named\. Name one of each\.$",
            ),
            (
                {"student_taps": ("features.stage3",), "teacher_taps": ("classifier",)},
                False,
                r"^simkd projects maps, but 'classifier' gives \(5,\) for a picture\. Tap a convolution\.$",
            ),
        ],
    )
    def test_what_cannot_be_done(self, fields: dict[str, Any], several: bool, message: str) -> None:
        teacher = Ensemble([self.teacher(), self.teacher()]) if several else self.teacher()
        with pytest.raises(LimbeckError, match=message):
            SimKD(**fields).student(self.known(teacher))


class TestStudent:
    def make(self) -> tuple[nn.Module, ReusedHeadStudent]:
        torch.manual_seed(0)
        head = nn.Sequential(
            OrderedDict(
                pool=nn.AdaptiveAvgPool2d(1),
                flat=nn.Flatten(),
                normalise=nn.BatchNorm1d(6),
                drop=nn.Dropout(0.5),
                linear=nn.Linear(6, 10),
            )
        )
        backbone = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ReLU())
        return head, ReusedHeadStudent(backbone, Projector((4, 4, 4), (6, 2, 2)), head)

    def test_backbone_projector_and_head_in_this_order(self) -> None:
        head, student = self.make()
        images = features(2, 3, 8, 8)
        student.eval()
        expected = head.eval()(student.projector(student.backbone(images)))
        torch.testing.assert_close(student(images), expected)
        assert student(images).shape == (2, 10)

    def test_the_head_stays_as_the_teacher_had_it(self) -> None:
        head, student = self.make()
        before = {name: value.clone() for name, value in student.state_dict().items()}
        optimizer = torch.optim.SGD(student.parameters(), lr=0.1, weight_decay=0.1, momentum=0.9)
        student.train()
        for step in range(2):
            images = features(4, 3, 8, 8, seed=step)
            loss = simkd_loss(student.projector(student.backbone(images)), features(4, 6, 2, 2))
            (loss + student(images).square().sum()).backward()
            optimizer.step()
        changed = {name for name, value in student.state_dict().items() if not torch.equal(value, before[name])}
        assert not {name for name in changed if name.startswith("head.")}
        assert {name.split(".")[0] for name in changed} == {"backbone", "projector"}
        assert all(weight.requires_grad for weight in head.parameters())  # the teacher's own head was not touched

    def test_modes(self) -> None:
        _, student = self.make()
        assert not any(module.training for module in student.head.modules())
        assert student.train() is student
        assert student.projector.training
        assert not any(module.training for module in student.head.modules())
        assert not any(module.training for module in student.eval().modules())
