"""Eyes, brows, nose and mouth, drawn in flat colours; lighting is added afterwards."""

import numpy as np

from facerec.data.synthetic.painter.canvas import Canvas, mix, smooth
from facerec.data.synthetic.painter.shot import Shot
from facerec.data.synthetic.painter.traits import Traits

_DARK = (26.0, 16.0, 14.0)


def paint_features(canvas: Canvas, traits: Traits, shot: Shot) -> None:
    for side in (-1, 1):
        _paint_eye(canvas, traits, shot, side)
        _paint_brow(canvas, traits, shot, side)
    _paint_nose(canvas, traits)
    _paint_mouth(canvas, traits, shot)


def eye_centre(traits: Traits, side: int) -> tuple[float, float]:
    """Draw an eye; ``side`` is -1 for the eye on the left of the image, 1 for the other."""
    return 56 + side * traits.eye_gap, traits.eye_y + side * traits.asymmetry[0]


def _paint_eye(canvas: Canvas, traits: Traits, shot: Shot, side: int) -> None:
    x, y = eye_centre(traits, side)
    upper, lower = _lids(traits, shot, side)
    box = canvas.box(x, y, traits.eye_width + 4, 9)
    before = canvas.pixels[box].copy()
    opening = np.concatenate([upper, lower[::-1]])
    canvas.fill(opening, (226, 218, 212))
    _paint_iris(canvas, traits, x + 1.4 * shot.gaze[0], y - 0.4 + shot.gaze[1])
    canvas.stroke(upper + np.array([0, 0.7]), mix((226, 218, 212), _DARK, 0.55), 0.8)
    canvas.dot(x - side * (traits.eye_width - 0.8), y + 0.6, 0.9, (198, 140, 128))
    canvas.keep_inside(opening, box, before)
    _paint_lids(canvas, traits, upper, lower, side)


