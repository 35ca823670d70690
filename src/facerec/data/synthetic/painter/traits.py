"""The traits that define a synthetic person's identity, the same in all images.

Lengths are template pixels: the 112 x 112 frame of the five ArcFace landmarks, x to the right, y down, the face's
axis at x = 56.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

Colour = tuple[float, float, float]  # RGB, 0 to 255

# Factor of all spreads. A smaller factor makes people more alike and verification harder.
_VARIETY = 0.7

_SKIN = np.array([[250, 222, 202], [238, 200, 172], [222, 176, 142], [192, 140, 104], [150, 102, 74], [108, 72, 54]])
_HAIR = np.array([[30, 26, 26], [52, 38, 30], [88, 62, 44], [122, 70, 44], [182, 146, 98], [150, 146, 142]])
_IRIS = np.array([[66, 42, 28], [112, 76, 42], [104, 112, 66], [96, 134, 162], [128, 140, 148]])


@dataclass(frozen=True)
class Traits:
    """One person. Half-widths are measured from the face's axis; a slant above 0 means the outer end is higher."""

    # outline: half-widths at the temples, cheek bones, jaw corners and chin, and the chin's lowest point
    temple: float
    cheek: float
    jaw: float
    chin_width: float
    chin_y: float
    ear_size: float
    ear_y: float
    eye_gap: float  # half the distance of the pupils
    eye_y: float
    eye_width: float
    eye_height: float
    eye_slant: float
    lid_crease: float  # height of the fold above the upper lid; near 0 for a single lid
    eye_depth: float  # how deep the sockets lie
    iris: Colour
    brow_y: float
    brow_length: float
    brow_thickness: float
    brow_arch: float
    brow_slant: float
    nose_y: float  # the tip
    nose_width: float  # half-width of the wings
    nose_height: float  # how far the tip stands out
    bridge_width: float
    mouth_y: float
    mouth_width: float
    upper_lip: float
    lower_lip: float
    cupid_bow: float
    lip_redness: float
    cheekbone: float
    chin_height: float
    brow_ridge: float
    folds: float  # depth of the creases between nose and mouth, of age
    asymmetry: tuple[float, float, float]  # of eye height, mouth slant and nose position
    skin: Colour
    blush: float
    freckles: int
    moles: tuple[tuple[float, float, float], ...]  # x, y, radius
    hair: Colour
    hairline_y: float
    hair_peak: float  # how far the hairline dips in the middle (above 0) or recedes at the temples (below 0)
    curl: float
    bald: bool
    style: "HairStyle"  # the usual one
    beard: float  # 0 shaven to 1 full
    moustache: float
    texture: int  # seed of the fixed fine structure: freckles, strands


def draw_traits(rng: np.random.Generator) -> Traits:
    """Draw a random person."""

    def near(mean: float, spread: float) -> float:
        return mean + _VARIETY * spread * float(np.clip(rng.standard_normal(), -2.2, 2.2))

    return Traits(**_draw_bones(near), **_draw_features(near), **_draw_surface(rng, near), **_draw_hair(rng, near))


@dataclass(frozen=True)
class HairStyle:
    """The traits of the hair that a hairdresser can change."""

    sweep: float  # -1 to 1: towards which side the hair falls
    volume: float
    length: float  # y where the side hair ends
    fringe: float  # how far a fringe hangs below the hairline


def draw_style(rng: np.random.Generator, long: bool) -> HairStyle:
    volume, length = rng.uniform(-2, 2, 2).tolist()
    return HairStyle(
        sweep=rng.uniform(-1, 1),
        volume=7.0 + 2.0 * volume if long else 4.5 + 1.6 * volume,
        length=108.0 + 13.0 * length if long else 52.0 + 5.0 * length,
        fringe=rng.uniform(6, 17) if rng.random() < 0.25 else 0.0,
    )


Near = Callable[[float, float], float]


def _draw_bones(near: Near) -> dict:
    width = near(0.0, 1.3)
    return dict(
        temple=near(36.5, 1.2) + width,
        cheek=near(38.0, 1.2) + width,
        jaw=near(29.0, 2.6) + width,
        chin_width=near(13.5, 2.6),
        chin_y=near(107.5, 2.2),
        ear_size=near(9.0, 1.3),
        ear_y=near(60.0, 2.0),
        cheekbone=near(3.0, 1.5),
        chin_height=near(3.5, 1.6),
        brow_ridge=near(1.6, 1.0),
        folds=max(near(0.5, 0.5), 0.0),
        asymmetry=(near(0.0, 0.5), near(0.0, 0.6), near(0.0, 0.7)),
    )


def _draw_features(near: Near) -> dict:
    return dict(
        eye_gap=near(18.0, 0.8),
        eye_y=near(52.0, 0.7),
        eye_width=near(7.9, 0.75),
        eye_height=near(3.1, 0.5),
        eye_slant=near(0.5, 0.8),
        lid_crease=max(near(2.0, 0.9), 0.4),
        eye_depth=near(2.2, 1.0),
        brow_y=near(42.0, 1.6),
        brow_length=near(10.5, 1.2),
        brow_thickness=max(near(2.3, 0.7), 0.9),
        brow_arch=near(1.8, 1.0),
        brow_slant=near(-0.5, 0.9),
        nose_y=near(71.5, 1.7),
        nose_width=near(8.6, 1.3),
        nose_height=near(7.8, 1.5),
        bridge_width=near(4.3, 0.7),
        mouth_y=near(91.0, 1.3),
        mouth_width=near(14.5, 1.5),
        upper_lip=max(near(3.2, 0.9), 1.2),
        lower_lip=max(near(4.5, 1.0), 2.0),
        cupid_bow=max(near(0.8, 0.45), 0.0),
        lip_redness=float(np.clip(near(0.5, 0.18), 0.15, 0.9)),
    )


def _draw_surface(rng: np.random.Generator, near: Near) -> dict:
    freckled = rng.random() < 0.18
    mole_count = rng.integers(0, 3)
    moles = [(rng.uniform(32, 80), rng.uniform(32, 98), rng.uniform(0.5, 0.95)) for _ in range(mole_count)]
    return dict(
        skin=_between(_SKIN, rng.random() ** 1.2, rng, 5.0),
        blush=max(near(0.5, 0.4), 0.0),
        freckles=int(rng.integers(20, 60)) if freckled else 0,
        moles=tuple(moles),
        iris=_between(_IRIS, rng.random() ** 1.5, rng, 6.0),
    )


def _draw_hair(rng: np.random.Generator, near: Near) -> dict:
    long = rng.random() < 0.45
    bearded = not long and rng.random() < 0.45
    return dict(
        hair=_between(_HAIR, rng.random() ** 1.3, rng, 3.0),
        hairline_y=near(18.0, 3.2),
        hair_peak=near(0.0, 2.2) if long else near(-1.0, 3.0),
        curl=float(rng.random() ** 2),
        bald=not long and rng.random() < 0.12,
        style=draw_style(rng, long),
        beard=float(rng.uniform(0.15, 1.2)) if bearded else 0.0,
        moustache=float(rng.uniform(0.0, 1.2)) if bearded else 0.0,
        texture=int(rng.integers(2**31)),
    )


def _between(palette: np.ndarray, place: float, rng: np.random.Generator, jitter: float) -> Colour:
    """Return the colour at position ``place`` in [0, 1) along the palette, with random jitter."""
    at = place * (len(palette) - 1)
    low = int(at)
    colour = palette[low] + (at - low) * (palette[low + 1] - palette[low]) + rng.normal(0, jitter, 3)
    red, green, blue = np.clip(colour, 0, 255).tolist()
    return red, green, blue
