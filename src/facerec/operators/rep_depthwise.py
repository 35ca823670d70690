"""A depthwise convolution that has several branches in training and is one convolution in inference.

Vasu, Gabriel, Zhu, Tuzel, Ranjan, "MobileOne: An Improved One millisecond Mobile Backbone", CVPR 2023, arXiv
2206.04040, section 3.2; the branches are those of Ding et al., "RepVGG", arXiv 2101.03697, section 3.2.

    out = sum over n branches of BN(conv k x k (x)) + BN(conv 1 x 1 (x)) + BN(x), the last with stride 1 only

Like TVConv it has more parameters in training than in use, but the same weights at every position: where both gain,
position is not the reason.

Deviation from the papers: the sum has no normalisation and activation of its own, since the block has them.
"""

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.checks import check_counts
from facerec.operators.base import SpatialOperator
from facerec.operators.common.batch_norm import scale_and_offset
from facerec.operators.depthwise import Depthwise


class Branch(nn.Module):
    """A depthwise convolution and its BatchNorm."""

    def __init__(self, channels: int, stride: int, kernel_size: int) -> None:
        super().__init__()
        self.conv = Depthwise(channels, stride, kernel_size=kernel_size)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))

    def folded(self, kernel_size: int) -> tuple[Tensor, Tensor]:
        """Return filters ``(C, 1, k, k)``, of a smaller kernel in the middle, and offsets ``(C,)``."""
        scale, offset = scale_and_offset(self.norm)
        border = (kernel_size - self.conv.kernel_size[0]) // 2
        return F.pad(self.conv.weight, [border] * 4) * scale[:, None, None, None], offset


class RepDepthwise(SpatialOperator):
    """A re-parameterised depthwise convolution, for any map size.

    By default it has ``16 * C`` parameters in training with stride 1, and one convolution's with a bias afterwards.

    Args:
        branches: n, the number of k x k convolutions.
    """

    def __init__(
        self,
        channels: int,
        stride: int = 1,
        out_size: tuple[int, int] | None = None,
        *,
        kernel_size: int = 3,
        branches: int = 1,
    ) -> None:
        super().__init__()
        check_counts(channels=channels, kernel_size=kernel_size, branches=branches)
        self.stride, self.kernel_size = stride, kernel_size
        kernels = [kernel_size] * branches + [1] * (kernel_size > 1)
        self.branches = nn.ModuleList(Branch(channels, stride, kernel) for kernel in kernels)
        self.identity = nn.BatchNorm2d(channels) if stride == 1 else None

    def reset_parameters(self) -> None:
        """Draw each convolution as `Depthwise` does; the normalisations start as PyTorch's."""
        for module in self.modules():
            if isinstance(module, Depthwise | nn.BatchNorm2d):
                module.reset_parameters()

    @torch.no_grad()
    def start_from(self, weight: Tensor) -> bool:
        """Start as ``weight`` in evaluation: the first branch holds it, and the others are scaled by 0."""
        self.reset_parameters()
        first, *others = self._branches()
        for norm in (*(branch.norm for branch in others), *([self.identity] if self.identity else [])):
            nn.init.zeros_(norm.weight)
        first.conv.weight.copy_(weight / scale_and_offset(first.norm)[0][:, None, None, None])
        return True

    def forward(self, x: Tensor) -> Tensor:
        first, *others = self.branches
        out = first(x)
        for branch in others:
            out = out + branch(x)
        return out if self.identity is None else out + self.identity(x)

    @torch.no_grad()
    def inference_form(self) -> nn.Module:
        """Return one depthwise convolution with a bias: a BatchNorm is a factor and an offset, and a sum of filters is
        one filter (RepVGG, section 3.3)."""
        weights, biases = zip(*(branch.folded(self.kernel_size) for branch in self._branches()), strict=True)
        weight, bias = torch.stack(weights).sum(0), torch.stack(biases).sum(0)
        if self.identity is not None:
            scale, offset = scale_and_offset(self.identity)
            weight[:, 0, self.kernel_size // 2, self.kernel_size // 2] += scale
            bias += offset
        fused = Depthwise(len(bias), self.stride, kernel_size=self.kernel_size, bias=True).to(weight)
        fused.load_state_dict({"weight": weight, "bias": bias})
        return fused

    def _branches(self) -> list[Branch]:
        return cast(list[Branch], list(self.branches))
