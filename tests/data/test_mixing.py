"""Mixed pictures: what is mixed with what, in which shares, and always the same."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from limbeck.data.mixing import CutMix, Mixing, Mixup, MixupOrCutMix, mix
from limbeck.errors import LimbeckError
from limbeck.objectives import Batch, Mixed, cross_entropy

ALL: list[Mixing] = [Mixup(), CutMix(), MixupOrCutMix()]


def views(count: int = 6, side: int = 32) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8, generator=generator)
    return pictures.permute(0, 3, 1, 2)


@pytest.mark.parametrize("mixing", ALL, ids=lambda mixing: mixing.name)
class TestEveryOne:
    def test_the_same_again_and_another_at_the_next_step(self, mixing: Mixing) -> None:
        first, again, later = (mix(mixing, views(), 3, step) for step in (5, 5, 6))
        assert torch.equal(first[0], again[0])
        assert torch.equal(first[1].partner, again[1].partner)
        assert first[1].share == again[1].share != later[1].share
        assert not torch.equal(first[0], mix(mixing, views(), 4, 5)[0])

    def test_pictures_stay_pictures_and_are_not_changed_in_place(self, mixing: Mixing) -> None:
        pictures = views()
        mixed, _ = mix(mixing, pictures, 0, 0)
        assert (mixed.shape, mixed.dtype) == (pictures.shape, torch.uint8)
        assert mixed.is_contiguous(memory_format=torch.channels_last)
        assert torch.equal(pictures, views())

    def test_everybody_is_somebodys_partner_once(self, mixing: Mixing) -> None:
        assert sorted(mix(mixing, views(), 0, 1)[1].partner.tolist()) == list(range(6))

    def test_the_larger_share_is_the_pictures_own(self, mixing: Mixing) -> None:
        shares = [mix(mixing, views(), 0, step)[1].share for step in range(60)]
        assert 0.5 <= min(shares) < 0.6
        assert 0.9 < max(shares) <= 1

    def test_the_share_of_batches_that_are_mixed(self, mixing: Mixing) -> None:
        rarely = mixing.with_(probability=0.25)
        shares = [mix(rarely, views(2, 8), 0, step)[1].share for step in range(200)]
        assert 30 < sum(share < 1 for share in shares) < 70
        kept, mixture = mix(mixing.with_(probability=0), views(), 0, 0)
        assert torch.equal(kept, views())
        assert mixture.share == 1

    def test_it_comes_back_from_its_fields(self, mixing: Mixing) -> None:
        assert Mixing.members()[mixing.name](**mixing.model_dump()) == mixing


def test_mixup_is_a_mean() -> None:
    mixed, (partner, share) = mix(Mixup(), views(), 0, 2)
    mean = share * views().double() + (1 - share) * views()[partner].double()
    assert (mixed.double() - mean).abs().max() <= 0.5 + 1e-3
    assert 0.5 < share < 0.95


def test_cutmix_takes_a_rectangle_of_its_partner() -> None:
    pictures = torch.arange(6, dtype=torch.uint8)[:, None, None, None].expand(6, 3, 10, 14)
    pictures = pictures.contiguous(memory_format=torch.channels_last)
    for step in range(20):
        mixed, (partner, share) = mix(CutMix(), pictures, 0, step)
        for place in range(6):
            inside = mixed[place, 0] != place
            if partner[place] == place or not inside.any():
                continue
            rows, columns = inside.any(dim=1), inside.any(dim=0)
            assert torch.equal(inside, rows[:, None] & columns[None, :])
            assert (mixed[place][:, inside] == partner[place]).all()
            assert share == pytest.approx(1 - float(inside.double().mean()))


@pytest.mark.parametrize("fields", [{"alpha": 0}, {"probability": 1.5}, {"probability": -0.1}])
def test_impossible_settings(fields: dict[str, Any]) -> None:
    with pytest.raises(LimbeckError, match=f"Mixup.{next(iter(fields))} = "):
        Mixup(**fields)


class TestLabels:
    def batch(self, mixed: Mixed | None) -> Batch:
        now = torch.zeros(())
        return Batch(torch.arange(2), torch.zeros(2, 3, 4, 4), torch.tensor([0, 2]), now, now, now, mixed)

    def test_the_loss_of_both_in_their_shares(self) -> None:
        """By hand: the cross-entropy with the label (.75, 0, .25) and (.25, 0, .75)."""
        logits = torch.tensor([[1.0, 2.0, 4.0], [0.0, 3.0, -1.0]])
        batch = self.batch(Mixed(torch.tensor([2, 0]), torch.tensor(0.75)))
        target = torch.tensor([[0.75, 0.0, 0.25], [0.25, 0.0, 0.75]])
        wanted = -(target * logits.log_softmax(dim=1)).sum(dim=1).mean()
        torch.testing.assert_close(batch.over_labels(lambda labels: cross_entropy(logits, labels)), wanted)

    def test_one_label_where_nothing_is_mixed(self) -> None:
        seen: list[list[int]] = []
        self.batch(None).over_labels(lambda labels: (seen.append(labels.tolist()), torch.zeros(()))[1])
        assert seen == [[0, 2]]


class Bright(Mixing):
    name: Literal["bright"] = "bright"

    def mix(self, views_NCHW: Tensor, partner: Tensor, random: np.random.Generator) -> tuple[Tensor, float]:
        return views_NCHW.float(), 0.7


def test_one_of_ones_own_must_give_pictures() -> None:
    with pytest.raises(LimbeckError, match=r"mixing 'bright' returned pictures \(6, 3, 32, 32\) of torch\.float32"):
        mix(Bright(), views(), 0, 0)
