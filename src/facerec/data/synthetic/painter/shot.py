"""The conditions of one image, independent of the person: pose, expression, hair style, light, occlusion and camera."""

import math
from dataclasses import dataclass

import numpy as np

from facerec.data.synthetic.painter.traits import Colour, HairStyle, draw_style


@dataclass(frozen=True)
class Conditions:
    """The variation between images of one person. Angles are standard deviations in degrees."""

    yaw: float = 14.0
    pitch: float = 8.0
    occlusion: float = 0.35  # fraction of images with glasses, sunglasses, mask, cap or an object in front of the face
    light: float = 1.0  # strength of the changes of light and colour; 0 is a studio
    expression: float = 1.0


@dataclass(frozen=True)
class Shot:
    """The conditions of one image."""

    yaw: float  # radians
    pitch: float
    roll: float
    shift: tuple[float, float]  # template pixels
    zoom: float  # factor
    smile: float  # -1 to 1
    open_mouth: float  # 0 to 1
    brow_raise: float
    eye_opening: float  # factor
    gaze: tuple[float, float]
    style: HairStyle | None  # of the hair, if not the person's usual one
    beard: float  # factor
    light: tuple[float, float, float]  # unit vector towards the lamp: right, down, towards the camera
    ambient: float  # fraction of light from all directions
    lamp_colour: Colour  # factors near 1
    ambient_colour: Colour
    shine: float
    occluder: str  # "" or one of OCCLUDERS
    occluder_colour: Colour
    occluder_shape: tuple[float, float, float]  # three random numbers in [0, 1)
    backdrop: np.ndarray  # coarse colours, float32 (6, 6, 3)
    clothes: Colour
    exposure: float
    gamma: float
    saturation: float
    blur: float  # template pixels
    noise: float  # grey levels
    jpeg_quality: int
    noise_seed: int


OCCLUDERS = ("glasses", "sunglasses", "mask", "cap", "object")
_OCCLUDER_FRACTIONS = (0.4, 0.12, 0.14, 0.16, 0.18)


def draw_shot(rng: np.random.Generator, conditions: Conditions) -> Shot:
    """Draw the conditions of an image at random."""
    return Shot(
        **_draw_pose(rng, conditions),
        **_draw_expression(rng, conditions.expression),
        **_draw_grooming(rng),
        **_draw_light(rng, conditions.light),
        **_draw_surroundings(rng, conditions.occlusion),
        **_draw_camera(rng, conditions.light),
    )


def _draw_pose(rng: np.random.Generator, conditions: Conditions) -> dict:
    yaw, pitch, roll, right, down, zoom = np.clip(rng.standard_normal(6), -2, 2).tolist()
    return dict(
        yaw=math.radians(conditions.yaw * yaw),
        pitch=math.radians(conditions.pitch * pitch),
        roll=math.radians(6.0 * roll),
        shift=(2.8 * right, 2.8 * down),
        zoom=1 + 0.06 * zoom,
    )


def _draw_expression(rng: np.random.Generator, strength: float) -> dict:
    is_open = rng.random() < 0.35
    return dict(
        smile=strength * rng.uniform(-0.3, 1),
        open_mouth=strength * rng.uniform(0.2, 1) if is_open else 0.0,
        brow_raise=1.4 * strength * rng.standard_normal(),
        eye_opening=1 - strength * float(rng.choice([0.0, 0.25, 0.5, 0.9], p=[0.6, 0.25, 0.11, 0.04])),
        gaze=(rng.uniform(-1, 1), rng.uniform(-0.4, 0.4)),
    )


def _draw_grooming(rng: np.random.Generator) -> dict:
    long, changed = rng.random() < 0.45, rng.random() < 0.7
    return dict(style=draw_style(rng, long) if changed else None, beard=rng.uniform(0.2, 1.4))


def _draw_light(rng: np.random.Generator, strength: float) -> dict:
    side, height = rng.uniform(-1.1, 1.1) * strength, rng.uniform(-0.3, 1.0) * strength
    warm, cool = (strength * rng.normal(0, 0.14, 2)).tolist()
    tint = (strength * rng.normal(0, 0.06, 2)).tolist()
    return dict(
        light=(math.sin(side) * math.cos(height), -math.sin(height), math.cos(side) * math.cos(height)),
        ambient=rng.uniform(0.25, 0.75),
        lamp_colour=(1 + warm, 1 + tint[0], 1 - warm),
        ambient_colour=(1 + cool, 1 + tint[1], 1 - cool),
        shine=rng.uniform(0.0, 0.25),
    )


def _draw_surroundings(rng: np.random.Generator, occlusion: float) -> dict:
    base = rng.uniform(20, 225) + rng.normal(0, 18, 3)
    spots = rng.normal(0, rng.uniform(4, 40), (6, 6, 1)) + rng.normal(0, 12, (6, 6, 3))
    covered = rng.random() < occlusion
    return dict(
        occluder=str(rng.choice(OCCLUDERS, p=_OCCLUDER_FRACTIONS)) if covered else "",
        occluder_colour=_muted(rng),
        occluder_shape=tuple(rng.random(3).tolist()),
        backdrop=np.clip(base + spots, 0, 255).astype(np.float32),
        clothes=_muted(rng),
    )


def _muted(rng: np.random.Generator) -> Colour:
    """Draw a random colour, mixed half with grey."""
    colour = rng.uniform(10, 240, 3)
    red, green, blue = ((colour + colour.mean()) / 2).tolist()
    return red, green, blue


def _draw_camera(rng: np.random.Generator, strength: float) -> dict:
    exposure, gamma = np.clip(rng.standard_normal(2), -2, 2).tolist()
    grey = rng.random() < 0.12
    soft = rng.random() < 0.3
    return dict(
        exposure=math.exp(0.17 * strength * exposure),
        gamma=math.exp(0.17 * strength * gamma),
        saturation=0.0 if grey else 1 + strength * rng.uniform(-0.6, 0.3),
        blur=rng.uniform(0.5, 1.4) if soft else 0.0,
        noise=5 * rng.random() ** 2,
        jpeg_quality=int(rng.integers(45, 96)),
        noise_seed=int(rng.integers(2**31)),
    )
