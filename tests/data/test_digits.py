from __future__ import annotations

import numpy as np
import pytest
import sklearn.datasets
import torch
import torch.nn.functional as F

from limbeck import data
from limbeck.data import digits
from limbeck.errors import LimbeckError


@pytest.fixture(scope="module")
def splits():
    return {split: data.load("digits", split) for split in ("train", "test")}


def test_shapes_and_classes(splits):
    train, test = splits["train"], splits["test"]
    assert (len(train), len(test)) == (1437, 360) == tuple(data.CATALOGUE["digits"].counts.values())
    assert train.image_shape == test.image_shape == (32, 32, 3)
    assert train.classes == tuple("0123456789")
    assert torch.equal(train.images[..., 0], train.images[..., 2])
    assert (train.images.min(), train.images.max()) == (0, 255)


def test_the_split_is_fixed(splits):
    assert splits["train"].fingerprint == "01865cf5be0b31144c66df45252ac5edff4f0a2b2da99456521dd179939a772b"
    assert splits["test"].fingerprint == "12f33f497edd7fdb5546bb75d40bb886bb42ca2d54c6b242f50e79aaa2789f1a"


def test_the_splits_together_are_all_the_digits_each_class_in_proportion(splits):
    both = torch.cat([splits["train"].labels, splits["test"].labels])
    counts = torch.bincount(both)
    assert counts.tolist() == np.bincount(sklearn.datasets.load_digits().target).tolist()
    ideal = counts * 360 / 1797
    assert ((torch.bincount(splits["test"].labels) - ideal).abs() < 1).all()
    pictures = torch.cat([splits["train"].images, splits["test"].images]).flatten(1)
    assert len(pictures.unique(dim=0)) == 1797


def test_enlargement_agrees_with_torch():
    grey = sklearn.datasets.load_digits().images
    wide = torch.from_numpy(grey * 255 / 16)[:, None]
    plain = F.interpolate(wide, scale_factor=4, mode="bilinear", align_corners=False)[:, 0].numpy()
    assert np.abs(digits.enlarge(grey.astype(np.uint8)) - plain).max() <= 0.5


def test_enlargement_worked_out_by_hand():
    grey = np.zeros((1, 8, 8), np.uint8)
    grey[0, :, 0] = 16
    row = digits.enlarge(grey)[0, 0]  # weights of the first column: 1, 1, 7/8, 5/8, 3/8, 1/8, 0
    assert row[:7].tolist() == [255, 255, 223, 159, 96, 32, 0]


def test_other_pictures_are_refused(monkeypatch):
    bunch = sklearn.datasets.load_digits()
    bunch.images[0, 0, 0] += 1
    monkeypatch.setattr(sklearn.datasets, "load_digits", lambda: bunch)
    with pytest.raises(
        LimbeckError, match=r"not the published ones. Type `pip install --force-reinstall scikit-learn`"
    ):
        data.load("digits", "test")
    (fault,) = data.verify("digits")
    assert "not the published ones" in fault


def test_digits_need_no_fetching():
    assert data.fetch("digits").state == "ready"
    assert data.verify("digits") == ()
    assert not data.cache_folder().exists()
