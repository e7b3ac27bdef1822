"""Pages of limbeck's own making, which links open in place of downloading them; and the way in from the site's root."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.util.osutil import relative_uri


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("doctree-resolved", opened)
    app.connect("build-finished", entered)
    return {"parallel_read_safe": True}


def opened(app: Sphinx, doctree: nodes.document, page: str) -> None:
    """Links to HTML files lead to copies of them."""
    for link in list(doctree.findall(addnodes.download_reference)):
        place, source = app.env.relfn2path(link["reftarget"], page)
        if PurePosixPath(place).suffix != ".html":
            continue
        copy = Path(app.outdir, place)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, copy)
        uri = relative_uri(app.builder.get_target_uri(page), place)
        link.replace_self(nodes.reference("", "", *link.children, refuri=uri, internal=True))


def entered(app: Sphinx, problem: Exception | None) -> None:
    """The first page is in docs/; who opens the site itself is sent there."""
    if problem is None and app.builder.format == "html":
        first = f"{app.config.root_doc}.html"
        sent = f'<meta http-equiv="refresh" content="0; url={first}">'
        page = (
            f'<!doctype html>\n<meta charset="utf-8">\n<title>limbeck</title>\n{sent}\n<a href="{first}">limbeck</a>\n'
        )
        Path(app.outdir, "index.html").write_text(page, encoding="utf-8")
