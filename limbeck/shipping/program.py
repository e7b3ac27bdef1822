"""A network as an exported program: one file with code and weights, for torch alone, in Python or C++."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from torch import Tensor, nn

from limbeck import files
from limbeck.shipping.graph import quietly


def write_program(path: Path, network: nn.Module, pictures: Tensor) -> None:
    """Writes ``network`` for any number of pictures at once.

    Args:
        path: a .pt2 file.
        network: in eval mode, on the CPU.
        pictures: float (B, C, H, W) in [0, 1], two or more, of the size that it will be given.
    """
    batch = torch.export.Dim("batch")
    content = io.BytesIO()
    with quietly():
        exported = torch.export.export(network, (pictures,), dynamic_shapes=({0: batch},))
        for node in list(exported.graph.nodes):
            node.meta.pop("stack_trace", None)  # with the paths of this machine
            if node.target is torch.ops.aten._assert_tensor_metadata.default:
                exported.graph.erase_node(node)  # it would keep the program to this device
        torch.export.save(exported, content)
    files.write_bytes(path, content.getvalue())
