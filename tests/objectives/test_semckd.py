"""The loss across layers against plain arithmetic, and the attention that weighs them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.semckd import SemanticAttention, semckd_loss


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def example(batch: int = 4) -> tuple[list[list[Tensor]], list[Tensor], Tensor]:
    """Projections of 2 student layers for 3 teacher layers, the teacher's maps, and an attention."""
    shapes = [[(2, 4, 4), (3, 2, 2), (5, 1, 1)], [(2, 2, 2), (3, 2, 2), (5, 1, 1)]]
    student = [
        [features(batch, *shape, seed=10 * i + j) for j, shape in enumerate(row)] for i, row in enumerate(shapes)
    ]
    teacher = [features(batch, *shape, seed=100 + j) for j, shape in enumerate(shapes[0])]
    return student, teacher, features(batch, 2, 3, seed=4).softmax(dim=2)


class TestLoss:
    def test_by_hand(self) -> None:
        # one picture, one student layer: distances 1 and (16 + 4) / 2, weighed 3/4 and 1/4
        student = [[torch.zeros(1, 1, 1, 1), torch.zeros(1, 2, 1, 1)]]
        teacher = [
            torch.tensor([[[[3.0, -1.0]]]]),
            torch.tensor([4.0, 2.0]).reshape(1, 2, 1, 1),
        ]  # the first averages 1
        loss = semckd_loss(student, teacher, torch.tensor([[[0.75, 0.25]]]))
        assert loss.shape == ()
        assert float(loss) == pytest.approx(0.75 * 1 + 0.25 * 10)

    def test_the_mean_over_pictures_and_student_layers_and_the_sum_over_teacher_layers(self) -> None:
        student, teacher, attention = example()
        total = 0.0
        for picture in range(4):
            for i, row in enumerate(student):
                for j, projected in enumerate(row):
                    ours, theirs = projected[picture].double(), teacher[j][picture].double()
                    ratio = theirs.shape[1] // ours.shape[1]
                    theirs = theirs.unfold(1, ratio, ratio).unfold(2, ratio, ratio).mean(dim=(3, 4))
                    gap = sum(
                        (a - b) ** 2 for a, b in zip(ours.flatten().tolist(), theirs.flatten().tolist(), strict=True)
                    )
                    total += float(attention[picture, i, j]) * gap / ours.numel()
        assert float(semckd_loss(student, teacher, attention)) == pytest.approx(total / (4 * 2), rel=1e-5)

    def test_every_picture_has_its_own_weights(self) -> None:
        student, teacher, attention = example()
        moved = semckd_loss(student, teacher, attention.roll(1, dims=0))
        assert not torch.allclose(moved, semckd_loss(student, teacher, attention), rtol=1e-3)

    def test_no_gradient_reaches_the_teacher(self) -> None:
        student, teacher, attention = example()
        leaves = [maps.requires_grad_() for row in student for maps in row]
        semckd_loss(student, [maps.requires_grad_() for maps in teacher], attention.requires_grad_()).backward()
        assert [maps.grad for maps in teacher] == [None] * 3
        assert all(maps.grad is not None and maps.grad.abs().sum() > 0 for maps in leaves)
        assert attention.grad is not None
        assert (attention.grad > 0).all()  # more weight on a distance is more loss

    def test_layers_that_do_not_fit(self) -> None:
        student, teacher, attention = example()
        with pytest.raises(LimbeckError, match=r"^there are 2 maps of the teacher, and \[3, 3\] projections of the"):
            semckd_loss(student, teacher[:2], attention)
        with pytest.raises(LimbeckError, match=r"^student layers' distances and their attention \(4, 2, 3\) and"):
            semckd_loss(student, teacher, attention[:, :1])
        with pytest.raises(LimbeckError, match=r"^student feature maps \(4, 2, 4, 4\) and teacher feature maps \(4, 5"):
            semckd_loss(student, teacher[::-1], attention)
        with pytest.raises(
            LimbeckError, match=r"^student feature maps \(4, 2, 4, 4\) and teacher feature maps \(4, 2, 2"
        ):
            semckd_loss(student, [teacher[0][:, :, :2, :2], *teacher[1:]], attention)


STUDENT = [features(8, 3, 4, 4, seed=1), features(8, 5, 2, 2, seed=2)]
TEACHER = [features(8, 4, 8, 8, seed=3), features(8, 6, 2, 2, seed=4), features(8, 2, 1, 1, seed=5)]


def attention_module(batch_size: int = 8) -> SemanticAttention:
    torch.manual_seed(0)
    return SemanticAttention([3, 5], [4, 6, 2], batch_size)


