"""Composition of one photograph of one eye."""

import cv2
import numpy as np

from facerec.data.fundus.drawn_eyes.eye import Eye
from facerec.data.fundus.drawn_eyes.fundus_camera import cloud_lens, illuminate, photograph
from facerec.data.fundus.drawn_eyes.looks import Look
from facerec.data.fundus.drawn_eyes.tissue import tissue
from facerec.data.fundus.drawn_eyes.vessels import absorption, grow


def paint_eye(rng: np.random.Generator, eye: Eye, look: Look, side: int) -> np.ndarray:
    """Paint an RGB image, uint8 ``(side, side, 3)``, of an eye as the clinic of this look photographs it.

    What is soft is computed at half the size.
    """
    vessels = absorption(grow(rng, eye, look.vessel_width), side)
    haze = look.haze * rng.random() ** 2
    colours = illuminate(rng, look, tissue(rng, eye, look, side // 2), -eye.temporal)
    colours = cv2.resize(cloud_lens(colours, haze), (side, side))
    shares = [(1 - haze) * share for share in look.vessels]
    planes = [
        plane * (1 - np.float32(share) * vessels) for plane, share in zip(cv2.split(colours), shares, strict=True)
    ]
    return photograph(rng, look, planes)
