"""The simulated camera, from the drawn head to an image: pose, lens, sensor, file."""

import math
from collections.abc import Sequence

import cv2
import numpy as np

from facerec.data.decode import decode_rgb
from facerec.data.synthetic.painter.canvas import MARGIN
from facerec.data.synthetic.painter.shot import Shot

_CENTRE = 56.0, 62.0  # the head turns about this point


def pose_map(depth: np.ndarray, at: np.ndarray, shot: Shot) -> tuple[np.ndarray, np.ndarray]:
    """Compute the position in the drawing of each point of the image: x and y in the template, float32 ``(n, n)``.

    A head of this ``depth`` on the grid ``at`` x ``at`` is rotated by yaw, pitch and roll, then shifted and zoomed.
    """
    x, y = at[None, :] - _CENTRE[0] - shot.shift[0], at[:, None] - _CENTRE[1] - shot.shift[1]
    cos, sin = math.cos(shot.roll) / shot.zoom, math.sin(shot.roll) / shot.zoom
    across, down = cos * x + sin * y, cos * y - sin * x
    across = (across - depth * math.sin(shot.yaw)) / math.cos(shot.yaw) + _CENTRE[0]
    down = (down - depth * math.sin(shot.pitch)) / math.cos(shot.pitch) + _CENTRE[1]
    return across, down


def warp(pixels: np.ndarray, source: Sequence[np.ndarray], scale: float) -> np.ndarray:
    """Sample each pixel at its position ``source`` in a drawing with a margin; ``scale`` is in pixels per unit."""
    columns, rows = (np.float32(scale) * axis + np.float32(MARGIN * scale - 0.5) for axis in source)
    return cv2.remap(pixels, columns, rows, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def photograph(scene: np.ndarray, shot: Shot, blur: float) -> np.ndarray:
    """Expose a float32 RGB scene of 0 to 255, blurred by ``blur`` pixels; returns uint8."""
    if blur > 0:
        scene = cv2.GaussianBlur(scene, (0, 0), blur)
    noise = np.random.Generator(np.random.PCG64(shot.noise_seed)).standard_normal(scene.shape, np.float32)
    saturate = shot.exposure * (shot.saturation * np.eye(3) + (1 - shot.saturation) / 3)
    image = np.clip(cv2.transform(scene, saturate) + shot.noise * noise, 0, 255).astype(np.uint8)
    curve = 255 * (np.arange(256) / 255) ** shot.gamma
    image = cv2.cvtColor(cv2.LUT(image, np.rint(curve).astype(np.uint8)), cv2.COLOR_RGB2BGR)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, shot.jpeg_quality])
    return decode_rgb(data.tobytes(), "of a synthetic face")
