"""Networks: plain modules, found by name in one dictionary."""

from __future__ import annotations

from limbeck.models.alexnet import AlexNet
from limbeck.models.catalogue import CATALOGUE, Entry, build, find
from limbeck.models.ensemble import Ensemble
from limbeck.models.nin import CIFARNIN
from limbeck.models.normalised import Normalised
from limbeck.models.tables import listing, summary, tables

__all__ = [
    "CATALOGUE",
    "CIFARNIN",
    "AlexNet",
    "Ensemble",
    "Entry",
    "Normalised",
    "build",
    "find",
    "listing",
    "summary",
    "tables",
]
