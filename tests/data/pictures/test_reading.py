"""Pictures are looked at once, and are the same bits in memory and from the disk."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
import torch

from limbeck.console import Console
from limbeck.data import Collection, Dataset, Reading, Streamed, load
from limbeck.data.pictures import survey
from limbeck.errors import LimbeckError

SMALL = Reading(size=10, memory=1, workers=2)
DISK = SMALL.with_(memory=0)


def of(reading: Reading, split: str = "train", quiet: Console | None = None) -> Dataset:
    return Collection("flowers", reading).load(split, quiet or Console(quiet=True))


@pytest.fixture
def decoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The lengths of the contents that a survey decodes."""
    lengths: list[int] = []
    decode = survey.decode

    def counting(content: bytes, *rest):
        lengths.append(len(content))
        return decode(content, *rest)

    monkeypatch.setattr(survey, "decode", counting)
    return lengths


class TestBoth:
    @pytest.fixture(autouse=True)
    def _there(self, flowers: Path) -> None:
        pass

    def test_the_same_bits(self) -> None:
        resident, streamed = of(SMALL), of(DISK)
        assert type(resident) is Dataset
        assert isinstance(streamed, Streamed)
        assert len(resident) == len(streamed) == 14
        assert resident.image_shape == streamed.image_shape == (10, 10, 3)
        assert torch.equal(resident.images, streamed.fetch(torch.arange(14)))
        assert torch.equal(resident.labels, streamed.labels)
        assert resident.statistics() == streamed.statistics()
        assert resident.fingerprint == streamed.fingerprint != of(SMALL.with_(fit="pad")).fingerprint
        assert (resident.source, resident.notes) == (streamed.source, streamed.notes)
        assert resident.name == streamed.name == "flowers"

    def test_the_same_of_some_of_them(self) -> None:
        some = torch.tensor([5, 0, 5, 13])
        resident, streamed = of(SMALL).subset(some), of(DISK).subset(some)
        assert torch.equal(resident.images, streamed.fetch(torch.arange(4)))
        assert torch.equal(resident.labels, streamed.labels)
        assert resident.statistics() == streamed.statistics()
        assert resident.fingerprint == streamed.fingerprint != of(SMALL).fingerprint
        nothing = of(DISK).subset(torch.arange(0))
        assert nothing.fetch(torch.arange(0)).shape == (0, 10, 10, 3)

    def test_chunks_come_in_their_order_and_one_ahead(self) -> None:
        streamed, asked = of(DISK), []

        def chunks():
            for number, chunk in enumerate(torch.arange(14).flip(0).split(3)):
                asked.append(number)
                yield chunk

        shown = streamed.each(chunks())
        first = next(shown)
        assert asked == [0, 1]  # the second is being decoded while the first is used
        assert torch.equal(torch.cat([first, *shown]), of(SMALL).images.flip(0))

    def test_many_tasks_keep_their_order(self) -> None:
        many = torch.arange(14).repeat(5)
        assert torch.equal(of(DISK).fetch(many), of(SMALL).images[many])

    def test_a_picture_that_is_gone_later(self) -> None:
        streamed = of(DISK)
        shutil.rmtree("flowers/rose")
        with pytest.raises(LimbeckError, match=r"^rose/.*png cannot be read any more: .*Put it back and type the same"):
            streamed.fetch(torch.arange(14))

    def test_what_decides_is_the_memory(self) -> None:
        bytes_needed = 14 * 10 * 10 * 3
        assert type(of(SMALL.with_(memory=bytes_needed / 2**30))) is Dataset
        assert isinstance(of(SMALL.with_(memory=(bytes_needed - 1) / 2**30)), Streamed)


class TestLooks:
    def test_nobody_looks_twice(self, flowers: Path, decoded: list[int]) -> None:
        of(DISK)
        assert len(decoded) == 20  # all splits at once
        of(DISK, "test")
        assert len(decoded) == 20
        file = flowers / "rose" / "0.png"
        shutil.copy(flowers / "tulip" / "3.png", file)
        os.utime(file, (1, 1))
        of(DISK)
        assert len(decoded) == 21

    def test_in_memory_a_split_is_decoded_once(self, flowers: Path, decoded: list[int]) -> None:
        of(SMALL)
        assert len(decoded) == 20
        assert len(of(SMALL, "test")) == 4
        assert len(decoded) == 24

    @pytest.mark.parametrize(
        "content", ["", "[]", '{"schema": 1, "seen": {"rose/0.png": 3}}', '{"schema": 9, "seen": {}}']
    )
    def test_a_damaged_index_is_made_anew(self, flowers: Path, decoded: list[int], cache: Path, content: str) -> None:
        of(DISK)
        (index,) = (cache / "seen").glob("*.json")
        whole = json.loads(index.read_text())
        index.write_text(content)
        of(DISK)
        assert len(decoded) == 40
        assert json.loads(index.read_text()) == whole

    def test_the_source_stands_for_bytes_labels_and_how_they_are_read(self, flowers: Path) -> None:
        first = of(SMALL).source
        assert of(SMALL, "test").source == of(DISK).source == first
        assert of(SMALL.with_(fit="pad")).source != first
        assert of(SMALL.with_(val_share=0)).source != first
        (flowers / "rose" / "0.png").rename(flowers / "tulip" / "0.png")
        moved = of(SMALL).source
        assert moved != first
        content = (flowers / "tulip" / "0.png").read_bytes()
        (flowers / "tulip" / "0.png").write_bytes(content + b"more")
        assert of(SMALL).source not in (first, moved)


