"""Which pictures a recipe is about."""

from __future__ import annotations

from pydantic import Field, field_validator, model_validator

from limbeck.data import CATALOGUE, Collection, Reading, resolve, shared_title
from limbeck.spec import Spec


class _Named(Spec):
    name: str = Field(
        "digits",
        description="Training set; see `limbeck data list`. Or a folder of pictures, a CSV, hf/OWNER/NAME. Empty: one "
        "has to be named.",
    )
    tests: tuple[str, ...] = Field((), description="Test sets; empty: the training set's own.")


class Data(Reading, _Named):
    """Which pictures: a training set, and the test sets that the networks are judged on at the end.

    The fields of `Reading` are for pictures of one's own alone. A recipe for pictures that only its user has names
    none: its name is empty, and whoever asks for them is told to name some.
    """

    @field_validator("name")
    @classmethod
    def _known(cls, name: str) -> str:
        return _known_data(name, "train")

    @field_validator("tests")
    @classmethod
    def _known_tests(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_known_data(name, "test") for name in names)

    @model_validator(mode="after")
    def _own_pictures_alone_are_resized(self) -> Data:
        own = [name for name in (self.name, *self.tests) if name not in CATALOGUE]
        if self.size is not None and not own:
            raise ValueError(
                f"size = {self.size} is for pictures of your own; those of {self.name} keep theirs; leave it away"
            )
        return self

    @model_validator(mode="after")
    def _splits_are_there(self) -> Data:
        for name, split in ((self.name, "train"), *((name, "test") for name in self.test_sets())):
            if not name:
                continue
            found = resolve(name, self.reading(name))
            if isinstance(found, Collection) and not found.packaged and split not in found.splits:
                has = f"it has {' and '.join(found.splits)}"
                raise ValueError(f"{name} has no {split} split ({has}); choose another, or a share of it for the test")
        if taken := shared_title((self.name, *self.tests)):
            raise ValueError(f"two data sets would both be called {taken}; rename a folder")
        return self

    @model_validator(mode="after")
    def _same_classes(self) -> Data:
        if not self.name or not set(self.tests) - {self.name}:
            return self
        own = resolve(self.name, self).classes
        for test in self.tests:
            if (others := resolve(test, self.reading(test)).classes) != own:
                raise ValueError(
                    f"test set {test} has other classes ({_few(others)}) than the training set "
                    f"{self.name} ({_few(own)}); choose another --data.tests or --data.name"
                )
        return self

    def test_sets(self) -> tuple[str, ...]:
        """The names of the test sets."""
        return self.tests or (self.name,)

    def reading(self, name: str) -> Reading:
        """How a data set is read: of one that is not trained on, nothing is kept for training."""
        return self.of(name, self.name)

    def said(self) -> str | None:
        """How own pictures were read, as weights files keep it; none for a data set of the catalogue."""
        own = self.model_dump_json(include=set(Reading.model_fields))
        return None if self.name in CATALOGUE else own

    def has(self, split: str) -> bool:
        """Whether the training set has such a split of its own."""
        return split in resolve(self.name, self).splits


def _few(classes: tuple[str, ...]) -> str:
    return ", ".join(classes[:3]) + (", ..." if len(classes) > 3 else "")


def _known_data(name: str, split: str) -> str:
    if name in CATALOGUE and split not in CATALOGUE[name].counts:
        able = ", ".join(other for other, entry in CATALOGUE.items() if split in entry.counts)
        raise ValueError(f"{name} has no {split} split; choose one of {able}")
    return name
