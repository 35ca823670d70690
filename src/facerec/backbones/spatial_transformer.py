"""Spatial transformer: the network turns the face upright before it looks at it.

Jaderberg, Simonyan, Zisserman, Kavukcuoglu, "Spatial Transformer Networks", NIPS 2015, arXiv 1506.02025.

    theta = identity + bound * tanh(rate * localisation(images)), (2, 3);
    out[b, c, p] = images[b, c, theta[b] * (p_x, p_y, 1)]

Positions run from -1 to 1 over the image (section 3.2, equation 1), values between pixels are bilinear (section 3.3,
equation 5).

Deviations from the paper: the localisation network, which the paper leaves open, is four strided convolutions on the
    halved image. It predicts the difference to the identity, so that weight decay draws the transform to "change
    nothing" and not to a point; bounded and slowed down, since at the learning rate of a backbone the transform else
    leaves the image within the first steps and gets no gradient to come back. Positions beyond the image repeat its
    border.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facerec.backbones.parts import check_image_size, check_images
from facerec.operators.base import SpatialOperator, halve

_CHANNELS = (8, 16, 32, 32)
# Keeps a face in sight: moved by a quarter of the image, turned by 30 degrees, its side times 0.5 to 1.5, at most.
_BOUND = 0.5
# With the bound this slows the transform by (0.5 * 0.02) ** 2, as a ten-thousandth of the learning rate would.
_RATE = 0.02


def alignment(align: str | None, image_size: Sequence[int]) -> nn.Module:
    """What stands in front of a backbone: nothing, or for "stn" a spatial transformer.

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
    """``(B, 3, H, W)`` to ``(B, 3, H, W)`` of the same type, each image by the affine transform predicted from it.

    It starts as the identity, by a last layer of zeros: gradient reaches that layer in the first step and those before
    it from the second.

    Args:
        image_size: (height, width) of the images.

    Raises:
        ValueError: an image of fewer than 2 pixels on a side, or in the call one of another size.
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
        self.localisation = nn.Sequential(*layers)
        # Every position has weights of its own: an average over the map would not know where the face is.
        self.to_affine = nn.Conv2d(_CHANNELS[-1], 6, size)
        self.sampler = AffineSampler()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """PyTorch's defaults for the convolutions, zeros for the predicted difference to the identity."""
        for module in self.localisation:
            if isinstance(module, nn.Conv2d | nn.BatchNorm2d):
                module.reset_parameters()
        nn.init.zeros_(self.to_affine.weight)
        nn.init.zeros_(self.to_affine.bias)  # pyright: ignore[reportArgumentType]

    def transform(self, images: Tensor) -> Tensor:
        """``(B, 3, H, W)`` to the affine transforms ``(B, 2, 3)`` from positions of the result to positions of the
        image, both from -1 to 1."""
        features = self.localisation(images)
        # Positions in bfloat16 would be wrong by a tenth of a pixel.
        with torch.autocast(images.device.type, enabled=False):
            mean = features.to(self.to_affine.weight.dtype) / features[0, 0].numel()
            difference = _BOUND * torch.tanh(_RATE * self.to_affine(mean).view(-1, 2, 3))
        return torch.eye(2, 3, dtype=difference.dtype, device=difference.device) + difference

    def forward(self, images: Tensor) -> Tensor:
        check_images(images, self.image_size)
        return self.sampler(images, self.transform(images))


class AffineSampler(SpatialOperator):
    """Images ``(B, C, H, W)`` and transforms ``(B, 2, 3)`` to the images ``(B, C, H, W)`` that the transforms see."""

    def forward(self, images: Tensor, theta: Tensor) -> Tensor:
        wide = torch.promote_types(images.dtype, torch.float32)
        # Autocast would round the grid, though not what it is made of.
        with torch.autocast(images.device.type, enabled=False):
            grid = F.affine_grid(theta.to(wide), list(images.shape), align_corners=False)
            out = F.grid_sample(images.to(wide), grid, mode="bilinear", padding_mode="border", align_corners=False)
        last = images.is_contiguous(memory_format=torch.channels_last)
        return out.to(images.dtype, memory_format=torch.channels_last if last else torch.contiguous_format)

    def count_macs(self, x: Tensor, out: Tensor) -> int:
        """Six for a position of the grid, four neighbours for each of its channels."""
        return out.shape[2] * out.shape[3] * 6 + out.numel() * 4
