"""The complexion: where the skin is darker, redder or bearded."""

import numpy as np

from facerec.data.synthetic.painter.relief import Hills, field
from facerec.data.synthetic.painter.shot import Shot
from facerec.data.synthetic.painter.traits import Traits


def complexion(traits: Traits, shot: Shot, at: np.ndarray) -> list[np.ndarray]:
    """Compute the factors of the skin's red, green and blue on the grid ``at`` x ``at``, float32."""
    hollow, flush = field(_hollows(traits), at), field(_flush(traits), at)
    hairy = 1 - np.exp(-2 * field(_beard(traits, shot), at))
    channels = []
    for skin, hair, shade, pallor in zip(traits.skin, traits.hair, (0.85, 1.05, 1.1), (-0.3, 1.0, 0.9), strict=True):
        covered = 1 - hairy * (1 - min(hair / max(skin, 1.0), 1.0))
        channels.append(np.exp(-shade * hollow) * (1 - pallor * flush) * covered)
    return channels


def _hollows(traits: Traits) -> Hills:
    """Return the depth of the shade in hollows and under overhangs."""
    gap, eye_y, nose_y, mouth_y = traits.eye_gap, traits.eye_y, traits.nose_y, traits.mouth_y
    socket = 0.06 + 0.05 * traits.eye_depth
    both = [
        (gap - 3, eye_y - 4, 6, 3.2, socket),
        (gap - 10, eye_y - 1, 2.6, 4.5, socket * 0.9),
        (gap - 1, eye_y + 6.5, 6, 2.2, 0.06 + 0.05 * traits.folds),
        (traits.nose_width + 1.2, nose_y + 1.5, 1.3, 3, 0.16),
        (traits.nose_width + 5.5, nose_y + 10, 2.2, 5, 0.1 * traits.folds),
        (traits.mouth_width + 1.5, mouth_y, 2, 2, 0.14),
        (traits.jaw + 2, 98, 5, 7, 0.12),
    ]
    middle = [(56, nose_y + 5.5, 7, 1.9, 0.16), (56, mouth_y + traits.lower_lip + 3.4, 8, 1.8, 0.17)]
    neck = [(56, traits.chin_y + 5, 30, 4, 0.3)]
    return [(56 + s * x, y, w, h, a) for x, y, w, h, a in both for s in (-1, 1)] + middle + neck


def _flush(traits: Traits) -> Hills:
    """Return the redness of the skin due to blood."""
    redness = 0.07 * traits.blush
    return [
        (36, 73, 8, 6, redness),
        (76, 73, 8, 6, redness),
        (56, traits.nose_y, 5, 4, redness * 1.2),
        (56, traits.chin_y - 4, 7, 4, redness * 0.6),
    ]


def _beard(traits: Traits, shot: Shot) -> Hills:
    """Return the density of hair on the lower face."""
    full = traits.beard * shot.beard
    jaw, chin, mouth = traits.jaw, traits.chin_y, traits.mouth_y
    sides = [(traits.cheek - 3, 70, 3.5, 8), (jaw + 0.5, 84, 5, 6), (jaw - 7, 95, 6, 5.5), (jaw - 17, 102, 7, 5)]
    hills = [(56 + s * x, y, w, h, full) for x, y, w, h in sides for s in (-1, 1)]
    lip = traits.moustache * shot.beard
    hills += [(56 + s * 7, mouth - traits.upper_lip - 4, 5.5, 2, 1.1 * lip) for s in (-1, 1)]
    return [*hills, (56, chin - 3, 9, 5, 1.2 * full), (56, mouth + traits.lower_lip + 4.5, 3.5, 2.5, 0.8 * full)]
