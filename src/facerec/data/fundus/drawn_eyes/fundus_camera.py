"""The camera: exposure, the edge of its field of view, blur, noise and file."""

import math

import cv2
import numpy as np

from facerec.data.decode import decode_rgb
from facerec.data.fundus.drawn_eyes.looks import Look


def illuminate(rng: np.random.Generator, look: Look, colours: np.ndarray, nose: int) -> np.ndarray:
    """Return the colours, float32 ``(side, side, 3)``, in this photograph's light; ``nose`` is -1 if it is on the left.

    The field of view ends on the side of the nose.
    """
    common, own = rng.standard_normal(), rng.standard_normal(3)
    steps = np.clip(0.98 * common + 0.2 * own, -1.7, 1.7)
    mean = 0.6 * np.array(look.retina) + 0.4 * np.array(look.rim)
    colours = colours * np.clip(1 + steps * np.array(look.spread) / mean, 0.4, 1.9).astype(np.float32)
    if rng.random() < look.stops:
        colours = colours * _field_of_view(rng, len(colours), nose)[..., None]
    return colours


def cloud_lens(colours: np.ndarray, amount: float) -> np.ndarray:
    """Scatter a share of the light, as a cloudy lens does: mix the colours with a blurred image of themselves."""
    small = cv2.GaussianBlur(cv2.resize(colours, (16, 16), interpolation=cv2.INTER_AREA), (0, 0), 2.5)
    veil = cv2.resize(small, colours.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return colours + np.float32(amount) * (veil - colours)


def photograph(rng: np.random.Generator, look: Look, planes: list[np.ndarray]) -> np.ndarray:
    """Photograph red, green and blue, float32 ``(side, side)`` of 0 to 255 and above; return uint8 RGB."""
    side = len(planes[0])
    blur = max(rng.uniform(*look.blur) * side, 0.3)
    noise = np.float32(look.noise) * rng.standard_normal((side, side), np.float32)
    seen = [_bytes(cv2.GaussianBlur(np.minimum(plane, 255, out=plane), (0, 0), blur), noise) for plane in planes]
    image = cv2.merge(seen[::-1])
    quality = [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(75, 96))]
    return decode_rgb(cv2.imencode(".jpg", image, quality)[1].tobytes(), "of a drawn eye")


def _bytes(plane: np.ndarray, noise: np.ndarray) -> np.ndarray:
    plane += noise
    return np.clip(plane, 0, 255, out=plane).astype(np.uint8)


def _field_of_view(rng: np.random.Generator, side: int, where: int) -> np.ndarray:
    """Return 0 outside the circle of the field of view, whose edge crosses the image, and else 1 or a little less."""
    radius, edge, turn = rng.uniform(1.3, 2.0), rng.uniform(0.02, 0.15), rng.normal(0, 0.1)
    across, down = 0.5 - where * (radius - 0.5 + edge) * math.cos(turn), 0.5 + radius * math.sin(turn)
    at = (np.arange(side, dtype=np.float32) + 0.5) / side
    distance = np.sqrt((at[None, :] - np.float32(across)) ** 2 + (at[:, None] - np.float32(down)) ** 2)
    depth = np.float32(radius) - distance
    return np.clip(depth * np.float32(side), 0, 1) * np.clip(0.75 + 1.5 * depth, 0, 1)
