"""Outlines of disc and cup: ellipses that are a little irregular."""

import math
from dataclasses import dataclass

import numpy as np

WOBBLE = 0.06  # the most by which an outline leaves its ellipse, as a share of the radius


@dataclass(frozen=True)
class Outline:
    """An ellipse whose radius varies with the direction by four small waves, two and three around it."""

    x: float
    y: float
    half_width: float
    half_height: float
    tilt: float  # radians
    wobble: tuple[float, ...]  # of cos 2t, sin 2t, cos 3t, sin 3t

    def point(self, across: float, down: float) -> tuple[float, float]:
        """Return the point at these shares of the half axes from the centre."""
        across, down = across * self.half_width, down * self.half_height
        cos, sin = math.cos(self.tilt), math.sin(self.tilt)
        return self.x + cos * across - sin * down, self.y + sin * across + cos * down

    def level(self, side: int) -> np.ndarray:
        """Return how far each pixel's centre is from the centre, float32 ``(side, side)``: 1 is the outline."""
        at = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
        right, down = (at - np.float32(self.x))[None, :], (at - np.float32(self.y))[:, None]
        cos, sin = np.float32(math.cos(self.tilt)), np.float32(math.sin(self.tilt))
        u = (cos * right + sin * down) / np.float32(self.half_width)
        v = (cos * down - sin * right) / np.float32(self.half_height)
        square = u * u + v * v + np.float32(1e-12)
        radius = np.sqrt(square)
        a, b, c, d = (np.float32(weight) for weight in self.wobble)
        two = (a * (u * u - v * v) + 2 * b * u * v) / square
        three = (c * u * (u * u - 3 * v * v) + d * v * (3 * u * u - v * v)) / (square * radius)
        return radius / (1 + two + three)


def draw_mask(disc: Outline, cup: Outline, side: int) -> np.ndarray:
    """Return the mask of disc and cup, uint8 ``(side, side)``: a pixel belongs to what its centre is in."""
    inside = disc.level(side) <= 1
    return inside.astype(np.uint8) + (inside & (cup.level(side) <= 1))