class TestFaults:
    @pytest.fixture(autouse=True)
    def _broken(self, flowers: Path) -> None:
        (flowers / "rose" / "empty.png").touch()
        (flowers / "tulip" / "torn.png").write_bytes((flowers / "tulip" / "3.png").read_bytes()[:60])

    def test_they_are_refused_named_and_counted(self) -> None:
        with pytest.raises(LimbeckError) as caught:
            of(SMALL)
        assert str(caught.value).startswith(
            "flowers: 2 of 22 files are no whole pictures: rose/empty.png is empty, tulip/torn.png is damaged ("
        )
        assert "type --data.broken skip to leave them out" in str(caught.value)
        assert "`limbeck data verify flowers` names them all." in str(caught.value)

    def test_they_are_skipped_on_request(self) -> None:
        resident, streamed = (of(reading.with_(broken="skip", val_share=0, test_share=0)) for reading in (SMALL, DISK))
        assert len(resident) == 20
        assert torch.equal(resident.images, streamed.fetch(torch.arange(20)))
        (note,) = resident.notes
        assert note.startswith(
            "2 broken files are left out (2 of train): rose/empty.png is empty, tulip/torn.png is damaged"
        )

    def test_a_file_of_a_csv_that_is_not_there(self, quiet: Console) -> None:
        Path("list.csv").write_text("path,label\nflowers/rose/0.png,a\nnowhere.png,b\n")
        with pytest.raises(
            LimbeckError, match=r"1 of 2 files are no whole pictures: nowhere\.png cannot be read \(No su"
        ):
            Collection("list.csv", SMALL.with_(val_share=0, test_share=0)).load("train", quiet)

    def test_a_link_to_nothing_is_one_of_them_and_each_is_counted_where_it_stands(self, flowers: Path) -> None:
        """What is said to be held out is more than the whole ones among it: the difference is said, too."""
        (flowers / "rose" / "gone.png").symlink_to("nowhere.png")
        found = of(SMALL.with_(broken="skip", val_share=0.5, test_share=0), "val")
        assert len(found) == 11
        shares, note = found.notes
        assert "12 of 23 labelled pictures (50 % of each class) are held out" in shares
        assert note.startswith("3 broken files are left out (2 of train, 1 of val): rose/empty.png is empty, rose/gone")

    def test_nothing_is_left(self, quiet: Console) -> None:
        Path("list.csv").write_text("path,label\nflowers/rose/empty.png,a\nflowers/rose/empty.png,b\n")
        with pytest.raises(LimbeckError, match=r"^list\.csv: there are no pictures in its train split"):
            Collection("list.csv", SMALL.with_(broken="skip", val_share=0, test_share=0)).load("train", quiet)


def test_the_same_picture_in_two_splits(picture) -> None:
    for number, place in enumerate(("train/a/1", "train/b/2", "test/a/3", "test/b/4")):
        picture(f"flowers/{place}.png", number % 3)
    assert of(SMALL.with_(val_share=0)).notes == (
        "1 picture is in two splits: test/b/4.png is train/a/1.png. What is learned by heart there counts as right.",
    )


def test_a_person_is_told(flowers: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load("flowers", "train", None, DISK)
    said = capsys.readouterr().out
    assert (
        "flowers: the centre of each at 10 x 10 pixels, decoded anew each time by 2 threads: 0.1 MB are more than"
        in said
    )
    assert (
        "flowers: There is no test split: 4 of 20 labelled pictures (20 % of each class) are kept for the test." in said
    )
    load("flowers", "test", None, DISK)
    assert capsys.readouterr().out == ""


def test_training_pictures_are_not_judged_on_by_another_name(flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However they are typed; also where the name that they were trained on by leads nowhere from here."""
    monkeypatch.chdir(flowers.parent)
    as_trained, name = Reading(val_share=0.3), flowers.name
    for other in (name, f"{name}/", f"./{name}", str(flowers.absolute()), f"{name}/rose/.."):
        assert as_trained.of(other, name) == as_trained
    monkeypatch.chdir(flowers)
    assert as_trained.of(f"../{name}", name) == as_trained
    for other in ("rose", "..", "nowhere", "hf/somebody/flowers-too"):
        assert as_trained.of(other, name).test_share == 1
    assert as_trained.of(name, None).test_share == 1