def _lids(traits: Traits, shot: Shot, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the upper and lower edge of the opening, from the inner to the outer corner."""
    x, y = eye_centre(traits, side)
    along = np.linspace(-1, 1, 17)
    arc = 1 - np.abs(along) ** 2.2
    opening = traits.eye_height * shot.eye_opening * (1 - 0.12 * max(shot.smile, 0))
    slant = -traits.eye_slant * along + 0.8 * (along < 0) * along**2
    across = x + side * along * traits.eye_width
    closing = 1.1 * (1 - shot.eye_opening)
    upper = y + slant + closing - opening * 1.15 * arc * (1 - 0.15 * along)
    lower = y + slant + closing + opening * 0.72 * arc * (1 + 0.2 * along)
    return np.stack([across, upper], axis=1), np.stack([across, lower], axis=1)


def _paint_iris(canvas: Canvas, traits: Traits, x: float, y: float) -> None:
    canvas.dot(x, y, 3.25, mix(traits.iris, _DARK, 0.7))
    canvas.dot(x, y, 2.8, traits.iris)
    canvas.dot(x, y + 0.5, 2.1, mix(traits.iris, (255, 235, 200), 0.18))
    canvas.dot(x, y, 1.35, (12, 9, 9))
    canvas.dot(x + 1.0, y - 1.2, 0.75, (250, 250, 250))


def _paint_lids(canvas: Canvas, traits: Traits, upper: np.ndarray, lower: np.ndarray, side: int) -> None:
    bend = np.stack([0 * upper[1:-1, 0], 0.1 * traits.lid_crease * np.linspace(-1, 1, 15) ** 2], 1)
    crease = upper[1:-1] - (0, traits.lid_crease) + bend
    canvas.stroke(crease, mix(traits.skin, _DARK, 0.32), 0.7)
    canvas.stroke(lower[2:], mix(traits.skin, _DARK, 0.4), 0.6)
    lash = mix(traits.hair, _DARK, 0.75)
    canvas.stroke(upper, lash, 0.8)
    outer = np.concatenate([upper[8:], upper[-1:] + np.array([side, -0.5])])
    canvas.stroke(outer, lash, 1.1)


def _paint_brow(canvas: Canvas, traits: Traits, shot: Shot, side: int) -> None:
    x = 56 + side * (traits.eye_gap + 0.5)
    y = traits.brow_y - 1.0 * shot.brow_raise + side * 0.5 * traits.asymmetry[0]
    along = np.linspace(-1, 1, 13)
    middle = y - traits.brow_slant * along - traits.brow_arch * (1 - 0.75 * (along - 0.15) ** 2)
    half = traits.brow_thickness * np.interp(along, [-1, -0.7, 0.2, 1], [0.35, 0.6, 0.5, 0.08])
    across = x + side * along * traits.brow_length
    edge = np.concatenate([np.stack([across, middle - half], 1), np.stack([across, middle + half], 1)[::-1]])
    colour = mix(mix(traits.hair, _DARK, 0.35), traits.skin, 0.2)
    canvas.fill(edge, colour)
    roots, tips = np.stack([across, middle + half * 0.8], 1), np.stack([across + side * 1.8, middle - half * 1.4], 1)
    canvas.stroke(np.stack([roots, tips], axis=1)[:-2], mix(colour, _DARK, 0.25), 0.4)
    canvas.soften(canvas.box(x, y, traits.brow_length + 3, 7), 0.35)


def _paint_nose(canvas: Canvas, traits: Traits) -> None:
    x, y, wide = 56 + traits.asymmetry[2], traits.nose_y, traits.nose_width
    for side in (-1, 1):
        nostril = [(1.6, y + 3.9), (wide * 0.38, y + 2.9), (wide * 0.66, y + 3.4), (wide * 0.5, y + 4.4)]
        canvas.fill(smooth([(x + side * a, b) for a, b in nostril]), mix(traits.skin, _DARK, 0.72))
        wing = [(x + side * wide * 0.86, y - 1.8), (x + side * wide, y + 1), (x + side * wide * 0.8, y + 3.6)]
        canvas.stroke(smooth(wing, closed=False), mix(traits.skin, _DARK, 0.26), 0.8)
    base = smooth([(x - 1.8, y + 4.1), (x, y + 4.9), (x + 1.8, y + 4.1)], closed=False)
    canvas.stroke(base, mix(traits.skin, _DARK, 0.28), 0.8)
    canvas.soften(canvas.box(x, y + 2, wide + 3, 6), 0.5)


def _paint_mouth(canvas: Canvas, traits: Traits, shot: Shot) -> None:
    y, half = traits.mouth_y, traits.mouth_width * (1 + 0.1 * shot.smile)
    lift, gap = 2.0 * shot.smile, 5.5 * shot.open_mouth
    left, right = (56 - half, y - lift - traits.asymmetry[1]), (56 + half, y - lift + traits.asymmetry[1])
    inner = [(56 - half * 0.5, y - 0.2), (56, y + 0.3), (56 + half * 0.5, y - 0.2)]
    inner_top = smooth([left, *inner, right], closed=False)
    inner_low = inner_top + np.stack([0 * inner_top[:, 0], gap * _arc(inner_top[:, 0], half)], 1)
    bow, top = traits.cupid_bow, traits.upper_lip
    edge = [(half * 0.55, y - top * 0.75 - 0.5 * lift), (2.8, y - top - 0.4)]
    middle = [(56 - x, y) for x, y in edge] + [(56, y - top + bow)] + [(56 + x, y) for x, y in reversed(edge)]
    outer_top = smooth([left, *middle, right], closed=False)
    outer_low = inner_low + np.stack([0 * inner_low[:, 0], traits.lower_lip * _arc(inner_low[:, 0], half)], 1)
    lip = mix(mix(traits.skin, (176, 62, 68), traits.lip_redness), _DARK, 0.12)
    canvas.fill(np.concatenate([outer_top, outer_low[::-1]]), mix(lip, traits.skin, 0.15))
    canvas.fill(np.concatenate([outer_top, inner_top[::-1]]), mix(lip, _DARK, 0.12))
    canvas.soften(canvas.box(56, y + 2, half + 4, 12), 0.55)
    if gap > 0:
        canvas.fill(np.concatenate([inner_top, inner_low[::-1]]), (58, 22, 24))
        teeth = inner_top + (inner_low - inner_top) * 0.55
        canvas.fill(np.concatenate([inner_top[3:-3], teeth[3:-3][::-1]]), (222, 214, 204))
    canvas.stroke(inner_top, mix(lip, _DARK, 0.6), 0.7)


def _arc(x: np.ndarray, half: float) -> np.ndarray:
    """Return weights that are 1 in the middle and 0 at the corners of the mouth."""
    return np.maximum(1 - np.abs((x - 56) / half) ** 2.2, 0)
