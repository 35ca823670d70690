"""Occluders of a face: glasses, sunglasses, mask, cap, or an object near the camera."""

import numpy as np

from facerec.data.synthetic.painter.canvas import BACKDROP, SKIN, Canvas, mix, smooth
from facerec.data.synthetic.painter.features import eye_centre
from facerec.data.synthetic.painter.head import outline
from facerec.data.synthetic.painter.shot import Shot
from facerec.data.synthetic.painter.traits import Traits


def paint_worn(canvas: Canvas, traits: Traits, shot: Shot) -> None:
    """Draw an occluder that is lit and rotates with the head."""
    if shot.occluder == "mask":
        _paint_mask(canvas, traits, shot)
    elif shot.occluder == "cap":
        _paint_cap(canvas, traits, shot)
    elif shot.occluder in ("glasses", "sunglasses"):
        _paint_glasses(canvas, traits, shot)


def paint_object(canvas: Canvas, shot: Shot) -> None:
    """Draw a blurred object at the edge of the image, between head and camera."""
    if shot.occluder != "object":
        return
    across, down, size = shot.occluder_shape
    angle = 2 * np.pi * across
    x, y = 56 + 56 * np.cos(angle), 60 + 50 * np.sin(angle)
    turn = np.linspace(0, 2 * np.pi, 9)[:-1] + 6 * down
    reach = 16 + 12 * size + 4 * np.sin(3 * turn)
    points = smooth(np.stack([x + reach * np.cos(turn), y + reach * np.sin(turn)], 1))
    canvas.fill(points, shot.occluder_colour, BACKDROP)
    canvas.soften(canvas.box(x, y, 38, 38), 1.2)


def _paint_mask(canvas: Canvas, traits: Traits, shot: Shot) -> None:
    colour, top = shot.occluder_colour, 66 + 5 * shot.occluder_shape[0]
    edge = outline(traits, shot)
    x, y = edge.T
    low = edge[(y > top) & (x > 56)], edge[(y > top) & (x <= 56)]
    ends = (56 - traits.cheek, top + 1), (56 + traits.cheek, top + 1)
    upper = smooth([ends[0], (44, top - 2), (56, top - 7), (68, top - 2), ends[1]], closed=False)
    grown = np.concatenate([low[0], low[1]]) + np.array([0, 0.8])
    canvas.fill(np.concatenate([upper, grown]), colour)
    for height in (0.3, 0.5, 0.7):
        y = top + height * (traits.chin_y - top)
        fold = smooth([(56 - 26, y - 2), (56, y + 1), (56 + 26, y - 2)], closed=False)
        canvas.stroke(fold, mix(colour, (0, 0, 0), 0.22), 0.8)


def _paint_cap(canvas: Canvas, traits: Traits, shot: Shot) -> None:
    colour, brim = shot.occluder_colour, traits.hairline_y + 5 + 7 * shot.occluder_shape[0]
    wide = traits.temple + 6
    crown = [(wide * 0.6, -12), (wide, 6), (wide, brim + 8), (wide * 0.5, brim)]
    left, right = ([(56 + side * x, y) for x, y in crown] for side in (-1, 1))
    front = smooth([left[2], left[3], (56, brim - 2), right[3], right[2]], closed=False)
    top = smooth([*right[2::-1], *left[:3]], closed=False)
    canvas.fill(np.concatenate([front, top]), colour)
    canvas.stroke(front - np.array([0, 4]), mix(colour, (0, 0, 0), 0.3), 0.9)
    canvas.stroke(front, mix(colour, (0, 0, 0), 0.5), 1.8)


def _paint_glasses(canvas: Canvas, traits: Traits, shot: Shot) -> None:
    squareness, size, weight = shot.occluder_shape
    turn = np.linspace(0, 2 * np.pi, 33)
    power = 0.45 + 0.5 * squareness
    rim_x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power * (11.5 + 2.5 * size)
    rim_y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power * (8.0 + 2.5 * size)
    frame, width = mix(shot.occluder_colour, (20, 18, 18), 0.6), 0.7 + 1.6 * weight
    for side in (-1, 1):
        x, y = eye_centre(traits, side)
        lens = np.stack([x + 0.8 * side + rim_x, y + 1.5 + rim_y], 1)
        if shot.occluder == "sunglasses":
            canvas.fill(lens, mix(shot.occluder_colour, (12, 12, 14), 0.85))
            canvas.stroke(np.array([(x - 6, y + 4), (x + 1, y - 4)]), (96, 98, 104), 1.4)
        canvas.stroke(lens, frame, width, SKIN)
        canvas.stroke(np.array([(x + side * (12 + 2.5 * size), y), (56 + side * traits.cheek, y + 1)]), frame, width)
    canvas.stroke(smooth([(50, 53), (56, 51), (62, 53)], closed=False), frame, width)
