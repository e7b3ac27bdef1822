"""Which picture belongs to which class and split: of folders, of CSVs, and where we share them out."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from limbeck.data import Collection, Reading, resolve
from limbeck.data.pictures import folder, is_own
from limbeck.data.pictures.listing import Item, shared_out
from limbeck.errors import LimbeckError

ALL = Reading(val_share=0, test_share=0)


def listed(name: str | Path, reading: Reading = ALL) -> dict[str, list[tuple[str, int]]]:
    found = Collection(str(name), reading).listing
    return {split: [tuple(item) for item in items] for split, items in found.splits.items()}


def refusal(name: str | Path) -> str:
    with pytest.raises(LimbeckError) as caught:
        Collection(str(name), Reading())
    return str(caught.value)


class TestFolder:
    def test_classes_are_sorted_and_files_may_lie_deep(self, flowers: Path) -> None:
        found = Collection("flowers", ALL)
        assert found.classes == ("rose", "tulip")
        assert found.counts == {"train": 20}
        assert dict(listed(flowers)["train"])["rose/red/2.png"] == 0
        assert dict(listed(flowers)["train"])["tulip/9.png"] == 1

    @pytest.mark.parametrize("val", ["val", "valid", "Validation"])
    def test_splits_by_their_names(self, picture, val: str) -> None:
        for split, kind in (("train", "b"), (val, "b"), ("test", "a")):
            picture(f"p/{split}/{kind}/1.jpg")
        found = Collection("p", Reading())
        assert found.classes == ("a", "b")  # of all splits together
        assert found.splits == ("train", "val", "test")
        assert listed("p") == {
            "train": [("train/b/1.jpg", 1)],
            "val": [(f"{val}/b/1.jpg", 1)],
            "test": [("test/a/1.jpg", 0)],
        }
        assert found.listing.notices() == ["1 of 2 classes have no training picture: a."]

    def test_what_is_hidden_or_no_picture_is_left_out(self, flowers: Path, picture) -> None:
        before = listed(flowers)
        picture("flowers/rose/.hidden.png")
        picture("flowers/.cache/a.png")
        (flowers / "rose" / "about.txt").write_text("roses")
        picture("flowers/astray.png")
        assert listed(flowers) == before
        first, second = Collection("flowers", ALL).listing.notes
        assert first == "1 file is no picture by its name and is left out: rose/about.txt."
        assert second.startswith("1 picture lies in no class's folder and is left out: astray.png. Those without")

    def test_unlabelled_pictures(self, flowers: Path, picture) -> None:
        picture("flowers/unlabelled/x.png")
        found = listed(flowers, Reading())
        assert ("unlabelled/x.png", -1) in found["train"]
        assert all(label >= 0 for split in ("val", "test") for _, label in found[split])
        assert Collection("flowers", ALL).classes == ("rose", "tulip")

    def test_empty_folders_name_classes(self, picture) -> None:
        picture("p/train/unlabeled/x.png")
        picture("p/test/cat/1.png")
        Path("p/test/dog").mkdir()
        found = Collection("p", ALL)
        assert found.classes == ("cat", "dog")
        assert found.listing.notices() == []
        assert listed("p")["train"] == [("train/unlabeled/x.png", -1)]

    def test_a_class_may_be_called_train(self, picture) -> None:
        picture("p/train/1.png")
        picture("p/car/1.png")
        assert Collection("p", ALL).classes == ("car", "train")

    def test_a_link_that_leads_back_is_not_followed_for_ever(self, flowers: Path) -> None:
        (flowers / "rose" / "again").symlink_to(flowers.resolve(), target_is_directory=True)
        assert len(listed(flowers)["train"]) >= 20

    def test_a_folder_that_may_not_be_read(self, flowers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refused(path: Path):
            raise PermissionError(13, "Permission denied", str(path))

        monkeypatch.setattr(folder, "folders_in", refused)
        assert refusal("flowers") == (
            "cannot read flowers: Permission denied. Make it readable, or move it out of the pictures' folder."
        )

    @pytest.mark.parametrize("name", ["./" + 300 * "x", "~nobody-here/x", "./a\0b"])
    def test_names_that_nothing_can_have(self, name: str) -> None:
        assert refusal(name).startswith(f"there is no folder or CSV {name}. Check the path")
        assert not is_own(300 * "x")

    def test_mistakes(self, picture) -> None:
        assert refusal("./nothing").startswith("there is no folder or CSV ./nothing. Check the path, or type")
        picture("one.png")
        assert refusal("one.png").startswith("one.png is a file, but no CSV.")
        picture("flat/1.png")
        assert refusal("flat").startswith("flat has no folder for any class. 1 picture lies in it directly. A folder")
        picture("mixed/train/cat/1.png")
        picture("mixed/more/1.png")
        assert refusal("mixed").startswith("mixed has train with folders in it beside more: are these splits, or clas")
        picture("two/val/cat/1.png")
        picture("two/valid/cat/1.png")
        assert "two folders for the val split: val, valid" in refusal("two")


class TestOneClass:
    @pytest.mark.parametrize("name", ["lone", "lone.csv"])
    def test_it_is_refused_with_what_to_do(self, picture, name: str) -> None:
        """Whatever is asked, there is one answer, and every figure would be perfect."""
        picture("lone/cat/1.png")
        Path("lone.csv").write_text("path,label\nlone/cat/1.png,cat\n")
        said = f"{name} has a single class, cat, and a classifier tells two or more apart. Add pictures of another ("
        assert refusal(name).startswith(said)
        Path("lone/dog").mkdir()
        assert Collection("lone", ALL).classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("name", "meant"), [("flowres", "'flowers'"), ("./flowres", "flowers"), ("lst.csv", "list.csv")]
)
def test_a_name_that_is_nearly_right(flowers: Path, name: str, meant: str) -> None:
    Path("list.csv").touch()
    with pytest.raises(LimbeckError, match=rf"Did you mean {meant}\?"):
        resolve(name)


class TestTable:
    def made(self, text: str) -> str:
        Path("list.csv").write_text(text, encoding="utf-8-sig")
        return "list.csv"

    def test_labels_splits_and_none(self) -> None:
        name = self.made("path, label, split\na.png,dog,train\n'b.png,,\nsub/c.png,cat,Validation\nd.png,cat,test\n")
        assert Collection(name, ALL).classes == ("cat", "dog")
        assert listed(name) == {
            "train": [("a.png", 1), ("'b.png", -1)],
            "val": [("sub/c.png", 0)],
            "test": [("d.png", 0)],
        }

    def test_paths_begin_where_it_lies(self, picture, quiet) -> None:
        picture("deep/pictures/a.png")
        Path("deep/list.csv").write_text("path,label\npictures/a.png,cat\npictures/a.png,dog\n")
        assert len(Collection("deep/list.csv", ALL).load("train", quiet)) == 2

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("file,label\na,b\n", "list.csv has the columns file, label. The first line is path,label or path,label,"),
            ("", r"list.csv has the columns \(none\)"),
            ("path,label\na,b,c\n", "list.csv, line 2, has more values than there are columns"),
            ("path,label,split\na,b,dev\n", "list.csv, line 2: unknown split 'dev'. Known: train, training, val,"),
            ("path,label\na,\n", "list.csv names no class: it has no line with a label"),
        ],
    )
    def test_mistakes(self, text: str, said: str) -> None:
        with pytest.raises(LimbeckError, match=f"^{said}"):
            _ = Collection(self.made(text), ALL).classes

    def test_it_is_no_text(self) -> None:
        Path("list.csv").write_bytes(b"\xff\xfe\x00")
        with pytest.raises(LimbeckError, match=r"^cannot read list\.csv: .* It must be a CSV in UTF-8"):
            _ = Collection("list.csv", ALL).classes


class TestSharing:
    ITEMS = tuple(
        Item(f"{kind}/{number}", kind) for kind in range(3) for number in (range(50), range(30), range(10))[kind]
    )

    def test_every_class_in_proportion_and_no_picture_twice(self) -> None:
        splits, notes = shared_out({"train": self.ITEMS}, Reading())
        assert {name: len(items) for name, items in splits.items()} == {"train": 63, "val": 9, "test": 18}
        assert Counter(item.label for item in splits["test"]) == {0: 10, 1: 6, 2: 2}
        assert Counter(item.label for item in splits["val"]) == {0: 5, 1: 3, 2: 1}
        assert sorted(item for items in splits.values() for item in items) == sorted(self.ITEMS)
        assert notes == [
            "There is no test split: 18 of 90 labelled pictures (20 % of each class) are kept for the test.",
            "There is no val split: 9 of 90 labelled pictures (10 % of each class) are held out for selection.",
        ]

    def test_the_order_of_the_pictures_does_not_matter(self) -> None:
        one, _ = shared_out({"train": self.ITEMS}, Reading())
        other, _ = shared_out({"train": self.ITEMS[::-1]}, Reading())
        assert {name: set(items) for name, items in one.items()} == {name: set(items) for name, items in other.items()}

    def test_one_more_picture_moves_hardly_any(self) -> None:
        more = (*self.ITEMS, Item("0/new", 0))
        before, after = (set(shared_out({"train": items}, Reading())[0]["test"]) for items in (self.ITEMS, more))
        assert len(before ^ after) <= 2

    def test_what_is_given_is_kept(self) -> None:
        test = (Item("t", 0),)
        splits, notes = shared_out({"train": self.ITEMS, "test": test}, Reading(val_share=0.5))
        assert splits["test"] == test
        assert len(splits["val"]) == 45
        assert len(notes) == 1

    def test_pictures_that_are_only_judged_on(self) -> None:
        splits, notes = shared_out({"train": self.ITEMS}, Reading().whole())
        assert splits == {"test": self.ITEMS}
        assert notes == ["There is no test split: all 90 pictures are judged on."]


def test_shares_leave_something() -> None:
    with pytest.raises(LimbeckError, match="val_share and test_share together must be below 1"):
        Reading(val_share=0.5, test_share=0.5)


def test_the_folder_is_listed_as_it_is_now(flowers: Path) -> None:
    assert Collection("flowers", ALL).classes == ("rose", "tulip")
    shutil.rmtree(flowers / "rose")
    (flowers / "lily").mkdir()
    assert Collection("flowers", ALL).classes == ("lily", "tulip")
