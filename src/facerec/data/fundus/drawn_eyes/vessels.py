"""Arteries and veins: where they run, and how they are drawn."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from facerec.data.fundus.drawn_eyes.eye import Eye

_STEP = 0.018  # from point to point, a share of the side
_MOST_STEPS = 70
_THINNEST, _THICK = 0.0035, 0.016  # shares of the side; a vessel that is not thick absorbs less
_MOST_BRANCHINGS = 3
_SHIFT = 5  # cv2 takes points as integers with this many fractional bits
# A vessel is a tube: it absorbs most in the middle. Shares of its width, and of the absorption.
_SHELLS = ((1.0, 0.5), (0.72, 0.85), (0.4, 1.0))
_ARTERY, _REFLEX = 0.85, 0.62  # absorption of an artery, and of its middle, where the wall reflects


@dataclass(frozen=True)
class Vessel:
    """A vessel's middle line ``(N, 2)`` and its widths ``(N,)``."""

    points: np.ndarray
    widths: np.ndarray
    is_vein: bool


@dataclass(frozen=True)
class _Start:
    x: float
    y: float
    heading: float  # radians, 0 is to the right, pi / 2 down
    width: float
    bend: float  # radians per unit of length
    is_vein: bool
    branchings: int = 0


def grow(rng: np.random.Generator, eye: Eye, thickness: float) -> list[Vessel]:
    """Grow the vessels of an eye from its hub to the edges of the image; the arteries, which are on top, come last."""
    grown, waiting = [], list(_trunks(rng, eye, thickness))
    while waiting:
        vessel, branches = _walk(rng, waiting.pop(0), eye)
        grown.append(vessel)
        waiting += branches
    return sorted(grown, key=lambda vessel: not vessel.is_vein)


def _trunks(rng: np.random.Generator, eye: Eye, thickness: float) -> Iterator[_Start]:
    """Yield arteries and veins upwards and downwards, smaller vessels towards the nose, fine ones to the temple."""
    scale = thickness * 2 * eye.disc.half_width
    for down in (-1, 1):
        for is_vein in (True, False):
            lean = rng.normal(-0.1 if is_vein else 0.15, 0.3)  # radians from upright, above 0 towards the temple
            heading = math.atan2(down * math.cos(lean), eye.temporal * math.sin(lean))
            width = scale * (0.060 if is_vein else 0.045) * rng.uniform(0.8, 1.2)
            yield _start(rng, eye, heading, width, -down * eye.temporal * rng.uniform(-0.2, 1.2), is_vein)
    for side, most, thick in ((-eye.temporal, 4, 0.024), (eye.temporal, 4, 0.014)):
        for _ in range(rng.integers(2, most + 1)):
            lean = rng.uniform(-1.0, 1.0)
            heading = math.atan2(math.sin(lean), side * math.cos(lean))
            yield _start(
                rng, eye, heading, scale * thick * rng.uniform(0.7, 1.4), rng.normal(0, 0.7), rng.random() < 0.5
            )


def _start(rng: np.random.Generator, eye: Eye, heading: float, width: float, bend: float, is_vein: bool) -> _Start:
    across, down = rng.normal(0, 0.03 * eye.disc.half_width, 2) * (1.0, 2.0)
    return _Start(eye.hub[0] + across, eye.hub[1] + down, heading, width, bend, is_vein)


def _walk(rng: np.random.Generator, start: _Start, eye: Eye) -> tuple[Vessel, list[_Start]]:
    """Let a vessel wander from ``start`` until it leaves the image or is too thin; return it and its branches."""
    x, y, heading, width = start.x, start.y, start.heading, start.width
    wander, coins, shares = (
        rng.normal(0, 0.05, _MOST_STEPS),
        rng.random(_MOST_STEPS),
        rng.uniform(0.4, 0.8, _MOST_STEPS),
    )
    points, widths, branches, turn, pause = [(x, y)], [width], [], 0.0, 7
    for step, coin, share in zip(wander.tolist(), coins.tolist(), shares.tolist(), strict=True):
        turn = 0.8 * turn + step
        outwards = math.atan2(y - eye.disc.y, x - eye.disc.x)
        heading += turn + start.bend * _STEP + 0.05 * math.sin(outwards - heading)
        x, y = x + _STEP * math.cos(heading), y + _STEP * math.sin(heading)
        points.append((x, y))
        widths.append(width)
        width, pause = width * 0.993, pause - 1
        if pause < 0 and coin < 0.09 and start.branchings < _MOST_BRANCHINGS:
            side = 1 if coin < 0.045 else -1
            if width * share > _THINNEST:
                angle = heading + side * (1.0 - 0.7 * share)
                below = start.branchings + 1
                branches.append(_Start(x, y, angle, width * share, -side * 0.6, start.is_vein, below))
            width *= math.sqrt(1 - share**2.5)
            heading, pause = heading - side * 0.25 * share, 5
        if width < _THINNEST or not (-0.06 < x < 1.06 and -0.06 < y < 1.06):
            break
    thickness = np.array(widths)
    if not start.branchings:  # it comes out of the depth
        thickness[:3] *= (0.35, 0.6, 0.85)[: len(thickness)]
    return Vessel(np.array(points), thickness, start.is_vein), branches


def absorption(vessels: list[Vessel], side: int) -> np.ndarray:
    """Return how much each pixel's vessels absorb, float32 ``(side, side)`` from 0 to 1."""
    layer = np.zeros((side, side), np.uint8)
    normals = [_across(vessel.points) for vessel in vessels]
    for share, amount in _SHELLS:
        for vessel, normal in zip(vessels, normals, strict=True):
            inner = 1.0 if vessel.is_vein else _ARTERY if share > _SHELLS[-1][0] else _REFLEX
            strength = amount * inner * min(1.0, 0.25 + vessel.widths[0] / _THICK)
            half = (share * vessel.widths / 2)[:, None] * normal
            outline = np.concatenate([vessel.points + half, (vessel.points - half)[::-1]])
            fixed = np.rint((outline * side - 0.5) * 2**_SHIFT).astype(np.int32)
            cv2.fillPoly(layer, [fixed], round(255 * strength), cv2.LINE_AA, _SHIFT)
    return cv2.GaussianBlur(layer, (0, 0), 0.0018 * side).astype(np.float32) * np.float32(1 / 255)


def _across(points: np.ndarray) -> np.ndarray:
    """Return a vector of length 1 across the line at each point, ``(N, 2)``."""
    along = np.gradient(points, axis=0)
    return np.stack([-along[:, 1], along[:, 0]], axis=1) / np.hypot(along[:, 0], along[:, 1])[:, None]
