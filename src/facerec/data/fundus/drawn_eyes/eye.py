"""The anatomy of one eye: disc, cup, and where its vessels enter."""

import math
from dataclasses import dataclass

import numpy as np

from facerec.data.fundus.drawn_eyes.looks import Look
from facerec.data.fundus.drawn_eyes.outlines import WOBBLE, Outline


@dataclass(frozen=True)
class Eye:
    """One eye; the cup is inside the disc."""

    temporal: int  # -1: the side of the temple is on the left, 1: on the right
    disc: Outline
    cup: Outline
    hub: tuple[float, float]  # where the vessels enter: at the nasal edge of the cup


def draw_eye(rng: np.random.Generator, look: Look) -> Eye:
    """Draw a random eye of a domain."""
    temporal = -1 if rng.random() < 0.5 else 1
    disc = _draw_disc(rng, look)
    cup = _draw_cup(rng, look, disc, temporal)
    hub = cup.point(-temporal * rng.uniform(0.55, 0.95), rng.uniform(-0.25, 0.25))
    return Eye(temporal, disc, cup, hub)


def _draw_disc(rng: np.random.Generator, look: Look) -> Outline:
    width = _near(rng, *look.disc_width)
    height = width * _near(rng, look.aspect, 0.035)
    x, y = (_near(rng, 0.5, look.jitter) for _ in range(2))
    return Outline(x, y, width / 2, height / 2, math.radians(_near(rng, 0, 7)), _draw_wobble(rng))


def _draw_cup(rng: np.random.Generator, look: Look, disc: Outline, temporal: int) -> Outline:
    ratio = float(np.clip(_near(rng, *look.cup_to_disc), 0.18, 0.88))
    narrow = rng.uniform(0.86, 1.02)
    room = 1 - ratio * max(narrow, 1) * (1 + WOBBLE) - WOBBLE
    aside, up = temporal * room * rng.uniform(0.1, 0.75), room * rng.uniform(-0.3, 0.3)
    x, y = disc.point(aside, up)
    half_width, half_height = disc.half_width * ratio * narrow, disc.half_height * ratio
    return Outline(x, y, half_width, half_height, disc.tilt, _draw_wobble(rng))


def _draw_wobble(rng: np.random.Generator) -> tuple[float, ...]:
    """Draw four weights whose absolute values add up to at most `WOBBLE`."""
    return tuple((WOBBLE / 4 * rng.uniform(-1, 1, 4)).tolist())


def _near(rng: np.random.Generator, mean: float, spread: float) -> float:
    return mean + spread * float(np.clip(rng.standard_normal(), -2, 2))
