"""The page: one HTML file of a run that needs nothing else, and the room that other pages are built in.

facts       reads a run's files
summary, examples, repeating
            what the page says, in words and tables
figures/    what it draws: data and axes
drawing     figures to SVG, PNG and CSV
template/   how it looks: base.html and macros.html are every page's
rendering   from templates to a file
"""

from limbeck.report.page.comparison import write_comparison
from limbeck.report.page.run import write_page

__all__ = ["write_comparison", "write_page"]
