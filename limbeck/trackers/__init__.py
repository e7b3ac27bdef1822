"""Where people follow their runs, off by default: TensorBoard, W&B, MLflow and Trackio behind one interface."""

from limbeck.trackers.tracker import EXAMPLE, TRACKERS, Run, Tracker, refuse_unknown
from limbeck.trackers.tracking import Tracking, following, refuse_absent

__all__ = ["EXAMPLE", "TRACKERS", "Run", "Tracker", "Tracking", "following", "refuse_absent", "refuse_unknown"]
