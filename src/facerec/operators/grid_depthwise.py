"""A depthwise convolution with filters at a few points of the map, and interpolated between them.

    W[c, d, p] = w[c, d] + sum over grid points g of b[g, p] * v[c, d, g]
    out[b, c, p] = sum over d of W[c, d, p] * x_padded[b, c, stride * p + d]

The grid's points are the centres of ``grid_size`` x ``grid_size`` equal parts of the map, and b are the weights of
bilinear interpolation, constant beyond the outermost points. The filter w, which all positions share, starts as that of
a depthwise convolution, and the offsets v start as zero.

The aim is TVConv's (Chen et al., CVPR 2022, arXiv 2203.10489), by another way than a generator: a point of the grid
receives the gradient of its whole neighbourhood, where an element of an affinity map receives that of its generator at
few positions, and hardly moves in a short training. Elsayed, Ramachandran, Shlens, Kornblith, "Revisiting Spatial
Invariance with Low-Rank Local Connectivity", ICML 2020, arXiv 2002.02959, mix whole filters by learned weights of each
position; here the weights are fixed and the filters are many.
"""

import torch
from torch import Tensor, nn

from facerec.checks import check_choice, check_counts
from facerec.kernels.position_dependent import position_dependent_conv
from facerec.operators.base import SpatialOperator
from facerec.operators.common.generated import Generated
from facerec.operators.common.grid_conv import GridConv, between_points

INTERPOLATIONS = ("bilinear", "nearest")


class GridDepthwise(SpatialOperator):
    """A depthwise convolution whose weights are interpolated between the points of a grid.

    By default it has ``9 * C`` parameters and another ``81 * C`` on maps of at least 3x3 positions, and takes the
    multiply-adds of an ordinary one.

    Args:
        stride: distance between output positions, in input pixels.
        out_size: (H, W) of the output.
        grid_size: points per side, at most H and W.
        interpolation: "bilinear" between the points, or "nearest": a filter for each part of the map.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] = (96, 96),
        *,
        kernel_size: int = 3,
        grid_size: int = 3,
        interpolation: str = "bilinear",
    ) -> None:
        check_counts(channels=channels, kernel_size=kernel_size, grid_size=grid_size)
        check_choice("interpolation", interpolation, INTERPOLATIONS)
        super().__init__()
        self.interpolation = interpolation
        self.stride, self.out_size, self._weight = stride, (out_size[0], out_size[1]), Generated()
        height, width = (min(grid_size, side) for side in out_size)
        self.filters = nn.Parameter(torch.empty(channels, 1, kernel_size, kernel_size))
        self.offsets = nn.Parameter(torch.empty(channels, kernel_size**2, height, width))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the shared filters as `Depthwise` does, and set the offsets to zero."""
        nn.init.kaiming_normal_(self.filters, mode="fan_out", nonlinearity="relu")
        nn.init.zeros_(self.offsets)

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        self.filters.copy_(weight)
        nn.init.zeros_(self.offsets)
        return True

    def weight(self) -> Tensor:
        """Interpolate the weights of every position, ``(k * k, H, W, C)``, taps row by row."""
        return between_points(self._points(), self.out_size, self.interpolation)

    def _points(self) -> Tensor:
        """Return the filters of the grid's points, ``(k * k, H_grid, W_grid, C)``."""
        return (self.filters.flatten(1)[:, :, None, None] + self.offsets).permute(1, 2, 3, 0)

    def forward(self, x: Tensor) -> Tensor:
        return position_dependent_conv(x, self._weight.get(self, self.weight), self.stride)

    def train(self, mode: bool = True) -> "GridDepthwise":
        """Switch between training and evaluation, and drop the cached weights."""
        self._weight.forget()
        return super().train(mode)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count one per tap and output."""
        return self.offsets.shape[1] * out.numel()

    def count_macs_once(self) -> int:
        """Count four per weight, those of the nearest points, where there is a way between them."""
        if self.interpolation == "nearest":
            return 0
        return 4 * self.offsets.shape[0] * self.offsets.shape[1] * self.out_size[0] * self.out_size[1]

    @torch.no_grad()
    def inference_form(self) -> GridConv:
        """Return the convolution with the interpolated weights, which keeps those of the points beside them."""
        return GridConv(self._points(), None, self.stride, self.out_size, self.interpolation)
