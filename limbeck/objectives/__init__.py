"""What a network is trained to do: pure losses, and the objectives that weigh them."""

from limbeck.objectives.kd import KD, CrossEntropy
from limbeck.objectives.logits import cross_entropy, kd_loss
from limbeck.objectives.objective import Batch, Objective, Outputs, total

AnyObjective = CrossEntropy | KD

__all__ = ["KD", "AnyObjective", "Batch", "CrossEntropy", "Objective", "Outputs", "cross_entropy", "kd_loss", "total"]
