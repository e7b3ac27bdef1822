from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch

from limbeck.data import cifar_records


def test_records_are_decoded_plane_by_plane():
    record = bytes([7]) + bytes([1]) * 1024 + bytes([2]) * 1024 + bytes([3]) * 1024
    other = bytearray(bytes([9]) + bytes(3072))
    other[1 + 1024 + 32 * 5 + 6] = 200  # green, row 5, column 6
    images, labels = cifar_records.decode([record, bytes(other) + record])
    assert (images.dtype, images.shape, labels.dtype) == (torch.uint8, (3, 32, 32, 3), torch.int64)
    assert labels.tolist() == [7, 9, 7]
    assert images[0, 31, 0].tolist() == images[2, 0, 31].tolist() == [1, 2, 3]
    assert images[1].nonzero().tolist() == [[5, 6, 1]]
    assert images[1, 5, 6, 1] == 200


def test_of_two_labels_the_last_one_counts(tiny):
    records = [bytes([group, kind]) + bytes([kind]) * 3072 for group, kind in ((19, 99), (0, 42), (7, 0))]
    images, labels = cifar_records.decode([records[0] + records[1], records[2]], labels=2)
    assert labels.tolist() == [99, 42, 0]
    assert [set(image.ravel().tolist()) for image in images.numpy()] == [{99}, {42}, {0}]
    planes = np.full((1, 3072), 99, np.uint8)
    assert cifar_records.encode(planes, [19], [99]) == records[0]
    content = tiny.pickled({b"data": planes, b"fine_labels": [99], b"coarse_labels": [19]})
    assert cifar_records.from_pickle(content, ("coarse_labels", "fine_labels")) == records[0]


def test_every_form_gives_the_same_records(tiny):
    package = tiny._package()
    for batch, (name, content) in enumerate(tiny.records.items()):
        stem = name.removesuffix(".bin")
        assert cifar_records.from_pickle(tiny.pickles[stem]) == content
        assert cifar_records.from_png(package[f"{stem}.png"], tiny.labels[batch].tolist()) == content
        assert cifar_records.encode(tiny.planes[batch], tiny.labels[batch].tolist()) == content


@pytest.mark.parametrize("forbidden", [print, np.load, np.random.default_rng])
def test_a_pickle_that_names_anything_but_an_array_is_refused(forbidden):
    content = pickle.dumps({"data": forbidden, "labels": []}, protocol=2)
    with pytest.raises(pickle.UnpicklingError, match=rf"a batch of pictures has no use for .*{forbidden.__name__}"):
        cifar_records.from_pickle(content)
