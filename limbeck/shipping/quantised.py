"""ONNX in eight bits, by onnxruntime's own tools."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from limbeck.shipping.graph import Session, rewritten

_KEPT = (100.0, 99.99, 99.9, 99.5)  # percent of the values of activations
_BINS = 2048


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
    """Weights and activations in eight bits, a scale for each output channel.

    The ranges of activations are those on one half of ``views``: from the least to the largest value, or without the
    outermost 0.01, 0.1 or 0.5 % of them, which a few pictures may have stretched. Of these four, the one that keeps
    most answers to the other half as they were.

    Args:
        path: the file to write.
        original: a float32 ONNX file.
        views: float (N, C, H, W) in [0, 1]: what the network was trained on; two or more.
        at_once: views that go through it together.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    looked_at, judged_on = views[::2].split(at_once), views[1::2].split(at_once)

    def answers(file: Path) -> Tensor:
        session = Session(file)
        return torch.cat([session(part).argmax(1) for part in judged_on])

    def make(target: Path) -> None:
        prepared, wanted, most = target.with_name("prepared.onnx"), answers(original), -1
        quant_pre_process(str(original), str(prepared))
        for kept in _KEPT:
            tried = target.with_name("tried.onnx")
            _quantise(prepared, tried, looked_at, kept)
            same = int((answers(tried) == wanted).sum())
            if same > most:
                most = same
                tried.replace(target)

    rewritten(path, make)


def _quantise(prepared: Path, target: Path, views: Sequence[Tensor], kept: float) -> None:
    """Quantises with ranges that hold so many percent of the values, so that only a batch's are in memory at a time."""
    from onnxruntime.quantization import (
        CalibrationDataReader,
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )

    class Reader(CalibrationDataReader):  # type: ignore[misc]
        def __init__(self) -> None:
            self.batches: Iterator[Tensor] = iter(views)

        def __len__(self) -> int:
            return len(views)

        def set_range(self, start_index: int, end_index: int) -> None:
            self.batches = iter(views[start_index:end_index])

        def get_next(self) -> dict[str, np.ndarray[Any, Any]] | None:
            batch = next(self.batches, None)
            return None if batch is None else {"images": batch.float().contiguous().numpy()}

    cut = kept < 100
    histogram = {"CalibPercentile": kept, "CalibNumBins": _BINS} if cut else {}
    with redirect_stdout(io.StringIO()):  # which it speaks to of its histograms
        quantize_static(
            str(prepared),
            str(target),
            Reader(),
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            calibrate_method=CalibrationMethod.Percentile if cut else CalibrationMethod.MinMax,
            extra_options={"CalibStridedMinMax": 1, **histogram},
        )
