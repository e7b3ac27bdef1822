"""Where people follow their runs, off by default: TensorBoard, W&B, MLflow and Trackio behind one interface."""

from limbeck.trackers.tracker import EXAMPLE, TRACKERS, Run, Tracker, refuse_unknown
from limbeck.trackers.tracking import Tracking, refuse_absent, telling

__all__ = ["EXAMPLE", "TRACKERS", "Run", "Tracker", "Tracking", "refuse_absent", "refuse_unknown", "telling"]
