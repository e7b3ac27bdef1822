"""The options of each command, and the words that are no options: a recipe's name, a run, a weights file."""

from __future__ import annotations

import shlex
import tempfile
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator

from limbeck import files, recipes
from limbeck.errors import LimbeckError
from limbeck.models.sources import FORMS, Source, is_source
from limbeck.options.arguments import HELP, change, read, strays
from limbeck.options.choices import choose
from limbeck.options.manual import manual
from limbeck.options.targets import A_FILE, JUDGED, Code, refuse_others
from limbeck.recipes import Recipe, Teachers, Training, Weights
from limbeck.spec import Spec, SpecError
from limbeck.trackers import TRACKERS, refuse_unknown
from limbeck.training import Device

_PAGE = b'<meta name="limbeck" content="compare">'
_OF_A_NAME = ("weights", "pretrained", "size", "mean", "std")
T = TypeVar("T", bound=Spec)


class RunOptions(Spec):
    """Options of `limbeck run` that are no part of the recipe."""

    out: Path | None = Field(None, description="The run folder; by default runs/<recipe>-<hash>.")
    fresh: bool = Field(
        False,
        description="Start over: what the folder has of an earlier run is deleted once the new one passed its checks.",
    )
    dry_run: bool = Field(False, description="Tell the time and the disk a run would take, and stop.")
    page: bool = Field(True, description="Make the page at the end; --no-page leaves it to `limbeck report`.")
    export: bool = Field(False, description="Export the student at the end, as `limbeck export` does.")
    tracker: tuple[str, ...] = Field((), description=f"Also told what happens: {', '.join(TRACKERS)}; by default none.")
    quiet: bool = Field(False, description="Show nothing but the result.")

    @field_validator("tracker")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(refuse_unknown, names))


class EvaluateOptions(Spec):
    """Options of `limbeck evaluate`."""

    data: tuple[str, ...] = Field(
        (), description="Data sets; by default the run's, or what the file's network learned."
    )
    split: Literal["test", "train"] = Field("test", description="Split of each data set.")
    corruptions: bool = Field(
        False,
        description="Also judge the teacher and the first seed's students on 75 corrupted copies of the first data "
        "set (noise, blur, weather, digital); of 10,000 pictures, 10 to 20 minutes a network on a CPU.",
    )
    cost: bool = Field(
        False, description="Also measure latency, throughput and memory on this device; 5 seconds a network."
    )
    json_: Path | None = Field(
        None, description="Also write every figure to this file; keys as in results.json, with details."
    )
    side: int | None = Field(
        None, ge=4, le=1024, description="Pixels that pictures of your own are brought to; none: as for the training."
    )
    broken: Literal["refuse", "skip"] | None = Field(
        None, description="What is done about broken files among them: refuse or skip; none: as for the training."
    )
    teacher: str | None = Field(
        None,
        description="Compare with this one, where there is no teacher yet: a run (its teacher), a weights file, or a "
        "network's name. A name's code is run.",
    )
    weights: Path | None = Field(
        None, description="For a network's name: its state dictionary, as safetensors or as torch.save writes it."
    )
    pretrained: bool = Field(False, description="For a network's name: the weights that its library fetches.")
    size: int | None = Field(None, ge=1, description="For a network's name: pictures are resized to this first.")
    mean: tuple[float, ...] | None = Field(
        None, description="For a network's name: a channel's mean in [0, 1]; none: pictures as they are; timm: its own."
    )
    std: tuple[float, ...] | None = Field(None, description="For a network's name: a channel's deviation.")
    code: Code = Field(
        (), description="Files of your own that networks of limbeck's files are made by, and that may be run for it."
    )
    quiet: bool = Field(False, description="Show nothing but the result.")
    device: Device = Device()


class CompareOptions(Spec):
    """Options of `limbeck compare`."""

    reference: Path | None = Field(None, description="The run that the others are compared with; by default the first.")
    out: Path | None = Field(Path("compare.html"), description="Where the page goes; none: no page is made.")
    json_: Path | None = Field(None, description="Also write every figure to this file.")
    quiet: bool = Field(False, description="Show nothing but the result.")


