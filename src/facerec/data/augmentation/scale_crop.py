"""Random enlargement and crop, as DoFE's published code does it (Wang et al., arXiv 2010.06208)."""

import math

import torch
from torch import Tensor

from facerec.checks import check_number
from facerec.data.augmentation.affine import Affine


class ScaleCrop(Affine):
    """Enlarges width and height by separate factors, and crops a random part of the image's size.

    Args:
        probability: probability that an image is changed.
        largest: largest factor; both factors are uniform between 1 and it.
    """

    num_random = 5
    outside = "border"  # a pixel at the border of the crop lies up to half a pixel beyond the image's outermost centres

    def __init__(self, probability: float = 0.5, largest: float = 1.5) -> None:
        check_number("probability", probability, 0, 1)
        check_number("largest", largest, 1, math.inf)
        self.probability, self.largest = probability, largest

    def place(self, random: Tensor) -> tuple[Tensor, Tensor | None]:
        coin, factors, where = random[:, :1], random[:, 1:3], random[:, 3:]
        factors = torch.where(coin < self.probability, 1 + (self.largest - 1) * factors, 1.0)
        # The crop begins at a share ``where`` of the room that it has; in the middle nothing is shifted.
        return torch.diag_embed(1 / factors), (factors - 1) * (0.5 - where)
