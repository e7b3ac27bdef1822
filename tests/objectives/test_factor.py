"""Factor transfer: its losses against values worked out by hand, and its two networks."""

from __future__ import annotations

import math
from typing import Literal, get_args

import pytest
import torch
from torch import Tensor, nn

from limbeck.errors import LimbeckError
from limbeck.objectives.factor import Paraphraser, Translator, factor_loss, factor_shape, paraphraser_loss

Form = Literal["released", "authors", "paper"]
FORMS = get_args(Form)
TEACHER = (6, 4, 4)


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(
    ("form", "by_hand"),
    [
        # squares averaged over the two channels, to length 1 over the two pixels: (9, 16) / √337 and (1, 0)
        ("released", (abs(9 / math.sqrt(337) - 1) + 16 / math.sqrt(337)) / 2),
        # all four elements to length 1: (.6, 0, 0, -.8) and (1, 0, 0, 0)
        ("authors", (0.4 + 0.8) / 4),
        ("paper", 0.4 + 0.8),
    ],
)
def test_by_hand(form: Form, by_hand: float) -> None:
    student, teacher = torch.tensor([[[[3.0, 0.0]], [[0.0, -4.0]]]]), torch.tensor([[[[2.0, 0.0]], [[0.0, 0.0]]]])
    loss = factor_loss(student, teacher, form)
    assert loss.shape == ()
    assert float(loss) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("form", FORMS)
def test_what_it_does_not_depend_on(form: Form) -> None:
    student, teacher = maps(2, 4, 3, 3), maps(2, 4, 3, 3, seed=1)
    loss = factor_loss(student, teacher, form)
    torch.testing.assert_close(factor_loss(7 * student, teacher / 9, form), loss)
    torch.testing.assert_close(factor_loss(student.repeat(3, 1, 1, 1), teacher.repeat(3, 1, 1, 1), form), loss)
    assert float(factor_loss(student, 5 * student, form)) == pytest.approx(0, abs=1e-6)
    assert float(factor_loss(student, student.flip(2), form)) > 0.02


def test_only_the_released_form_pools_the_channels() -> None:
    factor = maps(2, 4, 3, 3)
    assert float(factor_loss(factor, factor.flip(1))) == pytest.approx(0, abs=1e-6)
    assert float(factor_loss(factor, -factor)) == pytest.approx(0, abs=1e-6)
    assert float(factor_loss(factor, factor.flip(1), "authors")) > 0.02
    assert float(factor_loss(factor, -factor, "authors")) > 0.02


@pytest.mark.parametrize(
    ("form", "by_hand"), [("released", (1 + 4 + 9 + 0) / 4), ("authors", (1 + 2 + 3 + 0) / 4), ("paper", (5 + 9) / 2)]
)
def test_the_reconstruction_by_hand(form: Form, by_hand: float) -> None:
    found, teacher = torch.tensor([[1.0, 2.0], [-3.0, 5.0]]), torch.tensor([[0.0, 4.0], [0.0, 5.0]])
    assert float(paraphraser_loss(found[:, :, None, None], teacher[:, :, None, None], form)) == by_hand
    assert float(paraphraser_loss(found, found.clone(), form)) == 0


@pytest.mark.parametrize(
    ("channels", "rate", "expected"), [(6, 0.5, 3), (7, 0.75, 5), (3, 0.6, 2), (1, 0.1, 1), (4, 2, 8)]
)
def test_the_shape_of_the_factor(channels: int, rate: float, expected: int) -> None:
    shape = (channels, 4, 5)
    assert factor_shape(shape, rate) == (expected, 4, 5)
    assert Paraphraser(shape, rate)(maps(2, *shape)).shape == (2, expected, 4, 5)
    assert Paraphraser(shape, rate).reconstruct(maps(2, *shape)).shape == (2, *shape)


@pytest.mark.parametrize("student", [(3, 4, 4), (9, 8, 8), (3, 2, 2), (3, 1, 1)])
@pytest.mark.parametrize("batch_norm", [True, False])
def test_the_translation_has_the_shape_of_the_factor(student: tuple[int, ...], batch_norm: bool) -> None:
    factor = Translator(student, TEACHER, batch_norm=batch_norm)(maps(2, *student))
    assert factor.shape == (2, *factor_shape(TEACHER))


