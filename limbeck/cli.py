"""The commands. They parse, call the rooms that do the work, and print; they decide nothing."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Callable, Sequence

from limbeck.console import Console
from limbeck.errors import LimbeckError, unknown

_USAGE = """\
limbeck shrinks an image classifier: it distils any teacher into a small student, and measures what it was worth.

usage: limbeck COMMAND [OPTIONS]

  run [RECIPE]          train the teacher, the student alone and the distilled student, and compare them;
                        RECIPE is a name or a path/to/recipe.py (default: digits, offline, about a minute)
  evaluate RUN|FILE     judge the networks of a run, or of a weights file, on a data set
  recipes [RECIPE]      the recipes, what each is for, its time and results
  summary MODEL...      the layers, shapes and parameters of networks
  data list|fetch|verify [NAME...]
                        the data sets: what is there, get them, check them byte for byte

Type `limbeck COMMAND --help` for a command's options. `limbeck run` again continues a run that was stopped.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs a command.

    Returns:
        the exit code: 0; 2 for an error that the user can mend; 130 when interrupted; 141 (as shells count SIGPIPE)
        when whoever reads the output has ended.
    """
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        code = _command(words)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        return _unread()
    except LimbeckError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich's way to end
            return _unread()
        return stop.code if isinstance(stop.code, int) else 2
    except KeyboardInterrupt:
        again = shlex.join(["limbeck", *(word for word in words if word != "--fresh")])
        print(f"\nstopped. Nothing is lost: type `{again}` to continue.", file=sys.stderr)
        return 130


def _unread() -> int:
    """Points the standard output nowhere, so that Python does not complain of it once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 141


def _command(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help", "help"):
        print(_USAGE, end="")
        return 0
    name, rest = words[0], words[1:]
    if name == "--version":
        from importlib.metadata import version

        print(f"limbeck {version('limbeck')}")
        return 0
    if name not in _COMMANDS:
        raise unknown("command", name, _COMMANDS, "Type `limbeck --help`.")
    return _COMMANDS[name](rest)


def _run(words: list[str]) -> int:
    from limbeck import options, recipes

    given = bool(words) and not words[0].startswith("-")
    name = words[0] if given else "digits"
    recipe, run = options.parse(recipes.find(name), words[given:], f"limbeck run {name}")
    console = Console(quiet=run.quiet)
    if run.dry_run:
        from limbeck.planning import plan

        console.show(plan(recipe, console))
        return 0
    from limbeck import experiment, report

    result = experiment.run(recipe, run.out, run.fresh, console)
    console.show(report.result_table(result.results))
    console.show(report.verdict(result.results))
    console.show(f"All of it is in {result.folder}")
    return 0


def _evaluate(words: list[str]) -> int:
    from limbeck import files, judging, options, report
    from limbeck.training import choose

    asked = options.parse_evaluate(words)
    console = Console(quiet=asked.quiet)
    engine = choose(asked.device)
    for reason in engine.reasons:
        console.say(reason)
    results = judging.evaluate(asked.path, asked.data, asked.split, engine=engine, console=console)
    console.show(report.result_table(results, str(asked.path)))
    if asked.figures is not None:
        files.write_json(asked.figures, results)
    return 0


def _recipes(words: list[str]) -> int:
    from limbeck import recipes

    _only_names("recipes", "[RECIPE...]", words)
    for name in words or recipes.CATALOGUE:
        print(recipes.describe(name))
    return 0


def _summary(words: list[str]) -> int:
    import tyro

    from limbeck import models

    def summary(names: tuple[str, ...], num_classes: int = 10, in_channels: int = 3, width: float = 1.0) -> None:
        """Prints the layers, output shapes and parameters of networks for one picture of 32 x 32.

        Args:
            names: Names of models, for example alexnet_cifar nin_cifar.
            num_classes: Number of classes.
            in_channels: Channels of a picture.
            width: Multiplies the counts of hidden channels and units.
        """
        if not names:
            raise LimbeckError(f"which model? Known: {', '.join(models.CATALOGUE)}. Type `limbeck summary nin_cifar`.")
        print(models.tables(names, num_classes=num_classes, in_channels=in_channels, width=width))

    tyro.cli(summary, args=words, prog="limbeck summary", config=(tyro.conf.PositionalRequiredArgs,))
    return 0


def _data(words: list[str]) -> int:
    from limbeck import data, report

    _only_names("data", "list|fetch|verify [NAME...]", words)
    action, names = (words[0], words[1:]) if words else ("list", [])
    console = Console()
    if action == "list":
        console.show(report.data_table([data.status(name) for name in names or data.CATALOGUE]))
    elif action == "fetch":
        if not names:
            known = ", ".join(data.CATALOGUE)
            raise LimbeckError(f"which data set? Known: {known}. Type `limbeck data fetch cifar10`.")
        for name in names:
            data.fetch(name, console)
            console.show(f"{name}: ready")
    elif action == "verify":
        faults = {name: data.verify(name, console) for name in names or data.CATALOGUE}
        for name, lines in faults.items():
            console.show("\n".join(lines) or f"{name}: as published")
        return 2 if any(faults.values()) else 0
    else:
        raise unknown("action", action, ("list", "fetch", "verify"), "Type `limbeck data --help`.")
    return 0


def _only_names(command: str, usage: str, words: list[str]) -> None:
    """These commands take names and no options but --help."""
    if {"-h", "--help"} & set(words):
        print(f"usage: limbeck {command} {usage}\n\n{_USAGE.partition('OPTIONS]')[2].strip()}")
        raise SystemExit(0)
    for word in words:
        if word.startswith("-"):
            raise LimbeckError(f"`limbeck {command}` has no option {word!r}. Usage: limbeck {command} {usage}")


_COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "run": _run,
    "evaluate": _evaluate,
    "recipes": _recipes,
    "summary": _summary,
    "data": _data,
}
