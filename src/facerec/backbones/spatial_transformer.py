"""Spatial transformer: aligns the face in front of a backbone.

Jaderberg, Simonyan, Zisserman, Kavukcuoglu, "Spatial Transformer Networks", NIPS 2015, arXiv 1506.02025.

    theta = identity + bound * tanh(rate * localisation(images)), (2, 3);
    out[b, c, p] = images[b, c, theta[b] * (p_x, p_y, 1)]

Positions go from -1 to 1 over the image (section 3.2, equation 1), with bilinear interpolation between pixels (section
3.3, equation 5).

Deviations from the paper: the localisation network, which the paper leaves open, is four strided convolutions on the
    halved image. It predicts the difference to the identity, so that weight decay pulls the transform towards the
    identity and not towards a point. The difference is bounded and slowed down: at a backbone's learning rate the
    transform would otherwise leave the image in the first steps and get no gradient back. Positions outside the image
    repeat its border.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.backbones.parts import check_image_size, check_images
from facerec.operators.base import SpatialOperator, halve
from facerec.operators.common.fused_sequence import FusedSequence

_CHANNELS = (8, 16, 32, 32)
# Keeps the face in the image: at most a shift by a quarter, a rotation by 30 degrees and a scale from 0.5 to 1.5.
_BOUND = 0.5
# With the bound this slows the transform by (0.5 * 0.02) ** 2, like a learning rate divided by 10,000.
_RATE = 0.02


def alignment(align: str | None, image_size: Sequence[int]) -> nn.Module:
    """Return the module in front of a backbone: None is the identity, "stn" a spatial transformer.

    Raises:
        ValueError: any other ``align``.
    """
    match align:
        case None:
            return nn.Identity()
        case "stn":
            return SpatialTransformer(image_size)
    raise ValueError(f"align must be stn or null, got {align!r}")


class SpatialTransformer(nn.Module):
    """Transforms each image of ``(B, 3, H, W)`` by an affine transform predicted from it.

    It starts as the identity: the last layer is 0 and gets a gradient from the first step, those before it from the
    second.

    Args:
        image_size: (height, width) of the images, at least 2 pixels each.

    Raises:
        ValueError: a smaller image size; in the call, images of another size.
    """

    def __init__(self, image_size: Sequence[int]) -> None:
        super().__init__()
        self.image_size = check_image_size(image_size, 2)
        size = self.image_size[0] // 2, self.image_size[1] // 2
        layers: list[nn.Module] = [nn.AvgPool2d(2)]
        for channels, out_channels in zip((3, *_CHANNELS), _CHANNELS, strict=False):
            conv = nn.Conv2d(channels, out_channels, 3, stride=2, padding=1, bias=False)
            layers += [conv, nn.BatchNorm2d(out_channels), nn.ReLU(inplace=True)]
            size = halve(size, 2)
        self.localisation = FusedSequence(*layers)
        # Every position has its own weights, since an average over the map would not know where the face is.
        self.to_affine = nn.Conv2d(_CHANNELS[-1], 6, size)
        self.sampler = AffineSampler()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Use PyTorch's defaults for the convolutions and zeros for the predicted difference to the identity."""
        for module in self.localisation:
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
                module.reset_parameters()
        nn.init.zeros_(self.to_affine.weight)
        assert self.to_affine.bias is not None
        nn.init.zeros_(self.to_affine.bias)

    def transform(self, images: Tensor) -> Tensor:
        """Predict the affine transforms ``(B, 2, 3)`` from output positions to image positions, both from -1 to 1."""
        features = self.localisation(images)
        # In bfloat16, positions would be off by a tenth of a pixel.
        with torch.autocast(images.device.type, enabled=False):
            mean = features.to(self.to_affine.weight.dtype) / features[0, 0].numel()
            difference = _BOUND * torch.tanh(_RATE * self.to_affine(mean).view(-1, 2, 3))
        return torch.eye(2, 3, dtype=difference.dtype, device=difference.device) + difference

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, self.image_size)
        return self.sampler(images, self.transform(images))


class AffineSampler(SpatialOperator):
    """Samples images ``(B, C, H, W)`` at the positions given by transforms ``(B, 2, 3)``."""

    def forward(self, images: Tensor, theta: Tensor) -> Tensor:
        wide = torch.promote_types(images.dtype, torch.float32)
        # Autocast would round the grid.
        with torch.autocast(images.device.type, enabled=False):
            grid = F.affine_grid(theta.to(wide), list(images.shape), align_corners=False)
            out = F.grid_sample(images.to(wide), grid, mode="bilinear", padding_mode="border", align_corners=False)
        last = images.is_contiguous(memory_format=torch.channels_last)
        return out.to(images.dtype, memory_format=torch.channels_last if last else torch.contiguous_format)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Count six per position of the grid, and four neighbours per output."""
        return out.shape[2] * out.shape[3] * 6 + out.numel() * 4
