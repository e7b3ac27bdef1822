"""A student in the forms that others can use: plain PyTorch, an exported program, ONNX, and ONNX in eight bits."""

from __future__ import annotations
