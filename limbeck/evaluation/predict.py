"""What a network says about every picture of a data set, as it is: no augmentation, in order."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from limbeck.data import Dataset
from limbeck.training import Engine

_PIXELS = 1000 * 32 * 32


def predict(network: nn.Module, pictures: Dataset, engine: Engine, at_once: int = 1000) -> Tensor:
    """The logits of a network in eval mode.

    Args:
        network: takes float pictures in [0, 1]; its mode is put back afterwards.
        pictures: on the engine's device.
        engine: device and precision.
        at_once: pictures that go through the network together; fewer where they are larger than 32 x 32 pixels.

    Returns:
        (N, C) float32, on the engine's device.
    """
    training = network.training
    height, width, _ = pictures.image_shape
    at_once = max(1, min(at_once, _PIXELS // (height * width)))
    network.eval()
    everything = torch.arange(len(pictures), device=engine.device)
    with torch.no_grad(), engine.precision():
        answers = [
            network(engine.pictures(images.permute(0, 3, 1, 2))).float()
            for images in pictures.each(everything.split(at_once))
        ]
    network.train(training)
    return torch.cat(answers)