class SummaryOptions(Spec):
    """Options of `limbeck summary`."""

    num_classes: int = Field(10, ge=2, description="Number of classes.")
    in_channels: int = Field(3, ge=1, description="Channels of a picture, for a network of limbeck's.")
    width: float = Field(
        1.0, gt=0, le=100, description="Multiplies the counts of hidden channels and units, for a network of limbeck's."
    )
    image_size: int | None = Field(
        None, ge=1, description="Height and width of a picture; none: 32, or what the network is made for."
    )


def parse_run(words: Sequence[str], head: str) -> tuple[Recipe, RunOptions]:
    """The recipe that was typed, with its options applied; the folder of a run stands for its recipe.

    Args:
        words: what was typed after `limbeck run`; the recipe's name may stand anywhere among the options.
        head: how help begins.

    Raises:
        LimbeckError: a name, an option or a file that does not exist, or an impossible value.
        SystemExit: help was asked for (0).
    """
    place = next(iter(strays([RunOptions(), recipes.digits()], words)), None)
    name = "digits" if place is None else words[place]
    rest = [word for number, word in enumerate(words) if number != place]
    start, folder = recipe_at(name)
    recipe, run = parse(start, rest, f"{head}\nThe options below are shown with what the recipe {start.name} has.")
    if folder and run.out is None and recipe == start:
        run = run.with_(out=folder)
    return recipe, run


def parse(recipe: Recipe, words: Sequence[str], head: str) -> tuple[Recipe, RunOptions]:
    """The recipe with the options of a command line applied; raises as `parse_run` does."""
    return apply(recipe, RunOptions(), words, head, "run")


def apply(
    recipe: Recipe, own: T, words: Sequence[str], head: str, command: str, given: Mapping[str, Spec] | None = None
) -> tuple[Recipe, T]:
    """A recipe and a command's own options with what was typed for them; raises as `parse_run` does.

    Args:
        recipe, own: what is changed.
        words: what was typed after the recipe's name.
        head: how help begins.
        command: the command's name.
        given: descriptions by path, put in place of what the recipe has there.
    """
    chosen = choose(recipe, words, given)
    (recipe, own), rest = parsed([change(recipe, chosen), own], chosen.rest, head, chosen.words)
    if rest:
        hint = "Values are set apart by commas, without blanks: --objective kd,dkd. " if command == "sweep" else ""
        raise LimbeckError(
            f"{rest[0]}: there is a recipe already, and no option that takes this word. {hint}"
            f"Type `limbeck {command} --help`."
        )
    return recipe, own


def parse_evaluate(words: Sequence[str], head: str) -> tuple[Path | Source, EvaluateOptions]:
    """What is judged, and the options of `limbeck evaluate`; raises as `parse_run` does.

    A run or a weights file is there; of a network's name it is not known yet.
    """
    (options,), paths = parsed([EvaluateOptions()], words, head)
    if len(paths) != 1:
        what = f"which one of {', '.join(paths)}" if paths else "which run's folder, or which weights file"
        raise LimbeckError(f"{what}? Type it first: limbeck evaluate runs/RUN, or limbeck evaluate {A_FILE}")
    if options.json_ is not None:
        refuse_unwritable(options.json_)
    if options.teacher is not None and not is_source(options.teacher):
        refuse_others(options.teacher, JUDGED)
    if is_source(paths[0]) and not Path(paths[0]).is_dir():
        try:
            return Source(name=paths[0], **{name: getattr(options, name) for name in _OF_A_NAME}), options
        except SpecError as error:
            raise LimbeckError("\n".join(f"{paths[0]}: {fault.said}." for fault in error.faults)) from error
    for name in _OF_A_NAME:
        if getattr(options, name) not in (None, False):
            raise LimbeckError(
                f"--{name} is for a network's name, and {paths[0]} is none: it brings its own. Names are {FORMS}."
            )
    refuse_others(paths[0], JUDGED)
    return Path(paths[0]), options


