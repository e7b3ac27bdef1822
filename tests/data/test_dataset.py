from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
import torch

from limbeck.data import Dataset, hold_out
from limbeck.errors import LimbeckError


def made(count: int = 40, classes: int = 4, seed: int = 0) -> Dataset:
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (count, 5, 6, 3), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, classes, (count,), generator=generator)
    return Dataset("made", tuple("abcdefgh"[:classes]), images, labels)


def labelled(*counts: int, unlabelled: int = 0) -> Dataset:
    labels = torch.cat(
        [torch.full((count,), label) for label, count in enumerate(counts)] + [torch.full((unlabelled,), -1)]
    )
    images = torch.zeros(len(labels), 1, 1, 3, dtype=torch.uint8)
    return Dataset("labelled", tuple("abcdefgh"[: len(counts)]), images, labels)


def test_fetch_gives_the_pictures_in_the_order_asked_for():
    data = made()
    indices = torch.tensor([7, 0, 7, 39])
    assert torch.equal(data.fetch(indices), torch.stack([data.images[i] for i in indices.tolist()]))
    assert data.fetch(indices).dtype == torch.uint8
    assert (len(data), data.image_shape, data.device.type) == (40, (5, 6, 3), "cpu")


def test_subset_keeps_pictures_with_their_labels():
    data = made()
    part = data.subset(torch.tensor([3, 1]))
    assert torch.equal(part.images, data.images[[3, 1]])
    assert part.labels.tolist() == data.labels[[3, 1]].tolist()
    assert (part.name, part.classes) == (data.name, data.classes)


def test_fingerprint_changes_with_each_thing_it_covers():
    data = made()
    altered, relabelled = data.images.clone(), data.labels.clone()
    altered[39, 4, 5, 2] ^= 1
    relabelled[0] = (relabelled[0] + 1) % 4
    others = [
        Dataset("made", data.classes, altered, data.labels),
        Dataset("made", data.classes, data.images, relabelled),
        Dataset("made", ("a", "b", "c", "z"), data.images, data.labels),
        Dataset("made", data.classes, data.images.reshape(40, 6, 5, 3), data.labels),
        data.subset(torch.arange(39)),
    ]
    assert len({data.fingerprint, *(other.fingerprint for other in others)}) == 6
    assert (
        made().fingerprint == data.fingerprint == Dataset("other", data.classes, data.images, data.labels).fingerprint
    )
    assert len(bytes.fromhex(data.fingerprint)) == 32


def test_moving_to_the_same_device_changes_nothing_and_elsewhere_keeps_the_fingerprint():
    data = made()
    assert data.to("cpu") is data
    known = data.fingerprint
    assert data.to("meta").fingerprint == known
    assert data.to("meta").device.type == "meta"


def test_statistics_agree_with_float64_arithmetic():
    data = made(count=9000)  # more than one chunk
    pixels = data.images.numpy().astype(np.float64) / 255
    mean, deviation = data.statistics()
    np.testing.assert_allclose(mean, pixels.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(deviation, pixels.std((0, 1, 2)), rtol=1e-12)


def test_statistics_worked_out_by_hand():
    images = torch.zeros(4, 1, 1, 3, dtype=torch.uint8)
    images[:, 0, 0, 0] = torch.tensor([0, 0, 255, 255])
    images[:, 0, 0, 1] = 51
    images[3, 0, 0, 2] = 255
    mean, deviation = Dataset("four", ("a",), images, torch.zeros(4, dtype=torch.int64)).statistics()
    assert mean == (0.5, 0.2, 0.25)
    assert deviation == (0.5, 0.0, pytest.approx(math.sqrt(3) / 4, abs=1e-15))


def test_statistics_of_nothing_is_an_error():
    with pytest.raises(LimbeckError, match=r"made: no pictures"):
        made().subset(torch.arange(0)).statistics()


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [  # each message in part, as a regular expression
        (
            torch.zeros(2, 4, 4, 3),
            torch.zeros(2).long(),
            r"images must be uint8 \(N, H, W, 3\), not float32 \(2, 4, 4, 3\)",
        ),
        (torch.zeros(2, 3, 4, 4).byte(), torch.zeros(2).long(), r"not uint8 \(2, 3, 4, 4\).*permute"),
        (torch.zeros(2, 4, 4, 3).byte(), torch.zeros(3).long(), r"labels must be int64 \(2,\).*not int64 \(3,\)"),
        (torch.zeros(2, 4, 4, 3).byte(), torch.zeros(2), r"not float32 \(2,\)"),
        (
            torch.zeros(2, 4, 4, 3).byte(),
            torch.tensor([0, 2]),
            r"labels run from 0 to 2, but there are 2 classes: give 0 to 1",
        ),
        (
            torch.zeros(2, 4, 4, 3).byte(),
            torch.tensor([-2, 0]),
            r"labels run from -2 to 0.*-1 for a picture without a label",
        ),
    ],
)
def test_what_is_not_a_data_set_is_refused(images, labels, message):
    with pytest.raises(LimbeckError, match=rf"mine: .*{message}"):
        Dataset("mine", ("a", "b"), images, labels)


@pytest.mark.parametrize("count", [0, 1, 7, 20, 60, 99])
def test_hold_out_takes_exactly_the_count_and_every_class_in_proportion(count):
    data = labelled(50, 30, 17, 3)
    kept, held = hold_out(data, count)
    assert len(held) == count
    assert sorted(torch.cat([kept, held]).tolist()) == list(range(100))
    for part in (kept, held):
        assert part.dtype == torch.int64
        assert torch.equal(part, part.sort().values)
    for label, size in enumerate((50, 30, 17, 3)):
        assert abs((data.labels[held] == label).sum().item() - count * size / 100) < 1


def test_hold_out_is_a_pure_function_of_labels_count_and_seed():
    data = labelled(60, 60)
    first, again, other = hold_out(data, 30, seed=5), hold_out(data, 30, seed=5), hold_out(data, 30, seed=6)
    assert torch.equal(first[1], again[1])
    assert not torch.equal(first[1], other[1])


def test_hold_out_is_the_same_on_every_machine_and_version():
    held = hold_out(labelled(500, 300, 200), 100, seed=1)[1]
    assert hashlib.sha256(held.numpy().astype("<i8").tobytes()).hexdigest() == (
        "4380f27a2cb9f27dafb589cc01333f3fab9d846e27519a04a708485ddbd8e220"
    )


def test_hold_out_looks_random_within_a_class():
    held = hold_out(labelled(10_000), 5000)[1]
    assert abs(held.double().mean().item() - 4999.5) < 4 * 10_000 / math.sqrt(12 * 5000)
    assert (held.diff() == 1).double().mean().item() == pytest.approx(0.5, abs=0.03)


def test_hold_out_treats_unlabelled_pictures_as_one_more_class():
    data = labelled(20, 20, unlabelled=40)
    held = data.labels[hold_out(data, 8)[1]]
    assert [(held == label).sum().item() for label in (-1, 0, 1)] == [4, 2, 2]


@pytest.mark.parametrize("count", [-1, 10, 11])
def test_hold_out_of_an_impossible_count_says_what_is_possible(count):
    with pytest.raises(LimbeckError, match=rf"cannot hold {count} pictures out of the 10 of labelled: give 0 to 9"):
        hold_out(labelled(5, 5), count)
