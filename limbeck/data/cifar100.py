"""CIFAR-100: sixty thousand colour pictures of 32 pixels, a hundred classes in twenty groups.

A record of the binary version begins with two labels, the group's and the class's; the class is the label here
(Krizhevsky, "Learning Multiple Layers of Features from Tiny Images", technical report, University of Toronto, 2009).
The binary version's digests are those that torchvision for Ruby compares, the python version's are torchvision's. The
tests use files of the same form: the published ones have not gone through this code yet.
"""

from __future__ import annotations

from limbeck.data import cifar_records
from limbeck.data.cifar import Release, entry
from limbeck.data.fetch import KnownFile

_NAMES = (
    "apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can "
    "castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin "
    "elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster "
    "man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck "
    "pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk "
    "skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger "
    "tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm"
)
CLASSES = tuple(_NAMES.split())

_LABELS = ("coarse_labels", "fine_labels")
_RECORD_BYTES = cifar_records.record_bytes(len(_LABELS))

RELEASE = Release(
    name="cifar100",
    description="colour pictures of a hundred kinds of things (Krizhevsky 2009)",
    classes=CLASSES,
    records=(
        KnownFile(
            "train.bin",
            "sha256",
            "f31298fc616915fa142368359df1c4ca2ae984d6915ca468b998a5ec6aeebf29",
            50_000 * _RECORD_BYTES,
        ),
        KnownFile(
            "test.bin",
            "sha256",
            "d8b1e6b7b3bee4020055f0699b111f60b1af1e262aeb93a0b659061746f8224a",
            10_000 * _RECORD_BYTES,
        ),
    ),
    pickles=(
        KnownFile("train", "md5", "16019d7e3df5f24257cddd939b257f8d"),
        KnownFile("test", "md5", "f0ef6b0ae62326f3e7ffdfab6717acfc"),
    ),
    url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    archive=KnownFile("cifar-100-binary.tar.gz", "md5", "03b5dce01913d631647c71ecec9e9cb8", 168_513_733),
    python_archive="cifar-100-python.tar.gz",
    folders=("cifar-100-binary", "cifar-100-python"),
    labels=_LABELS,
)

ENTRY = entry(RELEASE)
