"""What each command does: it parses, calls the rooms that do the work, and prints; it decides nothing."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from limbeck.console import Console
from limbeck.errors import LimbeckError, unknown
from limbeck.processes import ranks
from limbeck.usage import HELP

if TYPE_CHECKING:
    from limbeck.shipping.exporting import Exported


def _run(words: list[str]) -> int:
    from limbeck import options

    recipe, run = options.parse_run(words, HELP["run"])
    console = Console(quiet=run.quiet)
    if run.dry_run:
        from limbeck.planning import plan

        console.show(plan(recipe, console))
        return 0
    from limbeck import report, start

    if run.export:
        from limbeck.shipping.graph import needs_onnx

        needs_onnx()
    result = start.run(recipe, run.out, run.fresh, console, run.page and not run.export, run.tracker)
    if not ranks.withdraw():
        return 0
    console.show(report.result_table(result.results))
    sentences = [*report.remarks(result.results), report.verdict(result.results), report.cost_sentence(result.results)]
    console.show("\n".join(filter(None, sentences)))
    page = result.page
    try:
        if run.export:
            from limbeck import own
            from limbeck.shipping import exporting

            console.show("")
            _show_exported(exporting.export(result.folder, console=console, code=own.named(recipe)), console)
    finally:
        if run.export and run.page:  # it counts the looks that the export took
            from limbeck.runs import RunFolder

            page = start.page_of(RunFolder(result.folder), console)
        console.show(f"All of it is in {result.folder}")
        if page:
            console.show(f"The page: {page}")
    return 0


def _sweep(words: list[str]) -> int:
    from limbeck import report, sweeps

    plan, asked = sweeps.parse(words, HELP["sweep"])
    console = Console(quiet=asked.quiet)
    if asked.dry_run:
        title = sweeps.rehearsed(plan, asked.out, console)
        console.show(report.trials_table(list(plan.axes()), [trial.varies for trial in plan.trials], title))
        return 0
    swept = sweeps.carry_out(plan, asked.out, asked.fresh, console)
    console.show(report.sweep_table(swept.results))
    console.show(f"All of it is in {swept.folder}")
    console.show(report.sweep_notes(swept.results))
    if not swept.results["ranking"]:
        raise LimbeckError(report.all_failed(swept.results))
    return 0


def _evaluate(words: list[str]) -> int:
    from limbeck import files, options, report
    from limbeck.judging import evaluating
    from limbeck.models.sources import Source
    from limbeck.training import choose

    what, asked = options.parse_evaluate(words, HELP["evaluate"])
    console = Console(quiet=asked.quiet)
    results = evaluating.evaluate(
        what,
        asked.data,
        asked.split,
        engine=choose(asked.device),
        console=console,
        teacher=asked.teacher,
        corruptions=asked.corruptions,
        cost=asked.cost,
        code=asked.code,
        side=asked.side,
        broken=asked.broken,
    )
    tables = [*report.metrics_tables(results), *report.corruption_tables(results, results["details"])]
    for table in (report.result_table(results, what.name if isinstance(what, Source) else str(what)), *tables):
        console.show(table)
        console.show("")
    for table in report.cost_tables(results):
        console.show(table)
    notes = (*report.metrics_notes(results), *report.shift_lines(results), *report.cost_notes(results))
    for remark in (*notes, *report.remarks(results)):
        console.show(remark)
    if asked.json_ is not None:
        files.write_json(asked.json_, results)
    return 0


def _export(words: list[str]) -> int:
    from limbeck import options
    from limbeck.shipping import exporting

    path, asked = options.parse_export(words, HELP["export"])
    console = Console(quiet=asked.quiet)
    _show_exported(exporting.export(path, asked.out, asked.role, asked.seed, console, asked.code), console)
    return 0


def _show_exported(exported: Exported, console: Console) -> None:
    from limbeck import report

    console.show(report.export_table(exported.results))
    console.show("\n".join([*exported.results["notes"], f"All of it is in {exported.folder}"]))


def _report(words: list[str]) -> int:
    if _only_names("report", words):
        return 0
    if len(words) != 1:
        what = f"which one of {', '.join(words)}" if words else "which run"
        raise LimbeckError(f"{what}? Type the folder of one: limbeck report runs/RUN")
    from pathlib import Path

    from limbeck.report.page import write_page

    Console().show(f"The page: {write_page(Path(words[0]))}")
    return 0


def _compare(words: list[str]) -> int:
    from limbeck import files, options, report
    from limbeck.comparison import compare

    paths, asked = options.parse_compare(words, HELP["compare"])
    compared = compare(paths, asked.reference).results
    console = Console(quiet=asked.quiet)
    for table in report.comparison_tables(compared):
        console.show(table)
        console.show("")
    for note in report.comparison_notes(compared):
        console.show(note)
    if asked.json_ is not None:
        files.write_json(asked.json_, compared)
    if asked.out is not None:
        from limbeck.report.page import write_comparison

        console.show(f"The page: {write_comparison(compared, asked.out)}")
    return 0


def _predict(words: list[str]) -> int:
    from limbeck import options
    from limbeck.shipping import predicting, telling

    what, pictures, asked = options.parse_predict(words, HELP["predict"])
    network = predicting.classifier(what, asked.size, asked.code)
    found = list(predicting.predict(network, pictures))
    if asked.format == "table":
        Console().show(telling.table(found, network.classes, asked.top))
    else:
        print((telling.as_json if asked.format == "json" else telling.as_csv)(found, network.classes))
    broken = [f"{each.name} {each.broken}" for each in found if each.broken is not None]
    if broken:
        raise LimbeckError(f"{len(broken)} of {len(found)} pictures cannot be read: {'; '.join(broken[:5])}.")
    return 0


def _check(words: list[str]) -> int:
    if _only_names("check", words):
        return 0
    from limbeck import doctor

    if not words:
        raise LimbeckError("which loss? Type `limbeck check path/to/file.py:loss`.")
    reports = [doctor.check(doctor.find(name), name) for name in words]
    Console().show("\n\n".join(map(str, reports)))
    return 0 if all(report.ok for report in reports) else 1


def _recipes(words: list[str]) -> int:
    if _only_names("recipes", words):
        return 0
    from limbeck import options, recipes

    for name in words or recipes.CATALOGUE:
        print(recipes.describe(name) if name in recipes.CATALOGUE else options.describe(name))
    return 0


def _summary(words: list[str]) -> int:
    from limbeck import models, options

    names, asked = options.parse_summary(words, HELP["summary"])
    print(models.tables(names, **asked.model_dump()) if names else models.listing())
    return 0


def _data(words: list[str]) -> int:
    if _only_names("data", words):
        return 0
    from limbeck import data, report

    action, names = (words[0], words[1:]) if words else ("list", [])
    console = Console()
    if action == "list":
        found = [data.resolve(name) for name in names or data.CATALOGUE]
        if ready := [data.status(each.name) for each in found if isinstance(each, data.Entry)]:
            console.show(report.data_table(ready))
        for each in found:
            if isinstance(each, data.Collection):
                looked = each.survey(console)
                console.show(report.pictures_table(each.title, looked))
                console.show("\n".join(report.pictures_notes(looked)))
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
            sound = "as published" if name in data.CATALOGUE else "every file is a picture, and none is in two splits"
            console.show("\n".join(lines) or f"{name}: {sound}")
        return 2 if any(faults.values()) else 0
    else:
        raise unknown("action", action, ("list", "fetch", "verify"), "Type `limbeck data --help`.")
    return 0


def _only_names(command: str, words: list[str]) -> bool:
    """These commands take names and no options but --help; whether that was asked for, and given."""
    if {"-h", "--help"} & set(words):
        print(HELP[command], end="")
        return True
    for word in words:
        if word.startswith("-"):
            usage = HELP[command].partition("\n")[0]
            raise LimbeckError(f"{word}: `limbeck {command}` has no such option. It is typed: {usage[7:]}")
    return False


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "run": _run,
    "sweep": _sweep,
    "evaluate": _evaluate,
    "export": _export,
    "predict": _predict,
    "report": _report,
    "compare": _compare,
    "check": _check,
    "recipes": _recipes,
    "summary": _summary,
    "data": _data,
}
"""By the word that is typed; each takes the words after it and returns the exit code."""
