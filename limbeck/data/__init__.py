"""Where pictures come from: data sets by name, fetched and verified, and the split held out of them."""

from __future__ import annotations

from limbeck.data.catalogue import CATALOGUE, fetch, load, resolve, shared_title, status, title, verify
from limbeck.data.dataset import Dataset, hold_out
from limbeck.data.entry import Entry, Status
from limbeck.data.fetch import DataUnavailable, cache_folder
from limbeck.data.pairs import from_pairs
from limbeck.data.pictures import Collection, Streamed
from limbeck.data.reading import Reading

__all__ = [
    "CATALOGUE",
    "Collection",
    "DataUnavailable",
    "Dataset",
    "Entry",
    "Reading",
    "Status",
    "Streamed",
    "cache_folder",
    "fetch",
    "from_pairs",
    "hold_out",
    "load",
    "resolve",
    "shared_title",
    "status",
    "title",
    "verify",
]
