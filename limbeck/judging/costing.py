"""What the networks of a run cost, side by side on one device."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from torch import nn

from limbeck.environment import hardware
from limbeck.evaluation.assessment import Who, of_one_seed
from limbeck.models.composed import described
from limbeck.training import Engine

COST = "cost"
AT_THE_END = 2.0  # seconds a network, of a run
IN_FULL = 5.0  # where it was asked for


def cost_of(
    networks: Mapping[Who, nn.Module], image_shape: tuple[int, int, int], engine: Engine, seconds: float
) -> tuple[dict[str, Any] | None, list[dict[str, str]]]:
    """What results.json says of cost, and why there is nothing where it cannot be measured.

    The teacher and the first seed's students are measured; the student alone where it is another network than the
    distilled one.

    Args:
        networks: on the engine's device.
        image_shape: (height, width, channels) of the pictures.
        engine: device and precision.
        seconds: a network.
    """
    from limbeck.evaluation.cost import costs

    some = _different(of_one_seed(networks))
    names = {f"{role} {seed}": (role, seed) for role, seed in some}
    try:
        found = costs({name: some[who] for name, who in names.items()}, image_shape, engine, seconds=seconds)
    except Exception as error:  # a run is not lost for it
        said = (str(error) or type(error).__name__).splitlines()[0]
        return None, [{"what": COST, "why": f"It could not be measured: {said}"}]
    rows = [{"role": role, "seed": seed, **found[name]._asdict()} for name, (role, seed) in names.items()]
    load = os.getloadavg()[0] / (os.cpu_count() or 1) if hasattr(os, "getloadavg") else None
    return {"device": hardware(engine.device), "precision": engine.dtype(), "load": load, "networks": rows}, []


def _different(networks: dict[Who, nn.Module]) -> dict[Who, nn.Module]:
    """Without the students alone that are the same network as the distilled ones."""
    distilled = [described(network) for (role, _), network in networks.items() if role == "distilled"]
    return {
        (role, seed): network
        for (role, seed), network in networks.items()
        if role != "alone" or not distilled or described(network) != distilled[0]
    }
