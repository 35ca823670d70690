"""A fixed crop for images whose faces are always at the same position, such as deep-funnelled LFW."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from facerec.alignment.placement import Placement
from facerec.errors import InputError

# In deep-funnelled LFW (250 x 250) the eyes are at about (104, 113) and (146, 113), according to a configuration of
# OpenVINO's accuracy checker for that set. The template's eyes are 35.2 pixels apart, so the crop has 112 * 42 / 35.2 =
# 134 pixels; it is placed so that these eyes are within a quarter of a pixel of the template's.
LFW = "58,51,134,134"


@dataclass(frozen=True)
class FixedCrop:
    """Places the same square of every image: corner at pixel (``left``, ``top``), ``side`` pixels wide."""

    version: ClassVar[int] = 1

    left: int
    top: int
    side: int

    def key(self, path: str) -> str:
        return f"crop {self.left} {self.top} {self.side}"

    def place(self, path: str, image: np.ndarray, size: int) -> Placement:
        height, width = image.shape[:2]
        if self.left + self.side > width or self.top + self.side > height:
            raise InputError(
                f"the crop of {self.side} pixels from ({self.left}, {self.top}) reaches beyond the image of "
                f"{width}x{height} pixels: give another crop"
            )
        scale = size / self.side
        shift = [(0.5 - corner) * scale - 0.5 for corner in (self.left, self.top)]
        return Placement(np.array([[scale, 0, shift[0]], [0, scale, shift[1]]]))


def parse_crop(text: str) -> FixedCrop:
    """Parse ``LEFT,TOP,WIDTH,HEIGHT`` in pixels, or ``lfw``; raise `InputError` for anything else, and for a crop that
    is not square."""
    fields = (LFW if text == "lfw" else text).split(",")
    if len(fields) != 4 or not all(field.strip().isdecimal() for field in fields):
        raise InputError(f"crop={text} is not a crop: write LEFT,TOP,WIDTH,HEIGHT in pixels, or lfw")
    left, top, width, height = map(int, fields)
    if width != height or not width:
        raise InputError(f"crop={text} is {width}x{height} pixels: an aligned face is square, so give a square")
    return FixedCrop(left, top, width)
