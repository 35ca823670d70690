"""Neck, shoulders, ears, the bare face and the marks on its skin."""

import numpy as np

from facerec.data.synthetic.painter.canvas import BACKDROP, Canvas, mix, smooth
from facerec.data.synthetic.painter.shot import Shot
from facerec.data.synthetic.painter.traits import Traits


def paint_shoulders(canvas: Canvas, traits: Traits, shot: Shot) -> None:
    neck = 0.72 * traits.jaw + 3
    body = [(-30, 135), (-6, 124), (56 - neck - 4, 114), (56 + neck + 4, 114), (118, 124), (142, 135)]
    canvas.fill(smooth(body, closed=False), shot.clothes, BACKDROP)
    sides = [(56 - neck, 88), (56 - neck, 108), (56 - neck - 5, 117), (56, 126), (56 + neck + 5, 117), (56 + neck, 108)]
    canvas.fill(np.array([*sides, (56 + neck, 88)], float), mix(traits.skin, (60, 30, 22), 0.4))


def paint_ears(canvas: Canvas, traits: Traits) -> None:
    for side in (-1, 1):
        x, y, size = 56 + side * (traits.cheek - 0.5), traits.ear_y, traits.ear_size
        ear = [(-1, -size), (3.2, -size * 0.95), (5, -size * 0.35), (3.6, size * 0.4), (2, size), (-1.5, size * 0.9)]
        canvas.fill(smooth([(x + side * a, y + b) for a, b in ear]), mix(traits.skin, (170, 70, 60), 0.12))
        rim = [(x + side * a, y + b) for a, b in ((1, -size * 0.7), (3, -size * 0.4), (2, size * 0.3))]
        canvas.stroke(smooth(rim, closed=False), mix(traits.skin, (70, 25, 20), 0.4), 0.9)


def paint_face(canvas: Canvas, traits: Traits, shot: Shot) -> None:
    canvas.fill(outline(traits, shot), traits.skin)
    _paint_marks(canvas, traits)


def outline(traits: Traits, shot: Shot) -> np.ndarray:
    """Return the outline of the face, from crown to chin and back."""
    chin, point = traits.chin_y + 2.5 * shot.open_mouth, min(traits.chin_width + 3.5, 0.62 * traits.jaw)
    half = [(15.0, 1.0), (29.0, 12.0), (traits.temple, 32.0), (traits.cheek, 58.0)]
    half += [(0.35 * traits.cheek + 0.65 * traits.jaw + 1.5, 79.0), (traits.jaw - 3.5, 92.0)]
    half += [(point, chin - 3.6), (0.35 * point, chin)]
    right = [(56 + x, y) for x, y in half]
    left = [(56 - x, y) for x, y in reversed(half)]
    return smooth(right + left)


def _paint_marks(canvas: Canvas, traits: Traits) -> None:
    rng = np.random.Generator(np.random.PCG64(traits.texture))
    places = np.clip(rng.normal((56, 68), (14, 9), (traits.freckles, 2)), (32, 44), (80, 92))
    for (x, y), radius, strength in zip(places, rng.uniform(0.35, 0.7, 60), rng.uniform(0.15, 0.4, 60), strict=False):
        canvas.dot(x, y, radius, mix(traits.skin, (120, 62, 34), strength))
    for x, y, radius in traits.moles:
        canvas.dot(x, y, radius, mix(traits.skin, (46, 26, 20), 0.75))