class TestAttention:
    def test_shapes(self) -> None:
        projected, attention = attention_module()(STUDENT, TEACHER)
        assert [[tuple(maps.shape) for maps in row] for row in projected] == [
            [(8, 4, 4, 4), (8, 6, 2, 2), (8, 2, 1, 1)],
            [(8, 4, 2, 2), (8, 6, 2, 2), (8, 2, 1, 1)],
        ]
        assert attention.shape == (8, 2, 3)
        torch.testing.assert_close(attention.sum(dim=2), torch.ones(8, 2))
        assert semckd_loss(projected, TEACHER, attention).isfinite()

    def test_the_weights_are_the_softmax_of_unit_queries_and_keys(self) -> None:
        module = attention_module()
        _, attention = module(STUDENT, TEACHER)

        def unit(network: nn.Module, maps: Tensor) -> Tensor:
            rows = maps.flatten(1)
            return nn.functional.normalize(network(torch.einsum("id,jd->ij", rows, rows)), dim=1)

        queries = [unit(network, maps) for network, maps in zip(module.queries, STUDENT, strict=True)]
        keys = [unit(network, maps) for network, maps in zip(module.keys, TEACHER, strict=True)]
        for picture in range(8):
            for i, query in enumerate(queries):
                powers = torch.stack([(query[picture] @ key[picture]).exp() for key in keys])
                torch.testing.assert_close(attention[picture, i], powers / powers.sum())

    def test_a_larger_student_map_is_averaged_before_its_projection(self) -> None:
        module = attention_module().eval()
        projected, _ = module(STUDENT, TEACHER)
        averages = STUDENT[0].unfold(2, 2, 2).unfold(3, 2, 2).mean(dim=(4, 5))
        torch.testing.assert_close(projected[0][1], module.projections[0][1](averages))  # type: ignore[index]

    def test_the_released_sizes(self) -> None:
        module = SemanticAttention([3], [4], batch_size=64)
        assert [tuple(weight.shape) for weight in module.queries.parameters()] == [(32, 64), (32,), (16, 32), (16,)]
        assert [tuple(weight.shape) for weight in module.keys.parameters()] == [(32, 64), (32,), (16, 32), (16,)]
        convolutions = [layer for layer in module.projections.modules() if isinstance(layer, nn.Conv2d)]
        assert [tuple(layer.weight.shape) for layer in convolutions] == [(8, 3, 1, 1), (8, 8, 3, 3), (4, 8, 1, 1)]
        assert [layer.bias for layer in convolutions] == [None, None, None]

    def test_everything_learns_but_the_teacher(self) -> None:
        module = attention_module()
        student, teacher = ([maps.clone().requires_grad_() for maps in side] for side in (STUDENT, TEACHER))
        projected, attention = module(student, teacher)
        semckd_loss(projected, teacher, attention).backward()
        assert [maps.grad for maps in teacher] == [None] * 3
        assert all(maps.grad is not None and maps.grad.abs().sum() > 0 for maps in student)
        assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in module.parameters())

    def test_in_a_smaller_batch_the_missing_pictures_are_unlike_all(self) -> None:
        module = attention_module().eval()
        student, teacher = ([maps[:5] for maps in side] for side in (STUDENT, TEACHER))
        _, attention = module(student, teacher)
        assert attention.shape == (5, 2, 3)
        _, padded = module(*([torch.cat([maps, 0 * maps[:3]]) for maps in side] for side in (student, teacher)))
        torch.testing.assert_close(attention, padded[:5])

    def test_hard_inputs_stay_finite(self) -> None:
        for scale in (0.0, 1e4):
            module = attention_module()
            student = [(scale * maps).requires_grad_() for maps in STUDENT]
            teacher = [-scale * maps for maps in TEACHER]
            projected, attention = module(student, teacher)
            loss = semckd_loss(projected, teacher, attention)
            loss.backward()
            assert loss.isfinite()
            assert all(maps.grad is not None and maps.grad.isfinite().all() for maps in student)
            assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in module.parameters())

    @pytest.mark.parametrize("on", [False, True])
    def test_half_precision_and_autocast(self, on: bool) -> None:
        module = attention_module()
        halved = [maps.bfloat16() for maps in STUDENT], [maps.bfloat16() for maps in TEACHER]
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=on):
            projected, attention = module(*halved)
            loss = semckd_loss(projected, halved[1], attention)
        assert attention.dtype == loss.dtype == torch.float32
        projected, attention = module(*([maps.float() for maps in side] for side in halved))
        exact = semckd_loss(projected, halved[1], attention)
        torch.testing.assert_close(loss, exact, rtol=5e-2 if on else 1e-6, atol=0)

    def test_it_compiles_in_one_piece(self) -> None:
        module = attention_module().eval()
        _, attention = torch.compile(module, fullgraph=True, backend="eager")(STUDENT, TEACHER)
        torch.testing.assert_close(attention, module(STUDENT, TEACHER)[1])

    def test_what_it_was_not_made_for(self) -> None:
        with pytest.raises(LimbeckError, match=r"^a batch of 8 pictures is larger than batch_size = 7, .* = 8\.$"):
            attention_module(7)(STUDENT, TEACHER)
        with pytest.raises(
            LimbeckError, match=r"^1 maps of the student were given, but the attention was made for 2\."
        ):
            attention_module()(STUDENT[:1], TEACHER)
        with pytest.raises(
            LimbeckError, match=r"^2 maps of the teacher were given, but the attention was made for 3\."
        ):
            attention_module()(STUDENT, TEACHER[:2])
        with pytest.raises(LimbeckError, match=r"^maps of shape \(1, 3, 1, 1\) have one value a channel"):
            attention_module()([maps[:1] for maps in STUDENT], [maps[:1] for maps in TEACHER])
