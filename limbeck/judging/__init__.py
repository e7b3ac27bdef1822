"""Trained networks judged: on sets of pictures, on corrupted ones, by what they cost; at a run's end, or when asked."""
