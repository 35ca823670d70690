"""Composition of one image of one person, from back to front."""

from dataclasses import replace

import cv2
import numpy as np

from facerec.data.synthetic.painter import hair, relief
from facerec.data.synthetic.painter.camera import photograph, pose_map, warp
from facerec.data.synthetic.painter.canvas import FRAME, HAIR, MARGIN, SKIN, Canvas
from facerec.data.synthetic.painter.complexion import complexion
from facerec.data.synthetic.painter.features import paint_features
from facerec.data.synthetic.painter.head import paint_ears, paint_face, paint_shoulders
from facerec.data.synthetic.painter.occluders import paint_object, paint_worn
from facerec.data.synthetic.painter.shot import Shot
from facerec.data.synthetic.painter.traits import Traits


def paint(traits: Traits, shot: Shot, image_size: int) -> np.ndarray:
    """Paint an RGB image, uint8 ``(image_size, image_size, 3)``, aligned to the ArcFace template except for the pose.

    Shapes are drawn in flat colours at twice the size. Light is smooth, so it is computed at the size of the image;
    both are then rotated with the head and combined.
    """
    traits = replace(traits, style=shot.style or traits.style)
    sheet, scale = _draw(traits, shot, image_size), image_size / FRAME
    at = relief.grid(round((FRAME + 2 * MARGIN) * scale), scale, MARGIN)
    light = relief.light(relief.heights(traits, shot, at), shot, scale)
    surface = cv2.merge([*complexion(traits, shot, at), hair.strands(traits, at)])

    inside = relief.grid(image_size, scale)
    source = pose_map(relief.depth(traits, inside), inside, shot)
    view = Canvas(image_size)
    fine = [cv2.resize(axis, (view.side, view.side)) for axis in source]
    view.pixels = warp(sheet.pixels, fine, sheet.scale)
    paint_object(view, shot)
    flat = cv2.resize(view.pixels, (image_size, image_size), interpolation=cv2.INTER_AREA)
    scene = _illuminate(flat, warp(light, source, scale), warp(surface, source, scale))
    return photograph(scene, shot, shot.blur * scale)


def _draw(traits: Traits, shot: Shot, image_size: int) -> Canvas:
    """Draw the whole scene in flat colours."""
    canvas = Canvas(image_size, MARGIN)
    canvas.pixels[..., :3] = cv2.resize(shot.backdrop, (canvas.side, canvas.side), interpolation=cv2.INTER_LINEAR)
    hair.paint_back_hair(canvas, traits)
    paint_shoulders(canvas, traits, shot)
    paint_ears(canvas, traits)
    paint_face(canvas, traits, shot)
    paint_features(canvas, traits, shot)
    hair.paint_front_hair(canvas, traits)
    paint_worn(canvas, traits, shot)
    return canvas


def _illuminate(flat: np.ndarray, light: np.ndarray, surface: np.ndarray) -> np.ndarray:
    """Apply light and shine to all, complexion to the skin and strands to the hair; returns float32 RGB."""
    material = flat[..., 3].astype(np.float32)
    solid, hairy = np.minimum(material / SKIN, 1), np.maximum(material - SKIN, 0) / (HAIR - SKIN)
    shine = 255 * solid * light[..., 3]
    channels = []
    for channel in range(3):
        tint = surface[..., channel] + hairy * (surface[..., 3] - surface[..., channel])
        factor = 1 + solid * (light[..., channel] * tint - 1)
        channels.append(flat[..., channel] * factor + shine)
    return cv2.merge(channels)
