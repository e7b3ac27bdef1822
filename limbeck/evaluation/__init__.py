"""How good a network is, how far it can be believed, what is left of its teacher, and how sure we are."""

from limbeck.evaluation.predict import predict
from limbeck.evaluation.statistics import Estimate, mean_with_interval, paired_sample_interval

__all__ = ["Estimate", "mean_with_interval", "paired_sample_interval", "predict"]
