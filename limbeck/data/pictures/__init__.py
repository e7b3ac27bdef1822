"""Pictures of one's own: listed, looked at once, and read into memory or from the disk."""

from limbeck.data.pictures.collection import Collection, is_own, may_be_own, title
from limbeck.data.pictures.streamed import Streamed

__all__ = ["Collection", "Streamed", "is_own", "may_be_own", "title"]