def parse_compare(words: Sequence[str], head: str) -> tuple[list[Path], CompareOptions]:
    """The folders that were typed and the options of `limbeck compare`; raises as `parse_run` does."""
    (options,), paths = parsed([CompareOptions()], words, head)
    if options.out is not None:
        refuse_unwritable(options.out, "--out", "compare.html")
        if options.out.exists() and _PAGE not in options.out.read_bytes():
            raise LimbeckError(
                f"--out {options.out}: that file is there, and is no comparison of limbeck. Give another name."
            )
    if options.json_ is not None:
        refuse_unwritable(options.json_)
    return list(map(Path, paths)), options


def parse_summary(words: Sequence[str], head: str) -> tuple[list[str], SummaryOptions]:
    """The names of models and the options of `limbeck summary`; raises as `parse_run` does."""
    (options,), names = parsed([SummaryOptions()], words, head)
    return names, options


def describe(name: str) -> str:
    """A recipe file of one's own, or the recipe of a run, as `recipes.describe` words limbeck's.

    Raises:
        LimbeckError: there is no such recipe.
    """
    recipe = recipe_at(name)[0]
    return f"{name}\n{textwrap.indent(sketch(recipe), '  ')}\n\n  Command: limbeck run {shlex.quote(name)}\n"


def sketch(recipe: Recipe) -> str:
    """What a recipe trains on what, in a line each."""
    lines = [f"recipe {recipe.name}, on {recipe.data.name}, judged on {', '.join(recipe.data.test_sets())}"]
    teachers = recipe.teacher.members if isinstance(recipe.teacher, Teachers) else (recipe.teacher,)
    for teacher in teachers:
        if isinstance(teacher, Training):
            lines.append(f"teacher: {teacher.student.title()}, {teacher.train.epochs} epochs")
        elif teacher is not None:
            trained = teacher.path if isinstance(teacher, Weights) else "several"
            lines.append(f"teacher: {teacher.title() if isinstance(teacher, Source) else trained}")
    student = f"student: {recipe.student.title()}, {recipe.train.epochs} epochs"
    objectives = " and ".join(f"{role} by {how.objective.name}" for role, how in recipe.students().items())
    return "\n".join([*lines, f"{student}, {objectives}, seeds {' '.join(map(str, recipe.protocol.seeds))}"])


def recipe_at(name: str) -> tuple[Recipe, Path | None]:
    """The recipe of a name, a file or a run's folder; and that folder.

    Raises:
        LimbeckError: there is none.
    """
    folder = _run_folder(name)
    return recipes.find(str(folder / "recipe.json") if folder else name), folder


def refuse_unwritable(path: Path, option: str = "--json", name: str = "figures.json") -> None:
    """Finds out now, and not after long work, that a file cannot be written; ``name`` is such a file's."""
    if path.is_dir():
        raise LimbeckError(f"{option} {path}: this is a folder. Type {option} {path / name}")
    with files.mendable(path), tempfile.TemporaryFile(dir=files.make_folder(path.parent)):
        pass


def parsed(
    specs: Sequence[Spec], words: Sequence[str], head: str, chosen: dict[str, str] | None = None
) -> tuple[list[Any], list[str]]:
    """The descriptions with what was typed, and the words that are no options; help ends it all."""
    if set(HELP) & set(words):
        print(manual(head, specs[::-1]))
        raise SystemExit(0)
    typed = read(specs, words, chosen)
    return [change(spec, typed.among(type(spec).model_fields)) for spec in specs], typed.rest


def _run_folder(name: str) -> Path | None:
    """The folder of a run, where the name is one."""
    path = Path(name)
    if name in recipes.CATALOGUE or not path.is_dir():
        return None
    if not (path / "recipe.json").is_file():
        raise LimbeckError(
            f"{path} is a folder, but not of a run: it has no recipe.json. Give a run's folder, a recipe.py, or the "
            "name of a recipe; `limbeck recipes` lists them."
        )
    return path
