"""What a network is trained to do: pure losses, and the objectives that weigh them."""

from typing import Annotated

from pydantic import Field

from limbeck.objectives.kd import KD, CrossEntropy
from limbeck.objectives.logits import cross_entropy, kd_loss
from limbeck.objectives.objective import Batch, Objective, Outputs, total

AnyObjective = Annotated[CrossEntropy | KD, Field(discriminator="name")]

__all__ = ["KD", "AnyObjective", "Batch", "CrossEntropy", "Objective", "Outputs", "cross_entropy", "kd_loss", "total"]
