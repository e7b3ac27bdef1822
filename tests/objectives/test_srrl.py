"""The loss that the teacher's classifier judges against plain arithmetic, and the connector."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.srrl import SRRLConnector, srrl_loss


def features(*shape: int, seed: int = 0, scale: float = 1.0) -> Tensor:
    return scale * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def classifier(width: int = 3, classes: int = 5) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(width, classes)


class TestLoss:
    def test_by_hand(self) -> None:
        linear = nn.Linear(2, 3)
        with torch.no_grad():
            linear.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, 2.0], [1.0, 1.0]]))
        student, teacher = torch.tensor([[1.0, 2.0]]), torch.tensor([[0.0, 4.0]])
        # gaps 1 and -2: mean square 5/2; of the logits 1, -4 and -1 whatever the biases: 18/3
        loss = srrl_loss(student, teacher, linear)
        assert loss.shape == ()
        assert float(loss) == pytest.approx(2.5 + 6)

    def test_maps_are_averaged_over_their_places(self) -> None:
        student, teacher = features(4, 3, 2, 2), features(4, 3, 5, 1, seed=1)
        expected = srrl_loss(student.mean((2, 3)), teacher.mean((2, 3)), classifier())
        torch.testing.assert_close(srrl_loss(student, teacher, classifier()), expected)
        torch.testing.assert_close(srrl_loss(student, teacher.mean((2, 3)), classifier()), expected)

    def test_the_gradient_goes_through_the_classifier_and_not_into_it(self) -> None:
        linear = classifier()
        student, teacher = features(4, 3).requires_grad_(), features(4, 3, seed=1).requires_grad_()
        srrl_loss(student, teacher, linear).backward()
        assert teacher.grad is None
        assert linear.weight.grad is None
        assert linear.bias.grad is None
        gaps, weight = (student - teacher).detach(), linear.weight.detach()
        torch.testing.assert_close(student.grad, 2 * gaps / 12 + 2 * gaps @ weight.T @ weight / 20)

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
    def test_half_precision_is_computed_in_float32(self, dtype: torch.dtype) -> None:
        student, teacher, linear = features(4, 3).to(dtype), features(4, 3, seed=1).to(dtype), classifier()
        loss = srrl_loss(student, teacher, linear)
        assert loss.dtype == torch.float32
        assert torch.equal(loss, srrl_loss(student.float(), teacher.float(), linear))
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert torch.equal(loss, srrl_loss(student, teacher, linear))
        halved = srrl_loss(student, teacher, classifier().to(dtype))
        assert halved.dtype == torch.float32
        torch.testing.assert_close(halved, loss, rtol=1e-2, atol=0)


class TestConnector:
    @pytest.mark.parametrize("shape", [(4, 6), (4, 6, 1, 1), (4, 6, 3, 2)])
    def test_it_changes_the_channels_only(self, shape: tuple[int, ...]) -> None:
        connected = SRRLConnector(6, 5)(features(*shape).bfloat16())
        assert connected.shape == (4, 5, *shape[2:])
        assert connected.dtype == torch.float32
        assert (connected >= 0).all()

    def test_convolution_normalisation_and_relu(self) -> None:
        connector, maps = SRRLConnector(6, 5), features(4, 6, 3, 2)
        mixed = torch.einsum("oi,bihw->bohw", connector.convolution.weight[:, :, 0, 0], maps)
        deviation = mixed.var(dim=(0, 2, 3), correction=0, keepdim=True).add(1e-5).sqrt()
        expected = ((mixed - mixed.mean(dim=(0, 2, 3), keepdim=True)) / deviation).clamp(min=0)
        torch.testing.assert_close(connector(maps), expected)

    def test_the_released_initial_weights(self) -> None:
        torch.manual_seed(0)
        connector = SRRLConnector(300, 200)
        assert connector.convolution.bias is None
        assert connector.convolution.weight.std().item() == pytest.approx(0.1, rel=0.02)

    def test_one_value_a_channel(self) -> None:
        with pytest.raises(LimbeckError, match=r"^maps of shape \(1, 6, 1, 1\) have one value a channel"):
            SRRLConnector(6, 5)(features(1, 6))
        assert SRRLConnector(6, 5).eval()(features(1, 6)).isfinite().all()
