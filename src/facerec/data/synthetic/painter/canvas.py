"""The canvas on which a face is drawn, at twice the size of the image."""

from functools import cache

import cv2
import numpy as np

FRAME = 112  # side of the template frame, in template pixels
MARGIN = 8  # drawn around the frame, so that the head can rotate and move
_SHIFT = 5  # cv2 takes points as integers with this many fractional bits

# The material of a pixel, stored in the canvas' fourth channel. Antialiasing may mix them.
BACKDROP, SKIN, HAIR = 0, 128, 255

Rgb = tuple[float, ...] | np.ndarray


class Canvas:
    """An image of RGB and material, uint8 ``(side, side, 4)``. Points are ``(N, 2)`` in template pixels."""

    def __init__(self, image_size: int, margin: int = 0) -> None:
        self.margin = margin
        self.scale = 2 * image_size / FRAME
        self.side = round((FRAME + 2 * margin) * self.scale)
        self.pixels = np.zeros((self.side, self.side, 4), np.uint8)

    def fill(self, points: np.ndarray, colour: Rgb, material: int = SKIN) -> None:
        cv2.fillPoly(self.pixels, [self._fixed(points)], _ink(colour, material), cv2.LINE_AA, _SHIFT)

    def stroke(self, points: np.ndarray, colour: Rgb, width: float, material: int = SKIN) -> None:
        """Draw an open line of ``width`` template pixels, or several if ``points`` is ``(lines, N, 2)``."""
        thickness = max(round(width * self.scale), 1)
        lines = list(self._fixed(points.reshape(-1, *points.shape[-2:])))
        cv2.polylines(self.pixels, lines, False, _ink(colour, material), thickness, cv2.LINE_AA, _SHIFT)

    def dot(self, x: float, y: float, radius: float, colour: Rgb, material: int = SKIN) -> None:
        centre = self._fixed(np.array([[x, y]]))[0].tolist()
        size = round(radius * self.scale * 2**_SHIFT)
        cv2.circle(self.pixels, centre, size, _ink(colour, material), -1, cv2.LINE_AA, _SHIFT)

    def box(self, x: float, y: float, half_width: float, half_height: float) -> tuple[slice, slice]:
        """Return the rows and columns of ``pixels`` around a point."""
        left, top = (max(int((value + self.margin) * self.scale), 0) for value in (x - half_width, y - half_height))
        right, bottom = (int((value + self.margin) * self.scale) + 1 for value in (x + half_width, y + half_height))
        return slice(top, bottom), slice(left, right)

    def soften(self, box: tuple[slice, slice], width: float) -> None:
        """Blur a part, so that edges fade into the skin."""
        part = self.pixels[box]
        part[:] = cv2.GaussianBlur(part, (0, 0), width * self.scale)

    def keep_inside(self, points: np.ndarray, box: tuple[slice, slice], before: np.ndarray) -> None:
        """Undo, outside the polygon, what was drawn in ``box`` since the copy ``before`` was taken."""
        mask = np.zeros((self.side, self.side), np.uint8)
        cv2.fillPoly(mask, [self._fixed(points)], 255, cv2.LINE_AA, _SHIFT)
        weight = mask[box][..., None].astype(np.float32) / 255
        part = self.pixels[box]
        part[:] = before + weight * (part.astype(np.float32) - before)

    def _fixed(self, points: np.ndarray) -> np.ndarray:
        # cv2 has pixel centres at integers, the template frame at half-integers.
        return np.rint(((points + self.margin) * self.scale - 0.5) * 2**_SHIFT).astype(np.int32)


def smooth(points: list[tuple[float, float]] | np.ndarray, closed: bool = True, steps: int = 6) -> np.ndarray:
    """Compute a Catmull-Rom curve through the points."""
    knots = np.asarray(points, np.float64)
    ends = (knots[-1:], knots[:2]) if closed else (knots[:1], knots[-1:])
    padded = np.concatenate([ends[0], knots, ends[1]])
    pieces = np.stack([padded[i : len(padded) - 3 + i] for i in range(4)], axis=1)
    curve = (_basis(steps) @ pieces).reshape(-1, 2)
    return curve if closed else np.concatenate([curve, knots[-1:]])


@cache
def _basis(steps: int) -> np.ndarray:
    """Return the weights ``(steps, 4)`` of the four knots around a piece of the curve."""
    t = np.linspace(0, 1, steps, endpoint=False)
    powers = np.stack([t**0, t, t**2, t**3], axis=1)
    return powers @ np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2


def mix(first: Rgb, second: Rgb, fraction: float) -> np.ndarray:
    """Mix two colours with this ``fraction`` of the second."""
    return np.asarray(first) * (1 - fraction) + np.asarray(second) * fraction


def _ink(colour: Rgb, material: int) -> tuple[float, ...]:
    red, green, blue = (float(value) for value in colour)
    return red, green, blue, float(material)
