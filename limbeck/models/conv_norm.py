"""The unit that residual, mobile and VGG networks repeat: a convolution, its batch normalisation, a ReLU."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


class ConvNorm(nn.Sequential):
    """A convolution (odd kernels; the map keeps its size at stride 1), batch normalisation, and a ReLU unless false.

    Batch normalisation: Ioffe and Szegedy, ICML 2015. The convolution has no bias unless ``bias`` is true.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 1,
        stride: int = 1,
        groups: int = 1,
        relu: bool = True,
        bias: bool = False,
    ) -> None:
        padding = kernel_size // 2
        conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=bias)
        layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv, norm=nn.BatchNorm2d(out_channels))
        if relu:
            layers.update(relu=nn.ReLU(inplace=True))
        super().__init__(layers)


def start_kaiming_normal(network: nn.Module) -> None:
    """Kaiming-normal weights by fan-out (He et al., ICCV 2015) and biases of zero for every convolution."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
