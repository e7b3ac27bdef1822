"""The learned temperature: its loss, its reversed gradient and its curriculum."""

from __future__ import annotations

import math

import pytest
import references
import torch
from torch import Tensor

from limbeck.errors import LimbeckError
from limbeck.objectives.ctkd import LearnedTemperature, ctkd_loss, reversal_weight


def logits(*shape: int, seed: int = 0) -> Tensor:
    return 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed))


class TestLoss:
    def test_by_hand(self) -> None:
        # at T = 2 the teacher says 3/4 : 1/4, the student 1/2 : 1/2: 4 · (3/4 ln(3/2) + 1/4 ln(1/2))
        loss = ctkd_loss(torch.zeros(1, 2), torch.tensor([[2 * math.log(3), 0.0]]), torch.tensor(2.0))
        assert loss.shape == ()
        assert loss.dtype == torch.float32
        assert loss.item() == pytest.approx(0.5232481, rel=2e-6)

    @pytest.mark.parametrize("temperature", [0.5, 1.5, 4.0, 20.0])
    def test_the_gradient_reaches_the_temperature_by_every_path(
        self, temperature: float, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(Tensor, "float", Tensor.double)
        slopes = []
        for loss in (ctkd_loss, references.kd):
            learned = torch.tensor(temperature, dtype=torch.float64, requires_grad=True)
            loss(logits(4, 10).double(), logits(4, 10, seed=1).double(), learned).backward()  # type: ignore[arg-type]
            assert learned.grad is not None
            slopes.append(learned.grad.item())
        assert slopes[0] == pytest.approx(slopes[1], rel=1e-9)

    @pytest.mark.parametrize("temperature", [1.0, 21.0])
    @pytest.mark.parametrize(
        ("student", "teacher"),
        [
            ([1e4, -1e4, 0.0], [-1e4, 1e4, 0.0]),
            ([7.0, 7.0, 7.0], [1e4, 0.0, 0.0]),
            ([0.0, 0.0, 0.0], [0.0, 0.0, 0.0]),
            ([-1e4, -1e4, -1e4], [1e4, 1e4, 1e4]),
        ],
    )
    def test_hard_inputs_stay_finite(self, student: list[float], teacher: list[float], temperature: float) -> None:
        answers, learned = torch.tensor([student], requires_grad=True), torch.tensor(temperature, requires_grad=True)
        loss = ctkd_loss(answers, torch.tensor([teacher]), learned)
        loss.backward()
        assert loss.isfinite()
        assert answers.grad is not None
        assert answers.grad.isfinite().all()
        assert learned.grad is not None
        assert learned.grad.isfinite()


class TestLearnedTemperature:
    def test_where_it_starts_and_how_far_it_can_go(self) -> None:
        module = LearnedTemperature()
        assert [name for name, _ in module.named_parameters()] == ["theta"]
        assert module().shape == ()
        assert module().item() == pytest.approx(1 + 20 / (1 + math.exp(-1)))
        for theta, temperature in [(-1e4, 1), (0, 11), (1e4, 21)]:
            torch.nn.init.constant_(module.theta, theta)
            assert module().item() == pytest.approx(temperature)
        assert LearnedTemperature(2, 4)().item() == pytest.approx(2 + 4 / (1 + math.exp(-1)))

    @pytest.mark.parametrize("reversal", [0.0, 0.3, 1.0])
    @pytest.mark.parametrize("as_tensor", [False, True])
    def test_only_the_gradient_is_reversed(self, reversal: float, as_tensor: bool) -> None:
        module = LearnedTemperature()
        temperature = module(torch.tensor(reversal) if as_tensor else reversal)
        temperature.backward()
        sigmoid = 1 / (1 + math.exp(-1))
        assert torch.equal(temperature, module())
        assert module.theta.grad is not None
        assert module.theta.grad.item() == pytest.approx(-reversal * 20 * sigmoid * (1 - sigmoid), rel=1e-5)

    def test_a_step_of_its_own_makes_it_harder_for_the_student(self) -> None:
        module, student, teacher = LearnedTemperature(), logits(4, 10), logits(4, 10, seed=1)
        before = ctkd_loss(student, teacher, module())
        before.backward()
        torch.optim.SGD(module.parameters(), lr=0.1).step()
        assert ctkd_loss(student, teacher, module()) > before

    def test_it_is_float32_in_a_module_of_bf16(self) -> None:
        assert LearnedTemperature().bfloat16()().dtype == torch.float32

    @pytest.mark.parametrize(("arguments", "name"), [((0, 20), "lowest = 0"), ((1, -3), "span = -3")])
    def test_impossible_ranges(self, arguments: tuple[float, float], name: str) -> None:
        with pytest.raises(LimbeckError, match=rf"^{name} is not possible: it must be above 0\. Try \d+\.$"):
            LearnedTemperature(*arguments)


class TestReversalWeight:
    @pytest.mark.parametrize(
        ("epoch", "weight"),
        [(-1, 0), (0, 0), (2.5, (1 - math.sqrt(0.5)) / 2), (10 / 3, 0.25), (5, 0.5), (10, 1), (20, 1), (240, 1)],
    )
    def test_by_hand(self, epoch: float, weight: float) -> None:
        assert reversal_weight(epoch).item() == pytest.approx(weight, abs=1e-6)
        assert torch.equal(reversal_weight(torch.tensor(float(epoch))), reversal_weight(epoch))
        assert reversal_weight(epoch).dtype == torch.float32

    def test_another_length(self) -> None:
        assert reversal_weight(2, epochs=4).item() == pytest.approx(0.5)

    def test_no_length(self) -> None:
        with pytest.raises(LimbeckError, match=r"^epochs = 0 is not possible: it must be above 0\. Try 10\.$"):
            reversal_weight(1, epochs=0)


def test_all_of_it_compiles_and_leaves_its_inputs_alone() -> None:
    module, student, teacher, epoch = LearnedTemperature(), logits(4, 10), logits(4, 10, seed=1), torch.tensor(2.5)

    def step(student: Tensor, teacher: Tensor, epoch: Tensor) -> Tensor:
        return ctkd_loss(student, teacher, module(reversal_weight(epoch)))

    loss = torch.compile(step, fullgraph=True, backend="eager")(student, teacher, epoch)
    torch.testing.assert_close(loss, step(student, teacher, epoch))
    assert torch.equal(student, logits(4, 10))
    assert torch.equal(teacher, logits(4, 10, seed=1))
    assert epoch == 2.5
