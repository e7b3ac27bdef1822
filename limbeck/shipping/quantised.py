"""ONNX in eight bits, by onnxruntime's own tools."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from limbeck.shipping.graph import rewritten


def write_dynamic(path: Path, original: Path) -> None:
    """Weights in eight bits; activations are measured and rounded at every answer.

    Args:
        path: the file to write.
        original: a float32 ONNX file.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def make(target: Path) -> None:
        quantize_dynamic(str(original), str(target), weight_type=QuantType.QUInt8)  # what ConvInteger takes on CPUs

    rewritten(path, make)


def write_static(path: Path, original: Path, views: Tensor, at_once: int = 64) -> None:
    """Weights and activations in eight bits, a scale for each output channel; ranges are those on ``views``.

    Args:
        path: the file to write.
        original: a float32 ONNX file.
        views: float (N, C, H, W) in [0, 1]: what the network was trained on.
        at_once: views that go through it together.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[Tensor] = iter(views.split(at_once))

        def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch.float().contiguous().numpy()}

    def make(target: Path) -> None:
        from onnxruntime.quantization.shape_inference import quant_pre_process

        prepared = target.with_name("prepared.onnx")
        quant_pre_process(str(original), str(prepared))
        quantize_static(
            str(prepared),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
        )

    rewritten(path, make)
