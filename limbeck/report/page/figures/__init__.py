"""The figures of a run's page: each a function from what is known to a `Figure`, or to why there is none."""

from limbeck.report.page.figures.classes import class_changes
from limbeck.report.page.figures.confusion import confusions
from limbeck.report.page.figures.corruptions import corruption_accuracy
from limbeck.report.page.figures.cost import accuracy_against_cost
from limbeck.report.page.figures.curves import learning_curves
from limbeck.report.page.figures.reliability import reliability_diagrams
from limbeck.report.page.figures.seeds import by_seed
from limbeck.report.page.figures.shift import accuracy_under_shift
from limbeck.report.page.figures.softened import softened_answers

__all__ = [
    "accuracy_against_cost",
    "accuracy_under_shift",
    "by_seed",
    "class_changes",
    "confusions",
    "corruption_accuracy",
    "learning_curves",
    "reliability_diagrams",
    "softened_answers",
]
