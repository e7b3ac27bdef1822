"""The one loop that trains every network, and what it runs on."""

from limbeck.training.device import Device, Engine, choose
from limbeck.training.job import Job
from limbeck.training.loop import fit
from limbeck.training.optim import SGD, AdamW, Schedule, Train

__all__ = ["SGD", "AdamW", "Device", "Engine", "Job", "Schedule", "Train", "choose", "fit"]
