"""Detection of swapped red and blue channels by the colour of skin.

In public face data sets at most 0.5 % of the colour images are more blue than red in the middle, mostly because of
stage light. A set in which half of the images are is swapped as a whole; one in which 3 % are contains swapped images.
"""

from collections.abc import Sequence

import numpy as np

from facerec.doctor.findings import SHOWN, Example, Finding, report
from facerec.doctor.survey import Part

_BLUE = -0.02  # an image with less redness counts as swapped
_ENOUGH = 10  # minimum number of colour images to judge a set
_WHOLE, _MIXED = 0.5, 0.03  # fractions of swapped images


def judge_colours(parts: Sequence[Part], red: str = "skin") -> list[Finding]:
    """Report each part that is swapped as a whole, and swapped images in the other parts; they show what is ``red``."""
    return [finding for part in parts for finding in _judge(part, red)]


def _judge(part: Part, red: str) -> list[Finding]:
    redness = np.where(part.usable, part.features["redness"], np.nan)
    coloured, blue = np.flatnonzero(~np.isnan(redness)), np.flatnonzero(redness < _BLUE)
    if len(coloured) >= _ENOUGH and (redness[coloured] < 0).mean() > _WHOLE:
        return _swapped_set(part, red, redness, coloured)
    return _swapped_images(part, redness, blue, len(coloured)) if len(blue) else []


def _swapped_set(part: Part, red: str, redness: np.ndarray, coloured: np.ndarray) -> list[Finding]:
    agreeing = coloured[redness[coloured] < 0]
    confidence = len(agreeing) / len(coloured)
    return report(
        "swapped_channels",
        part.title,
        f"{confidence:.1%} of {len(coloured)} colour images are more blue than red in the middle, "
        f"unlike {red}: red and blue are swapped in the whole set, so convert it to RGB",
        [{"confidence": round(confidence, 4), "colour_images": len(coloured)}],
        _examples(part, redness, agreeing[:: max(1, len(agreeing) // SHOWN)][:SHOWN]),
        severity="error",
        count=len(agreeing),
    )


def _swapped_images(part: Part, redness: np.ndarray, blue: np.ndarray, num_coloured: int) -> list[Finding]:
    blue = blue[np.argsort(redness[blue], kind="stable")]
    is_mixed = num_coloured >= _ENOUGH and len(blue) > _MIXED * num_coloured
    details = [{"image": part.source.name(i), "redness": round(float(redness[i]), 3)} for i in blue]
    return report(
        "swapped_images",
        part.title,
        f"{len(blue) / num_coloured:.2%} of {num_coloured} colour images are more blue than red in the "
        "middle: "
        + ("some were stored as BGR, convert them to RGB" if is_mixed else "check whether blue light explains it"),
        details + _swapped_identities(part, redness),
        _examples(part, redness, blue[:SHOWN]),
        severity="error" if is_mixed else "warning",
        count=len(blue),
    )


def _swapped_identities(part: Part, redness: np.ndarray) -> list[dict[str, object]]:
    """Return the identities with at least two colour images, all of them blue."""
    if part.train is None:
        return []
    coloured = np.flatnonzero(~np.isnan(redness))
    labels, reddest = part.train.labels[coloured], np.full(part.train.num_identities, -np.inf)
    np.maximum.at(reddest, labels, redness[coloured])
    images = np.bincount(labels, minlength=len(reddest))
    swapped = np.flatnonzero((images > 1) & (reddest < _BLUE)).tolist()
    return [{"identity": part.train.identity_name(label), "images": int(images[label])} for label in swapped]


def _examples(part: Part, redness: np.ndarray, images: np.ndarray) -> list[Example]:
    return [
        Example(part.source, int(i), f"{part.source.name(int(i))}\nredness {redness[i]:.2f}") for i in images.tolist()
    ]
