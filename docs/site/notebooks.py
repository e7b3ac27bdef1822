"""Notebooks as pages: their text, their code, and the outputs that are kept in them. Nothing is run."""

from __future__ import annotations

import json
import re
from typing import Any

from docutils import nodes
from myst_parser.parsers.sphinx_ import MystParser
from sphinx.application import Sphinx

_STYLES = re.compile(r"\x1b\[[\d;]*m")  # of a terminal


class NotebookParser(MystParser):
    """Reads a notebook as the Markdown that says the same."""

    supported = ("ipynb",)

    def parse(self, inputstring: str, document: nodes.document) -> None:
        super().parse("\n\n".join(map(_cell, json.loads(inputstring)["cells"])), document)


def setup(app: Sphinx) -> dict[str, bool]:
    app.add_source_suffix(".ipynb", "ipynb")
    app.add_source_parser(NotebookParser)
    return {"parallel_read_safe": True}


def _cell(cell: dict[str, Any]) -> str:
    source = "".join(cell["source"])
    if cell["cell_type"] == "markdown":
        return source
    return "\n\n".join([_fenced(source, "python"), *(_output(output, cell) for output in cell["outputs"])])


def _output(output: dict[str, Any], cell: dict[str, Any]) -> str:
    data = output.get("data", {})
    if picture := data.get("image/png"):
        return f"![{cell['metadata'].get('alt', '')}](data:image/png;base64,{''.join(picture.split())})"
    said = "".join(output.get("text", data.get("text/plain", "")))
    return _fenced(_STYLES.sub("", said).rstrip(), "text", ":class: output")


def _fenced(text: str, language: str, *options: str) -> str:
    return "\n".join([f"`````{{code-block}} {language}", *options, "", text, "`````"])
