"""The tissue behind the vessels: retina, disc and cup, as colours. All of it is soft."""

import math

import cv2
import numpy as np

from facerec.data.fundus.drawn_eyes.eye import Eye
from facerec.data.fundus.drawn_eyes.looks import Look

_COARSE = 64  # side at which what is smoothest is computed


def clouds(rng: np.random.Generator, grain: int, side: int) -> np.ndarray:
    """Return smooth noise of mean 0 and deviation about 1, ``grain`` spots along a side, float32 ``(side, side)``."""
    spots = rng.standard_normal((grain, grain), np.float32)
    return cv2.resize(spots, (side, side), interpolation=cv2.INTER_CUBIC) * np.float32(1.3)


def tissue(rng: np.random.Generator, eye: Eye, look: Look, side: int) -> np.ndarray:
    """Return the colours without vessels, float32 ``(side, side, 3)``, 0 to 255 and a little above."""
    disc, cup = eye.disc.level(side), eye.cup.level(side)
    colours = _crescent(rng, eye, look, _retina(rng, eye, look, side), disc)
    rim = _rim(rng, eye, look, cup)
    inner = _blend(rim, np.array(look.cup, np.float32), _brightness(rng, cup))
    inside = _blend(rim, inner, _soft(cup, rng.uniform(0.16, 0.44)))
    return _blend(colours, inside, _soft(disc, 2 * rng.uniform(*look.edge)))


def _retina(rng: np.random.Generator, eye: Eye, look: Look, side: int) -> np.ndarray:
    """Return the retina, which is lighter beside the disc and on one side of the image."""
    right, down = _offsets(eye, _COARSE)
    glow = 1.2 - 0.45 * np.minimum(np.sqrt(right**2 + down**2), 0.8)
    slope, steep = rng.uniform(0, 2 * math.pi), rng.uniform(0, 0.35)
    light = glow * (1 + steep * (math.cos(slope) * right + math.sin(slope) * down))
    light = light * (1 + 0.05 * clouds(rng, 5, _COARSE) + 0.03 * clouds(rng, 14, _COARSE))
    field = cv2.resize(light.astype(np.float32), (side, side))
    field *= 1 + look.stripes * _stripes(rng, eye, side) + np.float32(0.02) * clouds(rng, 60, side)
    tint = np.float32(0.035) * cv2.resize(clouds(rng, 4, _COARSE), (side, side))
    red, green, blue = look.retina
    return cv2.merge([field * (1 + tint) * red, field * (1 - tint) * green, field * (1 - 2 * tint) * blue])


def _stripes(rng: np.random.Generator, eye: Eye, side: int) -> np.ndarray:
    """Return the brightness of nerve fibres, which run away from the disc, float32 ``(side, side)``."""
    rays = cv2.resize(rng.standard_normal((420, 9), np.float32), (side, 840))
    wide = cv2.resize(rng.standard_normal((60, 4), np.float32), (side, 840), interpolation=cv2.INTER_CUBIC)
    centre = (eye.disc.x * side, eye.disc.y * side)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpPolar(0.6 * rays + 0.6 * wide, (side, side), centre, side, flags)


def _crescent(rng: np.random.Generator, eye: Eye, look: Look, colours: np.ndarray, disc: np.ndarray) -> np.ndarray:
    """Add the atrophy beside the disc, on the side of the temple: pale, with a dark edge."""
    strength, width = look.atrophy * rng.random(), rng.uniform(0.06, 0.34)
    right, _ = _offsets(eye, len(disc))
    aside = np.clip(0.45 + eye.temporal * right / (2.4 * eye.disc.half_width), 0, 1)
    inner = _soft(disc / (1 + width * (0.3 + aside)), 0.12) * aside
    edge = (disc - 1 - width * (0.3 + aside)) / np.float32(0.1 + 0.4 * width)
    shade = np.exp(-np.minimum(edge * edge, 30)) * aside * np.float32(0.7 * strength)
    base = np.array(look.retina, np.float32)
    colours = _blend(colours, base * np.array([1.05, 1.35, 1.4], np.float32), inner * np.float32(0.7 * strength))
    return _blend(colours, base * np.array([0.5, 0.68, 0.85], np.float32), shade)


def _rim(rng: np.random.Generator, eye: Eye, look: Look, cup: np.ndarray) -> np.ndarray:
    """Return the rim, which is redder on the side of the nose and lighter where the cup is near."""
    side = len(cup)
    right, _ = _offsets(eye, side)
    aside = eye.temporal * right / np.float32(eye.disc.half_width)
    near = np.clip(1.6 - cup, 0, 0.6)
    light = 1 + np.float32(rng.uniform(0.02, 0.12)) * aside + np.float32(0.07) * near
    light = light * (1 + np.float32(0.035) * clouds(rng, 9, side) + np.float32(0.012) * clouds(rng, 40, side))
    pale = 1 + np.float32(0.07) * aside + np.float32(0.06) * near
    red, green, blue = look.rim
    return cv2.merge([light * red, light * pale * green, light * pale * blue])


def _brightness(rng: np.random.Generator, cup: np.ndarray) -> np.ndarray:
    """Return how far the cup's tissue shows through, 1 in the middle of the brightest."""
    bright = np.clip(rng.uniform(0.8, 1) - np.float32(rng.uniform(0.1, 0.4)) * cup * cup, 0.3, 1)
    return bright * (1 + np.float32(0.03) * clouds(rng, 36, len(cup)))


def _offsets(eye: Eye, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the positions of the pixels to the right of the disc's centre ``(1, side)`` and below it ``(side, 1)``."""
    at = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / np.float32(side)
    return (at - np.float32(eye.disc.x))[None, :], (at - np.float32(eye.disc.y))[:, None]


def _soft(level: np.ndarray, width: float) -> np.ndarray:
    """Return a step from 1 inside to 0 outside an outline, ``width`` wide as a share of its radius."""
    step = np.clip(np.float32(0.5) + (1 - level) * np.float32(1 / width), 0, 1)
    return step * step * (3 - 2 * step)


def _blend(below: np.ndarray, above: np.ndarray, weight: np.ndarray) -> np.ndarray:
    mixed = above - below
    mixed *= weight[..., None]
    mixed += below
    return mixed
