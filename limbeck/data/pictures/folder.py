"""A folder with one folder a class, or with train, val and test and the classes in those."""

from __future__ import annotations

from pathlib import Path

from limbeck.data.pictures.files import SUFFIXES, Files, files_below, folders_in, names_in
from limbeck.data.pictures.listing import SPLIT_OF, UNLABELLED, Item, Listing, counted, few, shared_out
from limbeck.data.reading import Reading
from limbeck.errors import LimbeckError

Layout = dict[str, dict[str, Path]]
"""The folders of each split by class; "" is the folder of those without a label."""

_SHAPE = (
    "A folder of pictures has one folder for each class (flowers/rose/1.jpg), or train, val and test and the classes "
    "in each (flowers/train/rose/1.jpg)"
)


def layout(path: Path) -> Layout:
    """Which folders hold the pictures of which split and class; no file is looked at but where there is no folder.

    Raises:
        LimbeckError: there are no classes, or it cannot be told whether its folders are classes or splits.
    """
    there = [name for name in folders_in(path) if name not in UNLABELLED]
    named = [name for name in there if name.lower() in SPLIT_OF]
    others = [name for name in there if name not in named]
    if named and others and any(folders_in(path / name) for name in named):
        raise LimbeckError(
            f"{path} has {few(named)} with folders in it beside {few(others)}: are these splits, or classes? "
            f"{_SHAPE}. Move what is neither out of it."
        )
    found: Layout = {}
    if named and not others:
        for name in named:
            split = SPLIT_OF[name.lower()]
            if split in found:
                raise LimbeckError(f"{path} has two folders for the {split} split: {few(named)}. Merge them into one.")
            found[split] = _classes(path / name)
    elif there:
        found["train"] = {name: path / name for name in there}
    alone = [path / name for name in UNLABELLED if (path / name).is_dir()]
    if alone:
        found.setdefault("train", {})[""] = alone[0]
    if not any(name for split in found.values() for name in split):
        inside = sum(Path(name).suffix.lower() in SUFFIXES for name in names_in(path))
        here = f" {counted(inside, 'picture lies', 'pictures lie')} in it directly." if inside else ""
        raise LimbeckError(
            f"{path} has no folder for any class.{here} {_SHAPE}. Where no picture has a label, an empty folder names "
            "a class, and the pictures lie in the folder unlabelled."
        )
    return found


def _classes(path: Path) -> dict[str, Path]:
    return {"" if name in UNLABELLED else name: path / name for name in folders_in(path)}


def classes_of(found: Layout) -> tuple[str, ...]:
    """The names of the classes in all the splits, sorted."""
    return tuple(sorted({name for split in found.values() for name in split if name}))


def listing(path: Path, found: Layout, reading: Reading) -> Listing:
    """All the files of a layout; those that are no pictures by their names are left out, and counted."""
    classes, other, astray = classes_of(found), [], []
    label = {"": -1, **{name: number for number, name in enumerate(classes)}}
    given: dict[str, list[Item]] = {}
    for split, folders in found.items():
        items = given.setdefault(split, [])
        for name, folder in sorted(folders.items()):
            for file in files_below(folder):
                where = file.relative_to(path).as_posix()
                if file.suffix.lower() in SUFFIXES:
                    items.append(Item(where, label[name]))
                else:
                    other.append(where)
    inside = {folder for folders in found.values() for folder in folders.values()}
    for folder in {path, *(each.parent for each in inside)}:
        astray += [
            (folder / name).relative_to(path).as_posix()
            for name in names_in(folder)
            if Path(name).suffix.lower() in SUFFIXES
        ]
    splits, notes = shared_out(given, reading)
    if other:
        many = counted(
            len(other), "file is no picture by its name and is", "files are no pictures by their names and are"
        )
        notes.append(f"{many} left out: {few(sorted(other))}.")
    if astray:
        many = counted(
            len(astray), "picture lies in no class's folder and is", "pictures lie in no class's folder and are"
        )
        notes.append(
            f"{many} left out: {few(sorted(astray))}. Those without a label belong into a folder named unlabelled."
        )
    files = Files(path)
    return Listing(classes, splits, files.read, files.stamp, tuple(notes))
