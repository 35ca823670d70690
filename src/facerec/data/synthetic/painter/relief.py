"""The head as a height field: what light falls on each point, and how far it moves when the head turns.

All hills are axis-aligned Gaussians, so a whole field is one matrix product.
"""

import math

import cv2
import numpy as np

from facerec.data.synthetic.painter.shot import Shot
from facerec.data.synthetic.painter.traits import Traits

_HEAD_DEPTH = 36.0  # from the plane of the silhouette to the front, template pixels

Hills = list[tuple[float, float, float, float, float]]  # x, y, width, height of the spot; how much


def grid(side: int, scale: float, margin: float = 0) -> np.ndarray:
    """Return the template coordinate of each pixel centre along one axis."""
    return ((np.arange(side) + 0.5) / scale - margin).astype(np.float32)


def field(hills: Hills, at: np.ndarray) -> np.ndarray:
    """Compute the sum of the hills on the square grid ``at`` x ``at``, float32."""
    x, y, wide, high, amount = np.array(hills, np.float32).T[:, :, None]
    across = np.exp(-(((at - x) / wide) ** 2) / 2)
    down = np.exp(-(((at - y) / high) ** 2) / 2) * amount
    return down.T @ across


def heights(traits: Traits, shot: Shot, at: np.ndarray) -> np.ndarray:
    """Compute the distance of the head's surface from the image plane, in template pixels."""
    half_width = traits.cheek + 5
    radius = ((at[None, :] - 56) / half_width) ** 2 + ((at[:, None] - 58) / 66) ** 2
    # an ellipsoid that goes on as a cone behind the face's edge, so that neck and back hair turn away from the lamp too
    edge = np.float32(0.85)
    head = np.sqrt(1 - np.minimum(radius, edge)) - np.maximum(radius - edge, 0) / (2 * np.sqrt(1 - edge))
    return _HEAD_DEPTH * head + field(_bones(traits) + _nose(traits) + _soft_parts(traits, shot), at)


def depth(traits: Traits, at: np.ndarray) -> np.ndarray:
    """Compute a smoother height field, 0 in the plane of the eyes, with which a rotation does not fold the image."""
    radius = ((at[None, :] - 56) / (traits.cheek + 8)) ** 2 + ((at[:, None] - 58) / 72) ** 2
    bowl = 26 * (1 - np.minimum(radius, 1.6)) - 20
    nose = (56.0, traits.nose_y - 2, 6.0, 8.0, traits.nose_height)
    return bowl + field([nose], at)


def light(height: np.ndarray, shot: Shot, scale: float) -> np.ndarray:
    """Compute factors of red, green and blue, and the shine to add, ``(n, n, 4)``; ``scale`` is in pixels per unit."""
    slope_x = cv2.Sobel(height, cv2.CV_32F, 1, 0, scale=scale / 8)
    slope_y = cv2.Sobel(height, cv2.CV_32F, 0, 1, scale=scale / 8)
    length = np.sqrt(1 + slope_x**2 + slope_y**2)
    right, down, front = shot.light
    # half of the lamp's light wraps around the edges, as light scattered in skin does
    lambert = np.maximum((front - right * slope_x - down * slope_y) / length + 0.15, 0) / 1.15
    lambert *= 1 - 0.45 * _cast_shadow(height, shot.light, scale)
    # the normal against the vector halfway between lamp and camera (Blinn, 1977)
    mirror = (front + 1 - right * slope_x - down * slope_y) / (math.hypot(right, down, front + 1) * length)
    shine = shot.shine * np.maximum(mirror, 0) ** 16
    lamp, around = (1 - shot.ambient) * 1.15 * lambert, shot.ambient * (0.72 + 0.28 / length)
    colours = [a * lamp + b * around for a, b in zip(shot.lamp_colour, shot.ambient_colour, strict=True)]
    return cv2.merge([*colours, shine])


def _bones(traits: Traits) -> Hills:
    gap, eye_y = traits.eye_gap, traits.eye_y
    both = [
        (gap + 1, traits.brow_y + 1, 9, 3.2, traits.brow_ridge),
        (gap - 1, eye_y - 0.5, 8, 5, -traits.eye_depth),
        (gap, eye_y, 5, 3, 1.3),
        (22, 67, 8, 6, traits.cheekbone),
        (24, 84, 8, 9, -0.5 * traits.cheekbone),
    ]
    chin = (56, traits.chin_y - 5, 7 + 0.3 * traits.chin_width, 4.5, traits.chin_height)
    return [(56 + side * x, y, w, h, a) for x, y, w, h, a in both for side in (-1, 1)] + [(56, 26, 22, 12, 1.8), chin]


def _nose(traits: Traits) -> Hills:
    x, y, wide = 56 + traits.asymmetry[2], traits.nose_y, traits.bridge_width
    return [
        (x, traits.eye_y + 1, wide, 6, 0.28 * traits.nose_height),
        (x, y - 10, wide * 1.05, 6.5, 0.46 * traits.nose_height),
        (x, y - 2, wide * 1.25, 5.2, 0.66 * traits.nose_height),
        (x - traits.nose_width + 2.4, y + 1.5, 2.6, 2.8, 3.2),
        (x + traits.nose_width - 2.4, y + 1.5, 2.6, 2.8, 3.2),
    ]


def _soft_parts(traits: Traits, shot: Shot) -> Hills:
    y, smile = traits.mouth_y, max(shot.smile, 0.0)
    return [
        (56, y - 3, 13, 8, 2.6),
        (56, y - 1.6, traits.mouth_width * 0.55, 1.5, 0.3 * traits.upper_lip),
        (56, y + 2.6, traits.mouth_width * 0.5, 1.8, 0.32 * traits.lower_lip),
        (56, y + traits.lower_lip + 3.6, 7, 1.9, -1.0),
        (56, traits.nose_y + 9, 1.3, 3, -0.5),
        (36, 76, 6, 5, 1.4 * smile),
        (76, 76, 6, 5, 1.4 * smile),
        (56 - traits.nose_width - 6, traits.nose_y + 10, 2, 6, -0.8 * (traits.folds + smile)),
        (56 + traits.nose_width + 6, traits.nose_y + 10, 2, 6, -0.8 * (traits.folds + smile)),
    ]


def _cast_shadow(height: np.ndarray, towards: tuple[float, float, float], scale: float) -> np.ndarray:
    """Compute the shadow, 0 to 1: how far the surface between a point and the lamp is above the ray."""
    right, down, front = towards
    shadow = np.zeros_like(height)
    for step in (4.0, 8.0, 13.0):
        shift = np.array([[1, 0, right * step * scale], [0, 1, down * step * scale]])
        seen = cv2.warpAffine(height, shift, height.shape[::-1], flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        shadow = np.maximum(shadow, (seen - height - step * front) / 2.5)
    return np.clip(cv2.GaussianBlur(shadow, (0, 0), 1.2 * scale), 0, 1)