def kinds(module: nn.Module) -> list[str]:
    return [type(part).__name__ for part in module.modules() if not list(part.children())]


def test_what_they_are_made_of() -> None:
    plain = ["Conv2d", "LeakyReLU"] * 3
    assert kinds(Paraphraser(TEACHER)) == plain + ["ConvTranspose2d", "LeakyReLU"] * 3
    assert kinds(Translator(TEACHER, TEACHER).encoder) == ["Conv2d", "BatchNorm2d", "LeakyReLU"] * 3
    assert kinds(Translator(TEACHER, TEACHER, batch_norm=False).encoder) == plain
    slopes = {part.negative_slope for part in Paraphraser(TEACHER).modules() if isinstance(part, nn.LeakyReLU)}
    assert slopes == {0.1}


def test_the_paraphraser_learns_to_give_the_maps_back() -> None:
    torch.manual_seed(0)
    paraphraser, teacher = Paraphraser(TEACHER), maps(8, *TEACHER).relu()
    optimizer = torch.optim.Adam(paraphraser.parameters(), lr=1e-2)
    losses = []
    for _ in range(40):
        loss = paraphraser_loss(paraphraser.reconstruct(teacher), teacher)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.7 * losses[0]


def test_the_transfer_trains_the_translator_and_not_the_paraphraser() -> None:
    paraphraser, translator = Paraphraser(TEACHER), Translator((3, 8, 8), TEACHER)
    factor_loss(translator(maps(2, 3, 8, 8)), paraphraser(maps(2, *TEACHER)), "authors").backward()
    assert all(weight.grad is None for weight in paraphraser.parameters())
    assert all(weight.grad is not None for weight in translator.parameters())


def test_bf16_maps_are_taken() -> None:
    assert Paraphraser(TEACHER).reconstruct(maps(2, *TEACHER).bfloat16()).dtype == torch.float32
    assert Translator((3, 8, 8), TEACHER)(maps(2, 3, 8, 8).bfloat16()).dtype == torch.float32


def test_they_compile_in_one_graph() -> None:
    paraphraser, translator = Paraphraser(TEACHER), Translator((3, 8, 8), TEACHER, batch_norm=False)

    def loss(student: Tensor, teacher: Tensor) -> Tensor:
        reconstruction = paraphraser_loss(paraphraser.reconstruct(teacher), teacher)
        return factor_loss(translator(student), paraphraser(teacher)) + reconstruction

    student, teacher = maps(2, 3, 8, 8), maps(2, *TEACHER)
    torch.testing.assert_close(
        torch.compile(loss, fullgraph=True, backend="eager")(student, teacher), loss(student, teacher)
    )


def test_one_value_a_channel_cannot_be_normalised() -> None:
    translator = Translator((3, 1, 1), (6, 1, 1))
    with pytest.raises(
        LimbeckError, match=r"maps of shape \(1, 3, 1, 1\) have one value a channel.* 2 or more pictures"
    ):
        translator(maps(1, 3, 1, 1))
    assert translator.eval()(maps(1, 3, 1, 1)).shape == (1, 3, 1, 1)
    assert Translator((3, 1, 1), (6, 1, 1), batch_norm=False)(maps(1, 3, 1, 1)).shape == (1, 3, 1, 1)


@pytest.mark.parametrize("rate", [0, -0.5])
def test_an_impossible_rate(rate: float) -> None:
    with pytest.raises(LimbeckError, match=rf"^rate = {rate} is not possible: it must be above 0\. Try 0\.5\.$"):
        Paraphraser(TEACHER, rate)


@pytest.mark.parametrize("shape", [(16, 6), (6,), (2, 6, 4, 4)])
def test_what_are_no_maps(shape: tuple[int, ...]) -> None:
    with pytest.raises(
        LimbeckError, match=r"factor transfer compares maps, not features of shape .* Tap a convolution"
    ):
        Paraphraser(shape)
    with pytest.raises(
        LimbeckError, match=r"factor transfer compares maps, not features of shape .* Tap a convolution"
    ):
        Translator(shape, TEACHER)
