"""Pictures of one's own: whatever form they come in, the same bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.utils.data import TensorDataset
from torchvision import transforms

from limbeck.data import from_pairs
from limbeck.errors import LimbeckError

PICTURE = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
GREY = PICTURE[:, :, 0]


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        (PICTURE, PICTURE),
        (torch.from_numpy(PICTURE), PICTURE),
        (torch.from_numpy(PICTURE).permute(2, 0, 1), PICTURE),
        (Image.fromarray(PICTURE), PICTURE),
        (transforms.ToTensor()(Image.fromarray(PICTURE)), PICTURE),
        (GREY, np.stack([GREY] * 3, axis=2)),
        (Image.fromarray(GREY), np.stack([GREY] * 3, axis=2)),
        (transforms.ToTensor()(Image.fromarray(GREY)), np.stack([GREY] * 3, axis=2)),
    ],
)
def test_every_form_gives_the_same_bytes(form: Any, expected: np.ndarray) -> None:
    made = from_pairs([(form, 1), (form, -1)], ["cat", "dog"], "mine")
    assert made.images.shape == (2, 6, 5, 3)
    assert np.array_equal(made.images[1].numpy(), expected)
    assert made.labels.tolist() == [1, -1]
    assert (made.name, made.classes) == ("mine", ("cat", "dog"))


def test_a_torch_data_set_and_an_iterator() -> None:
    images, labels = torch.from_numpy(np.stack([PICTURE] * 3)), torch.tensor([0, 1, 0])
    made = from_pairs(TensorDataset(images, labels), ("a", "b"))
    assert torch.equal(made.images, images)
    assert torch.equal(made.labels, labels)
    assert len(from_pairs(((PICTURE, 0) for _ in range(4)), ("a",))) == 4


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], "mine: there are no pictures. Give at least one"),
        ([(PICTURE, 0), (PICTURE[:4], 0)], r"mine: picture 1 has the shape \(4, 5, 3\) and the first one \(6, 5, 3\)"),
        ([(torch.randn(3, 6, 5), 0)], r"picture 0 has float values outside \[0, 1\]: it seems normalised"),
        ([(PICTURE.astype(np.int32), 0)], r"picture 0 is torch.int32 \(6, 5, 3\); a picture must be uint8"),
        ([(PICTURE[:, :, :2], 0)], r"picture 0 is torch.uint8 \(6, 5, 2\); a picture must be uint8"),
        ([(PICTURE, 5)], "labels run from 5 to 5, but there are 1 classes"),
    ],
)
def test_what_is_no_picture(pairs: list[tuple[Any, int]], message: str) -> None:
    with pytest.raises(LimbeckError, match=message):
        from_pairs(pairs, ["only"], "mine")
