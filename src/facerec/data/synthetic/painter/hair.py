"""Hair behind and in front of the face, the direction of its strands, and the beard."""

import numpy as np

from facerec.data.synthetic.painter.canvas import HAIR, Canvas, mix, smooth
from facerec.data.synthetic.painter.traits import Traits

_LONG = 80.0  # hair that ends lower than this hangs in front of the ears


def paint_back_hair(canvas: Canvas, traits: Traits) -> None:
    if traits.bald:
        return
    wide, length = _half_width(traits), traits.style.length
    dark = mix(traits.hair, (0, 0, 0), 0.35)
    half = [(wide * 0.62, -8), (wide, 18), (wide + 1.5, 45), (wide + 1, length * 0.75 + 12), (wide - 4, length)]
    points = [(56 + x, y) for x, y in half] + [(56 - x, y) for x, y in reversed(half)]
    canvas.fill(_curl(smooth(points, steps=16), traits), dark, HAIR)


def paint_front_hair(canvas: Canvas, traits: Traits) -> None:
    if traits.bald:
        return
    line = _hairline(traits)
    wide = _half_width(traits)
    cap = smooth([(56 - wide, 46), (56 - wide, 20), (56 - wide * 0.66, -6), (56, -14)], closed=False, steps=16)
    cap = np.concatenate([cap, cap[::-1] * (-1, 1) + (112, 0)])
    canvas.fill(_curl(np.concatenate([cap, line[::-1]]), traits), traits.hair, HAIR)
    if traits.style.length > _LONG:
        _paint_curtains(canvas, traits, wide)
    else:
        _paint_sideburns(canvas, traits)


def strands(traits: Traits, at: np.ndarray) -> np.ndarray:
    """Compute the brightness factor of the hair on the grid ``at`` x ``at``, float32; strands start at the parting."""
    rng = np.random.Generator(np.random.PCG64(traits.texture))
    locks = np.repeat(rng.standard_normal(64, np.float32), 8)
    single = np.convolve(rng.standard_normal(514, np.float32), [0.5, 1, 0.5], "valid")
    table = np.clip(1 + 0.12 * single + 0.13 * locks, 0.5, 1.5).astype(np.float32)
    across, down = at[None, :] - np.float32(56 + 14 * traits.style.sweep), at[:, None] + np.float32(22)
    far = np.sqrt(across**2 + down**2)
    angle = np.arctan2(across, down) * np.float32(60)
    waves = np.float32(3.5 * traits.curl) * np.sin(far * np.float32(0.2 + 0.3 * traits.curl) + np.float32(0.2) * angle)
    ring = np.exp(-(((far - 34) / 7) ** 2)) * np.float32(0.25)
    return table[((angle + waves) * np.float32(0.8)).astype(np.int32) & 511] + ring


def _hairline(traits: Traits) -> np.ndarray:
    """Return the hair's lower edge in front of the forehead, from left to right."""
    sweep = traits.style.sweep
    edge, temple = traits.hairline_y + traits.style.fringe, traits.temple
    along = np.array([-1, -0.86, -0.6, -0.25, 0.1, 0.45, 0.8, 1]) * np.sign(sweep or 1)
    fall = 5.0 * abs(sweep) * np.array([0.6, 1.0, 0.7, -0.2, -0.4, 0.0, 0.2, 0.2])
    peak = traits.hair_peak * np.array([0, -1, -1, 0.3, 0.6, 0, -1.2, 0])
    y = edge + 26 * np.abs(along) ** 5 * (1 - 0.4 * (traits.style.fringe > 0)) + fall + peak
    order = np.argsort(along)
    line = smooth(np.stack([56 + along * (temple + 1.5), y], 1)[order], closed=False, steps=10)
    if traits.style.fringe > 0:  # the ends of the locks
        along = np.arange(len(line) - 2)
        line[1:-1, 1] += np.sin(1.7 * along) * (0.5 + 1.2 * np.sin(0.31 * along + 9 * traits.curl))
    return line


def _paint_curtains(canvas: Canvas, traits: Traits, wide: float) -> None:
    length = traits.style.length
    for side in (-1, 1):
        lean = 2.5 * side * traits.style.sweep
        points = [(traits.temple - 8, 22), (traits.temple - 3 + lean, 42), (traits.cheek - 2.5 + lean, 64)]
        points += [(traits.jaw + 3 + lean, 88), (traits.jaw + 4, length)]
        points += [(wide - 2, length + 3), (wide + 1.5, 70), (wide + 0.5, 34)]
        canvas.fill(_curl(smooth([(56 + side * x, y) for x, y in points], steps=12), traits), traits.hair, HAIR)


def _paint_sideburns(canvas: Canvas, traits: Traits) -> None:
    end = min(traits.style.length, 66.0)
    for side in (-1, 1):
        points = [(traits.temple - 4, 30), (traits.temple - 2.2, 44), (traits.cheek - 1.8, end - 3)]
        points += [(traits.cheek + 0.6, end), (traits.temple + 2.5, 30)]
        canvas.fill(np.array([(56 + side * x, y) for x, y in points]), traits.hair, HAIR)


def _half_width(traits: Traits) -> float:
    return max(traits.temple, traits.cheek) + 0.6 * traits.style.volume


def _curl(points: np.ndarray, traits: Traits) -> np.ndarray:
    """Make the edge of curly hair wavy."""
    wave = np.stack([np.sin(points[:, 1] * 0.55 + 1), np.sin(points[:, 0] * 0.6)], 1)
    return points + 2.0 * traits.curl * wave
