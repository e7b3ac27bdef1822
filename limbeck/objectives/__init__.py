"""What a network is trained to do: pure losses, and the objectives that weigh them."""

from limbeck.objectives.kd import KD, CrossEntropy
from limbeck.objectives.logits import cross_entropy, kd_loss, tf_kd_loss
from limbeck.objectives.objective import AnyObjective, Batch, Objective, Outputs, total
from limbeck.objectives.tf_kd import TfKD

__all__ = [
    "KD",
    "AnyObjective",
    "Batch",
    "CrossEntropy",
    "Objective",
    "Outputs",
    "TfKD",
    "cross_entropy",
    "kd_loss",
    "tf_kd_loss",
    "total",
]
