"""Who labels views: a network asked live, or its stored answers."""

from limbeck.teachers.labelling import AnyLabelling, Labelling, Live, Stored
from limbeck.teachers.live import LiveTeacher
from limbeck.teachers.stored import StoredLogits

__all__ = ["AnyLabelling", "Labelling", "Live", "LiveTeacher", "Stored", "StoredLogits"]
