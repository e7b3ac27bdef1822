"""Who labels views: a network asked live, or its kept answers."""

from limbeck.teachers.answers import Answers
from limbeck.teachers.assignment import Assignment
from limbeck.teachers.labelling import AnyLabelling, Kept, Labelling, Live, Stored, Table
from limbeck.teachers.live import LiveTeacher
from limbeck.teachers.stored import StoredLogits
from limbeck.teachers.table import ViewTable

__all__ = [
    "Answers",
    "AnyLabelling",
    "Assignment",
    "Kept",
    "Labelling",
    "Live",
    "LiveTeacher",
    "Stored",
    "StoredLogits",
    "Table",
    "ViewTable",
]
