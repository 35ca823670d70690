"""Whether red and blue are swapped, told by the colour of skin.

On shared sets of faces at most 5 in 1000 colour images are more blue than red in the middle, most of them under stage
light, so a set with half of its images that way is swapped, and one with 3 in 100 holds some that are.
"""

from collections.abc import Sequence

import numpy as np

from facerec.doctor.findings import SHOWN, Finding, Picture
from facerec.doctor.survey import Part

_BLUE = -0.02  # redness of an image that is taken for swapped
_ENOUGH = 10  # colour images, to judge a set
_WHOLE, _MIXED = 0.5, 0.03  # shares of swapped images


def judge_colours(parts: Sequence[Part]) -> list[Finding]:
    """Each part is swapped as a whole, or holds images that are."""
    return [finding for part in parts for finding in _judge(part)]


def _judge(part: Part) -> list[Finding]:
    redness = np.where(part.features["readable"] & ~part.features["flat"], part.features["redness"], np.nan)
    coloured, blue = np.flatnonzero(~np.isnan(redness)), np.flatnonzero(redness < _BLUE)
    if len(coloured) >= _ENOUGH and (redness[coloured] < 0).mean() > _WHOLE:
        return [_swapped_set(part, redness, coloured)]
    return [_swapped_images(part, redness, blue, len(coloured))] if len(blue) else []


def _swapped_set(part: Part, redness: np.ndarray, coloured: np.ndarray) -> Finding:
    agreeing = coloured[redness[coloured] < 0]
    confidence = len(agreeing) / len(coloured)
    return Finding(
        name="swapped_channels",
        severity="error",
        part=part.title,
        count=len(agreeing),
        sentence=f"{confidence:.1%} of {len(coloured)} colour images are more blue than red in the middle, and skin is "
        "not: red and blue are swapped in the whole set, so write it again as RGB",
        details=[{"confidence": round(confidence, 4), "colour_images": len(coloured)}],
        pictures=_pictures(part, redness, agreeing[:: max(1, len(agreeing) // SHOWN)][:SHOWN]),
    )


def _swapped_images(part: Part, redness: np.ndarray, blue: np.ndarray, num_coloured: int) -> Finding:
    blue = blue[np.argsort(redness[blue], kind="stable")]
    is_mixed = num_coloured >= _ENOUGH and len(blue) > _MIXED * num_coloured
    details = [{"image": part.source.name(i), "redness": round(float(redness[i]), 3)} for i in blue]
    return Finding(
        name="swapped_images",
        severity="error" if is_mixed else "warning",
        part=part.title,
        count=len(blue),
        sentence=f"{len(blue) / num_coloured:.2%} of {num_coloured} colour images are more blue than red in the "
        "middle: "
        + ("some were stored as BGR, write them again as RGB" if is_mixed else "look whether blue light explains it"),
        details=details + _swapped_identities(part, redness),
        pictures=_pictures(part, redness, blue[:SHOWN]),
    )


def _swapped_identities(part: Part, redness: np.ndarray) -> list[dict[str, object]]:
    """Identities of two colour images or more that are all blue."""
    if part.train is None:
        return []
    coloured = np.flatnonzero(~np.isnan(redness))
    labels, reddest = part.train.labels[coloured], np.full(part.train.num_identities, -np.inf)
    np.maximum.at(reddest, labels, redness[coloured])
    images = np.bincount(labels, minlength=len(reddest))
    swapped = np.flatnonzero((images > 1) & (reddest < _BLUE)).tolist()
    return [{"identity": part.train.identity_name(label), "images": int(images[label])} for label in swapped]


def _pictures(part: Part, redness: np.ndarray, images: np.ndarray) -> list[Picture]:
    return [
        Picture(part.source, int(i), f"{part.source.name(int(i))}\nredness {redness[i]:.2f}") for i in images.tolist()
    ]
