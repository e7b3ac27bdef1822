"""Where pictures come from: data sets by name, fetched and verified, and the split held out of them."""

from __future__ import annotations

from limbeck.data.catalogue import CATALOGUE, fetch, load, status, verify
from limbeck.data.dataset import Dataset, hold_out
from limbeck.data.entry import Entry, Status
from limbeck.data.fetch import DataUnavailable, cache_folder
from limbeck.data.pairs import from_pairs

__all__ = [
    "CATALOGUE",
    "DataUnavailable",
    "Dataset",
    "Entry",
    "Status",
    "cache_folder",
    "fetch",
    "from_pairs",
    "hold_out",
    "load",
    "status",
    "verify",
]
