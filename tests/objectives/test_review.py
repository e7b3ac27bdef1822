"""Knowledge review: the hierarchical context loss by hand, and the fusion of the stages."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.review import Review, hcl_loss

STUDENT = [(3, 8, 8), (5, 4, 4), (7, 2, 2), (7, 1, 1)]
TEACHER = [(4, 16, 16), (6, 8, 8), (9, 4, 4), (9, 1, 1)]


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def stages(batch: int = 2, seed: int = 0) -> list[Tensor]:
    return [maps(batch, *shape, seed=seed + depth) for depth, shape in enumerate(STUDENT)]


def pooled(difference: np.ndarray, pool: int) -> float:
    """The mean square after averaging a map into pool x pool blocks; its size must be a multiple."""
    batch, channels, height, width = difference.shape
    blocks = difference.reshape(batch, channels, pool, height // pool, pool, width // pool).mean((3, 5))
    return float((blocks**2).mean())


class TestHCL:
    def test_by_hand(self) -> None:
        # differences 1, 2, 3, 4: mean square 7.5; their mean is 2.5, its square 6.25, at half the weight
        difference = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
        loss = hcl_loss(difference, torch.zeros(1, 1, 2, 2))
        assert loss.shape == ()
        assert float(loss) == pytest.approx((7.5 + 6.25 / 2) / 1.5, rel=1e-6)

    @pytest.mark.parametrize(
        ("size", "pools"),
        [((8, 8), [4, 2, 1]), ((8, 16), [4, 2, 1]), ((4, 4), [2, 1]), ((2, 2), [1]), ((1, 1), []), ((2, 8), [1])],
    )
    def test_pools_smaller_than_the_map(self, size: tuple[int, int], pools: list[int]) -> None:
        student, teacher = maps(2, 3, *size), maps(2, 3, *size, seed=1)
        difference = (student - teacher).double().numpy()
        weights = [0.5 ** (level + 1) for level in range(len(pools))]
        total = (difference**2).mean() + sum(
            w * pooled(difference, pool) for w, pool in zip(weights, pools, strict=True)
        )
        assert float(hcl_loss(student, teacher)) == pytest.approx(total / (1 + sum(weights)), rel=1e-5)

    @pytest.mark.parametrize("size", [1, 3, 4, 5, 9])
    def test_a_constant_difference_costs_its_square_at_any_size(self, size: int) -> None:
        student = maps(2, 3, size, size)
        assert float(hcl_loss(student + 3, student)) == pytest.approx(9, rel=1e-5)


class TestReview:
    def test_the_maps_have_the_teachers_shapes(self) -> None:
        found = Review(STUDENT, TEACHER)(stages())
        assert [tuple(item.shape) for item in found] == [(2, *shape) for shape in TEACHER]

    def test_one_stage_alone(self) -> None:
        assert Review([(3, 4, 4)], [(5, 4, 4)])([maps(2, 3, 4, 4)])[0].shape == (2, 5, 4, 4)

    def test_what_is_deeper_flows_into_what_is_shallower_and_not_back(self) -> None:
        review, given = Review(STUDENT, TEACHER).eval(), stages()
        before = review(given)
        for changed in range(len(STUDENT)):
            now = review([item + (depth == changed) for depth, item in enumerate(given)])
            differs = [not torch.equal(one, other) for one, other in zip(before, now, strict=True)]
            assert differs == [depth <= changed for depth in range(len(STUDENT))]

    def test_the_fusion_by_hand(self) -> None:
        review = Review([(1, 1, 2), (1, 1, 1)], [(1, 1, 2), (1, 1, 1)], width=1).eval()
        shallow, deep = review.stages
        with torch.no_grad():
            for part in (shallow.enter, deep.enter):
                part[0].weight.fill_(1)
            for part in (shallow.leave, deep.leave):  # a 3x3 kernel that keeps the pixel
                part[0].weight.copy_(torch.tensor([[[[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]]]))
            shallow.attend[0].weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]])[:, :, None, None])
            shallow.attend[0].bias.copy_(torch.tensor([0.0, 0.5]))
        here, deeper = [0.7, -1.1], 2.0
        fused = [x / (1 + np.exp(-x)) + deeper / (1 + np.exp(-(0.5 - deeper))) for x in here]
        found = review([torch.tensor([[[here]]]), torch.tensor([[[[deeper]]]])])
        # an untrained batch normalisation in eval divides by √(1 + 1e-5), once or twice on the way
        assert found[0].flatten().tolist() == pytest.approx(fused, rel=1e-4)
        assert found[1].flatten().tolist() == pytest.approx([deeper], rel=1e-4)

    def test_what_goes_on_is_resized_by_the_nearest_pixel(self) -> None:
        review = Review([(1, 4, 4), (1, 2, 2)], [(1, 4, 4), (1, 2, 2)], width=1).eval()
        shallow, deep = review.stages
        with torch.no_grad():
            shallow.enter[0].weight.zero_()
            deep.enter[0].weight.fill_(1)
            shallow.attend[0].weight.zero_()
            shallow.leave[0].weight.copy_(torch.tensor([[[[0.0, 0, 0], [0, 1, 0], [0, 0, 0]]]]))
        deeper = maps(1, 1, 2, 2)
        found = review([maps(1, 1, 4, 4), deeper])[0]
        gate = 1 / (1 + np.exp(-float(shallow.attend[0].bias[1].detach())))
        expected = gate * deeper.repeat_interleave(2, 2).repeat_interleave(2, 3)
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)

    def test_the_width_inside(self) -> None:
        assert Review([(3, 8, 8), (7, 4, 4)], [(4, 8, 8), (9, 4, 4)]).stages[0].enter[0].out_channels == 7
        assert Review([(3, 8, 8), (600, 1, 1)], [(4, 8, 8), (9, 1, 1)]).stages[0].enter[0].out_channels == 512
        assert Review([(3, 8, 8), (7, 4, 4)], [(4, 8, 8), (9, 4, 4)], width=2).stages[0].enter[0].out_channels == 2

    def test_everything_learns(self) -> None:
        review = Review(STUDENT, TEACHER)
        teacher = [maps(2, *shape, seed=50 + depth) for depth, shape in enumerate(TEACHER)]
        torch.stack([hcl_loss(*pair) for pair in zip(review(stages()), teacher, strict=True)]).sum().backward()
        assert all(weight.grad is not None for weight in review.parameters())

    def test_bf16_maps_are_taken(self) -> None:
        assert all(item.dtype == torch.float32 for item in Review(STUDENT, TEACHER)([s.bfloat16() for s in stages()]))

    def test_it_compiles_in_one_graph(self) -> None:
        review = Review(STUDENT[:2], TEACHER[:2]).eval()
        teacher = [maps(2, *shape) for shape in TEACHER[:2]]

        def loss(given: list[Tensor]) -> Tensor:
            return torch.stack([hcl_loss(*pair) for pair in zip(review(given), teacher, strict=True)]).sum()

        given = stages()[:2]
        torch.testing.assert_close(torch.compile(loss, fullgraph=True, backend="eager")(given), loss(given))

    def test_a_batch_of_1(self) -> None:
        review = Review(STUDENT, TEACHER)
        with pytest.raises(LimbeckError, match=r"maps of shape \(1, 7, 1, 1\) have one value a channel"):
            review(stages(batch=1))
        assert len(review.eval()(stages(batch=1))) == 4
        assert len(Review(STUDENT[:3], TEACHER[:3])(stages(batch=1)[:3])) == 3

    @pytest.mark.parametrize("given", [0, 3, 5])
    def test_another_number_of_maps(self, given: int) -> None:
        with pytest.raises(LimbeckError, match=rf"{given} maps for 4 stages: give one for each, shallowest first"):
            Review(STUDENT, TEACHER)((stages() * 2)[:given])

    @pytest.mark.parametrize(("ours", "theirs"), [(0, 0), (4, 3), (3, 4)])
    def test_stages_that_do_not_pair(self, ours: int, theirs: int) -> None:
        with pytest.raises(LimbeckError, match=rf"{ours} of the student's stages and {theirs} of the teacher's cannot"):
            Review(STUDENT[:ours], TEACHER[:theirs])

    def test_what_are_no_maps(self) -> None:
        with pytest.raises(LimbeckError, match=r"fuses maps, not features of shape \(7,\).*as \(D, 1, 1\)"):
            Review([(3, 8, 8), (7,)], [(4, 8, 8), (9, 1, 1)])
